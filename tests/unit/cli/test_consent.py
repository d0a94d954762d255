"""`carelink consent import|grant|withdraw|show`."""

from __future__ import annotations

import json

import pytest

import carelink
from carelink.engine.reported import Reported
from carelink.errors import KeyMissingError
from carelink.vocabulary import Effect, GrantState

HEAD = "mrn,purposes,channels,evidence,since,until,state,ended\n"
OWN = "https://carelink.invalid/fhir"


@pytest.fixture
def clinic(desk):
    """Three patients, MRN-1 to MRN-3, without consent."""
    desk.people(3, consent=False)
    return desk


def _counts(text: str) -> dict[str, int]:
    pairs = [line.replace("│", "|").split("|") for line in text.splitlines() if "│" in line or "|" in line]
    return {pair[0].strip(): int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].strip().isdigit()}


def _csv(desk, rows: str, *more: str, encoding: str = "utf-8"):
    (desk.folder / "c.csv").write_bytes((HEAD + rows).encode(encoding))
    return desk.run("consent", "import", "--csv", "c.csv", *more)


def _fhir(desk, *resources: dict[str, object], more: tuple[str, ...] = ()):
    base = {
        "resourceType": "Consent",
        "status": "active",
        "extension": [{"url": f"{OWN}/channel", "valueCode": "email"}],
        "dateTime": "2026-01-10",
        "sourceReference": {"reference": "DocumentReference/d-1"},
    }
    lines = [json.dumps({**base, "id": f"c-{n}", **resource}) for n, resource in enumerate(resources)]
    (desk.folder / "Consent.ndjson").write_text("\n".join(lines))
    return desk.run("consent", "import", "--fhir", ".", *more)


def _who(number: int) -> dict[str, object]:
    return {"patient": {"identifier": {"type": {"coding": [{"code": "MR"}]}, "value": f"MRN-{number}"}}}


def _provision(kind: str, *purposes: str) -> dict[str, object]:
    return {"provision": {"type": kind, "purpose": [{"system": f"{OWN}/purpose", "code": word} for word in purposes]}}


def _may(desk, number: int) -> bool:
    with carelink.open(desk.home) as link:
        request = carelink.Request(key=f"k{number}", patient=link.find(f"MRN-{number}"), purpose="care.appointment",
                                   channel="email", template="recheck", variables={"day": "Monday"})  # fmt: skip
        return link.preview(request).decision.effect is Effect.PERMIT


def _grants(desk, number: int):
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        patient = link.find(f"MRN-{number}")
        return reader.grants([patient]).get(patient, ())


def test_twice(clinic) -> None:
    rows = 'MRN-1,care,"email,sms",form 1,2026-01-05,2026-12-31,,\nMRN-2,care;marketing,sms,form 2,,,,\n'
    first = _csv(clinic, rows)
    assert (first.code, first.err) == (0, "")
    assert _counts(first.out) == {"recorded": 2}
    assert (_may(clinic, 1), _may(clinic, 2)) == (True, False)
    size = clinic.size()
    assert _counts(_csv(clinic, rows).out) == {"recorded": 0, "unchanged": 2}
    assert clinic.size() == size


def test_gb18030_and_a_map(clinic) -> None:
    text = "病历号,目的,渠道,表单\nMRN-1,care,email,同意书 7\n"
    (clinic.folder / "c.csv").write_bytes(text.encode("gb18030"))
    (clinic.folder / "map.toml").write_text('"表单" = "evidence"\n', encoding="utf-8")
    result = clinic.run("consent", "import", "--csv", "c.csv", "--map", "map.toml")
    assert (result.code, _counts(result.out)) == (0, {"recorded": 1})
    with carelink.open(clinic.home) as link, link.wiring.store.reader() as reader:
        patient = link.find("MRN-1")
        (grant,) = reader.grants([patient])[patient]
        envelope = reader.sealed("grant", [grant.id], ["evidence"])[(grant.id, "evidence")]
        assert link.safe.open(patient, "grant", grant.id, "evidence", envelope).reveal("test") == "同意书 7"


def test_days_are_days_of_the_tenants_zone(clinic) -> None:
    _csv(clinic, "MRN-1,care,email,form 1,2026-01-15,2026-01-15,,\n")
    (grant,) = _grants(clinic, 1)
    assert (grant.until - grant.since) == 24 * 3600 * 1_000_000
    assert _may(clinic, 1)  # the clock says 10:00 on that day in Shanghai


