"""How a far end behaves: what it answers, how long it takes, that it reports early, that our own process dies there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from carelink.model.moment import SECOND
from carelink.ports.channel import ChannelEvent, Prepared
from carelink.scenario.cast import Play
from carelink.testing.fakes import RecordingChannel
from carelink.vocabulary import DeliveryEvent, Outcome

__all__ = ["Killed", "provider"]


class Killed(BaseException):
    """The process ends here: nothing of ours may catch this but the play."""


def provider(play: Play, given: Mapping[str, Any], where: str) -> None:
    """Set how a far end behaves from now on."""
    channel = play.channel(given["channel"], f"{where}.channel")
    if "answers" in given:
        channel.script = iter([Outcome(answer) for answer in given["answers"]])
    if "takes" in given:
        channel.takes = given["takes"] * SECOND
    if "dies" in given:
        setattr(channel, f"{given['dies']}_send", _killer(channel, f"{given['dies']}_send"))
    if "early" in given:
        channel.after_send = _early(play, channel, DeliveryEvent(given["early"]))
    if "told" in given:
        channel.capabilities = attrs.evolve(channel.capabilities, lookup=given["told"])


def _killer(channel: RecordingChannel, place: str) -> Callable[[Prepared], None]:
    def kill(_: Prepared) -> None:
        setattr(channel, place, None)
        raise Killed

    return kill


def _early(play: Play, channel: RecordingChannel, event: DeliveryEvent) -> Callable[[Prepared], None]:
    def report(prepared: Prepared) -> None:
        channel.after_send = None
        early = ChannelEvent(
            event=event,
            key=prepared.key,
            address=prepared.address,
            at=play.clock.now(),
            event_id=f"{prepared.key}-early",
        )
        play.link.inbound(channel.info.name, [early])

    return report
