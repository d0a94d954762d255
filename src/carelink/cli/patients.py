"""`carelink patients import|count`: bulk FHIR NDJSON or CSV in; bad rows by line, the rest imported."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.interop.records import PatientRecord

__all__ = ["add", "import_records", "run_import"]

_BATCH = 500
_SHOWN = 20


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("patients", help="import patients")
    verbs = parser.add_subparsers(dest="verb", required=True)
    importer = verbs.add_parser("import", help="FHIR R4 bulk NDJSON (also .gz), or CSV in UTF-8 or GB18030")
    source = importer.add_mutually_exclusive_group(required=True)
    source.add_argument("--fhir", type=Path, metavar="DIR")
    source.add_argument("--csv", type=Path, metavar="FILE")
    importer.add_argument("--map", type=Path, metavar="FILE", help="TOML: column name = field")
    importer.add_argument("--check", action="store_true", help="read and report; change nothing")
    importer.set_defaults(run=run_import)


def _contact_inputs(record: PatientRecord) -> tuple[ContactInput, ...]:
    return tuple(
        ContactInput(
            kind=contact.kind,
            address=contact.address,
            status=contact.status,
            verified_at=contact.verified_at,
            rank=contact.rank,
        )
        for contact in record.contacts
    )


def to_input(record: PatientRecord) -> PatientInput:
    """What the registration takes, from what a reader found."""
    return PatientInput(
        identifiers=record.identifiers,
        name=record.name,
        birth_date=record.birth_date,
        deceased=record.deceased,
        language=record.language,
        zone=record.zone,
        contacts=_contact_inputs(record),
        related=tuple(
            RelatedInput(
                name=person.name,
                relation=person.relation,
                contacts=tuple(
                    ContactInput(
                        kind=c.kind, address=c.address, status=c.status, verified_at=c.verified_at, rank=c.rank
                    )
                    for c in person.contacts
                ),
                verified=person.verified,
                acts=person.acts,
                scopes=person.scopes,
                since=person.since,
                until=person.until,
            )
            for person in record.related
        ),
    )


def _batches(items: Iterable[PatientRecord], size: int) -> Iterator[list[PatientRecord]]:
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch
