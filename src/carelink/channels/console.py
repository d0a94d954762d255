"""The console: prints what would be sent, for tutorials. Text and address are masked unless the settings say `show`.

It prints to standard error: standard output belongs to the results of the command that is running.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from carelink.channels.wire import utf8
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
        """The line to print.

        Raises:
            InvalidInputError: the text is not one that can be printed.
        """
        body = message.body.reveal("hand-over")
        shown = f"to {message.address.reveal('hand-over')}: {body}" if self._show else f"{len(body)} characters"
        wire = utf8(f"{self.info.kind.value} {message.purpose.value} {shown}\n")
        return Prepared(
            key=message.key, wire=Personal(wire), address=message.address, expires=message.permit.lease_until
        )

    def send(self, prepared: Prepared) -> SendResult:
        """Print it; a screen that has no sign for a character shows a question mark."""
        stream = sys.stderr if self._stream is None else self._stream
        charset = stream.encoding or "utf-8"
        line = prepared.wire.reveal("hand-over").decode()
        try:
            stream.write(line.encode(charset, "replace").decode(charset))
            stream.flush()
        except (OSError, ValueError):
            return SendResult(outcome=Outcome.UNKNOWN, code="not_printed")
        return SendResult(outcome=Outcome.ACCEPTED)
