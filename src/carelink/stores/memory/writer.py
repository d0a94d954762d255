"""Writes of the memory store, on a copy of the committed state that replaces it at the commit."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

import attrs

from carelink.audit.merkle import Frontier
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
from carelink.stores.memory.reader import MemoryReader
from carelink.stores.memory.state import Field, Parked, State
from carelink.stores.rowcheck import check_lists, check_reservations, check_stops
from carelink.vocabulary import GrantState, ReservationState

__all__ = ["MemoryTransaction"]

_CHANGES = (
    "contact", "recipient", "role", "token", "address", "at", "state", "lease", "outcome", "delivery", "provider",
)  # fmt: skip
"""Fields of a reservation that may change; the others are what they were when it was added."""

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _add(table: dict[K, V], rows: Iterable[tuple[K, V]]) -> None:
    for key, row in rows:
        if key in table:
            raise ConflictError("a row with this id exists")
        table[key] = row


def _replace(table: dict[K, V], key: K, row: V) -> None:
    if key not in table:
        raise NotFoundError("no row has this id")
    table[key] = row


def _one_patient_each(state: State) -> None:
    if len({row.person for row in state.patients.values()}) < len(state.patients):
        raise ConflictError("a pseudonym names one patient")


def _name(state: State, token: bytes, address: AddressRef) -> None:
    if state.addresses.setdefault(token, address) != address:
        raise ConflictError("an address keeps the pseudonym it has")
    if sum(known == address for known in state.addresses.values()) > 1:
        raise ConflictError("a pseudonym names one address")


class MemoryTransaction(MemoryReader):
    """`carelink.ports.store.Transaction` on a state of its own.

    Attributes:
        spoilt: a write raised, so that nothing can be committed.
    """

    def __init__(self, state: State) -> None:
        super().__init__(state)
        self.spoilt = False
        self._locked: set[Gate] = set()

    @contextmanager
    def _writing(self) -> Iterator[State]:
        state = self._state
        try:
            yield state
        except BaseException:
            self.spoilt = True
            self.end()
            raise

    # -- locks and log -------------------------------------------------------------------------------------

    def lock(self, gates: Sequence[Gate]) -> Mapping[Gate, Instant]:
        """See the port. The store's one lock is held already; the rows carry the last instants."""
        with self._writing() as state:
            self._locked.update(gates)
            return {gate: state.gates.setdefault(gate, Instant(0)) for gate in gates}

    def lock_global(self) -> None:
        """See the port. The store's one lock is global."""
        with self._writing():
            pass

    def advance(self, gates: Sequence[Gate], at: Instant) -> None:
        """See the port."""
        with self._writing() as state:
            for gate in self._locked.intersection(gates):
                state.gates[gate] = max(state.gates[gate], at)

    def append(self, entries: Sequence[EntryRow]) -> int:
        """See the port."""
        with self._writing() as state:
            first = len(state.entries)
            state.entries.extend(entries)
            state.frontier = state.frontier.append_many([entry.leaf for entry in entries])
            return first

    def set_published(self, size: int) -> None:
        """See the port."""
        with self._writing() as state:
            if size > len(state.entries):
                raise StoreError("more entries are published than there are")
            state.published = max(state.published, size)

    def take_out(self, start: int) -> tuple[EntryRow, ...]:
        """See the port."""
        with self._writing() as state:
            if start < state.published:
                raise StoreError("a published entry is never taken out")
            kept, taken = state.entries[:start], state.entries[start:]
            state.entries, state.frontier = kept, Frontier().append_many([entry.leaf for entry in kept])
            return tuple(taken)

    def begin_log(self) -> None:
        """See the port."""
        with self._writing() as state:
            state.entries, state.frontier, state.published = [], Frontier(), 0

    def put_tenant(self, row: TenantRow) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists([row])
            state.tenant = row

    # -- persons and addresses -----------------------------------------------------------------------------

    def add_patients(self, rows: Sequence[PatientRow]) -> None:
        """See the port."""
        with self._writing() as state:
            _add(state.patients, ((row.id, row) for row in rows))
            _one_patient_each(state)

    def put_patient(self, row: PatientRow) -> None:
        """See the port."""
        with self._writing() as state:
            _replace(state.patients, row.id, row)
            _one_patient_each(state)

    def add_related(self, rows: Sequence[RelatedRow]) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists(rows)
            _add(state.related, ((row.id, row) for row in rows))

    def put_related(self, row: RelatedRow) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists([row])
            _replace(state.related, row.id, row)

    def add_contacts(self, rows: Sequence[ContactRow]) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists(rows)
            for row in rows:
                _name(state, row.token, row.address)
            _add(state.contacts, ((row.id, row) for row in rows))

    def name_address(self, token: bytes, address: AddressRef) -> None:
        """See the port."""
        with self._writing() as state:
            _name(state, token, address)

    def put_contact(self, row: ContactRow) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists([row])
            before = state.contacts.get(row.id, row)
            if (before.token, before.address) != (row.token, row.address):
                raise ConflictError("another address is another contact point")
            _replace(state.contacts, row.id, row)

    def forget_addresses(self, substitutes: Mapping[bytes, bytes]) -> frozenset[bytes]:
        """See the port."""
        with self._writing() as state:
            used = {row.token for row in state.contacts.values()}
            gone = frozenset(token for token in substitutes if token in state.addresses and token not in used)
            for token in gone:
                del state.addresses[token]
            for row in list(state.reservations.values()):
                if row.token in gone:
                    state.reservations[row.id] = attrs.evolve(row, token=substitutes[row.token])
            return gone

    def delete_contact(self, contact: ContactPointId) -> None:
        """See the port."""
        with self._writing() as state:
            state.contacts.pop(contact, None)

    def add_sealed(self, rows: Sequence[SealedRow]) -> None:
        """See the port."""
        with self._writing() as state:
            state.sealed.update({Field(row.table, row.row, row.column): row.envelope for row in rows})

    def replace_sealed(self, changes: Sequence[tuple[SealedRow, bytes]]) -> int:
        """See the port."""
        with self._writing() as state:
            count = 0
            for row, new in changes:
                place = Field(row.table, row.row, row.column)
                if state.sealed.get(place) == row.envelope:
                    state.sealed[place] = new
                    count += 1
            return count

    def delete_sealed(self, table: str, rows: Sequence[str]) -> int:
        """See the port."""
        with self._writing() as state:
            gone = [place for place in state.sealed if place.table == table and place.row in rows]
            for place in gone:
                del state.sealed[place]
            return len(gone)

    def add_index(self, rows: Sequence[IndexRow]) -> None:
        """See the port."""
        with self._writing() as state:
            state.index.update(rows)

    def delete_index(self, row: str) -> None:
        """See the port."""
        with self._writing() as state:
            state.index = {item for item in state.index if item.row != row}

    def drop_index(self, version: int) -> int:
        """See the port."""
        with self._writing() as state:
            before = len(state.index)
            state.index = {item for item in state.index if item.version != version}
            return before - len(state.index)

    # -- consent and content -------------------------------------------------------------------------------

    def add_grants(self, rows: Sequence[GrantRow]) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists(rows)
            _add(state.grants, ((row.id, row) for row in rows))

    def put_grant(self, row: GrantRow) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists([row])
            _replace(state.grants, row.id, row)

    def end_grant(self, grant: GrantId, state: GrantState, at: Instant) -> None:
        """See the port."""
        with self._writing() as rows:
            row = rows.grants.get(grant)
            if row is not None and row.state is GrantState.GIVEN:
                rows.grants[grant] = attrs.evolve(row, state=state, ended_at=at)

    def add_stops(self, rows: Sequence[StopRow]) -> None:
        """See the port."""
        with self._writing() as state:
            check_stops(rows)
            _add(state.stops, ((row.id, row) for row in rows))

    def lift_stop(self, stop: SuppressionId, at: Instant) -> None:
        """See the port."""
        with self._writing() as state:
            row = state.stops.get(stop)
            if row is not None and row.lifted_at is None:
                state.stops[stop] = attrs.evolve(row, lifted_at=at)

    def put_template(self, row: TemplateRow) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists([row])
            state.templates[(row.name, row.version)] = row

    def put_access(self, row: AccessRow) -> None:
        """See the port."""
        with self._writing() as state:
            state.accesses[row.id] = row

    def put_erasure(self, row: ErasureRow) -> None:
        """See the port."""
        with self._writing() as state:
            check_lists([row])
            state.erasures[row.patient] = row

    def put_credential(self, row: CredentialRow) -> None:
        """See the port."""
        with self._writing() as state:
            state.credentials[row.id] = row

    def put_pack(self, digest: str, data: bytes) -> None:
        """See the port."""
        with self._writing() as state:
            state.packs[digest] = data

    # -- reservations --------------------------------------------------------------------------------------

    def add_reservations(self, rows: Sequence[ReservationRow]) -> None:
        """See the port."""
        with self._writing() as state:
            check_reservations(rows)
            _add(state.reservations, ((row.id, row) for row in rows))
            standing = [r.request for r in state.reservations.values() if r.state is not ReservationState.RELEASED]
            if len(set(standing)) < len(standing):
                raise ConflictError("a request holds one reservation that is not released")

    def put_reservations(self, rows: Sequence[ReservationRow]) -> None:
        """See the port."""
        with self._writing() as state:
            check_reservations(rows)
            for row in rows:
                before = state.reservations.get(row.id)
                if before is None:
                    raise NotFoundError("no reservation has this id")
                if row.state is not before.state and row.state not in TRANSITIONS[before.state]:
                    raise ConflictError(f"a reservation does not go from {before.state.value} to {row.state.value}")
                changes = {name: getattr(row, name) for name in _CHANGES}
                state.reservations[row.id] = attrs.evolve(before, **changes)

    # -- lists and reports ---------------------------------------------------------------------------------

    def put_allow_listed(self, tokens: Sequence[bytes], *, listed: bool) -> None:
        """See the port."""
        with self._writing() as state:
            state.allow_list = state.allow_list | set(tokens) if listed else state.allow_list - set(tokens)

    def put_channel_stop(self, channel: str, *, stopped: bool) -> None:
        """See the port."""
        with self._writing() as state:
            state.stopped_channels = state.stopped_channels - {channel} | ({channel} if stopped else set())

    def seen_event(self, channel: str, event_id: str) -> bool:
        """See the port."""
        with self._writing() as state:
            seen = (channel, event_id) in state.events
            state.events.add((channel, event_id))
            return seen

    def park(self, channel: str, key: str, event: str, at: Instant) -> None:
        """See the port."""
        with self._writing() as state:
            state.parked.append(Parked(channel, key, event, at))

    def unpark(self, channel: str, keys: Sequence[str]) -> tuple[tuple[str, str, Instant], ...]:
        """See the port."""
        with self._writing() as state:
            taken = [report for report in state.parked if report.channel == channel and report.key in keys]
            state.parked = [report for report in state.parked if report not in taken]
            return tuple((report.key, report.event, report.at) for report in sorted(taken, key=lambda r: r.at))
