"""`carelink preview`: effects and reasons in a table, and not one trace of it."""

from __future__ import annotations

import pytest

import carelink
from carelink.model.ids import PatientId
from carelink.model.moment import HOUR


def test_it_says_what_would_happen_and_records_nothing(desk) -> None:
    desk.people(3)
    desk.people(2, consent=False, first=4)
    before = desk.size()
    seen = desk.run("preview", *desk.SEND)
    assert seen.code == 0
    assert "permit │ 3" in seen.out
    assert "refuse │ 2" in seen.out
    assert "NO_CONSENT │ 2" in seen.out
    assert "carelink consent import" not in seen.out, "some may be contacted: consent is not what is missing"
    assert desk.size() == before
    assert desk.letters() == []


def test_without_any_consent_it_names_the_command_that_loads_it(desk) -> None:
    desk.people(2, consent=False)
    seen = desk.run("preview", *desk.SEND)
    assert "No consent is on record for these patients" in seen.out
    assert "carelink consent import --csv FILE" in seen.out
    chinese = desk.run("preview", *desk.SEND, "--lang", "zh")
    assert "没有同意记录" in chinese.out
    assert "结论" in chinese.out
    assert "carelink consent import --csv FILE" in chinese.out


def test_where_only_some_lack_consent_it_says_how_many(desk) -> None:
    desk.people(2, consent=False)
    (other,) = desk.people(1, first=3)
    with carelink.open(desk.home) as link:
        link.withdraw(PatientId(other), purposes=["care"])
    seen = desk.run("preview", *desk.SEND)
    assert "requests without a consent on record: 2/3" in seen.out
    assert "for these patients" not in seen.out
    assert "carelink consent import --csv FILE" in seen.out


def test_a_deferral_shows_the_earliest_instant_in_the_tenants_zone(desk) -> None:
    desk.people(2)
    desk.clock.advance(13 * HOUR)
    seen = desk.run("preview", *desk.SEND)
    assert "defer  │ 2" in seen.out
    assert "QUIET_HOURS" in seen.out
    assert "2026-01-16 08:00:00+08:00" in seen.out


def test_who_was_contacted_before_would_not_be_again(desk) -> None:
    desk.people(2)
    desk.run("send", *desk.SEND)
    desk.people(1, first=3)
    seen = desk.run("preview", *desk.SEND)
    assert "permit             │ 1" in seen.out
    assert "handed over before │ 2" in seen.out


def test_one_patient_who_would_be_refused_is_a_six(desk) -> None:
    desk.people(1, consent=False)
    desk.people(1, first=2)
    assert desk.run("preview", *desk.SEND).code == 0
    assert desk.run("preview", *desk.SEND, "--where", "identifier=mrn|MRN-1").code == 6
    assert desk.run("preview", *desk.SEND, "--where", "identifier=MRN-2").code == 0


def test_where_narrows(desk) -> None:
    first, second = desk.people(2)
    with carelink.open(desk.home) as link:
        link.register(identifier="MRN-9", language="zh-Hans", email="p9@example.invalid")
    assert "refuse │ 1" in desk.run("preview", *desk.SEND, "--where", "language=zh").out
    assert "permit │ 2" in desk.run("preview", *desk.SEND, "--where", "age=18+").out
    assert "permit │ 1" in desk.run("preview", *desk.SEND, "--where", f"patient={first}").out
    nobody = desk.run("preview", *desk.SEND, "--where", "age=0-7", "--where", f"patient={second}")
    assert nobody.code == 0
    assert "no patient fits" in nobody.out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("--purpose", "care.appointment"), 2, "name --purpose, --template and --channel"),
        (("--purpose", "care.everything", "--template", "recheck", "--channel", "email"), 2, "not a known Purpose"),
        (("--purpose", "care.appointment", "--template", "other", "--channel", "email"), 1, "carelink content add"),
        (("--purpose", "care.appointment", "--template", "recheck@2", "--channel", "email"), 1, "carelink content add"),
        (("--purpose", "care.appointment", "--template", "recheck@x", "--channel", "email"), 2, "NAME@2"),
        (("--purpose", "care.appointment", "--template", "recheck", "--channel", "fax"), 1, "carelink channels list"),
        (("--purpose", "care.appointment", "--template", "recheck", "--channel", "chat"), 2, "routes.chat"),
        (("--purpose", "care.appointment", "--template", "recheck", "--channel", "email", "--var", "day"), 2, "--var"),
        (
            ("--purpose", "care.appointment", "--template", "recheck", "--channel", "email", "--where", "x=1"),
            2,
            "use age",
        ),
        (
            ("--purpose", "care.appointment", "--template", "recheck", "--channel", "email", "--where", "age=12"),
            2,
            "0-7",
        ),
        (
            ("--purpose", "care.appointment", "--template", "recheck", "--channel", "email", "--where", "identifier=X"),
            1,
            "nobody\n",
        ),
        (
            ("--purpose", "care.appointment", "--template", "recheck", "--channel", "email", "--where", "patient=X"),
            2,
            "32 hex",
        ),
    ],
)
def test_what_is_wrong_is_told_before_anybody_is_looked_at(
    desk, arguments: tuple[str, ...], code: int, says: str
) -> None:
    answer = desk.run("preview", *arguments)
    assert (answer.code, answer.out) == (code, "")
    if says != "nobody\n":
        assert says in answer.err


def test_requests_that_are_wrong_in_themselves_are_counted_with_their_hint(desk) -> None:
    desk.people(2)
    seen = desk.run("preview", "--purpose", "care.appointment", "--template", "recheck", "--channel", "email")
    assert seen.code == 0
    assert "not decided │ 2" in seen.out
    assert "not decided: 2 x input.invalid: variable `day` of the template has no value" in seen.out
