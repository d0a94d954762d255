"""Kind `minors`: under an age, or of unknown age, not contacted at all for what the rule's `when` names.

Serves 未成年人网络保护条例 24(3): no automated marketing to under-18s.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant
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
            return refuse(self.rule, ReasonCode.GUARDIAN_REQUIRED)
        return permit(self.rule)

    def boundaries(self, facts: Facts) -> Iterable[Instant]:
        """Birthdays are not in the facts: time alone is not said to cure it."""
        return ()
