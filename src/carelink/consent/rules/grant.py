"""Kind `grant`: a recorded grant in force covers this purpose on this channel kind (PIPL 13, 14, 29)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, GrantFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant
from carelink.vocabulary import DataClass, GrantState, RecipientRole

__all__ = ["Grant", "in_force"]


@attrs.frozen
class Grant:
    """Parameters: `separate`, given specifically for this processing (default false); `by`, roles that may have given
    it (default any); `if_data`, ask only where the choice of the patient or the text reads one of these kinds of data.
    """

    rule: str
    separate: bool
    by: tuple[str, ...]
    if_data: tuple[str, ...] = ()

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Grant:
        """Read the parameters."""
        read = Params(rule, params, {"separate", "by", "if_data"})
        roles = tuple(role.value for role in RecipientRole)
        data = read.words("if_data", tuple(name.value for name in DataClass), ())
        return cls(rule, read.flag("separate", default=False), read.words("by", roles, roles), data)

    def _fits(self, grant: GrantFact, facts: Facts) -> bool:
        if not grant.scope.covers(facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan):
            return False
        return (grant.separate or not self.separate) and grant.by.value in self.by

    def _reads(self, facts: Facts) -> bool:
        """Whether the kinds of data that make the rule ask are read, or it cannot be told."""
        content = facts.content
        read = {*facts.ask.data, *(content.value.data if isinstance(content, Known) else self.if_data)}
        return not read.isdisjoint(self.if_data)

    def judge(self, facts: Facts) -> Verdict:
        """Without a grant that fits and is in force: the most telling reason why not. A grant for another purpose or
        channel, not separate, or given by somebody else is none.
        """
        if (verdict := absent(self.rule, facts.grants)) is not None:
            return verdict
        if self.if_data and not self._reads(facts):
            return permit(self.rule)
        assert isinstance(facts.grants, Known)
        at = facts.at
        fitting = [grant for grant in facts.grants.value if self._fits(grant, facts)]
        if any(in_force(grant, at) for grant in fitting):
            return permit(self.rule)
        begins = [grant.since for grant in fitting if in_force(grant, max(at, grant.since))]
        if begins:
            return refuse(self.rule, ReasonCode.CONSENT_NOT_YET_VALID, earliest=min(begins))
        if any(_taken_back(grant, at) for grant in fitting):
            return refuse(self.rule, ReasonCode.WITHDRAWN)
        return refuse(self.rule, ReasonCode.CONSENT_EXPIRED if fitting else ReasonCode.NO_CONSENT)


def in_force(grant: GrantFact, at: Instant) -> bool:
    """Whether a grant carries a message at an instant."""
    # An end at or before this instant wins over whatever else the record says.
    given = grant.state is GrantState.GIVEN and (grant.ended_at is None or at < grant.ended_at)
    return given and grant.since <= at and (grant.until is None or at < grant.until)


def _taken_back(grant: GrantFact, at: Instant) -> bool:
    if grant.state is GrantState.GIVEN:
        return grant.ended_at is not None and grant.ended_at <= at
    return grant.state is not GrantState.EXPIRED
