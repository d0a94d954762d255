"""Kind `reconfirm`: consent given for a child does not silently carry on past a birthday (derived from PIPL 31).

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
from carelink.vocabulary import AgeBand

__all__ = ["Reconfirm"]


_BELOW = {14: (AgeBand.UNDER_8, AgeBand.FROM_8), 18: (AgeBand.UNDER_8, AgeBand.FROM_8, AgeBand.FROM_14)}


@attrs.frozen
class Reconfirm:
    """Parameter: `age` (14 or 18): the birthday after which a grant given before it must be confirmed."""

    rule: str
    below: tuple[AgeBand, ...]

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Reconfirm:
        """Read the parameters."""
        read = Params(rule, params, {"age"})
        age = read.number("age")
        if age not in _BELOW:
            raise read.fail("`params.age` is none of 14, 18")
        return cls(rule, _BELOW[age])

    def judge(self, facts: Facts) -> Verdict:
        """Refuse where the patient has passed the birthday, and every grant that would carry the message is older."""
        for fact, unknown in ((facts.age, ReasonCode.AGE_UNKNOWN), (facts.grants, ReasonCode.FACT_UNKNOWN)):
            if (verdict := absent(self.rule, fact, unknown)) is not None:
                return verdict
        assert isinstance(facts.age, Known) and isinstance(facts.grants, Known)  # noqa: PT018
        if facts.age.value in self.below:
            return permit(self.rule)
        covers = facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan
        covering = [grant for grant in facts.grants.value if grant.scope.covers(*covers)]
        if self._passes(covering, facts.at):
            return permit(self.rule)
        changes = {at for grant in covering for at in (grant.since, grant.until, grant.ended_at) if at is not None}
        cured = (at for at in sorted(changes) if at > facts.at and self._passes(covering, at))
        return refuse(self.rule, ReasonCode.RECONFIRM_REQUIRED, earliest=next(cured, None))

    def _passes(self, covering: list[GrantFact], at: Instant) -> bool:
        carrying = [grant for grant in covering if in_force(grant, at)]
        return not carrying or any(grant.age not in self.below for grant in carrying)
