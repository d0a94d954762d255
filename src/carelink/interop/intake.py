"""From what a reader found to what the registration takes: addresses and identifiers are checked here, one by one, so
that a bad one costs itself and not its row, and a bad row not its batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

import attrs

from carelink.engine.patientinput import ContactInput, PatientInput, RelatedInput
from carelink.errors import CarelinkError, InvalidInputError, NotFoundError
from carelink.interop.records import ContactRecord, Fault, PatientRecord, Problem, RelatedRecord, Source
from carelink.vault.canonical import canonical_address, canonical_id
from carelink.vocabulary import AddressKind

__all__ = ["Intake", "merged", "refused", "take", "unmatched"]


@attrs.define
class Intake:
    """A record made ready, or None if it cannot be kept, and everything that was wrong with it."""

    source: Source
    given: PatientInput | None = None
    problems: list[Problem] = attrs.field(factory=list)

    def note(self, code: Fault, field: str, *, hint: str = "", lost: bool = False) -> None:
        """Something was wrong with it."""
        self.problems.append(_problem(self.source, code, field, hint=hint, lost=lost))


def take(record: PatientRecord | RelatedRecord, region: str) -> Intake:
    """Check a record. `region` (ISO 3166) is meant where a phone number has no country code."""
    return _related(record, region) if isinstance(record, RelatedRecord) else _patient(record, region)


def _patient(record: PatientRecord, region: str) -> Intake:
    intake = Intake(record.source)
    good = [(system, value) for system, value in record.identifiers if value.use(partial(_is_identifier, system))]
    if len(good) < len(record.identifiers):
        intake.note(Fault.BAD_IDENTIFIER, "identifier", lost=not good)
    if good:
        intake.given = PatientInput(
            identifiers=tuple(good),
            name=record.name,
            birth_date=record.birth_date,
            deceased=record.deceased,
            language=record.language,
            zone=record.zone,
            contacts=_contacts(record.contacts, region, "patient", intake),
            related=tuple(_person(person, region, intake) for person in record.related),
            stage=record.stage,
        )
    return intake


def _related(record: RelatedRecord, region: str) -> Intake:
    """A related person that stands alone: an amendment of a patient who must be on record."""
    if record.patient is None or record.source is None:
        raise InvalidInputError("a related person that stands alone names its patient and where it stands")
    intake = Intake(record.source)
    system, value = record.patient
    if value.use(partial(_is_identifier, system)):
        related = (_person(record, region, intake),)
        intake.given = PatientInput(identifiers=(record.patient,), related=related, known=True)
    else:
        intake.note(Fault.BAD_IDENTIFIER, "patient", lost=True)
    return intake


def _person(person: RelatedRecord, region: str, intake: Intake) -> RelatedInput:
    return RelatedInput(
        name=person.name,
        relation=person.relation,
        contacts=_contacts(person.contacts, region, "related", intake),
        verified=person.verified,
        acts=person.acts,
        scopes=person.scopes,
        since=person.since,
        until=person.until,
        key=person.key,
    )


_WRITTEN: Final = {
    AddressKind.PHONE: "write +<country code><number>",
    AddressKind.EMAIL: "write name@domain",
    AddressKind.CHAT: "write the account's id as the provider gives it",
}


def _contacts(contacts: Iterable[ContactRecord], region: str, whose: str, intake: Intake) -> tuple[ContactInput, ...]:
    kept = []
    for contact in contacts:
        field = f"{whose}.{contact.kind.value}"
        valid = contact.address.use(partial(_valid, contact.kind, region))
        if valid is None:
            intake.note(Fault.BAD_ADDRESS, field, hint=_WRITTEN[contact.kind])
            continue
        if not valid:
            intake.note(Fault.INVALID_NUMBER, field)
        kept.append(
            ContactInput(
                kind=contact.kind,
                address=contact.address,
                status=contact.status,
                verified_at=contact.verified_at,
                rank=contact.rank,
            )
        )
    return tuple(kept)


def _valid(kind: AddressKind, region: str, text: str) -> bool | None:
    """Whether the number plan knows the address; None if it is no address at all."""
    try:
        return canonical_address(kind, text, region).valid
    except InvalidInputError:
        return None


def _is_identifier(system: str, text: str) -> bool:
    try:
        canonical_id(system, text)
    except InvalidInputError:
        return False
    return True


def _problem(source: Source, code: Fault, field: str, *, hint: str = "", lost: bool = False) -> Problem:
    return Problem(file=source.file, line=source.line, code=code, field=field, hint=hint, lost=lost)


def refused(source: Source, error: CarelinkError, *, lost: bool = True) -> Problem:
    """The engine's own refusal of a record; its text names no value (P8)."""
    code = Fault.NO_SUCH_PATIENT if isinstance(error, NotFoundError) else Fault.REFUSED
    return _problem(source, code, "", hint="" if code is Fault.NO_SUCH_PATIENT else error.message, lost=lost)


def merged(source: Source) -> Problem:
    """A grant names a record that goes on in another."""
    hint = "grants do not carry over: record it on the survivor, with its evidence"
    return _problem(source, Fault.MERGED, "patient", hint=hint, lost=True)


def unmatched(source: Source, field: str, *, lost: bool) -> Problem:
    """A row names a patient nobody knows."""
    return _problem(source, Fault.NO_SUCH_PATIENT, field, lost=lost)
