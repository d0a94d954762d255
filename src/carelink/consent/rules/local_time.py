"""Walking local time exactly: the facts carry the offset transitions of the horizon, so an hour that is skipped or
repeated is judged by the wall clock as the recipient sees it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from carelink.consent.facts import ZoneFact, ZoneFacts
from carelink.model.moment import DAY, SECOND, Instant

__all__ = ["DAY_SECONDS", "known_at", "local", "next_change", "opening"]

DAY_SECONDS: Final = DAY // SECOND


def local(zone: ZoneFact, at: Instant) -> int:
    """Local time as seconds since 1970-01-01 on the wall clock."""
    return at // SECOND + zone.offsets[bisect_right(zone.offsets, at, key=_start) - 1][1]


def next_change(zone: ZoneFact, at: Instant, until: Instant) -> Instant:
    """The next instant at which the zone's clock changes; `until` if there is none before."""
    place = bisect_right(zone.offsets, at, key=_start)
    return min(until, zone.offsets[place][0]) if place < len(zone.offsets) else until


def opening(zones: ZoneFacts, at: Instant, closed_until: Callable[[ZoneFact, Instant], Instant]) -> Instant | None:
    """The first instant from `at` on that every zone allows; None if there is none within the horizon.

    Args:
        zones: where the recipient may be.
        at: where to begin.
        closed_until: for one zone, the instant itself where it allows it, else the next one worth asking.
    """
    while at < zones.until:
        later = max(closed_until(zone, at) for zone in zones.candidates)
        if later == at:
            return at
        at = later
    return None


def known_at(zones: ZoneFacts, at: Instant) -> bool:
    """Whether every zone's offset at the instant is known."""
    known = all(zone.offsets and zone.offsets[0][0] <= at for zone in zones.candidates)
    return bool(zones.candidates) and known and at < zones.until


def _start(pair: tuple[Instant, int]) -> Instant:
    return pair[0]
