"""Kind `working_days`: only on working days of a calendar, in every zone the recipient may be in.

Chinese calendars move working days to weekends; a calendar ends where nobody has published it yet, and beyond that it
cannot be told (compliance 0.1, 11).
"""

from __future__ import annotations

import attrs

from carelink.consent.facts import CalendarFact, Facts, Known, ZoneFact
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import Params, absent, defer, permit, refuse
from carelink.consent.rules.local_time import DAY_SECONDS, known_at, local, next_change, opening
from carelink.consent.verdict import Verdict
from carelink.model.moment import SECOND, Instant

__all__ = ["WorkingDays"]


@attrs.frozen
class WorkingDays:
    """Parameter: `calendar`, the id of a calendar, such as "CN"."""

    rule: str
    calendar: str

    @classmethod
    def of(cls, rule: str, params: dict[str, object]) -> WorkingDays:
        """Read the parameters."""
        read = Params(rule, params, {"calendar"})
        found = read.codes("calendar", one=True)
        if not found:
            raise read.fail("`params.calendar` is missing")
        [calendar] = found
        return cls(rule, calendar)

    def judge(self, facts: Facts) -> Verdict:
        """On a rest day: DEFER to the next working day. Where the calendar does not reach: refuse."""
        if (verdict := absent(self.rule, facts.calendars, ReasonCode.CALENDAR_UNKNOWN)) is not None:
            return verdict
        if (verdict := absent(self.rule, facts.zones, ReasonCode.ZONE_UNKNOWN)) is not None:
            return verdict
        assert isinstance(facts.calendars, Known) and isinstance(facts.zones, Known)  # noqa: PT018
        zones = facts.zones.value
        if not known_at(zones, facts.at):
            return refuse(self.rule, ReasonCode.ZONE_UNKNOWN)
        calendar = next((one for one in facts.calendars.value if one.id == self.calendar), None)
        if calendar is None or any(_day(calendar, zone, facts.at) is None for zone in zones.candidates):
            return refuse(self.rule, ReasonCode.CALENDAR_UNKNOWN)
        opens_at = opening(zones, facts.at, lambda zone, at: _rests_until(calendar, zone, at, zones.until))
        if opens_at == facts.at:
            return permit(self.rule)
        return defer(self.rule, ReasonCode.NOT_A_WORKING_DAY, earliest=opens_at)


def _day(calendar: CalendarFact, zone: ZoneFact, at: Instant) -> str | None:
    place = local(zone, at) // DAY_SECONDS - calendar.first
    return calendar.days[place] if 0 <= place < len(calendar.days) else None


def _rests_until(calendar: CalendarFact, zone: ZoneFact, at: Instant, until: Instant) -> Instant:
    """The instant itself on a working day, else the next midnight. Where the calendar has ended no day is one."""
    if _day(calendar, zone, at) == "w":
        return at
    midnight = Instant((at // SECOND + DAY_SECONDS - local(zone, at) % DAY_SECONDS) * SECOND)
    return min(midnight, next_change(zone, at, until))
