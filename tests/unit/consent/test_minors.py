"""Kind `minors_marketing`: only adults, whoever receives."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, GuardianFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.testing.strategies import NOW
from carelink.vocabulary import AgeBand, Effect, RecipientRole


@pytest.mark.parametrize("age", AgeBand)
@pytest.mark.parametrize("role", RecipientRole)
def test_only_adults(judge, good, age, role):
    guardian = Known(GuardianFact(verified=True, acts=True, since=NOW))
    verdict = judge("minors_marketing", good(age=Known(age), role=role, guardian=guardian))
    assert verdict.reason is (None if age is AgeBand.ADULT else ReasonCode.MINOR_EXCLUDED)
    assert verdict.effect is (Effect.PERMIT if age is AgeBand.ADULT else Effect.REFUSE)


def test_unknown(judge, good):
    assert judge("minors_marketing", good(age=Absent.UNKNOWN)).reason is ReasonCode.AGE_UNKNOWN
    assert judge("minors_marketing", good(age=Absent.STALE)).reason is ReasonCode.FACT_STALE
