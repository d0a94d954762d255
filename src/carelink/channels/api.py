"""What a channel author imports: the contract, its vocabularies and the hook marker. Nothing else is needed."""

from __future__ import annotations

import pluggy

from carelink.errors import CarelinkError, ChannelError, ConfigurationError
from carelink.model.moment import Instant, Micros
from carelink.ports.channel import (
    CONTRACT_VERSION,
    Capabilities,
    Channel,
    ChannelEvent,
    ChannelInfo,
    ChannelSettings,
    Health,
    LookupResult,
    OutboundMessage,
    Prepared,
    SendResult,
)
from carelink.ports.system import Clock
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, DeliveryEvent, Outcome, Purpose

__all__ = [
    "CONTRACT_VERSION",
    "AddressKind",
    "Capabilities",
    "CarelinkError",
    "Channel",
    "ChannelError",
    "ChannelEvent",
    "ChannelInfo",
    "ChannelKind",
    "ChannelSettings",
    "Clock",
    "ConfigurationError",
    "DeliveryEvent",
    "Health",
    "Instant",
    "LookupResult",
    "Micros",
    "OutboundMessage",
    "Outcome",
    "Personal",
    "Prepared",
    "Purpose",
    "SendResult",
    "hookimpl",
]

hookimpl = pluggy.HookimplMarker("carelink")
"""Marks `carelink_channels` in a plugin module."""
