"""Reads of the SQLite store: a fixed number of statements whatever the number of keys."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from carelink.errors import StoreError
from carelink.model.ids import AddressRef, PatientId, PersonRef, RequestRef, ReservationId
from carelink.model.moment import Instant
from carelink.ports.rows import (
    ContactRow,
    GrantRow,
    HeadRow,
    PatientRow,
    RelatedRow,
    ReservationRow,
    StopRow,
    TemplateRow,
    TenantRow,
    TouchRow,
)
from carelink.stores.sqlfile import load_queries
from carelink.stores.sqlite import rowforms as form
from carelink.vocabulary import ReservationState

__all__ = ["SQL", "SqliteReader", "hexes"]

SQL = load_queries("carelink.stores.sqlite")

R = TypeVar("R")


def hexes(tokens: Sequence[bytes]) -> str:
    """Tokens as a JSON list for `json_each`."""
    return json.dumps([token.hex() for token in tokens])


def _grouped(rows: Sequence[R], key: Callable[[R], Any]) -> dict[Any, tuple[R, ...]]:
    groups: dict[Any, list[R]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return {name: tuple(found) for name, found in groups.items()}


class SqliteReader:
    """`carelink.ports.store.Reader` on one connection within one snapshot."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def _all(self, name: str, *values: Any) -> list[Any]:
        return self._db.execute(SQL[name], values).fetchall()

    def tenant(self) -> TenantRow:
        rows = self._all("tenant")
        if not rows:
            raise StoreError("the store was never initialised", hint="run `carelink init`")
        return form.tenant_row(rows[0])

    def head(self) -> HeadRow:
        ((size, frontier, published),) = self._all("head")
        return HeadRow(size=size, frontier=frontier, published=published)

    def entries(self, start: int, stop: int) -> Iterator[bytes]:
        return (data for (data,) in self._db.execute(SQL["entries"], (start, stop)))

    def entries_for(self, request: RequestRef) -> tuple[tuple[int, bytes], ...]:
        return tuple(self._all("entries_for", request))

    def patients(self, ids: Sequence[PatientId]) -> Mapping[PatientId, PatientRow]:
        rows = map(form.patient_row, self._all("patients", json.dumps(list(ids))))
        return {row.id: row for row in rows}

    def patients_by_person(self, persons: Sequence[PersonRef]) -> Mapping[PersonRef, PatientRow]:
        rows = map(form.patient_row, self._all("patients_by_person", json.dumps(list(persons))))
        return {row.person: row for row in rows}

    def aliases(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[PersonRef, ...]]:
        groups = _grouped(self._all("aliases", json.dumps(list(patients))), lambda row: row[0])
        return {PatientId(root): tuple(PersonRef(row[1]) for row in rows) for root, rows in groups.items()}

    def page_patients(self, after: str, limit: int) -> tuple[PatientRow, ...]:
        return tuple(map(form.patient_row, self._all("page_patients", after, limit)))

    def related(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[RelatedRow, ...]]:
        rows = list(map(form.related_row, self._all("related", json.dumps(list(patients)))))
        return _grouped(rows, lambda row: row.patient)

    def contacts(self, owners: Sequence[str]) -> Mapping[str, tuple[ContactRow, ...]]:
        rows = list(map(form.contact_row, self._all("contacts", json.dumps(list(owners)))))
        return _grouped(rows, lambda row: row.owner)

    def contacts_on(self, tokens: Sequence[bytes]) -> Mapping[bytes, tuple[ContactRow, ...]]:
        rows = list(map(form.contact_row, self._all("contacts_on", hexes(tokens))))
        return _grouped(rows, lambda row: row.token)

    def address_refs(self, tokens: Sequence[bytes]) -> Mapping[bytes, AddressRef]:
        return {bytes.fromhex(token): AddressRef(ref) for token, ref in self._all("address_refs", hexes(tokens))}

    def address_tokens(self, addresses: Sequence[AddressRef]) -> Mapping[AddressRef, bytes]:
        rows = self._all("address_tokens", json.dumps(list(addresses)))
        return {AddressRef(ref): bytes.fromhex(token) for ref, token in rows}

    def grants(self, patients: Sequence[PatientId]) -> Mapping[PatientId, tuple[GrantRow, ...]]:
        rows = list(map(form.grant_row, self._all("grants", json.dumps(list(patients)))))
        return _grouped(rows, lambda row: row.patient)

    def stops(self, persons: Sequence[PersonRef], tokens: Sequence[bytes]) -> tuple[StopRow, ...]:
        return tuple(map(form.stop_row, self._all("stops", json.dumps(list(persons)), hexes(tokens))))

    def touches(self, persons: Sequence[PersonRef], tokens: Sequence[bytes], since: Instant) -> tuple[TouchRow, ...]:
        names = json.dumps(list(persons))
        return tuple(map(form.touch_row, self._all("touches", names, since, names, since, hexes(tokens), since)))

    def templates(self, keys: Sequence[tuple[str, int]]) -> Mapping[tuple[str, int], TemplateRow]:
        rows = map(form.template_row, self._all("templates", json.dumps([list(key) for key in keys])))
        return {(row.name, row.version): row for row in rows}

    def latest_template(self, name: str) -> int | None:
        ((version,),) = self._all("latest_template", name)
        return None if version is None else int(version)

    def recall(self, requests: Sequence[RequestRef]) -> Mapping[RequestRef, ReservationRow]:
        rows = map(form.reservation_row, self._all("recall", json.dumps(list(requests))))
        return {row.request: row for row in rows}

    def reservations(self, ids: Sequence[ReservationId]) -> Mapping[ReservationId, ReservationRow]:
        rows = map(form.reservation_row, self._all("reservations", json.dumps(list(ids))))
        return {row.id: row for row in rows}

    def open_reservations(self, state: ReservationState, *, limit: int) -> tuple[ReservationRow, ...]:
        return tuple(map(form.reservation_row, self._all("open_reservations", state.value, limit)))

    def open_for(self, persons: Sequence[PersonRef], tokens: Sequence[bytes]) -> tuple[ReservationRow, ...]:
        names = json.dumps(list(persons))
        rows = [form.reservation_row(row) for row in self._all("open_for", names, names, hexes(tokens))]
        return tuple(sorted(rows, key=lambda row: (row.at, row.id)))

    def last_spent_on(self, token: bytes, channel_kind: str) -> ReservationRow | None:
        rows = self._all("last_spent_on", token.hex(), channel_kind)
        return form.reservation_row(rows[0]) if rows else None

    def sealed(self, table: str, rows: Sequence[str], columns: Sequence[str]) -> Mapping[tuple[str, str], bytes]:
        found = self._all("sealed", json.dumps(list(rows)), table, json.dumps(list(columns)))
        return {(row, column): envelope for row, column, envelope in found}

    def lookup(self, column: str, values: Sequence[tuple[int, bytes]]) -> Mapping[tuple[int, bytes], tuple[str, ...]]:
        pairs = json.dumps([[version, value.hex()] for version, value in values])
        groups = _grouped(self._all("blind", pairs, column), lambda row: (row[0], bytes.fromhex(row[1])))
        return {key: tuple(row[2] for row in rows) for key, rows in groups.items()}

    def allow_listed(self, tokens: Sequence[bytes]) -> frozenset[bytes]:
        return frozenset(bytes.fromhex(token) for (token,) in self._all("allow_listed", hexes(tokens)))

    def pack(self, digest: str) -> bytes | None:
        rows = self._all("pack", digest)
        return rows[0][0] if rows else None

    def stopped_channels(self) -> frozenset[str]:
        return frozenset(channel for (channel,) in self._all("stopped_channels"))
