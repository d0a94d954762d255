"""The SMTP channel: one message to one recipient in one transaction, at most one attempt, every answer judged exactly.

What leaves whole is decided by one byte sequence, the final dot. It is sent apart from the text, so "the server cannot
have the message" and "the server may have it" are told by where the attempt stood.
"""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Mapping
from typing import Any, Final

from carelink.channels.smtp.addresses import Mailbox, mailbox_of
from carelink.channels.smtp.compose import compose
from carelink.channels.smtp.incoming import read_mail
from carelink.channels.smtp.link import Link, LinkError
from carelink.channels.smtp.options import read_options
from carelink.channels.smtp.replies import Reply, Stage, judge
from carelink.errors import ConfigurationError, InvalidInputError
from carelink.model.moment import Instant, Micros
from carelink.ports.channel import (
    Capabilities,
    ChannelEvent,
    ChannelInfo,
    Health,
    OutboundMessage,
    Prepared,
    SendResult,
)
from carelink.ports.system import Clock
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome

__all__ = ["SmtpChannel"]

_INFO: Final = ChannelInfo(name="smtp", kind=ChannelKind.EMAIL, address_kind=AddressKind.EMAIL, version="1")
_CAPABILITIES: Final = Capabilities(callbacks=True, health=True, needs_subject=True, latency=Micros(200_000))
_GO_AHEAD: Final = 354
_CLOSING: Final = 421
_SPOILED: Final = frozenset((Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.ACCOUNT))
"""After these nothing more is said over the same connection."""
_DOTS: Final = re.compile(rb"(?m)^\.")
_HINTS: Final = {
    "auth_not_offered": "the server takes no password here; check `port`, or leave `username` out",
    "certificate_not_trusted": "set `ca_file`, or name the host as its certificate does",
    "host_not_found": "check `host`",
    "starttls_not_offered": 'the server offers no STARTTLS here; check `port`, or set `tls = "implicit"`',
    "tls_failed": "the server does not speak TLS here; check `port` and `tls`",
}


