"""Kind `subject`: the dead, the erased and merged records are not contacted (PIPL 49)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.vocabulary import Standing

__all__ = ["Subject"]

_REASONS = {
    Standing.ERASED: ReasonCode.SUBJECT_ERASED,
    Standing.DECEASED: ReasonCode.SUBJECT_DECEASED,
    Standing.MERGED: ReasonCode.SUBJECT_MERGED,
}


@attrs.frozen
class Subject:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Subject:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """Both the subject and the recipient must be there to be contacted."""
        for fact in (facts.standing, facts.recipient_standing):
            if (verdict := absent(self.rule, fact)) is not None:
                return verdict
        assert isinstance(facts.standing, Known)
        assert isinstance(facts.recipient_standing, Known)
        if facts.standing.value is not Standing.ACTIVE:
            return refuse(self.rule, _REASONS[facts.standing.value])
        if facts.recipient_standing.value is not Standing.ACTIVE:
            return refuse(self.rule, ReasonCode.RECIPIENT_UNAVAILABLE)
        return permit(self.rule)
