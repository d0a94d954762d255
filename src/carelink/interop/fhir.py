"""FHIR R4 bulk NDJSON: Patient, RelatedPerson, Consent. One line at a time, plain or gzipped.

A line that is not JSON, not of the right resource type, or has a value of the wrong type is reported by file and line
and left out; every other line is kept. Mapping: docs/reference/fhir.md.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from carelink.errors import CarelinkError, InvalidInputError
from carelink.interop.records import (
    ContactRecord,
    Fault,
    GrantRecord,
    Identifier,
    PatientRecord,
    Problem,
    RelatedRecord,
    Source,
)
from carelink.model.moment import Instant, from_datetime
from carelink.model.scope import Scope
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AddressKind,
    ContactStatus,
    DisclosureScope,
    GrantState,
    RecipientRole,
    Relation,
)

__all__ = ["EXTENSIONS", "FHIR_ID", "read_fhir"]

FHIR_ID: Final = "fhir"
"""Identifier system of the resource id itself."""

EXTENSIONS: Final = "https://carelink.invalid/fhir"
"""Base of carelink's own extensions and code systems; docs/reference/fhir.md lists them."""

_MAX_LINE: Final = 1 << 20
_TIMEZONE: Final = "http://hl7.org/fhir/StructureDefinition/timezone"
_RELATIONS: Final = {
    "GUARD": Relation.GUARDIAN, "PRN": Relation.PARENT, "MTH": Relation.PARENT, "FTH": Relation.PARENT,
    "SPS": Relation.SPOUSE, "CHILD": Relation.CHILD, "SIB": Relation.SIBLING,
}  # fmt: skip
_REASONS: Final = {"TREAT": "care", "HMARKT": "marketing", "HRESCH": "research"}
_TYPES: Final = ("RelatedPerson", "Patient", "Consent")

Record = PatientRecord | GrantRecord | Problem
Progress = Callable[[int, int], None]


