"""Instants: integer microseconds since 1970-01-01T00:00:00Z. The log, the facts and the stores use these.

The public API takes and returns aware `datetime`; it is converted here, once, at the edge.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, NewType

from carelink.errors import InvalidInputError

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "SECOND",
    "Instant",
    "Micros",
    "from_datetime",
    "iso",
    "micros",
    "parse_duration",
    "parse_instant",
    "to_datetime",
]

Instant = NewType("Instant", int)
"""Microseconds since the Unix epoch, UTC, without leap seconds."""

Micros = NewType("Micros", int)
"""A length of time in microseconds."""

SECOND: Final = Micros(1_000_000)
MINUTE: Final = Micros(60 * SECOND)
HOUR: Final = Micros(60 * MINUTE)
DAY: Final = Micros(24 * HOUR)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def from_datetime(moment: datetime) -> Instant:
    """Convert an aware `datetime`.

    Raises:
        InvalidInputError: the `datetime` has no zone.
    """
    if moment.tzinfo is None:
        raise InvalidInputError("a datetime without a zone is not an instant", hint="pass tzinfo=UTC or a ZoneInfo")
    return Instant((moment - _EPOCH) // _MICROSECOND)


def to_datetime(instant: Instant) -> datetime:
    """Convert to an aware `datetime` in UTC."""
    return _EPOCH + timedelta(microseconds=instant)


def micros(length: timedelta) -> Micros:
    """Convert a `timedelta`, exactly."""
    return Micros(length // _MICROSECOND)


def iso(instant: Instant) -> str:
    """RFC 3339 text in UTC, microseconds only when there are any."""
    return to_datetime(instant).isoformat().replace("+00:00", "Z")


def parse_instant(text: str) -> Instant:
    """Read RFC 3339 text with a zone.

    Raises:
        InvalidInputError: not RFC 3339, or without a zone.
    """
    failed = False
    moment = _EPOCH
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        failed = True
    if failed:
        raise InvalidInputError("not an RFC 3339 instant", hint="write 2026-11-24T09:00:00+08:00")
    return from_datetime(moment)


_DURATION: Final = re.compile(
    r"P(?=.)(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?"
    r"(?:T(?=.)(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9})S)?)?",
    re.ASCII,
)
_UNITS: Final = (7 * DAY, DAY, HOUR, MINUTE, SECOND)


def parse_duration(text: str) -> Micros:
    """Read the ISO 8601 durations packs use: `P30D`, `P2W`, `PT12H`, `PT30M`, `P1DT12H`. No months or years,
    whose length depends on the calendar.

    Raises:
        InvalidInputError: another form.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise InvalidInputError("not a duration of weeks, days, hours, minutes or seconds", hint="write P30D or PT12H")
    return Micros(sum(int(count or 0) * unit for count, unit in zip(found.groups(), _UNITS, strict=True)))
