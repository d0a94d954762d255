"""The memory store: executable specification of the store port. One lock, plain dictionaries, rollback by copy."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import Any, TypeVar

import attrs

from carelink.audit.merkle import Frontier
from carelink.errors import ConflictError, StoreError
from carelink.model.moment import Instant
from carelink.model.touchpoint import COUNTS, TRANSITIONS
from carelink.ports.rows import *
from carelink.vocabulary import GrantState, ReservationState

K = TypeVar("K")
V = TypeVar("V")


class Overlay(dict):
    pass


TABLES = [
    "tenant",
    "patients",
    "related",
    "contacts",
    "refs",
    "grants",
    "stops",
    "templates",
    "reservations",
    "sealed",
    "index",
    "allow",
    "packs",
    "stopped",
    "gates",
    "entries",
    "req",
    "published",
    "frontier",
    "events",
    "parked",
]


class MemoryStore:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.t: dict[str, Any] = {name: {} for name in TABLES}
        self.t["entries"] = []
        self.t["frontier"] = Frontier()
        self.t["published"] = 0
        self.t["index"] = set()
        self.t["allow"] = set()
        self.t["stopped"] = set()
        self.t["events"] = set()
        self.t["parked"] = []

    @contextmanager
    def transaction(self):
        with self._lock:
            old = {
                k: (
                    v.copy()
                    if isinstance(v, (dict, set))
                    else (len(v) if k == "entries" else (list(v) if isinstance(v, list) else v))
                )
                for k, v in self.t.items()
            }
            try:
                yield Tx(self.t)
            except BaseException:
                entries = self.t["entries"]
                del entries[old["entries"] :]
                old["entries"] = entries
                self.t = old
                raise

    @contextmanager
    def reader(self):
        with self._lock:
            yield Tx(self.t)

    def close(self) -> None:
        pass


class Tx:
    def __init__(self, t):
        self.t = t

    def tenant(self):
        if not self.t["tenant"]:
            raise StoreError("the store was never initialised")
        return self.t["tenant"][1]

    def head(self):
        return HeadRow(
            size=len(self.t["entries"]), frontier=self.t["frontier"].to_bytes(), published=self.t["published"]
        )

    def entries(self, a, b):
        return iter([e.data for e in self.t["entries"][a:b]])

    def entries_for(self, r):
        return tuple((i, self.t["entries"][i].data) for i in self.t["req"].get(r, ()))

    def patients(self, ids):
        return {i: self.t["patients"][i] for i in ids if i in self.t["patients"]}

    def patients_by_person(self, ps):
        w = set(ps)
        return {p.person: p for p in self.t["patients"].values() if p.person in w}

    def aliases(self, ids):
        out = {}
        for i in ids:
            got, todo = [], [i]
            while todo:
                x = todo.pop()
                for p in self.t["patients"].values():
                    if p.merged_into == x:
                        got.append(p.person)
                        todo.append(p.id)
            if got:
                out[i] = tuple(sorted(got))
        return out

    def page_patients(self, after, limit):
        return tuple(self.t["patients"][i] for i in sorted(self.t["patients"]) if i > after)[:limit]

    def related(self, ids):
        out = {}
        for r in sorted(self.t["related"].values(), key=lambda r: (r.since, r.id)):
            if r.patient in set(ids):
                out[r.patient] = (*out.get(r.patient, ()), r)
        return out

    def contacts(self, owners):
        w = set(owners)
        out = {}
        for c in sorted(self.t["contacts"].values(), key=lambda c: (c.rank, c.id)):
            if c.owner in w:
                out[c.owner] = (*out.get(c.owner, ()), c)
        return out

    def contacts_on(self, tokens):
        w = set(tokens)
        out = {}
        for c in sorted(self.t["contacts"].values(), key=lambda c: c.id):
            if c.token in w:
                out[c.token] = (*out.get(c.token, ()), c)
        return out

    def address_refs(self, tokens):
        return {t: self.t["refs"][t] for t in tokens if t in self.t["refs"]}

    def address_tokens(self, refs):
        w = set(refs)
        return {r: t for t, r in self.t["refs"].items() if r in w}

    def grants(self, ids):
        w = set(ids)
        out = {}
        for g in sorted(self.t["grants"].values(), key=lambda g: (g.since, g.id)):
            if g.patient in w:
                out[g.patient] = (*out.get(g.patient, ()), g)
        return out

    def stops(self, persons, tokens):
        p, t = set(persons), set(tokens)
        return tuple(
            s
            for s in sorted(self.t["stops"].values(), key=lambda s: (s.since, s.id))
            if s.lifted_at is None and (s.person in p or s.token in t)
        )

    def touches(self, persons, tokens, since):
        p, t = set(persons), set(tokens)
        return tuple(
            TouchRow(
                reservation=r.id,
                subject=r.subject,
                recipient=r.recipient,
                token=r.token,
                purpose=r.purpose,
                channel_kind=r.channel_kind,
                reply=r.reply,
                at=r.at,
            )
            for r in sorted(self.t["reservations"].values(), key=lambda r: (r.at, r.id))
            if r.state in COUNTS and r.at >= since and (r.subject in p or r.recipient in p or r.token in t)
        )

    def templates(self, keys):
        return {k: self.t["templates"][k] for k in keys if k in self.t["templates"]}

    def latest_template(self, name):
        return max((v for n, v in self.t["templates"] if n == name), default=None)

    def recall(self, refs):
        w = set(refs)
        out = {}
        for r in sorted(self.t["reservations"].values(), key=lambda r: (r.at, r.id)):
            if r.request in w and r.state is not ReservationState.RELEASED:
                out[r.request] = r
        return out

    def reservations(self, ids):
        return {i: self.t["reservations"][i] for i in ids if i in self.t["reservations"]}

    def open_reservations(self, state, *, limit):
        return tuple(
            sorted((r for r in self.t["reservations"].values() if r.state is state), key=lambda r: (r.at, r.id))
        )[:limit]

    def open_for(self, persons, tokens):
        p, t = set(persons), set(tokens)
        return tuple(
            r
            for r in sorted(self.t["reservations"].values(), key=lambda r: (r.at, r.id))
            if r.state in (ReservationState.HELD, ReservationState.CLAIMED)
            and (r.subject in p or r.recipient in p or r.token in t)
        )

    def last_spent_on(self, token, kind):
        rs = [
            r
            for r in self.t["reservations"].values()
            if r.token == token and r.channel_kind.value == kind and r.state is ReservationState.SPENT
        ]
        return max(rs, key=lambda r: (r.at, r.id), default=None)

    def sealed(self, table, rows, columns):
        return {
            (r, c): self.t["sealed"][(table, r, c)] for r in rows for c in columns if (table, r, c) in self.t["sealed"]
        }

    def lookup(self, column, values):
        out = {}
        for v in values:
            got = tuple(sorted(i.row for i in self.t["index"] if i.column == column and (i.version, i.value) == v))
            if got:
                out[v] = got
        return out

    def allow_listed(self, tokens):
        return frozenset(t for t in tokens if t in self.t["allow"])

    def pack(self, d):
        return self.t["packs"].get(d)

    def stopped_channels(self):
        return frozenset(self.t["stopped"])

    def lock(self, gates):
        for g in gates:
            self.t["gates"].setdefault(g, Instant(0))
        return {g: self.t["gates"][g] for g in gates}

    def lock_global(self):
        pass

    def advance(self, gates, at):
        for g in gates:
            self.t["gates"][g] = max(self.t["gates"].get(g, 0), at)

    def append(self, rows):
        first = len(self.t["entries"])
        self.t["entries"].extend(rows)
        self.t["frontier"] = self.t["frontier"].append_many([r.leaf for r in rows])
        for n, r in enumerate(rows):
            if r.request:
                self.t["req"][r.request] = (*self.t["req"].get(r.request, ()), first + n)
        return first

    def set_published(self, size):
        self.t["published"] = max(size, self.t["published"])

    def put_tenant(self, row):
        self.t["tenant"][1] = row

    def _add(self, table, rows):
        for r in rows:
            if r.id in self.t[table]:
                raise ConflictError("a row exists already")
            self.t[table][r.id] = r

    def add_patients(self, rows):
        self._add("patients", rows)

    def put_patient(self, r):
        self.t["patients"][r.id] = r

    def add_related(self, rows):
        self._add("related", rows)

    def put_related(self, r):
        self.t["related"][r.id] = r

    def name_address(self, token, ref):
        if self.t["refs"].setdefault(token, ref) != ref:
            raise ConflictError("an address keeps its pseudonym")

    def add_contacts(self, rows):
        self._add("contacts", rows)
        for r in rows:
            self.name_address(r.token, r.address)

    def put_contact(self, r):
        self.t["contacts"][r.id] = r

    def delete_contact(self, i):
        self.t["contacts"].pop(i, None)

    def add_sealed(self, rows):
        for r in rows:
            self.t["sealed"][(r.table, r.row, r.column)] = r.envelope

    def add_index(self, rows):
        self.t["index"].update(rows)

    def delete_index(self, row):
        self.t["index"] = {i for i in self.t["index"] if i.row != row}

    def add_grants(self, rows):
        self._add("grants", rows)

    def end_grant(self, g, state, at):
        r = self.t["grants"].get(g)
        if r is not None and r.state is GrantState.GIVEN:
            self.t["grants"][g] = attrs.evolve(r, state=state, ended_at=at)

    def add_stops(self, rows):
        self._add("stops", rows)

    def lift_stop(self, s, at):
        r = self.t["stops"].get(s)
        if r is not None and r.lifted_at is None:
            self.t["stops"][s] = attrs.evolve(r, lifted_at=at)

    def put_template(self, r):
        self.t["templates"][(r.name, r.version)] = r

    def add_reservations(self, rows):
        for r in rows:
            if self.recall([r.request]) and r.state is not ReservationState.RELEASED:
                raise ConflictError("a request holds one reservation")
            self._add("reservations", [r])

    def put_reservations(self, rows):
        for r in rows:
            old = self.t["reservations"][r.id]
            if old.state is not r.state and r.state not in TRANSITIONS[old.state]:
                raise ConflictError("not a state change that exists")
            self.t["reservations"][r.id] = r

    def put_pack(self, d, data):
        self.t["packs"][d] = data

    def put_allow_listed(self, tokens, *, listed):
        (self.t["allow"].update if listed else self.t["allow"].difference_update)(tokens)

    def put_channel_stop(self, c, *, stopped):
        (self.t["stopped"].add if stopped else self.t["stopped"].discard)(c)

    def move_person(self, old, survivor):
        pass

    def seen_event(self, channel, e):
        seen = (channel, e) in self.t["events"]
        self.t["events"].add((channel, e))
        return seen

    def park(self, channel, key, event, at):
        self.t["parked"].append((channel, key, event, at))

    def unpark(self, channel, keys):
        got = tuple((k, e, a) for c, k, e, a in self.t["parked"] if c == channel and k in set(keys))
        self.t["parked"] = [x for x in self.t["parked"] if not (x[0] == channel and x[1] in set(keys))]
        return tuple(sorted(got, key=lambda x: x[2]))
