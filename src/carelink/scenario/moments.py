"""Moments of a story: local to its zone, or as an offset from the moment before."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from carelink.errors import InvalidInputError
from carelink.model.moment import DAY, HOUR, MINUTE, Instant, from_datetime, to_datetime

__all__ = ["day_of", "local", "moment"]

_ABSOLUTE: Final = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}(?::\d{2})?))?(Z|[+-]\d{2}:\d{2})?", re.ASCII)
_AFTER: Final = re.compile(r"\+(?:(\d{1,4})d)?(?: ?(\d{1,4})h)?(?: ?(\d{1,5})m)?(?: (\d{2}:\d{2}))?", re.ASCII)


def moment(value: Any, before: Instant, zone: str, where: str) -> Instant:
    """The instant of `2025-03-09 10:00` (local to the zone unless an offset stands behind it), of a bare date (its
    midnight), of `+3d`, `+2h`, `+90m` after the moment before, or of `+3d 09:00`, that hour three days later.

    Raises:
        InvalidInputError: it is none of these, or names an hour that the clocks of the zone leave out.
    """
    if isinstance(value, datetime):
        return from_datetime(value if value.tzinfo is not None else _placed(value, zone, where))
    if isinstance(value, date):
        return from_datetime(_placed(datetime.combine(value, time()), zone, where))
    if (found := _AFTER.fullmatch(value)) is not None and value != "+":
        days, hours, minutes, clock = found.groups()
        if clock is None:
            return Instant(before + int(days or 0) * DAY + int(hours or 0) * HOUR + int(minutes or 0) * MINUTE)
        day = day_of(before, zone) + timedelta(days=int(days or 0))
        return from_datetime(_placed(datetime.combine(day, _clock(clock, where)), zone, where))
    if (found := _ABSOLUTE.fullmatch(value)) is None:
        raise InvalidInputError(f"{where}: not a moment", hint="`2025-03-09 10:00`, `+3d`, `+2h` or `+3d 09:00`")
    day_text, clock, offset = found.groups()
    try:
        parsed = datetime.fromisoformat(f"{day_text}T{clock or '00:00'}{offset or ''}")
    except ValueError:
        raise InvalidInputError(f"{where}: there is no such day or hour", hint="`2025-03-09 10:00`") from None
    return from_datetime(parsed if offset else _placed(parsed, zone, where))


def _clock(text: str, where: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError:
        raise InvalidInputError(f"{where}: there is no such hour", hint="from 00:00 to 23:59") from None


def _placed(naive: datetime, zone: str, where: str) -> datetime:
    aware = naive.replace(tzinfo=ZoneInfo(zone))
    if aware.astimezone(ZoneInfo("UTC")).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != naive:
        raise InvalidInputError(f"{where}: the clocks of {zone} leave this hour out", hint="write it with an offset")
    return aware


def day_of(at: Instant, zone: str) -> date:
    """The local day of an instant."""
    return to_datetime(at).astimezone(ZoneInfo(zone)).date()


def local(at: Instant, zone: str) -> str:
    """An instant as a story writes it."""
    shown = to_datetime(at).astimezone(ZoneInfo(zone))
    return shown.strftime("%Y-%m-%d %H:%M:%S" if shown.second else "%Y-%m-%d %H:%M")
