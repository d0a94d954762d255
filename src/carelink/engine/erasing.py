"""The rows of an erasure: whom it concerns, what is stopped when it begins, what goes when it ends.

Nothing here touches a key or another system; `carelink.engine.erasure` puts the steps in order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import attrs

from carelink.engine.journal import Journal
from carelink.engine.ledger import people_of
from carelink.engine.locks import address_gate, person_gate
from carelink.engine.parts import Parts
from carelink.engine.stops import StopOrder, apply_stops
from carelink.model.ids import PatientId, PersonRef
from carelink.model.moment import Instant
from carelink.model.scope import ANY, PROMOTIONAL, Scope
from carelink.ports.rows import ContactRow, ErasureRow, Gate, PatientRow, RelatedRow, StopRow
from carelink.ports.store import Reader, Transaction
from carelink.vocabulary import ErasurePhase, StopSource

__all__ = ["Concerned", "Gone", "begin_again", "concerned", "forget", "is_restricted", "stop_everything"]

_TOKEN: Final = 32
_OF_THE_RECORD: Final = frozenset({StopSource.LIFE_EVENT, StopSource.RESTRICTION})


@attrs.frozen(kw_only=True)
class Concerned:
    """Whom an erasure concerns, and what hangs on them.

    Attributes:
        patient: the surviving record. records: it, and those merged into it.
        contacts: contact points of the records and of their related persons.
        own: tokens of the records' addresses that nobody else uses.
    """

    patient: PatientRow
    records: tuple[PatientRow, ...]
    related: tuple[RelatedRow, ...]
    contacts: tuple[ContactRow, ...]
    own: tuple[bytes, ...]

    @property
    def owners(self) -> tuple[PatientId, ...]:
        """Whose keys there are."""
        return tuple(row.id for row in self.records)

    @property
    def persons(self) -> tuple[PersonRef, ...]:
        """All pseudonyms, those of related persons included."""
        return (*(row.person for row in self.records), *(row.person for row in self.related))

    @property
    def tokens(self) -> tuple[bytes, ...]:
        """All addresses."""
        return tuple(dict.fromkeys(row.token for row in self.contacts))

    @property
    def gates(self) -> tuple[Gate, ...]:
        """Gate rows of everybody and every address."""
        return (*map(person_gate, self.persons), *map(address_gate, self.tokens))


def concerned(reader: Reader, patient: PatientId) -> Concerned:
    """Whom the erasure of a patient concerns.

    Raises:
        NotFoundError: the patient is unknown.
    """
    row = people_of(reader, [patient])[patient]
    merged = reader.patients_by_person(reader.aliases([row.id]).get(row.id, ()))
    records = (row, *merged.values())
    ids = [each.id for each in records]
    related = tuple(each for rows in reader.related(ids).values() for each in rows)
    owners = [*ids, *(each.id for each in related)]
    contacts = tuple(each for rows in reader.contacts(owners).values() for each in rows)
    mine = [each.token for each in contacts if each.owner in ids]
    users = reader.contacts_on(mine)
    own = tuple(token for token in dict.fromkeys(mine) if all(user.owner in owners for user in users[token]))
    return Concerned(patient=row, records=records, related=related, contacts=contacts, own=own)


def is_restricted(reader: Reader, row: PatientRow) -> bool:
    """Whether what is done with a person's data is restricted: a stop of that source stands."""
    persons = (row.person, *reader.aliases([row.id]).get(row.id, ()))
    return any(stop.source is StopSource.RESTRICTION for stop in reader.stops(persons, ()))


def stop_everything(parts: Parts, tx: Transaction, journal: Journal, found: Concerned, now: Instant) -> None:
    """Stop all for the person, release what waits, and leave on the person's own addresses what has to outlive them:
    what the person had stopped, and everything promotional (ADR 0055).

    The caller holds the gate locks.
    """
    persons = tuple(row.person for row in found.records)
    for (source, until), scopes in _carried(tx.stops(persons, ()), now).items():
        order = StopOrder(tokens=found.own, scopes=tuple(scopes), until=until)
        _on_addresses(parts, tx, journal, order, source, now)
    _on_addresses(
        parts, tx, journal, StopOrder(tokens=found.own, scopes=(Scope(PROMOTIONAL, (ANY,)),)), StopSource.STAFF, now
    )
    order = StopOrder(persons=found.persons, scopes=(Scope((ANY,), (ANY,)),))
    apply_stops(parts, tx, journal, order, StopSource.STAFF, now)


