"""FHIR R4 RelatedPerson, and the persons in Patient.contact: guardians and family.

Being somebody's mother is no power to act for them, and being named is no proof: `acts` comes with the code GUARD or
carelink's own extension, `verified` with the extension alone.
"""

from __future__ import annotations

from typing import Final

from carelink.interop.fhirjson import BadError, Node, Reading
from carelink.interop.fhirparts import EXTENSIONS, contacts, flagged, human_name, patient_reference
from carelink.interop.records import Fault, RelatedRecord
from carelink.vault.personal import Personal
from carelink.vocabulary import DisclosureScope, Relation

__all__ = ["contact_persons", "related_person"]

_RELATIONS: Final = {
    "GUARD": Relation.GUARDIAN,
    "PRN": Relation.PARENT, "MTH": Relation.PARENT, "FTH": Relation.PARENT, "NMTH": Relation.PARENT,
    "NFTH": Relation.PARENT, "NPRN": Relation.PARENT, "ADOPTP": Relation.PARENT, "STPPRN": Relation.PARENT,
    "STPMTH": Relation.PARENT, "STPFTH": Relation.PARENT, "PRNFOST": Relation.PARENT,
    "SPS": Relation.SPOUSE, "HUSB": Relation.SPOUSE, "WIFE": Relation.SPOUSE, "DOMPART": Relation.SPOUSE,
    "CHILD": Relation.CHILD, "SON": Relation.CHILD, "DAU": Relation.CHILD, "NCHILD": Relation.CHILD,
    "SONC": Relation.CHILD, "DAUC": Relation.CHILD, "CHLDADOPT": Relation.CHILD, "STPCHLD": Relation.CHILD,
    "SIB": Relation.SIBLING, "BRO": Relation.SIBLING, "SIS": Relation.SIBLING, "NSIB": Relation.SIBLING,
    "NBRO": Relation.SIBLING, "NSIS": Relation.SIBLING, "HSIB": Relation.SIBLING, "STPSIB": Relation.SIBLING,
}  # fmt: skip
"""v3-RoleCode to relation; any other code is `other`."""

_NOBODY: Final = frozenset({"E", "F", "I", "S", "O", "U"})
"""v2-0131: employers, agencies and insurers are no family."""


def related_person(node: Node, reading: Reading) -> RelatedRecord:
    """A RelatedPerson. One that is no longer active is taken in without any power.

    Raises:
        BadError: it has no name, names no patient, or a value has the wrong type.
    """
    name = human_name(node.nodes("name"), reading)
    patient = patient_reference(node, "patient")
    if name is None:
        raise BadError(Fault.MISSING, "RelatedPerson.name")
    relation, active = _relation(node), node.flag("active") is not False
    period = node.node("period")
    return RelatedRecord(
        name=name,
        relation=relation,
        contacts=contacts(node, reading),
        verified=active and flagged(node, "verified"),
        acts=active and (flagged(node, "acts") or relation is Relation.GUARDIAN),
        scopes=_scopes(node) if active else (),
        since=None if period is None else period.start("start", reading.days),
        until=None if period is None else period.end("end", reading.days),
        patient=patient,
        key=Personal(f"RelatedPerson/{node.text('id')}"),
        source=reading.source,
    )


def contact_persons(node: Node, reading: Reading) -> tuple[RelatedRecord, ...]:
    """The persons among Patient.contact: next of kin, emergency contacts, guardians."""
    found = []
    for item in node.nodes("contact"):
        codes = item.codes("relationship")
        named = item.node("name")
        if named is None or (codes and _NOBODY.issuperset(codes)):
            if "GUARD" in codes:
                reading.note(Fault.MISSING, f"{item.path}.name", "the guardian was left out")
            continue
        name = human_name([named], reading)
        if name is None:
            reading.note(Fault.MISSING, f"{item.path}.name", "the person was left out")
            continue
        relation, period = _relation(item), item.node("period")
        found.append(
            RelatedRecord(
                name=name,
                relation=relation,
                contacts=contacts(item, reading),
                verified=flagged(item, "verified"),
                acts=flagged(item, "acts") or relation is Relation.GUARDIAN,
                scopes=_scopes(item),
                since=None if period is None else period.start("start", reading.days),
                until=None if period is None else period.end("end", reading.days),
            )
        )
    return tuple(found)


def _relation(node: Node) -> Relation:
    """The closest relation that is named; a guardian is one whatever else they are."""
    codes = node.codes("relationship")
    if "GUARD" in codes:
        return Relation.GUARDIAN
    return next((_RELATIONS[code] for code in codes if code in _RELATIONS), Relation.OTHER)


def _scopes(node: Node) -> tuple[DisclosureScope, ...]:
    known = {scope.value: scope for scope in DisclosureScope}
    scopes = []
    for item in node.extensions(f"{EXTENSIONS}/scope"):
        if item.text("valueCode") not in known:
            raise BadError(Fault.BAD_VALUE, f"{node.path}.extension.scope")
        scopes.append(known[item.text("valueCode")])
    return tuple(scopes)
