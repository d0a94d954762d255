"""What a race came to, counted again by brute force from the bytes of the log, the rows of the database file and the
lines of the channels' books. Knows nothing of carelink: the standard library reads all three.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tomllib
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Cap(NamedTuple):
    """A cap as its pack states it: `letters` says whether it counts persons, addresses or both."""

    rule: str
    most: int
    window: int
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    letters: str


class Touch(NamedTuple):
    """One slot taken: when, for what, by whom."""

    at: int
    purpose: str
    channel: str
    persons: tuple[str, ...]
    address: str


def length(text: str) -> int:
    """Microseconds of PT4M, PT1H, P1D."""
    found = re.fullmatch(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?)?", text)
    assert found is not None, text
    days, hours, minutes = (int(part or 0) for part in found.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60_000_000


def caps_of(pack: Path) -> list[Cap]:
    """The caps of a pack."""
    rules = [rule for rule in tomllib.loads(pack.read_text())["rule"] if rule["kind"] == "frequency_cap"]
    return [
        Cap(
            rule["id"],
            rule["params"]["max"],
            length(rule["params"]["window"]),
            tuple(rule["params"].get("purposes") or rule.get("when", {}).get("purposes", ["*"])),
            tuple(rule["params"].get("channels", ["*"])),
            rule["params"].get("counts", "both"),
        )
        for rule in rules
    ]


def covers(purposes: Any, purpose: str) -> bool:
    """Whether a scope names this purpose, its family, or everything."""
    return any(item in ("*", purpose) or purpose.startswith(f"{item}.") for item in purposes)


def in_scope(scope: dict[str, Any], purpose: str, channel: str) -> bool:
    return covers(scope["purposes"], purpose) and any(item in ("*", channel) for item in scope["channels"])


def overshoots(touches: list[Touch], caps: list[Cap]) -> list[str]:
    """Every window of every cap of every person and address that holds more than the cap. Each touch ends a window."""
    lines: dict[tuple[str, str], list[Touch]] = defaultdict(list)
    for touch in touches:
        for person in touch.persons:
            lines["person", person].append(touch)
        lines["address", touch.address].append(touch)
    found = []
    for (what, who), held in lines.items():
        for cap in caps:
            if cap.letters not in (what, "both"):
                continue
            counted = [t.at for t in held if covers(cap.purposes, t.purpose) and covers(cap.channels, t.channel)]
            for end in counted:
                inside = sum(end - cap.window < at <= end for at in counted)
                if inside > cap.most:
                    found.append(f"{cap.rule}: {inside} > {cap.most} for {what} {who} up to {end}")
    return found


def rows(database: Path) -> list[Touch]:
    """The slots that the database holds."""
    with sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True) as db:
        found = db.execute(
            "SELECT at, purpose, channel_kind, subject, recipient, token FROM reservations WHERE state <> 'released'"
        ).fetchall()
    db.close()
    return [Touch(at, purpose, kind, tuple({one, other}), token) for at, purpose, kind, one, other, token in found]


class Log:
    """One pass over the log in its order, which is the order of the commits. With `caps`, each permit is held against
    them as it comes, records that were merged by then being one person; that takes the square of their number.

    Attributes:
        touches: the slots that the log says were taken and not given back, by reservation.
        faults: claims that came after a stop, a withdrawal or a death that forbade them, and other contradictions.
        counts: entries by kind and effect.
    """

    def __init__(self, entries: list[bytes], caps: Sequence[Cap] = ()) -> None:
        self._caps = list(caps)
        self.touches: dict[str, Touch] = {}
        self.faults: list[str] = []
        self.counts: Counter[str] = Counter()
        self.claimed: dict[str, str] = {}
        self.handed: Counter[str] = Counter()
        self._stops: dict[str, dict[str, Any]] = {}
        self._grants: dict[str, dict[str, Any]] = {}
        self._gone: set[str] = set()
        self._same: dict[str, str] = {}
        self._open: set[str] = set()
        for index, data in enumerate(entries):
            entry = json.loads(data)
            self._take(index, entry["kind"], entry["body"])

    def _take(self, index: int, kind: str, body: dict[str, Any]) -> None:
        self.counts[f"{kind} {body['effect']}" if "effect" in body else kind] += 1
        if kind in ("decision", "claim"):
            if body["effect"] == "permit":
                self._permitted(index, kind, body)
        elif kind in ("suppression_added", "suppression_carried"):
            self._stops[f"{body['suppression']} {body.get('address', '')}"] = body
        elif kind == "suppression_lifted":
            self._stops = {key: s for key, s in self._stops.items() if s["suppression"] != body["suppression"]}
        elif kind == "consent_granted":
            self._grants[body["grant"]] = body
        elif kind == "consent_ended":
            self._grants.pop(body["grant"], None)
        elif kind == "merged":
            self._same[body["merged"]] = body["subject"]
        elif kind == "subject" and body.get("standing", "active") == "deceased":
            self._gone.add(body["subject"])
        elif kind == "released":
            self.touches.pop(body["reservation"], None)
            self._open.discard(body["reservation"])
        elif kind in ("handover", "recovered"):
            self._settled(index, kind, body)

    def one(self, person: str | None) -> str | None:
        """Who a pseudonym stands for, merged records being one person."""
        while person in self._same:
            person = self._same[person]
        return person

    def _permitted(self, index: int, kind: str, body: dict[str, Any]) -> None:
        facts, ask = body["facts"], body["facts"]["ask"]
        persons = tuple({self.one(facts["subject"]), self.one(facts["recipient"])})
        self.touches[body["reservation"]] = Touch(
            facts["at"], ask["purpose"], ask["channel_kind"], persons, facts["address"]
        )
        self._counted(index, body["reservation"])
        for stop in self._stops.values():
            bound = self.one(stop.get("person")) in persons or stop.get("address") == facts["address"]
            if bound and in_scope(stop, ask["purpose"], ask["channel_kind"]):
                self.faults.append(f"entry {index}: a {kind} permits what {stop['suppression']} stops")
        granted = [grant for grant in self._grants.values() if grant["subject"] == facts["subject"]]
        if not any(in_scope(grant, ask["purpose"], ask["channel_kind"]) for grant in granted):
            self.faults.append(f"entry {index}: a {kind} permits what no grant covers")
        if {self.one(gone) for gone in self._gone} & set(persons):
            self.faults.append(f"entry {index}: a {kind} permits a message to somebody who died")
        if "lease" in body:
            if body["reservation"] in self.claimed:
                self.faults.append(f"entry {index}: a permit is claimed twice")
            self.claimed[body["reservation"]] = body["request"]
            self._open.add(body["reservation"])

    def _counted(self, index: int, reservation: str) -> None:
        """Whether this permit makes a window that ends with it hold too much."""
        if not self._caps:
            return
        last = self.touches[reservation]
        held = [
            touch._replace(at=min(touch.at, last.at), persons=tuple({self.one(person) for person in touch.persons}))
            for touch in self.touches.values()
        ]
        mine = [t for t in held if set(t.persons) & set(last.persons) or t.address == last.address]
        self.faults.extend(f"entry {index}: {line}" for line in overshoots(mine, self._caps))

    def _settled(self, index: int, kind: str, body: dict[str, Any]) -> None:
        if body["reservation"] not in self._open:
            self.faults.append(f"entry {index}: a {kind} without a claim, or its second")
        self._open.discard(body["reservation"])
        if body["outcome"] in ("not_sent", "refused", "throttled", "account", "recipient_limit", "opted_out"):
            self.touches.pop(body["reservation"], None)
        else:
            self.handed[body["request"]] += 1


def books(folder: Path) -> list[str]:
    """The keys of all messages that left, each as often as it left."""
    return [line.split()[0] for book in sorted(folder.glob("book.*")) for line in book.read_text().splitlines()]
