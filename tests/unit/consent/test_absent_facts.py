"""What a rule cannot read it does not judge: each kind refuses, and says which fact was lacking (P2)."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import Absent
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules import KINDS
from carelink.testing.strategies import good_facts
from carelink.vocabulary import Effect

READS = [
    ("approval_number", {}, "content", ReasonCode.CONTENT_UNREVIEWED),
    ("ask_again", {"cool_down": "P1D"}, "grants", ReasonCode.FACT_UNKNOWN),
    ("ask_again", {"cool_down": "P1D"}, "stops", ReasonCode.FACT_UNKNOWN),
    ("clinician", {}, "screening", ReasonCode.FACT_UNKNOWN),
    ("clinician", {}, "clinician", ReasonCode.FACT_UNKNOWN),
    ("consent_method", {"not": ["bundled"]}, "grants", ReasonCode.FACT_UNKNOWN),
    ("data_purpose", {"allowed": ["appointment"]}, "content", ReasonCode.CONTENT_UNREVIEWED),
    ("duplicate", {"within": "P1D"}, "touches", ReasonCode.FACT_UNKNOWN),
    ("marks", {"marks": ["identity"]}, "screening", ReasonCode.FACT_UNKNOWN),
    ("processor", {}, "channel", ReasonCode.FACT_UNKNOWN),
    ("provider_template", {}, "content", ReasonCode.CONTENT_UNREVIEWED),
    ("reconfirm", {"age": 14}, "age", ReasonCode.AGE_UNKNOWN),
    ("reconfirm", {"age": 14}, "grants", ReasonCode.FACT_UNKNOWN),
    ("review", {"clinical": 1}, "content", ReasonCode.CONTENT_UNREVIEWED),
    ("screening", {}, "screening", ReasonCode.FACT_UNKNOWN),
    ("working_days", {"calendar": "CN"}, "calendars", ReasonCode.CALENDAR_UNKNOWN),
    ("working_days", {"calendar": "CN"}, "zones", ReasonCode.ZONE_UNKNOWN),
]


@pytest.mark.parametrize(("kind", "params", "name", "unknown"), READS)
@pytest.mark.parametrize("topic", ["", "nurse-call"])
def test_a_rule_refuses_without_a_fact_that_it_reads(kind, params, name, unknown, topic):
    rule = KINDS[kind, 1]("R", params)
    for absent, reason in ((Absent.UNKNOWN, unknown), (Absent.STALE, ReasonCode.FACT_STALE)):
        verdict = rule.judge(attrs.evolve(good_facts(topic=topic), **{name: absent}))
        assert (verdict.effect, verdict.reason, verdict.earliest) == (Effect.REFUSE, reason, None)
