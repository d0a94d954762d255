"""Mails that come back: bounces by their status, complaints, replies by people, and machines that are not answered to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.channels.smtp.channel import SmtpChannel
from carelink.channels.smtp.incoming import read_mail
from carelink.channels.smtp.options import read_options
from carelink.errors import InvalidInputError
from carelink.model.moment import Instant, parse_instant
from carelink.ports.channel import ChannelEvent
from carelink.testing.fakes import FakeClock
from carelink.vocabulary import DeliveryEvent

_KEY = "0123456789abcdef0123456789abcdef"
_OTHER = "f" * 32
_TABLE = {"host": "mail.example.org", "sender": "clinic@example.org", "bounces": "bounces@sender.example", "verp": True}
_OPTIONS = read_options(_TABLE)


def _dsn(
    *,
    action: str = "failed",
    status: str = "5.1.1",
    envid: str = "",
    to: str = "bounces@sender.example",
    original: str = "",
    blocks: int = 1,
) -> bytes:
    recipient = f"\nFinal-Recipient: rfc822; someone-else@example.invalid\nAction: {action}\nStatus: {status}\nDiagnostic-Code: smtp; 550 no\n"
    head = "Reporting-MTA: dns; mail.hospital.test\n" + (f"Original-Envelope-Id: {envid}\n" if envid else "")
    return f"""Return-Path: <>
From: MAILER-DAEMON@mail.hospital.test (Mail Delivery System)
To: {to}
Date: Thu, 15 Jan 2026 10:00:05 +0800
Message-Id: <20260115.1@mail.hospital.test>
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b1"

--b1
Content-Type: text/plain

Your message could not be delivered. STOP

--b1
Content-Type: message/delivery-status

{head}{recipient * blocks}
--b1
Content-Type: text/rfc822-headers

From: clinic@example.org
To: li@example.invalid
{original}

