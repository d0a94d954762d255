"""FHIR R4 bulk exports: Patient, RelatedPerson, Consent as NDJSON, plain or gzipped, a file or many of each type.

A line that cannot be used is reported by file and line; every other line is kept. Mapping: docs/reference/fhir.md.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from carelink.errors import InvalidInputError
from carelink.interop.dates import Days
from carelink.interop.fhirconsent import consent
from carelink.interop.fhirjson import BadError, Node, Reading, parse
from carelink.interop.fhirparts import EXTENSIONS, FHIR_ID
from carelink.interop.fhirpatient import patient
from carelink.interop.fhirrelated import related_person
from carelink.interop.lines import Line, Meter, Progress, read_lines
from carelink.interop.records import Fault, GrantRecord, PatientRecord, Problem, RelatedRecord, Source
from carelink.interop.seen import Seen
from carelink.model.moment import Instant

__all__ = ["CONSENTS", "EXTENSIONS", "FHIR_ID", "PEOPLE", "read_fhir", "stream_fhir"]

PEOPLE: Final = ("Patient", "RelatedPerson")
"""Resource types that say who people are, in the order in which they must be read."""

CONSENTS: Final = ("Consent",)
"""Resource types that say what people agreed to."""

Record = PatientRecord | RelatedRecord | GrantRecord


def stream_fhir(
    folder: Path,
    kinds: Sequence[str],
    *,
    zone: str = "",
    channels: Sequence[str] = (),
    now: Instant | None = None,
    progress: Progress | None = None,
) -> Iterator[Record | Problem]:
    """Records and problems, type by type in the order of `kinds`, line by line. Holds one line in memory, and a hash of
    each id.

    Args:
        folder: an export folder, or one file of it.
        kinds: some of Patient, RelatedPerson, Consent; files of the first one must be there.
        zone: IANA zone in which dates are days; UTC if empty.
        channels: channel kinds of a Consent that names none.
        now: for telling which addresses and names are over; without it, all that have an end are.
        progress: called with bytes read and bytes in all.

    Raises:
        InvalidInputError: no file of the first type is here.
        OSError: a file cannot be read.
    """
    files = {kind: _files(folder, kind) for kind in kinds}
    if not files[kinds[0]]:
        raise InvalidInputError(f"there is no {kinds[0]}.ndjson or {kinds[0]}.ndjson.gz here")
    meter = Meter(sum(path.stat().st_size for paths in files.values() for path in paths), progress)
    for kind, paths in files.items():
        seen = Seen()
        for path in paths:
            for line in read_lines(path, meter):
                reading = Reading(Source(path.name, line.number), Days(zone), now)
                yield from _resource(line, kind, reading, seen, channels)


def read_fhir(folder: Path, *, progress: Progress | None = None) -> Iterator[PatientRecord | GrantRecord | Problem]:
    """A whole export at once, each patient with the related persons that name it. These are held in memory: for an
    export of any size see `stream_fhir`.

    Raises:
        InvalidInputError: there is no Patient file here.
        OSError: a file cannot be read.
    """
    people: dict[str, list[RelatedRecord]] = {}
    if _files(folder, "RelatedPerson") and folder.is_dir():
        for item in stream_fhir(folder, ("RelatedPerson",)):
            if isinstance(item, RelatedRecord) and item.patient is not None:
                people.setdefault(item.patient[1].reveal("match"), []).append(item)
            elif isinstance(item, Problem):
                yield item
    for item in stream_fhir(folder, ("Patient", *CONSENTS), progress=progress):
        if isinstance(item, PatientRecord):
            names = [value.reveal("match") for system, value in item.identifiers if system == FHIR_ID]
            more = [person for name in names for person in people.pop(name, ())]
            yield attrs.evolve(item, related=(*item.related, *more)) if more else item
        elif not isinstance(item, RelatedRecord):
            yield item
    for person in (person for found in people.values() for person in found):
        if person.source is not None:
            yield Problem(
                file=person.source.file,
                line=person.source.line,
                code=Fault.NO_SUCH_PATIENT,
                field="RelatedPerson.patient",
            )


def _files(folder: Path, kind: str) -> list[Path]:
    """Files of one resource type: its name stands alone between dots, dashes or underscores."""
    places = [folder] if folder.is_file() else folder.iterdir() if folder.is_dir() else []
    return sorted(path for path in places if _holds(path.name, kind) and path.is_file())


def _holds(name: str, kind: str) -> bool:
    stem = name.removesuffix(".gz")
    return stem.endswith(".ndjson") and kind in re.split(r"[._-]", stem)


def _resource(
    line: Line, kind: str, reading: Reading, seen: Seen, channels: Sequence[str]
) -> Iterator[Record | Problem]:
    """What one line gives. Whatever was made of it before something turned out to be wrong stands."""
    bad: BadError | None = None
    if line.fault is not None:
        bad = BadError(line.fault)
    else:
        source = _made(line, kind, reading, seen, channels)
        while True:
            try:
                record = next(source, None)
            except BadError as error:
                bad = BadError(error.code, error.field, error.hint)
                break
            if record is None:
                break
            yield record
    yield from reading.problems
    if bad is not None:
        place = reading.source
        yield Problem(file=place.file, line=place.line, code=bad.code, field=bad.field, hint=bad.hint)


def _made(line: Line, kind: str, reading: Reading, seen: Seen, channels: Sequence[str]) -> Iterator[Record]:
    node = parse(line.data.removeprefix(codecs.BOM_UTF8) if line.number == 1 else line.data, kind)
    key = node.text("id")
    if not key:
        raise BadError(Fault.MISSING_ID, f"{kind}.id")
    if key in seen:
        raise BadError(Fault.DUPLICATE_ID, f"{kind}.id")
    yield from _converted(node, kind, reading, channels)
    seen.add(key)


def _converted(node: Node, kind: str, reading: Reading, channels: Sequence[str]) -> Iterable[Record]:
    if kind == "Patient":
        return [patient(node, reading)]
    if kind == "RelatedPerson":
        return [related_person(node, reading)]
    return consent(node, reading, channels)
