"""Kind `provider_template`: a provider that registers templates has approved this one (vendor rules)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.vocabulary import ProviderState

__all__ = ["ProviderTemplate"]


@attrs.frozen
class ProviderTemplate:
    """Parameter: `required` (default true); false asks only of templates that stand with the provider at all."""

    rule: str
    required: bool

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> ProviderTemplate:
        """Read the parameters."""
        return cls(rule, Params(rule, params, {"required"}).flag("required", default=True))

    def judge(self, facts: Facts) -> Verdict:
        """Pending, rejected or never submitted: refuse."""
        if (verdict := absent(self.rule, facts.content, ReasonCode.CONTENT_UNREVIEWED)) is not None:
            return verdict
        assert isinstance(facts.content, Known)
        state = facts.content.value.provider
        if state is ProviderState.APPROVED or (state is None and not self.required):
            return permit(self.rule)
        return refuse(self.rule, ReasonCode.PROVIDER_TEMPLATE_MISSING)
