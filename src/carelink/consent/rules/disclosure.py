"""Kind `disclosure`: a related person is told only what the patient opened to them. Default nothing (domain P6)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.rules.guardian import begins, in_force
from carelink.consent.verdict import Verdict
from carelink.vocabulary import AgeBand, RecipientRole

__all__ = ["Disclosure"]


@attrs.frozen
class Disclosure:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Disclosure:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """The guardian of a child hears what the child would; anybody else needs the scope."""
        if facts.role is RecipientRole.SELF and facts.recipient == facts.subject:
            return permit(self.rule)
        if (verdict := absent(self.rule, facts.guardian)) is not None:
            return verdict
        assert isinstance(facts.guardian, Known)
        person = facts.guardian.value
        if person is None:
            return refuse(self.rule, ReasonCode.DISCLOSURE_DENIED)
        child = isinstance(facts.age, Known) and facts.age.value is not AgeBand.ADULT
        stands_in = facts.role is RecipientRole.GUARDIAN and person.acts and person.verified and child
        if not (stands_in or facts.ask.disclosure in person.scopes):
            return refuse(self.rule, ReasonCode.DISCLOSURE_DENIED)
        if not in_force(person, facts.at):
            return refuse(self.rule, ReasonCode.DISCLOSURE_DENIED, earliest=begins(person, facts.at))
        return permit(self.rule)
