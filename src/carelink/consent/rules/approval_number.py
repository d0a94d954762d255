"""Kind `approval_number`: a medical advertisement has an approval in force (医疗广告管理办法 14, 17)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["ApprovalNumber"]


@attrs.frozen
class ApprovalNumber:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> ApprovalNumber:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """No number, or one whose validity is over: refuse."""
        if (verdict := absent(self.rule, facts.content, ReasonCode.CONTENT_UNREVIEWED)) is not None:
            return verdict
        assert isinstance(facts.content, Known)
        until = facts.content.value.number_until
        if until is None or until <= facts.at:
            return refuse(self.rule, ReasonCode.APPROVAL_NUMBER_MISSING)
        return permit(self.rule)
