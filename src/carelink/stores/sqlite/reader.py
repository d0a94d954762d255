"""Reads of the SQLite store: a fixed number of statements whatever the number of keys."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NoReturn, TypeVar

from carelink.errors import DamagedRowError, StoreError
from carelink.model.ids import AddressRef, PatientId, PersonRef, RequestRef, ReservationId
from carelink.model.moment import Instant
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
from carelink.stores.sqlfile import load_queries
from carelink.stores.sqlite import rowforms as form
from carelink.stores.sqlite.driver import TROUBLE, failure
from carelink.vocabulary import ReservationState

__all__ = ["SQL", "SqliteReader", "hexes", "listed"]

SQL: Final = load_queries("carelink.stores.sqlite")

_UNREADABLE: Final = (KeyError, ValueError, TypeError, IndexError)
"""What a row form raises for a row that this version cannot read."""

_ENTRIES: Final = 1024
"""Entries in memory at a time while they are streamed."""

R = TypeVar("R")
K = TypeVar("K", bound=Hashable)


def listed(keys: Iterable[Any]) -> str:
    """Keys as one JSON list for `json_each`, each once: a statement takes any number of keys as one variable."""
    return json.dumps(list(dict.fromkeys(keys)))


def hexes(tokens: Iterable[bytes]) -> str:
    """Tokens as a JSON list of hex texts."""
    return listed(token.hex() for token in tokens)


def _read(make: Callable[[Any], R], rows: Iterable[Any]) -> list[R]:
    """Rows in carelink's form; one that this version cannot read is an error, never left out."""
    found: list[R] | None = None
    try:
        found = [make(row) for row in rows]
    except _UNREADABLE:
        found = None
    if found is None:
        raise DamagedRowError("a row holds what this version cannot read")
    return found


def _grouped(rows: Iterable[R], key: Callable[[R], K]) -> dict[K, tuple[R, ...]]:
    groups: dict[K, list[R]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: tuple(found) for name, found in groups.items()}


class _Over:
    """Stands in for the connection once a transaction or snapshot is over."""

    def execute(self, *_: object) -> NoReturn:
        raise StoreError("this transaction or snapshot is over")

    executemany = execute


