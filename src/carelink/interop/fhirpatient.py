"""FHIR R4 Patient: who the patient is, how to reach them, whether they are dead, whose record goes on."""

from __future__ import annotations

from datetime import date
from typing import Final

from carelink.interop.dates import is_partial, parse_date
from carelink.interop.fhirjson import Node, Reading
from carelink.interop.fhirparts import FHIR_ID, contacts, human_name, identifier_system, patient_reference
from carelink.interop.fhirrelated import contact_persons
from carelink.interop.records import Fault, Identifier, PatientRecord
from carelink.interop.words import is_language, is_zone
from carelink.vault.canonical import RESIDENT_ID
from carelink.vault.personal import Personal

__all__ = ["patient"]

_TIMEZONE: Final = "http://hl7.org/fhir/StructureDefinition/timezone"
_RESIDENT: Final = "urn:oid:2.16.156.10011.1.3"
"""OID of the Chinese resident identity card."""

_NOT_NEEDED: Final = frozenset({"SS", "DL", "PPN", "TAX", "CZ", "BC", "MCN", "NH"})
"""v2-0203 types of numbers that no outreach needs; they are not taken in (PIPL article 6: no more than is needed)."""

_FULL: Final = 10


def patient(node: Node, reading: Reading) -> PatientRecord:
    """A patient.

    Raises:
        BadError: a value has a type that FHIR R4 does not give it, or nobody can say whether the patient is dead.
    """
    links = [(link.text("type"), link) for link in node.nodes("link")]
    replaced = [patient_reference(link, "other") for kind, link in links if kind == "replaced-by"]
    if node.flag("active") is False and not replaced:
        reading.note(Fault.INACTIVE, "Patient.active")
    return PatientRecord(
        identifiers=_identifiers(node),
        name=human_name(node.nodes("name"), reading),
        birth_date=_birth_date(node, reading),
        deceased=_deceased(node),
        language=_language(node, reading),
        zone=_zone(node, reading),
        contacts=contacts(node, reading),
        related=contact_persons(node, reading),
        same_as=replaced[0] if replaced else None,
        replaces=tuple(patient_reference(link, "other") for kind, link in links if kind == "replaces"),
        source=reading.source,
    )


def _identifiers(node: Node) -> tuple[Identifier, ...]:
    found: list[Identifier] = [(FHIR_ID, Personal(node.text("id")))]
    for item in node.nodes("identifier"):
        value, system = item.text("value"), identifier_system(item)
        if system == _RESIDENT:
            system = RESIDENT_ID
        if value and system and not _NOT_NEEDED.intersection(item.codes("type")):
            found.append((system, Personal(value)))
    return tuple(found)


def _birth_date(node: Node, reading: Reading) -> Personal[date] | None:
    text = node.text("birthDate")
    born = parse_date(text) if len(text) == _FULL else None
    if text and born is None:
        code = Fault.DATE_PARTIAL if is_partial(text) else Fault.BAD_DATE
        reading.note(code, "Patient.birthDate", "the age counts as unknown")
    return None if born is None else Personal(born)


def _deceased(node: Node) -> bool:
    """A date of death that is malformed, or said to be unknown, is one all the same."""
    return node.flag("deceasedBoolean") is True or bool(node.text("deceasedDateTime")) or node.has("_deceasedDateTime")


def _language(node: Node, reading: Reading) -> str:
    spoken = sorted(node.nodes("communication"), key=lambda item: item.flag("preferred") is not True)
    for item in spoken:
        for code in item.codes("language"):
            if is_language(code):
                return code
            reading.note(Fault.BAD_VALUE, f"{item.path}.language", "a language tag such as zh-CN")
    return ""


def _zone(node: Node, reading: Reading) -> str:
    found = node.extension(_TIMEZONE)
    zone = "" if found is None else found.text("valueCode") or found.text("valueString")
    if zone and not is_zone(zone):
        reading.note(Fault.BAD_ZONE, "Patient.extension.timezone", "for example Asia/Shanghai")
        return ""
    return zone
