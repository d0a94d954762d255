"""Kind `review`: one role's approvals do not stand in for another's."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import ContentFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.testing.strategies import good_facts
from carelink.vocabulary import ContentStatus, Effect


def reviewed(**counts):
    facts = good_facts()
    return attrs.evolve(facts, content=Known(attrs.evolve(facts.content.value, **counts)))


def test_more_than_enough_of_one_role_is_not_enough_of_another(judge):
    verdict = judge("review", reviewed(clinical=5, commercial=0), clinical=1, commercial=1)
    assert (verdict.reason, dict(verdict.detail)) == (ReasonCode.CONTENT_UNREVIEWED, {"missing": 1, "lapsed": 0})
    assert judge("review", reviewed(clinical=5, commercial=1), clinical=1, commercial=1).effect is Effect.PERMIT


@pytest.mark.parametrize("role", ["clinical", "commercial", "ethics"])
def test_a_text_of_which_nothing_is_told_was_reviewed_by_nobody(judge, role):
    bare = ContentFact(status=ContentStatus.APPROVED, purposes=("care",), channels=("*",), digest="ab" * 32, since=0)
    verdict = judge("review", attrs.evolve(good_facts(), content=Known(bare)), **{role: 1})
    assert (verdict.reason, dict(verdict.detail)) == (ReasonCode.CONTENT_UNREVIEWED, {"missing": 1, "lapsed": 0})