def test_bad_rows_are_named_and_the_rest_is_taken(clinic) -> None:
    result = _csv(
        clinic,
        "MRN-9,care,email,form 9,,,,\nMRN-1,care,email,,,,,\nMRN-2,gossip,email,f,,,,\nMRN-3,care,email,form 3,,,,\n",
    )
    assert result.code == 1
    assert result.err.splitlines() == [
        "c.csv:3: missing in `evidence` (a grant needs a reference to its evidence)",
        "c.csv:4: bad_value in `purposes` (see docs/reference/purposes.md)",
        "c.csv:2: no_such_patient in `patient`",
        "3 rows were left out, named above; all others were taken",
    ]
    assert _counts(result.out) == {"recorded": 1, "left out": 3}
    assert _may(clinic, 3)


def test_a_withdrawal_in_the_file(clinic) -> None:
    result = _csv(
        clinic, "MRN-1,care,email,form 1,2025-01-05,,,\nMRN-1,care,email,call 7,2025-01-05,,withdrawn,2025-06-01\n"
    )
    assert _counts(result.out) == {"recorded": 2, "withdrawn": 1}
    assert not _may(clinic, 1)
    assert {grant.state for grant in _grants(clinic, 1)} == {GrantState.WITHDRAWN}


def test_what_was_taken_back_does_not_come_back_with_the_next_import(clinic) -> None:
    rows = "MRN-1,care,email,form 1,2026-01-05,,,\nMRN-2,care,email,form 2,,,,\n"
    _csv(clinic, rows)
    for number in (1, 2):
        assert clinic.run("consent", "withdraw", f"mrn|MRN-{number}", "--purposes", "care").code == 0
    again = _csv(clinic, rows)
    assert (again.code, _counts(again.out)) == (0, {"recorded": 0, "not revived": 2})
    assert not _may(clinic, 1)
    other = _csv(clinic, "MRN-2,care,email,form 3,,,,\n")
    assert other.code == 1
    assert "c.csv:2: refused (the patient took back what it covers: say since when this was given)" in other.err
    assert not _may(clinic, 2)


def test_fhir(clinic) -> None:
    result = _fhir(
        clinic,
        {**_who(1), **_provision("permit", "care")},
        {**_who(2), **_provision("deny", "marketing")},
        {**_who(3), **_provision("permit", "care"), "status": "draft"},
        {**_who(9), **_provision("permit", "care")},
        {**_who(3), **_provision("permit", "care"), "extension": []},
    )
    assert result.code == 1
    assert result.err.splitlines() == [
        "Consent.ndjson:3: draft in `Consent.status`",
        "Consent.ndjson:5: missing in `Consent.extension.channel` (or say which with --channels)",
        "Consent.ndjson:4: no_such_patient in `patient`",
        "2 rows were left out, named above; all others were taken",
    ]
    assert _counts(result.out) == {"recorded": 1, "suppressed": 1, "left out": 2, "note: draft": 1}
    assert _may(clinic, 1)
    shown = clinic.run("consent", "show", "mrn|MRN-2").out
    assert "marketing" in shown
    assert "import" in shown


def test_channels_for_consents_that_name_none(clinic) -> None:
    resource = {**_who(1), **_provision("permit", "care"), "extension": []}
    assert _fhir(clinic, resource, more=("--channels", "email")).code == 0
    assert _may(clinic, 1)


def test_a_no_that_is_reported_again_adds_nothing_and_outlives_consent(clinic) -> None:
    no = {**_who(1), **_provision("deny", "care"), "extension": [], "dateTime": "2026-01-01"}
    yes = {**_who(1), **_provision("permit", "care"), "dateTime": "2026-01-02"}
    assert _counts(_fhir(clinic, no, yes).out) == {"recorded": 1, "suppressed": 1}
    size = clinic.size()
    assert _counts(_fhir(clinic, no, yes).out) == {"recorded": 0, "suppressed": 0, "unchanged": 1}
    assert clinic.size() == size
    assert not _may(clinic, 1)


def test_a_record_that_was_merged_into_another(clinic) -> None:
    with carelink.open(clinic.home) as link:
        link.registration.merge(link.find("MRN-1"), link.find("MRN-2"))
    result = _csv(clinic, "MRN-1,care,email,form 1,2026-01-05,,,\nMRN-2,care,email,form 2,2026-01-05,,,\n")
    assert result.err.splitlines()[0] == (
        "c.csv:2: merged in `patient` (grants do not carry over: record it on the survivor, with its evidence)"
    )
    assert (result.code, _may(clinic, 2)) == (1, True)
    assert _csv(clinic, "MRN-1,care,email,call,2026-01-05,,withdrawn,2026-01-06\n").code == 0
    assert not _may(clinic, 2)


