"""Channels for the conformance kit: good ones, and bad ones each with one fault that the kit must find."""

from __future__ import annotations

import logging
import secrets
import socket
import sys
import tempfile
import threading
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import attrs

from carelink.channels.console import ConsoleChannel
from carelink.channels.memory import MemoryChannel
from carelink.channels.outbox import OutboxChannel
from carelink.channels.smtp.channel import SmtpChannel
from carelink.ports.channel import (
    Capabilities,
    ChannelInfo,
    Health,
    LookupResult,
    OutboundMessage,
    Prepared,
    SendResult,
)
from carelink.system import SystemClock
from carelink.testing.channel_case import ChannelCase
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.testing.real_smtp import RealSmtp
from carelink.testing.smtp_peer import SmtpPeer
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome

# -- good channels ---------------------------------------------------------------------------------------------------


def console() -> ConsoleChannel:
    return ConsoleChannel(ChannelKind.SMS, {})


def memory() -> ChannelCase:
    made = MemoryChannel(ChannelKind.SMS)
    return ChannelCase(channel=made, received=lambda: [item.body.reveal("test") for item in made.kept])


def recording() -> ChannelCase:
    made = RecordingChannel(
        "rec", ChannelKind.SMS, AddressKind.PHONE, clock=FakeClock(SystemClock().now()), lookup=True
    )
    return ChannelCase(channel=made, received=lambda: [item.body for item in made.handed])


def _text(mail: bytes) -> str:
    content: str = message_from_bytes(mail, policy=policy.SMTP).get_content()  # type: ignore[attr-defined]
    return content


def outbox_email() -> ChannelCase:
    folder = Path(tempfile.mkdtemp())
    made = OutboxChannel(ChannelKind.EMAIL, {"folder": str(folder)}, clock=SystemClock())
    return ChannelCase(channel=made, received=lambda: [_text(path.read_bytes()) for path in folder.rglob("*.eml")])


def outbox_sms() -> OutboxChannel:
    return OutboxChannel(ChannelKind.SMS, {"folder": tempfile.mkdtemp()}, clock=SystemClock())


class _Keeper:
    def __init__(self) -> None:
        self.kept: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.kept.append(envelope.content)
        return "250 2.0.0 kept"


def smtp() -> ChannelCase:
    keeper = _Keeper()
    server = RealSmtp(keeper)
    server.__enter__()
    settings = {"host": "127.0.0.1", "port": server.port, "tls": "none", "sender": "clinic@example.org"}
    made = SmtpChannel(settings, clock=SystemClock())
    return ChannelCase(channel=made, received=lambda: [_text(mail) for mail in keeper.kept], finish=server.stop)


# -- one that hands over, and how it can be wrong --------------------------------------------------------------------


class Pigeon:
    """Hands over into a list. `local` is false, so that the lease is its own business."""

    def __init__(self) -> None:
        self.loft: list[str] = []
        self.keys: list[str] = []

    info = ChannelInfo(name="pigeon", kind=ChannelKind.SMS, address_kind=AddressKind.PHONE, version="1")
    capabilities = Capabilities(lookup=True, harmless_repeat=True, health=True)

    def prepare(self, message: OutboundMessage) -> Prepared:
        body = message.body.reveal("hand-over")
        if "\ud800" in body:
            raise ValueError("half a character")
        return Prepared(
            key=message.key,
            wire=Personal(body.encode()),
            address=message.address,
            expires=message.permit.lease_until,
        )

    def send(self, prepared: Prepared) -> SendResult:
        if SystemClock().now() >= prepared.expires:
            return SendResult(outcome=Outcome.NOT_SENT)
        if prepared.key not in self.keys:
            self.keys.append(prepared.key)
            self.loft.append(prepared.wire.reveal("hand-over").decode())
        return SendResult(outcome=Outcome.ACCEPTED)

    def lookup(self, key: str, address: Any, since: Any) -> LookupResult:
        return LookupResult(found=key in self.keys)

    def health(self) -> Health:
        return Health(ok=True)


def _case(made: Pigeon) -> ChannelCase:
    return ChannelCase(channel=made, received=lambda: made.loft)


def pigeon() -> ChannelCase:
    return _case(Pigeon())


class Resender(Pigeon):
    def send(self, prepared: Prepared) -> SendResult:
        self.loft.append(prepared.wire.reveal("hand-over").decode())
        return super().send(prepared)


class Truncator(Pigeon):
    def prepare(self, message: OutboundMessage) -> Prepared:
        made = super().prepare(message)
        return attrs.evolve(made, wire=Personal(made.wire.reveal("x")[:70]))


class Improver(Pigeon):
    """Adds a kind word."""

    def send(self, prepared: Prepared) -> SendResult:
        return super().send(attrs.evolve(prepared, wire=Personal(prepared.wire.reveal("x") + b" Get well soon!")))


