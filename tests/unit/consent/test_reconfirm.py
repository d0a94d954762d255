"""Kind `reconfirm`: which grants a birthday overtakes, and what cures it. `consent_method` reads grants the same way."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import Known
from carelink.consent.reasons import ReasonCode
from carelink.model.moment import DAY, Instant
from carelink.model.scope import Scope
from carelink.testing.strategies import NOW, good_facts
from carelink.vocabulary import AgeBand, Effect, GrantMethod

CHILD, GROWN = {"age": AgeBand.FROM_8}, {"age": AgeBand.ADULT}
BOUGHT, FREE = {"method": GrantMethod.BUNDLED}, {"method": GrantMethod.EXPLICIT}
RULES = [
    ("reconfirm", {"age": 14}, ReasonCode.RECONFIRM_REQUIRED, CHILD, GROWN),
    ("consent_method", {"not": ["bundled"]}, ReasonCode.CONSENT_INVALID, BOUGHT, FREE),
]


def with_grants(*grants):
    facts = good_facts()
    (grant,) = facts.grants.value
    made = [attrs.evolve(grant, ref=f"{place:032x}", **changes) for place, changes in enumerate(grants, 10)]
    return attrs.evolve(facts, grants=Known(tuple(made)))


@pytest.fixture(params=RULES, ids=lambda rule: rule[0])
def rule(request, judge):
    kind, params, reason, wrong, right = request.param
    return (lambda *grants: judge(kind, with_grants(*grants), **params)), reason, wrong, right


@pytest.mark.parametrize("given", [AgeBand.UNDER_8, AgeBand.FROM_8, AgeBand.FROM_14])
def test_every_band_below_the_age_is_overtaken(judge, given):
    facts = attrs.evolve(with_grants({"age": given}), age=Known(AgeBand.ADULT))
    assert judge("reconfirm", facts, age=18).reason is ReasonCode.RECONFIRM_REQUIRED
    # Who is still in that band has not passed the birthday.
    assert judge("reconfirm", attrs.evolve(facts, age=Known(given)), age=18).effect is Effect.PERMIT


def test_one_good_grant_is_enough(rule):
    says, reason, wrong, right = rule
    assert says(wrong).reason is reason
    assert says(wrong, right).effect is Effect.PERMIT
    assert says(right, wrong).effect is Effect.PERMIT


def test_a_grant_for_something_else_is_not_looked_at(rule):
    says, reason, wrong, right = rule
    other = {"scope": Scope(("marketing",))}
    assert says(wrong | other).effect is Effect.PERMIT
    assert says(wrong, right | other).reason is reason


def test_a_grant_that_is_over_is_not_looked_at(rule):
    says, reason, wrong, right = rule
    over = {"until": NOW}
    assert says(wrong | over).effect is Effect.PERMIT
    assert says(wrong, right | over).reason is reason
    assert says(wrong, right | {"since": Instant(NOW + DAY)}).reason is reason


def test_it_is_cured_when_the_last_bad_grant_ends_or_a_good_one_begins(rule):
    says, _, wrong, right = rule
    soon, later = {"until": Instant(NOW + DAY)}, {"until": Instant(NOW + 2 * DAY)}
    assert says(wrong | soon, wrong | later).earliest == NOW + 2 * DAY
    assert says(wrong | soon, wrong).earliest is None
    assert says(wrong | later, right | {"since": Instant(NOW + DAY)}).earliest == NOW + DAY
    ended = {"ended_at": Instant(NOW + DAY)}
    assert says(wrong | ended, right | {"until": Instant(NOW - DAY)}).earliest == NOW + DAY
