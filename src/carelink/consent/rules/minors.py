"""Kind `minors_marketing`: minors, and patients of unknown age, are not contacted at all for what `when` names.

Serves 未成年人网络保护条例 24(3): no automated marketing to under-18s.
"""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.vocabulary import AgeBand

__all__ = ["Minors"]


@attrs.frozen
class Minors:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Minors:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """Only adults pass."""
        if (verdict := absent(self.rule, facts.age, ReasonCode.AGE_UNKNOWN)) is not None:
            return verdict
        assert isinstance(facts.age, Known)
        if facts.age.value is not AgeBand.ADULT:
            return refuse(self.rule, ReasonCode.MINOR_EXCLUDED)
        return permit(self.rule)