class Mixer(Pigeon):
    """Keeps the last text in the channel instead of in the request."""

    def prepare(self, message: OutboundMessage) -> Prepared:
        made = super().prepare(message)
        self.last = made.wire
        return made

    def send(self, prepared: Prepared) -> SendResult:
        return super().send(attrs.evolve(prepared, wire=self.last))


class Hasty(Pigeon):
    """Hands over while preparing."""

    def prepare(self, message: OutboundMessage) -> Prepared:
        made = super().prepare(message)
        self.loft.append(made.wire.reveal("x").decode())
        return made


class Networker(Pigeon):
    def prepare(self, message: OutboundMessage) -> Prepared:
        with socket.socket() as sock:
            sock.connect_ex(("127.0.0.1", 9))
        return super().prepare(message)


class Late(Pigeon):
    def send(self, prepared: Prepared) -> SendResult:
        return super().send(attrs.evolve(prepared, expires=SystemClock().now() + 10_000_000))


class Extender(Pigeon):
    def prepare(self, message: OutboundMessage) -> Prepared:
        made = super().prepare(message)
        return attrs.evolve(made, expires=made.expires + 60_000_000)


class Random(Pigeon):
    def prepare(self, message: OutboundMessage) -> Prepared:
        made = super().prepare(message)
        return attrs.evolve(made, wire=Personal(made.wire.reveal("x") + secrets.token_bytes(8).hex().encode()))


class Silent(Pigeon):
    def send(self, prepared: Prepared) -> None:  # type: ignore[override]
        super().send(prepared)


class Unsure(Pigeon):
    """Says UNKNOWN where it knows."""

    def send(self, prepared: Prepared) -> SendResult:
        super().send(prepared)
        return SendResult(outcome=Outcome.UNKNOWN)


class Talker(Pigeon):
    """Passes the far end's text on as a code."""

    def send(self, prepared: Prepared) -> SendResult:
        super().send(prepared)
        return SendResult(outcome=Outcome.ACCEPTED, code="Message to +8613800138000 accepted!")


class Logger(Pigeon):
    def send(self, prepared: Prepared) -> SendResult:
        logging.getLogger("pigeon").debug("sending to %s", prepared.address.reveal("log"))
        return super().send(prepared)


class Printer(Pigeon):
    def send(self, prepared: Prepared) -> SendResult:
        sys.stdout.write(prepared.wire.reveal("debug").decode())
        return super().send(prepared)


class Shower(Pigeon):
    def __repr__(self) -> str:
        return f"Shower({self.loft})"


class Complainer(Pigeon):
    """An error that holds the text."""

    def prepare(self, message: OutboundMessage) -> Prepared:
        message.body.reveal("hand-over").encode()
        return super().prepare(message)


class Boaster(Pigeon):
    """Finds whatever it is asked for."""

    def lookup(self, key: str, address: Any, since: Any) -> LookupResult:
        return LookupResult(found=True)


class Forgetter(Pigeon):
    def lookup(self, key: str, address: Any, since: Any) -> LookupResult:
        return LookupResult(found=False)


class Repeater(Pigeon):
    """Says that repeats are harmless, and delivers them."""

    def send(self, prepared: Prepared) -> SendResult:
        self.keys.clear()
        return super().send(prepared)


class Prober(Pigeon):
    """Checks its health with a message."""

    def health(self) -> Health:
        self.loft.append("test")
        return Health(ok=True)


class Claimer(Pigeon):
    capabilities = Capabilities(poll=True)


class Shifter(Pigeon):
    """Another channel each time it is asked."""

    @property
    def info(self) -> ChannelInfo:  # type: ignore[override]
        return attrs.evolve(Pigeon.info, version=secrets.token_hex(4))


class Fragile(Pigeon):
    def close(self) -> None:
        del self.keys


class Hanger(Pigeon):
    """Leaves a thread behind that sends again later."""

    def send(self, prepared: Prepared) -> SendResult:
        result = super().send(prepared)
        worker = threading.Thread(target=lambda: self.loft.append(prepared.wire.reveal("x").decode()))
        worker.start()
        worker.join()
        return result


class DoubleSmtp(SmtpChannel):
    """A real one with the commonest fault: it tries again when the answer was lost."""

    def send(self, prepared: Prepared) -> SendResult:
        result = super().send(prepared)
        return super().send(prepared) if result.outcome is Outcome.UNKNOWN else result


def double_smtp() -> ChannelCase:
    peer = SmtpPeer({"dot": ["354 what was that"]})
    peer.__enter__()
    settings = {"host": "127.0.0.1", "port": peer.port, "tls": "none", "sender": "clinic@example.org"}
    return ChannelCase(
        channel=DoubleSmtp(settings, clock=SystemClock()),
        received=lambda: [_text(message.content) for message in peer.received],
        finish=lambda: peer.__exit__(None, None, None),
    )


def _factory(kind: type[Pigeon]) -> Any:
    return lambda: _case(kind())


for _kind in list(Pigeon.__subclasses__()):
    globals()[f"bad_{_kind.__name__.lower()}"] = _factory(_kind)
