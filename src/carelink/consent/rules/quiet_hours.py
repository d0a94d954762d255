"""Kind `quiet_hours`: local hours without outreach, in every zone the recipient may be in."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known, ZoneFact, ZoneFacts
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.rules.local_time import DAY_SECONDS, known_at, local, next_change, opening
from carelink.consent.verdict import Verdict
from carelink.model.moment import SECOND, Instant

__all__ = ["QuietHours"]


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
        zones: ZoneFacts = facts.zones.value
        if not known_at(zones, facts.at):
            return refuse(self.rule, ReasonCode.ZONE_UNKNOWN)
        opens_at = opening(zones, facts.at, lambda zone, at: self._closed_until(zone, at, zones.until))
        return (
            permit(self.rule) if opens_at == facts.at else defer(self.rule, ReasonCode.QUIET_HOURS, earliest=opens_at)
        )

    def _closed_until(self, zone: ZoneFact, at: Instant, until: Instant) -> Instant:
        """The instant itself where one zone allows it; else the next opening, or the next change of its clock."""
        since = (local(zone, at) - self.opens) % DAY_SECONDS
        if since < (self.closes - self.opens) % DAY_SECONDS:
            return at
        return min(Instant((at // SECOND + DAY_SECONDS - since) * SECOND), next_change(zone, at, until))
