"""Kind `working_days`: what it says where zone or calendar do not reach."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import CalendarFact, Known, ZoneFact, ZoneFacts
from carelink.consent.reasons import ReasonCode
from carelink.model.moment import DAY, HOUR, Instant, parse_instant
from carelink.testing.strategies import good_facts
from carelink.vocabulary import Effect

THURSDAY = parse_instant("2026-10-01T00:00:00Z")
FIRST = THURSDAY // DAY
SHANGHAI, NEW_YORK = 8 * 3600, -4 * 3600


def on(judge, days, *offsets, at=THURSDAY + 20 * HOUR, first=FIRST, until=40 * DAY):
    candidates = tuple(ZoneFact(((Instant(0), offset),)) for offset in offsets)
    zones = ZoneFacts(source="address", until=Instant(THURSDAY + until), data="t", candidates=candidates)
    calendar = CalendarFact(id="CN", first=first, days=days, data="t")
    facts = attrs.evolve(good_facts(at), zones=Known(zones), calendars=Known((calendar,)))
    return judge("working_days", facts, calendar="CN")


def test_beyond_the_horizon_of_the_zones_the_day_is_not_known(judge):
    assert on(judge, "www", SHANGHAI, until=21 * HOUR).effect is Effect.PERMIT
    verdict = on(judge, "www", SHANGHAI, until=20 * HOUR)
    assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.ZONE_UNKNOWN)
    assert on(judge, "www").reason is ReasonCode.ZONE_UNKNOWN


def test_the_calendar_must_reach_in_every_zone(judge):
    # Thursday evening in New York is Friday in Shanghai.
    assert on(judge, "w", NEW_YORK).effect is Effect.PERMIT
    for offsets in ((SHANGHAI, NEW_YORK), (NEW_YORK, SHANGHAI), (SHANGHAI,)):
        assert on(judge, "w", *offsets).reason is ReasonCode.CALENDAR_UNKNOWN


@pytest.mark.parametrize("days", ["w", "wwwwwww", "rw"])
def test_a_calendar_that_begins_tomorrow_says_nothing_of_today(judge, days):
    assert on(judge, days, NEW_YORK, first=FIRST + 1).reason is ReasonCode.CALENDAR_UNKNOWN


def test_a_calendar_that_ends_at_rest_names_no_instant(judge):
    for offsets in ((NEW_YORK,), (SHANGHAI, NEW_YORK)):
        verdict = on(judge, "rrr", *offsets)
        assert (verdict.effect, verdict.reason, verdict.earliest) == (
            Effect.DEFER, ReasonCode.NOT_A_WORKING_DAY, None,
        )  # fmt: skip


def test_a_change_of_the_clock_moves_midnight(judge):
    # An hour is lost at noon UTC on the rest day; midnight comes an hour earlier for it.
    zone = ZoneFact(((Instant(0), 0), (Instant(THURSDAY + 12 * HOUR), 3600)))
    facts = attrs.evolve(
        good_facts(THURSDAY + HOUR),
        zones=Known(ZoneFacts(source="patient", until=Instant(THURSDAY + 9 * DAY), data="t", candidates=(zone,))),
        calendars=Known((CalendarFact(id="CN", first=FIRST, days="rw", data="t"),)),
    )
    assert judge("working_days", facts, calendar="CN").earliest == THURSDAY + 23 * HOUR
