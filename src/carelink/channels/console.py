"""The console: prints what would be sent, for tutorials. Text and address are masked unless the settings say `show`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from carelink.model.moment import Micros
from carelink.ports.channel import Capabilities, ChannelInfo, OutboundMessage, Prepared, SendResult
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome

__all__ = ["ConsoleChannel"]


class ConsoleChannel:
    """Prints. Settings: `show` (true prints address and text in full)."""

    capabilities = Capabilities(latency=Micros(500))

    def __init__(self, kind: ChannelKind, settings: Mapping[str, Any], stream: TextIO | None = None) -> None:
        address = AddressKind.EMAIL if kind is ChannelKind.EMAIL else AddressKind.PHONE
        self.info = ChannelInfo(name=f"console-{kind.value}", kind=kind, address_kind=address, version="1", local=True)
        self._show = settings.get("show") is True
        self._stream = stream

    def prepare(self, message: OutboundMessage) -> Prepared:
        """The line to print."""
        body = message.body.reveal("hand-over")
        shown = f"to {message.address.reveal('hand-over')}: {body}" if self._show else f"{len(body)} characters"
        line = f"{self.info.kind.value} {message.purpose.value} {shown}\n".encode()
        return Prepared(
            key=message.key, wire=Personal(line), address=message.address, expires=message.permit.lease_until
        )

    def send(self, prepared: Prepared) -> SendResult:
        """Print it."""
        stream = sys.stdout if self._stream is None else self._stream
        stream.write(prepared.wire.reveal("hand-over").decode())
        stream.flush()
        return SendResult(outcome=Outcome.ACCEPTED)
