"""Working days go from the maintained calendars into facts; where no calendar reaches, nothing is guessed."""

from __future__ import annotations

import sys
from datetime import date

import pytest

from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.consent.reasons import ReasonCode
from carelink.engine import calendars
from carelink.engine.calendars import HORIZON_DAYS, calendar_facts
from carelink.model.moment import DAY, Instant, parse_instant
from carelink.vocabulary import Effect

PACK = b"""
[pack]
id = "office-days"
jurisdiction = "CN"
version = "1"
valid_from = 2020-01-01
title = { en = "office days", zh = "office days" }

[[rule]]
id = "OFFICE.DAYS"
kind = "working_days"
authority = "hospital"
certainty = "I"
title = { en = "working days only", zh = "working days only" }
sources = [{ instrument = "house rule", version = "2026-01-01" }]
[rule.params]
calendar = "CN"
"""


@pytest.fixture(autouse=True)
def _fresh():
    calendars._calendar.cache_clear()
    calendars._fact.cache_clear()
    yield
    calendars._calendar.cache_clear()
    calendars._fact.cache_clear()


def letters(name, first, count):
    """The letters of some days."""
    at = Instant(((date.fromisoformat(first) - date(1970, 1, 1)).days + 1) * DAY)
    (fact,) = calendar_facts([name], at)
    assert len(fact.days) <= HORIZON_DAYS
    return fact.days[:count]


def test_china_works_on_make_up_saturdays():
    pytest.importorskip("chinese_calendar")
    # National Day 2026: seven days off from Thursday 1 October, Saturday 10 October is worked instead (compliance 4.4).
    assert letters("CN", "2026-09-30", 11) == "wrrrrrrrwww"


def test_another_country_has_its_own():
    pytest.importorskip("holidays")
    assert letters("US", "2026-07-01", 6) == "wwrrrw"  # Independence Day falls on a Saturday, and is kept on Friday


def test_the_calendar_ends_where_nobody_published_it():
    pytest.importorskip("chinese_calendar")
    (fact,) = calendar_facts(["CN"], parse_instant("2026-12-20T00:00:00Z"))
    assert len(fact.days) == 13  # 19 to 31 December
    assert calendar_facts(["CN"], parse_instant("2031-01-05T00:00:00Z")) == ()


def test_an_unknown_or_missing_calendar_is_left_out(monkeypatch):
    now = parse_instant("2026-03-11T00:00:00Z")
    assert calendar_facts(["ZZ"], now) == ()
    monkeypatch.setitem(sys.modules, "chinese_calendar", None)
    assert calendar_facts(["CN"], now) == ()


def _adopted(world):
    world.link.adopt([*(pack.data for pack in world.link.policy().packs), PACK], actor="Dr Chen")
    return world


def test_a_decision_carries_the_days_and_replays_without_a_calendar(world):
    pytest.importorskip("chinese_calendar")
    _adopted(world)
    outcome = world.link.send(world.ask(world.patient()))
    with world.link.wiring.store.reader() as reader:
        entries = list(enumerate(reader.entries(0, reader.head().size)))
    assert outcome.effect in (Effect.PERMIT, Effect.DEFER)
    assert list(replay(entries, PolicyJudge())) == []
    assert b'"calendars":[{"data":"chinesecalendar-' in entries[-2][1] + entries[-1][1]


def test_without_a_calendar_only_the_rule_that_asks_refuses(world, monkeypatch):
    monkeypatch.setitem(sys.modules, "chinese_calendar", None)
    assert world.link.send(world.ask(world.patient())).effect is Effect.PERMIT
    outcome = _adopted(world).link.send(world.ask(world.patient()))
    assert ReasonCode.CALENDAR_UNKNOWN in outcome.decision.codes
