"""`carelink audit convert`: the log as JSON lines, CSV, AuditEvent and Communication."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil

import pytest

from carelink.audit.entry import parse_entry
from carelink.cli.main import main
from carelink.interop.logviews.audit_event import PROFILE
from carelink.interop.logviews.sheet import COLUMNS, _cell
from carelink.ports.channel import ChannelEvent
from carelink.stores.logfolder import LogFolder
from carelink.testing.world import World
from carelink.vocabulary import DeliveryEvent, Outcome

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("convert")
    world = World(folder / "w")
    world.content()
    people = [world.patient(consent=("care",) if n % 2 else ()) for n in range(6)]
    world.email.script = iter([Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.REFUSED])
    outcomes = world.link.send_many([world.ask(p) for p in people])
    sent = next(item for item in world.email.handed)
    assert outcomes
    world.link.inbound("email", [ChannelEvent(event=DeliveryEvent.DELIVERED, key=sent.key)])
    world.link.export(folder / "export", actor="auditor")
    key = world.link.key.text
    world.link.close()
    return folder / "export", key


def convert(exported, tmp_path, form):
    target = tmp_path / form
    words = ["audit", "convert", str(exported[0]), "--key", exported[1], "--to", form, "-o", str(target)]
    assert main(words) == 0
    assert main(words) == 1  # overwrites nothing
    return target.read_text(encoding="utf-8")


def entries(exported):
    return dict(LogFolder(exported[0]).entries())


def test_json_lines_hold_the_exact_bytes(exported, tmp_path):
    first, *lines = convert(exported, tmp_path, "jsonl").splitlines()
    assert json.loads(first)["checkpoint"] == (exported[0] / "checkpoint").read_text(encoding="utf-8")
    assert len(lines) == len(entries(exported))
    for line in lines:
        row = json.loads(line)
        data = json.dumps(row["entry"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        assert hashlib.sha256(b"\0" + data).hexdigest() == row["leaf"]
        assert data == entries(exported)[row["index"]]


def test_csv_has_a_row_an_entry_and_reads_back(exported, tmp_path):
    text = convert(exported, tmp_path, "csv")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(entries(exported))
    for row in rows:
        body = parse_entry(entries(exported)[int(row["entry"])]).body
        assert row["kind"] == body.kind.value
        if row["kind"] == "decision":
            assert row["effect"] == body.effect.value
            assert row["purpose"] == body.facts.ask.purpose.value
            assert row["subject"] == body.facts.subject
            assert bool(row["reasons"]) is (row["effect"] != "permit")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_cell_is_a_formula(text):
    assert _cell(text) == f"'{text}"
    assert _cell("a=1") == "a=1"


def test_audit_events_follow_the_profile(exported, tmp_path):
    """Fixed values and cardinalities of IHE.BasicAudit.AuthZconsent, read off the profile."""
    lines = convert(exported, tmp_path, "audit-event").splitlines()
    decided = [e for e in map(parse_entry, entries(exported).values()) if e.kind.value in ("decision", "claim")]
    assert len(lines) == len(decided)
    for line, entry in zip(lines, decided, strict=True):
        event = json.loads(line)
        assert event["meta"]["profile"] == [PROFILE]
        assert event["type"]["code"] == "110113"
        assert [each["code"] for each in event["subtype"]] == ["AuthZ-Consent"]
        assert event["action"] == "E"
        permitted = entry.body.effect.value == "permit"
        assert (event["outcome"] == "0") is permitted
        assert bool(event.get("outcomeDesc")) is not permitted
        kinds = [agent["type"]["coding"][0]["code"] for agent in event["agent"]]
        assert sorted(kinds) == ["110150", "IRCP", "PROV", "authserver"]
        by_kind = dict(zip(kinds, event["agent"], strict=True))
        assert by_kind["IRCP"]["requestor"] is True
        assert "network" in by_kind["110150"]
        assert "network" not in by_kind["IRCP"]
        assert event["entity"][0]["type"]["code"] == "1"
        assert {each["type"]["code"] for each in event["entity"][1:]} == {"Consent"}
        assert event["entity"][0]["what"]["type"] == "Patient"
        assert "modifierExtension" not in event


def test_communications_are_the_attempts(exported, tmp_path):
    found = [json.loads(line) for line in convert(exported, tmp_path, "communication").splitlines()]
    assert [each["status"] for each in found] == ["completed", "unknown", "not-done"]
    assert "received" in found[0]
    assert "sent" not in found[2]
    assert all("payload" not in each for each in found)


def test_the_resources_are_valid_fhir(exported, tmp_path):
    why = "the FHIR models are not installed (extra: dev)"
    event = pytest.importorskip("fhir.resources.R4B.auditevent", reason=why).AuditEvent
    message = pytest.importorskip("fhir.resources.R4B.communication", reason=why).Communication
    for form, model in (("audit-event", event), ("communication", message)):
        for line in convert(exported, tmp_path, form).splitlines():
            model.model_validate_json(line)


def test_a_log_that_does_not_verify_is_not_converted(exported, tmp_path):
    forged = tmp_path / "forged"
    shutil.copytree(exported[0], forged)
    bundle = next(path for path in (forged / "tile" / "entries").rglob("*") if path.is_file())
    bundle.write_bytes(bundle.read_bytes().replace(b"permit", b"refuse", 1))
    target = tmp_path / "out.csv"
    assert main(["audit", "convert", str(forged), "--key", exported[1], "--to", "csv", "-o", str(target)]) == 3
    assert not target.exists()
    inside = exported[0] / "out.csv"
    assert main(["audit", "convert", str(exported[0]), "--key", exported[1], "--to", "csv", "-o", str(inside)]) == 2
