"""Reads of the memory store: each is the plainest statement of what the port promises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from carelink.errors import StoreError
from carelink.model.ids import AddressRef, PatientId, PersonRef, RequestRef, ReservationId
from carelink.model.moment import Instant
from carelink.model.touchpoint import COUNTS
from carelink.ports.rows import (
    AccessRow,
    ContactRow,
    CredentialRow,
    ErasureRow,
    Gate,
    GrantRow,
    HeadRow,
    PatientRow,
    RelatedRow,
    ReservationRow,
    SealedRow,
    StopRow,
    TemplateRow,
    TenantRow,
    TouchRow,
)
from carelink.stores.memory.state import Field, State
from carelink.vocabulary import ReservationState, StopSource

__all__ = ["MemoryReader"]

_OPEN = (ReservationState.HELD, ReservationState.CLAIMED)

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


def _found(table: Mapping[K, V], keys: Iterable[K]) -> dict[K, V]:
    return {key: table[key] for key in keys if key in table}


def _grouped(rows: Iterable[V], key: Callable[[V], K], wanted: Collection[K]) -> dict[K, tuple[V, ...]]:
    """Rows by key, in the order they come, for the keys wanted."""
    groups: dict[K, tuple[V, ...]] = {}
    for row in rows:
        if key(row) in wanted:
            groups[key(row)] = (*groups.get(key(row), ()), row)
    return groups


def _touches(row: ReservationRow, persons: Collection[PersonRef], tokens: Collection[bytes]) -> bool:
    return row.subject in persons or row.recipient in persons or row.token in tokens


class MemoryReader:
    """`carelink.ports.store.Reader` on one state."""

    def __init__(self, state: State) -> None:
        self._held: State | None = state

    @property
    def _state(self) -> State:
        if self._held is None:
            raise StoreError("this transaction or snapshot is over")
        return self._held

    def end(self) -> None:
        """Nothing can be read from now on."""
        self._held = None

    # -- tenant and log ------------------------------------------------------------------------------------

    def tenant(self) -> TenantRow:
        """See the port."""
        if self._state.tenant is None:
            raise StoreError("the store was never initialised", hint="run `carelink init`")
        return self._state.tenant

    def head(self) -> HeadRow:
        """See the port."""
        state = self._state
        return HeadRow(size=len(state.entries), frontier=state.frontier.to_bytes(), published=state.published)

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """See the port."""
        return iter([entry.data for entry in self._state.entries[start:stop]])

    def entries_for(self, request: RequestRef) -> tuple[tuple[int, bytes], ...]:
        """See the port."""
        numbered = enumerate(self._state.entries)
        return tuple((index, entry.data) for index, entry in numbered if request and entry.request == request)

    # -- persons and addresses -----------------------------------------------------------------------------

    def patients(self, ids: Sequence[PatientId]) -> Mapping[PatientId, PatientRow]:
        """See the port."""
        return _found(self._state.patients, ids)

    def patients_by_person(self, persons: Sequence[PersonRef]) -> Mapping[PersonRef, PatientRow]:
        """See the port."""
        return _found({row.person: row for row in self._state.patients.values()}, persons)

    def aliases(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[PersonRef, ...]]:
        """See the port."""
        answer = {patient: self._merged_into(patient) for patient in patients}
        return {patient: tuple(sorted(persons)) for patient, persons in answer.items() if persons}

    def _merged_into(self, survivor: PatientId) -> set[PersonRef]:
        found: dict[PatientId, PersonRef] = {}
        waiting = [survivor]
        while waiting:
            root = waiting.pop()
            fresh = [row for row in self._state.patients.values() if row.merged_into == root and row.id not in found]
            found.update({row.id: row.person for row in fresh})
            waiting.extend(row.id for row in fresh)
        return set(found.values())

    def page_patients(self, after: str, limit: int) -> tuple[PatientRow, ...]:
        """See the port."""
        ids = sorted(patient for patient in self._state.patients if patient > after)
        return tuple(self._state.patients[patient] for patient in ids[:limit])

    def related(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[RelatedRow, ...]]:
        """See the port."""
        rows = sorted(self._state.related.values(), key=lambda row: (row.since, row.id))
        return _grouped(rows, lambda row: row.patient, set(patients))

    def contacts(self, owners: Sequence[str]) -> Mapping[str, tuple[ContactRow, ...]]:
        """See the port."""
        rows = sorted(self._state.contacts.values(), key=lambda row: (row.rank, row.id))
        return _grouped(rows, lambda row: row.owner, set(owners))

    def contacts_on(self, tokens: Sequence[bytes]) -> Mapping[bytes, tuple[ContactRow, ...]]:
        """See the port."""
        rows = sorted(self._state.contacts.values(), key=lambda row: row.id)
        return _grouped(rows, lambda row: row.token, set(tokens))

    def address_refs(self, tokens: Sequence[bytes]) -> Mapping[bytes, AddressRef]:
        """See the port."""
        return _found(self._state.addresses, tokens)

    def address_tokens(self, addresses: Sequence[AddressRef]) -> Mapping[AddressRef, bytes]:
        """See the port."""
        return _found({address: token for token, address in self._state.addresses.items()}, addresses)

    # -- consent and content -------------------------------------------------------------------------------

    def grants(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[GrantRow, ...]]:
        """See the port."""
        rows = sorted(self._state.grants.values(), key=lambda row: (row.since, row.id))
        return _grouped(rows, lambda row: row.patient, set(patients))

    def stops(self, persons: Sequence[PersonRef], tokens: Sequence[bytes]) -> tuple[StopRow, ...]:
        """See the port."""
        wanted, addresses = set(persons), set(tokens)
        rows = sorted(self._state.stops.values(), key=lambda row: (row.since, row.id))
        bound = (row for row in rows if row.person in wanted or row.token in addresses)
        return tuple(row for row in bound if row.lifted_at is None)

    def replies_waiting(self, now: Instant) -> tuple[StopRow, ...]:
        """See the port."""
        put_off = (
            row
            for row in self._state.stops.values()
            if row.source is StopSource.REPLY and row.token is not None and row.until is not None and row.until > now
        )
        waiting = (row for row in put_off if row.lifted_at is None)
        return tuple(sorted(waiting, key=lambda row: (row.since, row.id)))

    def templates(self, keys: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], TemplateRow]:
        """See the port."""
        return _found(self._state.templates, keys)

    def page_templates(self, after: tuple[str, int], limit: int) -> tuple[TemplateRow, ...]:
        """See the port."""
        keys = sorted(key for key in self._state.templates if key > after)[:limit]
        return tuple(self._state.templates[key] for key in keys)

    def credentials(self, actors: Sequence[str]) -> Mapping[str, tuple[CredentialRow, ...]]:
        """See the port."""
        rows = sorted(self._state.credentials.values(), key=lambda row: (row.since, row.id))
        return _grouped(rows, lambda row: row.actor, set(actors))

    def access(self, access: str) -> AccessRow | None:
        """See the port."""
        return self._state.accesses.get(access)

    def accesses(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[AccessRow, ...]]:
        """See the port."""
        rows = sorted(self._state.accesses.values(), key=lambda row: (row.at, row.id))
        return _grouped(rows, lambda row: row.patient, set(patients))

    def open_reviews(self, limit: int) -> tuple[AccessRow, ...]:
        """See the port."""
        rows = sorted(self._state.accesses.values(), key=lambda row: (row.at, row.id))
        return tuple([row for row in rows if row.emergency and row.reviewed_at is None][:limit])

    def erasures(self, patients: Sequence[PatientId]) -> Mapping[PatientId, ErasureRow]:
        """See the port."""
        return {patient: self._state.erasures[patient] for patient in patients if patient in self._state.erasures}

    def page_erasures(self, after: str, limit: int) -> tuple[ErasureRow, ...]:
        """See the port."""
        rows = sorted(self._state.erasures.values(), key=lambda row: row.patient)
        return tuple([row for row in rows if row.patient > after][:limit])

    def latest_template(self, name: str) -> int | None:
        """See the port."""
        return max((version for known, version in self._state.templates if known == name), default=None)

    def pack(self, digest: str) -> bytes | None:
        """See the port."""
        return self._state.packs.get(digest)

    # -- reservations --------------------------------------------------------------------------------------

    def _reservations(self) -> list[ReservationRow]:
        return sorted(self._state.reservations.values(), key=lambda row: (row.at, row.id))

    def touches(self, persons: Sequence[PersonRef], tokens: Sequence[bytes], since: Instant) -> tuple[TouchRow, ...]:
        """See the port."""
        wanted, addresses = set(persons), set(tokens)
        return tuple(
            TouchRow(
                reservation=row.id,
                subject=row.subject,
                recipient=row.recipient,
                token=row.token,
                purpose=row.purpose,
                channel_kind=row.channel_kind,
                reply=row.reply,
                at=row.at,
                plan=row.plan,
                topic=row.topic,
            )
            for row in self._reservations()
            if row.state in COUNTS and row.at >= since and _touches(row, wanted, addresses)
        )

    def recall(self, requests: Sequence[RequestRef]) -> Mapping[RequestRef, ReservationRow]:
        """See the port."""
        standing = (row for row in self._state.reservations.values() if row.state is not ReservationState.RELEASED)
        return _found({row.request: row for row in standing}, requests)

    def reservations(self, ids: Sequence[ReservationId]) -> Mapping[ReservationId, ReservationRow]:
        """See the port."""
        return _found(self._state.reservations, ids)

    def open_reservations(
        self, state: ReservationState, *, limit: int, due: Instant | None = None
    ) -> tuple[ReservationRow, ...]:
        """See the port."""
        rows = (row for row in self._reservations() if row.state is state and state in _OPEN)
        return tuple(row for row in rows if due is None or _end(row) <= due)[:limit]

    def last_instants(self, gates: Sequence[Gate]) -> Mapping[Gate, Instant]:
        """See the port."""
        return {gate: self._state.gates.get(gate, Instant(0)) for gate in gates}

    def open_for(self, persons: Sequence[PersonRef], tokens: Sequence[bytes]) -> tuple[ReservationRow, ...]:
        """See the port."""
        wanted, addresses = set(persons), set(tokens)
        return tuple(row for row in self._reservations() if row.state in _OPEN and _touches(row, wanted, addresses))

    def last_spent_on(self, token: bytes, channel_kind: str) -> ReservationRow | None:
        """See the port."""
        spent = [row for row in self._reservations() if row.state is ReservationState.SPENT]
        here = [row for row in spent if row.token == token and row.channel_kind.value == channel_kind]
        return here[-1] if here else None

    # -- sealed fields and lists ---------------------------------------------------------------------------

    def sealed(self, table: str, rows: Sequence[str], columns: Sequence[str]) -> Mapping[tuple[str, str], bytes]:
        """See the port."""
        places = [Field(table, row, column) for row in rows for column in columns]
        return {(place.row, place.column): data for place, data in _found(self._state.sealed, places).items()}

    def page_sealed(self, after: tuple[str, str, str], limit: int) -> tuple[SealedRow, ...]:
        """See the port."""
        places = sorted(place for place in self._state.sealed if place > Field(*after))[:limit]
        sealed = self._state.sealed
        return tuple(
            SealedRow(table=place.table, row=place.row, column=place.column, envelope=sealed[place]) for place in places
        )

    def sealed_headers(self) -> Mapping[bytes, int]:
        """See the port."""
        return Counter(envelope[:18] for envelope in self._state.sealed.values())

    def index_counts(self) -> Mapping[int, int]:
        """See the port."""
        return Counter(item.version for item in self._state.index)

    def index_spread(self) -> Mapping[tuple[str, int], Mapping[int, int]]:
        """See the port."""
        values = Counter((item.column, item.version, item.value) for item in self._state.index)
        found: dict[tuple[str, int], Counter[int]] = {}
        for (column, version, _), rows in values.items():
            found.setdefault((column, version), Counter())[rows] += 1
        return found

    def address_spread(self) -> Mapping[int, int]:
        """See the port."""
        persons: dict[bytes, set[PersonRef]] = {token: set() for token in self._state.addresses}
        for contact in self._state.contacts.values():
            if contact.token in persons:
                persons[contact.token].add(contact.person)
        return Counter(map(len, persons.values()))

    def index_behind(self, old: int, new: int) -> int:
        """See the port."""
        values = Counter((item.version, item.column, item.row) for item in self._state.index)
        olds = [(column, row, count) for (version, column, row), count in values.items() if version == old]
        return len([row for column, row, count in olds if values[new, column, row] < count])

    def lookup(self, column: str, values: Sequence[tuple[int, bytes]]) -> Mapping[tuple[int, bytes], tuple[str, ...]]:
        """See the port."""
        here = sorted((item for item in self._state.index if item.column == column), key=lambda item: item.row)
        groups = _grouped(here, lambda item: (item.version, item.value), set(values))
        return {key: tuple(item.row for item in items) for key, items in groups.items()}

    def allow_listed(self, tokens: Sequence[bytes]) -> frozenset[bytes]:
        """See the port."""
        return frozenset(tokens) & self._state.allow_list

    def stopped_channels(self) -> frozenset[str]:
        """See the port."""
        return frozenset(self._state.stopped_channels)


def _end(row: ReservationRow) -> Instant:
    """When an open reservation is over: a claim with its lease, a permit with its own end."""
    return row.lease if row.state is ReservationState.CLAIMED and row.lease is not None else row.expires
