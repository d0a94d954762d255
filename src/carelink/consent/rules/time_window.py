"""Kind `time_window`: the caller's own window. Too early waits, too late is refused for good."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, defer, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["TimeWindow"]


@attrs.frozen
class TimeWindow:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> TimeWindow:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """`not_before` in the future: DEFER. `useless_after` reached, or an empty window: REFUSE."""
        early, late = facts.ask.not_before, facts.ask.useless_after
        if late is not None and (late <= facts.at or (early is not None and late <= early)):
            return refuse(self.rule, ReasonCode.TOO_LATE)
        if early is not None and facts.at < early:
            return defer(self.rule, ReasonCode.TOO_EARLY, earliest=early)
        return permit(self.rule)
