"""What a newer record of a known patient changes.

It adds identifiers, addresses and related persons, corrects name, birth date, language, zone and what is known of a
related person, and notes a death. It removes nothing, ends no death, and revives no address that was found to be bad:
a source that repeats what it always said is no proof of the contrary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from carelink.engine.membership import age_band
from carelink.engine.parts import Parts
from carelink.engine.patientinput import Address, Prepared, RelatedInput
from carelink.engine.rowbatch import RowBatch
from carelink.engine.zones import local_date
from carelink.errors import ConflictError
from carelink.model.ids import PatientId
from carelink.ports.rows import ContactRow, PatientRow, RelatedRow
from carelink.ports.store import Reader
from carelink.vault.personal import Personal
from carelink.vocabulary import ContactStatus, Standing

__all__ = ["Amendment"]

_BAD = (ContactStatus.INVALID, ContactStatus.RECYCLED)


@attrs.frozen
class Amendment:
    """What is on record of some patients, read under their locks, and how it changes."""

    parts: Parts
    zone: str
    contacts: Mapping[str, tuple[ContactRow, ...]]
    related: Mapping[PatientId, tuple[RelatedRow, ...]]
    sealed: Mapping[tuple[str, str], bytes]
    sealed_related: Mapping[tuple[str, str], bytes]

    @classmethod
    def of(cls, parts: Parts, reader: Reader, patients: Sequence[PatientId]) -> Amendment:
        """Read what is on record of these patients."""
        parts.safe.prefetch(patients)
        related = reader.related(patients)
        persons = [row.id for rows in related.values() for row in rows]
        return cls(
            parts,
            reader.tenant().zone,
            reader.contacts([*patients, *persons]),
            related,
            reader.sealed("patient", patients, ("name", "birth_date", "identifiers")),
            reader.sealed("related", persons, ("name", "key")),
        )

    def check(self, new: Prepared, row: PatientRow) -> None:
        """Tell whether this record can be of this patient.

        Raises:
            ConflictError: it shares an identifier with the patient, but names another record number and birth date.
        """
        known, born = self._identifiers(row.id), new.given.birth_date
        if new.identifiers[0] in known or born is None:
            return
        system = new.identifiers[0].partition("|")[0]
        on_record = self._open(row.id, "birth_date")
        other = any(form.partition("|")[0] == system for form in known)
        if other and on_record is not None and on_record != born:
            raise ConflictError("it shares an identifier with a patient who has another record number and birth date")

    def apply(self, new: Prepared, row: PatientRow, batch: RowBatch) -> bool:
        """Put the changes into the batch; whether there are any."""
        changed = self._identify(new, row.id, batch)
        changed |= self._name(new, row.id, batch)
        changed |= self._person(new, row, batch)
        changed |= self._contacts(row.id, row, new.addresses, batch, row.id)
        for source, addresses in new.related:
            changed |= self._related(source, addresses, row, batch)
        return changed

    # -- inside --------------------------------------------------------------------------------------------

    def _open(self, patient: PatientId, column: str) -> Personal | None:  # type: ignore[type-arg]
        envelope = self.sealed.get((patient, column))
        return None if envelope is None else self.parts.safe.try_open(patient, "patient", patient, column, envelope)

    def _identifiers(self, patient: PatientId) -> list[str]:
        opened = self._open(patient, "identifiers")
        return [] if opened is None else str(opened.reveal("compare")).split("\n")

    def _identify(self, new: Prepared, patient: PatientId, batch: RowBatch) -> bool:
        known = self._identifiers(patient)
        more = [form for form in new.identifiers if form not in known]
        if more:
            batch.identify(patient, [*known, *more])
        return bool(more)

    def _name(self, new: Prepared, patient: PatientId, batch: RowBatch) -> bool:
        name = new.given.name
        if name is None or self._open(patient, "name") == name:
            return False
        batch.sealed.append(self.parts.safe.seal(patient, "patient", patient, "name", name.reveal("seal")))
        return True

    def _person(self, new: Prepared, row: PatientRow, batch: RowBatch) -> bool:
        row = batch.current(row)
        given, after = new.given, row
        if given.zone:
            after = attrs.evolve(after, zone=given.zone)
        if given.language:
            after = attrs.evolve(after, language=given.language)
        if given.stage is not None:
            after = attrs.evolve(after, stage=given.stage)
        if given.deceased and row.standing is Standing.ACTIVE:
            after = attrs.evolve(after, standing=Standing.DECEASED)
        born, sealed = given.birth_date, False
        if born is not None and self._open(row.id, "birth_date") != born:
            today = local_date(batch.now, after.zone or self.zone)
            after = attrs.evolve(after, age=born.use(lambda day: age_band(day, today)))
            batch.sealed.append(self.parts.safe.seal(row.id, "patient", row.id, "birth_date", born.reveal("seal")))
            sealed = True
        if after != row:
            batch.change(after)
        if (after.standing, after.age, after.stage) != (row.standing, row.age, row.stage):
            batch.journal.subject(row.person, batch.now, standing=after.standing, age=after.age, stage=after.stage)
        return sealed or after != row

    def _contacts(
        self,
        owner: str,
        person: PatientRow | RelatedRow,
        addresses: Sequence[Address],
        batch: RowBatch,
        patient: PatientId,
    ) -> bool:
        held = {contact.token: contact for contact in self.contacts.get(owner, ())}
        new = [address for address in addresses if address.token not in held]
        batch.add_contacts(owner, person.person, new, key_owner=patient)
        changed = bool(new)
        for address in addresses:
            before = held.get(address.token)
            if before is None:
                continue
            after = _amended(before, address)
            if after != before:
                batch.changed_contacts.append(after)
                changed = True
            if (after.status, after.verified_at) != (before.status, before.verified_at):
                batch.journal.contact(person.person, after, batch.now)
        return changed

    def _related(self, source: RelatedInput, addresses: Sequence[Address], row: PatientRow, batch: RowBatch) -> bool:
        before = self._same(source, row.id)
        if before is None:
            batch.add_related(source, addresses, row.id, row.person)
            return True
        after = attrs.evolve(
            before,
            relation=source.relation,
            verified=source.verified,
            acts=source.acts,
            scopes=source.scopes,
            since=before.since if source.since is None else source.since,
            until=source.until,
        )
        changed = self._contacts(before.id, before, addresses, batch, row.id)
        for column, value in (("name", source.name), ("key", source.key)):
            if value is not None and self._open_related(before, column) != value:
                batch.seal_related(row.id, before.id, column, value)
                changed = True
        if after != before:
            batch.changed_related.append(after)
            batch.journal.guardian(row.person, after, batch.now)
        return changed or after != before

    def _same(self, source: RelatedInput, patient: PatientId) -> RelatedRow | None:
        """The person on record who is meant: by the source's own id, else by name and relation."""
        rows = self.related.get(patient, ())
        if source.key is not None:
            for row in rows:
                if self._open_related(row, "key") == source.key:
                    return row
        for row in rows:
            keyed = source.key is not None and self._open_related(row, "key") is not None
            if not keyed and row.relation is source.relation and self._open_related(row, "name") == source.name:
                return row
        return None

    def _open_related(self, row: RelatedRow, column: str) -> Personal | None:  # type: ignore[type-arg]
        envelope = self.sealed_related.get((row.id, column))
        return None if envelope is None else self.parts.safe.try_open(row.patient, "related", row.id, column, envelope)


def _amended(before: ContactRow, address: Address) -> ContactRow:
    """A contact point after what the source says of it now. What was found to be bad stays bad."""
    status, verified = before.status, before.verified_at
    if status not in _BAD:
        said = address.source.verified_at
        if address.status is ContactStatus.INVALID:
            status, verified = ContactStatus.INVALID, None
        elif address.status is ContactStatus.VALID:
            status = ContactStatus.VALID
            verified = said if verified is None or (said is not None and said > verified) else verified
    return attrs.evolve(before, status=status, verified_at=verified, rank=address.source.rank)
