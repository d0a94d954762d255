"""Notices of a breach, begun: what the log can tell is filled in, what only people know is left open and says so.

Contents: PIPL 57 (kinds, cause, possible harm; measures; contact), 未成年人网络保护条例 35 (minor and guardian),
GDPR 33 and 34, 45 CFR 164.404-408. Terms: CN.BREACH, US.HIPAA.BREACH, GDPR 33(1).
Certainty: reference compliance.md 1.6, 2, 3.
"""

from __future__ import annotations

from typing import Final

import attrs

from carelink.model.moment import Instant, iso

__all__ = ["BreachSummary", "notices"]

_OPEN: Final = "**[to be filled in · 待填写]**"
_LARGE: Final = 500
"""From so many persons on, HIPAA asks for notice to the media and to HHS at once (164.406, 164.408)."""


@attrs.frozen(kw_only=True)
class BreachSummary:
    """What is known.

    Attributes:
        begin, end: the stretch of time that was looked at. made: when.
        persons: how many are affected. minors: under 18, or not known to be of age.
        records: hand-overs and openings in all.
        channels: hand-overs by channel. regions: where providers process. data, purposes: kinds of data; of messages.
        controller, contact: who is responsible, and whom to write to; "" where the settings do not say.
    """

    begin: Instant
    end: Instant
    made: Instant
    persons: int
    minors: int
    records: int
    channels: tuple[tuple[str, int], ...]
    regions: tuple[str, ...]
    data: tuple[str, ...]
    purposes: tuple[str, ...]
    controller: str = ""
    contact: str = ""


def notices(summary: BreachSummary) -> dict[str, str]:
    """File name to text: PIPL 57, GDPR 33, HIPAA, and the letter to the persons."""
    return {
        "notice-pipl-57.md": _pipl(summary),
        "notice-gdpr-33.md": _gdpr(summary),
        "notice-hipaa.md": _hipaa(summary),
        "letter-to-persons.md": _letter(summary),
    }


def _facts(summary: BreachSummary) -> str:
    channels = ", ".join(f"{name} ({count})" for name, count in summary.channels) or "-"
    return (
        f"| from, to · 起止 | {iso(summary.begin)} – {iso(summary.end)} |\n"
        f"| persons · 人数 | {summary.persons} |\n"
        f"| of them minors, or of unknown age · 其中未成年或年龄不明 | {summary.minors} |\n"
        f"| hand-overs and openings · 交付与查阅次数 | {summary.records} |\n"
        f"| kinds of data · 信息种类 | {', '.join(summary.data) or '-'} |\n"
        f"| channels and vendors · 渠道与受托方 | {channels} |\n"
        f"| where they process · 处理地 | {', '.join(summary.regions) or '-'} |\n"
        f"| purposes · 处理目的 | {', '.join(summary.purposes) or '-'} |\n"
        f"| written · 制作时间 | {iso(summary.made)} |\n"
    )


def _table(summary: BreachSummary) -> str:
    return f"| | |\n| --- | --- |\n{_facts(summary)}"


def _who(summary: BreachSummary) -> tuple[str, str]:
    return summary.controller or _OPEN, summary.contact or _OPEN


def _pipl(summary: BreachSummary) -> str:
    name, contact = _who(summary)
    return (
        "# 个人信息安全事件通知 (个人信息保护法第五十七条)\n\n"
        f"个人信息处理者:{name}\n\n{_table(summary)}\n"
        f"1. 发生或者可能发生泄露、篡改、丢失的信息种类:{', '.join(summary.data) or _OPEN}\n"
        f"2. 原因:{_OPEN}\n3. 可能造成的危害:{_OPEN}\n4. 已采取的补救措施:{_OPEN}\n"
        f"5. 个人可以采取的减轻危害的措施:{_OPEN}\n6. 联系方式:{contact}\n\n"
        "未成年人:须同时通知其本人与监护人(未成年人网络保护条例第三十五条)。\n"
        "较大以上网络安全事件:自发现起四小时内报告,关键信息基础设施一小时内(国家网络安全事件报告管理办法第四条)。\n"
    )


def _gdpr(summary: BreachSummary) -> str:
    name, contact = _who(summary)
    return (
        "# Notification of a personal data breach (GDPR 33)\n\n"
        f"Controller: {name}\n\n{_table(summary)}\n"
        f"(a) Nature of the breach: {_OPEN}. Categories of data subjects: patients and their related persons, about "
        f"{summary.persons}. Categories of records: {', '.join(summary.data) or _OPEN}, about {summary.records}.\n"
        f"(b) Contact point: {contact}\n(c) Likely consequences: {_OPEN}\n"
        f"(d) Measures taken or proposed: {_OPEN}\n\n"
        "Term: 72 hours after becoming aware (33(1)); health data: tell the persons too where the risk is high (34).\n"
    )


def _hipaa(summary: BreachSummary) -> str:
    name, contact = _who(summary)
    large = summary.persons >= _LARGE
    term = (
        "500 persons or more: tell HHS and prominent media together with the persons (164.406, 164.408(b))."
        if large
        else "Fewer than 500 persons: log it, and tell HHS within 60 days after the end of the year (164.408(c))."
    )
    return (
        "# Breach of unsecured protected health information (45 CFR 164.404)\n\n"
        f"Covered entity: {name}\n\n{_table(summary)}\n"
        f"(A) What happened, when it happened and was discovered: {_OPEN}\n"
        f"(B) Types of information involved: {', '.join(summary.data) or _OPEN}\n"
        f"(C) Steps individuals should take: {_OPEN}\n(D) What is being done: {_OPEN}\n(E) Contact: {contact}\n\n"
        f"Term: without unreasonable delay, 60 days at most (164.404(b)). {term}\n"
        "Sealed fields that were lost without their keys are not unsecured (164.402): say whether the keys were lost.\n"
    )


def _letter(summary: BreachSummary) -> str:
    name, contact = _who(summary)
    return (
        "# To those concerned · 致相关人员\n\n"
        f"Between {iso(summary.begin)} and {iso(summary.end)} data about you may have been seen by somebody who should "
        f"not have seen them. Kinds of data: {', '.join(summary.data) or _OPEN}.\n\n"
        f"What happened: {_OPEN}\n\nWhat may follow, and what you can do: {_OPEN}\n\nWhat we did: {_OPEN}\n\n"
        f"{name}, {contact}\n\n"
        f"在上述期间,您的个人信息({', '.join(summary.data) or _OPEN})可能被无权人员获知。"
        f"原因:{_OPEN};可能的危害与您可采取的措施:{_OPEN};我们的补救措施:{_OPEN}。\n"
    )
