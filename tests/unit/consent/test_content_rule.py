"""Kind `content`: only reviewed text, for what it was reviewed for, within its validity."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import Absent, Known
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.testing.strategies import NOW, good_facts
from carelink.vocabulary import ContentStatus, Effect


def content(**changes):
    return Known(attrs.evolve(good_facts().content.value, **changes))


@pytest.mark.parametrize(
    ("changes", "reason", "earliest"),
    [
        ({}, None, None),
        ({"status": ContentStatus.DRAFT}, ReasonCode.CONTENT_UNREVIEWED, None),
        ({"status": ContentStatus.WITHDRAWN}, ReasonCode.CONTENT_WITHDRAWN, None),
        ({"status": ContentStatus.WITHDRAWN, "approvals": 0}, ReasonCode.CONTENT_WITHDRAWN, None),
        ({"approvals": 0}, ReasonCode.CONTENT_UNREVIEWED, None),
        ({"purposes": ("education",)}, ReasonCode.PURPOSE_MISMATCH, None),
        ({"purposes": ("care",)}, None, None),
        ({"purposes": ()}, ReasonCode.PURPOSE_MISMATCH, None),
        ({"channels": ("sms",)}, ReasonCode.PURPOSE_MISMATCH, None),
        ({"channels": ("email", "sms")}, None, None),
        ({"channels": ("*",)}, None, None),
        ({"since": NOW}, None, None),
        ({"since": NOW + 1}, ReasonCode.CONTENT_UNREVIEWED, NOW + 1),
        ({"since": NOW + 1, "until": NOW + 2}, ReasonCode.CONTENT_UNREVIEWED, NOW + 1),
        ({"since": NOW + 1, "until": NOW + 1}, ReasonCode.CONTENT_EXPIRED, None),
        ({"since": NOW + 5, "until": NOW + 1}, ReasonCode.CONTENT_EXPIRED, None),
        ({"until": NOW + 1}, None, None),
        ({"until": NOW}, ReasonCode.CONTENT_EXPIRED, None),
    ],
)
def test_content(judge, good, changes, reason, earliest):
    verdict = judge("content", good(content=content(**changes)))
    assert (verdict.reason, verdict.earliest) == (reason, earliest)
    assert verdict.effect is (Effect.PERMIT if reason is None else Effect.REFUSE)


@pytest.mark.parametrize(("approvals", "needed", "passes"), [(1, 1, True), (2, 3, False), (3, 3, True), (4, 3, True)])
def test_approvals(judge, good, approvals, needed, passes):
    verdict = judge("content", good(content=content(approvals=approvals)), min_approvals=needed)
    assert (verdict.effect is Effect.PERMIT) is passes
    if not passes:
        assert verdict.detail == (("approvals", approvals), ("needed", needed))


def test_one_approval_is_the_default_and_the_least(judge, good):
    assert judge("content", good(content=content(approvals=1))).effect is Effect.PERMIT
    verdict = judge("content", good(content=content(approvals=0)))
    assert (verdict.effect, verdict.detail) == (Effect.REFUSE, (("approvals", 0), ("needed", 1)))
    for params in ({"min_approvals": 0}, {"min_approvals": "all"}, {"approvals": 1}):
        with pytest.raises(PolicyError, match=rf"params\.{next(iter(params))}"):
            judge("content", good(), **params)


def test_unknown(judge, good):
    assert judge("content", good(content=Absent.UNKNOWN)).reason is ReasonCode.CONTENT_UNREVIEWED
    assert judge("content", good(content=Absent.STALE)).reason is ReasonCode.FACT_STALE
