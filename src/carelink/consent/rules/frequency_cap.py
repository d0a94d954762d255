"""Kind `frequency_cap`: no half-open window of the given length holds more than `max` touches (P4).

Windows roll: the touch asked for now must not make any window (at - window, at] hold more than the cap.
"""

from __future__ import annotations

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
    """Parameters: `max`, `window`, and what counts, below the table."""

    rule: str
    maximum: int
    window: Micros
    counted: Counted

    @classmethod
    def of(cls, rule: str, params: dict[str, object], purposes: tuple[str, ...]) -> FrequencyCap:
        """Read the parameters; touches of `purposes` count where they name none."""
        read = Params(rule, params, {"max", "window", *COUNTING_KEYS})
        return cls(rule, read.number("max"), read.length("window"), Counted.of(read, purposes))

    def judge(self, facts: Facts) -> Verdict:
        """Over the cap: REFUSE with the earliest instant it would pass, or DEFER if the request waits."""
        if (verdict := absent(self.rule, facts.touches)) is not None:
            return verdict
        if facts.ask.reply and not self.counted.replies:
            return permit(self.rule)
        assert isinstance(facts.touches, Known)
        history, start = facts.touches.value, facts.at - self.window
        windows = [[at for at in instants if at > start] for instants in self.counted.instants(history, facts.ask.plan)]
        worst = max(len(inside) for inside in windows)
        full = [inside for inside in windows if 0 < self.maximum <= len(inside)]
        free_at = max([facts.at, *(Instant(inside[-self.maximum] + self.window) for inside in full)])
        if history.since > max(start, 0):
            # The window begins before what is known; time moves it past that.
            cure = Instant(max(free_at, history.since + self.window)) if self.maximum else None
            return refuse(self.rule, ReasonCode.FACT_UNKNOWN, earliest=cure)
        if worst < self.maximum:
            return permit(self.rule)
        say = defer if facts.ask.wait and self.maximum else refuse
        cure = free_at if self.maximum else None
        return say(self.rule, ReasonCode.CAP_EXCEEDED, earliest=cure, count=worst, max=self.maximum)
