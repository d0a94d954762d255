"""What stays after an erasure, why, by which rule, and until when.

Sources: reference compliance.md 1.6 (CN.RIGHTS, CN.NDSR.12), docs/reference/not-checked.md (CN.LIM.3Y, US.HIPAA.RET).
The periods are the least that a rule asks for; where several rules in force ask, the longest counts. They run from the
erasure, which is the last thing that happened to the record.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

import attrs

from carelink.model.moment import Instant, from_datetime, to_datetime
from carelink.rights.outcome import FieldOutcome, FieldResult

__all__ = ["KEPT", "REMAINS", "Basis", "retained"]


@attrs.frozen(kw_only=True)
class Basis:
    """A rule that asks for records to be kept. `jurisdiction` as packs name it; "*" stands for every one."""

    rule: str
    jurisdiction: str
    years: int


_CLAIMS: Final = Basis(rule="CN.LIM.3Y", jurisdiction="CN", years=3)
_PROVIDING: Final = Basis(rule="CN.NDSR.12", jurisdiction="CN", years=3)
_HIPAA: Final = Basis(rule="US.HIPAA.RET", jurisdiction="US", years=6)

KEPT: Final[dict[str, tuple[Basis, ...]]] = {
    "log.decisions": (_CLAIMS, _HIPAA),
    "log.handovers": (_CLAIMS, _PROVIDING, _HIPAA),
    "log.consents": (_CLAIMS, _HIPAA),
    "log.stops": (_CLAIMS, _HIPAA),
}
"""Coarse facts that replay needs, and the rules that ask for them."""

REMAINS: Final[dict[str, tuple[str, str]]] = {
    "pseudonym": (
        "The record's random id and pseudonym, so that a request for it is refused.",
        "档案的随机编号与化名,用于拒绝针对该档案的请求。",
    ),
    "coarse_facts": (
        "Standing, age band, care stage, kinds and statuses of contact points, relations: as codes in the log.",
        "状态、年龄段、就诊阶段、联系方式类型与状态、亲属关系:以代码形式留在日志中。",
    ),
    "decisions": (
        "Each decision with its coarse facts, purpose, channel kind and instant.",
        "每项决定及其粗略事实、目的、渠道类型与时间。",
    ),
    "handovers": (
        "Each hand-over with its outcome and instant; what was said cannot be read.",
        "每次交付的结果与时间;内容不可读。",
    ),
    "consents": (
        "Scope and dates of consents and their ends; the evidence cannot be read.",
        "同意的范围、起止时间;凭证不可读。",
    ),
    "address_tokens": (
        "Keyed hashes of the addresses that a stop stands on, so that the stop holds when they come back.",
        "被停止联系的地址的带密钥哈希,使其再次导入时停止仍然有效。",
    ),
    "request_hashes": (
        "Keyed hashes of request keys, so that a repeated request is not sent again.",
        "请求编号的带密钥哈希,避免重复发送。",
    ),
    "shared_address": (
        "The pseudonym of an address that another patient uses too.",
        "与其他患者共用的地址的化名。",
    ),
}
"""What remains, by code, as sentences in English and Chinese."""

_HOSPITAL: Final = "hospital.evidence"
"""Where no rule in force asks for it: the hospital's own need to show what it did."""


def _years_later(at: Instant, years: int) -> Instant:
    moment: datetime = to_datetime(at).astimezone(UTC)
    leap_day = (moment.month, moment.day) == (2, 29)
    later = moment.replace(year=moment.year + years, day=28 if leap_day else moment.day)
    return from_datetime(later)


def retained(jurisdictions: Collection[str], at: Instant) -> tuple[FieldOutcome, ...]:
    """What is retained from an erasure at this instant on, with rule id and date.

    Args:
        jurisdictions: of the policy packs in force.
        at: when the erasure was done.
    """
    found = []
    for field, bases in KEPT.items():
        asked = [basis for basis in bases if basis.jurisdiction in jurisdictions]
        longest = max(asked, key=lambda basis: basis.years, default=None)
        found.append(
            FieldOutcome(
                field=field,
                result=FieldResult.RETAINED,
                rule=_HOSPITAL if longest is None else longest.rule,
                until=None if longest is None else _years_later(at, longest.years),
            )
        )
    return tuple(found)
