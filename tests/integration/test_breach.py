"""`carelink breach report`: who is affected, what, when, through whom; and the notices begun."""

from __future__ import annotations

import csv
import json
from datetime import date

import pytest

import carelink
from carelink.audit.exposure import exposures
from carelink.cli.exit_codes import Exit
from carelink.cli.main import main
from carelink.model.moment import DAY, MINUTE, Instant, iso, parse_instant
from carelink.rights.breach import BreachSummary, notices
from carelink.testing.fakes import FakeClock
from carelink.testing.world import World
from carelink.vocabulary import Outcome

AT = parse_instant("2026-01-15T10:00:00+08:00")


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "world")
    made.content()
    yield made
    made.link.close()


def log(world):
    with world.link.wiring.store.reader() as reader:
        return list(enumerate(reader.entries(0, reader.head().size)))


def person_of(world, patient):
    with world.link.wiring.store.reader() as reader:
        return reader.patients([patient])[patient].person


def test_hand_overs_and_openings_in_the_stretch_of_time_count(world):
    early, one, both = (world.patient() for _ in range(3))
    world.link.send(world.ask(early))
    world.clock.advance(DAY)
    begin = world.clock.now()
    world.link.send(world.ask(one, channel="sms", data=("appointment",)))
    world.link.send(world.ask(both))
    world.link.person(both, what="contact", actor=world.link.as_actor("li", roles=("clinician",)))
    end = Instant(begin + MINUTE)
    world.clock.advance(MINUTE)
    world.link.send(world.ask(early))  # at the very end: left out
    found = exposures(log(world), begin, end)
    assert set(found) == {person_of(world, one), person_of(world, both)}
    first = found[person_of(world, one)]
    assert (dict(first.channels), first.purposes, first.minor) == ({"rec-sms": 1}, {"care.appointment"}, False)
    assert first.data == {"contact", "appointment"}
    second = found[person_of(world, both)]
    assert (dict(second.channels), second.openings.total()) == ({"rec-email": 1}, 1)
    assert [len(exposures(log(world), begin, end, channels=[name])) for name in ("rec-sms", "rec-email", "x")] == [
        1,
        1,
        0,
    ]
    assert set(exposures(log(world), begin, end, actors=[world.link.actor("li")])) == {person_of(world, both)}
    assert exposures(log(world), begin, end, actors=[world.link.actor("other")]) == {}


@pytest.mark.parametrize(
    ("outcome", "left"),
    [(Outcome.ACCEPTED, True), (Outcome.UNKNOWN, True), (Outcome.REFUSED, True), (Outcome.NOT_SENT, False)],
)
def test_an_attempt_counts_unless_nothing_left(world, outcome, left):
    patient, begin = world.patient(), world.clock.now()
    world.email.script = iter([outcome])
    world.link.send(world.ask(patient))
    assert (person_of(world, patient) in exposures(log(world), begin, Instant(begin + DAY))) is left


def test_a_refusal_exposes_nobody_and_a_child_is_a_minor(world):
    begin = world.clock.now()
    world.link.send(world.ask(world.patient(consent=())))
    assert exposures(log(world), begin, Instant(begin + DAY)) == {}
    grown = world.patient(birth=date(2009, 1, 1))
    world.link.send(world.ask(grown))
    found = exposures(log(world), begin, Instant(begin + DAY))
    assert [each.minor for each in found.values()] == [True] * len(found)


# -- the command --------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    place, clock = tmp_path / "home", FakeClock(AT)
    with carelink.init(place, zone="Asia/Shanghai", clock=clock) as link:
        link.template("note", "Your recheck is due.", purposes=["care"], channels=["email"], subject="Recheck")
        link.approve("note", actor="reviewer")
        for number in (1, 2):
            patient = link.register(
                identifier=f"{number}", name=f"=Canary {number}", email=f"c{number}@example.invalid",
                birth_date=date(1980, 1, 1),
            )  # fmt: skip
            link.grant(patient, purposes=["care"], channels=["email"], evidence="f", separate=True, notice="v1")
        one = link.find("1")
        outcome = link.send(
            carelink.Request(key="a", patient=one, purpose="care.appointment", channel="email", template="note")
        )
        assert outcome.receipt is not None, outcome
    monkeypatch.setattr("carelink.home.SystemClock", lambda: clock)
    return place


