"""Kind `quiet_hours`: local hours without outreach, in every zone the recipient may be in.

Local time is walked exactly: the facts carry the offset transitions of the horizon, so an hour that is skipped or
repeated is judged by the wall clock as the recipient sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from carelink.consent.facts import Facts, Known, ZoneFact, ZoneFacts
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import DAY, SECOND, Instant

__all__ = ["QuietHours"]

_DAY_SECONDS = 86_400


@attrs.frozen
class QuietHours:
    """Parameters: `allowed_from`, `allowed_to` (local HH:MM; may cross midnight), `replies` (exempt, default true)."""

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

    def _open(self, second: int) -> bool:
        if self.opens < self.closes:
            return self.opens <= second < self.closes
        return second >= self.opens or second < self.closes

    def _allowed(self, zones: ZoneFacts, at: Instant) -> bool:
        return bool(zones.candidates) and all(
            self._open((at // SECOND + _offset(zone, at)) % _DAY_SECONDS) for zone in zones.candidates
        )

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
        if self._allowed(zones, facts.at):
            return permit(self.rule)
        opening = (at for at in sorted(set(self._edges(zones, facts.at))) if self._allowed(zones, at))
        return defer(self.rule, ReasonCode.QUIET_HOURS, earliest=next(opening, None))

    def boundaries(self, facts: Facts) -> Iterable[Instant]:
        """Window edges and offset transitions within the horizon."""
        if isinstance(facts.zones, Known):
            yield from self._edges(facts.zones.value, facts.at)

    def _edges(self, zones: ZoneFacts, after: Instant) -> Iterator[Instant]:
        for zone in zones.candidates:
            offsets = zone.offsets
            for number, (start, offset) in enumerate(offsets):
                end = offsets[number + 1][0] if number + 1 < len(offsets) else zones.until
                if after < start < zones.until:
                    yield start
                first = max(start, after)
                day = (first + offset * SECOND) // DAY
                last = (end + offset * SECOND) // DAY
                for local_day in range(day, last + 1):
                    for edge in (self.opens, self.closes):
                        at = local_day * DAY + (edge - offset) * SECOND
                        if first <= at < end and after < at < zones.until:
                            yield Instant(at)


def _offset(zone: ZoneFact, at: Instant) -> int:
    offset = zone.offsets[0][1]
    for start, value in zone.offsets:
        if start > at:
            break
        offset = value
    return offset


def _within(zones: ZoneFacts, at: Instant) -> bool:
    starts = [zone.offsets[0][0] for zone in zones.candidates if zone.offsets]
    return len(starts) == len(zones.candidates) and bool(starts) and max(starts) <= at < zones.until
