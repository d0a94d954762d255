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


# -- answers ------------------------------------------------------------------------------------------------

OFFICER = ("--role", "compliance", "--actor", "Zhou")


def test_access_shows_all_and_gives_a_receipt(run, tmp_path):
    code, told = run("rights", "access", "7", *OFFICER, "--receipt", tmp_path / "receipt.json")
    assert code == Exit.OK
    assert "王小明" in told and "+8613800138000" in told and "form 7" in told
    assert "CN.LIM.3Y" in told and "held" in told
    receipt = json.loads((tmp_path / "receipt.json").read_text())
    assert (receipt["right"], receipt["result"]) == ("access", "done")
    assert receipt["receipt"] in told
    code, told = run("rights", "access", "7")
    assert code == Exit.COULD_NOT_RUN and "王小明" not in told


def test_a_copy_is_a_file_that_only_its_owner_reads(run, tmp_path):
    code, told = run("rights", "copy", "7", "-o", tmp_path / "copy.json", *OFFICER)
    assert code == Exit.OK and "王小明" not in told
    assert json.loads((tmp_path / "copy.json").read_text())["name"] == "王小明"
    assert (tmp_path / "copy.json").stat().st_mode & 0o777 == 0o600
    code, _ = run("rights", "copy", "7", "-o", tmp_path / "copy.json", *OFFICER)
    assert code == Exit.COULD_NOT_RUN  # what is there is not overwritten


def test_an_export_has_every_form(run, home, tmp_path):
    file = home / "carelink.toml"
    file.write_text(file.read_text() + '\n[controller]\nname = "Eye Hospital"\ncontact = "p@hospital.example"\n')
    code, told = run("rights", "export", "7", "-o", tmp_path / "out", *OFFICER)
    assert code == Exit.OK and "王小明" not in told
    names = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert names[0] == "README.md"
    assert {"fhir/Consent.ndjson", "fhir/Patient.ndjson", "receipt.json", "record.json"} < set(names)
    (record,) = (tmp_path / "out" / "consents").glob("*.record.json")
    form = json.loads(record.read_text())
    assert form["party_identification"][0]["name"] == "Eye Hospital"
    assert "party_identification.address" in form["missing"]
    assert len(list((tmp_path / "out" / "consents").glob("*.receipt.json"))) == 1
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert run("rights", "export", "7", "-o", tmp_path / "out", *OFFICER)[0] == Exit.COULD_NOT_RUN


def test_a_correction(run):
    code, told = run(
        "rights", "correct", "7", "--name", "王大明", "--birth-date", "1980-05-17", "--add", "email:w@example.invalid",
        "--remove", "phone:13800138000", *OFFICER,
    )  # fmt: skip
    assert code == Exit.OK
    assert "patient.name" in told and "corrected" in told and "王大明" not in told
    told = run("rights", "access", "7", *OFFICER)[1]
    assert "王大明" in told and "w@example.invalid" in told and "13800138000" not in told
    for wrong in (["--add", "13800138001"], ["--add", "fax:1"], []):
        code, told = run("rights", "correct", "7", *wrong, *OFFICER)
        assert code in (Exit.USAGE, Exit.COULD_NOT_RUN)
        assert "13800138001" not in told
    assert run("rights", "correct", "7", "--birth-date", "17.5.1980", *OFFICER)[0] == Exit.USAGE


def test_a_restriction_and_its_end(run):
    code, told = run("rights", "restrict", "7", *OFFICER)
    assert code == Exit.OK and "restricted" in told
    words = ("patients", "show", "7", "--role", "clinician", "--purpose", "treatment")
    assert run(*words)[0] == Exit.COULD_NOT_RUN
    code, told = run("rights", "restrict", "7", "--lift", *OFFICER)
    assert code == Exit.OK and "held" in told
    assert run(*words)[0] == Exit.OK


def test_a_written_refusal(run, tmp_path):
    code, told = run("rights", "refuse", "7", "--right", "erase", "--reason", "legal_duty", *OFFICER)
    assert code == Exit.OK
    assert "A law obliges us" in told and "法律规定须予保存" in told
    letter = tmp_path / "letter.md"
    assert run("rights", "refuse", "7", "--right", "copy", "--reason", "identity", "-o", letter, *OFFICER)[0] == Exit.OK
    assert "copy of the data" in letter.read_text()
    assert run("rights", "refuse", "7", "--right", "copy", "--reason", "mood", *OFFICER)[0] == Exit.USAGE
