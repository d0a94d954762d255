"""Delivery reports and complaints: RFC 3464 and RFC 5965 mails as events.

A report acts only with a key of ours in it - as envelope id, in the envelope sender it came back to, or as the
Message-ID of the mail it is about - because anybody can write a bounce about anybody. The address it concerns is then
the one that was written to, whatever the report says: behind a forwarding address it would name somebody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from email.parser import HeaderParser
from typing import Any, Final

from carelink.channels.smtp.options import SmtpOptions
from carelink.vocabulary import DeliveryEvent

__all__ = ["complaint", "key_in", "key_of", "report"]

_STATUS: Final = re.compile(r"\s*([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
_KEY: Final = r"([0-9a-f]{32})"
_BAD_ADDRESS: Final = frozenset(("1.1", "1.2", "1.3", "1.6", "1.10", "2.1"))
"""Nobody, no such domain, no such syntax, moved away, takes no mail (RFC 7505), mailbox disabled (RFC 3463, 5248)."""
_ENVELOPE_HEADERS: Final = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to")
_COMPLAINTS: Final = frozenset(("abuse", "fraud", "virus", "other", "opt-out", "opt-out-list"))
_MILDEST: Final = (
    DeliveryEvent.DELIVERED,
    DeliveryEvent.SENT,
    DeliveryEvent.DEFERRED,
    DeliveryEvent.BOUNCED_SOFT,
    DeliveryEvent.BLOCKED,
    DeliveryEvent.FAILED,
    DeliveryEvent.BOUNCED_HARD,
)


def key_in(text: str, options: SmtpOptions) -> str | None:
    """The key in a text of Message-IDs, if one of them is ours; the last, which is the one answered."""
    found = re.findall(rf"<{_KEY}@{re.escape(options.sender.domain)}>", text, re.ASCII | re.IGNORECASE)
    return str(found[-1]).lower() if found else None


def _returned(mail: Message, options: SmtpOptions) -> str | None:
    """The key in the address the mail came back to (VERP)."""
    box = options.bounces
    form = rf"{re.escape(box.local)}\+{_KEY}@{re.escape(box.domain)}"
    for name in _ENVELOPE_HEADERS:
        for value in mail.get_all(name, []):
            found = re.search(form, str(value), re.ASCII | re.IGNORECASE)
            if found is not None:
                return str(found[1]).lower()
    return None


def _blocks(mail: Message, kind: str) -> Iterator[Any]:
    """The header blocks of the parts of this type, each a message without a body."""
    for part in mail.walk():
        if part.get_content_type() == kind:
            content = part.get_payload()
            if isinstance(content, list):
                yield from content
            else:
                yield HeaderParser().parsestr(str(content))


def _original(mail: Message) -> Iterator[Any]:
    yield from _blocks(mail, "message/rfc822")
    yield from _blocks(mail, "text/rfc822-headers")


def key_of(mail: Message, options: SmtpOptions) -> str | None:
    """The key of the message a report is about."""
    for block in _blocks(mail, "message/delivery-status"):
        found = re.fullmatch(_KEY, str(block.get("original-envelope-id", "")).strip().lower(), re.ASCII)
        if found is not None:
            return str(found[1])
    if (key := _returned(mail, options)) is not None:
        return key
    for block in _original(mail):
        if (key := key_in(str(block.get("message-id", "")), options)) is not None:
            return key
    return None


def _event(block: Any) -> DeliveryEvent | None:
    """What one recipient's block says. The status outranks the action: an attempt that was given up after a temporary
    error is `failed` with 4.x.x, and the address may be good.
    """
    action = str(block.get("action", "")).strip().lower()
    found = _STATUS.match(str(block.get("status", "")))
    plain = {
        "delayed": DeliveryEvent.DEFERRED,
        "delivered": DeliveryEvent.DELIVERED,
        "relayed": DeliveryEvent.SENT,
        "expanded": DeliveryEvent.SENT,
    }
    if action in plain:
        return plain[action]
    if action != "failed":
        return None
    if found is None:
        return DeliveryEvent.FAILED
    if found[1] == "4":
        return DeliveryEvent.BOUNCED_SOFT
    detail = f"{int(found[2])}.{int(found[3])}"
    if detail in _BAD_ADDRESS:
        return DeliveryEvent.BOUNCED_HARD
    if detail == "2.2":
        return DeliveryEvent.BOUNCED_SOFT
    return DeliveryEvent.BLOCKED if detail.startswith("7.") else DeliveryEvent.FAILED


def report(mail: Message) -> DeliveryEvent | None:
    """What a delivery report says; of several recipients (a list behind the address) the mildest, because the address
    works if it works for one.
    """
    told = {event for block in _blocks(mail, "message/delivery-status") if (event := _event(block)) is not None}
    return min(told, key=_MILDEST.index, default=None)


def complaint(mail: Message) -> bool:
    """Whether it is a feedback report (ARF) that complains; `not-spam` and authentication reports do not."""
    for block in _blocks(mail, "message/feedback-report"):
        fields = block
        if not fields.keys() and isinstance(block.get_payload(), str):
            fields = HeaderParser().parsestr(str(block.get_payload()))
        if str(fields.get("feedback-type", "")).strip().lower() in _COMPLAINTS:
            return True
    return False
