"""Kind `guardian`: below an age, through a verified guardian who acts, or not at all."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, GuardianFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.testing.strategies import NOW
from carelink.vocabulary import AgeBand, Effect, RecipientRole

YOUNG, CHILD, TEEN, ADULT = AgeBand


def guardian(**changes):
    return Known(GuardianFact(**{"verified": True, "acts": True, "since": NOW, **changes}))


@pytest.mark.parametrize(
    ("age", "limit", "below"),
    [
        (YOUNG, 8, True),
        (CHILD, 8, False),
        (TEEN, 8, False),
        (ADULT, 8, False),
        (YOUNG, 14, True),
        (CHILD, 14, True),
        (TEEN, 14, False),
        (ADULT, 14, False),
        (YOUNG, 18, True),
        (CHILD, 18, True),
        (TEEN, 18, True),
        (ADULT, 18, False),
    ],
)
def test_ages(judge, good, age, limit, below):
    alone = judge("guardian", good(age=Known(age)), under_age=limit)
    assert alone.reason is (ReasonCode.GUARDIAN_REQUIRED if below else None)
    through = good(age=Known(age), role=RecipientRole.GUARDIAN, guardian=guardian())
    assert judge("guardian", through, under_age=limit).effect is Effect.PERMIT


@pytest.mark.parametrize(
    ("change", "earliest"),
    [
        ({"role": RecipientRole.RELATED}, None),
        ({"role": RecipientRole.SELF}, None),
        ({"guardian": Known(None)}, None),
        ({"guardian": guardian(verified=False)}, None),
        ({"guardian": guardian(acts=False)}, None),
        ({"guardian": guardian(since=NOW + 1)}, NOW + 1),
        ({"guardian": guardian(since=NOW + 1, verified=False)}, None),
        ({"guardian": guardian(since=NOW + 1, until=NOW + 2)}, NOW + 1),
        ({"guardian": guardian(since=NOW + 1, until=NOW + 1)}, None),
        ({"guardian": guardian(since=NOW - 1, until=NOW)}, None),
    ],
)
def test_not_through_that_person(judge, good, change, earliest):
    facts = good(**{"age": Known(CHILD), "role": RecipientRole.GUARDIAN, "guardian": guardian(), **change})
    verdict = judge("guardian", facts, under_age=14)
    assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.GUARDIAN_REQUIRED)
    assert verdict.earliest == earliest


def test_validity_is_half_open(judge, good):
    facts = good(age=Known(CHILD), role=RecipientRole.GUARDIAN, guardian=guardian(since=NOW, until=NOW + 1))
    assert judge("guardian", facts, under_age=14).effect is Effect.PERMIT


def test_an_unknown_age_may_be_a_childs(judge, good):
    for limit in (8, 14, 18):
        assert judge("guardian", good(age=Absent.UNKNOWN), under_age=limit).reason is ReasonCode.AGE_UNKNOWN
        assert judge("guardian", good(age=Absent.STALE), under_age=limit).reason is ReasonCode.FACT_STALE


def test_an_unknown_guardian(judge, good):
    facts = good(age=Known(CHILD), role=RecipientRole.GUARDIAN, guardian=Absent.UNKNOWN)
    assert judge("guardian", facts, under_age=14).reason is ReasonCode.FACT_UNKNOWN
    assert judge("guardian", good(guardian=Absent.UNKNOWN), under_age=14).effect is Effect.PERMIT


def test_parameters(judge, good):
    for params in ({}, {"under_age": 16}, {"under_age": 14, "unknown_age": "pass"}):
        with pytest.raises(PolicyError, match=r"params\.(under|unknown)_age"):
            judge("guardian", good(), **params)
