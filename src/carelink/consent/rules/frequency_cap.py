"""Kind `frequency_cap`: no half-open window of the given length holds more than `max` touches (P4).

Windows roll: the touch asked for now must not make any window (at - window, at] hold more than the cap.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.rules.counting import COUNTING_KEYS, Counted
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant, Micros

__all__ = ["FrequencyCap"]


@attrs.frozen
class FrequencyCap:
    """Parameters: `max`, `window`, and what counts (see `counting`)."""

    rule: str
    maximum: int
    window: Micros
    counted: Counted

    @classmethod
    def of(cls, rule: str, params: dict[str, object], purposes: tuple[str, ...] = ("*",)) -> FrequencyCap:
        """Read the parameters."""
        read = Params(rule, params, {"max", "window", *COUNTING_KEYS})
        window = read.length("window")
        assert window is not None
        return cls(rule, read.number("max"), window, Counted.of(read, purposes))

    def judge(self, facts: Facts) -> Verdict:
        """Over the cap: REFUSE with the earliest instant it would pass, or DEFER if the request waits."""
        if (verdict := absent(self.rule, facts.touches)) is not None:
            return verdict
        if facts.ask.reply and not self.counted.replies:
            return permit(self.rule)
        assert isinstance(facts.touches, Known)
        history, start = facts.touches.value, facts.at - self.window
        if history.since > max(start, 0):
            return refuse(self.rule, ReasonCode.FACT_UNKNOWN)
        worst, free_at = 0, facts.at
        for _letter, instants in self.counted.instants(history, facts):
            inside = [at for at in instants if at > start]
            worst = max(worst, len(inside))
            if len(inside) >= self.maximum:
                if not self.maximum:
                    return refuse(self.rule, ReasonCode.CAP_EXCEEDED, count=len(inside), max=0)
                free_at = max(free_at, Instant(inside[-self.maximum] + self.window))
        if worst < self.maximum:
            return permit(self.rule)
        say = defer if facts.ask.wait else refuse
        return say(self.rule, ReasonCode.CAP_EXCEEDED, earliest=free_at, count=worst, max=self.maximum)

    def boundaries(self, facts: Facts) -> Iterable[Instant]:
        """The instants at which a touch leaves the window."""
        if isinstance(facts.touches, Known):
            for _letter, instants in self.counted.instants(facts.touches.value, facts):
                for at in instants:
                    yield Instant(at + self.window)