def _carried(stops: Sequence[StopRow], now: Instant) -> dict[tuple[StopSource, Instant | None], list[Scope]]:
    """Scopes to leave on the addresses, by source and end. A life event says something about the treatment, and not
    what the person wants, and a restriction is over with the data: both go with the record.
    """
    found: dict[tuple[StopSource, Instant | None], list[Scope]] = {}
    for row in stops:
        if row.source not in _OF_THE_RECORD and (row.until is None or row.until > now):
            found.setdefault((row.source, row.until), []).append(Scope(row.purposes, row.channels, row.plans))
    return found


def _on_addresses(
    parts: Parts, tx: Transaction, journal: Journal, order: StopOrder, source: StopSource, now: Instant
) -> None:
    """Stop addresses, except where the same stands on them."""
    there = {(row.token, row.purposes, row.channels, row.plans, row.until) for row in tx.stops((), order.tokens)}
    for token in order.tokens:
        left = tuple(
            scope
            for scope in order.scopes
            if (token, scope.purposes, scope.channels, scope.plans, order.until) not in there
        )
        if left:
            apply_stops(parts, tx, journal, attrs.evolve(order, tokens=(token,), scopes=left), source, now)


@attrs.frozen(kw_only=True)
class Gone:
    """What went. `fields`: sealed fields by table and column. `shared`: addresses whose pseudonym stays in use."""

    fields: Counter[str]
    shared: int
    stops: int


_PATIENT: Final = ("birth_date", "identifiers", "name")
_RELATED: Final = ("key", "name")


def _unseal(tx: Transaction, found: Concerned) -> Counter[str]:
    """Remove every envelope and every index value; how many envelopes of each column there were."""
    fields: Counter[str] = Counter()
    grants = [row.id for rows in tx.grants(found.owners).values() for row in rows]
    related, contacts = [row.id for row in found.related], [row.id for row in found.contacts]
    for table, rows, columns in (
        ("patient", found.owners, _PATIENT),
        ("related", related, _RELATED),
        ("contact", contacts, ("address",)),
        ("grant", grants, ("evidence",)),
    ):
        fields.update(f"{table}.{column}" for _row, column in tx.sealed(table, rows, columns))
        tx.delete_sealed(table, rows)
    for owner in found.owners:
        tx.delete_index(owner)
    return fields


def forget(parts: Parts, tx: Transaction, journal: Journal, found: Concerned, now: Instant) -> Gone:
    """Remove envelopes, index values, contact points and the pseudonyms of addresses that nobody else uses.

    The caller holds the gate locks, and destroyed the keys before.
    """
    fields = _unseal(tx, found)
    for row in found.contacts:
        journal.contact(row.person, row, now, ended=True)
        tx.delete_contact(row.id)
    for record in found.records:
        # A zone and a language tell little, but they are about the person and nothing needs them any more.
        tx.put_patient(attrs.evolve(record, zone="", language=""))
    forgotten = tx.forget_addresses({token: parts.entropy(_TOKEN) for token in found.tokens})
    return Gone(fields=fields, shared=len(found.tokens) - len(forgotten), stops=len(tx.stops((), sorted(found.tokens))))


def begin_again(tx: Transaction, patient: PatientRow, reason: str, by: str, now: Instant) -> None:
    """The log says that this person's erasure began, and the store is a backup from before it: what is sealed goes at
    once, and the erasure goes on from its first step when the store is opened next.
    """
    found = concerned(tx, patient.id)
    _unseal(tx, found)
    tx.put_erasure(
        ErasureRow(
            patient=found.patient.id, owners=found.owners, phase=ErasurePhase.BEGUN, reason=reason, by=by, begun=now
        )
    )
