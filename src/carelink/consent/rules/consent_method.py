"""Kind `consent_method`: consent is voluntary and explicit (PIPL 14, 16; 消费者权益保护法实施条例 23).

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
from carelink.vocabulary import GrantMethod

__all__ = ["ConsentMethod"]


@attrs.frozen
class ConsentMethod:
    """Parameter: `not`, ways in which a grant that carries the message may not have come about."""

    rule: str
    barred: tuple[str, ...]

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> ConsentMethod:
        """Read the parameters."""
        read = Params(rule, params, {"not"})
        barred = read.words("not", tuple(method.value for method in GrantMethod), ())
        if not barred:
            raise read.fail("`params.not` is missing")
        return cls(rule, barred)

    def judge(self, facts: Facts) -> Verdict:
        """Refuse where every grant that would carry the message came about in a barred way."""
        if (verdict := absent(self.rule, facts.grants)) is not None:
            return verdict
        assert isinstance(facts.grants, Known)
        covers = facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan
        covering = [grant for grant in facts.grants.value if grant.scope.covers(*covers)]
        if self._passes(covering, facts.at):
            return permit(self.rule)
        changes = {at for grant in covering for at in (grant.since, grant.until, grant.ended_at) if at is not None}
        cured = (at for at in sorted(changes) if at > facts.at and self._passes(covering, at))
        return refuse(self.rule, ReasonCode.CONSENT_INVALID, earliest=next(cured, None))

    def _passes(self, covering: list[GrantFact], at: Instant) -> bool:
        carrying = [grant for grant in covering if in_force(grant, at)]
        return not carrying or any(grant.method.value not in self.barred for grant in carrying)
