"""`carelink patients import`: what is taken, what is told, and what a script can rely on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Self

import pytest

import carelink
from carelink.errors import ConflictError, ErasedError, InvalidInputError, KeyMissingError, StoreError
from carelink.vocabulary import AgeBand, ContactStatus, Relation, Standing

CSV = """mrn,name,birth_date,phone,email
M-1,Lin Xiaoman,1968-04-02,13800138000,lin@example.invalid
M-2,Wei Ping,1975-11-30,13800138001,
"""


@pytest.fixture(autouse=True)
def _frozen(clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("carelink.cli.patients.SystemClock", lambda: clock)


def _counts(text: str) -> dict[str, int]:
    """The summary table."""
    pairs = [line.replace("│", "|").split("|") for line in text.splitlines() if "│" in line or "|" in line]
    return {pair[0].strip(): int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].strip().isdigit()}


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _people(desk):
    with carelink.open(desk.home) as link:
        return list(link.patients())


def _write(desk, name: str, text: str, encoding: str = "utf-8") -> str:
    (desk.folder / name).write_bytes(text.encode(encoding))
    return name


def _fhir(desk, **files: list[object]) -> str:
    folder = desk.folder / "export"
    folder.mkdir(exist_ok=True)
    for kind, resources in files.items():
        lines = [item if isinstance(item, str) else json.dumps({"resourceType": kind, **item}) for item in resources]
        (folder / f"{kind}.ndjson").write_text("\n".join(lines), encoding="utf-8")
    return "export"


def test_twice(desk) -> None:
    name = _write(desk, "p.csv", CSV)
    first = desk.run("patients", "import", "--csv", name)
    assert (first.code, first.err) == (0, "")
    assert _counts(first.out) == {"created": 2, "updated": 0, "unchanged": 0, "merged": 0, "left out": 0}
    size = desk.size()
    again = desk.run("patients", "import", "--csv", name)
    assert again.code == 0
    assert _counts(again.out) == {"created": 0, "updated": 0, "unchanged": 2, "merged": 0, "left out": 0}
    assert (desk.size(), len(_people(desk))) == (size, 2)


def test_a_newer_file_updates(desk) -> None:
    desk.run("patients", "import", "--csv", _write(desk, "p.csv", CSV))
    newer = CSV.replace("1968-04-02", "2014-04-02").replace("13800138001,", "13800138001,wei@example.invalid")
    result = desk.run("patients", "import", "--csv", _write(desk, "p.csv", newer))
    assert _counts(result.out)["updated"] == 2
    assert sorted(str(row.age) for row in _people(desk)) == sorted([str(AgeBand.FROM_8), str(AgeBand.ADULT)])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_chinese_columns_in_either_encoding(desk, encoding: str) -> None:
    name = _write(desk, "患者.csv", "病历号,姓名,出生日期,手机号\nM-1,林小满,1968年4月2日,13800138000\n", encoding)
    assert desk.run("patients", "import", "--csv", name).code == 0
    with carelink.open(desk.home) as link:
        patient = link.find("M-1")
        with link.wiring.store.reader() as reader:
            envelope = reader.sealed("patient", [patient], ["name"])[(patient, "name")]
        assert link.safe.open(patient, "patient", patient, "name", envelope).reveal("test") == "林小满"


def test_a_map(desk) -> None:
    name = _write(desk, "p.csv", "卡号,联系人\nM-1,13800138000\n")
    refused = desk.run("patients", "import", "--csv", name)
    assert refused.code == 2
    assert "names no column that carelink knows" in refused.err
    columns = _write(desk, "map.toml", '"卡号" = "mrn"\n"联系人" = "phone"\n')
    assert _counts(desk.run("patients", "import", "--csv", name, "--map", columns).out)["created"] == 1


def test_bad_rows_are_named_and_the_rest_is_taken(desk) -> None:
    rows = ',No Number,,,\nM-3,Bad "quote,,,\nM-4,"Open,,,\nM-1,Again,,,\nM-5,Short\nM-6,Fine,1999,12,not-mail\n'
    result = desk.run("patients", "import", "--csv", _write(desk, "p.csv", CSV + rows))
    assert result.code == 1
    assert result.err.splitlines() == [
        "p.csv:4: missing_id in `mrn`",
        "p.csv:6: unclosed_quote",
        "p.csv:7: duplicate_id in `mrn`",
        "p.csv:8: wrong_columns (2 cells, the first line has 5)",
        "p.csv:9: date_partial in `birth_date` (the age counts as unknown)",
        "p.csv:9: invalid_number in `patient.phone`",
        "p.csv:9: bad_address in `patient.email` (write name@domain)",
        "4 rows were left out, named above; all others were taken",
    ]
    assert _counts(result.out) == {
        "created": 4, "updated": 0, "unchanged": 0, "merged": 0, "left out": 4,
        "note: bad_address": 1, "note: date_partial": 1, "note: invalid_number": 1,
    }  # fmt: skip
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        patient = link.find("M-6")
        assert [contact.status for contact in reader.contacts([patient])[patient]] == [ContactStatus.INVALID]


@pytest.mark.parametrize("bad", ["", ",No Number,,,\n"])
def test_check_reports_everything_and_changes_nothing(desk, bad: str) -> None:
    name = _write(desk, "p.csv", CSV + bad + "M-3,x,1999,,\n" * 1)
    before = _files(desk.home)
    result = desk.run("patients", "import", "--csv", name, "--check")
    assert _files(desk.home) == before
    assert result.code == (1 if bad else 0)
    assert _counts(result.out) == {"good": 3, "left out": int(bool(bad)), "note: date_partial": 1}
    real = desk.run("patients", "import", "--csv", name)
    assert (real.code, real.err) == (result.code, result.err)


def test_check_needs_no_home(bare) -> None:
    result = bare.run("patients", "import", "--csv", _write(bare, "p.csv", CSV), "--check")
    assert result.code == 0
    assert "There is no home here yet" in result.out
    assert not bare.home.exists()


def test_an_import_shows_twenty_notes_of_a_kind_and_check_shows_all(desk) -> None:
    rows = "".join(f"M-{n},x,1999,,\n" for n in range(30))
    name = _write(desk, "p.csv", "mrn,name,birth_date,phone,email\n" + rows)
    result = desk.run("patients", "import", "--csv", name)
    assert result.code == 0
    assert len(result.err.splitlines()) == 21
    assert "10 more rows with date_partial; --check lists all" in result.err
    assert len(desk.run("patients", "import", "--csv", name, "--check").err.splitlines()) == 30


def test_more_rows_than_a_batch(desk) -> None:
    rows = "".join(f"M-{n},Person {n},,,\n" for n in range(1203))
    name = _write(desk, "p.csv", "mrn,name,birth_date,phone,email\n" + rows)
    assert _counts(desk.run("patients", "import", "--csv", name).out)["created"] == 1203
    assert len(_people(desk)) == 1203


# -- FHIR ------------------------------------------------------------------------------------------------------------


def test_fhir_with_guardians_and_merges(desk) -> None:
    folder = _fhir(
        desk,
        Patient=[
            {"id": "old", "active": False, "deceasedBoolean": False,
             "link": [{"type": "replaced-by", "other": {"reference": "Patient/new"}}]},
            {"id": "new", "birthDate": "2016-01-01", "name": [{"text": "Lin"}]},
            {"id": "older"},
            {"id": "newer", "link": [{"type": "replaces", "other": {"reference": "Patient/older"}}]},
            {"id": "lost", "link": [{"type": "replaced-by", "other": {"reference": "Patient/unheard-of"}}]},
            "{broken",
            {"id": "gone", "deceasedDateTime": "2025-11-02"},
        ],
        RelatedPerson=[
            {"id": "r-1", "patient": {"reference": "Patient/new"}, "name": [{"text": "Fang"}],
             "relationship": [{"coding": [{"code": "GUARD"}]}],
             "telecom": [{"system": "email", "value": "fang@example.invalid"}]},
            {"id": "r-2", "patient": {"reference": "Patient/unheard-of"}, "name": [{"text": "Fang"}]},
        ],
    )  # fmt: skip
    result = desk.run("patients", "import", "--fhir", folder)
    assert result.code == 1
    assert result.err.splitlines() == [
        "Patient.ndjson:6: not_json",
        "RelatedPerson.ndjson:2: no_such_patient",
        "Patient.ndjson:5: no_such_patient in `same_as`",
        "2 rows were left out, named above; all others were taken",
    ]
    assert _counts(result.out) == {
        "created": 6, "updated": 0, "unchanged": 0, "merged": 2, "left out": 2, "related persons": 1,
        "note: no_such_patient": 1,
    }  # fmt: skip
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        new = link.find("new", system="fhir")
        (guardian,) = reader.related([new])[new]
        assert (guardian.relation, guardian.acts, guardian.verified) == (Relation.GUARDIAN, True, False)
        assert len(reader.contacts([guardian.id])[guardian.id]) == 1
        old = link.find("old", system="fhir")
        assert reader.patients([old])[old].merged_into == new
        assert {row.standing for row in link.patients()} == {Standing.ACTIVE, Standing.DECEASED}
    again = desk.run("patients", "import", "--fhir", folder)
    assert _counts(again.out)["created"] == 0
    assert (_counts(again.out)["unchanged"], _counts(again.out)["merged"]) == (6, 0)
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        assert len(reader.related([new])[new]) == 1


def test_a_merge_named_before_and_after_its_survivor_in_csv(desk) -> None:
    text = "mrn,name,same_as\nM-1,a,M-3\nM-3,b,\nM-2,c,M-3\nM-4,d,M-9\n"
    result = desk.run("patients", "import", "--csv", _write(desk, "p.csv", text))
    assert (result.code, result.err) == (0, "p.csv:5: no_such_patient in `same_as`\n")
    assert _counts(result.out)["merged"] == 2
    assert len(_people(desk)) == 2


def test_the_sample_export(desk, fhir_sample: Path) -> None:
    first = desk.run("patients", "import", "--fhir", str(fhir_sample))
    assert first.code == 0
    assert _counts(first.out)["created"] == 104
    people = _people(desk)
    assert sum(row.standing is Standing.DECEASED for row in people) == 25
    assert _counts(desk.run("patients", "import", "--fhir", str(fhir_sample)).out)["unchanged"] == 104


def test_an_import_never_lifts_a_stop_nor_a_death(desk) -> None:
    name = _write(desk, "p.csv", CSV)
    desk.run("patients", "import", "--csv", name)
    with carelink.open(desk.home) as link:
        link.stop(link.find("M-1"), purposes=["care"])
        link.died(link.find("M-2"))
    desk.run("patients", "import", "--csv", _write(desk, "p.csv", CSV.replace("Lin", "Lynn")))
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        row = reader.patients([link.find("M-1")])[link.find("M-1")]
        assert len(reader.stops([row.person], ())) == 1
        assert reader.patients([link.find("M-2")])[link.find("M-2")].standing is Standing.DECEASED


# -- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--csv", "nowhere.csv"), 1, "there is no such file or folder"),
        (("--fhir", "nowhere"), 1, "there is no such file or folder"),
        (("--fhir", "."), 2, "there is no Patient.ndjson or Patient.ndjson.gz here"),
        (("--fhir", ".", "--map", "map.toml"), 2, "--map says something about --csv"),
        (("--csv", "p.csv", "--map", "nowhere.toml"), 1, "No such file"),
        (("--csv", "empty.csv"), 2, "no first line that names the columns"),
        (("--csv", "p.csv", "--map", "bad.toml"), 2, "unknown field"),
    ],
)
def test_wrong_usage(desk, arguments: tuple[str, ...], code: int, says: str) -> None:
    _write(desk, "p.csv", CSV)
    _write(desk, "empty.csv", "")
    _write(desk, "bad.toml", '"mrn" = "number"\n')
    result = desk.run("patients", "import", *arguments)
    assert result.code == code
    assert says in result.err
    assert _people(desk) == []


def test_one_source_must_be_named(desk) -> None:
    assert desk.run("patients", "import").code == 2
    assert desk.run("patients", "import", "--csv", "a", "--fhir", "b").code == 2


def test_without_a_home(bare) -> None:
    result = bare.run("patients", "import", "--csv", _write(bare, "p.csv", CSV))
    assert result.code == 1
    assert "carelink init" in result.err


def test_an_interrupted_import_goes_on_when_it_is_run_again(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"M-{n},Person {n},,,\n" for n in range(1203))
    name = _write(desk, "p.csv", "mrn,name,birth_date,phone,email\n" + rows)
    real, calls = carelink.app.CareLink.register_many, []

    def stop_at_the_second(link, inputs):
        calls.append(len(inputs))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(link, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(carelink.app.CareLink, "register_many", stop_at_the_second)
        assert desk.run("patients", "import", "--csv", name).code == 1
    assert calls == [500, 500]
    assert len(_people(desk)) == 500
    result = desk.run("patients", "import", "--csv", name)
    assert (_counts(result.out)["created"], _counts(result.out)["unchanged"]) == (703, 500)


@pytest.mark.parametrize("error", [InvalidInputError, ConflictError, KeyMissingError, ErasedError])
def test_a_row_that_breaks_its_batch_is_found_and_named(desk, monkeypatch: pytest.MonkeyPatch, error) -> None:
    real, sizes = carelink.app.CareLink.register_many, []

    def picky(link, inputs):
        sizes.append(len(inputs))
        if any(item.identifiers[0][1].reveal("test") == "M-77" for item in inputs):
            raise error("this one")
        return real(link, inputs)

    monkeypatch.setattr(carelink.app.CareLink, "register_many", picky)
    rows = "".join(f"M-{n},Person {n},,,\n" for n in range(200))
    result = desk.run("patients", "import", "--csv", _write(desk, "p.csv", "mrn,name,birth_date,phone,email\n" + rows))
    assert result.code == 1
    assert "p.csv:79: refused (this one)" in result.err
    assert (_counts(result.out)["created"], _counts(result.out)["left out"]) == (199, 1)
    assert len(sizes) < 20


def test_a_store_that_fails_ends_the_import(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(_link, _inputs):
        raise StoreError("the disk is gone")

    monkeypatch.setattr(carelink.app.CareLink, "register_many", failing)
    result = desk.run("patients", "import", "--csv", _write(desk, "p.csv", CSV))
    assert result.code == 1
    assert "the disk is gone" in result.err


def test_the_progress_bar_counts_bytes_up_to_the_whole(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = "".join(f"M-{n},Person {n * 7919 % 100_003},,,\n" for n in range(30_000))
    data = gzip.compress(("mrn,name,birth_date,phone,email\n" + rows).encode())
    (desk.folder / "p.csv.gz").write_bytes(data)
    seen: list[tuple[int, int]] = []

    class Bar:
        task_ids = (0,)

        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def update(self, _task: int, *, completed: int, total: int) -> None:
            seen.append((completed, total))

    monkeypatch.setattr("carelink.cli.importing.progress", Bar)
    assert desk.run("patients", "import", "--csv", "p.csv.gz", "--check").code == 0
    assert len(seen) >= 3
    assert seen == sorted(seen)
    assert seen[-1] == (len(data), len(data))


def test_no_value_is_shown_whatever_is_wrong(desk) -> None:
    canary = "CANARY"
    rows = [
        f",{canary},,,", f'{canary},"{canary},,,', f"{canary}", f"{canary}\x00,,,,", f"{canary}-1,{canary},{canary},{canary},{canary}",
        f"{canary}-2,{canary * 50},1999,1{canary},{canary}@", f"{canary}-1,{canary},,,", f"{canary}-3,\ud800,,,",
    ]  # fmt: skip
    text = "mrn,name,birth_date,phone,email\n" + "\n".join(rows) + "\n"
    (desk.folder / "p.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
    bad = [
        canary, {"id": f"{canary}\n1"}, {"id": canary, "name": [{"text": canary * 50}], "birthDate": canary},
        {"id": f"{canary}2", "name": canary}, {"id": f"{canary}3", "link": [{"type": "replaced-by", "other": {"reference": canary}}]},
        {"id": f"{canary}4", "telecom": [{"system": "phone", "value": canary}, {"value": canary}]},
        {"id": f"{canary}5", "link": [{"type": "replaced-by", "other": {"reference": f"Patient/{canary}"}}]},
        {"id": canary, canary: canary}, f'{{"{canary}":1,"{canary}":1}}',
    ]  # fmt: skip
    folder = _fhir(desk, Patient=bad)
    for source in (("--csv", "p.csv"), ("--fhir", folder)):
        for more in ((), ("--check",)):
            result = desk.run("--verbose", "patients", "import", *source, *more)
            assert result.code == 1
            assert len(result.err.splitlines()) > 5
            assert canary.lower() not in (result.out + result.err).lower()
