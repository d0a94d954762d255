"""From what a reader found to what the registration takes: addresses and identifiers are checked here, one by one, so
that a bad one costs itself and not its row, and a bad row not its batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import attrs

from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.errors import InvalidInputError
from carelink.interop.records import ContactRecord, Fault, PatientRecord, Problem, Source
from carelink.vault.canonical import canonical_email, canonical_id, canonical_phone
from carelink.vocabulary import AddressKind

__all__ = ["Intake", "refused", "take", "unmatched"]


@attrs.define
class Intake:
    """A record made ready, or None if it cannot be kept, and everything that was wrong with it."""

    given: PatientInput | None
    problems: list[Problem] = attrs.field(factory=list)


def take(record: PatientRecord, region: str) -> Intake:
    """Check a record. `region` (ISO 3166) is meant where a phone number has no country code."""
    intake = Intake(None)
    identifiers = []
    for system, value in record.identifiers:
        if value.use(partial(_is_identifier, system)):
            identifiers.append((system, value))
        else:
            lost = len(record.identifiers) == 1
            intake.problems.append(_problem(record.source, Fault.BAD_IDENTIFIER, "identifier", lost=lost))
    if not identifiers:
        return intake
    related = tuple(
        RelatedInput(
            name=person.name,
            relation=person.relation,
            contacts=_contacts(person.contacts, region, record.source, "related", intake.problems),
            verified=person.verified,
            acts=person.acts,
            scopes=person.scopes,
            since=person.since,
            until=person.until,
        )
        for person in record.related
    )
    intake.given = PatientInput(
        identifiers=tuple(identifiers),
        name=record.name,
        birth_date=record.birth_date,
        deceased=record.deceased,
        language=record.language,
        zone=record.zone,
        contacts=_contacts(record.contacts, region, record.source, "patient", intake.problems),
        related=related,
    )
    return intake


def _contacts(
    contacts: Iterable[ContactRecord], region: str, source: Source, whose: str, problems: list[Problem]
) -> tuple[ContactInput, ...]:
    kept = []
    for contact in contacts:
        field = f"{whose}.{contact.kind.value}"
        valid = contact.address.use(partial(_valid, contact.kind, region))
        if valid is None:
            hint = "write +<country code><number>" if contact.kind is AddressKind.PHONE else "write name@domain"
            problems.append(_problem(source, Fault.BAD_ADDRESS, field, hint=hint))
            continue
        if not valid:
            problems.append(_problem(source, Fault.INVALID_NUMBER, field))
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
        return canonical_phone(text, region).valid if kind is AddressKind.PHONE else canonical_email(text).valid
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


def refused(source: Source, error: InvalidInputError) -> Problem:
    """The registration's own refusal of a record; its text names no value (P8)."""
    return _problem(source, Fault.REFUSED, "", hint=error.message, lost=True)


def unmatched(source: Source, field: str, *, lost: bool) -> Problem:
    """A row names a patient nobody knows."""
    return _problem(source, Fault.NO_SUCH_PATIENT, field, lost=lost)
