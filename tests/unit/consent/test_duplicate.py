"""Kind `duplicate`: how far back it looks, and when a history that is too short no longer matters."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import Known, Touch, TouchHistory
from carelink.consent.reasons import ReasonCode
from carelink.model.moment import DAY, HOUR, Instant
from carelink.testing.strategies import NOW, good_facts
from carelink.vocabulary import ChannelKind, Effect, Purpose


def asked(judge, *instants, since=0, at=NOW):
    items = tuple(
        Touch(Instant(one), Purpose.CARE_APPOINTMENT, ChannelKind.SMS, "s", topic="nurse-call") for one in instants
    )
    known = Known(TouchHistory(since=Instant(since), items=items))
    return judge("duplicate", attrs.evolve(good_facts(at, topic="nurse-call"), touches=known), within="P1D")


@pytest.mark.parametrize(("since", "short"), [(NOW - DAY, False), (NOW - DAY + 1, True), (0, False)])
def test_a_history_that_is_too_short_is_unknown(judge, since, short):
    verdict = asked(judge, since=since)
    assert verdict.reason is (ReasonCode.FACT_UNKNOWN if short else None)
    assert verdict.earliest == (since + DAY if short else None)


def test_time_cures_both_the_short_history_and_the_contact_in_it(judge):
    # The contact is within what is known, so it wears off last.
    verdict = asked(judge, NOW - HOUR, since=NOW - 2 * HOUR)
    assert (verdict.reason, verdict.earliest) == (ReasonCode.FACT_UNKNOWN, NOW - HOUR + DAY)
    assert asked(judge, NOW - HOUR, since=NOW - 2 * HOUR, at=NOW - HOUR + DAY).effect is Effect.PERMIT


def test_nothing_was_before_time_began(judge):
    assert asked(judge, at=Instant(HOUR)).effect is Effect.PERMIT
    assert asked(judge, at=Instant(HOUR), since=1).reason is ReasonCode.FACT_UNKNOWN
