"""Working days for decisions, from maintained calendars, over a horizon.

`CN` is read from `chinesecalendar`, which knows the make-up working days that the State Council orders year by year;
any other ISO 3166 code from `holidays`, whose Chinese calendar lacks them. Both come with the extra `calendars`. What a
calendar does not know yet is left out: a rule that asks for it then says CALENDAR_UNKNOWN, and nothing is guessed.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from functools import lru_cache
from importlib import metadata
from typing import Any, Final

from carelink.consent.facts import CalendarFact
from carelink.model.moment import DAY, Instant

__all__ = ["HORIZON_DAYS", "calendar_facts"]

HORIZON_DAYS: Final = 60
"""Days of working-day flags a decision carries: longer than the longest row of rest days anywhere."""

_EPOCH: Final = date(1970, 1, 1)
Works = Callable[[date], bool | None]
"""Whether a day is a working day; None where the calendar does not reach it."""


def _chinese() -> Works:
    library: Any = importlib.import_module("chinese_calendar")

    def works(day: date) -> bool | None:
        try:
            return bool(library.is_workday(day))
        except NotImplementedError:  # the year is not published yet, or is too long ago
            return None

    return works


def _national(country: str) -> Works | None:
    library: Any = importlib.import_module("holidays")
    try:
        calendar = library.country_holidays(country)
    except NotImplementedError:
        return None
    first, last = calendar.start_year, calendar.end_year

    def works(day: date) -> bool | None:
        return bool(calendar.is_working_day(day)) if first <= day.year <= last else None

    return works


@lru_cache(maxsize=32)
def _calendar(name: str) -> tuple[Works, str] | None:
    """A calendar and its version; None where nobody here knows it."""
    package = "chinesecalendar" if name == "CN" else "holidays"
    try:
        works = _chinese() if name == "CN" else _national(name)
        version = metadata.version(package)
    except ImportError:
        return None
    return None if works is None else (works, f"{package}-{version}")


@lru_cache(maxsize=256)
def _fact(name: str, first: int) -> CalendarFact | None:
    found = _calendar(name)
    if found is None:
        return None
    works, data = found
    days = []
    for number in range(first, first + HORIZON_DAYS):
        try:
            working = works(_EPOCH + timedelta(days=number))
        except Exception:  # noqa: BLE001  whatever a library raises, it does not know the day (P2)
            working = None
        if working is None:
            break
        days.append("w" if working else "r")
    return CalendarFact(id=name, first=first, days="".join(days), data=data) if days else None


def calendar_facts(names: Iterable[str], at: Instant) -> tuple[CalendarFact, ...]:
    """Working days of these calendars from the day before an instant on: somewhere it is yesterday yet.

    Args:
        names: ids, as packs name them.
        at: the decision instant.
    """
    facts = (_fact(name, at // DAY - 1) for name in sorted(set(names)))
    return tuple(fact for fact in facts if fact is not None)
