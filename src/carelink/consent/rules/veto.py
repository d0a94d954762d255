"""Kind `veto`: a plugin's refusal counts like a rule's; it can never permit (P10)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["Veto"]


@attrs.frozen
class Veto:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Veto:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """Any veto refuses."""
        if (verdict := absent(self.rule, facts.vetoes)) is not None:
            return verdict
        assert isinstance(facts.vetoes, Known)
        if facts.vetoes.value:
            return refuse(self.rule, ReasonCode.PLUGIN_VETO, vetoes=len(facts.vetoes.value))
        return permit(self.rule)
