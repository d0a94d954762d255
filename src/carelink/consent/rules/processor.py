"""Kind `processor`: who handles data for the hospital does so under an agreement, and where allowed (PIPL 21, 38)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict

__all__ = ["Processor"]


@attrs.frozen
class Processor:
    """Parameters: `agreement`, one must be in force (default true); `regions`, ISO 3166-1 codes of where the provider
    may process data (default anywhere, known or not). A channel that keeps everything on this machine has no provider.
    """

    rule: str
    agreement: bool
    regions: tuple[str, ...]

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Processor:
        """Read the parameters."""
        read = Params(rule, params, {"agreement", "regions"})
        return cls(rule, read.flag("agreement", default=True), read.codes("regions"))

    def judge(self, facts: Facts) -> Verdict:
        """Refuse a provider without an agreement, or in another region."""
        if (verdict := absent(self.rule, facts.channel)) is not None:
            return verdict
        assert isinstance(facts.channel, Known)
        channel = facts.channel.value
        if channel.local:
            return permit(self.rule)
        if self.regions and channel.region not in self.regions:
            return refuse(self.rule, ReasonCode.REGION_DENIED)
        if self.agreement and (channel.agreement_until is None or channel.agreement_until <= facts.at):
            return refuse(self.rule, ReasonCode.PROCESSOR_DENIED)
        return permit(self.rule)
