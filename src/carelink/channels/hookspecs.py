"""The hooks. Plugins hand over values at start-up; the core combines them and freezes the set.

Hooks are not used for operations: a wrapper could replace another plugin's answer, and one exception would discard
everybody's (tried on pluggy 1.7), so sending is a plain method call on the chosen channel.
"""

from __future__ import annotations

from collections.abc import Iterable

import pluggy

from carelink.ports.authoriser import Authoriser
from carelink.ports.channel import Channel, ChannelSettings
from carelink.ports.eraser import Eraser
from carelink.ports.system import Clock

__all__ = ["ChannelSpecs"]

_hookspec = pluggy.HookspecMarker("carelink")


class ChannelSpecs:
    """The hooks of carelink."""

    @_hookspec
    def carelink_channels(self, settings: ChannelSettings, clock: Clock) -> Iterable[Channel]:  # noqa: ARG002
        """Channels this plugin offers. Called once, before the registry freezes.

        Args:
            settings: every `[channels.<name>]` table by name; a plugin reads its own.
            clock: time, for channels that must look at it. An implementation may leave either argument out.
        """
        raise AssertionError  # a specification is never called

    @_hookspec
    def carelink_erasers(self, settings: ChannelSettings, clock: Clock) -> Iterable[Eraser]:  # noqa: ARG002
        """Erasers of copies that this plugin keeps, or knows of. Called once, before the registry freezes."""
        raise AssertionError  # a specification is never called

    @_hookspec
    def carelink_authorisers(self, settings: ChannelSettings, clock: Clock) -> Iterable[Authoriser]:  # noqa: ARG002
        """Authorisers: each can refuse that somebody opens personal data. Called once, before the registry freezes."""
        raise AssertionError  # a specification is never called
