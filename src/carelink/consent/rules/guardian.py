"""Kind `guardian`: below an age the acting guardian receives in the child's place (PIPL 31, Civil Code 20)."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from carelink.consent.facts import Absent, Facts, GuardianFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant
from carelink.vocabulary import AgeBand, RecipientRole

__all__ = ["Guardian", "in_force"]

_BELOW = {
    8: (AgeBand.UNDER_8,),
    14: (AgeBand.UNDER_8, AgeBand.FROM_8),
    18: (AgeBand.UNDER_8, AgeBand.FROM_8, AgeBand.FROM_14),
}


def in_force(guardian: GuardianFact, at: Instant) -> bool:
    """Whether the relation holds at an instant."""
    return guardian.since <= at and (guardian.until is None or at < guardian.until)


@attrs.frozen
class Guardian:
    """Parameters: `under_age` (8, 14 or 18); `unknown_age`: "refuse" (default) or "pass"; `given_by_guardian`: the
    grant that carries the message must be the guardian's (default true; read by kind `grant` through `when`).
    """

    rule: str
    below: tuple[AgeBand, ...]
    unknown: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Guardian:
        """Read the parameters."""
        read = Params(rule, params, {"under_age", "unknown_age"})
        age = read.number("under_age")
        if age not in _BELOW:
            raise read.fail("`params.under_age` is none of 8, 14, 18")
        return cls(rule, _BELOW[age], read.word("unknown_age", ("refuse", "pass"), "refuse"))

    def judge(self, facts: Facts) -> Verdict:
        """A child is reached through a verified guardian who acts, or not at all."""
        if facts.age is Absent.UNKNOWN and self.unknown == "pass":
            return permit(self.rule)
        if (verdict := absent(self.rule, facts.age, ReasonCode.AGE_UNKNOWN)) is not None:
            return verdict
        assert isinstance(facts.age, Known)
        if facts.age.value not in self.below:
            return permit(self.rule)
        if (verdict := absent(self.rule, facts.guardian)) is not None:
            return verdict
        assert isinstance(facts.guardian, Known)
        guardian = facts.guardian.value
        if facts.role is not RecipientRole.GUARDIAN or guardian is None:
            return refuse(self.rule, ReasonCode.GUARDIAN_REQUIRED)
        if not (guardian.verified and guardian.acts and in_force(guardian, facts.at)):
            return refuse(self.rule, ReasonCode.GUARDIAN_REQUIRED)
        return permit(self.rule)

    def boundaries(self, facts: Facts) -> Iterable[Instant]:
        """Beginning and end of the guardian's standing."""
        if isinstance(facts.guardian, Known) and facts.guardian.value is not None:
            yield facts.guardian.value.since
            if facts.guardian.value.until is not None:
                yield facts.guardian.value.until
