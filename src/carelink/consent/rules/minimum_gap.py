"""Kind `minimum_gap`: so long between two touches of the same person or address."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.rules.counting import COUNTING_KEYS, Counted
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant, Micros

__all__ = ["MinimumGap"]


@attrs.frozen
class MinimumGap:
    """Parameters: `gap`, and what counts, below the table."""

    rule: str
    gap: Micros
    counted: Counted

    @classmethod
    def of(cls, rule: str, params: dict[str, object], purposes: tuple[str, ...]) -> MinimumGap:
        """Read the parameters; touches of `purposes` count where they name none."""
        read = Params(rule, params, {"gap", *COUNTING_KEYS})
        return cls(rule, read.length("gap"), Counted.of(read, purposes))

    def judge(self, facts: Facts) -> Verdict:
        """Too soon after the last one: REFUSE with the instant it would pass, or DEFER if the request waits."""
        if (verdict := absent(self.rule, facts.touches)) is not None:
            return verdict
        if facts.ask.reply and not self.counted.replies:
            return permit(self.rule)
        assert isinstance(facts.touches, Known)
        history = facts.touches.value
        lasts = [instants[-1] for instants in self.counted.instants(history, facts.ask.plan) if instants]
        free_at = max([facts.at, *(Instant(last + self.gap) for last in lasts)])
        if history.since > max(facts.at - self.gap, 0):
            # The gap begins before what is known; time moves it past that.
            cure = Instant(max(free_at, history.since + self.gap))
            return refuse(self.rule, ReasonCode.FACT_UNKNOWN, earliest=cure)
        if free_at == facts.at:
            return permit(self.rule)
        say = defer if facts.ask.wait else refuse
        return say(self.rule, ReasonCode.GAP_TOO_SHORT, earliest=free_at)
