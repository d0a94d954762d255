"""Writes of the SQLite store, within one `BEGIN IMMEDIATE` transaction; entries are integrated in the same commit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from carelink.audit.merkle import Frontier, leaf_hash
from carelink.errors import ConflictError, NotFoundError, StoreError
from carelink.model.ids import AddressRef, ContactPointId, GrantId, SuppressionId
from carelink.model.moment import Instant
from carelink.model.touchpoint import TRANSITIONS
from carelink.ports.rows import (
    AccessRow,
    ContactRow,
    CredentialRow,
    EntryRow,
    ErasureRow,
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
from carelink.stores.rowcheck import check_lists, check_reservations, check_stops
from carelink.stores.sqlite import rowforms as form
from carelink.stores.sqlite.driver import TROUBLE, failure
from carelink.stores.sqlite.reader import SQL, SqliteReader, listed
from carelink.vocabulary import GrantState, ReservationState

__all__ = ["SqliteTransaction"]


class SqliteTransaction(SqliteReader):
    """`carelink.ports.store.Transaction` on the writing connection.

    Attributes:
        spoilt: a write raised, so that nothing can be committed.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        super().__init__(db)
        self.spoilt = False
        self._locked: set[Gate] = set()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.spoilt = True
            self.end()
            raise

    def _many(self, name: str, rows: Iterable[tuple[Any, ...]], conflict: str = "") -> None:
        try:
            self._db.executemany(SQL[name], rows)
        except TROUBLE as error:
            found = failure(error, conflict)
        else:
            return
        raise found

    def _one(self, name: str, *values: Any, conflict: str = "") -> int:
        try:
            return self._db.execute(SQL[name], values).rowcount
        except TROUBLE as error:
            found = failure(error, conflict)
        raise found

    def _replace(self, name: str, values: Sequence[Any], conflict: str = "") -> None:
        """Run an UPDATE whose values are those of the insert, the id last."""
        if not self._one(name, *values[1:], values[0], conflict=conflict):
            raise NotFoundError("no row has this id")

    # -- locks and log -------------------------------------------------------------------------------------

    def lock(self, gates: Sequence[Gate]) -> Mapping[Gate, Instant]:
        """See the port. BEGIN IMMEDIATE holds the whole file already; the rows carry the last instants."""
        named = {(gate.kind, gate.key.hex()): gate for gate in gates}
        if not named:
            return {}
        keys = sorted(named)
        with self._writing():
            self._locked.update(gates)
            self._many("make_gates", keys)
            return {named[kind, key]: Instant(last) for kind, key, last in self._all("gates", listed(keys))}

    def lock_global(self) -> None:
        """See the port. The file's one write lock is global."""

    def advance(self, gates: Sequence[Gate], at: Instant) -> None:
        """See the port."""
        with self._writing():
            locked = self._locked.intersection(gates)
            self._many("advance", [(at, gate.kind, gate.key.hex(), at) for gate in locked])

    def append(self, entries: Sequence[EntryRow]) -> int:
        """See the port."""
        with self._writing():
            head = self.head()
            if entries:
                frontier = Frontier.from_bytes(head.frontier).append_many([row.leaf for row in entries])
                self._many("add_entry", [(head.size + n, row.request, row.data) for n, row in enumerate(entries)])
                self._one("set_head", head.size + len(entries), frontier.to_bytes())
            return head.size

    def set_published(self, size: int) -> None:
        """See the port."""
        with self._writing():
            if not self._one("set_published", size, size):
                raise StoreError("more entries are published than there are")

    def take_out(self, start: int) -> tuple[EntryRow, ...]:
        """See the port. The tree is hashed again from its first entry: this is rare, and must be right."""
        with self._writing():
            head = self.head()
            if start < head.published:
                raise StoreError("a published entry is never taken out")
            rows = self._all("entries_from", start)
            taken = tuple(EntryRow(data=data, leaf=leaf_hash(data), request=request) for data, request in rows)
            if taken:
                frontier = Frontier().append_many(leaf_hash(data) for data in self.entries(0, start))
                self._one("delete_entries", start)
                self._one("set_head", start, frontier.to_bytes())
            return taken

    def begin_log(self) -> None:
        """See the port."""
        with self._writing():
            self._one("delete_entries", 0)
            self._one("reset_head", Frontier().to_bytes())

    def put_tenant(self, row: TenantRow) -> None:
        """See the port."""
        with self._writing():
            check_lists([row])
            self._one("put_tenant", *form.tenant_values(row))

    # -- persons and addresses -----------------------------------------------------------------------------

    def add_patients(self, rows: Sequence[PatientRow]) -> None:
        """See the port."""
        with self._writing():
            self._many("add_patient", map(form.patient_values, rows), "a patient with this id or pseudonym exists")

    def put_patient(self, row: PatientRow) -> None:
        """See the port."""
        with self._writing():
            self._replace("put_patient", form.patient_values(row), "a pseudonym names one patient")

    def add_related(self, rows: Sequence[RelatedRow]) -> None:
        """See the port."""
        with self._writing():
            check_lists(rows)
            self._many("add_related", map(form.related_values, rows), "a related person with this id exists")

    def put_related(self, row: RelatedRow) -> None:
        """See the port."""
        with self._writing():
            check_lists([row])
            self._replace("put_related", form.related_values(row))

    def _name(self, pairs: Mapping[bytes, AddressRef]) -> None:
        self._many("name_address", [(token.hex(), address) for token, address in pairs.items()])
        named = self.address_refs(tuple(pairs))
        if any(named.get(token) != address for token, address in pairs.items()):
            raise ConflictError("a pseudonym names one address, and an address keeps the one it has")

    def add_contacts(self, rows: Sequence[ContactRow]) -> None:
        """See the port."""
        with self._writing():
            check_lists(rows)
            pairs: dict[bytes, AddressRef] = {}
            for row in rows:
                if pairs.setdefault(row.token, row.address) != row.address:
                    raise ConflictError("an address keeps the pseudonym it has")
            self._name(pairs)
            self._many("add_contact", map(form.contact_values, rows), "a contact point with this id exists")

    def name_address(self, token: bytes, address: AddressRef) -> None:
        """See the port."""
        with self._writing():
            self._name({token: address})

    def put_contact(self, row: ContactRow) -> None:
        """See the port."""
        with self._writing():
            check_lists([row])
            before = self._all("contact_address", row.id)
            if before and before != [(row.token.hex(), row.address)]:
                raise ConflictError("another address is another contact point")
            self._replace("put_contact", form.contact_values(row))

    def forget_addresses(self, substitutes: Mapping[bytes, bytes]) -> frozenset[bytes]:
        """See the port."""
        with self._writing():
            gone = [token for (token,) in self._all("unused_addresses", listed(each.hex() for each in substitutes))]
            self._many("forget_address", [(token,) for token in gone])
            self._many("replace_token", [(substitutes[bytes.fromhex(token)].hex(), token) for token in gone])
            return frozenset(map(bytes.fromhex, gone))

    def delete_contact(self, contact: ContactPointId) -> None:
        """See the port."""
        with self._writing():
            self._one("delete_contact", contact)

    def add_sealed(self, rows: Sequence[SealedRow]) -> None:
        """See the port."""
        with self._writing():
            self._many("add_sealed", [(row.table, row.row, row.column, row.envelope) for row in rows])

    def replace_sealed(self, changes: Sequence[tuple[SealedRow, bytes]]) -> int:
        """See the port."""
        with self._writing():
            return sum(
                self._one("replace_sealed", new, row.table, row.row, row.column, row.envelope) for row, new in changes
            )

    def delete_sealed(self, table: str, rows: Sequence[str]) -> int:
        """See the port."""
        with self._writing():
            return self._one("delete_sealed", table, listed(rows))

    def add_index(self, rows: Sequence[IndexRow]) -> None:
        """See the port."""
        with self._writing():
            self._many("add_blind", [(row.column, row.version, row.value.hex(), row.row) for row in rows])

    def delete_index(self, row: str) -> None:
        """See the port."""
        with self._writing():
            self._one("delete_blind", row)

    def drop_index(self, version: int) -> int:
        """See the port."""
        with self._writing():
            return self._one("drop_index", version)

    # -- consent and content -------------------------------------------------------------------------------

    def add_grants(self, rows: Sequence[GrantRow]) -> None:
        """See the port."""
        with self._writing():
            check_lists(rows)
            self._many("add_grant", map(form.grant_values, rows), "a grant with this id exists")

    def put_grant(self, row: GrantRow) -> None:
        """See the port."""
        with self._writing():
            check_lists([row])
            self._replace("put_grant", form.grant_values(row))

    def end_grant(self, grant: GrantId, state: GrantState, at: Instant) -> None:
        """See the port."""
        with self._writing():
            self._one("end_grant", state.value, at, grant)

    def add_stops(self, rows: Sequence[StopRow]) -> None:
        """See the port."""
        with self._writing():
            check_stops(rows)
            self._many("add_stop", map(form.stop_values, rows), "a suppression with this id exists")

    def lift_stop(self, stop: SuppressionId, at: Instant) -> None:
        """See the port."""
        with self._writing():
            self._one("lift_stop", at, stop)

    def put_template(self, row: TemplateRow) -> None:
        """See the port."""
        with self._writing():
            check_lists([row])
            self._one("put_template", *form.template_values(row))

    def put_access(self, row: AccessRow) -> None:
        """See the port."""
        with self._writing():
            self._one("put_access", *form.access_values(row))

    def put_erasure(self, row: ErasureRow) -> None:
        """See the port."""
        with self._writing():
            check_lists([row])
            self._one("put_erasure", *form.erasure_values(row))

    def put_credential(self, row: CredentialRow) -> None:
        """See the port."""
        with self._writing():
            self._one("put_credential", *form.credential_values(row))

    def put_pack(self, digest: str, data: bytes) -> None:
        """See the port."""
        with self._writing():
            self._one("put_pack", digest, data)

    # -- reservations --------------------------------------------------------------------------------------

    def add_reservations(self, rows: Sequence[ReservationRow]) -> None:
        """See the port."""
        with self._writing():
            check_reservations(rows)
            conflict = "a request holds one reservation that is not released"
            self._many("add_reservation", map(form.reservation_values, rows), conflict)

    def put_reservations(self, rows: Sequence[ReservationRow]) -> None:
        """See the port."""
        if not rows:
            return
        with self._writing():
            check_reservations(rows)
            found = self._all("states", listed(row.id for row in rows))
            states = {key: ReservationState(state) for key, state in found}
            for row in rows:
                before = states.get(row.id)
                if before is None:
                    raise NotFoundError("no reservation has this id")
                if before is not row.state and row.state not in TRANSITIONS[before]:
                    raise ConflictError(f"a reservation does not go from {before.value} to {row.state.value}")
                states[row.id] = row.state
            self._many("settle_reservation", map(form.settle_values, rows))

    # -- lists and reports ---------------------------------------------------------------------------------

    def put_allow_listed(self, tokens: Sequence[bytes], *, listed: bool) -> None:
        """See the port."""
        with self._writing():
            self._many("allow" if listed else "disallow", [(token.hex(),) for token in tokens])

    def put_channel_stop(self, channel: str, *, stopped: bool) -> None:
        """See the port."""
        with self._writing():
            self._one("stop_channel" if stopped else "resume_channel", channel)

    def seen_event(self, channel: str, event_id: str) -> bool:
        """See the port."""
        with self._writing():
            return self._one("note_event", channel, event_id) == 0

    def park(self, channel: str, key: str, event: str, at: Instant) -> None:
        """See the port."""
        with self._writing():
            self._one("park", channel, key, event, at)

    def unpark(self, channel: str, keys: Sequence[str]) -> tuple[tuple[str, str, Instant], ...]:
        """See the port."""
        with self._writing():
            rows = self._all("unpark", channel, listed(keys))
            ordered = sorted(rows, key=lambda row: (row[2], row[3]))
            return tuple((key, event, Instant(at)) for key, event, at, _number in ordered)
