"""Kind `duplicate`: the same contact is not made twice because two plans want it (domain P2, DUPLICATE)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant, Micros

__all__ = ["Duplicate"]


@attrs.frozen
class Duplicate:
    """Parameter: `within`, how long a contact on the same `topic` with the same patient counts as the same one."""

    rule: str
    within: Micros

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Duplicate:
        """Read the parameters."""
        return cls(rule, Params(rule, params, {"within"}).length("within"))

    def judge(self, facts: Facts) -> Verdict:
        """A request without a topic is like no other."""
        if (verdict := absent(self.rule, facts.touches)) is not None:
            return verdict
        if not facts.ask.topic:
            return permit(self.rule)
        assert isinstance(facts.touches, Known)
        history = facts.touches.value
        last = [t.at for t in history.items if t.topic == facts.ask.topic and "s" in t.binds]
        free_at = max([facts.at, *(Instant(at + self.within) for at in last)])
        if history.since > max(facts.at - self.within, 0):
            # The time looked back on begins before what is known; time moves it past that.
            return refuse(
                self.rule, ReasonCode.FACT_UNKNOWN, earliest=Instant(max(free_at, history.since + self.within))
            )
        if free_at == facts.at:
            return permit(self.rule)
        return refuse(self.rule, ReasonCode.DUPLICATE, earliest=free_at)
