"""Zone data for decisions: offset transitions over a horizon, read from the `tzdata` package and nowhere else.

The operating system's own zone files are not used: the entry names the version it was decided under, and two
machines with the same carelink must see the same offsets.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import resources
from typing import Final
from zoneinfo import ZoneInfo

import tzdata

from carelink.consent.facts import Absent, Fact, Known, ZoneFact, ZoneFacts
from carelink.errors import InvalidInputError
from carelink.model.moment import DAY, Instant, to_datetime

__all__ = ["HORIZON_DAYS", "ZONE_DATA", "check_zone", "local_date", "zone_facts"]

HORIZON_DAYS: Final = 400
"""Days of offsets a decision carries: enough to name the instant at which the longest cap of the bundled packs, one
year, ends within allowed hours. Only changes of the clock take room in the entry, some two a year.
"""

ZONE_DATA: Final = f"tzdata-{tzdata.IANA_VERSION}"


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    parts = name.split("/")
    if not all(part and part.replace("_", "a").replace("-", "a").replace("+", "a").isalnum() for part in parts):
        return None
    path = resources.files("tzdata.zoneinfo").joinpath(*parts)
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            return ZoneInfo.from_file(file, key=name)
    except ValueError:
        return None  # a table that lies beside the zones


def check_zone(name: str) -> str:
    """The name, if it is an IANA zone.

    Raises:
        InvalidInputError: it is not.
    """
    if _zone(name) is None:
        raise InvalidInputError("not an IANA time zone", hint="for example Asia/Shanghai")
    return name


def _offset(zone: ZoneInfo, instant: int) -> int:
    offset = to_datetime(Instant(instant)).astimezone(zone).utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def _transition(zone: ZoneInfo, low: int, high: int) -> int:
    """First whole second in (low, high] with the offset of `high`; offsets differ and change once in between."""
    target = _offset(zone, high)
    low, high = low // 1_000_000, high // 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(zone, middle * 1_000_000) == target:
            high = middle
        else:
            low = middle
    return high * 1_000_000


@lru_cache(maxsize=4096)
def _offsets(name: str, day: int) -> tuple[tuple[Instant, int], ...] | None:
    zone = _zone(name)
    if zone is None:
        return None
    # Six-hour steps: no zone in the database changes twice within six hours.
    step = DAY // 4
    start = day * DAY
    pairs = [(Instant(start), _offset(zone, start))]
    for at in range(start, start + (HORIZON_DAYS + 1) * DAY, step):
        if _offset(zone, at + step) != pairs[-1][1]:
            moment = _transition(zone, at, at + step)
            pairs.append((Instant(moment), _offset(zone, moment)))
    return tuple(pairs)


@lru_cache(maxsize=4096)
def _candidates(names: tuple[str, ...], source: str, day: int) -> Fact[ZoneFacts]:
    timelines = {_offsets(name, day) for name in names}
    if None in timelines or not timelines:
        return Absent.UNKNOWN
    known = sorted(timeline for timeline in timelines if timeline is not None)
    until = Instant((day + HORIZON_DAYS + 1) * DAY)
    return Known(
        ZoneFacts(source=source, until=until, data=ZONE_DATA, candidates=tuple(ZoneFact(line) for line in known))
    )


def zone_facts(at: Instant, *, patient: str, address: tuple[str, ...], tenant: str) -> Fact[ZoneFacts]:
    """Every zone the recipient may be in: the patient's, else all the address allows, else the tenant's."""
    day = at // DAY
    if patient:
        return _candidates((patient,), "patient", day)
    if address:
        return _candidates(address, "address", day)
    if tenant:
        return _candidates((tenant,), "tenant", day)
    return Absent.UNKNOWN


def local_date(at: Instant, zone: str) -> date:
    """The calendar date at an instant, in a zone (UTC where the zone is empty or unknown)."""
    info = _zone(zone) if zone else None
    moment: datetime = to_datetime(at).astimezone(info if info is not None else UTC)
    return moment.date()
