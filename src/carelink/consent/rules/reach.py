"""Kind `reach`: how far this deployment may reach, and whether the channel is there to be reached."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.vocabulary import Mode

__all__ = ["Reach"]


@attrs.frozen
class Reach:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Reach:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """Sandbox: local channels only. Team: local, or an address on the allow-list."""
        for fact in (facts.mode, facts.channel):
            if (verdict := absent(self.rule, fact)) is not None:
                return verdict
        assert isinstance(facts.mode, Known)
        assert isinstance(facts.channel, Known)
        mode, channel = facts.mode.value, facts.channel.value
        listed = mode is Mode.TEAM and channel.allow_listed
        if not (mode is Mode.LIVE or channel.local or listed):
            return refuse(self.rule, ReasonCode.MODE_TEAM if mode is Mode.TEAM else ReasonCode.MODE_SANDBOX)
        if not channel.usable:
            return defer(self.rule, ReasonCode.CHANNEL_UNAVAILABLE)
        return permit(self.rule)
