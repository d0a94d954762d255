"""What mails that come back do to patients: invalid addresses, stops, and nothing where nothing may be done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carelink.channels.smtp.channel import SmtpChannel
from carelink.consent.optout.reading import Reply, read_reply
from carelink.model.ids import PatientId
from carelink.packs.optout_words import bundled_grammar
from carelink.testing.world import World
from carelink.vocabulary import ContactStatus, Effect

_SETTINGS = {"host": "mail.example.org", "sender": "clinic@example.org"}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "w")
    made.content()
    yield made
    made.link.close()


def _sent(world: World) -> tuple[PatientId, str, str]:
    """A patient who was written to, the key that left, the address."""
    patient = world.patient(consent=("care", "marketing"))
    assert world.link.send(world.ask(patient)).effect is Effect.PERMIT
    return patient, world.email.handed[-1].key, world.email.handed[-1].address


def _take(world: World, mail: str) -> list[tuple[str, ...]]:
    reader = SmtpChannel(_SETTINGS, clock=world.clock)
    events = reader.parse_callback({"content-type": "message/rfc822"}, mail.encode())
    return [result.actions for result in world.link.inbound("email", events)]


def _bounce(key: str, status: str = "5.1.1", recipient: str = "x@example.invalid") -> str:
    return f"""From: MAILER-DAEMON@mail.example.org
Message-ID: <b-{key}@mail.example.org>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org
Original-Envelope-Id: {key}

Final-Recipient: rfc822; {recipient}
Action: failed
Status: {status}

--b--
"""


def _reply(text: str, sender: str, key: str = "", extra: str = "") -> str:
    thread = f"In-Reply-To: <{key}@example.org>\n" if key else ""
    return f"From: {sender}\nSubject: Re: Recheck\nMessage-ID: <r@example.invalid>\n{thread}{extra}\n{text}\n"


def _effect(world: World, patient: PatientId, purpose: str = "care.appointment") -> Effect:
    return world.link.preview(world.ask(patient, purpose=purpose)).effect


def _status(world: World, patient: PatientId) -> ContactStatus:
    with world.link.wiring.store.reader() as reader:
        (row,) = [row for row in reader.contacts([patient])[patient] if row.kind.value == "email"]
    return row.status


def test_a_hard_bounce_marks_the_address_and_the_next_send_is_refused(world: World) -> None:
    patient, key, _ = _sent(world)
    assert _take(world, _bounce(key)) == [("invalidated", "receipt")]
    assert _status(world, patient) is ContactStatus.INVALID
    assert world.link.send(world.ask(patient)).effect is Effect.REFUSE
    assert _take(world, _bounce(key)) == [("repeated",)]


def test_a_bounce_touches_the_address_written_to_whatever_it_names(world: World) -> None:
    other = world.patient()
    patient, key, _ = _sent(world)
    with world.link.wiring.store.reader() as reader:
        assert reader.contacts([other])
    victim = "w1@example.invalid"
    _take(world, _bounce(key, recipient=victim))
    assert _status(world, other) is not ContactStatus.INVALID
    assert _status(world, patient) is ContactStatus.INVALID


@pytest.mark.parametrize("status", ["4.2.2", "5.7.1", "5.0.0"])
def test_a_bounce_that_says_nothing_of_the_address_leaves_it(world: World, status: str) -> None:
    patient, key, _ = _sent(world)
    assert _take(world, _bounce(key, status)) == [("receipt",)]
    assert _status(world, patient) is not ContactStatus.INVALID


def test_a_bounce_with_a_key_that_is_none_of_ours_is_parked(world: World) -> None:
    patient, _, _ = _sent(world)
    assert _take(world, _bounce("f" * 32)) == [("parked",)]
    assert _status(world, patient) is not ContactStatus.INVALID


@pytest.mark.parametrize(
    "text", ["STOP", "退订", "STOP\n\nLi Wang", "退订\n谢谢", "STOP\n\n> Your recheck is due.\n> Reply STOP"]
)
def test_a_stop_by_mail_acts(world: World, text: str) -> None:
    patient, _, address = _sent(world)
    assert _take(world, _reply(text, address)) == [("stopped",)]
    assert _effect(world, patient, "marketing.service") is Effect.REFUSE


def test_a_stop_from_elsewhere_binds_the_address_that_was_written_to(world: World) -> None:
    patient, key, _ = _sent(world)
    assert _take(world, _reply("STOP", "Son <son@example.invalid>", key)) == [("stopped",)]
    assert _effect(world, patient) is Effect.REFUSE  # it answers this kind of message
    assert _effect(world, patient, "marketing.service") is Effect.REFUSE


def test_a_vacation_note_stops_nobody(world: World) -> None:
    patient, key, address = _sent(world)
    assert _take(world, _reply("STOP", address, key, "Auto-Submitted: auto-replied\n")) == []
    assert _effect(world, patient) is not Effect.REFUSE


def test_other_words_are_noted(world: World) -> None:
    patient, key, address = _sent(world)
    assert _take(world, _reply("谢谢，我会按时来。", address, key)) == [("noted",)]
    assert _effect(world, patient) is not Effect.REFUSE


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("STOP\nLi Wang\nTel 123", Reply.STOP),
        ("Dear clinic\nUnsubscribe\nLi", Reply.STOP),
        ("退订\n谢谢", Reply.STOP),
        ("退订\n全部退订", Reply.STOP_ALL),
        ("复查提醒\n退订。", Reply.STOP),
        ("Cancel\nmy appointment on Monday please", Reply.OTHER),
        ("取消\n周一的预约", Reply.OTHER),
        ("N\nI cannot come", Reply.OTHER),
        ("不是退订\n我还会来", Reply.OTHER),
        ("The bus does not stop there.\nLi", Reply.OTHER),
        ("Please do not contact me any more\nLi", Reply.STOP),
        ("I get too many of these, it is harassment\nLi", Reply.REVIEW),
    ],
)
def test_a_word_on_a_line_of_its_own(text: str, reply: Reply) -> None:
    assert read_reply(text, bundled_grammar()).reply is reply
