"""Kind `minimum_gap`: so long between two touches, exact to the microsecond."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, Known, Touch, TouchHistory
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.model.moment import DAY, HOUR
from carelink.testing.strategies import NOW
from carelink.vocabulary import ChannelKind, Effect, Purpose


def history(*pairs, since=0):
    items = tuple(Touch(at, Purpose.CARE_APPOINTMENT, ChannelKind.EMAIL, binds) for at, binds in sorted(pairs))
    return Known(TouchHistory(since=since, items=items))


def gap(judge, facts, **params):
    return judge("minimum_gap", facts, **{"gap": "PT1H", **params})


def test_the_gap_is_exact(judge, good):
    assert gap(judge, good()).effect is Effect.PERMIT
    assert gap(judge, good(touches=history((NOW - HOUR, "s")))).effect is Effect.PERMIT
    verdict = gap(judge, good(touches=history((NOW - HOUR + 1, "s"))))
    assert (verdict.effect, verdict.reason, verdict.earliest) == (Effect.REFUSE, ReasonCode.GAP_TOO_SHORT, NOW + 1)


def test_wait_defers(judge, good):
    verdict = gap(judge, good(touches=history((NOW - 1, "a")), wait=True))
    assert (verdict.effect, verdict.earliest) == (Effect.DEFER, NOW - 1 + HOUR)


def test_the_last_touch_of_anybody_counts(judge, good):
    touches = history((NOW - 9, "s"), (NOW - 3, "r"), (NOW - 5, "a"), (NOW - 7, "s"))
    assert gap(judge, good(touches=touches)).earliest == NOW - 3 + HOUR
    assert gap(judge, good(touches=touches), counts="address").earliest == NOW - 5 + HOUR


@pytest.mark.parametrize(("since", "short"), [(NOW - HOUR, False), (NOW - HOUR + 1, True), (0, False)])
def test_a_history_that_is_too_short_is_unknown(judge, good, since, short):
    verdict = gap(judge, good(touches=history(since=since)))
    assert verdict.reason is (ReasonCode.FACT_UNKNOWN if short else None)
    assert verdict.effect is (Effect.REFUSE if short else Effect.PERMIT)
    assert verdict.earliest == (since + HOUR if short else None)


def test_too_short_and_too_soon_waits_for_both(judge, good):
    verdict = gap(judge, good(touches=history((NOW - 1, "s"), since=NOW - 2), wait=True))
    assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.FACT_UNKNOWN)
    assert verdict.earliest == NOW - 1 + HOUR


def test_history_need_not_reach_back_beyond_the_epoch(judge, good):
    assert gap(judge, good(at=HOUR // 2, touches=history(since=0))).effect is Effect.PERMIT
    assert gap(judge, good(at=HOUR // 2, touches=history(since=1))).reason is ReasonCode.FACT_UNKNOWN


def test_replies_are_not_held_back(judge, good):
    full = history((NOW - 1, "s"))
    assert gap(judge, good(touches=full, reply=True)).effect is Effect.PERMIT
    assert gap(judge, good(touches=full, reply=True), replies=True).effect is Effect.REFUSE


def test_unknown(judge, good):
    assert gap(judge, good(touches=Absent.UNKNOWN)).reason is ReasonCode.FACT_UNKNOWN
    assert gap(judge, good(touches=Absent.STALE, reply=True)).reason is ReasonCode.FACT_STALE


def test_parameters(judge, good):
    for params in ({"gap": "PT0S"}, {"gap": None}, {"max": 1}, {"window": DAY}):
        with pytest.raises(PolicyError, match=rf"params\.{next(iter(params))}"):
            gap(judge, good(), **params)