class _BadError(Exception):
    """A value of the wrong type; carries the field's path and nothing else."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


class _Node:
    """Typed access to a JSON object; a value of the wrong type names its path."""

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, dict):
            raise _BadError(path)
        self._data, self._path = data, path

    def text(self, key: str) -> str:
        value = self._data.get(key, "")
        if not isinstance(value, str):
            raise _BadError(f"{self._path}.{key}")
        return value.strip()

    def flag(self, key: str) -> bool | None:
        value = self._data.get(key)
        if value is not None and not isinstance(value, bool):
            raise _BadError(f"{self._path}.{key}")
        return value

    def number(self, key: str, default: int) -> int:
        value = self._data.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise _BadError(f"{self._path}.{key}")
        return value

    def node(self, key: str) -> _Node | None:
        return None if self._data.get(key) is None else _Node(self._data[key], f"{self._path}.{key}")

    def nodes(self, key: str) -> list[_Node]:
        value = self._data.get(key, [])
        if not isinstance(value, list):
            raise _BadError(f"{self._path}.{key}")
        return [_Node(item, f"{self._path}.{key}") for item in value]

    def texts(self, key: str) -> list[str]:
        value = self._data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise _BadError(f"{self._path}.{key}")
        return [item.strip() for item in value]

    def instant(self, key: str) -> Instant | None:
        """A FHIR date, dateTime or instant; a date is its first microsecond in UTC."""
        text = self.text(key)
        if not text:
            return None
        moment: datetime | None = None
        try:
            moment = datetime.fromisoformat(text if "T" in text else f"{text}T00:00:00+00:00")
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise _BadError(f"{self._path}.{key}")
        return from_datetime(moment)

    def extension(self, url: str) -> _Node | None:
        return next((node for node in self.nodes("extension") if node.text("url") == url), None)

    def extensions(self, url: str) -> list[_Node]:
        return [node for node in self.nodes("extension") if node.text("url") == url]


def _open(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _lines(path: Path, progress: Progress | None) -> Iterator[tuple[int, bytes | None]]:
    """Physical lines with their numbers; None for one that is too long to be a resource, or where the file breaks."""
    total, number = path.stat().st_size, 0
    with _open(path) as file:
        while True:
            number += 1
            try:
                line = file.readline(_MAX_LINE + 1)
            except (EOFError, OSError, zlib.error):
                yield number, None
                return
            if not line:
                return
            if len(line) > _MAX_LINE:
                while len(line) > _MAX_LINE and not line.endswith(b"\n"):
                    line = file.readline(_MAX_LINE + 1)
                yield number, None
                continue
            if progress is not None and number % 1000 == 0:
                progress(getattr(file, "fileobj", file).tell() if path.suffix != ".gz" else 0, total)
            if line.strip():
                yield number, line


def _resources(path: Path, kind: str, progress: Progress | None) -> Iterator[tuple[Source, _Node] | Problem]:
    seen: set[str] = set()
    for number, line in _lines(path, progress):
        source, node, code, field = Source(path.name, number), None, None, ""
        if line is None:
            yield Problem(file=path.name, line=number, code=Fault.LINE_TOO_LONG)
            continue
        try:
            node = _Node(json.loads(line.decode("utf-8")), kind)
            if node.text("resourceType") != kind:
                code = Fault.WRONG_RESOURCE_TYPE
            elif not node.text("id"):
                code = Fault.MISSING_ID
            elif node.text("id") in seen:
                code = Fault.DUPLICATE_ID
        except UnicodeDecodeError:
            code = Fault.NOT_UTF8
        except _BadError as bad:
            code, field = Fault.WRONG_TYPE, bad.field
        except (ValueError, RecursionError):
            code = Fault.NOT_JSON
        if code is not None or node is None:
            yield Problem(file=path.name, line=number, code=code or Fault.NOT_JSON, field=field)
            continue
        seen.add(node.text("id"))
        yield source, node


def _identifiers(node: _Node) -> tuple[Identifier, ...]:
    found: list[Identifier] = [(FHIR_ID, Personal(node.text("id")))]
    for item in node.nodes("identifier"):
        value, system = item.text("value"), item.text("system")
        kind = item.node("type")
        codes = [coding.text("code") for coding in kind.nodes("coding")] if kind is not None else []
        if not value:
            continue
        if "MR" in codes:
            found.append(("mrn", Personal(value)))
        elif system:
            found.append((system.replace("|", "/"), Personal(value)))
    return tuple(found)


def _name(node: _Node) -> Personal[str] | None:
    names = node.nodes("name")
    names.sort(key=lambda item: {"official": 0, "usual": 1}.get(item.text("use"), 2))
    for item in names:
        if item.text("text"):
            return Personal(item.text("text"))
        family, given = item.text("family"), item.texts("given")
        whole = "".join([family, *given])
        if whole:
            eastern = all(ord(mark) > 0x2E7F for mark in whole if not mark.isspace())  # noqa: PLR2004  CJK blocks
            return Personal(whole if eastern else " ".join([*given, family]).strip())
    return None


def _contacts(node: _Node, now: Instant | None = None) -> tuple[ContactRecord, ...]:
    del now
    found = []
    for place, item in enumerate(node.nodes("telecom")):
        system, value = item.text("system"), item.text("value")
        period = item.node("period")
        ended = period is not None and bool(period.text("end"))
        kind = {"phone": AddressKind.PHONE, "sms": AddressKind.PHONE, "email": AddressKind.EMAIL}.get(system)
        if kind is None or not value or ended or item.text("use") == "old":
            continue
        rank = item.number("rank", 100 + place)
        verified = item.extension(f"{EXTENSIONS}/verified")
        at = verified.instant("valueDateTime") if verified is not None else None
        status = ContactStatus.UNVERIFIED if at is None else ContactStatus.VALID
        found.append(ContactRecord(kind=kind, address=Personal(value), status=status, verified_at=at, rank=rank))
    return tuple(found)


def _patient_reference(node: _Node, key: str) -> str:
    target = node.node(key)
    reference = target.text("reference") if target is not None else ""
    if not reference:
        raise _BadError(f"{key}.reference")
    return reference.rpartition("/")[2]


def _birth_date(node: _Node) -> tuple[Personal[date] | None, bool]:
    """The birth date, and whether one was given that is too coarse to work out an age from."""
    text = node.text("birthDate")
    if not text:
        return None, False
    try:
        return Personal(date.fromisoformat(text)), False
    except ValueError:
        pass
    if len(text) in (4, 7) and text.replace("-", "").isdecimal():
        return None, True
    raise _BadError("Patient.birthDate")


def _related(node: _Node) -> tuple[str, RelatedRecord]:
    codes = [c.text("code") for kind in node.nodes("relationship") for c in kind.nodes("coding")]
    relation = next((_RELATIONS[code] for code in codes if code in _RELATIONS), Relation.OTHER)
    acts, verified = node.extension(f"{EXTENSIONS}/acts"), node.extension(f"{EXTENSIONS}/verified")
    scopes = []
    for item in node.extensions(f"{EXTENSIONS}/scope"):
        if item.text("valueCode") not in {scope.value for scope in DisclosureScope}:
            raise _BadError("RelatedPerson.extension.scope")
        scopes.append(DisclosureScope(item.text("valueCode")))
    period = node.node("period")
    name = _name(node)
    if name is None:
        raise _BadError("RelatedPerson.name")
    return _patient_reference(node, "patient"), RelatedRecord(
        name=name,
        relation=relation,
        contacts=_contacts(node),
        verified=verified is not None and verified.flag("valueBoolean") is True,
        acts=(acts is not None and acts.flag("valueBoolean") is True) or relation is Relation.GUARDIAN,
        scopes=tuple(scopes),
        since=None if period is None else period.instant("start"),
        until=None if period is None else period.instant("end"),
    )


def _patient(source: Source, node: _Node, related: tuple[RelatedRecord, ...]) -> Iterator[Record]:
    born, coarse = _birth_date(node)
    if coarse:
        yield Problem(file=source.file, line=source.line, code=Fault.DATE_PARTIAL, field="Patient.birthDate",
                      hint="the age counts as unknown", lost=False)  # fmt: skip
    languages = list(node.nodes("communication"))
    languages.sort(key=lambda item: item.flag("preferred") is not True)
    language = ""
    if languages:
        concept = languages[0].node("language")
        codings = concept.nodes("coding") if concept is not None else []
        language = codings[0].text("code") if codings else ""
    zone = node.extension(_TIMEZONE)
    replaced = [link.node("other") for link in node.nodes("link") if link.text("type") == "replaced-by"]
    same_as: Identifier | None = None
    if replaced and replaced[0] is not None:
        same_as = (FHIR_ID, Personal(replaced[0].text("reference").rpartition("/")[2]))
    yield PatientRecord(
        identifiers=_identifiers(node),
        name=_name(node),
        birth_date=born,
        deceased=node.flag("deceasedBoolean") is True or bool(node.text("deceasedDateTime")),
        language=language,
        zone="" if zone is None else zone.text("valueCode"),
        contacts=_contacts(node),
        related=related,
        same_as=same_as,
        source=source,
    )


def _consent(source: Source, node: _Node) -> GrantRecord:
    provision = node.node("provision")
    if provision is None:
        raise _BadError("Consent.provision")
    purposes = []
    for coding in provision.nodes("purpose"):
        code = coding.text("code")
        purposes.append(code if coding.text("system") == f"{EXTENSIONS}/purpose" else _REASONS.get(code, code))
    channels = [item.text("valueCode") for item in node.extensions(f"{EXTENSIONS}/channel")] or ["email", "sms"]
    bad = False
    try:
        Scope(tuple(purposes), tuple(channels))
    except InvalidInputError:
        bad = True
    if bad or not purposes:
        raise _BadError("Consent.provision.purpose")
    evidence = _evidence(node)
    period = provision.node("period")
    status, kind = node.text("status"), provision.text("type") or "permit"
    given = status == "active" and kind == "permit"
    by, separate = node.extension(f"{EXTENSIONS}/by"), node.extension(f"{EXTENSIONS}/separate")
    notice, ended = node.extension(f"{EXTENSIONS}/notice"), node.extension(f"{EXTENSIONS}/ended")
    role = RecipientRole.GUARDIAN if by is not None and by.text("valueCode") == "guardian" else RecipientRole.SELF
    return GrantRecord(
        patient=(FHIR_ID, Personal(_patient_reference(node, "patient"))),
        purposes=tuple(purposes),
        channels=tuple(channels),
        by=role,
        since=(None if period is None else period.instant("start")) or node.instant("dateTime"),
        until=None if period is None else period.instant("end"),
        separate=separate is not None and separate.flag("valueBoolean") is True,
        notice="" if notice is None else notice.text("valueString"),
        evidence=Personal(evidence),
        state=GrantState.GIVEN if given else GrantState.WITHDRAWN,
        ended_at=None if ended is None else ended.instant("valueDateTime"),
        source=source,
    )


def _evidence(node: _Node) -> str:
    reference, attachment = node.node("sourceReference"), node.node("sourceAttachment")
    found = ""
    if reference is not None:
        found = reference.text("reference")
    elif attachment is not None:
        found = attachment.text("title") or attachment.text("url")
    if not found:
        raise _BadError("Consent.source")
    return found


def _files(folder: Path, kind: str) -> list[Path]:
    if folder.is_file():
        return [folder] if folder.name.startswith(kind) else []
    return sorted(path for path in folder.glob(f"{kind}*.ndjson*") if path.suffix in (".ndjson", ".gz"))


def read_fhir(folder: Path, *, progress: Progress | None = None) -> Iterator[Record]:
    """Records and problems of a bulk export: related persons are read first, then patients, then consents.

    Raises:
        InvalidInputError: there is no Patient file here.
    """
    if not _files(folder, "Patient"):
        raise InvalidInputError("there is no Patient*.ndjson or .ndjson.gz here")
    related: dict[str, list[RelatedRecord]] = {}
    for kind in _TYPES:
        for path in _files(folder, kind):
            for item in _resources(path, kind, progress):
                if isinstance(item, Problem):
                    yield item
                    continue
                source, node = item
                records, field = _convert(kind, source, node, related)
                if field:
                    yield Problem(file=source.file, line=source.line, code=Fault.WRONG_TYPE, field=field)
                yield from records


def _convert(
    kind: str, source: Source, node: _Node, related: dict[str, list[RelatedRecord]]
) -> tuple[list[Record], str]:
    try:
        if kind == "RelatedPerson":
            patient, person = _related(node)
            related.setdefault(patient, []).append(person)
            return [], ""
        if kind == "Patient":
            return list(_patient(source, node, tuple(related.get(node.text("id"), ())))), ""
        return [_consent(source, node)], ""
    except _BadError as bad:
        return [], bad.field
    except (CarelinkError, ValueError):
        return [], kind
