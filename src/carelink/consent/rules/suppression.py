"""Kind `suppression`: a stop outranks any grant, for subject, recipient and address alike (P3)."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known, StopFact
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.verdict import Verdict
from carelink.vocabulary import StopSource

__all__ = ["OPTED_OUT", "Suppression"]

OPTED_OUT = frozenset({StopSource.REPLY, StopSource.UNSUBSCRIBE, StopSource.COMPLAINT, StopSource.PROVIDER})
"""Sources of stops by which the person said so."""


def _stands(stop: StopFact, facts: Facts) -> bool:
    # A stop binds from its commit: that the clock of who recorded it was ahead must not open a gap (P3).
    covers = stop.scope.covers(facts.ask.purpose, facts.ask.channel_kind, facts.ask.plan)
    return covers and (stop.until is None or facts.at < stop.until)


@attrs.frozen
class Suppression:
    """No parameters."""

    rule: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> Suppression:
        """Read the parameters."""
        Params(rule, params, set())
        return cls(rule)

    def judge(self, facts: Facts) -> Verdict:
        """Any standing stop in scope refuses; a temporary one names its end."""
        if (verdict := absent(self.rule, facts.stops)) is not None:
            return verdict
        assert isinstance(facts.stops, Known)
        standing = [stop for stop in facts.stops.value if _stands(stop, facts)]
        if not standing:
            return permit(self.rule)
        said = any(stop.source in OPTED_OUT for stop in standing)
        ends = [stop.until for stop in standing]
        last = max((end for end in ends if end is not None), default=None)
        return refuse(
            self.rule,
            ReasonCode.OPTED_OUT if said else ReasonCode.SUPPRESSED,
            earliest=None if None in ends else last,
            stops=len(standing),
        )
