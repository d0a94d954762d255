"""`carelink audit subject`: a patient is told everything the log holds about them, and can check it without carelink."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import re
from datetime import date
from pathlib import Path

import pytest

from carelink.audit.entry import BODIES, parse_entry
from carelink.audit.plain_words import CHANNEL_WORDS, PURPOSE_WORDS, tell
from carelink.audit.subject import concerning
from carelink.cli.main import main
from carelink.home import init, open_home
from carelink.model.moment import parse_instant
from carelink.model.request import Request
from carelink.ports.channel import ChannelEvent
from carelink.testing.fakes import FakeClock
from carelink.vault.personal import Personal
from carelink.vocabulary import ChannelKind, DeliveryEvent, Family, Purpose

pytestmark = pytest.mark.integration

READER = Path(__file__).resolve().parents[2] / "verifier" / "carelink_verify.py"
_spec = importlib.util.spec_from_file_location("carelink_verify", READER)
reader = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reader)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Two patients with everything that can happen to them, and the log's key."""
    folder = tmp_path_factory.mktemp("subject") / "home"
    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    with init(folder, zone="Asia/Shanghai", synthetic=True, clock=clock) as link:
        link.template(
            "note", "Your recheck is due.", purposes=["care", "marketing"], channels=["email"], subject="Recheck"
        )
        for name in ("a", "b", "c"):
            link.approve("note", actor=name)
        ids = {}
        for number in ("1001", "1002"):
            ids[number] = patient = link.register(
                identifier=number,
                name=f"Person {number}",
                email=f"p{number}@example.invalid",
                birth_date=date(1980, 1, 2),
            )
            link.grant(patient, purposes=["care"], channels=["email"], evidence="form 7")
            for purpose in ("care.appointment", "marketing.event"):
                link.send(
                    Request(
                        key=f"{number}/{purpose}", patient=patient, purpose=purpose, channel="email", template="note"
                    )
                )
        event = ChannelEvent(
            event=DeliveryEvent.REPLIED, address=Personal("p1001@example.invalid"), text=Personal("退订")
        )
        link.inbound("email", [event])
        link.withdraw(ids["1001"], purposes=["care"])
        link.publish()
        key = link.key.text
    return folder, key


def told(home, tmp_path, patient="1001"):
    target = tmp_path / "answer"
    assert main(["--home", str(home[0]), "audit", "subject", patient, "-o", str(target)]) == 0
    return target


def second_reader(folder, key):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        return reader.main([str(folder), "--key", key]), out.getvalue()


def test_every_entry_about_the_person_is_there_and_no_other(home, tmp_path):
    folder = told(home, tmp_path)
    indexes = {int(path.stem) for path in (folder / "proofs").glob("*.entry")}
    with open_home(home[0]) as link:
        mine = link.find("1001")
        with link.wiring.store.reader() as store:
            person = store.patients([mine])[mine].person
            entries = list(enumerate(store.entries(0, store.head().size)))
    naming = {index for index, data in entries if person.encode() in data}
    other = {index for index, data in entries if b'"subject"' in data and person.encode() not in data}
    assert naming <= indexes
    assert not other & indexes
    kinds = {parse_entry(data).kind.value for index, data in entries if index in indexes}
    assert kinds >= {
        "subject", "consent_granted", "consent_ended", "decision", "handover", "suppression_added", "inbound", "stopped",
    }  # fmt: skip


def test_the_second_reader_checks_the_proofs_and_sees_a_changed_entry(home, tmp_path):
    folder = told(home, tmp_path)
    assert second_reader(folder, home[1])[0] == 0
    path = min((folder / "proofs").glob("*.entry"))
    good = path.read_bytes()
    path.write_bytes(good.replace(b'"v":1', b'"v":1 '))
    assert second_reader(folder, home[1])[0] == 3
    path.write_bytes(good)
    proof = path.with_suffix(".proof")
    proof.unlink()
    assert second_reader(folder, home[1])[0] == 3


def test_it_is_told_in_words_without_codes_or_names(home, tmp_path):
    folder = told(home, tmp_path)
    english = (folder / "history.en.md").read_text(encoding="utf-8")
    chinese = (folder / "history.zh-CN.md").read_text(encoding="utf-8")
    assert "An email about an appointment was permitted" in english
    assert "An email about an event was not permitted: " in english
    assert "未准许发送邮件,事由:活动邀请。原因:" in chinese
    assert "+08:00" in english
    for text in (english, chinese):
        assert "p1001" not in text
        assert "Person" not in text
        assert not re.search(r"[0-9a-f]{32}", text)
        assert not re.search(r"\b[A-Z]{3,}_[A-Z]+\b", text)
    rows = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    assert len(rows) == len(list((folder / "proofs").glob("*.entry")))


def test_it_overwrites_nothing_and_knows_nobody_else(home, tmp_path):
    folder = told(home, tmp_path)
    assert main(["--home", str(home[0]), "audit", "subject", "1001", "-o", str(folder)]) == 1
    assert main(["--home", str(home[0]), "audit", "subject", "9999", "-o", str(tmp_path / "x")]) == 1
    assert not (tmp_path / "x").exists()


def test_every_word_has_its_two_languages():
    assert set(PURPOSE_WORDS) == {"*", *Family, *Purpose}
    assert set(CHANNEL_WORDS) == {"*", *ChannelKind}


def _entries(home):
    with open_home(home[0]) as link, link.wiring.store.reader() as store:
        return list(enumerate(store.entries(0, store.head().size)))


def test_every_kind_of_entry_can_be_told(home):
    """Whatever an entry says, there is a sentence for it in both languages, without a machine word in it."""
    kinds = set()
    for _, data in _entries(home):
        body = parse_entry(data).body
        kinds.add(body.kind.value)
        for text in tell(body):
            assert text
            assert "_" not in text
    assert len(kinds) > 10
    assert kinds <= set(BODIES)


def test_several_pseudonyms_of_one_person_are_told_together(home):
    """After a merge a person has several: what the log says of any of them is theirs."""
    entries = _entries(home)
    with open_home(home[0]) as link, link.wiring.store.reader() as store:
        persons = [row.person for row in store.page_patients("", 10)]
    alone = [{item.index for item in concerning(entries, [one])} for one in persons]
    together = {item.index for item in concerning(entries, persons)}
    assert together == set.union(*alone)
    assert all(alone)
