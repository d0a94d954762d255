#!/usr/bin/env python3
"""Counts what became of every request in an exported carelink log. Standard library only; imports nothing of carelink.

usage: python count_outcomes.py FOLDER

Reads the entry bundles (docs/reference/published-log.md, log-entry.md), follows each permit from its decision to its
end and each request to exactly one final state, and checks that the sums agree:

    requests        = refused + deferred + permit waiting + in flight + handed over + recovered + released
    decisions       = permits + deferred + refused
    permits         = permit waiting + in flight + handed over + recovered + released
    claims          = in flight + handed over + recovered + released after the claim
    refused claims  = released: claim_refused

The left side counts entries as they come, the right side counts permits and requests at their ends. Exit 0: conserved.
Exit 4: a break; each is printed with its entry. Exit 5: the folder cannot be read, or holds an entry of another form.
Signatures and hashes are not checked here: `carelink audit verify` and `carelink_verify.py` do that.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

OUTCOMES = (
    "accepted", "awaiting_human", "refused", "opted_out", "recipient_limit", "throttled", "not_sent", "account",
    "unknown",
)  # fmt: skip
SPENT = frozenset({"accepted", "awaiting_human", "unknown"})
HELD_ENDS = ("claim_refused", "expired", "stopped")
CLAIMED_ENDS = ("lease_ran_out", "content_changed", "address_unreadable")
STATES = (
    "refused", "deferred", "permit waiting", "in flight",
    *(f"handed over: {name}" for name in OUTCOMES),
    *(f"recovered: {name}" for name in OUTCOMES),
    *(f"released: {name}" for name in (*HELD_ENDS, *CLAIMED_ENDS)),
)  # fmt: skip
FINAL = frozenset(
    {"permit waiting", "in flight", *(f"{how}: {name}" for how in ("handed over", "recovered") for name in SPENT)}
)
"""States after which a request cannot be decided again: its permit is open, or it was (perhaps) handed over."""

EFFECTS = {"permit": "permits", "refuse": "refused", "defer": "deferred"}


class Unreadable(Exception):
    """The folder, or an entry of it, is not in the form that this program knows."""


def bundle_name(number: int) -> str:
    """Groups of three digits, all but the last behind an x (C2SP tlog-tiles)."""
    text = f"{number % 1000:03d}"
    while number >= 1000:
        number //= 1000
        text = f"x{number % 1000:03d}/{text}"
    return text


def entries(folder: Path) -> Iterator[dict]:
    """Entries of the log up to its checkpoint, a bundle in memory at a time."""
    size = int((folder / "checkpoint").read_text(encoding="utf-8").splitlines()[1])
    for number in range((size + 255) // 256):
        width = min(256, size - number * 256)
        suffix = "" if width == 256 else f".p/{width}"
        data = (folder / "tile" / "entries" / f"{bundle_name(number)}{suffix}").read_bytes()
        at = 0
        for index in range(width):
            length = int.from_bytes(data[at : at + 2], "big")
            entry = json.loads(data[at + 2 : at + 2 + length])
            if entry["v"] != 1:
                raise Unreadable(f"entry {number * 256 + index} is of another version")
            yield entry
            at += 2 + length
        if at != len(data):
            raise Unreadable(f"bundle {number} does not hold its {width} entries and nothing else")


class Books:
    """The state of every request and of every permit after some first entries."""

    def __init__(self) -> None:
        self.requests: dict[bytes, str] = {}
        self.open: dict[bytes, tuple[bytes, str]] = {}  # reservation: its request; held, claimed or claim refused
        self.seen: set[bytes] = set()  # every reservation there ever was
        self.counts: Counter[str] = Counter()  # entries, by what they say
        self.ends: Counter[str] = Counter()  # permits, by how they ended
        self.breaks: list[str] = []

    def broken(self, index: int, what: str) -> None:
        """Note a break."""
        self.breaks.append(f"entry {index}: {what}")

    def take(self, index: int, kind: str, body: dict) -> None:
        """Take one more entry."""
        self.counts[f"entry {kind}"] += 1
        if kind == "decision":
            self.decision(index, body)
        elif kind == "claim":
            self.claim(index, body)
        elif kind in ("handover", "recovered"):
            how = "handed over" if kind == "handover" else "recovered"
            self.end(index, body, f"{how}: {body['outcome']}", ("claimed",))
        elif kind == "released":
            wanted = {"claim_refused": ("claim refused",), "expired": ("held",), "stopped": ("held",)}
            self.end(index, body, f"released: {body['cause']}", wanted.get(body["cause"], ("claimed",)))

    def decision(self, index: int, body: dict) -> None:
        """A request is decided; a permit opens."""
        request, effect = bytes.fromhex(body["request"]), EFFECTS.get(body["effect"])
        if effect is None:
            raise Unreadable(f"entry {index} has an effect of another form")
        self.counts["decisions"] += 1
        self.counts[effect] += 1
        had = self.requests.get(request, "")
        if had in FINAL and effect != "permits" and body["facts"]["store"] == "restored":
            return  # a restored backup refuses what it does not know; the request stays what it was
        if had in FINAL:
            self.broken(index, f"decided again though it is {had}")
        self.counts["decided again"] += bool(had)
        if effect != "permits":
            self.requests[request] = effect
            return
        reservation, claimed = bytes.fromhex(body["reservation"]), "lease" in body
        if reservation in self.seen:
            self.broken(index, "a permit with the reservation of another one")
        self.seen.add(reservation)
        self.open[reservation] = (request, "claimed" if claimed else "held")
        self.requests[request] = "in flight" if claimed else "permit waiting"
        self.counts["claims"] += claimed

    def claim(self, index: int, body: dict) -> None:
        """A held permit is decided again: claimed, or refused and to be released."""
        reservation, request = bytes.fromhex(body["reservation"]), bytes.fromhex(body["request"])
        if self.open.get(reservation) != (request, "held"):
            self.broken(index, "a claim without exactly one waiting permit of its request")
        permitted = body["effect"] == "permit"
        self.open[reservation] = (request, "claimed" if permitted else "claim refused")
        if permitted:
            self.requests[request] = "in flight"
        self.counts["claims" if permitted else "refused claims"] += 1

    def end(self, index: int, body: dict, state: str, wanted: tuple[str, ...]) -> None:
        """A permit ends, and with it the request has a final state."""
        reservation, request = bytes.fromhex(body["reservation"]), bytes.fromhex(body["request"])
        had = self.open.pop(reservation, (b"", "not open"))
        if had[0] != request or had[1] not in wanted:
            told = had[1] if had[0] in (request, b"") else "of another request"
            self.broken(index, f"{state}, but its permit is {told}")
        if state not in STATES:
            self.broken(index, f"`{state}` is not in the closed set")
        self.ends[state] += 1
        self.requests[request] = state

    def finish(self) -> None:
        """Check what must be over at the end of the log, and the sums."""
        states = Counter(self.requests.values())
        left = Counter(state for _, state in self.open.values())
        for _ in range(left["claim refused"]):
            self.breaks.append("end of the log: a refused claim whose permit was not released")
        ended = sum(self.ends.values())
        attempted = sum(number for state, number in self.ends.items() if not state.startswith("released"))
        dropped = sum(self.ends[f"released: {cause}"] for cause in CLAIMED_ENDS)
        sums = {
            "requests": (len(self.requests), sum(states[name] for name in STATES)),
            "permits waiting": (left["held"], states["permit waiting"]),
            "claims in flight": (left["claimed"], states["in flight"]),
            "decisions": (self.counts["decisions"], sum(self.counts[name] for name in EFFECTS.values())),
            "permits": (self.counts["permits"], left["held"] + left["claimed"] + ended),
            "claims": (self.counts["claims"], left["claimed"] + attempted + dropped),
            "refused claims": (self.counts["refused claims"], self.ends["released: claim_refused"]),
        }
        for name, (one, other) in sums.items():
            print(f"{name} {one} = {other}{'' if one == other else ' BROKEN'}")
            if one != other:
                self.breaks.append(f"end of the log: {name}: {one} is not {other}")


def main(arguments: list[str]) -> int:
    """Count and print."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    books = Books()
    try:
        for index, entry in enumerate(entries(Path(arguments[0]))):
            books.take(index, entry["kind"], entry["body"])
    except Unreadable as error:
        print(f"CANNOT JUDGE: {error}")
        return 5
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        print(f"CANNOT JUDGE: the folder cannot be read ({type(error).__name__})")
        return 5
    books.finish()
    states = Counter(books.requests.values())
    for name in (*STATES, *sorted(set(states) - set(STATES))):
        if states[name]:
            print(f"  {name:<28} {states[name]}")
    for name, number in sorted(books.counts.items()):
        if name.startswith("entry "):
            print(f"  {name:<28} {number}")
    for line in books.breaks:
        print(f"BROKEN {line}")
    print("NOT CONSERVED" if books.breaks else "CONSERVED")
    return 4 if books.breaks else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