def test_a_row_that_breaks_its_batch_is_found_and_named(clinic, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Reported.take

    def picky(self, reports):
        if any(report.order.evidence == "form 2" for report in reports):
            raise KeyMissingError("a key is unknown and no erasure explains it")
        return real(self, reports)

    monkeypatch.setattr(Reported, "take", picky)
    result = _csv(clinic, "".join(f"MRN-{n},care,email,form {n},,,,\n" for n in (1, 2, 3)))
    assert result.code == 1
    assert "c.csv:3: refused (a key is unknown and no erasure explains it)" in result.err
    assert [_may(clinic, n) for n in (1, 2, 3)] == [True, False, True]


def test_a_no_under_a_merged_number_is_one_suppression_of_the_survivor(clinic) -> None:
    with carelink.open(clinic.home) as link:
        link.registration.merge(link.find("MRN-1"), link.find("MRN-2"))
    no = {**_who(1), **_provision("deny", "care"), "extension": []}
    assert _counts(_fhir(clinic, no).out) == {"recorded": 0, "suppressed": 1}
    assert _counts(_fhir(clinic, no).out) == {"recorded": 0, "suppressed": 0}
    assert "import" in clinic.run("consent", "show", "mrn|MRN-2").out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ((), 2, "one of the arguments --csv --fhir is required"),
        (("--csv", "nowhere.csv"), 1, "there is no such file or folder"),
        (("--fhir", "."), 2, "there is no Consent.ndjson"),
        (("--fhir", ".", "--map", "x"), 2, "--map says something about --csv"),
    ],
)
def test_wrong_usage(desk, arguments: tuple[str, ...], code: int, says: str) -> None:
    result = desk.run("consent", "import", *arguments)
    assert result.code == code
    assert says in result.err


# -- one at a time -----------------------------------------------------------------------------------------------------


def test_grant_show_withdraw(clinic) -> None:
    granted = clinic.run("consent", "grant", "mrn|MRN-1", "--purposes", "care", "--channels", "email,sms", "--evidence", "form 1",
                         "--until", "2026-12-31T00:00:00+08:00")  # fmt: skip
    assert granted.code == 0
    assert _may(clinic, 1)
    shown = clinic.run("consent", "show", "MRN-1").out
    assert "2026-12-31" in shown
    assert "given" in shown
    assert "form 1" not in shown
    assert clinic.run("consent", "withdraw", "MRN-1", "--purposes", "care").out == "1 grants ended\n"
    assert not _may(clinic, 1)
    assert "withdrawn" in clinic.run("consent", "show", "MRN-1").out


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        ((), 2, "--evidence"),
        (("--evidence", " "), 2, "a grant needs a reference to its evidence"),
        (("--evidence", "x" * 501), 2, "a grant needs a reference to its evidence"),
    ],
)
def test_no_grant_without_evidence(clinic, more: tuple[str, ...], code: int, says: str) -> None:
    result = clinic.run("consent", "grant", "MRN-1", "--purposes", "care", "--channels", "email", *more)
    assert result.code == code
    assert says in result.err
    assert _grants(clinic, 1) == ()


@pytest.mark.parametrize(
    "command",
    [("show", "MRN-9"), ("withdraw", "MRN-9", "--purposes", "care"),
     ("grant", "MRN-9", "--purposes", "care", "--channels", "sms", "--evidence", "f")],
)  # fmt: skip
def test_an_unknown_patient(clinic, command: tuple[str, ...]) -> None:
    result = clinic.run("consent", *command)
    assert result.code == 1
    assert "no patient has this identifier" in result.err
    assert "MRN-9" not in result.err


@pytest.mark.parametrize("purposes", ["gossip", "*"])
def test_there_is_no_consent_to_everything(clinic, purposes: str) -> None:
    result = clinic.run("consent", "grant", "MRN-1", "--purposes", purposes, "--channels", "sms", "--evidence", "f")
    assert result.code == 2


def test_no_value_is_shown(clinic) -> None:
    canary = "CANARY"
    rows = [
        f"{canary},care,email,{canary},,,,", f"MRN-1,{canary},email,{canary},,,,", f'MRN-1,"{canary}', f"{canary}",
        f"MRN-1,care,email,{canary * 99},{canary},{canary},{canary},{canary}", f"MRN-1,care,email,{canary},2026,2025,,",
    ]  # fmt: skip
    result = _csv(clinic, "\n".join(rows) + "\n")
    assert result.code == 1
    assert len(result.err.splitlines()) > 6
    assert canary.lower() not in (result.out + result.err).lower()
    bad = [{"patient": {"reference": canary}}, {**_who(1), "provision": {"type": canary}}, {"status": canary},
           {"patient": {"reference": f"Patient/{canary}"}, **_provision("permit", "care")}]  # fmt: skip
    result = _fhir(clinic, *bad)
    assert result.code == 1
    assert canary.lower() not in (result.out + result.err).lower()
