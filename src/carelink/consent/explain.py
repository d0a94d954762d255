"""Turns a decision into lines for people: which rule, whose rule, by which source, and from when it would pass."""

from __future__ import annotations

from carelink.consent.pack import Rule
from carelink.consent.policy import Policy
from carelink.consent.sentences import sentence
from carelink.consent.verdict import Decision, Verdict
from carelink.model.moment import iso
from carelink.vocabulary import Authority, Certainty

__all__ = ["explain", "explain_all"]

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
_DETAIL = {
    "approvals": ("approvals", "已审核人数"),
    "count": ("sent", "已联系次数"),
    "max": ("allowed", "上限"),
    "needed": ("needed", "须审核人数"),
    "stops": ("stops", "停止记录数"),
    "vetoes": ("vetoes", "否决数"),
}


def explain(decision: Decision, policy: Policy | None, lang: str = "en") -> tuple[str, ...]:
    """One line a reason, in conflict order; none for a permit. `lang` is "en" or "zh"."""
    rules = {} if policy is None else {compiled.rule.id: compiled.rule for compiled in policy.rules}
    return tuple(_line(verdict, rules.get(verdict.rule), lang) for verdict in decision.reasons)


def explain_all(decision: Decision, policy: Policy | None, lang: str = "en") -> tuple[str, ...]:
    """One line a rule that applied: those of `explain` first, then each rule that permits, by its title."""
    rules = {} if policy is None else {compiled.rule.id: compiled.rule for compiled in policy.rules}
    passing = [verdict for verdict in decision.verdicts if verdict.reason is None]
    return explain(decision, policy, lang) + tuple(
        _passed(verdict, rules.get(verdict.rule), lang) for verdict in passing
    )


def _passed(verdict: Verdict, rule: Rule | None, lang: str) -> str:
    if rule is None:
        return f"{verdict.effect.value} [{verdict.rule}]"
    return f"{verdict.effect.value} [{verdict.rule}: {rule.title_zh if lang == 'zh' else rule.title_en}]"


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
        named = (f"{_DETAIL.get(name, (name, name))[chinese]} {value}" for name, value in verdict.detail)
        parts.append("(" + ", ".join(named) + ")")
    if verdict.earliest is not None:
        parts.append(("自 " if chinese else "from ") + iso(verdict.earliest))
    return " ".join(parts)
