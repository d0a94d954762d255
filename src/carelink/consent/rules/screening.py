"""Kind `screening`: what the text says is allowed for its purpose; the word lists carry the sources."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["Screening"]


_REASONS: dict[str, ReasonCode] = {
    **dict.fromkeys(("pressure", "inducement"), ReasonCode.PRESSURE_PROMO),
    "incentive": ReasonCode.INCENTIVE_PROHIBITED,
    "link": ReasonCode.MIXED_PURPOSE,
    "sensitive": ReasonCode.SENSITIVE_CONTENT,
    "obfuscation": ReasonCode.CONTENT_OBFUSCATED,
    "clinical_advice": ReasonCode.CLINICIAN_REQUIRED,
    "others_events": ReasonCode.DISCLOSURE_DENIED,
    "structure": ReasonCode.MARK_MISSING,
}
"""Reasons of the categories that are more than a prohibited claim."""


@attrs.frozen
class Screening:
    """Parameters: `categories`, the only ones this rule asks of (default all); `refuse`, `hold`, `annotate`, categories
    whose findings count as that instead of what the lists say; `required`, a text nobody screened is held (default
    true).
    """

    rule: str
    categories: tuple[str, ...]
    actions: tuple[tuple[str, str], ...]
    required: bool

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Screening:
        """Read the parameters."""
        read = Params(rule, params, {"categories", "refuse", "hold", "annotate", "required"})
        actions = tuple(
            (category, action) for action in ("refuse", "hold", "annotate") for category in read.codes(action)
        )
        if len(dict(actions)) != len(actions):
            raise read.fail("a category stands under two actions")
        return cls(rule, read.codes("categories"), actions, read.flag("required", default=True))

    def judge(self, facts: Facts) -> Verdict:
        """The worst finding speaks: refused before held. An annotation is not an effect."""
        if (verdict := absent(self.rule, facts.screening)) is not None:
            return verdict
        assert isinstance(facts.screening, Known)
        if facts.screening.value is None:
            return defer(self.rule, ReasonCode.CONTENT_HELD) if self.required else permit(self.rule)
        changed = dict(self.actions)
        asked = [
            (category, changed.get(category, action))
            for category, action in facts.screening.value.findings
            if not self.categories or category in self.categories
        ]
        refused = [category for category, action in asked if action not in ("hold", "annotate")]
        if refused:
            reasons = [_REASONS.get(category, ReasonCode.CLAIM_PROHIBITED) for category in refused]
            return refuse(self.rule, min(reasons, key=lambda code: code.rank), findings=len(refused))
        held = sum(action == "hold" for _, action in asked)
        return defer(self.rule, ReasonCode.CONTENT_HELD, findings=held) if held else permit(self.rule)
