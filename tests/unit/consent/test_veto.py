"""Kind `veto`: a plugin's refusal refuses."""

from __future__ import annotations

from carelink.consent.facts import Absent, Known, VetoFact
from carelink.consent.reasons import ReasonCode
from carelink.vocabulary import Effect


def test_vetoes(judge, good):
    assert judge("veto", good()).effect is Effect.PERMIT
    verdict = judge("veto", good(vetoes=Known((VetoFact("a", "no"), VetoFact("b", "no")))))
    assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.PLUGIN_VETO)
    assert verdict.detail == (("vetoes", 2),)


def test_unknown(judge, good):
    assert judge("veto", good(vetoes=Absent.UNKNOWN)).reason is ReasonCode.FACT_UNKNOWN
    assert judge("veto", good(vetoes=Absent.STALE)).reason is ReasonCode.FACT_STALE