--b1--
""".encode()


def _only(data: bytes) -> ChannelEvent:
    (event,) = read_mail(data, _OPTIONS)
    return event


@pytest.mark.parametrize(
    ("action", "status", "event"),
    [
        ("failed", "5.1.1", DeliveryEvent.BOUNCED_HARD),
        ("failed", "5.1.2", DeliveryEvent.BOUNCED_HARD),
        ("failed", "5.1.10", DeliveryEvent.BOUNCED_HARD),
        ("failed", "5.2.1", DeliveryEvent.BOUNCED_HARD),
        ("FAILED", " 5.1.1 (bad destination mailbox address)", DeliveryEvent.BOUNCED_HARD),
        ("failed", "4.2.2", DeliveryEvent.BOUNCED_SOFT),
        ("failed", "4.4.7", DeliveryEvent.BOUNCED_SOFT),
        ("failed", "5.2.2", DeliveryEvent.BOUNCED_SOFT),
        ("failed", "5.7.1", DeliveryEvent.BLOCKED),
        ("failed", "5.0.0", DeliveryEvent.FAILED),
        ("failed", "5.4.4", DeliveryEvent.FAILED),
        ("failed", "5.1.8", DeliveryEvent.FAILED),
        ("failed", "", DeliveryEvent.FAILED),
        ("failed", "nonsense", DeliveryEvent.FAILED),
        ("delayed", "4.4.1", DeliveryEvent.DEFERRED),
        ("delivered", "2.0.0", DeliveryEvent.DELIVERED),
        ("relayed", "2.0.0", DeliveryEvent.SENT),
        ("expanded", "2.0.0", DeliveryEvent.SENT),
    ],
)
def test_a_report_is_read_by_action_and_status(action: str, status: str, event: DeliveryEvent) -> None:
    found = _only(_dsn(action=action, status=status, envid=_KEY))
    assert (found.event, found.key) == (event, _KEY)
    # The address that was written to is known by the key; the one in the report may be somebody else's.
    assert found.address is None
    assert found.text is None
    assert found.at == parse_instant("2026-01-15T10:00:05+08:00")


def test_the_key_is_found_in_envelope_id_envelope_sender_or_the_returned_headers() -> None:
    by_sender = f"bounces+{_KEY}@sender.example"
    by_headers = f"Message-ID: <{_KEY}@example.org>"
    assert _only(_dsn(envid=_KEY)).key == _KEY
    assert _only(_dsn(envid=_KEY.upper())).key == _KEY
    assert _only(_dsn(to=by_sender)).key == _KEY
    assert _only(_dsn(original=by_headers)).key == _KEY
    # In this order, where they disagree.
    assert _only(_dsn(envid=_KEY, to=by_sender.replace(_KEY, _OTHER))).key == _KEY
    assert _only(_dsn(to=by_sender, original=by_headers.replace(_KEY, _OTHER))).key == _KEY


@pytest.mark.parametrize(
    "data",
    [
        _dsn(),
        _dsn(envid="not-a-key"),
        _dsn(envid=_KEY + "0"),
        _dsn(to=f"bounces+{_KEY}@elsewhere.example"),
        _dsn(to=f"other+{_KEY}@sender.example"),
        _dsn(original=f"Message-ID: <{_KEY}@elsewhere.example>"),
    ],
)
def test_a_report_without_a_key_of_ours_acts_on_nobody(data: bytes) -> None:
    assert read_mail(data, _OPTIONS) == ()


def test_a_list_behind_the_address_bounces_only_if_all_of_it_does() -> None:
    assert _only(_dsn(envid=_KEY, blocks=3)).event is DeliveryEvent.BOUNCED_HARD
    mixed = _dsn(envid=_KEY, blocks=2).replace(b"Action: failed\nStatus: 5.1.1", b"Action: delivered\nStatus: 2.0.0", 1)
    assert _only(mixed).event is DeliveryEvent.DELIVERED


def test_the_same_mail_has_the_same_id_whatever_a_mailbox_added() -> None:
    mail = _dsn(envid=_KEY)
    assert _only(mail).event_id == _only(b"X-Seen: yes\nDelivered-To: x@y\n" + mail).event_id
    assert _only(mail).event_id != _only(mail.replace(b"20260115.1", b"20260115.2")).event_id
    nameless = mail.replace(b"Message-Id: <20260115.1@mail.hospital.test>\n", b"")
    assert _only(nameless).event_id == _only(nameless).event_id
    stop, other = _reply("STOP"), _reply("Thank you")
    assert _only(stop).event_id != _only(other).event_id


def _complaint(kind: str) -> bytes:
    return f"""From: fbl@provider.example
To: bounces@sender.example
Message-ID: <fbl-1@provider.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b1"

--b1
Content-Type: text/plain

An email abuse report.

--b1
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Provider/1
Version: 1

--b1
Content-Type: message/rfc822

From: clinic@example.org
Message-ID: <{_KEY}@example.org>
Subject: Recheck

Your recheck is due.

--b1--
""".encode()


def test_a_complaint() -> None:
    found = _only(_complaint("abuse"))
    assert (found.event, found.key) == (DeliveryEvent.COMPLAINED, _KEY)
    assert read_mail(_complaint("not-spam"), _OPTIONS) == ()
    assert read_mail(_complaint("auth-failure"), _OPTIONS) == ()
    assert read_mail(_complaint("abuse").replace(_KEY.encode(), b"x"), _OPTIONS) == ()


def _reply(
    text: str, *, subject: str = "Re: Recheck", extra: str = "", kind: str = "text/plain; charset=utf-8"
) -> bytes:
    return f"""From: Li Wang <li@example.invalid>
