"""Turns a decision into lines for people: which rule, whose rule, by which source, and from when it would pass."""

from __future__ import annotations

from carelink.consent.pack import Rule
from carelink.consent.policy import Policy
from carelink.consent.sentences import sentence
from carelink.consent.verdict import Decision, Verdict
from carelink.model.moment import iso
from carelink.vocabulary import Authority, Certainty, Effect

__all__ = ["explain"]

_AUTHORITY = {
    Authority.LAW: ("law", "法律法规"),
    Authority.GUIDANCE: ("guidance", "监管指南"),
    Authority.STANDARD: ("standard", "标准"),
    Authority.CHANNEL: ("channel rule", "渠道规则"),
    Authority.HOSPITAL: ("hospital policy", "医院规定"),
}
_CERTAINTY = {
    Certainty.TEXT: ("read in the text", "已读原文"),
    Certainty.SECONDARY: ("secondary source, not verified", "二手来源,未核实"),
    Certainty.KNOWLEDGE: ("not verified", "未核实"),
    Certainty.INTERPRETATION: ("our interpretation or default", "本项目的解释或默认值"),
}


def explain(decision: Decision, policy: Policy | None, lang: str = "en") -> tuple[str, ...]:
    """One line a reason, in conflict order; none for a permit. `lang` is "en" or "zh"."""
    rules = {} if policy is None else {compiled.rule.id: compiled.rule for compiled in policy.rules}
    return tuple(_line(verdict, rules.get(verdict.rule), lang) for verdict in decision.reasons)


def _line(verdict: Verdict, rule: Rule | None, lang: str) -> str:
    chinese = int(lang == "zh")
    assert verdict.reason is not None
    parts = [f"{verdict.effect.value} {verdict.reason.value}: {sentence(verdict.reason, lang)}"]
    if rule is not None:
        title = rule.title_zh if chinese else rule.title_en
        sources = "; ".join(
            " ".join(filter(None, (source.instrument, f"({source.version})", source.article)))
            for source in rule.sources
        )
        whose, sure = _AUTHORITY[rule.authority][chinese], _CERTAINTY[rule.certainty][chinese]
        parts.append(f"[{rule.id}: {title}; {whose}: {sources}; {sure}]")
    else:
        parts.append(f"[{verdict.rule}]")
    if verdict.detail:
        parts.append("(" + ", ".join(f"{name} {value}" for name, value in verdict.detail) + ")")
    if verdict.earliest is not None and verdict.effect is not Effect.PERMIT:
        parts.append(("自 " if chinese else "from ") + iso(verdict.earliest))
    return " ".join(parts)
