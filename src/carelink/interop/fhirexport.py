"""A person's record as FHIR R4: Patient, RelatedPerson and Consent, in the form that carelink's own import reads.

What is restricted, not readable or erased is left out. Mapping: docs/reference/fhir.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from carelink.interop.fhirparts import EXTENSIONS, FHIR_ID
from carelink.model.moment import Instant, iso
from carelink.rights.person import HeldConsent, HeldContact, HeldRelated, Person, Sealed
from carelink.vault.canonical import RESIDENT_ID
from carelink.vocabulary import AddressKind, ContactStatus, GrantState, Relation, Standing

__all__ = ["fhir_files"]

Resource = dict[str, Any]

_CODES: Final = "http://terminology.hl7.org/CodeSystem"
_TIMEZONE: Final = "http://hl7.org/fhir/StructureDefinition/timezone"
_RESIDENT: Final = "urn:oid:2.16.156.10011.1.3"
_SYSTEMS: Final = {AddressKind.PHONE: "phone", AddressKind.EMAIL: "email", AddressKind.CHAT: "other"}
_RELATIONS: Final = {
    Relation.PARENT: "PRN", Relation.GUARDIAN: "GUARD", Relation.SPOUSE: "SPS", Relation.CHILD: "CHILD",
    Relation.SIBLING: "SIB", Relation.OTHER: "FAMMEMB",
}  # fmt: skip
_STATUSES: Final = {GrantState.GIVEN: "active", GrantState.REVOKED: "entered-in-error"}


def fhir_files(person: Person) -> dict[str, bytes]:
    """File name to NDJSON, for each resource type that there is something of."""
    made = {
        "Patient.ndjson": [_patient(person)],
        "RelatedPerson.ndjson": [_related(person, each) for each in person.related if each.name.value is not None],
        "Consent.ndjson": [_consent(person, each) for each in person.consents if each.evidence.value is not None],
    }
    return {
        name: "".join(f"{json.dumps(each, ensure_ascii=False, separators=(',', ':'))}\n" for each in resources).encode()
        for name, resources in made.items()
        if resources
    }


def _filled(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if value not in (None, "", [], {})}


def _text(sealed: Sealed) -> str:
    return "" if sealed.value is None else sealed.value.reveal("export for the person")


def _extension(name: str, kind: str, value: object) -> Resource:
    return {"url": f"{EXTENSIONS}/{name}", f"value{kind}": value}


def _id(person: Person) -> str:
    """The id it came with, if it came from FHIR; else the record's own."""
    for identifier in person.identifiers:
        system, _, value = _text(identifier).partition("|")
        if system == FHIR_ID:
            return value
    return person.patient


def _identifiers(person: Person) -> Iterator[Resource]:
    for identifier in person.identifiers:
        system, _, value = _text(identifier).partition("|")
        if system == "mrn":
            yield {"type": {"coding": [{"system": f"{_CODES}/v2-0203", "code": "MR"}]}, "value": value}
        elif system and system != FHIR_ID:
            yield {"system": _RESIDENT if system == RESIDENT_ID else system, "value": value}


def _telecom(contact: HeldContact) -> Resource | None:
    if contact.address.value is None:
        return None
    gone = contact.status in (ContactStatus.INVALID, ContactStatus.RECYCLED)
    verified = contact.status is ContactStatus.VALID and contact.verified_at is not None
    return _filled(
        {
            "extension": [_extension("verified", "DateTime", iso(contact.verified_at))]
            if verified and contact.verified_at is not None
            else [],
            "system": _SYSTEMS[contact.kind],
            "value": _text(contact.address),
            "use": "old" if gone else "",
        }
    )


def _patient(person: Person) -> Resource:
    name = _text(person.name)
    return _filled(
        {
            "resourceType": "Patient",
            "id": _id(person),
            "extension": [{"url": _TIMEZONE, "valueCode": person.zone}] if person.zone else [],
            "identifier": list(_identifiers(person)),
            "active": True,
            "name": [{"use": "official", "text": name}] if name else [],
            "telecom": list(filter(None, map(_telecom, person.contacts))),
            "birthDate": _text(person.birth_date),
            "deceasedBoolean": True if person.standing is Standing.DECEASED else None,
            "communication": [
                {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": person.language}]}, "preferred": True}
            ]
            if person.language
            else [],
        }
    )


def _period(since: Instant | None, until: Instant | None) -> Resource:
    return _filled({"start": "" if since is None else iso(since), "end": "" if until is None else iso(Instant(until))})


def _related(person: Person, relative: HeldRelated) -> Resource:
    return _filled(
        {
            "resourceType": "RelatedPerson",
            "id": relative.id,
            "extension": [
                _extension("acts", "Boolean", relative.acts),
                _extension("verified", "Boolean", relative.verified),
                *(_extension("scope", "Code", scope.value) for scope in relative.scopes),
            ],
            "active": True,
            "patient": {"reference": f"Patient/{_id(person)}"},
            "relationship": [{"coding": [{"system": f"{_CODES}/v3-RoleCode", "code": _RELATIONS[relative.relation]}]}],
            "name": [{"text": _text(relative.name)}],
            "telecom": list(filter(None, map(_telecom, relative.contacts))),
            "period": _period(relative.since, relative.until),
        }
    )


def _consent(person: Person, consent: HeldConsent) -> Resource:
    ended = [] if consent.ended_at is None else [_extension("ended", "DateTime", iso(consent.ended_at))]
    return _filled(
        {
            "resourceType": "Consent",
            "id": consent.id,
            "extension": [
                *(_extension("channel", "Code", channel) for channel in consent.channels if channel != "*"),
                *([_extension("by", "Code", consent.by.value)] if consent.by.value in ("self", "guardian") else []),
                *([_extension("separate", "Boolean", value=True)] if consent.separate else []),
                *([_extension("notice", "String", consent.notice)] if consent.notice else []),
                *ended,
            ],
            "status": _STATUSES.get(consent.state, "inactive"),
            "scope": {"coding": [{"system": f"{_CODES}/consentscope", "code": "patient-privacy"}]},
            "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
            "patient": {"reference": f"Patient/{_id(person)}"},
            "dateTime": iso(consent.since),
            "sourceAttachment": {"title": _text(consent.evidence)},
            "provision": {
                "type": "permit",
                "period": _period(consent.since, consent.until),
                "purpose": [{"system": f"{EXTENSIONS}/purpose", "code": purpose} for purpose in consent.purposes],
            },
        }
    )