To: clinic@example.org
Subject: {subject}
Message-ID: <r1@example.invalid>
In-Reply-To: <{_KEY}@example.org>
References: <{_OTHER}@example.org> <{_KEY}@example.org>
Date: Thu, 15 Jan 2026 03:00:00 +0000
MIME-Version: 1.0
Content-Type: {kind}
Content-Transfer-Encoding: 8bit
{extra}
{text}
""".encode()


def _text(data: bytes) -> str:
    found = _only(data)
    assert found.event is DeliveryEvent.REPLIED
    assert found.text is not None
    return found.text.reveal("test")


def test_a_reply_names_writer_text_and_the_message_it_answers() -> None:
    found = _only(_reply("STOP"))
    assert found.key == _KEY
    assert found.address is not None
    assert found.address.reveal("test") == "li@example.invalid"
    assert _text(_reply("STOP")) == "STOP"
    assert "li@example.invalid" not in repr(found)
    assert "STOP" not in repr(found)


@pytest.mark.parametrize(
    "quoted",
    [
        "> Your recheck is due.\n> Reply STOP to stop.",
        "On Thu, 15 Jan 2026 at 10:00, Clinic <clinic@example.org> wrote:\n> Your recheck",
        "On Thursday, 15 January 2026 at 10:00:00 CST, Clinic Of A Long Name <clinic@example.org>\nwrote:\nYour recheck",
        "-----Original Message-----\nFrom: Clinic\nYour recheck",
        "------------------ 原始邮件 ------------------\n发件人: 诊所\n请按时复查",
        "诊所 <clinic@example.org> 于2026年1月15日周四 10:00写道：\n> 请按时复查",
        "发件人：诊所\n请按时复查",
        "From: Clinic <clinic@example.org>\nSent: Thursday\nYour recheck",
        "________________________________\nFrom: Clinic",
        "-- \nLi Wang\nTel 123",
        "Sent from my iPhone",
        "发自我的 iPhone",
        "Get Outlook for Android",
    ],
)
@pytest.mark.parametrize("word", ["STOP", "退订"])
def test_quotes_and_signatures_are_not_what_was_written(word: str, quoted: str) -> None:
    assert _text(_reply(f"{word}\n\n{quoted}\n")) == word


def test_lines_stay_apart() -> None:
    assert _text(_reply("STOP\n\nLi Wang\n")) == "STOP\nLi Wang"
    assert _text(_reply("我还会来的。\n请不要停。\n")) == "我还会来的。\n请不要停。"


def test_a_subject_counts_unless_it_is_ours_come_back() -> None:
    assert _text(_reply("", subject="unsubscribe")) == "unsubscribe"
    assert _text(_reply("", subject="=?utf-8?B?6YCA6K6i?=")) == "退订"
    assert _text(_reply("", subject="=?gb2312?B?zcu2qQ==?=")) == "退订"
    for subject in ("Re: How to stop", "RE: x", "回复: 复查", "回复：复查", "答复: Re: x", "Re[2]: x"):
        assert _text(_reply("ok", subject=subject)) == "ok"


def test_html_and_other_charsets() -> None:
    html = "<html><head><style>p {}</style></head><body><p>退订</p><div>谢谢</div><blockquote>STOP it all</blockquote></body></html>"
    assert _text(_reply(html, kind="text/html; charset=utf-8")) == "退订\n谢谢"
    gb = _reply("X", kind="text/plain; charset=gb2312").replace(
        b"\n\nX\n", b"\n\n" + "退订镕".encode("gb18030") + b"\n"
    )
    assert _text(gb) == "退订镕"
    lines = "<html><body>one<br>two<li>three</li><script>STOP</script>four<style>x</style></body></html>"
    assert _text(_reply(lines, kind="text/html; charset=utf-8")) == "one\ntwo\nthree\nfour"
    nested = "<blockquote><blockquote>STOP</blockquote>STOP</blockquote>after &amp; before"
    assert _text(_reply(nested, kind="text/html; charset=utf-8")) == "after & before"
    assert _text(_reply("</blockquote></blockquote>shown", kind="text/html; charset=utf-8")) == "shown"
    wrong = _reply("X", kind="text/plain; charset=no-such").replace(b"\n\nX\n", b"\n\n" + "退订".encode() + b"\n")
    assert _text(wrong) == "退订"
    both = """
--b
Content-Type: text/plain; charset=utf-8

STOP
--b
Content-Type: text/html; charset=utf-8

<p>STOP in html</p>
--b--
"""
    assert _text(_reply(both, kind='multipart/alternative; boundary="b"')) == "STOP"


def test_what_is_attached_was_not_written_by_the_writer() -> None:
    forwarded = """
--b
Content-Type: text/plain

see below
--b
Content-Type: text/plain
Content-Disposition: attachment; filename=a.txt

STOP
--b
Content-Type: message/rfc822

From: x@example.org

