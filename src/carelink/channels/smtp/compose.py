"""The bytes of one mail: headers by RFC 5322 (6532 for an international address), the approved text as text/plain.

Headers are written here, not by `email.message`: that one decodes what looks like an encoded word in a subject, so text
taken from a variable could change or add a header. Line ends become CRLF and the last line is ended, as mail requires;
nothing else of the text changes.
"""

from __future__ import annotations

import base64
import binascii
import re
from email.utils import format_datetime
from typing import Final

from carelink.channels.smtp.addresses import Mailbox, mailbox_of, one_line
from carelink.channels.smtp.options import SmtpOptions
from carelink.channels.wire import utf8
from carelink.errors import InvalidInputError
from carelink.model.moment import to_datetime
from carelink.ports.channel import OutboundMessage

__all__ = ["KEY", "compose", "message_id"]

KEY: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_PLAIN: Final = re.compile(r"[\x20-\x7e]*", re.ASCII)
_PHRASE: Final = re.compile(r"[A-Za-z0-9 !#$%&'*+/=?^_`{|}~-]*", re.ASCII)
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*", re.ASCII)
_URL: Final = re.compile(r"https://[!-;=?-~]{1,900}", re.ASCII)
_SHORT: Final = 64
_LINE: Final = 78
_LONGEST: Final = 998
_WORD_BYTES: Final = 42
"""Bytes in one encoded word: 56 base64 characters and 12 of frame stay under the 75 that RFC 2047 allows."""


def message_id(key: str, options: SmtpOptions) -> str:
    """The Message-ID of an attempt: whoever bounces or answers sends it back."""
    return f"<{key}@{options.sender.domain}>"


def _words(text: str) -> str:
    """Encoded words (RFC 2047), each of whole characters, one a line."""
    words, part = [], b""
    for mark in text:
        data = mark.encode()
        if len(part) + len(data) > _WORD_BYTES:
            words.append(part)
            part = b""
        part += data
    words.append(part)
    return "\r\n ".join(f"=?utf-8?B?{base64.b64encode(word).decode()}?=" for word in words)


def _unstructured(text: str) -> str:
    if not one_line(text):
        raise InvalidInputError("a subject has no line breaks and no control characters")
    plain = _PLAIN.fullmatch(text) is not None and len(text) <= _SHORT and "=?" not in text and text == text.strip()
    return text if plain else _words(text)


def _from(options: SmtpOptions) -> str:
    name = options.sender_name
    if not name:
        return options.sender.path
    plain = _PHRASE.fullmatch(name) is not None and len(name) <= _SHORT and "=?" not in name and name == name.strip()
    return f"{name if plain else _words(name)}\r\n <{options.sender.path}>"


def _body(text: str, *, readable: bool) -> tuple[str, bytes]:
    """Transfer encoding and encoded bytes: all seven-bit, so that no server has to convert (and break a signature), or
    eight-bit, for people who look into a folder.
    """
    unix = text.replace("\r\n", "\n")
    if not unix.endswith("\n"):
        unix += "\n"
    data = utf8(unix)
    lines = unix.split("\n")
    if all(_PLAIN.fullmatch(line) and len(line) <= _LINE and not line.endswith(" ") for line in lines):
        return "7bit", data.replace(b"\n", b"\r\n")
    if (
        readable
        and b"\r" not in data
        and b"\x00" not in data
        and all(len(line) < _LONGEST for line in data.split(b"\n"))
    ):
        return "8bit", data.replace(b"\n", b"\r\n")
    if sum(byte > 0x7E for byte in data) * 6 <= len(data) and b"\r" not in data:  # noqa: PLR2004  end of printable ASCII
        return "quoted-printable", binascii.b2a_qp(data).replace(b"\n", b"\r\n")
    raw = base64.b64encode(data.replace(b"\n", b"\r\n"))
    return "base64", b"".join(raw[start : start + 76] + b"\r\n" for start in range(0, len(raw), 76))


def compose(message: OutboundMessage, options: SmtpOptions, *, readable: bool = False) -> tuple[Mailbox, bytes]:
    """The recipient's mailbox and the whole mail, lines ended by CRLF, without SMTP's doubled dots. `readable` leaves
    the text in UTF-8 where it can stand in a mail like that.

    Raises:
        InvalidInputError: the address, the subject or the unsubscribe address cannot stand in a mail.
    """
    recipient = mailbox_of(message.address.reveal("hand-over"))
    if recipient is None:
        raise InvalidInputError("the address cannot be written to by SMTP")
    if KEY.fullmatch(message.key) is None:
        raise InvalidInputError("an attempt key has 32 hex digits")
    headers = [("From", _from(options)), ("To", recipient.path)]
    if message.subject is not None:
        headers.append(("Subject", _unstructured(message.subject.reveal("hand-over"))))
    headers.append(("Date", format_datetime(to_datetime(message.at))))
    headers.append(("Message-ID", message_id(message.key, options)))
    if options.reply_to is not None:
        headers.append(("Reply-To", options.reply_to.path))
    if message.unsubscribe is not None:
        url = message.unsubscribe.reveal("hand-over")
        if _URL.fullmatch(url) is None:
            raise InvalidInputError("a one-click unsubscribe address is an https URL")
        # RFC 8058; both must be covered by the DKIM signature that the mail server adds.
        headers.append(("List-Unsubscribe", f"<{url}>"))
        headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
    headers.append(("Auto-Submitted", "auto-generated"))
    if _LANGUAGE.fullmatch(message.language) is not None and message.language != "und":
        headers.append(("Content-Language", message.language))
    encoding, body = _body(message.body.reveal("hand-over"), readable=readable)
    headers.append(("MIME-Version", "1.0"))
    headers.append(("Content-Type", "text/plain; charset=utf-8"))
    headers.append(("Content-Transfer-Encoding", encoding))
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return recipient, head.encode() + b"\r\n" + body
