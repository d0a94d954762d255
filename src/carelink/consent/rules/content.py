"""Kind `content`: only reviewed text, for the purpose and channel it was reviewed for, within its validity."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant
from carelink.model.scope import ANY, covers_purpose
from carelink.vocabulary import ContentStatus

__all__ = ["Content"]


@attrs.frozen
class Content:
    """Parameter: `min_approvals`, distinct approvers (default 1)."""

    rule: str
    min_approvals: int

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Content:
        """Read the parameters."""
        return cls(rule, Params(rule, params, {"min_approvals"}).number("min_approvals", 1))

    def judge(self, facts: Facts) -> Verdict:
        """Unreviewed, withdrawn, expired, or reviewed for something else: refuse."""
        if (verdict := absent(self.rule, facts.content, ReasonCode.CONTENT_UNREVIEWED)) is not None:
            return verdict
        assert isinstance(facts.content, Known)
        content, at = facts.content.value, facts.at
        if content.status is ContentStatus.WITHDRAWN:
            return refuse(self.rule, ReasonCode.CONTENT_WITHDRAWN)
        if content.status is not ContentStatus.APPROVED or content.approvals < max(1, self.min_approvals):
            needed = max(1, self.min_approvals)
            return refuse(self.rule, ReasonCode.CONTENT_UNREVIEWED, approvals=content.approvals, needed=needed)
        kinds = content.channels
        if not covers_purpose(content.purposes, facts.ask.purpose) or not (
            facts.ask.channel_kind.value in kinds or ANY in kinds
        ):
            return refuse(self.rule, ReasonCode.PURPOSE_MISMATCH)
        if at < content.since:
            return refuse(self.rule, ReasonCode.CONTENT_UNREVIEWED, earliest=content.since)
        if content.until is not None and content.until <= at:
            return refuse(self.rule, ReasonCode.CONTENT_EXPIRED)
        return permit(self.rule)

    def boundaries(self, facts: Facts) -> Iterable[Instant]:
        """Beginning and end of the text's validity."""
        if isinstance(facts.content, Known):
            yield facts.content.value.since
            if facts.content.value.until is not None:
                yield facts.content.value.until