STOP
--b--
"""
    assert _text(_reply(forwarded, kind='multipart/mixed; boundary="b"')) == "see below"


@pytest.mark.parametrize(
    "extra",
    [
        "Auto-Submitted: auto-replied\n",
        "Auto-Submitted: auto-generated; x=y\n",
        "Precedence: bulk\n",
        "Precedence: auto_reply\n",
        "X-Autoreply: yes\n",
        "List-Id: <list.example.org>\n",
        "Return-Path: <>\n",
    ],
)
def test_a_machines_answer_is_no_reply(extra: str) -> None:
    assert read_mail(_reply("STOP", extra=extra), _OPTIONS) == ()


@pytest.mark.parametrize(
    "subject", ["Automatic reply: Recheck", "Out of office", "自动回复: 复查", "Out of the office: x"]
)
def test_a_vacation_note_is_no_reply(subject: str) -> None:
    assert read_mail(_reply("STOP", subject=subject), _OPTIONS) == ()


@pytest.mark.parametrize("sender", ["MAILER-DAEMON@x.example", "postmaster@x.example", "No-Reply@x.example"])
def test_a_machines_address_is_no_reply(sender: str) -> None:
    assert read_mail(_reply("STOP").replace(b"li@example.invalid", sender.encode(), 1), _OPTIONS) == ()
    assert read_mail(_reply("STOP").replace(b"li@example.invalid", b"li+" + sender.encode(), 1), _OPTIONS) != ()


def test_keys_are_found_in_any_case() -> None:
    upper = f"<{_KEY.upper()}@EXAMPLE.ORG>".encode()
    assert _only(_reply("x").replace(f"<{_KEY}@example.org>".encode(), upper)).key == _KEY
    assert _only(_dsn(to=f"BOUNCES+{_KEY.upper()}@SENDER.example")).key == _KEY


def test_a_mail_that_is_too_large_is_not_read() -> None:
    mail = _reply("STOP")
    most = 32 * 1024 * 1024
    assert read_mail(mail + b" " * (most - len(mail)), _OPTIONS)
    with pytest.raises(InvalidInputError):
        read_mail(mail + b" " * (most - len(mail) + 1), _OPTIONS)


def test_a_persons_mail_that_says_it_is_not_automatic_is_a_reply() -> None:
    assert _text(_reply("STOP", extra="Auto-Submitted: no\n")) == "STOP"


def test_a_reply_to_something_else_still_is_a_reply() -> None:
    mail = _reply("STOP").replace(_KEY.encode(), b"x").replace(_OTHER.encode(), b"y")
    found = _only(mail)
    assert found.key is None
    assert found.address is not None


@pytest.mark.parametrize("data", [b"", b"\x00\xff" * 100, b"hello", b"{}", b"\n\nFrom: x"])
def test_what_is_no_mail_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(InvalidInputError):
        read_mail(data, _OPTIONS)


@given(st.binary(max_size=400), st.integers(0, 900), st.integers(0, 40))
def test_no_mail_however_broken_raises_anything_else(noise: bytes, place: int, cut: int) -> None:
    for whole in (_dsn(envid=_KEY), _complaint("abuse"), _reply("STOP")):
        broken = whole[:place] + noise + whole[place + cut :]
        try:
            events = read_mail(broken, _OPTIONS)
        except InvalidInputError as error:
            assert error.__context__ is None  # noqa: PT017
            continue
        assert all(event.event in DeliveryEvent for event in events)


def test_a_mail_a_thousand_parts_deep_is_not_read() -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(2000))
    with pytest.raises(InvalidInputError):
        read_mail(b"From: x@example.org\nMIME-Version: 1.0\n" + deep + b"\nSTOP\n", _OPTIONS)


def test_the_channel_reads_mails_and_nothing_else() -> None:
    channel = SmtpChannel(_TABLE, clock=FakeClock(Instant(0)))
    assert channel.capabilities.callbacks
    assert [event.event for event in channel.parse_callback({"Content-Type": "message/rfc822"}, _reply("x"))] == [
        DeliveryEvent.REPLIED
    ]
    for headers in ({}, {"content-type": "application/json"}):
        with pytest.raises(InvalidInputError):
            channel.parse_callback(headers, _reply("x"))
