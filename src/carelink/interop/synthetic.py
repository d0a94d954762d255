"""The bundled demo data, and what the demo may add to data that is declared synthetic. Never for real patients.

Everything added says so: addresses are `synthetic-...@example.invalid`, names and evidence begin with `SYNTHETIC`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

import attrs

from carelink.interop.records import ContactRecord, GrantRecord, PatientRecord, RelatedRecord, Source
from carelink.model.moment import Instant, parse_instant
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ContactStatus, GrantState, RecipientRole, Relation

__all__ = ["DEMO_DATA", "LABEL", "enrich"]

DEMO_DATA: Final = Path(__file__).parent / "demo_data"
"""Folder of the bundled people, as a FHIR R4 bulk export. `carelink.interop.demo_fhir` writes it."""

LABEL: Final = "SYNTHETIC"
"""What names and evidence that were made up begin with."""

_SINCE: Final = parse_instant("2025-03-03T09:00:00Z")
_ENDED: Final = parse_instant("2025-10-01T09:00:00Z")
_PURPOSES: Final = ("care",)
_CHANNELS: Final = ("email", "sms")
_ADULT_FROM: Final = 14
_NOBODY_ASKED, _WITHDRAWN, _EXPIRED = 2, 5, 8
"""Of ten patients, the places of those who get no valid consent, so that refusals can be seen too."""


def enrich(records: Sequence[PatientRecord], today: date) -> tuple[list[PatientRecord], list[GrantRecord]]:
    """Copies of the records with an email address each and, for every second child under 14, a guardian; and grants.

    The dead get a grant as well, so that death is what refuses them. The same records give the same result.

    Args:
        records: patients of a data set that is synthetic.
        today: the day on which a child is under 14.
    """
    enriched, grants, children = [], [], 0
    for number, record in enumerate(records, 1):
        child = not record.deceased and record.birth_date is not None and _under_age(record.birth_date, today)
        children += child
        guarded = child and children % 2 == 1
        related = (*record.related, _guardian(record, number)) if guarded else record.related
        mail = _mail(f"synthetic-{number:03d}@example.invalid")
        enriched.append(attrs.evolve(record, contacts=(*record.contacts, mail), related=related))
        place = 0 if child or record.deceased else number % 10
        if place != _NOBODY_ASKED:
            grants.append(_grant(record, number, RecipientRole.GUARDIAN if guarded else RecipientRole.SELF, place))
    return enriched, grants


def _under_age(born: Personal[date], today: date) -> bool:
    latest = (today.year - _ADULT_FROM, today.month, today.day)
    return born.use(lambda day: (day.year, day.month, day.day) > latest)


def _mail(address: str) -> ContactRecord:
    return ContactRecord(kind=AddressKind.EMAIL, address=Personal(address), status=ContactStatus.VALID)


def _guardian(record: PatientRecord, number: int) -> RelatedRecord:
    """Reached at the child's own phone numbers, as parents are, and at an invented mailbox."""
    phones = tuple(contact for contact in record.contacts if contact.kind is AddressKind.PHONE)
    return RelatedRecord(
        name=Personal(f"{LABEL} guardian {number:03d}"),
        relation=Relation.PARENT,
        contacts=(*phones, _mail(f"synthetic-guardian-{number:03d}@example.invalid")),
        verified=True,
        acts=True,
        since=_SINCE,
    )


def _grant(record: PatientRecord, number: int, by: RecipientRole, place: int) -> GrantRecord:
    ended: Instant | None = _ENDED if place == _WITHDRAWN else None
    return GrantRecord(
        patient=record.identifiers[0],
        purposes=_PURPOSES,
        channels=_CHANNELS,
        by=by,
        since=_SINCE,
        until=_ENDED if place == _EXPIRED else None,
        evidence=Personal(f"{LABEL} form {number:03d}"),
        state=GrantState.GIVEN if ended is None else GrantState.WITHDRAWN,
        ended_at=ended,
        source=Source(file=LABEL, line=number),
    )
