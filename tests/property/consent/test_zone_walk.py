"""Quiet hours over every change of every clock from 1970 to 2037, against a walker that looks at each minute.

The walker knows nothing of offsets: it asks the wall clock of the zone, a minute at a time, whether it may. Zones whose
whole timelines are equal are walked once. A few zones, drawn by a fixed seed, are walked in the ordinary suite.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

import attrs
import pytest

from carelink.consent.rules.quiet_hours import QuietHours
from carelink.engine.zones import zone_facts
from carelink.model.moment import MINUTE, Instant
from carelink.testing.strategies import good_facts
from carelink.vocabulary import Effect

pytestmark = pytest.mark.property

FIRST, LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2038, 1, 1, tzinfo=UTC)
WINDOWS = (("08:00", "21:00"), ("22:00", "06:00"), ("02:15", "02:45"))
"""A day, a night across midnight, and half an hour that the change to summer time skips and the change back repeats."""
BEFORE, AFTER = 24 * 60 + 120, 4 * 24 * 60
"""Minutes walked around a change: a wait of this window never takes longer than two days."""
ASKED = (-1440, -361, -61, -31, -1, 0, 1, 14, 29, 59, 60, 61, 181, 719, 1439)
"""Minutes after a change at which a decision is asked for."""


def data_of(name):
    """The zone in the package `tzdata`: the machine's own files may be older."""
    return resources.files("tzdata.zoneinfo").joinpath(*name.split("/"))


@cache
def zone_of(name):
    with data_of(name).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def timelines():
    """One name for each set of zones with the same bytes of zone data."""
    names = {}
    for name in resources.files("tzdata").joinpath("zones").read_text().split():
        names.setdefault(data_of(name).read_bytes(), name)
    return sorted(names.values())


def changes(name):
    """The minutes from 1970 to 2037 in which the zone's clock changes, as minutes since 1970."""
    zone, step = zone_of(name), timedelta(hours=3)
    at, found = FIRST, []
    offset = at.astimezone(zone).utcoffset()
    while at < LAST:
        after = at + step
        if (new := after.astimezone(zone).utcoffset()) != offset:
            minute = at
            while minute.astimezone(zone).utcoffset() == offset:
                minute += timedelta(minutes=1)
            found.append(int((minute - FIRST).total_seconds()) // 60)
            offset = new
        at = after
    return found


def minutes_of_day(name, first, last):
    zone = zone_of(name)
    walls = (datetime.fromtimestamp(minute * 60, zone) for minute in range(first, last))
    return [wall.hour * 60 + wall.minute for wall in walls]


def of_clock(text):
    return int(text[:2]) * 60 + int(text[3:])


def walked(walls, opens, closes):
    """For each minute: the next one, itself included, at which the wall clock is within the window."""
    following, found = None, []
    for place in range(len(walls) - 1, -1, -1):
        inside = opens <= walls[place] < closes if opens < closes else walls[place] >= opens or walls[place] < closes
        following = place if inside else following
        found.append(following)
    return found[::-1]


def disagreements(name, at_minutes):
    """Decisions of the rule that are not the walker's, and how many were compared."""
    wrong, compared = [], 0
    for change in at_minutes:
        first = max(0, change - BEFORE)
        walls = minutes_of_day(name, first, change + AFTER)
        for opens, closes in WINDOWS:
            following = walked(walls, of_clock(opens), of_clock(closes))
            rule = QuietHours.of("R", {"allowed_from": opens, "allowed_to": closes})
            for minute in (change + asked for asked in ASKED if change + asked >= 0):
                at = Instant(minute * MINUTE)
                zones = zone_facts(at, patient=name, address=(), tenant="")
                verdict = rule.judge(attrs.evolve(good_facts(), at=at, zones=zones))
                expected = following[minute - first]
                assert expected is not None
                got = minute if verdict.effect is Effect.PERMIT else verdict.earliest and -(-verdict.earliest // MINUTE)
                compared += 1
                if got != expected + first:
                    wrong.append((name, minute, opens, closes, expected + first, got))
    return wrong, compared


def test_some_zones_agree_with_the_minute_walker():
    """Drawn by a fixed seed, and those whose clocks did the oddest things."""
    odd = ["Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "Antarctica/Troll", "Africa/Monrovia"]
    draw = random.Random(20)
    compared = 0
    for name in [*odd, *draw.sample(timelines(), 5)]:
        found = changes(name)
        wrong, count = disagreements(name, draw.sample(found, min(3, len(found))))
        assert wrong == []
        compared += count
    assert compared > 500


def test_a_walker_that_is_an_hour_off_is_noticed():
    """A control: the comparison can fail."""
    found = changes("Europe/Berlin")[-2:]
    rule = QuietHours.of("R", {"allowed_from": "08:00", "allowed_to": "21:00"})
    moved = attrs.evolve(rule, opens=rule.opens + 3600)
    at = Instant((found[0] + 60) * MINUTE)
    facts = attrs.evolve(good_facts(), at=at, zones=zone_facts(at, patient="Europe/Berlin", address=(), tenant=""))
    assert rule.judge(facts).earliest != moved.judge(facts).earliest


@pytest.mark.slow
def test_every_zone_agrees_with_the_minute_walker():
    names, wrong, compared, seen = timelines(), [], 0, 0
    for name in names:
        found = changes(name)
        bad, count = disagreements(name, found)
        wrong += bad
        compared, seen = compared + count, seen + len(found)
    print(f"{len(names)} timelines, {seen} changes of clocks, {compared} decisions, {len(wrong)} disagreements")  # noqa: T201  the figure of the evidence
    assert wrong == []
