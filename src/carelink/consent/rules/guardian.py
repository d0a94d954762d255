"""Kind `guardian`: below an age the acting guardian receives in the child's place (PIPL 31, Civil Code 20)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, GuardianFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant
from carelink.vocabulary import AgeBand, RecipientRole

__all__ = ["Guardian", "begins", "in_force"]

_BELOW = {
    8: (AgeBand.UNDER_8,),
    14: (AgeBand.UNDER_8, AgeBand.FROM_8),
    18: (AgeBand.UNDER_8, AgeBand.FROM_8, AgeBand.FROM_14),
}


def in_force(guardian: GuardianFact, at: Instant) -> bool:
    """Whether the relation holds at an instant."""
    return guardian.since <= at and (guardian.until is None or at < guardian.until)


def begins(guardian: GuardianFact, at: Instant) -> Instant | None:
    """The instant at which a relation that does not hold yet will; None if it never will."""
    begin = max(at, guardian.since)
    return begin if in_force(guardian, begin) else None


@attrs.frozen
class Guardian:
    """Parameter: `under_age` (8, 14 or 18). An unknown age is refused: it may be a child's (P2)."""

    rule: str
    below: tuple[AgeBand, ...]

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Guardian:
        """Read the parameters."""
        read = Params(rule, params, {"under_age"})
        age = read.number("under_age")
        if age not in _BELOW:
            raise read.fail("`params.under_age` is none of 8, 14, 18")
        return cls(rule, _BELOW[age])

    def judge(self, facts: Facts) -> Verdict:
        """A child is reached through a verified guardian who acts, or not at all."""
        if (verdict := absent(self.rule, facts.age, ReasonCode.AGE_UNKNOWN)) is not None:
            return verdict
        assert isinstance(facts.age, Known)
        if facts.age.value not in self.below:
            return permit(self.rule)
        if (verdict := absent(self.rule, facts.guardian)) is not None:
            return verdict
        assert isinstance(facts.guardian, Known)
        guardian = facts.guardian.value
        if facts.role is not RecipientRole.GUARDIAN or guardian is None or not (guardian.verified and guardian.acts):
            return refuse(self.rule, ReasonCode.GUARDIAN_REQUIRED)
        if not in_force(guardian, facts.at):
            return refuse(self.rule, ReasonCode.GUARDIAN_REQUIRED, earliest=begins(guardian, facts.at))
        return permit(self.rule)
