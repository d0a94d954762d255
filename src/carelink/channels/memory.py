"""The memory channel: keeps what it was handed in this process, for tests and for `carelink.in_memory`."""

from __future__ import annotations

import attrs

from carelink.channels.wire import utf8
from carelink.model.moment import Instant, Micros
from carelink.ports.channel import Capabilities, ChannelInfo, LookupResult, OutboundMessage, Prepared, SendResult
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome, Purpose

__all__ = ["Kept", "MemoryChannel"]


@attrs.frozen(kw_only=True)
class Kept:
    """One message as it was handed over."""

    key: str
    purpose: Purpose
    address: Personal[str]
    subject: Personal[str] | None
    body: Personal[str]


class MemoryChannel:
    """A far end within the process.

    Attributes:
        kept: what was handed over, in order.
    """

    capabilities = Capabilities(lookup=True, harmless_repeat=True, latency=Micros(100))

    def __init__(self, kind: ChannelKind) -> None:
        address = AddressKind.EMAIL if kind is ChannelKind.EMAIL else AddressKind.PHONE
        self.info = ChannelInfo(name=f"memory-{kind.value}", kind=kind, address_kind=address, version="1", local=True)
        self.kept: list[Kept] = []
        self._keys: set[str] = set()
        self._prepared: dict[str, Kept] = {}

    def prepare(self, message: OutboundMessage) -> Prepared:
        """The text as bytes."""
        self._prepared[message.key] = Kept(
            key=message.key,
            purpose=message.purpose,
            address=message.address,
            subject=message.subject,
            body=message.body,
        )
        return Prepared(
            key=message.key,
            wire=Personal(utf8(message.body.reveal("hand-over"))),
            address=message.address,
            expires=message.permit.lease_until,
        )

    def send(self, prepared: Prepared) -> SendResult:
        """Keep it, once."""
        made = self._prepared.pop(prepared.key, None)
        repeated = prepared.key in self._keys
        if made is not None and not repeated:
            self.kept.append(made)
            self._keys.add(prepared.key)
        return SendResult(outcome=Outcome.ACCEPTED, provider_id=prepared.key, code="repeated" if repeated else "")

    def lookup(self, key: str, address: Personal[str], since: Instant) -> LookupResult:
        """What is kept was handed over."""
        del address, since
        found = key in self._keys
        return LookupResult(found=found, outcome=Outcome.ACCEPTED if found else Outcome.NOT_SENT)
