"""P8 at the desk: whatever files and keys somebody feeds the command line, no message and no log line repeats them."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from pathlib import Path

import pytest

from carelink.cli.main import main
from carelink.model.moment import parse_instant
from carelink.testing.fakes import FakeClock

_spec = importlib.util.spec_from_file_location("canaries", Path(__file__).resolve().parents[1] / "canaries.py")
canaries = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(canaries)
C, found_in, search = canaries.CANARIES, canaries.found_in, canaries.search


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys):
    """Run a command with `--verbose`, in a home on a virtual clock; keep all that it shows."""
    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    monkeypatch.setattr("carelink.home.SystemClock", lambda: clock)
    monkeypatch.setattr("carelink.cli.send.wait", clock.advance)
    monkeypatch.delenv("CARELINK_HOME", raising=False)
    monkeypatch.delenv("CARELINK_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    shown = []

    def run(*arguments, stdin=b""):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        main(["--verbose", "--home", str(tmp_path / "home"), *arguments])
        seen = capsys.readouterr()
        shown.append((arguments[:2], seen.out + seen.err))
        return seen.out + seen.err

    run.shown, run.root = shown, tmp_path
    assert main(["--home", str(tmp_path / "home"), "init", "--zone", "Asia/Shanghai"]) == 0
    return run


def table(path, columns, *rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(columns)
        out.writerows(rows)
    return str(path)


def people(folder):
    """A good row, and rows that are wrong in every column."""
    columns = ("mrn", "name", "phone", "email", "birth_date", "zone", "language")
    good = (C["medical record number"], C["chinese name"], C["phone"], C["email"], C["birth date"], "", "zh")
    return table(
        folder / "people.csv", columns, good, good,
        ("", C["name"], C["phone"], C["email"], C["birth date"], "", ""),
        ("X" + C["medical record number"], C["name"], C["email"], C["phone"], C["phone"], C["name"], C["email"]),
        ("Y" + C["medical record number"], C["name"] * 200, C["phone"] * 5, "@" + C["email"], "31/12/49", "", "x y"),
        (C["medical record number"], C["name"]),
        (C["identity number"],) * 9,
    )  # fmt: skip


def test_no_command_repeats_what_it_was_fed(desk):
    folder = desk.root
    desk("patients", "import", "--csv", people(folder), "--check")
    desk("patients", "import", "--csv", people(folder))
    who = f"mrn|{C['medical record number']}"
    grants = ("mrn", "purposes", "channels", "evidence", "by", "since")
    desk("consent", "import", "--csv", table(
        folder / "grants.csv", grants,
        (C["medical record number"], "care", "email", C["evidence"], "self", "2026-01-01"),
        (C["medical record number"], C["name"], C["email"], C["evidence"], C["name"], C["birth date"]),
        (C["identity number"], "care", "email", C["evidence"], "self", "2026-01-01"),
        (C["medical record number"], "care", "email", "", "self", "2026-01-01"),
    ))  # fmt: skip
    desk("consent", "show", who)
    desk("consent", "show", f"mrn|{C['identity number']}")
    desk("content", "add", "visit", "--purposes", "care.appointment", "--channels", "email", "--subject", "Visit", "--actor", C["name"],
         "--body", _body(folder))  # fmt: skip
    desk("content", "approve", "visit", "--actor", C["name"])
    desk("content", "approve", "visit", "--actor", C["name"] + " 2")
    for verb in (
        ("add", C["name"], "--actor", C["name"]),
        ("list", C["name"]),
        ("end", C["name"], "--actor", C["name"]),
    ):
        desk("credentials", *verb)
    send = ("--purpose", "care.appointment", "--template", "visit", "--channel", "email")
    note = ("--var", f"note={C['template variable']}")
    desk("preview", *send, *note)
    desk("preview", *send, "--where", f"identifier={who}", *note)
    desk("send", *send, *note)
    desk("send", *send, "--var", f"{C['template variable']}=x")
    lines = [
        {"key": C["request key"], "identifier": who, "clinician": C["name"]},
        {"key": C["request key"], "identifier": who, "variables": {"note": "other " + C["name"]}},
        {"key": C["request key"] + "2", "identifier": f"mrn|{C['identity number']}"},
        {"key": C["request key"] + "3", "identifier": who, "purpose": C["name"]},
        {"key": C["request key"] + "4", "identifier": who, "variables": {"note": C["name"] * 50}},
        {"key": C["request key"] + "5", "identifier": who, C["name"]: C["email"]},
        {"key": C["request key"] + "6", "identifier": who, "channel": C["phone"]},
        {"key": C["request key"] + "7", "identifier": who, "template": C["phone"]},
        {"key": C["request key"] + "8", "identifier": C["email"]},
        {"key": C["request key"] + "9", "patient": C["phone"]},
        {"key": C["request key"] * 30, "identifier": who},
    ]
    wanted = {"purpose": "care.appointment", "channel": "email", "template": "visit",
              "variables": {"note": C["template variable"]}}  # fmt: skip
    text = "\n".join([*(json.dumps({**wanted, **line}) for line in lines), C["name"], "{" + C["email"]])
    answers = desk("send", "--jsonl", "-", stdin=text.encode())
    assert len(answers.splitlines()) >= len(lines) + 2
    events = [
        {"event": "replied", "address": C["email"], "text": C["reply text"], "event_id": C["event id"]},
        {"event": "delivered", "key": C["request key"], "provider_id": C["provider id"]},
        {"event": C["name"], "address": C["email"]},
        {"event": "replied", "address": C["name"], "text": "STOP", "channel": C["email"]},
        {"event": "replied", "address": C["email"], "text": "STOP", "at": C["birth date"]},
        {"event": "replied", "address": C["email"], "channel": C["phone"]},
        {C["name"]: C["phone"]},
    ]
    desk("inbound", "-", "--channel", "email", stdin="\n".join([*map(json.dumps, events), C["name"]]).encode())
    desk("why", C["request key"])
    desk("why", C["request key"] + "unheard of")
    desk("audit", "verify")
    desk("audit", "export", str(folder / "export"), "--actor", C["name"])
    assert len(list((folder / "home" / "outbox").rglob("*.eml"))) == 2, (
        "the control: it was sent, and once more by line"
    )
    assert len(desk.shown) > 15
    for arguments, shown in desk.shown:
        assert found_in(shown) == set(), (arguments, shown)


def _body(folder):
    (folder / "visit.txt").write_text("Dear {patient_name}: {note}.")
    return str(folder / "visit.txt")


def test_a_broken_fhir_file_is_reported_without_its_values(desk):
    folder = desk.root / "fhir"
    folder.mkdir()
    good = {
        "resourceType": "Patient", "id": "p1", "birthDate": C["birth date"],
        "identifier": [{"system": "urn:mrn", "value": C["medical record number"]}],
        "name": [{"text": C["name"]}], "telecom": [{"system": "email", "value": C["email"]}],
    }  # fmt: skip
    rows = [
        json.dumps(good), json.dumps(good)[:-9], C["name"], json.dumps([C["name"]]), json.dumps(C["email"]),
        json.dumps({**good, "id": [C["name"]]}), json.dumps({**good, "id": "p2", "birthDate": C["phone"]}),
        json.dumps({**good, "id": "p3", "name": C["name"], "telecom": C["phone"]}),
        json.dumps({**good, "id": "p4", "identifier": [{"value": {"x": C["identity number"]}}]}),
        json.dumps({**good, "resourceType": C["name"]}), json.dumps({"name": C["name"]}),
    ]  # fmt: skip
    (folder / "Patient.ndjson").write_text("\n".join(rows), encoding="utf-8")
    for more in (["--check"], []):
        shown = desk("patients", "import", "--fhir", str(folder), *more)
        assert "Patient.ndjson" in shown
        assert found_in(shown) == set(), shown


def test_no_file_of_the_home_holds_a_canary_afterwards(desk):
    folder = desk.root
    desk("patients", "import", "--csv", people(folder))
    (folder / "people.csv").unlink()
    found, files = search(folder, leave_out=[folder / "home" / "outbox"])
    assert found == {}
    assert any(path.name == "carelink.db" for path in files)
