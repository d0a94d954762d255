"""Kind `frequency_cap`: rolling windows, exact to the microsecond."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, Known, Touch, TouchHistory
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.model.moment import DAY
from carelink.testing.strategies import NOW
from carelink.vocabulary import ChannelKind, Effect, Purpose


def history(*ats, since=0, binds="sra"):
    items = tuple(Touch(at, Purpose.CARE_APPOINTMENT, ChannelKind.EMAIL, binds) for at in sorted(ats))
    return Known(TouchHistory(since=since, items=items))


def cap(judge, facts, **params):
    return judge("frequency_cap", facts, **{"max": 2, "window": "P1D", **params})


def test_below_and_at_the_cap(judge, good):
    assert cap(judge, good()).effect is Effect.PERMIT
    assert cap(judge, good(touches=history(NOW - 1))).effect is Effect.PERMIT
    verdict = cap(judge, good(touches=history(NOW - 5, NOW - 3)))
    assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.CAP_EXCEEDED)
    assert verdict.detail == (("count", 2), ("max", 2))
    assert verdict.earliest == NOW - 5 + DAY


def test_the_window_rolls_to_the_microsecond(judge, good):
    # Two touches a whole window apart never share a half-open window; a microsecond less and they do.
    assert cap(judge, good(touches=history(NOW - DAY)), max=1).effect is Effect.PERMIT
    verdict = cap(judge, good(touches=history(NOW - DAY + 1)), max=1)
    assert (verdict.effect, verdict.earliest) == (Effect.REFUSE, NOW + 1)


def test_wait_defers(judge, good):
    verdict = cap(judge, good(touches=history(NOW - 5, NOW - 3), wait=True))
    assert (verdict.effect, verdict.reason) == (Effect.DEFER, ReasonCode.CAP_EXCEEDED)
    assert verdict.earliest == NOW - 5 + DAY


def test_over_the_cap_as_many_must_leave_as_are_too_many(judge, good):
    verdict = cap(judge, good(touches=history(NOW - 9, NOW - 7, NOW - 5, NOW - 3)))
    assert verdict.detail == (("count", 4), ("max", 2))
    assert verdict.earliest == NOW - 5 + DAY


def test_the_slowest_of_person_and_address_is_waited_for(judge, good):
    items = (
        *(Touch(NOW - n, Purpose.CARE_APPOINTMENT, ChannelKind.EMAIL, "s") for n in (9, 8)),
        *(Touch(NOW - n, Purpose.CARE_APPOINTMENT, ChannelKind.EMAIL, "a") for n in (6, 5)),
    )
    verdict = cap(judge, good(touches=Known(TouchHistory(since=0, items=items))))
    assert verdict.earliest == NOW - 6 + DAY


def test_a_cap_of_nothing_refuses_for_good(judge, good):
    for wait in (False, True):
        for touches in (history(), history(NOW - 3)):
            verdict = cap(judge, good(touches=touches, wait=wait), max=0)
            assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.CAP_EXCEEDED)
            assert verdict.earliest is None
            assert verdict.detail == (("count", len(touches.value.items)), ("max", 0))


@pytest.mark.parametrize(
    ("since", "reason"),
    [(NOW - DAY, None), (NOW - DAY + 1, ReasonCode.FACT_UNKNOWN), (NOW, ReasonCode.FACT_UNKNOWN), (0, None)],
)
def test_a_history_that_is_too_short_is_unknown(judge, good, since, reason):
    verdict = cap(judge, good(touches=history(since=since)))
    assert verdict.reason is reason
    assert verdict.effect is (Effect.PERMIT if reason is None else Effect.REFUSE)
    assert verdict.earliest == (None if reason is None else since + DAY)


def test_too_short_and_full_waits_for_both(judge, good):
    short = history(NOW - 1, NOW - 1, since=NOW - 2)
    assert cap(judge, good(touches=short)).earliest == NOW - 1 + DAY
    assert cap(judge, good(touches=short), max=3).earliest == NOW - 2 + DAY
    assert cap(judge, good(touches=short), max=0).earliest is None
    assert cap(judge, good(touches=short, wait=True)).effect is Effect.REFUSE


def test_history_need_not_reach_back_beyond_the_epoch(judge, good):
    facts = good(at=DAY // 2, touches=history(since=0))
    assert cap(judge, facts).effect is Effect.PERMIT
    assert cap(judge, good(at=DAY // 2, touches=history(since=1))).reason is ReasonCode.FACT_UNKNOWN


def test_unknown(judge, good):
    assert cap(judge, good(touches=Absent.UNKNOWN)).reason is ReasonCode.FACT_UNKNOWN
    assert cap(judge, good(touches=Absent.STALE, reply=True)).reason is ReasonCode.FACT_STALE


@pytest.mark.parametrize("params", [{"max": -1}, {"window": "P1M"}, {"max": None}, {"windows": "P1D"}])
def test_parameters(judge, good, params):
    with pytest.raises(PolicyError, match=rf"params\.{next(iter(params))}"):
        cap(judge, good(), **params)
