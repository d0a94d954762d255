"""Writes of the SQLite store, within one `BEGIN IMMEDIATE` transaction; entries are integrated in the same commit."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from carelink.audit.merkle import Frontier
from carelink.errors import ConflictError, NotFoundError
from carelink.model.ids import AddressRef, ContactPointId, GrantId, PatientId, SuppressionId
from carelink.model.moment import Instant
from carelink.model.touchpoint import TRANSITIONS
from carelink.ports.rows import (
    ContactRow,
    EntryRow,
    Gate,
    GrantRow,
    IndexRow,
    PatientRow,
    RelatedRow,
    ReservationRow,
    SealedRow,
    StopRow,
    TemplateRow,
    TenantRow,
)
from carelink.stores.sqlite import rowforms as form
from carelink.stores.sqlite.reader import SQL, SqliteReader
from carelink.vocabulary import GrantState, ReservationState

__all__ = ["SqliteTransaction"]


@contextmanager
def _unique(what: str) -> Iterator[None]:
    """A violated constraint is a ConflictError, raised outside `except` so that no value hangs on its context."""
    clash = False
    try:
        yield
    except sqlite3.IntegrityError:
        clash = True
    if clash:
        raise ConflictError(what)


class SqliteTransaction(SqliteReader):
    """`carelink.ports.store.Transaction` on the writing connection."""

    def _many(self, name: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._db.executemany(SQL[name], rows)

    def _one(self, name: str, *values: Any) -> int:
        return self._db.execute(SQL[name], values).rowcount

    def lock(self, gates: Sequence[Gate]) -> Mapping[Gate, Instant]:
        # BEGIN IMMEDIATE holds the whole file already; the rows carry the last instants.
        keys = sorted({(gate.kind, gate.key.hex()) for gate in gates})
        if not keys:
            return {}
        self._many("make_gates", keys)
        rows = self._all("gates", json.dumps(keys))
        return {Gate(kind, bytes.fromhex(key)): Instant(last) for kind, key, last in rows}

    def lock_global(self) -> None:
        """The file's one write lock is global."""

    def advance(self, gates: Sequence[Gate], at: Instant) -> None:
        self._many("advance", [(at, gate.kind, gate.key.hex(), at) for gate in gates])

    def append(self, entries: Sequence[EntryRow]) -> int:
        head = self.head()
        if entries:
            frontier = Frontier.from_bytes(head.frontier).append_many([row.leaf for row in entries])
            self._many("add_entry", [(head.size + n, row.request, row.data) for n, row in enumerate(entries)])
            self._one("set_head", head.size + len(entries), frontier.to_bytes())
        return head.size

    def set_published(self, size: int) -> None:
        self._one("set_published", size)

    def put_tenant(self, row: TenantRow) -> None:
        self._one("put_tenant", *form.tenant_values(row))

    def add_patients(self, rows: Sequence[PatientRow]) -> None:
        with _unique("a patient with this id or pseudonym exists"):
            self._many("add_patient", map(form.patient_values, rows))

    def put_patient(self, row: PatientRow) -> None:
        values = form.patient_values(row)
        if not self._one("put_patient", *values[1:], values[0]):
            raise NotFoundError("no patient has this id")

    def add_related(self, rows: Sequence[RelatedRow]) -> None:
        with _unique("a related person with this id exists"):
            self._many("add_related", map(form.related_values, rows))

    def put_related(self, row: RelatedRow) -> None:
        self._one("put_related", *form.related_values(row))

    def _name(self, pairs: Mapping[bytes, AddressRef]) -> None:
        with _unique("a pseudonym names one address"):
            self._many("name_address", [(token.hex(), ref) for token, ref in pairs.items()])
        named = self.address_refs(tuple(pairs))
        if any(named.get(token) != ref for token, ref in pairs.items()):
            raise ConflictError("an address keeps the pseudonym it has")

    def add_contacts(self, rows: Sequence[ContactRow]) -> None:
        if not rows:
            return
        pairs: dict[bytes, AddressRef] = {}
        for row in rows:
            if pairs.setdefault(row.token, row.address) != row.address:
                raise ConflictError("an address keeps the pseudonym it has")
        self._name(pairs)
        with _unique("a contact point with this id exists"):
            self._many("add_contact", map(form.contact_values, rows))

    def name_address(self, token: bytes, address: AddressRef) -> None:
        self._name({token: address})

    def put_contact(self, row: ContactRow) -> None:
        self._one("put_contact", *form.contact_values(row))

    def delete_contact(self, contact: ContactPointId) -> None:
        self._one("delete_contact", contact)

    def add_sealed(self, rows: Sequence[SealedRow]) -> None:
        self._many("add_sealed", [(row.table, row.row, row.column, row.envelope) for row in rows])

    def add_index(self, rows: Sequence[IndexRow]) -> None:
        self._many("add_blind", [(row.column, row.version, row.value.hex(), row.row) for row in rows])

    def delete_index(self, row: str) -> None:
        self._one("delete_blind", row)

    def add_grants(self, rows: Sequence[GrantRow]) -> None:
        with _unique("a grant with this id exists"):
            self._many("add_grant", map(form.grant_values, rows))

    def end_grant(self, grant: GrantId, state: GrantState, at: Instant) -> None:
        self._one("end_grant", state.value, at, grant)

    def add_stops(self, rows: Sequence[StopRow]) -> None:
        with _unique("a suppression with this id exists"):
            self._many("add_stop", map(form.stop_values, rows))

    def lift_stop(self, stop: SuppressionId, at: Instant) -> None:
        self._one("lift_stop", at, stop)

    def put_template(self, row: TemplateRow) -> None:
        self._one("put_template", *form.template_values(row))

    def add_reservations(self, rows: Sequence[ReservationRow]) -> None:
        with _unique("a request holds one reservation that is not released"):
            self._many("add_reservation", map(form.reservation_values, rows))

    def put_reservations(self, rows: Sequence[ReservationRow]) -> None:
        if not rows:
            return
        states = {key: ReservationState(state) for key, state in self._all("states", json.dumps([r.id for r in rows]))}
        for row in rows:
            before = states.get(row.id)
            if before is None:
                raise NotFoundError("no reservation has this id")
            if before is not row.state and row.state not in TRANSITIONS[before]:
                raise ConflictError(f"a reservation does not go from {before.value} to {row.state.value}")
            states[row.id] = row.state
        self._many("settle_reservation", map(form.settle_values, rows))

    def put_pack(self, digest: str, data: bytes) -> None:
        self._one("put_pack", digest, data)

    def put_allow_listed(self, tokens: Sequence[bytes], *, listed: bool) -> None:
        self._many("allow" if listed else "disallow", [(token.hex(),) for token in tokens])

    def put_channel_stop(self, channel: str, *, stopped: bool) -> None:
        self._one("stop_channel" if stopped else "resume_channel", channel)

    def move_person(self, old: PatientId, survivor: PatientId) -> None:
        """No derived rows follow a merge here."""

    def seen_event(self, channel: str, event_id: str) -> bool:
        return self._one("note_event", channel, event_id) == 0

    def park(self, channel: str, key: str, event: str, at: Instant) -> None:
        self._one("park", channel, key, event, at)

    def unpark(self, channel: str, keys: Sequence[str]) -> tuple[tuple[str, str, Instant], ...]:
        rows = self._all("unpark", channel, json.dumps(list(keys)))
        return tuple(
            (key, event, Instant(at)) for key, event, at, _id in sorted(rows, key=lambda row: (row[2], row[3]))
        )
