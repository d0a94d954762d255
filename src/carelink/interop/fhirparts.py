"""FHIR R4 data types that several resources share: names, contact points, references, carelink's own extensions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from carelink.interop.fhirjson import BadError, Node, Reading
from carelink.interop.records import ContactRecord, Fault, Identifier
from carelink.interop.words import tidy
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ContactStatus

__all__ = ["EXTENSIONS", "FHIR_ID", "contacts", "flagged", "human_name", "identifier_system", "patient_reference"]

FHIR_ID: Final = "fhir"
"""Identifier system of the resource id itself."""

EXTENSIONS: Final = "https://carelink.invalid/fhir"
"""Base of carelink's own extensions and code systems; docs/reference/fhir.md lists them."""

_KINDS: Final = {"phone": AddressKind.PHONE, "sms": AddressKind.PHONE, "email": AddressKind.EMAIL}
_NAMES: Final = {"official": 0, "usual": 1, "": 2, "temp": 3, "nickname": 4, "maiden": 5}
"""Uses of a name, the preferred one first."""

_PAST: Final = ("old", "anonymous")
"""Uses of a name that a patient is not called by."""

_UNRANKED: Final = 100
_EASTERN: Final = re.compile(r"[\u2e80-\U0003ffff·•.\s]+")
_REFERENCE: Final = re.compile(r"(?:.*/)?(?P<kind>[A-Z][A-Za-z]+)/(?P<id>[^/\s]+)(?:/_history/[^/\s]+)?")
_UUID: Final = "urn:uuid:"


def human_name(names: Sequence[Node], reading: Reading) -> Personal[str] | None:
    """The name a person goes by: family name first where it is written in Chinese, Japanese or Korean."""
    current = [item for item in names if item.text("use") not in _PAST and not reading.is_over(item.node("period"))]
    for item in sorted(current, key=lambda found: _NAMES.get(found.text("use"), len(_NAMES))):
        family, given = item.text("family"), item.texts("given")
        whole = item.text("text")
        if not whole:
            joined = "".join([family, *given])
            whole = joined if _EASTERN.fullmatch(joined) else " ".join([*given, family])
        if whole.strip():
            name = tidy(whole)
            if name:
                return Personal(name)
            reading.note(Fault.BAD_NAME, item.path)
    return None


def contacts(node: Node, reading: Reading) -> tuple[ContactRecord, ...]:
    """Phone numbers and mail addresses. One that is over stays on record, marked as no longer good."""
    found = []
    for place, item in enumerate(node.nodes("telecom")):
        system, value = item.text("system"), item.text("value")
        if value and not system:
            reading.note(Fault.MISSING, f"{item.path}.system")
        kind = _KINDS.get(system)
        if kind is None or not value:
            continue
        rank = item.number("rank")
        verified = item.extension(f"{EXTENSIONS}/verified")
        at = None if verified is None else verified.start("valueDateTime", reading.days)
        status = ContactStatus.UNVERIFIED if at is None else ContactStatus.VALID
        if item.text("use") == "old" or reading.is_over(item.node("period")):
            at, status = None, ContactStatus.INVALID
        found.append(
            ContactRecord(
                kind=kind,
                address=Personal(value),
                status=status,
                verified_at=at,
                rank=_UNRANKED + place if rank is None else rank,
            )
        )
    # The same number may stand there as the old home and as the new mobile: the good one counts.
    return tuple(sorted(found, key=lambda contact: contact.status is ContactStatus.INVALID))


def patient_reference(node: Node, key: str) -> Identifier:
    """The patient a resource is about: by resource id, or by an identifier if that is all the reference has."""
    target = node.node(key)
    text = "" if target is None else target.text("reference")
    if text.startswith(_UUID):
        return FHIR_ID, Personal(text.removeprefix(_UUID))
    match = _REFERENCE.fullmatch(text)
    if match is not None and match["kind"] == "Patient":
        return FHIR_ID, Personal(match["id"])
    if text:
        raise BadError(Fault.BAD_VALUE, f"{node.path}.{key}.reference", "write Patient/<id>")
    named = None if target is None else target.node("identifier")
    if named is None or not named.text("value"):
        raise BadError(Fault.MISSING, f"{node.path}.{key}.reference")
    return identifier_system(named), Personal(named.text("value"))


def identifier_system(node: Node) -> str:
    """`mrn` for a medical record number, else the system's own name."""
    if "MR" in node.codes("type"):
        return "mrn"
    return node.text("system").replace("|", "/")


def flagged(node: Node, name: str) -> bool:
    """Whether one of carelink's own yes-or-no extensions says yes."""
    found = node.extension(f"{EXTENSIONS}/{name}")
    return found is not None and found.flag("valueBoolean") is True
