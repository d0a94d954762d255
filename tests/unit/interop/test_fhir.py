"""FHIR exports: which files, in which order, and that no good row is lost."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from carelink.errors import InvalidInputError
from carelink.interop.fhir import PEOPLE, read_fhir, stream_fhir
from carelink.interop.records import GrantRecord, PatientRecord, Problem, RelatedRecord


def _line(resource: dict[str, object]) -> str:
    return json.dumps(resource, ensure_ascii=False) + "\n"


def _ids(items) -> list[str]:
    return [item.identifiers[0][1].reveal("test") for item in items if isinstance(item, PatientRecord)]


@pytest.mark.parametrize(
    "name",
    ["Patient.ndjson", "Patient.ndjson.gz", "1.Patient.ndjson", "Patient-0001.ndjson.gz", "Patient_2.ndjson",
     "Patient.000.ndjson", "export.Patient.1.ndjson"],
)  # fmt: skip
def test_names_of_files(fhir, tmp_path: Path, name: str) -> None:
    data = _line(fhir.patient()).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert _ids(stream_fhir(tmp_path, PEOPLE)) == ["p-1"]
    assert _ids(stream_fhir(tmp_path / name, PEOPLE)) == ["p-1"]


@pytest.mark.parametrize(
    "name",
    ["Patients.ndjson", "Patient.json", "Patient.csv", "MyPatient.ndjson", "patient.ndjson", "Patient.ndjson.bak"],
)
def test_other_files_are_not_read(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(InvalidInputError, match=r"there is no Patient\.ndjson"):
        list(stream_fhir(tmp_path, PEOPLE))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError):
        list(stream_fhir(tmp_path / "nowhere", PEOPLE))


def test_patients_come_before_the_persons_who_name_them(fhir, tmp_path: Path) -> None:
    (tmp_path / "Patient-1.ndjson").write_text(_line(fhir.patient()))
    (tmp_path / "Patient-2.ndjson").write_text(_line(fhir.patient(id="p-2")))
    (tmp_path / "RelatedPerson.ndjson").write_text(_line(fhir.related()))
    (tmp_path / "Consent.ndjson").write_text(_line(fhir.consent()))
    kinds = [type(item) for item in stream_fhir(tmp_path, PEOPLE)]
    assert kinds == [PatientRecord, PatientRecord, RelatedRecord]


def test_an_id_is_taken_once_over_all_files(fhir, tmp_path: Path) -> None:
    (tmp_path / "Patient-1.ndjson").write_text(_line(fhir.patient()))
    (tmp_path / "Patient-2.ndjson").write_text(_line(fhir.patient()) + _line(fhir.patient(id="p-2")))
    found = list(stream_fhir(tmp_path, PEOPLE))
    assert _ids(found) == ["p-1", "p-2"]
    assert [str(item) for item in found if isinstance(item, Problem)] == [
        "Patient-2.ndjson:1: duplicate_id in `Patient.id`"
    ]


def test_a_bad_row_does_not_use_up_an_id(fhir) -> None:
    records, problems = fhir.read(fhir.patient(birthDate=1), fhir.patient())
    assert [record.source.line for record in records] == [2]
    assert problems == ["Patient.ndjson:1: wrong_type in `Patient.birthDate`"]


def test_every_kind_of_broken_line(fhir) -> None:
    good = [fhir.patient(id=f"p-{n}") for n in range(9)]
    records, problems = fhir.read(
        good[0], "{", good[1], "", good[2], '{"resourceType":"Patient"}', good[3], '{"resourceType":"Group","id":"g"}',
        good[4], "x" * (2 << 20), good[5], json.dumps(good[0]), good[6], '{"resourceType":"Patient","id":"q","id":"q"}',
        good[7], "\x00" * 9, good[8], "[" * 5000,
    )  # fmt: skip
    assert [record.source.line for record in records] == [1, 3, 5, 7, 9, 11, 13, 15, 17]
    assert problems == [
        "Patient.ndjson:2: not_json",
        "Patient.ndjson:6: missing_id in `Patient.id`",
        "Patient.ndjson:8: wrong_resource_type",
        "Patient.ndjson:10: line_too_long",
        "Patient.ndjson:12: duplicate_id in `Patient.id`",
        "Patient.ndjson:14: duplicate_key",
        "Patient.ndjson:16: not_json",
        "Patient.ndjson:18: not_json",
    ]


def test_byte_order_mark_and_windows_line_ends(fhir, tmp_path: Path) -> None:
    text = "\ufeff" + _line(fhir.patient()) + _line(fhir.patient(id="p-2"))
    (tmp_path / "Patient.ndjson").write_bytes(text.replace("\n", "\r\n").encode())
    assert _ids(stream_fhir(tmp_path, PEOPLE)) == ["p-1", "p-2"]


def test_progress_counts_the_bytes_of_all_files(fhir, tmp_path: Path) -> None:
    (tmp_path / "Patient.ndjson.gz").write_bytes(gzip.compress(_line(fhir.patient()).encode()))
    (tmp_path / "RelatedPerson.ndjson").write_text(_line(fhir.related()))
    seen: list[tuple[int, int]] = []
    list(stream_fhir(tmp_path, PEOPLE, progress=lambda done, total: seen.append((done, total))))
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert len(seen) == 2
    assert seen[-1] == (size, size)


def test_an_export_read_whole_joins_patients_and_their_persons(fhir, tmp_path: Path) -> None:
    (tmp_path / "Patient.ndjson").write_text(
        _line(fhir.patient(contact=[{"name": {"text": "Lin Wei"}}])) + _line(fhir.patient(id="p-2"))
    )
    stray = fhir.related(id="r-3", patient={"reference": "Patient/p-9"})
    (tmp_path / "RelatedPerson.ndjson").write_text(_line(fhir.related()) + "{\n" + _line(stray))
    (tmp_path / "Consent.ndjson").write_text(_line(fhir.consent()))
    found = list(read_fhir(tmp_path))
    assert _ids(found) == ["p-1", "p-2"]
    first, second = (item for item in found if isinstance(item, PatientRecord))
    assert [person.name.reveal("test") for person in first.related] == ["Lin Wei", "Lin Fang"]
    assert second.related == ()
    assert sum(isinstance(item, GrantRecord) for item in found) == 1
    assert [str(item) for item in found if isinstance(item, Problem)] == [
        "RelatedPerson.ndjson:2: not_json",
        "RelatedPerson.ndjson:3: no_such_patient in `RelatedPerson.patient`",
    ]


def test_the_sample_export(fhir_sample: Path) -> None:
    found = list(stream_fhir(fhir_sample, PEOPLE))
    records = [item for item in found if isinstance(item, PatientRecord)]
    assert (len(found), len(records)) == (104, 104)
    assert sum(record.deceased for record in records) == 25
    assert all(record.name is not None and record.birth_date is not None for record in records)
    assert all(len(record.contacts) == 1 and record.language for record in records)
    assert {system for record in records for system, _ in record.identifiers} == {
        "fhir", "mrn", "https://github.com/synthetichealth/synthea",
    }  # fmt: skip
    assert not any(record.zone or record.related or record.same_as for record in records)
