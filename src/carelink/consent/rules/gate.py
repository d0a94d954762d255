"""Kind `gate`: the gate's own footing. Clock, store, keys: whatever of these is in doubt stops everything (P2)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import ClockState, Facts, Known, StoreState
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["Gate"]


@attrs.frozen
class Gate:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Gate:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """Refuse on a restored store; defer while clock, keys or publication are in doubt."""
        for fact in (facts.store, facts.clock, facts.keys_available):
            if (verdict := absent(self.rule, fact)) is not None:
                return verdict
        assert isinstance(facts.store, Known)
        assert isinstance(facts.clock, Known)
        assert isinstance(facts.keys_available, Known)
        if facts.store.value is StoreState.RESTORED:
            return refuse(self.rule, ReasonCode.STORE_RESTORED)
        if facts.clock.value is not ClockState.TRUSTED:
            return defer(self.rule, ReasonCode.CLOCK_UNTRUSTED)
        if facts.keys_available.value is not True:
            return defer(self.rule, ReasonCode.KEYS_UNAVAILABLE)
        if facts.store.value is not StoreState.CURRENT:
            return defer(self.rule, ReasonCode.LOG_UNPUBLISHED)
        return permit(self.rule)
