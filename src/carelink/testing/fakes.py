"""Fakes at the ports: a clock you move, entropy you can repeat, a channel that records."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator

import attrs

from carelink.channels.wire import utf8
from carelink.model.moment import Instant, Micros
from carelink.ports.channel import Capabilities, ChannelInfo, LookupResult, OutboundMessage, Prepared, SendResult
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome

__all__ = ["FakeClock", "Handed", "RecordingChannel", "SeededEntropy"]


class FakeClock:
    """Wall and monotonic time, moved by hand."""

    def __init__(self, at: Instant) -> None:
        self._wall, self._mono = int(at), 0

    def now(self) -> Instant:
        """Wall time."""
        return Instant(self._wall)

    def monotonic(self) -> Micros:
        """Time since the clock was made."""
        return Micros(self._mono)

    def advance(self, length: int) -> None:
        """Let time pass, both clocks alike."""
        self._wall += length
        self._mono += length

    def step(self, length: int) -> None:
        """Step the wall clock only, as a bad time server would."""
        self._wall += length


class SeededEntropy:
    """Bytes that repeat for the same seed. Never for production."""

    def __init__(self, seed: int) -> None:
        self._seed, self._count = seed, 0

    def __call__(self, length: int, /) -> bytes:
        """So many bytes."""
        out = b""
        while len(out) < length:
            self._count += 1
            out += hashlib.sha256(f"{self._seed}/{self._count}".encode()).digest()
        return out[:length]


@attrs.frozen
class Handed:
    """What a recording channel was handed."""

    key: str
    address: str
    body: str
    at: Instant
    unsubscribe: str = ""


class RecordingChannel:
    """Keeps what it is handed; answers from a script, else ACCEPTED.

    Attributes:
        handed: in order.
        script: outcomes to answer with, next first.
        takes: time that an attempt takes, in microseconds.
        before_send: called just before each attempt counts; may move the clock, stop somebody, or raise.
    """

    def __init__(
        self,
        name: str,
        kind: ChannelKind,
        address_kind: AddressKind,
        *,
        clock: FakeClock,
        latency: int = 100,
        takes: int = 0,
        lookup: bool = False,
        local: bool = True,
    ) -> None:
        self.info = ChannelInfo(name=name, kind=kind, address_kind=address_kind, version="1", local=local)
        self.capabilities = Capabilities(latency=Micros(latency), lookup=lookup)
        self.handed: list[Handed] = []
        self.script: Iterator[Outcome] = iter(())
        self.before_send: Callable[[Prepared], None] | None = None
        self.after_send: Callable[[Prepared], None] | None = None
        self._clock, self.takes = clock, takes
        self._bodies: dict[str, str] = {}
        self._links: dict[str, str] = {}

    def prepare(self, message: OutboundMessage) -> Prepared:
        """Address and body as bytes."""
        body = message.body.reveal("test")
        self._bodies[message.key] = body
        self._links[message.key] = "" if message.unsubscribe is None else message.unsubscribe.reveal("test")
        wire = utf8(f"{message.address.reveal('test')}\n{body}")
        return Prepared(
            key=message.key, wire=Personal(wire), address=message.address, expires=message.permit.lease_until
        )

    def send(self, prepared: Prepared) -> SendResult:
        """Record, let the channel's time pass, answer."""
        if self.before_send is not None:
            self.before_send(prepared)
        outcome = next(self.script, Outcome.ACCEPTED)
        at = self._clock.now()
        if outcome in (Outcome.ACCEPTED, Outcome.AWAITING_HUMAN, Outcome.UNKNOWN):
            key, address = prepared.key, prepared.address.reveal("test")
            self.handed.append(Handed(key, address, self._bodies[key], at, self._links[key]))
        self._clock.advance(self.takes)
        if self.after_send is not None:
            self.after_send(prepared)
        return SendResult(outcome=outcome, provider_id=f"id-{prepared.key[:8]}")

    def lookup(self, key: str, address: Personal[str], since: Instant) -> LookupResult:
        """Whether the key was handed over."""
        del address, since
        found = any(item.key == key for item in self.handed)
        return LookupResult(found=found, outcome=Outcome.ACCEPTED if found else Outcome.NOT_SENT)
