"""`carelink inbound` and `carelink channels`: mails, Maildirs, JSON lines; what cannot be read is named, the rest goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import carelink
from carelink.cli.inbound import event_from_json, mails_in
from carelink.errors import InvalidInputError
from carelink.vocabulary import DeliveryEvent

_SMTP = """
[routes]
email = "smtp"
sms = "outbox-sms"
[channels.smtp]
host = "mail.example.org"
sender = "clinic@example.org"
"""


def _mail(text: str, sender: str = "p1@example.invalid", name: str = "1") -> str:
    return f"From: {sender}\nSubject: Re: x\nMessage-ID: <{name}@example.invalid>\n\n{text}\n"


@pytest.fixture
def clinic(desk):
    """A home whose mail goes by SMTP, with one patient."""
    desk.people(1)
    (desk.home / "carelink.toml").write_text(_SMTP)
    return desk


def _maildir(folder: Path, **mails: str) -> Path:
    for part in ("new", "cur", "tmp"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for name, text in mails.items():
        (folder / "new" / name).write_text(text)
    return folder


def _stops(desk) -> int:
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        return sum(b'"suppression_added"' in data for data in reader.entries(0, reader.head().size))


def test_one_mail(clinic):
    (clinic.folder / "reply.eml").write_text(_mail("STOP"))
    ran = clinic.run("inbound", "reply.eml", "--mail")
    assert (ran.code, "stopped" in ran.out) == (0, True)
    assert "repeated" in clinic.run("inbound", "reply.eml").out
    (clinic.folder / "reply").write_text(_mail("STOP"))
    assert clinic.run("inbound", "reply").code == 1  # lines, none of them an event
    assert "repeated" in clinic.run("inbound", "reply", "--mail").out


def test_a_mail_from_standard_input(clinic):
    ran = clinic.run("inbound", "-", "--mail", "--channel", "smtp", stdin=_mail("退订").encode())
    assert (ran.code, "stopped" in ran.out) == (0, True)


def test_a_maildir_is_read_once_and_marked(clinic):
    box = _maildir(clinic.folder / "box", a1=_mail("STOP", name="1"), a2=_mail("ok", name="2"))
    ran = clinic.run("inbound", "box", "--channel", "smtp")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "mails read: 2, unreadable: 0"
    assert sorted(path.name for path in (box / "cur").iterdir()) == ["a1:2,S", "a2:2,S"]
    assert list((box / "new").iterdir()) == []
    assert clinic.run("inbound", "box").out == "mails read: 0, unreadable: 0\n"


def test_a_mail_seen_by_nobody_in_cur_is_read_and_keeps_its_flags(clinic):
    box = _maildir(clinic.folder / "box")
    (box / "cur" / "b1:2,F").write_text(_mail("ok"))
    (box / "cur" / "b2:2,RS").write_text(_mail("STOP", name="2"))
    ran = clinic.run("inbound", "box")
    assert ran.out.splitlines()[-1] == "mails read: 1, unreadable: 0"
    assert sorted(path.name for path in (box / "cur").iterdir()) == ["b1:2,FS", "b2:2,RS"]


def test_a_mail_that_cannot_be_read_stays_and_the_rest_goes_on(clinic):
    box = _maildir(clinic.folder / "box", a1="no mail at all", a2=_mail("STOP"))
    ran = clinic.run("inbound", "box")
    assert ran.code == 0
    assert "mail 1 `a1`" in ran.out
    assert "stopped" in ran.out
    assert [path.name for path in (box / "new").iterdir()] == ["a1"]
    alone = clinic.run("inbound", "box")
    assert alone.code == 1
    assert "mails read: 0, unreadable: 1" in alone.out


def test_a_folder_of_eml_files_stays_as_it_is(clinic):
    place = clinic.folder / "mails"
    place.mkdir()
    (place / "a.eml").write_text(_mail("STOP"))
    (place / "notes.txt").write_text("not a mail")
    ran = clinic.run("inbound", "mails")
    assert (ran.code, ran.out.splitlines()[-1]) == (0, "mails read: 1, unreadable: 0")
    assert sorted(path.name for path in place.iterdir()) == ["a.eml", "notes.txt"]
    assert "repeated" in clinic.run("inbound", "mails").out


def test_a_killed_run_takes_up_where_it_was(clinic, monkeypatch):
    """Between the commit and the mark: the mail is read again and acts once."""
    _maildir(clinic.folder / "box", a1=_mail("STOP"))

    def die(path):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("carelink.cli.inbound._mark_seen", die)
        assert clinic.run("inbound", "box").code != 0
    stops = _stops(clinic)
    assert stops > 0
    assert "repeated" in clinic.run("inbound", "box").out
    assert _stops(clinic) == stops


def test_a_mail_about_nothing_of_ours_says_so(clinic):
    (clinic.folder / "away.eml").write_text("Auto-Submitted: auto-replied\n" + _mail("STOP"))
    ran = clinic.run("inbound", "away.eml", "--mail")
    assert ran.code == 0
    assert "no message of ours" in ran.out


def test_a_channel_that_reads_no_mails_says_so(clinic):
    (clinic.folder / "reply.eml").write_text(_mail("STOP"))
    ran = clinic.run("inbound", "reply.eml", "--mail", "--channel", "sms")
    assert ran.code == 2
    assert "does not read mails" in ran.out + ran.err
    (clinic.folder / "mails").mkdir()
    assert clinic.run("inbound", "mails", "--channel", "sms").code == 2


def test_lines_that_are_no_events_are_named_and_the_rest_goes_on(clinic):
    lines = [
        "nonsense",
        json.dumps({"event": "no such"}),
        json.dumps({"event": "replied", "channel": "fax", "text": "STOP", "address": "x"}),
        json.dumps({"event": "replied", "channel": "email", "text": "STOP", "address": "p1@example.invalid"}),
        "",
    ]
    ran = clinic.run("inbound", "-", stdin="\n".join(lines).encode())
    assert ran.code == 0
    assert [line.split(":")[0] for line in ran.out.splitlines() if line.startswith("line")] == [
        "line 1",
        "line 2",
        "line 3",
    ]
    assert "stopped" in ran.out
    assert clinic.run("inbound", "-", stdin=b"nonsense").code == 1


@pytest.mark.parametrize(
    "line",
    ["", "7", "[]", '"x"', "{}", '{"event": 7}', '{"event": "replied", "surplus": "x"}', '{"event": "replied", "at": "today"}',
     "[" * 100_000],
)  # fmt: skip
def test_a_line_that_is_no_event(line):
    with pytest.raises(InvalidInputError):
        event_from_json(line)


def test_a_line_with_everything():
    line = {"event": "replied", "channel": "sms", "key": "k", "provider_id": "p", "event_id": "e", "address": "a",
            "text": "t", "at": "2026-01-15T10:00:00+08:00"}  # fmt: skip
    channel, event = event_from_json(json.dumps(line))
    assert channel == "sms"
    assert event.event is DeliveryEvent.REPLIED
    assert (event.key, event.provider_id, event.event_id, event.at) == ("k", "p", "e", 1768442400000000)
    assert "Personal(***)" in repr(event)


def test_mails_are_taken_in_the_order_of_their_names(tmp_path):
    box = _maildir(tmp_path / "box", c="c", a="a")
    (box / "cur" / "b:2,").write_text("b")
    assert [path.name for path in mails_in(box)] == ["a", "b:2,", "c"]


# -- channels --------------------------------------------------------------------------------------------------------


def test_channels_list(clinic):
    ran = clinic.run("channels", "list")
    assert ran.code == 0
    (line,) = [line for line in ran.out.splitlines() if line.startswith("smtp")]
    assert "email" in line
    assert "ready" in line


def test_resume_wants_a_channel_that_was_stopped(clinic):
    missing = clinic.run("channels", "resume", "fax")
    assert missing.code == 1
    assert "no channel `fax`" in missing.out + missing.err
    assert "was not stopped" in clinic.run("channels", "resume", "smtp").out
    with carelink.open(clinic.home) as link, link.wiring.store.transaction() as tx:
        tx.put_channel_stop("smtp", stopped=True)
    assert "stopped" in clinic.run("channels", "list").out
    assert clinic.run("channels", "resume", "smtp").out == "smtp goes on\n"
    assert "stopped" not in clinic.run("channels", "list").out
