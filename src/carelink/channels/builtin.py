"""The built-in channels, registered through the same entry point and hook as anyone's."""

from __future__ import annotations

from collections.abc import Iterable

from carelink.channels.api import hookimpl
from carelink.channels.console import ConsoleChannel
from carelink.channels.outbox import OutboxChannel
from carelink.channels.smtp.channel import SmtpChannel
from carelink.ports.channel import Channel, ChannelSettings
from carelink.ports.system import Clock
from carelink.vocabulary import ChannelKind

__all__ = ["carelink_channels"]

_KINDS = (ChannelKind.EMAIL, ChannelKind.SMS)


@hookimpl
def carelink_channels(settings: ChannelSettings, clock: Clock) -> Iterable[Channel]:
    """Console always; outbox and SMTP where they are set up."""
    for kind in _KINDS:
        yield ConsoleChannel(kind, settings.get("console", {}))
    if "outbox" in settings:
        for kind in _KINDS:
            yield OutboxChannel(kind, settings["outbox"], clock=clock)
    if "smtp" in settings:
        yield SmtpChannel(settings["smtp"], clock=clock)
