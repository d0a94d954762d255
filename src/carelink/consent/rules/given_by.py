"""Kind `given_by`: of the grants in force that cover the request, one was given by somebody who could (PIPL 31).

It speaks only of grants that are there; that there must be one is for kind `grant` to say.
"""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, GrantFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.rules.grant import in_force
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant
from carelink.vocabulary import RecipientRole

__all__ = ["GivenBy"]


@attrs.frozen
class GivenBy:
    """Parameter: `by`, roles that may have given the grant."""

    rule: str
    by: tuple[str, ...]

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> GivenBy:
        """Read the parameters."""
        read = Params(rule, params, {"by"})
        by = read.words("by", tuple(role.value for role in RecipientRole), ())
        if not by:
            raise read.fail("`params.by` is missing")
        return cls(rule, by)

    def judge(self, facts: Facts) -> Verdict:
        """Refuse where every grant that would carry the message was given by somebody else."""
        if (verdict := absent(self.rule, facts.grants)) is not None:
            return verdict
        assert isinstance(facts.grants, Known)
        covers = facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan
        covering = [grant for grant in facts.grants.value if grant.scope.covers(*covers)]
        if self._passes(covering, facts.at):
            return permit(self.rule)
        changes = {at for grant in covering for at in (grant.since, grant.until, grant.ended_at) if at is not None}
        cured = (at for at in sorted(changes) if self._passes(covering, max(at, facts.at)))
        return refuse(self.rule, ReasonCode.NO_CONSENT, earliest=next(cured, None))

    def _passes(self, covering: list[GrantFact], at: Instant) -> bool:
        carrying = [grant for grant in covering if in_force(grant, at)]
        return not carrying or any(grant.by.value in self.by for grant in carrying)
