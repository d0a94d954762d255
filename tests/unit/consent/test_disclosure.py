"""Kind `disclosure`: a related person is told only what the patient opened to them."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, GuardianFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.testing.strategies import NOW
from carelink.vocabulary import AgeBand, DisclosureScope, Effect, RecipientRole

OTHER = "b" * 32


def person(**changes):
    scopes = (DisclosureScope.LOGISTICS, DisclosureScope.PROGRESS)
    return Known(GuardianFact(**{"verified": False, "acts": False, "scopes": scopes, "since": NOW, **changes}))


def told(good, **changes):
    plain = {
        "role": RecipientRole.RELATED,
        "recipient": OTHER,
        "guardian": person(),
        "disclosure": DisclosureScope.PROGRESS,
    }
    return good(**{**plain, **changes})


def test_the_patient_hears_everything(judge, good):
    assert judge("disclosure", good(guardian=Absent.UNKNOWN)).effect is Effect.PERMIT


def test_another_person_is_not_the_patient_whatever_the_role_says(judge, good):
    facts = good(role=RecipientRole.SELF, recipient=OTHER)
    assert judge("disclosure", facts).reason is ReasonCode.DISCLOSURE_DENIED


def test_a_scope_that_was_opened(judge, good):
    assert judge("disclosure", told(good)).effect is Effect.PERMIT


@pytest.mark.parametrize(
    ("change", "earliest"),
    [
        ({"disclosure": DisclosureScope.PLAN_AND_COST}, None),
        ({"disclosure": None}, None),
        ({"guardian": Known(None)}, None),
        ({"guardian": person(scopes=())}, None),
        ({"guardian": person(since=NOW - 1, until=NOW)}, None),
        ({"guardian": person(since=NOW + 1)}, NOW + 1),
        ({"guardian": person(since=NOW + 1, until=NOW + 1)}, None),
    ],
)
def test_denied(judge, good, change, earliest):
    verdict = judge("disclosure", told(good, **change))
    assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.DISCLOSURE_DENIED)
    assert verdict.earliest == earliest


@pytest.mark.parametrize(
    ("change", "permitted"),
    [
        ({}, True),
        ({"age": Known(AgeBand.UNDER_8)}, True),
        ({"age": Known(AgeBand.ADULT)}, False),
        ({"age": Absent.UNKNOWN}, False),
        ({"role": RecipientRole.RELATED}, False),
        ({"guardian": person(verified=False, acts=True, scopes=())}, False),
        ({"guardian": person(verified=True, acts=False, scopes=())}, False),
        ({"guardian": person(verified=True, acts=True, scopes=(), since=NOW + 1)}, False),
    ],
)
def test_the_guardian_of_a_minor_hears_what_the_minor_would(judge, good, change, permitted):
    plain = {
        "role": RecipientRole.GUARDIAN,
        "age": Known(AgeBand.FROM_14),
        "guardian": person(verified=True, acts=True, scopes=()),
        "disclosure": None,
    }
    verdict = judge("disclosure", told(good, **{**plain, **change}))
    assert (verdict.effect is Effect.PERMIT) is permitted


def test_unknown(judge, good):
    assert judge("disclosure", told(good, guardian=Absent.UNKNOWN)).reason is ReasonCode.FACT_UNKNOWN
    assert judge("disclosure", told(good, guardian=Absent.STALE)).reason is ReasonCode.FACT_STALE
