"""Patients and grants from CSV rows: every field, every way a value can be wrong."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from carelink.errors import InvalidInputError
from carelink.interop.csvcolumns import GRANT_FIELDS, PATIENT_FIELDS, read_map
from carelink.interop.csvfile import read_grants_csv, read_patients_csv
from carelink.interop.records import GrantRecord, PatientRecord, Problem
from carelink.model.moment import iso
from carelink.vocabulary import AddressKind, GrantState, RecipientRole, Relation


def _patients(tmp_path: Path, text: str, **more) -> list[PatientRecord | Problem]:
    path = tmp_path / "p.csv"
    path.write_text(text, encoding="utf-8")
    return list(read_patients_csv(path, **more))


def _patient(tmp_path: Path, names: str, cells: str) -> tuple[PatientRecord | None, list[str]]:
    found = _patients(tmp_path, f"{names}\n{cells}\n")
    records = [item for item in found if isinstance(item, PatientRecord)]
    return (records[0] if records else None), [str(item) for item in found if isinstance(item, Problem)]


def _grants(tmp_path: Path, names: str, cells: str, zone: str = "") -> tuple[GrantRecord | None, list[str]]:
    path = tmp_path / "g.csv"
    path.write_text(f"{names}\n{cells}\n", encoding="utf-8")
    found = list(read_grants_csv(path, zone=zone))
    records = [item for item in found if isinstance(item, GrantRecord)]
    return (records[0] if records else None), [str(item) for item in found if isinstance(item, Problem)]


def test_every_field_of_a_patient(tmp_path: Path) -> None:
    names = (
        "mrn,id.hospital-card,name,birth_date,deceased,language,zone,phone,email,same_as,guardian_name,"
        "guardian_relation,guardian_phone,guardian_email,guardian_verified"
    )
    cells = (
        "M-1,C-9, Lin  Xiaoman ,2015-04-02,no,zh-CN,Asia/Shanghai,13800138000,lin@example.invalid,M-0,Lin Fang,"
        "mother,13800138001,fang@example.invalid,yes"
    )
    record, problems = _patient(tmp_path, names, cells)
    assert problems == []
    assert record is not None
    assert [(system, value.reveal("test")) for system, value in record.identifiers] == [
        ("mrn", "M-1"),
        ("hospital-card", "C-9"),
    ]
    assert record.name is not None
    assert record.name.reveal("test") == "Lin Xiaoman"
    assert record.birth_date is not None
    assert record.birth_date.reveal("test") == date(2015, 4, 2)
    assert (record.deceased, record.language, record.zone) == (False, "zh-CN", "Asia/Shanghai")
    assert [(c.kind, c.address.reveal("test")) for c in record.contacts] == [
        (AddressKind.PHONE, "13800138000"),
        (AddressKind.EMAIL, "lin@example.invalid"),
    ]
    assert record.same_as is not None
    assert record.same_as[1].reveal("test") == "M-0"
    (guardian,) = record.related
    assert (guardian.name.reveal("test"), guardian.relation) == ("Lin Fang", Relation.PARENT)
    assert (guardian.verified, guardian.acts, len(guardian.contacts)) == (True, True, 2)
    assert (record.source.file, record.source.line) == ("p.csv", 2)


def test_chinese_column_names_and_several_phones(tmp_path: Path) -> None:
    record, problems = _patient(tmp_path, "病历号,姓名,手机,电话,死亡", "M-1,林小满,13800138000,02150000000,是")
    assert problems == []
    assert record is not None
    assert record.deceased
    assert [(c.address.reveal("test"), c.rank) for c in record.contacts] == [("13800138000", 0), ("02150000000", 1)]


def test_two_record_numbers_in_one_row(tmp_path: Path) -> None:
    record, _ = _patient(tmp_path, "mrn,mrn", "M-1,M-2")
    assert record is not None
    assert [value.reveal("test") for _, value in record.identifiers] == ["M-1", "M-2"]


@pytest.mark.parametrize("word", ["yes", "Y", "1", "true", "是", "已故", "2025-11-02", "2025年11月2日"])
def test_words_for_dead(tmp_path: Path, word: str) -> None:
    record, problems = _patient(tmp_path, "mrn,deceased", f"M-1,{word}")
    assert problems == []
    assert record is not None
    assert record.deceased


def test_a_row_that_may_be_of_a_dead_person_is_not_taken_for_a_living_one(tmp_path: Path) -> None:
    record, problems = _patient(tmp_path, "mrn,deceased", "M-1,perhaps")
    assert record is None
    assert problems == ["p.csv:2: bad_value in `deceased` (yes or no)"]


@pytest.mark.parametrize(
    ("names", "cells", "says"),
    [
        ("mrn,birth_date", "M-1,1985", "date_partial in `birth_date` (the age counts as unknown)"),
        ("mrn,birth_date", "M-1,2/3/1985", "bad_date in `birth_date` (the age counts as unknown)"),
        ("mrn,language", "M-1,Chinese please", "bad_value in `language` (a language tag such as zh-CN)"),
        ("mrn,zone", "M-1,Shanghai", "bad_zone in `zone` (for example Asia/Shanghai)"),
        ("mrn,name", "M-1," + "x" * 201, "bad_name in `name`"),
        ("mrn,guardian_phone", "M-1,13800138000", "bad_name in `guardian_name` (the guardian was left out)"),
        ("mrn,guardian_name,guardian_relation", "M-1,F,uncle", "bad_value in `guardian_relation` (taken as other)"),
        ("mrn,guardian_name,guardian_verified", "M-1,F,maybe", "bad_value in `guardian_verified` (yes or no)"),
    ],
)
def test_a_bad_part_costs_itself(tmp_path: Path, names: str, cells: str, says: str) -> None:
    record, problems = _patient(tmp_path, names, cells)
    assert record is not None
    assert (record.name, record.birth_date, record.language, record.zone) == (None, None, "", "")
    assert not any(person.verified for person in record.related)
    assert problems == [f"p.csv:2: {says}"]


def test_a_guardian_without_a_relation_is_one(tmp_path: Path) -> None:
    record, _ = _patient(tmp_path, "mrn,guardian_name", "M-1,Fang")
    assert record is not None
    assert (record.related[0].relation, record.related[0].acts, record.related[0].verified) == (
        Relation.GUARDIAN, True, False,
    )  # fmt: skip


def test_ids_that_are_missing_or_repeated(tmp_path: Path) -> None:
    found = _patients(tmp_path, "mrn,name,deceased\n,a,\nM-1,b,perhaps\nM-1,c,\nM-1,d,\n")
    assert [str(item) if isinstance(item, Problem) else item.source.line for item in found] == [
        "p.csv:2: missing_id in `mrn`",
        "p.csv:3: bad_value in `deceased` (yes or no)",
        4,  # the row before it was lost, so this one is the first
        "p.csv:5: duplicate_id in `mrn`",
    ]


# -- columns ---------------------------------------------------------------------------------------------------------


def test_a_map_names_columns(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(
        '"门诊卡号" = "mrn"\n"联系人手机" = "phone"\n"卡" = "id.card"\n', encoding="utf-8-sig"
    )
    columns = read_map(tmp_path / "map.toml", PATIENT_FIELDS)
    found = _patients(tmp_path, "门诊卡号,联系人手机,卡,姓名\nM-1,13800138000,C-1,林\n", columns=columns)
    (record,) = found
    assert isinstance(record, PatientRecord)
    assert [system for system, _ in record.identifiers] == ["mrn", "card"]
    assert record.name is not None
    assert len(record.contacts) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("not toml at all", "not TOML"),
        ('"a" = "surname"', "unknown field"),
        ('"a" = "id."', "unknown field"),
        ('"a" = "id.x|y"', "unknown field"),
        ("a = 1", "unknown field"),
        ("[a]\nb = 'mrn'", "unknown field"),
    ],
)
def test_a_bad_map(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "map.toml").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInputError, match=says):
        read_map(tmp_path / "map.toml", PATIENT_FIELDS)


def test_a_map_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_bytes('"病历号" = "mrn"'.encode("gb18030"))
    with pytest.raises(InvalidInputError, match="not TOML in UTF-8"):
        read_map(tmp_path / "map.toml", GRANT_FIELDS)


@pytest.mark.parametrize(
    ("names", "columns", "says"),
    [
        ("name,phone", {}, "no column is an identifier"),
        ("mrn,name,姓名", {}, "columns 2 and 3 are both `name`"),
        ("mrn,name", {"姓": "name"}, "the map names a column for `name` that the first line does not have"),
    ],
)
def test_columns_that_do_not_do(tmp_path: Path, names: str, columns: dict[str, str], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says):
        _patients(tmp_path, f"{names}\nM-1,a,b\n", columns=columns)


# -- grants ----------------------------------------------------------------------------------------------------------


def test_every_field_of_a_grant(tmp_path: Path) -> None:
    names = "mrn,purposes,channels,evidence,since,until,by,separate,notice"
    cells = 'M-1,"care, education.health",sms;email,form 12,2026-01-15,2026-12-31,guardian,yes,2026-01.b'
    record, problems = _grants(tmp_path, names, cells, zone="Asia/Shanghai")
    assert problems == []
    assert record is not None
    assert (record.purposes, record.channels) == (("care", "education.health"), ("sms", "email"))
    assert record.evidence.reveal("test") == "form 12"
    assert record.since is not None
    assert record.until is not None
    assert (iso(record.since), iso(record.until)) == ("2026-01-14T16:00:00Z", "2026-12-31T16:00:00Z")
    assert (record.by, record.separate, record.notice) == (RecipientRole.GUARDIAN, True, "2026-01.b")
    assert (record.state, record.ended_at) == (GrantState.GIVEN, None)


@pytest.mark.parametrize("cells", ["withdrawn,2026-05-01", ",2026-05-01", "已撤回,2026/5/1"])
def test_a_withdrawal(tmp_path: Path, cells: str) -> None:
    record, problems = _grants(tmp_path, "mrn,purposes,channels,evidence,state,ended", f"M-1,care,sms,form 1,{cells}")
    assert problems == []
    assert record is not None
    assert record.state is GrantState.WITHDRAWN
    assert record.ended_at is not None
    assert iso(record.ended_at) == "2026-05-01T00:00:00Z"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"mrn": ""}, "missing_id in `mrn`"),
        ({"evidence": ""}, "missing in `evidence` (a grant needs a reference to its evidence)"),
        ({"evidence": "x" * 501}, "bad_value in `evidence` (at most 500 characters)"),
        ({"purposes": ""}, "missing in `purposes`"),
        ({"purposes": "*"}, "bad_value in `purposes` (see docs/reference/purposes.md)"),
        ({"purposes": "care;gossip"}, "bad_value in `purposes` (see docs/reference/purposes.md)"),
        ({"channels": "fax"}, "bad_value in `channels` (sms, email, chat, task or *)"),
        ({"by": "neighbour"}, "bad_value in `by` (self or guardian)"),
        ({"state": "unclear"}, "bad_value in `state` (given or withdrawn)"),
        ({"notice": "v 1"}, "bad_value in `notice` (letters, digits, _ . -)"),
        ({"separate": "perhaps"}, "bad_value in `separate` (yes or no)"),
        ({"since": "1/2/26"}, "bad_date in `since` (write 2026-11-24)"),
        ({"until": "soon"}, "bad_date in `until` (write 2026-11-24)"),
        ({"ended": "soon"}, "bad_date in `ended` (write 2026-11-24)"),
        ({"since": "2026-05-02", "until": "2026-05-01"}, "bad_date in `until` (it ends before it begins)"),
    ],
)
def test_a_grant_whose_terms_are_not_plain_is_left_out(tmp_path: Path, changed: dict[str, str], says: str) -> None:
    row = {"mrn": "M-1", "purposes": "care", "channels": "sms", "evidence": "form 1", "since": "", "until": "",
           "by": "", "separate": "", "notice": "", "state": "", "ended": "", **changed}  # fmt: skip
    record, problems = _grants(tmp_path, ",".join(row), ",".join(row.values()))
    assert record is None
    assert problems == [f"g.csv:2: {says}"]


@pytest.mark.parametrize("missing", ["purposes", "channels", "evidence"])
def test_columns_a_grant_needs(tmp_path: Path, missing: str) -> None:
    names = [name for name in ("mrn", "purposes", "channels", "evidence") if name != missing]
    with pytest.raises(InvalidInputError, match=f"no column is `{missing}`"):
        _grants(tmp_path, ",".join(names), "a,b,c")
