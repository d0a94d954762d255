"""Kind `quiet_hours`: windows by the wall clock of every zone, over midnight and over changes of the clock."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, Known, ZoneFact, ZoneFacts
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.model.moment import DAY, HOUR, MINUTE, SECOND, parse_instant
from carelink.vocabulary import Effect

EVE = parse_instant("2026-03-08T00:00:00Z")
UTC, SHANGHAI, NEW_YORK = 0, 8 * 3600, -5 * 3600


def zones(*candidates, until=EVE + 9 * DAY):
    """Candidates: an offset in seconds, or (instant, offset) pairs."""
    lines = [((EVE, one),) if isinstance(one, int) else tuple(one) for one in candidates]
    return Known(ZoneFacts(source="address", until=until, data="t", candidates=tuple(ZoneFact(line) for line in lines)))


def quiet(judge, good, at, where, opens="08:00", closes="21:00", **more):
    asked = {key: more.pop(key) for key in ("reply",) if key in more}
    facts = good(at=at, zones=where, **asked)
    return judge("quiet_hours", facts, allowed_from=opens, allowed_to=closes, **more)


@pytest.mark.parametrize(
    ("at", "opens", "closes", "earliest"),
    [
        (8 * HOUR, "08:00", "21:00", None),
        (8 * HOUR + 1, "08:00", "21:00", None),
        (22 * HOUR + 1, "22:00", "06:00", None),
        (8 * HOUR - 1, "08:00", "21:00", 8 * HOUR),
        (21 * HOUR - 1, "08:00", "21:00", None),
        (21 * HOUR, "08:00", "21:00", 32 * HOUR),
        (23 * HOUR, "08:00", "21:00", 32 * HOUR),
        (0, "08:00", "21:00", 8 * HOUR),
        # A window over midnight.
        (22 * HOUR, "22:00", "06:00", None),
        (24 * HOUR, "22:00", "06:00", None),
        (6 * HOUR - 1, "22:00", "06:00", None),
        (6 * HOUR, "22:00", "06:00", 22 * HOUR),
        (22 * HOUR - 1, "22:00", "06:00", 22 * HOUR),
        (0, "00:00", "06:00", None),
        (6 * HOUR, "00:00", "06:00", 24 * HOUR),
        (23 * HOUR, "22:00", "00:00", None),
        (0, "22:00", "00:00", 22 * HOUR),
    ],
)
def test_windows_are_half_open(judge, good, at, opens, closes, earliest):
    verdict = quiet(judge, good, EVE + at, zones(UTC), opens, closes)
    assert verdict.effect is (Effect.PERMIT if earliest is None else Effect.DEFER)
    assert verdict.reason is (None if earliest is None else ReasonCode.QUIET_HOURS)
    assert verdict.earliest == (None if earliest is None else EVE + earliest)


def test_the_local_clock_counts(judge, good):
    assert quiet(judge, good, EVE + HOUR, zones(SHANGHAI)).effect is Effect.PERMIT
    assert quiet(judge, good, EVE + 2 * HOUR, zones(NEW_YORK)).earliest == EVE + 13 * HOUR


def test_every_zone_must_allow_it(judge, good):
    # 08:00 in New York is 13:00 UTC, when it is 21:00 in Shanghai: quiet there. Then Shanghai opens at 00:00 UTC.
    verdict = quiet(judge, good, EVE + 13 * HOUR, zones(SHANGHAI, NEW_YORK))
    assert (verdict.effect, verdict.earliest) == (Effect.DEFER, EVE + 24 * HOUR)
    assert quiet(judge, good, EVE + 13 * HOUR - 1, zones(SHANGHAI, NEW_YORK)).effect is Effect.DEFER
    verdict = quiet(judge, good, EVE + 2 * HOUR, zones(SHANGHAI, NEW_YORK))
    assert (verdict.effect, verdict.reason) == (Effect.DEFER, ReasonCode.QUIET_HOURS)


def test_zones_that_never_agree_defer_without_an_instant(judge, good):
    verdict = quiet(judge, good, EVE + 8 * HOUR, zones(UTC, 12 * 3600), "08:00", "20:00")
    assert (verdict.effect, verdict.reason, verdict.earliest) == (Effect.DEFER, ReasonCode.QUIET_HOURS, None)


def test_an_opening_beyond_the_horizon_is_not_named(judge, good):
    assert quiet(judge, good, EVE + 22 * HOUR, zones(UTC, until=EVE + 32 * HOUR)).earliest is None
    assert quiet(judge, good, EVE + 22 * HOUR, zones(UTC, until=EVE + 32 * HOUR + 1)).earliest == EVE + 32 * HOUR


SPRING = ((EVE, NEW_YORK), (EVE + 7 * HOUR, -4 * 3600))
"""New York on 2026-03-08: 02:00 becomes 03:00 at 07:00 UTC."""
AUTUMN = ((EVE, -4 * 3600), (EVE + 6 * HOUR, NEW_YORK))
"""02:00 becomes 01:00 at 06:00 UTC."""


@pytest.mark.parametrize(
    ("line", "at", "opens", "closes", "earliest"),
    [
        # An hour that is skipped: a window within it never opens that day; one that begins in it opens at its end.
        (SPRING, 6 * HOUR, "02:15", "02:45", 30 * HOUR + 15 * MINUTE),
        (SPRING, 6 * HOUR, "02:30", "04:00", 7 * HOUR),
        (SPRING, 7 * HOUR - 1, "01:00", "02:00", None),
        (SPRING, 7 * HOUR, "01:00", "03:00", 29 * HOUR),
        (SPRING, 0, "08:00", "21:00", None),
        (SPRING, 2 * HOUR, "08:00", "21:00", 12 * HOUR),
        # An hour that comes twice: it is allowed twice, and the second one opens the window again.
        (AUTUMN, 5 * HOUR, "01:00", "02:00", None),
        (AUTUMN, 6 * HOUR, "01:00", "02:00", None),
        (AUTUMN, 7 * HOUR - 1, "01:00", "02:00", None),
        (AUTUMN, 7 * HOUR, "01:00", "02:00", 30 * HOUR),
        (AUTUMN, 5 * HOUR + 45 * MINUTE, "01:15", "01:30", 6 * HOUR + 15 * MINUTE),
        (AUTUMN, 2 * HOUR, "08:00", "21:00", 13 * HOUR),
    ],
)
def test_changes_of_the_clock(judge, good, line, at, opens, closes, earliest):
    verdict = quiet(judge, good, EVE + at, zones(line), opens, closes)
    assert verdict.effect is (Effect.PERMIT if earliest is None else Effect.DEFER)
    assert verdict.earliest == (None if earliest is None else EVE + earliest)


def test_an_opening_is_at_a_whole_second_even_from_a_fraction(judge, good):
    assert quiet(judge, good, EVE + 7 * HOUR + 5, zones(UTC)).earliest == EVE + 8 * HOUR
    assert quiet(judge, good, EVE + 8 * HOUR - SECOND - 1, zones(UTC)).earliest == EVE + 8 * HOUR


def test_offsets_need_not_be_whole_hours(judge, good):
    verdict = quiet(judge, good, EVE, zones(5 * 3600 + 45 * 60))
    assert verdict.earliest == EVE + 2 * HOUR + 15 * MINUTE


@pytest.mark.parametrize(
    "where",
    [
        Absent.UNKNOWN,
        zones(),
        zones(()),
        zones(UTC, ()),
        zones(((EVE + 9 * HOUR, UTC),)),
        zones(UTC, ((EVE + 9 * HOUR, UTC),)),
        zones(UTC, until=EVE + 8 * HOUR),
    ],
)
def test_where_the_local_time_is_unknown(judge, good, where):
    verdict = quiet(judge, good, EVE + 8 * HOUR, where)
    assert (verdict.effect, verdict.reason, verdict.earliest) == (Effect.REFUSE, ReasonCode.ZONE_UNKNOWN, None)


def test_the_edges_of_what_is_known(judge, good):
    assert quiet(judge, good, EVE + 8 * HOUR, zones(((EVE + 8 * HOUR, UTC),))).effect is Effect.PERMIT
    assert quiet(judge, good, EVE + 8 * HOUR, zones(UTC, until=EVE + 8 * HOUR + 1)).effect is Effect.PERMIT


def test_stale(judge, good):
    assert quiet(judge, good, EVE, Absent.STALE).reason is ReasonCode.FACT_STALE


def test_replies(judge, good):
    assert quiet(judge, good, EVE, zones(UTC), reply=True).effect is Effect.PERMIT
    assert quiet(judge, good, EVE, zones(UTC), reply=True, replies=True).effect is Effect.PERMIT
    assert quiet(judge, good, EVE, zones(UTC), reply=True, replies=False).effect is Effect.DEFER


@pytest.mark.parametrize(
    ("opens", "closes", "key"), [("08:00", "08:00", "allowed_from"), ("25:00", "08:00", "allowed_from"), ("08:00", "8pm", "allowed_to")],
)  # fmt: skip
def test_parameters(judge, good, opens, closes, key):
    with pytest.raises(PolicyError, match=rf"params\.{key}"):
        quiet(judge, good, EVE, zones(UTC), opens, closes)
    with pytest.raises(PolicyError, match=r"params\.zone"):
        quiet(judge, good, EVE, zones(UTC), zone="UTC")
