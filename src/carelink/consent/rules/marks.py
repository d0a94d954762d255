"""Kind `marks`: what a message must show, such as who sends it and how to refuse (广告法 43(2); CASL 6(2))."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["Marks"]


@attrs.frozen
class Marks:
    """Parameter: `marks`, codes that screening must have found in the text, all of them."""

    rule: str
    marks: tuple[str, ...]

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Marks:
        """Read the parameters."""
        read = Params(rule, params, {"marks"})
        marks = read.codes("marks")
        if not marks:
            raise read.fail("`params.marks` is missing")
        return cls(rule, marks)

    def judge(self, facts: Facts) -> Verdict:
        """One is missing, or nobody looked: refuse."""
        if (verdict := absent(self.rule, facts.screening)) is not None:
            return verdict
        assert isinstance(facts.screening, Known)
        found = () if facts.screening.value is None else facts.screening.value.marks
        missing = sum(mark not in found for mark in self.marks)
        return refuse(self.rule, ReasonCode.MARK_MISSING, missing=missing) if missing else permit(self.rule)
