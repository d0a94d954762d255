"""Kind `quiet_hours`: local hours without outreach, in every zone the recipient may be in.

Local time is walked exactly: the facts carry the offset transitions of the horizon, so an hour that is skipped or
repeated is judged by the wall clock as the recipient sees it.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import attrs

from carelink.consent.facts import Facts, Known, ZoneFact, ZoneFacts
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import DAY, SECOND, Instant

__all__ = ["QuietHours"]

_DAY_SECONDS: Final = DAY // SECOND


@attrs.frozen
class QuietHours:
    """Parameters: `allowed_from`, `allowed_to` (local HH:MM, half open; may cross midnight), `replies` (exempt, default
    true).
    """

    rule: str
    opens: int
    closes: int
    replies: bool

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> QuietHours:
        """Read the parameters."""
        read = Params(rule, params, {"allowed_from", "allowed_to", "replies"})
        opens, closes = read.clock("allowed_from"), read.clock("allowed_to")
        if opens == closes:
            raise read.fail("`params.allowed_from` equals `allowed_to`: the window is empty or whole")
        return cls(rule, opens, closes, read.flag("replies", default=True))

    def judge(self, facts: Facts) -> Verdict:
        """Outside the window in any candidate zone: DEFER until all of them allow it."""
        if facts.ask.reply and self.replies:
            return permit(self.rule)
        if (verdict := absent(self.rule, facts.zones, ReasonCode.ZONE_UNKNOWN)) is not None:
            return verdict
        assert isinstance(facts.zones, Known)
        zones = facts.zones.value
        if not _within(zones, facts.at):
            return refuse(self.rule, ReasonCode.ZONE_UNKNOWN)
        opening = self._opening(zones, facts.at)
        return permit(self.rule) if opening == facts.at else defer(self.rule, ReasonCode.QUIET_HOURS, earliest=opening)

    def _opening(self, zones: ZoneFacts, at: Instant) -> Instant | None:
        """The first instant from `at` on at which every zone allows it; None if there is none within the horizon."""
        while at < zones.until:
            later = max(self._closed_until(zone, at, zones.until) for zone in zones.candidates)
            if later == at:
                return at
            at = later
        return None

    def _closed_until(self, zone: ZoneFact, at: Instant, until: Instant) -> Instant:
        """The instant itself where one zone allows it; else the next opening, or the next change of its clock."""
        place = bisect_right(zone.offsets, at, key=_start)
        whole, offset = at // SECOND, zone.offsets[place - 1][1]
        since = (whole + offset - self.opens) % _DAY_SECONDS
        if since < (self.closes - self.opens) % _DAY_SECONDS:
            return at
        opening = Instant((whole + _DAY_SECONDS - since) * SECOND)
        return min([opening, until, *(start for start, _ in zone.offsets[place:])])


def _start(pair: tuple[Instant, int]) -> Instant:
    return pair[0]


def _within(zones: ZoneFacts, at: Instant) -> bool:
    """Whether every zone's offset at the instant is known."""
    known = all(zone.offsets and zone.offsets[0][0] <= at for zone in zones.candidates)
    return bool(zones.candidates) and known and at < zones.until
