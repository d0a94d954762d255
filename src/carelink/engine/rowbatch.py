"""The rows that one transaction of the registration writes, gathered so that each table is written once."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.engine.patientinput import Address, RelatedInput
from carelink.model.ids import AddressRef, ContactPointId, PatientId, PersonRef, RelatedId
from carelink.model.moment import Instant
from carelink.ports.rows import ContactRow, IndexRow, PatientRow, RelatedRow, SealedRow
from carelink.ports.store import Transaction
from carelink.vault.personal import Personal

__all__ = ["RowBatch"]


@attrs.define
class RowBatch:
    """New rows, changed rows, and the entries that say so. `refs` names every address that occurs."""

    parts: Parts
    journal: Journal
    now: Instant
    refs: dict[bytes, AddressRef] = attrs.field(factory=dict)
    patients: list[PatientRow] = attrs.field(factory=list)
    related: list[RelatedRow] = attrs.field(factory=list)
    contacts: list[ContactRow] = attrs.field(factory=list)
    sealed: list[SealedRow] = attrs.field(factory=list)
    index: list[IndexRow] = attrs.field(factory=list)
    changed_patients: dict[PatientId, PatientRow] = attrs.field(factory=dict)
    changed_related: list[RelatedRow] = attrs.field(factory=list)
    changed_contacts: list[ContactRow] = attrs.field(factory=list)

    def current(self, row: PatientRow) -> PatientRow:
        """A patient as this batch leaves them so far: several of its records may concern one person."""
        return self.changed_patients.get(row.id, row)

    def change(self, row: PatientRow) -> None:
        """A patient's row is to be replaced."""
        self.changed_patients[row.id] = row

    def identify(self, patient: PatientId, forms: Sequence[str]) -> None:
        """Seal all identifiers of a patient, and index them."""
        safe = self.parts.safe
        self.sealed.append(safe.seal(patient, "patient", patient, "identifiers", "\n".join(forms)))
        for form in forms:
            self.index.extend(
                IndexRow(column="identifier", version=version, value=value, row=patient)
                for version, value in safe.blind("identifier", form)
            )

    def add_contacts(
        self, owner: str, person: PersonRef, addresses: Sequence[Address], *, key_owner: PatientId
    ) -> None:
        """Contact points of a patient or related person, sealed under the patient's key."""
        for address in addresses:
            row = ContactRow(
                id=ContactPointId(self.parts.ref()),
                owner=owner,
                person=person,
                kind=address.kind,
                token=address.token,
                address=self.refs[address.token],
                status=address.status,
                verified_at=address.source.verified_at,
                rank=address.source.rank,
                zones=address.canonical.zones,
            )
            self.contacts.append(row)
            seal = self.parts.safe.seal
            self.sealed.append(seal(key_owner, "contact", row.id, "address", address.canonical.text))
            self.journal.contact(person, row, self.now)

    def add_related(
        self, source: RelatedInput, addresses: Sequence[Address], patient: PatientId, subject: PersonRef
    ) -> None:
        """A related person. Name and addresses live and die with the patient's record they were given for."""
        row = RelatedRow(
            id=RelatedId(self.parts.ref()),
            patient=patient,
            person=PersonRef(self.parts.ref()),
            relation=source.relation,
            verified=source.verified,
            acts=source.acts,
            scopes=source.scopes,
            since=self.now if source.since is None else source.since,
            until=source.until,
        )
        self.related.append(row)
        self.seal_related(patient, row.id, "name", source.name)
        if source.key is not None:
            self.seal_related(patient, row.id, "key", source.key)
        self.journal.subject(row.person, self.now, standing=row.standing)
        self.journal.guardian(subject, row, self.now)
        self.add_contacts(row.id, row.person, addresses, key_owner=patient)

    def seal_related(self, patient: PatientId, related: RelatedId, column: str, value: Personal[str]) -> None:
        """A sealed field of a related person."""
        self.sealed.append(self.parts.safe.seal(patient, "related", related, column, value.reveal("seal")))

    def write(self, tx: Transaction) -> None:
        """Write everything; called once, last."""
        tx.add_patients(self.patients)
        for patient in self.changed_patients.values():
            tx.put_patient(patient)
        tx.add_related(self.related)
        for related in self.changed_related:
            tx.put_related(related)
        tx.add_contacts(self.contacts)
        for contact in self.changed_contacts:
            tx.put_contact(contact)
        tx.add_sealed(self.sealed)
        tx.add_index(self.index)
        self.journal.write(tx)
