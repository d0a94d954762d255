"""The words in which a fixture says how its request differs from one that nothing is wrong with."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final, TypeVar

import attrs

from carelink.consent.example import LONG, RECIPIENT, example_facts
from carelink.consent.facts import (
    Absent,
    CalendarFact,
    ClinicianFact,
    ClockState,
    ContactFact,
    Facts,
    GrantFact,
    GuardianFact,
    Known,
    ScreeningFact,
    StopFact,
    StoreState,
    Touch,
    TouchHistory,
    VetoFact,
    ZoneFacts,
    touch_marks,
)
from carelink.model.moment import DAY, HOUR, MINUTE, Instant
from carelink.model.scope import ANY, EVERY_PLAN, Scope
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DataClass,
    DisclosureScope,
    GrantMethod,
    GrantState,
    LifecycleStage,
    Mode,
    ProviderState,
    Purpose,
    RecipientRole,
    Standing,
    StopSource,
)

__all__ = ["CHANGES", "WordError", "changed"]

_E = TypeVar("_E", bound=Enum)
_UNITS: Final = {"minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY, "year": 365 * DAY}
_UNIT: Final = "(minute|hour|day|week|year)s?"
_WHEN: Final = re.compile(rf"(?:now|in ([0-9]+) {_UNIT}|([0-9]+) {_UNIT} ago)", re.ASCII)
_TOUCH: Final = re.compile(
    rf"([0-9]+)(?: ([a-z_]+\.[a-z_]+))?(?: by (sms|email|chat|task))?(?: to (patient|recipient|address))?"
    rf"(?: (reply))? (?:in ([0-9]+) {_UNIT}|([0-9]+) {_UNIT} ago)(?: of ([a-z0-9-]+))?(?: about ([a-z0-9-]+))?",
    re.ASCII,
)
_PAIR: Final = 2
_BINDS: Final = {"patient": "s", "recipient": "r", "address": "a", None: "sra"}


class WordError(Exception):
    """A key whose value is not understood."""


def _word(kind: type[_E], value: object, key: str) -> _E:
    for member in kind:
        if member.value == value:
            return member
    raise WordError(key)


def _flag(value: object, key: str) -> bool:
    if not isinstance(value, bool):
        raise WordError(key)
    return value


def _texts(value: object, key: str) -> tuple[str, ...]:
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise WordError(key)
    return tuple(found)


def _tables(value: object, key: str, allowed: set[str]) -> list[dict[str, Any]]:
    found = [value] if isinstance(value, dict) else value
    if not isinstance(found, list) or not all(isinstance(item, dict) and not set(item) - allowed for item in found):
        raise WordError(key)
    return found


def _table(value: object, key: str, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(value, dict) or set(value) - allowed:
        raise WordError(key)
    return value


def _when(value: object, at: Instant, key: str) -> Instant:
    """`now`, `3 days ago`, `in 2 hours`."""
    found = _WHEN.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise WordError(key)
    if found[1]:
        return Instant(at + int(found[1]) * _UNITS[found[2]])
    return Instant(at - int(found[3]) * _UNITS[found[4]]) if found[3] else at


def _number(value: object, key: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise WordError(key)
    return value


_ASK: Final[Mapping[str, tuple[str, Callable[[Any, Instant], Any]]]] = {
    "purpose": ("purpose", lambda v, _: _word(Purpose, v, "purpose")),
    "channel": ("channel_kind", lambda v, _: _word(ChannelKind, v, "channel")),
    "tells": ("disclosure", lambda v, _: _word(DisclosureScope, v, "tells")),
    "automated": ("automated", lambda v, _: _flag(v, "automated")),
    "reply": ("reply", lambda v, _: _flag(v, "reply")),
    "wait": ("wait", lambda v, _: _flag(v, "wait")),
    "plan": ("plan", lambda v, _: "".join(_texts(v, "plan"))),
    "topic": ("topic", lambda v, _: "".join(_texts(v, "topic"))),
    "data": ("data", lambda v, _: tuple(sorted(_word(DataClass, one, "data") for one in _texts(v, "data")))),
    "not_before": ("not_before", lambda v, at: _when(v, at, "not_before")),
    "useless_after": ("useless_after", lambda v, at: _when(v, at, "useless_after")),
    "due_from": ("due_from", lambda v, at: _when(v, at, "due_from")),
    "due_until": ("due_until", lambda v, at: _when(v, at, "due_until")),
}
_AGES: Final = ((8, AgeBand.UNDER_8), (14, AgeBand.FROM_8), (18, AgeBand.FROM_14), (200, AgeBand.ADULT))


def _band(value: object, key: str) -> AgeBand:
    """A band of an age in years."""
    years = _number(value, key)
    return next((band for limit, band in _AGES if 0 <= years < limit), AgeBand.ADULT)


def _grants(value: object, facts: Facts) -> tuple[GrantFact, ...]:
    """`consent`: what the patient agreed to, in place of a consent that fits."""
    assert isinstance(facts.grants, Known)
    good, at, found = facts.grants.value[0], facts.at, []
    allowed = {"of", "on", "plans", "separate", "by", "how", "state", "since", "until", "ended", "age"}
    for number, item in enumerate(_tables(value, "consent", allowed)):
        ended = _when(item["ended"], at, "consent") if "ended" in item else None
        taken = GrantState.WITHDRAWN if ended is not None and ended <= at else GrantState.GIVEN
        found.append(
            attrs.evolve(
                good,
                ref=f"{100 + number:032x}",
                scope=Scope(
                    _texts(item.get("of", list(good.scope.purposes)), "consent"),
                    _texts(item.get("on", list(good.scope.channels)), "consent"),
                    _texts(item.get("plans", list(EVERY_PLAN)), "consent"),
                ),
                state=_word(GrantState, item["state"], "consent") if "state" in item else taken,
                by=_word(RecipientRole, item.get("by", "self"), "consent"),
                since=_when(item.get("since", "10 years ago"), at, "consent"),
                until=_when(item["until"], at, "consent") if "until" in item else None,
                ended_at=ended,
                separate=_flag(item.get("separate", True), "consent"),
                method=_word(GrantMethod, item.get("how", "explicit"), "consent"),
                age=_band(item["age"], "consent") if "age" in item else None,
            )
        )
    return tuple(found)


def _stops(value: object, facts: Facts) -> tuple[StopFact, ...]:
    """`stops`: who said no, to what, when."""
    at, found = facts.at, []
    for number, item in enumerate(_tables(value, "stops", {"of", "on", "plans", "for", "by", "since", "until"})):
        binds = item.get("for", "patient")
        if binds not in ("patient", "recipient", "address"):
            raise WordError("stops")
        scope = Scope(
            _texts(item.get("of", ANY), "stops"),
            _texts(item.get("on", ANY), "stops"),
            _texts(item.get("plans", list(EVERY_PLAN)), "stops"),
        )
        found.append(
            StopFact(
                ref=f"{200 + number:032x}",
                binds="subject" if binds == "patient" else binds,
                scope=scope,
                source=_word(StopSource, item.get("by", "reply"), "stops"),
                since=_when(item.get("since", "1 day ago"), at, "stops"),
                until=_when(item["until"], at, "stops") if "until" in item else None,
            )
        )
    return tuple(found)


def _touches(value: object, facts: Facts) -> TouchHistory:
    """`touches`: `3 in 2 days`, spread evenly; `1 marketing.event by sms 5 hours ago of PLAN about TOPIC`."""
    items: list[Touch] = []
    for text in _texts(value, "touches"):
        found = _TOUCH.fullmatch(text)
        if found is None:
            raise WordError("touches")
        count = int(found[1])
        purpose = _word(Purpose, found[2], "touches") if found[2] else facts.ask.purpose
        kind = _word(ChannelKind, found[3], "touches") if found[3] else facts.ask.channel_kind
        if found[6]:
            step = int(found[6]) * _UNITS[found[7]] // (count + 1)
            instants = [facts.at - step * place for place in range(1, count + 1)]
        else:
            instants = [facts.at - int(found[8]) * _UNITS[found[9]]] * count
        items += [
            Touch(Instant(at), purpose, kind, _BINDS[found[4]], bool(found[5]), found[10] or "", found[11] or "")
            for at in instants
        ]
    order = sorted(items, key=lambda t: (t.at, t.purpose, t.channel_kind, t.binds, touch_marks(t)))
    return TouchHistory(since=Instant(facts.at - LONG), items=tuple(order))


def _guardian(value: object, facts: Facts) -> GuardianFact | None:
    if value == "none":
        return None
    item = _table(value, "guardian", {"verified", "acts", "told", "since", "until"})
    at = facts.at
    return GuardianFact(
        verified=_flag(item.get("verified", True), "guardian"),
        acts=_flag(item.get("acts", True), "guardian"),
        scopes=tuple(
            sorted(_word(DisclosureScope, one, "guardian") for one in _texts(item.get("told", []), "guardian"))
        ),
        since=_when(item.get("since", "5 years ago"), at, "guardian"),
        until=_when(item["until"], at, "guardian") if "until" in item else None,
    )


def _content(value: object, facts: Facts) -> Any:
    assert isinstance(facts.content, Known)
    numbers = {"approvals", "clinical", "commercial", "ethics", "lapsed"}
    item = _table(value, "content", {"status", "of", "on", "since", "until", "number", "data", "provider", *numbers})
    at, more = facts.at, dict[str, Any]({key: _number(item[key], "content") for key in numbers & set(item)})
    if "status" in item:
        more["status"] = _word(ContentStatus, item["status"], "content")
    for key, name in (("of", "purposes"), ("on", "channels")):
        if key in item:
            more[name] = _texts(item[key], "content")
    for key in ("since", "until"):
        if key in item:
            more[key] = _when(item[key], at, "content")
    if "number" in item:
        more["number_until"] = None if item["number"] == "none" else _when(item["number"], at, "content")
    if "data" in item:
        more["data"] = tuple(sorted(_word(DataClass, one, "content") for one in _texts(item["data"], "content")))
    if "provider" in item:
        more["provider"] = None if item["provider"] == "none" else _word(ProviderState, item["provider"], "content")
    return attrs.evolve(facts.content.value, **more)


def _contact(value: object, facts: Facts) -> ContactFact:
    item = _table({"status": value} if isinstance(value, str) else value, "contact", {"status", "verified", "persons"})
    verified = item.get("verified", "1 day ago")
    return ContactFact(
        status=_word(ContactStatus, item.get("status", "valid"), "contact"),
        verified_at=None if verified == "never" else _when(verified, facts.at, "contact"),
        persons=_number(item.get("persons", 1), "contact"),
    )


def _channel(value: object, facts: Facts) -> Any:
    assert isinstance(facts.channel, Known)
    item = _table(value, "provider", {"local", "usable", "allow_listed", "region", "agreement"})
    more: dict[str, Any] = {
        key: _flag(item[key], "provider") for key in ("local", "usable", "allow_listed") if key in item
    }
    if "region" in item:
        more["region"] = "".join(_texts(item["region"], "provider"))
    if "agreement" in item:
        none = item["agreement"] == "none"
        more["agreement_until"] = None if none else _when(item["agreement"], facts.at, "provider")
    return attrs.evolve(facts.channel.value, **more)


def _screening(value: object, facts: Facts) -> ScreeningFact | None:
    if value == "none":
        return None
    assert isinstance(facts.screening, Known) and facts.screening.value is not None  # noqa: PT018
    item = _table(value, "screening", {"found", "marks", "without"})
    good = facts.screening.value
    pairs = [tuple(text.split(": ")) for text in _texts(item.get("found", []), "screening")]
    if any(len(pair) != _PAIR or pair[1] not in ("refuse", "hold", "annotate") for pair in pairs):
        raise WordError("screening")
    marks = _texts(item["marks"], "screening") if "marks" in item else good.marks
    gone = _texts(item.get("without", []), "screening")
    if set(gone) - set(marks):
        raise WordError("screening")
    return attrs.evolve(
        good,
        findings=tuple(sorted((pair[0], pair[1]) for pair in pairs)),
        marks=tuple(sorted(set(marks) - set(gone))),
    )


def _clinician(value: object, facts: Facts) -> ClinicianFact | None:
    item = _table(value, "clinician", {"since", "until"})
    return ClinicianFact(
        since=_when(item.get("since", "5 years ago"), facts.at, "clinician"),
        until=_when(item["until"], facts.at, "clinician") if "until" in item else None,
    )


def _calendars(value: object, facts: Facts) -> tuple[CalendarFact, ...]:
    """`calendar`: letters of the days from the day before on, `w` working, `r` rest; `none`."""
    assert isinstance(facts.calendars, Known)
    if value == "none":
        return ()
    if not isinstance(value, str) or not value or set(value) - set("wr"):
        raise WordError("calendar")
    day = facts.at // DAY - 1
    return tuple(attrs.evolve(one, first=day, days=value) for one in facts.calendars.value)


_FACTS: Final[Mapping[str, tuple[str, Callable[[Any, Facts], Any]]]] = {
    "standing": ("standing", lambda v, _: _word(Standing, v, "standing")),
    "recipient": ("recipient_standing", lambda v, _: _word(Standing, v, "recipient")),
    "age": ("age", lambda v, _: _band(v, "age")),
    "stage": ("stage", lambda v, _: _word(LifecycleStage, v, "stage")),
    "contact": ("contact", _contact),
    "guardian": ("guardian", _guardian),
    "consent": ("grants", _grants),
    "stops": ("stops", _stops),
    "touches": ("touches", _touches),
    "content": ("content", _content),
    "provider": ("channel", _channel),
    "screening": ("screening", _screening),
    "clinician": ("clinician", _clinician),
    "calendar": ("calendars", _calendars),
    "mode": ("mode", lambda v, _: _word(Mode, v, "mode")),
    "clock": ("clock", lambda v, _: _word(ClockState, v, "clock")),
    "store": ("store", lambda v, _: _word(StoreState, v, "store")),
    "keys": ("keys_available", lambda v, _: _flag(v, "keys")),
    "veto": ("vetoes", lambda v, _: (VetoFact("example", "no"),) if _flag(v, "veto") else ()),
}
_OTHERS: Final = {"role", "address", "unknown", "stale"}

CHANGES: Final = frozenset({*_ASK, *_FACTS, *_OTHERS})
"""Every word with which a fixture may change the request."""


def changed(at: Instant, zones: ZoneFacts, words: Mapping[str, Any]) -> Facts:
    """The facts of a request that differs in these words.

    Raises:
        WordError: the value of a key is not understood.
        InvalidInputError: a scope holds an unknown word.
    """
    asked = {_ASK[key][0]: _ASK[key][1](words[key], at) for key in _ASK if key in words}
    if words.get("clinician") == "none":
        asked["clinician"] = ""
    facts = example_facts(at, zones, **asked)
    if "role" in words:
        facts = _for_somebody(_word(RecipientRole, words["role"], "role"), facts)
    if "address" in words:
        if words["address"] != "none":
            raise WordError("address")
        facts = attrs.evolve(facts, address=None)
    changes: dict[str, Any] = {}
    for key, (name, make) in _FACTS.items():
        if key in words:
            none = words[key] == "none" and key in {"clinician", "stage", "consent", "stops", "touches"}
            empty: Any = TouchHistory(since=Instant(at - LONG)) if key == "touches" else ()
            none_is = None if key in {"clinician", "stage"} else empty
            changes[name] = Known(none_is if none else make(words[key], facts))
    for key, fact in (("unknown", Absent.UNKNOWN), ("stale", Absent.STALE)):
        for name in _texts(words.get(key, []), key):
            if name not in _FACTS:
                raise WordError(key)
            changes[_FACTS[name][0]] = fact
    return attrs.evolve(facts, **changes)


def _for_somebody(role: RecipientRole, facts: Facts) -> Facts:
    """The same request to a guardian who consents and acts, or to a related person who may be told what it tells."""
    if role is RecipientRole.SELF:
        return facts
    assert isinstance(facts.grants, Known)
    told = (facts.ask.disclosure,) if facts.ask.disclosure is not None else ()
    acts = role is RecipientRole.GUARDIAN
    person = GuardianFact(verified=True, acts=acts, scopes=told, since=Instant(facts.at - LONG))
    by = RecipientRole.GUARDIAN if acts else RecipientRole.SELF
    grants = tuple(attrs.evolve(grant, by=by) for grant in facts.grants.value)
    return attrs.evolve(facts, role=role, recipient=RECIPIENT, guardian=Known(person), grants=Known(grants))
