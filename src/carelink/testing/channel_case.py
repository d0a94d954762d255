"""What the conformance kit is given: a channel, and, where the author can look, what its far end holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from carelink.ports.channel import Channel

__all__ = ["ChannelCase"]


@attrs.frozen(kw_only=True)
class ChannelCase:
    """A channel under test.

    Attributes:
        channel: ready to hand over to a loopback peer, or into a folder of its own.
        received: the texts the far end holds, oldest first, as a recipient would read them. Without it the kit
            cannot count messages, and says so by skipping.
        finish: stops the peer; called once, after the channel was closed.
    """

    channel: Channel
    received: Callable[[], Sequence[str]] | None = None
    finish: Callable[[], object] | None = None
