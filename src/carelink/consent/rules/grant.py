"""Kind `grant`: a recorded grant in force covers this purpose on this channel kind (PIPL 13, 14, 29)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from carelink.consent.facts import Facts, GrantFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant
from carelink.vocabulary import GrantState, RecipientRole

__all__ = ["Grant"]


@attrs.frozen
class Grant:
    """Parameters: `separate` (given specifically for this processing), `by` (who may have given it), `exact` (a
    family grant does not do: the purpose or its family must be named as such).
    """

    rule: str
    separate: bool
    by: tuple[str, ...] | None

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Grant:
        """Read the parameters."""
        read = Params(rule, params, {"separate", "by"})
        by = read.words("by", [role.value for role in RecipientRole], None)
        return cls(rule, read.flag("separate", default=False), by)

    def _ended(self, grant: GrantFact, at: Instant) -> bool:
        # An end at or before this instant wins over whatever else the record says.
        return (grant.ended_at is not None and grant.ended_at <= at) or grant.state is not GrantState.GIVEN

    def _in_force(self, grant: GrantFact, at: Instant) -> bool:
        return not self._ended(grant, at) and grant.since <= at and (grant.until is None or at < grant.until)

    def _fits(self, grant: GrantFact, facts: Facts) -> bool:
        if not grant.scope.covers(facts.ask.purpose, facts.ask.channel_kind):
            return False
        return (grant.separate or not self.separate) and (self.by is None or grant.by.value in self.by)

    def judge(self, facts: Facts) -> Verdict:
        """Without a grant that fits and is in force: the most telling reason why not."""
        if (verdict := absent(self.rule, facts.grants)) is not None:
            return verdict
        assert isinstance(facts.grants, Known)
        grants, at = facts.grants.value, facts.at
        fitting = [grant for grant in grants if self._fits(grant, facts)]
        if any(self._in_force(grant, at) for grant in fitting):
            return permit(self.rule)
        waiting = [grant.since for grant in fitting if not self._ended(grant, at) and grant.since > at]
        if waiting:
            return refuse(self.rule, ReasonCode.CONSENT_NOT_YET_VALID, earliest=min(waiting))
        if any(grant.state in (GrantState.WITHDRAWN, GrantState.REVOKED) or
               (grant.ended_at is not None and grant.ended_at <= at and grant.state is GrantState.GIVEN)
               for grant in fitting):  # fmt: skip
            return refuse(self.rule, ReasonCode.WITHDRAWN)
        if fitting:
            return refuse(self.rule, ReasonCode.CONSENT_EXPIRED)
        if any(self._in_force(grant, at) for grant in grants):
            return refuse(self.rule, ReasonCode.PURPOSE_MISMATCH)
        return refuse(self.rule, ReasonCode.NO_CONSENT)

    def boundaries(self, facts: Facts) -> Iterable[Instant]:
        """Beginnings and ends of grants."""
        if isinstance(facts.grants, Known):
            for grant in facts.grants.value:
                yield grant.since
                for end in (grant.until, grant.ended_at):
                    if end is not None:
                        yield end
