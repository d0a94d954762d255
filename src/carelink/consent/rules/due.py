"""Kind `due`: a plan's contact is made when the plan wants it, not before and not after (domain P2, NOT_DUE)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["Due"]


@attrs.frozen
class Due:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Due:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """Outside the request's own due window: refuse; before it, with the instant at which it becomes due."""
        begin, end = facts.ask.due_from, facts.ask.due_until
        if end is not None and end <= max(facts.at, facts.at if begin is None else begin):
            return refuse(self.rule, ReasonCode.NOT_DUE)
        if begin is not None and facts.at < begin:
            return refuse(self.rule, ReasonCode.NOT_DUE, earliest=begin)
        return permit(self.rule)
