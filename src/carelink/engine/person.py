"""Opens a person's record: each sealed field by itself, so that one that does not open hides no other.

Whoever calls this has asked `carelink.engine.access` before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from carelink.engine.erasing import Concerned, concerned, is_restricted
from carelink.engine.parts import Parts
from carelink.errors import CarelinkError, ErasedError
from carelink.model.access import DataKind
from carelink.model.ids import PatientId
from carelink.ports.rows import ContactRow, GrantRow, RelatedRow
from carelink.ports.store import Reader
from carelink.rights.person import (
    HeldConsent,
    HeldContact,
    HeldRelated,
    HeldStop,
    Person,
    Readable,
    Sealed,
    as_text,
)
from carelink.vault.personal import Personal

__all__ = ["read_person"]

Envelopes = Mapping[tuple[str, str], bytes]
_ABSENT = Sealed(state=Readable.ABSENT)


def read_person(parts: Parts, patient: PatientId, what: DataKind) -> Person:
    """The part of a record that a kind of data names: identity, contact, consent, or all of it.

    Raises:
        NotFoundError: the patient is unknown.
    """
    with parts.store.reader() as reader:
        return _Opening(parts, reader, concerned(reader, patient)).person(what)


@attrs.frozen
class _Opening:
    parts: Parts
    reader: Reader
    found: Concerned

    def person(self, what: DataKind) -> Person:
        found, record = self.found, what is DataKind.RECORD
        made = Person(
            patient=found.patient.id,
            records=found.owners,
            standing=found.patient.standing,
            zone=found.patient.zone,
            language=found.patient.language,
            restricted=is_restricted(self.reader, found.patient),
        )
        if record or what is DataKind.IDENTITY:
            made = attrs.evolve(made, **self._identity())
        if record or what is DataKind.CONTACT:
            made = attrs.evolve(made, contacts=self._contacts(found.owners))
        if record or what is DataKind.CONSENT:
            made = attrs.evolve(made, consents=self._consents(), stops=self._stops())
        return attrs.evolve(made, related=self._related()) if record else made

    def _identity(self) -> dict[str, Any]:
        owners, columns = self.found.owners, ("identifiers", "name", "birth_date")
        envelopes = self.reader.sealed("patient", owners, columns)
        identifiers: list[Sealed] = []
        for owner in owners:
            held = self._open(owner, "patient", owner, "identifiers", envelopes)
            if held.value is not None:
                lines = str(held.value.reveal("split")).split("\n")
                identifiers += [Sealed(state=Readable.OPEN, value=Personal(line)) for line in lines]
            elif held.state is not Readable.ABSENT:
                identifiers.append(held)
        first = owners[0]
        return {
            "identifiers": tuple(identifiers),
            "name": self._open(first, "patient", first, "name", envelopes),
            "birth_date": self._open(first, "patient", first, "birth_date", envelopes),
        }

    def _contacts(self, owners: tuple[str, ...]) -> tuple[HeldContact, ...]:
        rows = [row for row in self.found.contacts if row.owner in owners]
        envelopes = self.reader.sealed("contact", [row.id for row in rows], ("address",))
        keys = {str(each.id): each.patient for each in self.found.related}
        return tuple(self._contact(row, keys.get(row.owner, PatientId(row.owner)), envelopes) for row in rows)

    def _contact(self, row: ContactRow, owner: PatientId, envelopes: Envelopes) -> HeldContact:
        return HeldContact(
            id=row.id,
            kind=row.kind,
            address=self._open(owner, "contact", row.id, "address", envelopes),
            status=row.status,
            verified_at=row.verified_at,
        )

    def _related(self) -> tuple[HeldRelated, ...]:
        rows = self.found.related
        envelopes = self.reader.sealed("related", [row.id for row in rows], ("name",))
        return tuple(self._relative(row, envelopes) for row in rows)

    def _relative(self, row: RelatedRow, envelopes: Envelopes) -> HeldRelated:
        return HeldRelated(
            id=row.id,
            name=self._open(row.patient, "related", row.id, "name", envelopes),
            relation=row.relation,
            acts=row.acts,
            verified=row.verified,
            scopes=row.scopes,
            since=row.since,
            until=row.until,
            contacts=self._contacts((row.id,)),
        )

    def _consents(self) -> tuple[HeldConsent, ...]:
        rows = [row for rows in self.reader.grants(self.found.owners).values() for row in rows]
        envelopes = self.reader.sealed("grant", [row.id for row in rows], ("evidence",))
        return tuple(self._consent(row, envelopes) for row in sorted(rows, key=lambda row: (row.since, row.id)))

    def _consent(self, row: GrantRow, envelopes: Envelopes) -> HeldConsent:
        return HeldConsent(
            id=row.id,
            purposes=row.purposes,
            channels=row.channels,
            plans=row.plans,
            by=row.by,
            method=row.method,
            since=row.since,
            until=row.until,
            separate=row.separate,
            notice=row.notice,
            state=row.state,
            ended_at=row.ended_at,
            evidence=self._open(row.patient, "grant", row.id, "evidence", envelopes),
        )

    def _stops(self) -> tuple[HeldStop, ...]:
        mine = [row.token for row in self.found.contacts if row.owner in self.found.owners]
        persons = tuple(row.person for row in self.found.records)
        return tuple(
            HeldStop(
                id=row.id,
                binds="person" if row.token is None else "address",
                purposes=row.purposes,
                channels=row.channels,
                plans=row.plans,
                source=row.source,
                since=row.since,
                until=row.until,
            )
            for row in self.reader.stops(persons, mine)
        )

    def _open(self, owner: str, table: str, row: str, column: str, envelopes: Envelopes) -> Sealed:
        envelope = envelopes.get((row, column))
        if envelope is None:
            gone = self.found.patient.standing.value == "erased"
            return Sealed(state=Readable.ERASED) if gone else _ABSENT
        try:
            value: Personal[Any] = self.parts.safe.open(owner, table, row, column, envelope)
        except ErasedError:
            return Sealed(state=Readable.ERASED)
        except CarelinkError:
            return Sealed(state=Readable.UNREADABLE)
        return Sealed(state=Readable.OPEN, value=Personal(value.use(as_text)))
