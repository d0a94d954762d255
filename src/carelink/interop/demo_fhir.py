"""Writes the bundled demo people as a FHIR R4 bulk export: `python -m carelink.interop.demo_fhir FOLDER`.

The same seed gives the same bytes on every machine; tests/unit/interop/test_synthetic.py compares them with the files
in `demo_data`. The extensions are those of docs/reference/fhir.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from carelink.interop.demo_cast import SEED, Consent, Person, cast
from carelink.interop.fhir import EXTENSIONS

__all__ = ["demo_files", "write_demo"]

_TIMEZONE: Final = "http://hl7.org/fhir/StructureDefinition/timezone"
_CODES: Final = "http://terminology.hl7.org/CodeSystem"
_HOSPITAL: Final = "https://hospital.example.invalid"
_TAG: Final = {"tag": [{"system": f"{EXTENSIONS}/demo", "code": "synthetic"}]}
_VERIFIED: Final = "2025-03-03T09:00:00+08:00"

Resource = dict[str, Any]


def _id(number: int) -> str:
    return f"demo-{number:03d}"


def _extension(name: str, kind: str, value: object) -> Resource:
    return {"url": f"{EXTENSIONS}/{name}", f"value{kind}": value}


def _name(person: Person, given: str) -> list[Resource]:
    return [{"use": "official", "family": person.family, "given": [given]}]


def _telecom(phone: str, mail: str) -> list[Resource]:
    """The mail address was verified, the phone number was written down."""
    found: list[Resource] = []
    if phone:
        found.append({"system": "phone", "value": phone, "use": "mobile", "rank": 1})
    if mail:
        verified = [_extension("verified", "DateTime", _VERIFIED)]
        found.append({"extension": verified, "system": "email", "value": mail, "use": "home", "rank": 2})
    return found


def _filled(resource: Resource) -> Resource:
    """Without what is empty: FHIR has no empty values."""
    return {key: value for key, value in resource.items() if value not in ("", [], None)}


def _patient(person: Person) -> Iterator[Resource]:
    kind = {"coding": [{"system": f"{_CODES}/v2-0203", "code": "MR"}]}
    died: Resource = {}
    if person.died:
        died = {"deceasedBoolean": True} if person.died == "true" else {"deceasedDateTime": person.died}
    links = []
    if person.replaced_by is not None:
        links = [{"other": {"reference": f"Patient/{_id(person.replaced_by)}"}, "type": "replaced-by"}]
    language = {"zh": "zh-CN", "en": "en-GB"}[person.language]
    yield _filled(
        {
            "resourceType": "Patient",
            "id": _id(person.number),
            "meta": _TAG,
            "extension": [{"url": _TIMEZONE, "valueCode": person.zone}] if person.zone else [],
            "identifier": [{"type": kind, "system": f"{_HOSPITAL}/mrn", "value": mrn} for mrn in person.mrns],
            "active": person.replaced_by is None,
            "name": _name(person, person.given),
            "telecom": _telecom(person.phone, person.mail),
            "gender": person.gender,
            "birthDate": person.born,
            **died,
            "communication": [
                {"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": language}]}, "preferred": True}
            ],
            "link": links,
        }
    )


def _related(person: Person) -> Iterator[Resource]:
    guardian = person.guardian
    if guardian is None or person.replaced_by is not None:
        return
    yield _filled(
        {
            "resourceType": "RelatedPerson",
            "id": f"{_id(person.number)}-mother",
            "meta": _TAG,
            "extension": [
                _extension("acts", "Boolean", value=True),
                _extension("verified", "Boolean", value=guardian.verified),
            ],
            "active": True,
            "patient": {"reference": f"Patient/{_id(person.number)}"},
            "relationship": [{"coding": [{"system": f"{_CODES}/v3-RoleCode", "code": "MTH"}]}],
            "name": _name(person, guardian.given),
            "telecom": _telecom(guardian.phone, guardian.mail),
        }
    )


def _consent(person: Person, place: int, consent: Consent) -> Resource:
    extensions = [_extension("channel", "Code", channel) for channel in consent.channels]
    extensions.append(_extension("by", "Code", consent.by))
    if consent.separate:
        extensions.append(_extension("separate", "Boolean", value=True))
    if consent.ended:
        extensions.append(_extension("ended", "DateTime", consent.ended))
    who = f"RelatedPerson/{_id(person.number)}-mother" if consent.by == "guardian" else f"Patient/{_id(person.number)}"
    return {
        "resourceType": "Consent",
        "id": f"{_id(person.number)}-consent-{place}",
        "meta": _TAG,
        "extension": extensions,
        "status": "inactive" if consent.ended else "active",
        "scope": {"coding": [{"system": f"{_CODES}/consentscope", "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{_id(person.number)}"},
        "dateTime": consent.since,
        "performer": [{"reference": who}],
        "sourceAttachment": {"title": f"demo registration form {person.number:03d}/{place}"},
        "policy": [{"uri": f"{_HOSPITAL}/privacy-notice/2025-1"}],
        "provision": {
            "type": "permit",
            "period": _filled({"start": consent.since, "end": consent.until}),
            "purpose": [{"system": f"{EXTENSIONS}/purpose", "code": purpose} for purpose in consent.purposes],
        },
    }


def _consents(person: Person) -> Iterator[Resource]:
    for place, consent in enumerate(person.consents, 1):
        yield _consent(person, place, consent)


_FILES: Final[dict[str, Callable[[Person], Iterator[Resource]]]] = {
    "Consent.ndjson": _consents,
    "Patient.ndjson": _patient,
    "RelatedPerson.ndjson": _related,
}


def demo_files(seed: int = SEED) -> dict[str, bytes]:
    """File name to bytes, for a seed."""
    people = list(cast(seed))
    return {
        name: "".join(
            f"{json.dumps(resource, ensure_ascii=False, separators=(',', ':'))}\n"
            for person in people
            for resource in make(person)
        ).encode()
        for name, make in _FILES.items()
    }


def write_demo(folder: Path, seed: int = SEED) -> None:
    """Write the files into a folder that exists, over what stands there."""
    for name, data in demo_files(seed).items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    write_demo(Path(sys.argv[1]))
