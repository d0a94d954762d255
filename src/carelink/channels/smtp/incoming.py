"""Mail that comes back: one mail, the events in it."""

from __future__ import annotations

import hashlib
from email import message_from_bytes
from email.message import Message
from email.utils import parseaddr, parsedate_to_datetime

from carelink.channels.smtp.answers import automatic, header_text, written
from carelink.channels.smtp.options import SmtpOptions
from carelink.channels.smtp.reports import complaint, key_in, key_of, report
from carelink.errors import InvalidInputError
from carelink.model.moment import Instant, from_datetime
from carelink.ports.channel import ChannelEvent
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent

__all__ = ["read_mail"]

_MAX_BYTES = 32 * 1024 * 1024


def read_mail(data: bytes, options: SmtpOptions) -> tuple[ChannelEvent, ...]:
    """The events of a mail: a bounce or delivery report, a complaint, a reply; none for a machine's answer, or for a
    report that names no message of ours.

    Raises:
        InvalidInputError: it is not a mail.
    """
    found: tuple[ChannelEvent, ...] | None = None
    if len(data) <= _MAX_BYTES:
        try:
            mail = message_from_bytes(data)
            if "from" in mail or "message-id" in mail:
                found = _events(mail, data, options)
        except Exception:  # noqa: BLE001  a mail may be malformed in any way; the error would hold parts of it
            found = None
    if found is None:
        raise InvalidInputError("not a mail that can be read", hint="one message per file, headers first")
    return found


def _at(mail: Message) -> Instant | None:
    try:
        moment = parsedate_to_datetime(str(mail.get("date", "")))
    except (ValueError, TypeError, IndexError):
        return None
    return None if moment.tzinfo is None else from_datetime(moment)


def _id(mail: Message, data: bytes, event: DeliveryEvent, text: str) -> str:
    """The same mail fetched twice has the same id, whatever lines a mailbox added; another text has another."""
    name = str(mail.get("message-id", "")).strip().encode("utf-8", "surrogateescape") or data
    return hashlib.sha256(b"\x00".join((name, event.value.encode(), text.encode("utf-8", "replace")))).hexdigest()


def _events(mail: Message, data: bytes, options: SmtpOptions) -> tuple[ChannelEvent, ...]:
    at = _at(mail)
    told = DeliveryEvent.COMPLAINED if complaint(mail) else report(mail)
    if told is not None:
        key = key_of(mail, options)
        if key is None:
            return ()
        return (ChannelEvent(event=told, key=key, event_id=_id(mail, data, told, ""), at=at),)
    sender = parseaddr(header_text(mail, "from"))[1]
    if automatic(mail, sender) or not sender:
        return ()
    text = written(mail)
    thread = f"{mail.get('references', '')} {mail.get('in-reply-to', '')}"
    return (
        ChannelEvent(
            event=DeliveryEvent.REPLIED,
            key=key_in(thread, options),
            event_id=_id(mail, data, DeliveryEvent.REPLIED, text),
            address=Personal(sender),
            text=Personal(text),
            at=at,
        ),
    )
