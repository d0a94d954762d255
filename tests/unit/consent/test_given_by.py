"""Kind `given_by`: who gave the consent that would carry the message."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, GrantFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.model.scope import Scope
from carelink.testing.strategies import NOW
from carelink.vocabulary import Effect, GrantState, RecipientRole

SELF, GUARDIAN, RELATED = RecipientRole


def grant(by=GUARDIAN, ref=1, **changes):
    plain = {"scope": Scope(("care",), ("email",)), "state": GrantState.GIVEN, "since": NOW}
    return GrantFact(ref=f"{ref:032x}", by=by, **{**plain, **changes})


@pytest.mark.parametrize(
    ("grants", "passes", "earliest"),
    [
        ([], True, None),
        ([grant(SELF)], True, None),
        ([grant()], False, None),
        ([grant(RELATED)], False, None),
        ([grant(), grant(SELF, 2)], True, None),
        ([grant(scope=Scope(("care",), ("sms",)))], True, None),
        ([grant(scope=Scope(("education",)))], True, None),
        ([grant(state=GrantState.WITHDRAWN)], True, None),
        ([grant(until=NOW)], True, None),
        ([grant(since=NOW + 1)], True, None),
        ([grant(until=NOW + 5)], False, NOW + 5),
        ([grant(ended_at=NOW + 5)], False, NOW + 5),
        ([grant(), grant(SELF, 2, since=NOW + 3)], False, NOW + 3),
        ([grant(until=NOW + 5), grant(SELF, 2, since=NOW + 3)], False, NOW + 3),
        ([grant(until=NOW + 5), grant(RELATED, 2, until=NOW + 7)], False, NOW + 7),
        ([grant(), grant(SELF, 2, since=NOW - 9, until=NOW)], False, None),
        ([grant(), grant(SELF, 2, scope=Scope(("education",)), since=NOW + 1)], False, None),
    ],
)
def test_given_by(judge, good, grants, passes, earliest):
    verdict = judge("given_by", good(grants=Known(tuple(grants))), by=["self"])
    assert verdict.effect is (Effect.PERMIT if passes else Effect.REFUSE)
    assert verdict.reason is (None if passes else ReasonCode.NO_CONSENT)
    assert verdict.earliest == earliest


def test_several_may(judge, good):
    facts = good(grants=Known((grant(),)))
    assert judge("given_by", facts, by=["self", "guardian"]).effect is Effect.PERMIT
    assert judge("given_by", facts, by=["self", "related"]).effect is Effect.REFUSE


def test_unknown(judge, good):
    assert judge("given_by", good(grants=Absent.UNKNOWN), by=["self"]).reason is ReasonCode.FACT_UNKNOWN
    assert judge("given_by", good(grants=Absent.STALE), by=["self"]).reason is ReasonCode.FACT_STALE


@pytest.mark.parametrize("params", [{}, {"by": []}, {"by": ["nurse"]}, {"by": ["self"], "age": 14}])
def test_parameters(judge, good, params):
    with pytest.raises(PolicyError, match=r"params\.(by|age)"):
        judge("given_by", good(), **params)
