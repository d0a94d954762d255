"""FHIR resources for tests, written to a folder and read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from carelink.interop.fhir import EXTENSIONS, stream_fhir
from carelink.interop.records import Problem

Resource = dict[str, Any]


class Fhir:
    """Makes resources, and reads what lines of them give."""

    MR: ClassVar[Resource] = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MR"}]}
    REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @staticmethod
    def own(name: str, kind: str, value: Any) -> Resource:
        """One of carelink's own extensions."""
        return {"url": f"{EXTENSIONS}/{name}", f"value{kind}": value}

    @staticmethod
    def coded(*codes: str) -> list[Resource]:
        """A list of one CodeableConcept."""
        return [{"coding": [{"code": code} for code in codes]}]

    @staticmethod
    def patient(**more: Any) -> Resource:
        return {"resourceType": "Patient", "id": "p-1", **more}

    @staticmethod
    def related(**more: Any) -> Resource:
        named = {"patient": {"reference": "Patient/p-1"}, "name": [{"text": "Lin Fang"}]}
        return {"resourceType": "RelatedPerson", "id": "r-1", **named, **more}

    def consent(self, *, provision: Any = None, **more: Any) -> Resource:
        return {
            "resourceType": "Consent",
            "id": "c-1",
            "status": "active",
            "extension": [self.own("channel", "Code", "email")],
            "patient": {"reference": "Patient/p-1"},
            "dateTime": "2026-01-15T10:00:00+08:00",
            "sourceReference": {"reference": "DocumentReference/d-1"},
            "provision": {"type": "permit", **self.purposes("TREAT")} if provision is None else provision,
            **more,
        }

    def purposes(self, *codes: str) -> Resource:
        """Purposes: v3-ActReason codes in upper case, carelink's own words in lower case."""
        system = {True: self.REASON, False: f"{EXTENSIONS}/purpose"}
        return {"purpose": [{"system": system[code.isupper()], "code": code} for code in codes]}

    def read(self, *lines: Resource | str, **more: Any) -> tuple[list[Any], list[str]]:
        """Records and problems of one file's lines."""
        kind = next(line["resourceType"] for line in lines if isinstance(line, dict))
        text = "".join(
            (line if isinstance(line, str) else json.dumps(line, ensure_ascii=False)) + "\n" for line in lines
        )
        (self.folder / f"{kind}.ndjson").write_text(text, encoding="utf-8")
        found = list(stream_fhir(self.folder, (kind,), **more))
        records = [item for item in found if not isinstance(item, Problem)]
        return records, [str(item) for item in found if isinstance(item, Problem)]


@pytest.fixture
def fhir(tmp_path: Path) -> Fhir:
    """A folder for resources."""
    return Fhir(tmp_path)
