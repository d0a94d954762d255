"""`carelink rights`: erase and receipt."""

import json
from datetime import timedelta

import pytest

import carelink
from carelink.cli.exit_codes import Exit
from carelink.cli.main import main
from carelink.engine.recovery import Recovered
from carelink.model.moment import Instant, iso, to_datetime
from carelink.vocabulary import ReservationState


@pytest.fixture
def home(tmp_path):
    place = tmp_path / "home"
    with carelink.init(place, zone="Asia/Shanghai") as link:
        patient = link.register(identifier="7", name="王小明", phone="13800138000")
        link.grant(patient, purposes=("care",), channels=("sms",), evidence="form 7")
    return place


@pytest.fixture
def run(home, capsys):
    def call(*words):
        code = main(["--home", str(home), *map(str, words)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return call


def patient_of(home):
    with carelink.open(home) as link:
        return link.find("7")


def test_without_yes_nothing_is_changed(run, home):
    code, told = run("rights", "erase", "7", "--actor", "wu")
    assert code == Exit.OK
    assert "Nothing was changed" in told and "contact points     1" in told
    assert patient_of(home)


def test_erase_and_receipt(run, home):
    patient = patient_of(home)
    code, told = run("rights", "erase", "7", "--actor", "wu", "--yes")
    assert code == Exit.OK
    assert "patient.name" in told and "erased" in told and "CN.LIM.3Y" in told
    assert "set `retention.key_backups`" in told
    assert "王小明" not in told and "13800138000" not in told
    code, told = run("rights", "receipt", patient, "--json")
    assert code == Exit.OK
    receipt = json.loads(told)
    assert receipt["patient"] == patient and "unreadable_backups" not in receipt
    assert run("rights", "receipt", "7")[0] == Exit.COULD_NOT_RUN  # the identifier leads nowhere
    assert run("rights", "erase", patient, "--actor", "wu", "--yes")[0] == Exit.OK  # again is harmless


def test_the_second_date_comes_from_the_settings(run, home):
    file = home / "carelink.toml"
    file.write_text(file.read_text() + '\n[retention]\nkey_backups = "P30D"\n')
    patient = patient_of(home)
    run("rights", "erase", "7", "--actor", "wu", "--yes")
    receipt = json.loads(run("rights", "receipt", patient, "--json")[1])
    assert receipt["unreadable_backups"][:10] > receipt["unreadable_live"][:10]


def test_in_chinese(run, home):
    code, told = run("--lang", "zh", "rights", "erase", "7", "--actor", "wu", "--yes")
    assert code == Exit.OK
    assert "仍保留" in told


def test_who_was_not_erased_has_no_receipt(run, home):
    code, told = run("rights", "receipt", "7")
    assert code == Exit.COULD_NOT_RUN
    assert "no erasure" in told


def test_a_reason_is_one_of_the_list(run):
    assert run("rights", "erase", "7", "--actor", "wu", "--reason", "fun", "--yes")[0] == Exit.USAGE


def test_a_message_in_flight_makes_it_wait(run, home, monkeypatch):
    with carelink.open(home) as link:
        patient = link.find("7")
    monkeypatch.setattr("carelink.engine.erasure.recover", lambda _: Recovered())
    monkeypatch.setattr(
        "carelink.engine.erasure.Erasure._flying",
        lambda *_: [type("R", (), {"lease": 5, "state": ReservationState.CLAIMED})],
    )
    code, told = run("rights", "erase", patient, "--actor", "wu", "--yes")
    assert code == Exit.COULD_NOT_RUN
    assert "1 messages to this patient are in flight" in told
    monkeypatch.undo()
    assert run("rights", "receipt", patient)[0] == Exit.OK  # opening went on with it


# -- who looks ----------------------------------------------------------------------------------------------


def test_a_record_is_shown_to_who_may_see_it(run):
    code, told = run("patients", "show", "7")
    assert code == Exit.COULD_NOT_RUN
    assert "access.denied" in told and "王小明" not in told
    code, told = run("patients", "show", "7", "--role", "clinician", "--purpose", "treatment", "--actor", "Dr. Li")
    assert code == Exit.OK
    assert "王小明" in told and "mrn|7" in told and "13800138000" not in told
    code, told = run("patients", "show", "7", "--what", "record", "--role", "compliance,auditor")
    assert "+8613800138000" in told and "form 7" in told and "care by sms" in told
    assert run("patients", "show", "7", "--role", "king")[0] == Exit.USAGE


def test_the_settings_name_who_acts(run, home):
    file = home / "carelink.toml"
    file.write_text(file.read_text() + '\n[access]\nroles = ["clinician"]\npurpose = "treatment"\nactor = "ward"\n')
    assert run("patients", "show", "7")[0] == Exit.OK
    assert run("patients", "show", "7", "--role", "service")[0] == Exit.COULD_NOT_RUN


def test_an_emergency_is_on_the_list_until_it_is_reviewed(run, home):
    code, _ = run("patients", "show", "7", "--what", "contact", "--purpose", "emergency", "--actor", "night")
    assert code == Exit.OK
    assert "1 were not" in run("doctor")[1]
    code, told = run("access", "reviews")
    assert code == Exit.OK and "contact" in told
    with carelink.open(home) as link:
        (row,) = link.access.reviews()
    assert run("access", "review", row.id, "justified", "--role", "compliance", "--actor", "night")[0] != Exit.OK
    assert run("access", "review", row.id, "justified", "--role", "compliance", "--actor", "chief")[0] == Exit.OK
    assert "were not" not in run("doctor")[1]


def test_a_child_is_shown_to_who_was_approved(run, home):
    with carelink.open(home) as link:
        link.register(
            identifier="8", name="王小小", birth_date=to_datetime(link.parts.clock.now()).date() - timedelta(days=3000)
        )
        until = iso(Instant(link.parts.clock.now() + 3600 * 1_000_000))
    words = ("patients", "show", "8", "--role", "clinician", "--actor", "Dr. Li")
    assert run(*words)[0] == Exit.COULD_NOT_RUN
    code, told = run("access", "approve", "8", "--for", "Dr. Li", "--until", until, "--role", "compliance",
                     "--actor", "chief")  # fmt: skip
    assert code == Exit.OK and "approved until" in told
    code, told = run(*words)
    assert code == Exit.OK and "王小小" in told