class SmtpChannel:
    """Email over SMTP. Settings: docs/how-to/use-smtp.md. Sends of several threads wait for each other."""

    info = _INFO
    capabilities = _CAPABILITIES

    def __init__(self, settings: Mapping[str, Any], *, clock: Clock) -> None:
        self._options = read_options(settings)
        self._clock = clock
        self._tls: ssl.SSLContext | None = None
        self._link: Link | None = None
        self._barred = SendResult(outcome=Outcome.ACCOUNT)
        self._barred_until = Instant(0)
        self._lock = threading.Lock()
        if self._options.ca_file is not None:
            self._context()

    def __repr__(self) -> str:
        return "SmtpChannel()"

    def prepare(self, message: OutboundMessage) -> Prepared:
        """The mail, byte for byte.

        Raises:
            InvalidInputError: address, subject or unsubscribe address cannot stand in a mail.
        """
        _, wire = compose(message, self._options)
        return Prepared(
            key=message.key, wire=Personal(wire), address=message.address, expires=message.permit.lease_until
        )

    def send(self, prepared: Prepared) -> SendResult:
        """The one attempt."""
        with self._lock:
            done = False
            try:
                result = self._attempt(prepared)
                done = True
            finally:
                if not done:
                    # Interrupted in the middle: nobody knows what this connection would answer to.
                    self._drop()
        return result

    def parse_callback(self, headers: Mapping[str, str], body: bytes) -> tuple[ChannelEvent, ...]:
        """The events of one mail: a bounce, a complaint, a reply. `headers` says that it is one.

        Raises:
            InvalidInputError: it is not a mail.
        """
        kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
        if kind.partition(";")[0].strip().lower() != "message/rfc822":
            raise InvalidInputError("only mails are read here", hint="content-type message/rfc822")
        return read_mail(body, self._options)

    def health(self) -> Health:
        """Whether the server can be reached, trusted and logged in to. Names no sender and no recipient."""
        link = self._new_link()
        trouble: LinkError | None = None
        link.wait_at_most(self._options.timeout)
        try:
            link.open()
            reply = link.ask(Stage.NOOP, "NOOP")
            if not reply.positive:
                trouble = LinkError(Stage.NOOP, reply)
        except LinkError as error:
            trouble = error
        link.leave()
        if trouble is None:
            return Health(ok=True)
        result = _of(trouble)
        hint = _HINTS.get(trouble.word, "check host, port and credentials, and the server's log")
        return Health(ok=False, code=result.code, hint=hint)

    def close(self) -> None:
        """Take leave of the server."""
        with self._lock:
            if self._link is not None:
                self._link.leave()
                self._link = None

    # -- connections -------------------------------------------------------------------------------------------------

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            failed, ca_file = False, self._options.ca_file
            try:
                self._tls = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
            except OSError:
                failed = True
            if failed:
                raise ConfigurationError("`channels.smtp`: `ca_file` holds no PEM certificates")
        assert self._tls is not None
        return self._tls

    def _new_link(self) -> Link:
        return Link(self._options, self._context, self._clock)

    def _drop(self) -> None:
        if self._link is not None:
            self._link.drop()
            self._link = None

    def _ready(self, expires: Instant) -> Link:
        """A connection on which nothing is under way: the last one if it still answers, else a new one."""
        link = self._link
        if link is not None:
            try:
                link.wait_at_most(expires - self._clock.now())
                if not link.spoke() and link.ask(Stage.RSET, "RSET").positive:
                    return link
            except LinkError:
                pass
            # It went away while idle, before anything of this message was said.
            self._drop()
        link = self._link = self._new_link()
        link.wait_at_most(expires - self._clock.now())
        link.open()
        return link

    # -- one attempt -------------------------------------------------------------------------------------------------

    def _attempt(self, prepared: Prepared) -> SendResult:
        recipient = mailbox_of(prepared.address.reveal("hand-over"))
        if recipient is None:
            return SendResult(outcome=Outcome.REFUSED, code="address")
        now = self._clock.now()
        if now >= prepared.expires:
            return _lease_over()
        if now < self._barred_until:
            return self._barred
        trouble: LinkError | None = None
        try:
            link = self._ready(prepared.expires)
            if recipient.international and not link.has_extn("smtputf8"):
                return SendResult(outcome=Outcome.REFUSED, code="smtputf8_not_offered")
            return self._bar(self._transaction(link, prepared, recipient), prepared.expires)
        except LinkError as error:
            trouble = error
        self._drop()
        return self._bar(_of(trouble), prepared.expires)

    def _bar(self, result: SendResult, until: Instant) -> SendResult:
        """After trouble with the account, the messages that were claimed together are not tried one by one: a dozen
        wrong logins would lock the account. The core stops the channel as soon as it learns of the first.
        """
        if result.outcome is Outcome.ACCOUNT:
            self._barred, self._barred_until = result, until
        return result

    def _transaction(self, link: Link, prepared: Prepared, recipient: Mailbox) -> SendResult:
        wire = prepared.wire.reveal("hand-over")
        if _limit(link) and len(wire) > _limit(link):
            return SendResult(outcome=Outcome.REFUSED, code="too_large")
        if self._clock.now() >= prepared.expires:
            return _lease_over()
        reply = link.ask(Stage.MAIL, self._mail_from(link, prepared.key, len(wire), recipient))
        if reply.positive:
            reply = link.ask(Stage.RCPT, _rcpt_to(link, recipient))
        if reply.positive:
            reply = link.ask(Stage.DATA, "DATA")
        if link.stage is not Stage.DATA or reply.code != _GO_AHEAD:
            return self._end(link, reply)
        if self._clock.now() >= prepared.expires:
            # There is no way back from 354 but to hang up: the server must forget it all (RFC 5321 4.1.1.10).
            self._drop()
            return _lease_over()
        link.send(_DOTS.sub(b"..", wire))
        if link.spoke():
            early = link.answer()
            self._drop()
            return judge(Stage.DATA, early)
        if self._clock.now() >= prepared.expires:
            self._drop()
            return _lease_over()
        link.stage = Stage.DOT
        link.wait_at_most(self._options.timeout)
        link.send(b".\r\n")
        return self._end(link, link.answer())

    def _end(self, link: Link, reply: Reply) -> SendResult:
        result = judge(link.stage, reply)
        if reply.code == _CLOSING or result.outcome in _SPOILED:
            self._drop()
        return result

    def _mail_from(self, link: Link, key: str, size: int, recipient: Mailbox) -> str:
        sender = self._options.bounces.tagged(key) if self._options.verp else self._options.bounces
        words = [f"MAIL FROM:<{sender.path}>"]
        if link.has_extn("size"):
            words.append(f"SIZE={size}")
        if recipient.international:
            words.append("BODY=8BITMIME SMTPUTF8")
        if link.has_extn("dsn"):
            # Of the message only the headers come back in a bounce: its text has been in transit once, not twice.
            words.append(f"RET=HDRS ENVID={key}")
        return " ".join(words)


def _rcpt_to(link: Link, recipient: Mailbox) -> str:
    notify = " NOTIFY=FAILURE,DELAY" if link.has_extn("dsn") else ""
    return f"RCPT TO:<{recipient.path}>{notify}"


def _limit(link: Link) -> int:
    text = str(link.esmtp_features.get("size", ""))
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0  # noqa: PLR2004  RFC 1870: 20 digits


def _lease_over() -> SendResult:
    return SendResult(outcome=Outcome.NOT_SENT, code="lease_over")


def _of(trouble: LinkError) -> SendResult:
    result = judge(trouble.stage, trouble.reply)
    if trouble.word == "auth_not_offered":
        return SendResult(outcome=Outcome.ACCOUNT, code=trouble.word)
    return SendResult(outcome=result.outcome, code=trouble.word) if trouble.word else result
