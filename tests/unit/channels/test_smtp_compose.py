"""The mail's bytes: what a mail reader shows is what was approved, and no text gets out of its place."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from carelink.channels.smtp.addresses import mailbox_of
from carelink.channels.smtp.compose import compose
from carelink.channels.smtp.options import read_options
from carelink.errors import InvalidInputError
from carelink.model.moment import SECOND, Instant, parse_instant
from carelink.ports.channel import OutboundMessage
from carelink.testing.permits import permit_for_tests
from carelink.vault.personal import Personal
from carelink.vocabulary import Purpose

_AT = parse_instant("2026-01-15T10:00:00+08:00")
_KEY = "0123456789abcdef0123456789abcdef"
_OPTIONS = read_options({"host": "mail.example.org", "sender": "clinic@example.org", "sender_name": "某某医院眼科"})


def _message(**changes: object) -> OutboundMessage:
    values: dict[str, object] = {
        "key": _KEY,
        "purpose": Purpose.CARE_APPOINTMENT,
        "address": Personal("li@example.invalid"),
        "subject": Personal("复查提醒"),
        "body": Personal("请按时复查。\n"),
        "language": "zh-CN",
    }
    return OutboundMessage(permit_for_tests(Instant(_AT + 5 * SECOND)), now=_AT, **{**values, **changes})  # type: ignore[arg-type]


def _wire(**changes: object) -> bytes:
    return compose(_message(**changes), _OPTIONS)[1]


def _read(wire: bytes) -> EmailMessage:
    mail = message_from_bytes(wire, policy=policy.SMTP)
    assert isinstance(mail, EmailMessage)
    assert mail.defects == []
    return mail


def test_the_exact_bytes() -> None:
    assert _wire(unsubscribe=Personal("https://care.example.org/u/1")) == (
        b"From: =?utf-8?B?5p+Q5p+Q5Yy76Zmi55y856eR?=\r\n"
        b" <clinic@example.org>\r\n"
        b"To: li@example.invalid\r\n"
        b"Subject: =?utf-8?B?5aSN5p+l5o+Q6YaS?=\r\n"
        b"Date: Thu, 15 Jan 2026 02:00:00 +0000\r\n"
        b"Message-ID: <0123456789abcdef0123456789abcdef@example.org>\r\n"
        b"List-Unsubscribe: <https://care.example.org/u/1>\r\n"
        b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        b"Auto-Submitted: auto-generated\r\n"
        b"Content-Language: zh-CN\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: base64\r\n"
        b"\r\n"
        b"6K+35oyJ5pe25aSN5p+l44CCDQo=\r\n"
    )


def test_headers_say_who_to_whom_and_when() -> None:
    mail = _read(_wire())
    assert mail["From"].addresses[0].display_name == "某某医院眼科"
    assert mail["From"].addresses[0].addr_spec == "clinic@example.org"
    assert [address.addr_spec for address in mail["To"].addresses] == ["li@example.invalid"]
    assert mail["Subject"] == "复查提醒"
    assert mail["Date"].datetime.isoformat() == "2026-01-15T02:00:00+00:00"
    assert mail["Message-ID"] == f"<{_KEY}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_all("List-Unsubscribe") is None
    assert mail.get_all("Reply-To") is None


def test_preparing_twice_gives_the_same_bytes() -> None:
    assert _wire() == _wire()


def _canonical(text: str) -> str:
    """Line ends as mail has them, the last line ended."""
    text = text.replace("\r\n", "\n")
    return text if text.endswith("\n") else text + "\n"


_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=400)


@given(text=_TEXT)
@example(text="")
@example(text=".")
@example(text=".\n..\n...x\n")
@example(text="From here\n")
@example(text="trailing blank \nand tab\t\n")
@example(text="x" * 2000)
@example(text="复查" * 600)
@example(text="é" + "x" * 300)
@example(text="=?utf-8?B?5aSN?= =20 =\n")
@example(text="a\rb")
@example(text="\x00\x0b\x85\u2028")
def test_the_text_arrives_as_it_was_approved(text: str) -> None:
    wire = _wire(body=Personal(text))
    head, _, body = wire.partition(b"\r\n\r\n")
    mail = _read(wire)
    content = mail.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode().replace("\r\n", "\n") == _canonical(text)
    assert wire.isascii()
    assert wire.endswith(b"\r\n")
    assert b"\r" not in wire.replace(b"\r\n", b"")
    assert b"\n" not in wire.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in wire.split(b"\r\n"))
    assert all(len(line) <= 78 for line in body.split(b"\r\n"))
    assert head.count(b"\r\nSubject:") == 1


@given(subject=st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=200))
@example(subject="=?utf-8?B?CkJjYzogeEBleGFtcGxlLm9yZw==?=")
@example(subject=" leading and trailing ")
@example(subject="x" * 300)
@example(subject="复查\u3000提醒")
@example(subject="👨‍👩‍👧 family")
def test_a_subject_arrives_as_it_was_approved(subject: str) -> None:
    wire = _wire(subject=Personal(subject))
    head = wire.partition(b"\r\n\r\n")[0]
    assert wire.isascii()
    assert all(len(line) <= 78 for line in head.split(b"\r\n"))
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert len(names) == len(set(names)) == 10
    raw = message_from_bytes(wire)["Subject"]
    shown = str(make_header(decode_header(raw)))
    assert shown == subject or (subject.strip() == "" and shown.strip() == "")


@pytest.mark.parametrize("subject", ["a\nBcc: x@example.org", "a\r\nb", "a\x00b", "a\u2028b", "a\x85b", "\ud800"])
def test_a_subject_is_one_line(subject: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        _wire(subject=Personal(subject))
    assert "Bcc" not in f"{caught.value!r}{caught.value.__context__!r}"


@pytest.mark.parametrize(
    "address",
    [
        "no-at-sign",
        "@example.invalid",
        "li@",
        "li wang@example.invalid",
        '"li wang"@example.invalid',
        "li@exa mple.invalid",
        "li>@example.invalid",
        "li@example.invalid>\r\nRCPT TO:<x@example.org",
        "li,wang@example.invalid",
        ".li@example.invalid",
        "li..x@example.invalid",
        "用户,乙@example.invalid",
        "用..户@example.invalid",
        "x" * 65 + "@example.invalid",
        "用" * 30 + "@example.invalid",
        "li@-example.invalid",
        "li@straße.invalid",
        "li@" + "a" * 64 + ".invalid",
        "li@[127.0.0.1]",
        "\ud800@example.invalid",
    ],
)
def test_an_address_that_mail_cannot_carry_is_refused(address: str) -> None:
    assert mailbox_of(address) is None
    with pytest.raises(InvalidInputError) as caught:
        _wire(address=Personal(address))
    assert address not in f"{caught.value!r}"


def test_an_international_domain_is_written_in_ascii() -> None:
    box, wire = compose(_message(address=Personal("li@医院.example")), _OPTIONS)
    assert (box.path, box.international) == ("li@xn--ekrs67m.example", False)
    assert b"\r\nTo: li@xn--ekrs67m.example\r\n" in wire


def test_an_international_mailbox_needs_smtputf8() -> None:
    box, wire = compose(_message(address=Personal("用户@example.invalid")), _OPTIONS)
    assert box.international
    assert "\r\nTo: 用户@example.invalid\r\n".encode() in wire


@pytest.mark.parametrize(
    "url", ["http://care.example.org/u", "https://care.example.org/u>\r\nX: y", "https://a b", "mailto:x@y"]
)
def test_only_https_is_one_click(url: str) -> None:
    with pytest.raises(InvalidInputError):
        _wire(unsubscribe=Personal(url))


@pytest.mark.parametrize("language", ["und", "", "zh\r\nX: y", "中文"])
def test_a_language_that_says_nothing_is_left_out(language: str) -> None:
    assert b"Content-Language" not in _wire(language=language)


def test_half_a_character_is_refused_without_showing_the_text() -> None:
    with pytest.raises(InvalidInputError) as caught:
        _wire(body=Personal("canary \ud800"))
    assert "canary" not in f"{caught.value!r}{caught.value.__context__!r}"


def test_a_key_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInputError):
        _wire(key="x@y>\r\n")


def test_a_plain_name_stays_plain_and_an_odd_one_is_encoded() -> None:
    base = {"host": "mail.example.org", "sender": "clinic@example.org"}
    plain = compose(_message(), read_options({**base, "sender_name": "Eye Clinic"}))[1]
    assert plain.startswith(b"From: Eye Clinic\r\n <clinic@example.org>\r\n")
    odd = compose(_message(), read_options({**base, "sender_name": 'Dr. "Eye", Clinic <x@y>'}))[1]
    assert odd.startswith(b"From: =?utf-8?B?")
    assert _read(odd)["From"].addresses[0].display_name == 'Dr. "Eye", Clinic <x@y>'
    assert compose(_message(), read_options(base))[1].startswith(b"From: clinic@example.org\r\n")
    answer = compose(_message(), read_options({**base, "reply_to": "desk@example.org"}))[1]
    assert b"\r\nReply-To: desk@example.org\r\n" in answer


@pytest.mark.parametrize(
    ("text", "usual", "readable"),
    [
        ("plain", "7bit", "7bit"),
        ("x" * 78, "7bit", "7bit"),
        ("x" * 79, "quoted-printable", "8bit"),
        ("blank at the end ", "quoted-printable", "8bit"),
        ("~" * 60, "7bit", "7bit"),
        ("~" * 100, "quoted-printable", "8bit"),
        ("café au lait", "quoted-printable", "8bit"),
        ("é" + "x" * 9, "quoted-printable", "8bit"),
        ("é" + "x" * 8, "base64", "8bit"),
        ("复查", "base64", "8bit"),
        ("x" * 997, "quoted-printable", "8bit"),
        ("x" * 998, "quoted-printable", "quoted-printable"),
        ("a\rb", "base64", "base64"),
        ("a\x00b", "quoted-printable", "quoted-printable"),
    ],
)
def test_the_transfer_encoding(text: str, usual: str, readable: str) -> None:
    message = _message(body=Personal(text))
    assert _read(compose(message, _OPTIONS)[1])["Content-Transfer-Encoding"] == usual
    wire = compose(_message(body=Personal(text)), _OPTIONS, readable=True)[1]
    mail = message_from_bytes(wire)
    assert mail["Content-Transfer-Encoding"] == readable
    content = mail.get_payload(decode=True)
    assert isinstance(content, bytes)
    assert content.decode().replace("\r\n", "\n") == _canonical(text)


@pytest.mark.parametrize(("length", "plain"), [(64, True), (65, False)])
def test_a_long_subject_or_name_is_folded(length: int, plain: bool) -> None:
    assert (b"Subject: " + b"x" * length in _wire(subject=Personal("x" * length))) is plain
    named = read_options({"host": "mail.example.org", "sender": "clinic@example.org", "sender_name": "x" * length})
    assert compose(_message(), named)[1].startswith(b"From: " + b"x" * length + b"\r\n") is plain


def test_the_longest_local_part() -> None:
    assert mailbox_of("x" * 64 + "@example.invalid") is not None
    assert "x" * 64 not in repr(mailbox_of("x" * 64 + "@example.invalid"))
    assert "example.invalid" not in repr(mailbox_of("x@example.invalid"))