@pytest.fixture
def run(home, capsys, tmp_path):
    def call(*words, to="report"):
        code = main(["--home", str(home), "breach", "report", "--from", iso(AT), "--to", iso(Instant(AT + DAY)),
                     "-o", str(tmp_path / to), *words])  # fmt: skip
        told = capsys.readouterr()
        return code, told.out + told.err

    return call


def sheet(folder):
    with (folder / "affected.csv").open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def test_without_names_nobody_is_named(run, tmp_path):
    code, told = run()
    assert code == Exit.OK
    assert "1 persons affected" in told and "outbox-email (1)" in told
    (row,) = sheet(tmp_path / "report")
    assert (row["channels"], row["purposes"], row["minor"]) == ("outbox-email", "care.appointment", "no")
    for path in (tmp_path / "report").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert "Canary" not in path.read_text() and "example.invalid" not in path.read_text()
    form = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert (form["persons"], form["records"], form["channels"]) == (1, 1, {"outbox-email": 1})
    assert {path.name for path in (tmp_path / "report").glob("*.md")} == {
        "notice-pipl-57.md", "notice-gdpr-33.md", "notice-hipaa.md", "letter-to-persons.md",
    }  # fmt: skip
    assert run()[0] == Exit.COULD_NOT_RUN  # the folder is there


def test_names_need_a_role_and_each_is_an_opening(run, home, tmp_path):
    code, told = run("--names", to="denied")
    assert code == Exit.OK and "1 could not be opened" in told
    assert sheet(tmp_path / "denied")[0]["name"] == ""
    code, told = run("--names", "--role", "compliance", "--actor", "Zhou")
    assert code == Exit.OK and "could not" not in told
    (row,) = sheet(tmp_path / "report")
    assert (row["name"], row["identifiers"], row["contacts"]) == ("'=Canary 1", "mrn|1", "c1@example.invalid")
    with carelink.open(home) as link, link.wiring.store.reader() as reader:
        entries = list(reader.entries(0, reader.head().size))
    assert sum(b'"kind":"opened"' in data and b'"purpose":"breach"' in data for data in entries) == 1


def test_everybody_and_a_vendor_and_an_insider(run, tmp_path):
    assert run("--everybody", to="all")[0] == Exit.OK
    assert len(sheet(tmp_path / "all")) == 2
    assert run("--channel", "outbox-sms", to="vendor")[0] == Exit.OK
    assert sheet(tmp_path / "vendor") == []
    assert run("--opened-by", "Zhou", to="insider")[0] == Exit.OK
    assert sheet(tmp_path / "insider") == []
    assert run("--everybody", "--channel", "x", to="x")[0] == Exit.USAGE
    assert run("--role", "service", to="x")[0] == Exit.COULD_NOT_RUN


def summary(**more):
    given = {
        "begin": AT, "end": Instant(AT + DAY), "made": AT, "persons": 3, "minors": 1, "records": 7,
        "channels": (("smtp", 7),), "regions": ("CN",), "data": ("contact", "diagnosis"), "purposes": ("care.chronic",),
    }  # fmt: skip
    return BreachSummary(**{**given, **more})


def test_each_notice_says_what_is_known_and_leaves_open_what_is_not():
    texts = notices(summary(controller="Eye Hospital", contact="p@hospital.example"))
    for name, text in texts.items():
        assert "Eye Hospital" in text and "p@hospital.example" in text and "diagnosis" in text, name
        assert "待填写" in text, name
    for name in ("notice-pipl-57.md", "notice-gdpr-33.md", "notice-hipaa.md"):
        assert "smtp (7)" in texts[name] and "| 3 |" in texts[name]
    assert all(f"\n{number}. " in texts["notice-pipl-57.md"] for number in range(1, 7))
    assert "四小时" in texts["notice-pipl-57.md"] and "监护人" in texts["notice-pipl-57.md"]
    assert "72 hours" in texts["notice-gdpr-33.md"]
    assert all(f"({letter})" in texts["notice-hipaa.md"] for letter in "ABCDE")
    assert "Fewer than 500" in texts["notice-hipaa.md"]
    assert "500 persons or more" in notices(summary(persons=500))["notice-hipaa.md"]
    assert notices(summary())["notice-pipl-57.md"].count("待填写") > texts["notice-pipl-57.md"].count("待填写")
