"""Kind `ask_again`: who refused is not asked again and again (网络数据安全管理条例 22(5))."""

from __future__ import annotations

import attrs

from carelink.consent.facts import Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, permit, refuse
from carelink.consent.rules.suppression import OPTED_OUT
from carelink.consent.verdict import Verdict
from carelink.model.moment import Instant, Micros
from carelink.vocabulary import GrantState

__all__ = ["AskAgain"]


_TAKEN_BACK = (GrantState.WITHDRAWN, GrantState.REVOKED)


@attrs.frozen
class AskAgain:
    """Parameter: `cool_down`, how long after a withdrawal or an opt-out nothing may be asked."""

    rule: str
    cool_down: Micros

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> AskAgain:
        """Read the parameters."""
        return cls(rule, Params(rule, params, {"cool_down"}).length("cool_down"))

    def judge(self, facts: Facts) -> Verdict:
        """Refuse until so long after the last time the person said no."""
        for fact in (facts.grants, facts.stops):
            if (verdict := absent(self.rule, fact)) is not None:
                return verdict
        assert isinstance(facts.grants, Known) and isinstance(facts.stops, Known)  # noqa: PT018
        taken_back = [g.ended_at for g in facts.grants.value if g.state in _TAKEN_BACK and g.ended_at is not None]
        said = [stop.since for stop in facts.stops.value if stop.source in OPTED_OUT]
        free_at = max([facts.at, *(Instant(at + self.cool_down) for at in (*taken_back, *said))])
        if free_at == facts.at:
            return permit(self.rule)
        return refuse(self.rule, ReasonCode.ASKED_TOO_SOON, earliest=free_at)