class SqliteReader:
    """`carelink.ports.store.Reader` on one connection within one snapshot."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db: sqlite3.Connection | _Over = db

    def end(self) -> None:
        """Nothing can be read from now on."""
        self._db = _Over()

    def _all(self, name: str, *values: Any) -> list[Any]:
        try:
            return self._db.execute(SQL[name], values).fetchall()
        except TROUBLE as error:
            found = failure(error)
        raise found

    # -- tenant and log ------------------------------------------------------------------------------------

    def tenant(self) -> TenantRow:
        """See the port."""
        rows = _read(form.tenant_row, self._all("tenant"))
        if not rows:
            raise StoreError("the store was never initialised", hint="run `carelink init`")
        return rows[0]

    def head(self) -> HeadRow:
        """See the port."""
        rows = self._all("head")
        if len(rows) != 1:
            raise StoreError("the store has lost the head of its log", hint="restore a backup, then reconcile")
        size, frontier, published = rows[0]
        if (type(size), type(frontier), type(published)) != (int, bytes, int):
            raise StoreError("the head of the store's log is damaged", hint="restore a backup, then reconcile")
        return HeadRow(size=size, frontier=frontier, published=published)

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        """See the port."""
        for first in range(start, stop, _ENTRIES):
            rows = self._all("entries", first, min(stop, first + _ENTRIES))
            for (data,) in rows:
                yield data
            if not rows:
                return

    def entries_for(self, request: RequestRef) -> tuple[tuple[int, bytes], ...]:
        """See the port."""
        return tuple(self._all("entries_for", request))

    # -- persons and addresses -----------------------------------------------------------------------------

    def patients(self, ids: Sequence[PatientId]) -> Mapping[PatientId, PatientRow]:
        """See the port."""
        return {row.id: row for row in _read(form.patient_row, self._all("patients", listed(ids)))}

    def patients_by_person(self, persons: Sequence[PersonRef]) -> Mapping[PersonRef, PatientRow]:
        """See the port."""
        rows = _read(form.patient_row, self._all("patients_by_person", listed(persons)))
        return {row.person: row for row in rows}

    def aliases(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[PersonRef, ...]]:
        """See the port."""
        groups = _grouped(self._all("aliases", listed(patients)), lambda row: PatientId(row[0]))
        return {root: tuple(PersonRef(row[1]) for row in rows) for root, rows in groups.items()}

    def page_patients(self, after: str, limit: int) -> tuple[PatientRow, ...]:
        """See the port."""
        return tuple(_read(form.patient_row, self._all("page_patients", after, limit)))

    def related(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[RelatedRow, ...]]:
        """See the port."""
        return _grouped(_read(form.related_row, self._all("related", listed(patients))), lambda row: row.patient)

    def contacts(self, owners: Sequence[str]) -> Mapping[str, tuple[ContactRow, ...]]:
        """See the port."""
        return _grouped(_read(form.contact_row, self._all("contacts", listed(owners))), lambda row: row.owner)

    def contacts_on(self, tokens: Sequence[bytes]) -> Mapping[bytes, tuple[ContactRow, ...]]:
        """See the port."""
        return _grouped(_read(form.contact_row, self._all("contacts_on", hexes(tokens))), lambda row: row.token)

    def address_refs(self, tokens: Sequence[bytes]) -> Mapping[bytes, AddressRef]:
        """See the port."""
        return dict(_read(form.address_pair, self._all("address_refs", hexes(tokens))))

    def address_tokens(self, addresses: Sequence[AddressRef]) -> Mapping[AddressRef, bytes]:
        """See the port."""
        pairs = _read(form.address_pair, self._all("address_tokens", listed(addresses)))
        return {address: token for token, address in pairs}

    # -- consent and content -------------------------------------------------------------------------------

    def grants(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[GrantRow, ...]]:
        """See the port."""
        return _grouped(_read(form.grant_row, self._all("grants", listed(patients))), lambda row: row.patient)

    def stops(self, persons: Sequence[PersonRef], tokens: Sequence[bytes]) -> tuple[StopRow, ...]:
        """See the port."""
        return tuple(_read(form.stop_row, self._all("stops", listed(persons), hexes(tokens))))

    def replies_waiting(self, now: Instant) -> tuple[StopRow, ...]:
        """See the port."""
        return tuple(_read(form.stop_row, self._all("replies_waiting", now)))

    def templates(self, keys: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], TemplateRow]:
        """See the port."""
        rows = _read(form.template_row, self._all("templates", listed(keys)))
        return {(row.name, row.version): row for row in rows}

    def page_templates(self, after: tuple[str, int], limit: int) -> tuple[TemplateRow, ...]:
        """See the port."""
        return tuple(_read(form.template_row, self._all("page_templates", *after, limit)))

    def credentials(self, actors: Sequence[str]) -> Mapping[str, tuple[CredentialRow, ...]]:
        """See the port."""
        return _grouped(_read(form.credential_row, self._all("credentials", listed(actors))), lambda row: row.actor)

    def access(self, access: str) -> AccessRow | None:
        """See the port."""
        return next(iter(_read(form.access_row, self._all("access", access))), None)

    def accesses(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[AccessRow, ...]]:
        """See the port."""
        return _grouped(_read(form.access_row, self._all("accesses", listed(patients))), lambda row: row.patient)

    def open_reviews(self, limit: int) -> tuple[AccessRow, ...]:
        """See the port."""
        return tuple(_read(form.access_row, self._all("open_reviews", limit)))

    def erasures(self, patients: Sequence[PatientId]) -> Mapping[PatientId, ErasureRow]:
        """See the port."""
        return {row.patient: row for row in _read(form.erasure_row, self._all("erasures", listed(patients)))}

    def page_erasures(self, after: str, limit: int) -> tuple[ErasureRow, ...]:
        """See the port."""
        return tuple(_read(form.erasure_row, self._all("page_erasures", after, limit)))

    def latest_template(self, name: str) -> int | None:
        """See the port."""
        ((version,),) = self._all("latest_template", name)
        return None if version is None else int(version)

    def pack(self, digest: str) -> bytes | None:
        """See the port."""
        rows = self._all("pack", digest)
        return bytes(rows[0][0]) if rows else None

    # -- reservations --------------------------------------------------------------------------------------

    def touches(self, persons: Sequence[PersonRef], tokens: Sequence[bytes], since: Instant) -> tuple[TouchRow, ...]:
        """See the port."""
        names = listed(persons)
        return tuple(_read(form.touch_row, self._all("touches", names, since, names, since, hexes(tokens), since)))

    def recall(self, requests: Sequence[RequestRef]) -> Mapping[RequestRef, ReservationRow]:
        """See the port."""
        return {row.request: row for row in _read(form.reservation_row, self._all("recall", listed(requests)))}

    def reservations(self, ids: Sequence[ReservationId]) -> Mapping[ReservationId, ReservationRow]:
        """See the port."""
        return {row.id: row for row in _read(form.reservation_row, self._all("reservations", listed(ids)))}

    def open_reservations(
        self, state: ReservationState, *, limit: int, due: Instant | None = None
    ) -> tuple[ReservationRow, ...]:
        """See the port."""
        if due is None:
            return tuple(_read(form.reservation_row, self._all("open_reservations", state.value, limit)))
        return tuple(_read(form.reservation_row, self._all("due_reservations", state.value, due, limit)))

    def last_instants(self, gates: Sequence[Gate]) -> Mapping[Gate, Instant]:
        """See the port."""
        rows = self._all("gates", listed((gate.kind, gate.key.hex()) for gate in gates))
        found = {Gate(kind, bytes.fromhex(key)): Instant(last) for kind, key, last in rows}
        return {gate: found.get(gate, Instant(0)) for gate in gates}

    def open_for(self, persons: Sequence[PersonRef], tokens: Sequence[bytes]) -> tuple[ReservationRow, ...]:
        """See the port."""
        names = listed(persons)
        rows = _read(form.reservation_row, self._all("open_for", names, names, hexes(tokens)))
        return tuple(sorted(rows, key=lambda row: (row.at, row.id)))

    def last_spent_on(self, token: bytes, channel_kind: str) -> ReservationRow | None:
        """See the port."""
        rows = _read(form.reservation_row, self._all("last_spent_on", token.hex(), channel_kind))
        return rows[0] if rows else None

    # -- sealed fields and lists ---------------------------------------------------------------------------

    def sealed(self, table: str, rows: Sequence[str], columns: Sequence[str]) -> Mapping[tuple[str, str], bytes]:
        """See the port."""
        found = self._all("sealed", listed(rows), table, listed(columns))
        return {(row, column): envelope for row, column, envelope in found}

    def page_sealed(self, after: tuple[str, str, str], limit: int) -> tuple[SealedRow, ...]:
        """See the port."""
        found = self._all("page_sealed", *after, limit)
        return tuple(SealedRow(table=table, row=row, column=col, envelope=data) for table, row, col, data in found)

    def sealed_headers(self) -> Mapping[bytes, int]:
        """See the port."""
        return dict(self._all("sealed_headers"))

    def index_counts(self) -> Mapping[int, int]:
        """See the port."""
        return dict(self._all("index_counts"))

    def index_spread(self) -> Mapping[tuple[str, int], Mapping[int, int]]:
        """See the port."""
        found: dict[tuple[str, int], dict[int, int]] = {}
        for column, version, rows, count in self._all("index_spread"):
            found.setdefault((column, version), {})[rows] = count
        return found

    def address_spread(self) -> Mapping[int, int]:
        """See the port."""
        return dict(self._all("address_spread"))

    def index_behind(self, old: int, new: int) -> int:
        """See the port."""
        return int(self._all("index_behind", old, new, old, new)[0][0])

    def lookup(self, column: str, values: Sequence[tuple[int, bytes]]) -> Mapping[tuple[int, bytes], tuple[str, ...]]:
        """See the port."""
        pairs = listed((version, value.hex()) for version, value in values)
        groups = _grouped(_read(form.index_pair, self._all("blind", pairs, column)), lambda pair: pair[0])
        return {key: tuple(row for _, row in found) for key, found in groups.items()}

    def allow_listed(self, tokens: Sequence[bytes]) -> frozenset[bytes]:
        """See the port."""
        return frozenset(_read(form.token, self._all("allow_listed", hexes(tokens))))

    def stopped_channels(self) -> frozenset[str]:
        """See the port."""
        return frozenset(channel for (channel,) in self._all("stopped_channels"))
