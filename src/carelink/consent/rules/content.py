"""Kind `content`: only reviewed text, for the purpose and channel it was reviewed for, within its validity."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.scope import ANY, covers_purpose
from carelink.vocabulary import ContentStatus

__all__ = ["Content"]


@attrs.frozen
class Content:
    """Parameter: `min_approvals`, distinct approvers, at least 1 (default 1)."""

    rule: str
    min_approvals: int

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Content:
        """Read the parameters."""
        read = Params(rule, params, {"min_approvals"})
        needed = read.number("min_approvals", 1)
        if not needed:
            raise read.fail("`params.min_approvals` is not at least 1: unreviewed text goes to nobody")
        return cls(rule, needed)

    def judge(self, facts: Facts) -> Verdict:
        """Unreviewed, withdrawn, expired, or reviewed for something else: refuse."""
        if (verdict := absent(self.rule, facts.content, ReasonCode.CONTENT_UNREVIEWED)) is not None:
            return verdict
        assert isinstance(facts.content, Known)
        content, at = facts.content.value, facts.at
        if content.status is ContentStatus.WITHDRAWN:
            return refuse(self.rule, ReasonCode.CONTENT_WITHDRAWN)
        needed = self.min_approvals
        if content.status is not ContentStatus.APPROVED or content.approvals < needed:
            return refuse(self.rule, ReasonCode.CONTENT_UNREVIEWED, approvals=content.approvals, needed=needed)
        kinds = content.channels
        if not covers_purpose(content.purposes, facts.ask.purpose) or not (
            facts.ask.channel_kind.value in kinds or ANY in kinds
        ):
            return refuse(self.rule, ReasonCode.PURPOSE_MISMATCH)
        if content.until is not None and content.until <= max(at, content.since):
            return refuse(self.rule, ReasonCode.CONTENT_EXPIRED)
        if at < content.since:
            return refuse(self.rule, ReasonCode.CONTENT_UNREVIEWED, earliest=content.since)
        return permit(self.rule)
