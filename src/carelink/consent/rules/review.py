"""Kind `review`: enough people with valid credentials stand behind the text (domain P5; compliance 7.2)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["Review"]


@attrs.frozen
class Review:
    """Parameters: `clinical`, `commercial`, `ethics`: distinct approvers in that role, with a valid credential each
    (default 0).
    """

    rule: str
    needed: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Review:
        """Read the parameters."""
        roles = ("clinical", "commercial", "ethics")
        read = Params(rule, params, set(roles))
        needed = tuple((role, number) for role in roles if (number := read.number(role, 0)))
        if not needed:
            raise read.fail("`params` asks for nobody")
        return cls(rule, needed)

    def judge(self, facts: Facts) -> Verdict:
        """Too few: refuse, and say whether lapsed credentials are why."""
        if (verdict := absent(self.rule, facts.content, ReasonCode.CONTENT_UNREVIEWED)) is not None:
            return verdict
        assert isinstance(facts.content, Known)
        content = facts.content.value
        missing = sum(max(0, number - getattr(content, role)) for role, number in self.needed)
        if not missing:
            return permit(self.rule)
        lapsed = missing <= content.lapsed
        return refuse(
            self.rule,
            ReasonCode.CREDENTIAL_INVALID if lapsed else ReasonCode.CONTENT_UNREVIEWED,
            missing=missing,
            lapsed=content.lapsed,
        )
