#!/usr/bin/env python3
"""Counts what became of every request in an exported carelink log. Standard library only; imports nothing of carelink.

usage: python count_outcomes.py FOLDER

Reads entry bundles (C2SP tlog-tiles: tile/entries/..., each entry behind a two-byte length) and follows each request
through its entries to exactly one final state. Exit 0: every request has one, and every hand-over has one claimed
permit before it. Exit 4: conservation is broken; each break is printed. Exit 5: the folder cannot be read.
It does not check signatures or hashes: `carelink audit verify` does.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

OUTCOMES = (
    "accepted", "awaiting_human", "refused", "opted_out", "recipient_limit", "throttled", "not_sent", "account", "unknown",
)  # fmt: skip
CAUSES = ("claim_refused", "expired", "lease_ran_out", "stopped", "content_changed", "address_unreadable")
STATES = (
    "refused", "deferred", "permit waiting", "in flight",
    *(f"handed over: {name}" for name in OUTCOMES),
    *(f"recovered: {name}" for name in OUTCOMES),
    *(f"released: {name}" for name in CAUSES),
)  # fmt: skip


def bundle_name(number: int) -> str:
    """Groups of three digits, all but the last behind an x (C2SP tlog-tiles)."""
    text = f"{number % 1000:03d}"
    while number >= 1000:
        number //= 1000
        text = f"x{number % 1000:03d}/{text}"
    return text


def entries(folder: Path) -> Iterator[dict]:
    """Entries of the log up to its checkpoint."""
    size = int((folder / "checkpoint").read_text(encoding="utf-8").splitlines()[1])
    for number in range((size + 255) // 256):
        width = min(256, size - number * 256)
        suffix = "" if width == 256 else f".p/{width}"
        data = (folder / "tile" / "entries" / f"{bundle_name(number)}{suffix}").read_bytes()
        at = 0
        for _ in range(width):
            length = int.from_bytes(data[at : at + 2], "big")
            yield json.loads(data[at + 2 : at + 2 + length])
            at += 2 + length


def count(folder: Path) -> tuple[Counter, Counter, list[str]]:
    """Final state of each request, entries by kind, and breaks of conservation."""
    state: dict[str, str] = {}
    claimed: dict[str, str] = {}  # reservation -> request, from claim to settlement
    held: dict[str, str] = {}
    kinds: Counter = Counter()
    breaks: list[str] = []
    for index, entry in enumerate(entries(folder)):
        kind, body = entry["kind"], entry["body"]
        kinds[kind] += 1
        request = body.get("request", "")
        if kind == "decision":
            live = state.get(request, "")
            if live in ("permit waiting", "in flight") or live.startswith(
                (
                    "handed over: accepted",
                    "handed over: unknown",
                    "handed over: awaiting",
                    "recovered: unknown",
                    "recovered: accepted",
                    "recovered: awaiting",
                )
            ):
                breaks.append(f"entry {index}: decided again though its last permit is {live}")
            if body["effect"] == "permit":
                home = claimed if "lease" in body else held
                home[body["reservation"]] = request
                state[request] = "in flight" if "lease" in body else "permit waiting"
            else:
                state[request] = {"refuse": "refused", "defer": "deferred"}[body["effect"]]
        elif kind == "claim":
            if held.pop(body["reservation"], None) is None:
                breaks.append(f"entry {index}: a claim without a waiting permit")
            claimed[body["reservation"]] = request
            state[request] = "in flight"
        elif kind in ("handover", "recovered"):
            if claimed.pop(body["reservation"], None) is None:
                breaks.append(f"entry {index}: a hand-over without exactly one claimed permit before it")
            word = "handed over" if kind == "handover" else "recovered"
            state[request] = f"{word}: {body['outcome']}"
        elif kind == "released":
            if held.pop(body["reservation"], None) is None and claimed.pop(body["reservation"], None) is None:
                breaks.append(f"entry {index}: a release of a permit that was not open")
            state[request] = f"released: {body['cause']}"
    finals = Counter(state.values())
    breaks.extend(f"state `{name}` is not in the closed set" for name in finals if name not in STATES)
    if sum(finals.values()) != len(state):
        breaks.append("requests and final states differ in number")
    return finals, kinds, breaks


def main(arguments: list[str]) -> int:
    """Count and print."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        finals, kinds, breaks = count(Path(arguments[0]))
    except (OSError, ValueError, KeyError, IndexError) as error:
        print(f"cannot be read: {type(error).__name__}")
        return 5
    print(f"requests {sum(finals.values())}")
    for name in STATES:
        if finals[name]:
            print(f"  {name:<28} {finals[name]}")
    print(f"entries {sum(kinds.values())}")
    for name, number in sorted(kinds.items()):
        print(f"  {name:<28} {number}")
    for line in breaks:
        print(f"BROKEN {line}")
    print("CONSERVED" if not breaks else "NOT CONSERVED")
    return 4 if breaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
