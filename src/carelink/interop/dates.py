"""Dates and instants as other systems write them. A day is a day in a zone; a period's last day belongs to it.

FHIR R4 (Period): an end that is a date includes that whole day, an end that is a month that whole month.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import attrs

from carelink.model.moment import Instant, from_datetime

__all__ = ["Days", "is_partial", "parse_date"]

_FORMS: Final = (
    re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII),
    re.compile(r"(\d{4})/(\d{1,2})/(\d{1,2})", re.ASCII),
    re.compile(r"(\d{4})\.(\d{1,2})\.(\d{1,2})", re.ASCII),
    re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII),
    re.compile(r"(\d{4})年(\d{1,2})月(\d{1,2})日", re.ASCII),
)
_PARTIAL: Final = re.compile(r"(\d{4})(?:[-/.年](?:(\d{1,2})月?)?)?", re.ASCII)
_MIDNIGHT: Final = re.compile(r"[ T]0{1,2}:00(:00(\.0+)?)?", re.ASCII)
_FIRST: Final = from_datetime(datetime(1900, 1, 1, tzinfo=UTC))
_LAST: Final = from_datetime(datetime(9999, 1, 1, tzinfo=UTC))
"""From here on an end is the usual way to write that there is none."""


def parse_date(text: str) -> date | None:
    """A full date, year first: `1985-03-02`, `1985/3/2`, `1985.3.2`, `19850302`, `1985年3月2日`, also with a midnight
    after it as spreadsheets write it. Forms with the day or month first are not guessed at.
    """
    match = None
    for form in _FORMS:
        match = form.match(text)
        if match is not None:
            break
    if match is None or (text[match.end() :] and _MIDNIGHT.fullmatch(text[match.end() :]) is None):
        return None
    try:
        return date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return None


def _partial(text: str) -> tuple[int, int | None] | None:
    match = _PARTIAL.fullmatch(text)
    if match is None:
        return None
    year, month = int(match[1]), None if match[2] is None else int(match[2])
    return (year, month) if year > 0 and month in (None, *range(1, 13)) else None


def is_partial(text: str) -> bool:
    """Whether it is a year, or a year and a month: too coarse to work out an age from."""
    return _partial(text) is not None


def _instant(text: str, zone: ZoneInfo | None) -> Instant | None:
    """Date and time of day; without an offset it is meant in the zone, if one is given."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        if zone is None:
            return None
        moment = moment.replace(tzinfo=zone)
    return from_datetime(moment)


@attrs.frozen
class Days:
    """Turns texts into instants: days are days in this IANA zone (UTC if empty)."""

    zone: str = ""
    local: bool = False
    """Whether a time of day without an offset is meant in the zone. FHIR does not allow one."""

    def _midnight(self, day: date) -> Instant:
        info = ZoneInfo(self.zone) if self.zone else UTC
        return from_datetime(datetime.combine(day, time(), info))

    def _moment(self, text: str) -> Instant | None:
        if ":" not in text:
            return None
        info = (ZoneInfo(self.zone) if self.zone else ZoneInfo("UTC")) if self.local else None
        return _instant(text, info)

    def start(self, text: str) -> Instant | None:
        """The first instant that is meant; None if the text is no date or before 1900."""
        whole, coarse = parse_date(text), _partial(text)
        if whole is None and coarse is not None:
            whole = date(coarse[0], coarse[1] or 1, 1)
        instant = self._midnight(whole) if whole is not None else self._moment(text)
        return instant if instant is not None and _FIRST <= instant < _LAST else None

    def end(self, text: str) -> tuple[bool, Instant | None]:
        """Whether the text is a date, and the first instant that is no longer meant: None if there is no end, which
        is also what a date in the year 9999 means.
        """
        whole, coarse = parse_date(text), _partial(text)
        if whole is None and coarse is not None:
            year, month = coarse
            if year == date.max.year:
                return True, None
            whole = date(year, 12, 31) if month is None else date(year + month // 12, month % 12 + 1, 1) - _DAY
        if whole is not None:
            if whole.year == date.max.year:
                return True, None
            instant: Instant | None = self._midnight(whole + _DAY)
        else:
            instant = self._moment(text)
        if instant is None or instant <= _FIRST:
            return False, None
        return True, instant if instant < _LAST else None


_DAY: Final = timedelta(days=1)
