"""Kind `minimum_gap`: so long between two touches of the same person or address."""

from __future__ import annotations

from collections.abc import Iterable

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
    """Parameters: `gap`, and what counts (see `counting`)."""

    rule: str
    gap: Micros
    counted: Counted

    @classmethod
    def of(cls, rule: str, params: dict[str, object], purposes: tuple[str, ...] = ("*",)) -> MinimumGap:
        """Read the parameters."""
        read = Params(rule, params, {"gap", *COUNTING_KEYS})
        gap = read.length("gap")
        assert gap is not None
        return cls(rule, gap, Counted.of(read, purposes))

    def judge(self, facts: Facts) -> Verdict:
        """Too soon after the last one: REFUSE with the instant it would pass, or DEFER if the request waits."""
        if (verdict := absent(self.rule, facts.touches)) is not None:
            return verdict
        if facts.ask.reply and not self.counted.replies:
            return permit(self.rule)
        assert isinstance(facts.touches, Known)
        history = facts.touches.value
        if history.since > max(facts.at - self.gap, 0):
            return refuse(self.rule, ReasonCode.FACT_UNKNOWN)
        last = max((at[-1] for _, at in self.counted.instants(history, facts) if at), default=None)
        if last is None or last + self.gap <= facts.at:
            return permit(self.rule)
        say = defer if facts.ask.wait else refuse
        return say(self.rule, ReasonCode.GAP_TOO_SHORT, earliest=Instant(last + self.gap))

    def boundaries(self, facts: Facts) -> Iterable[Instant]:
        """The instant at which the gap is over."""
        if isinstance(facts.touches, Known):
            for _letter, instants in self.counted.instants(facts.touches.value, facts):
                if instants:
                    yield Instant(instants[-1] + self.gap)
