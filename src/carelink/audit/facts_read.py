"""Facts from JSON, strictly: the exact inverse of `carelink.audit.facts_form`."""

from __future__ import annotations

import marshal
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, TypeVar

from carelink.audit.schema import (
    BOOLEAN,
    CHANNELS,
    CODE,
    COUNT,
    DAYS,
    HEX64,
    INTEGER,
    NAME,
    PLAN_NAME,
    PLANS,
    PURPOSES,
    REF,
    TEXT,
    Codec,
    Metadata,
    Shape,
    as_object,
    bad,
    choice,
    items,
    pair,
    several,
    words,
)
from carelink.consent.facts import (
    Absent,
    Ask,
    CalendarFact,
    ChannelFact,
    ClinicianFact,
    ClockState,
    ContactFact,
    ContentFact,
    Fact,
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
    ZoneFact,
    ZoneFacts,
)
from carelink.model.scope import EVERY_PLAN, Scope
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

__all__ = ["SHAPES", "TOUCH_LETTERS", "facts_from_json"]

T = TypeVar("T")

_ABSENT: Final = {absent.value: absent for absent in Absent}
TOUCH_LETTERS: Final = frozenset({"s", "r", "a", "sr", "sa", "ra", "sra"})
"""What a touch may bind: subject, recipient, address, in this order."""
_TOUCH_WORDS: Final = {
    (purpose.value, kind.value, letters): (purpose, kind, letters)
    for purpose in Purpose
    for kind in ChannelKind
    for letters in TOUCH_LETTERS
}
_TOUCH: Final = 4
"""Elements of a touch without marks."""
_MARK: Final = re.compile(r"(reply)|(plan|topic):(.*)", re.ASCII)


def _shape(required: Mapping[str, Metadata], optional: Mapping[str, Metadata] | None = None) -> Shape:
    """A shape of fields given as in `carelink.audit.schema`."""
    return Shape(*({name: each["codec"] for name, each in fields.items()} for fields in (required, optional or {})))


@lru_cache(maxsize=1024)
def _scope(purposes: tuple[str, ...], channels: tuple[str, ...], plans: tuple[str, ...]) -> Scope:
    """Scopes are few and stand in every decision."""
    return Scope(purposes, channels, plans)


def _read_scope(value: object, field: str) -> Scope:
    found = as_object(value, field, _SCOPE_FIELDS, _SCOPE_FIELDS_AND_PLANS)
    purposes = _PURPOSE_NAMES.read(found["purposes"], f"{field}.purposes")
    channels = _CHANNEL_NAMES.read(found["channels"], f"{field}.channels")
    plans = EVERY_PLAN
    if "plans" in found:
        plans = _PLAN_NAMES.read(found["plans"], f"{field}.plans")
        if plans == EVERY_PLAN:
            raise bad(f"{field}.plans", "names every plan and is not left out")
    scope = _scope(purposes, channels, plans)
    if (scope.purposes, scope.channels, scope.plans) != (purposes, channels, plans):
        raise bad(field, "is not sorted")
    return scope


_SCOPE_FIELDS: Final = frozenset({"purposes", "channels"})
_SCOPE_FIELDS_AND_PLANS: Final = _SCOPE_FIELDS | {"plans"}
_PLAN_NAMES: Final = items(PLANS)["codec"]
_PURPOSE_NAMES: Final = items(PURPOSES)["codec"]
_CHANNEL_NAMES: Final = items(CHANNELS)["codec"]
_SCOPE: Final = Codec(_read_scope, _read_scope, "scope").metadata

_ASK: Final = _shape(
    {
        "purpose": choice(Purpose),
        "channel": NAME,
        "channel_kind": choice(ChannelKind),
        "template": NAME,
        "template_version": INTEGER,
        "automated": BOOLEAN,
        "reply": BOOLEAN,
        "wait": BOOLEAN,
    },
    {
        "disclosure": choice(DisclosureScope),
        "not_before": INTEGER,
        "useless_after": INTEGER,
        "plan": PLAN_NAME,
        "topic": PLAN_NAME,
        "due_from": INTEGER,
        "due_until": INTEGER,
        "data": several(choice(DataClass)),
        "clinician": REF,
    },
)
_CONTACT: Final = _shape({"status": choice(ContactStatus), "persons": INTEGER}, {"verified_at": INTEGER})
_GUARDIAN: Final = _shape(
    {"verified": BOOLEAN, "acts": BOOLEAN, "scopes": items(choice(DisclosureScope)), "since": INTEGER},
    {"until": INTEGER},
)
_GRANT: Final = _shape(
    {
        "ref": REF,
        "scope": _SCOPE,
        "state": choice(GrantState),
        "by": choice(RecipientRole),
        "since": INTEGER,
        "separate": BOOLEAN,
        "notice": TEXT,
    },
    {
        "until": INTEGER,
        "ended_at": INTEGER,
        "method": choice(GrantMethod, but=GrantMethod.EXPLICIT),
        "age": choice(AgeBand),
    },
)
_STOP: Final = _shape(
    {
        "ref": REF,
        "binds": words("subject", "recipient", "address"),
        "scope": _SCOPE,
        "source": choice(StopSource),
        "since": INTEGER,
    },
    {"until": INTEGER},
)
_CONTENT: Final = _shape(
    {
        "status": choice(ContentStatus),
        "purposes": items(PURPOSES),
        "channels": items(CHANNELS),
        "digest": HEX64,
        "approvals": INTEGER,
        "since": INTEGER,
    },
    {
        "until": INTEGER,
        "clinical": COUNT,
        "commercial": COUNT,
        "ethics": COUNT,
        "lapsed": COUNT,
        "number_until": INTEGER,
        "data": several(choice(DataClass)),
        "provider": choice(ProviderState),
    },
)
_CHANNEL: Final = _shape(
    {"local": BOOLEAN, "usable": BOOLEAN, "allow_listed": BOOLEAN}, {"region": CODE, "agreement_until": INTEGER}
)
_CLINICIAN: Final = _shape({"since": INTEGER}, {"until": INTEGER})
_SCREENING: Final = _shape({"lists": HEX64}, {"findings": several(pair(NAME)), "marks": several(NAME)})
_CALENDAR: Final = _shape({"id": CODE, "first": INTEGER, "days": DAYS, "data": TEXT})
_VETO: Final = _shape({"plugin": TEXT, "code": TEXT})
SHAPES: Final = {
    "ask": _ASK, "contact": _CONTACT, "guardian": _GUARDIAN, "grants": _GRANT, "stops": _STOP, "content": _CONTENT,
    "channel": _CHANNEL, "vetoes": _VETO, "clinician": _CLINICIAN, "screening": _SCREENING, "calendars": _CALENDAR,
}  # fmt: skip
"""The objects in facts, for docs/reference/log-entry.md."""
_MOST_KEPT: Final = 512
_LONGEST_KEPT: Final = 1024
_HISTORY: Final = frozenset({"items", "since"})
_ZONES: Final = frozenset({"source", "until", "data", "candidates"})
_SOURCE: Final = words("patient", "address", "tenant")["codec"].read
_READ_INTEGER: Final = INTEGER["codec"].read
_READ_TEXT: Final = TEXT["codec"].read


def _array(value: object, field: str) -> list[Any]:
    if not isinstance(value, list):
        raise bad(field, "is not an array")
    return value


def _ascending(keys: list[Any], field: str, *, strictly: bool) -> None:
    for left, right in pairwise(keys):
        if not (left < right or (left == right and not strictly)):
            raise bad(field, "is not in order")


def _guardian(value: object, field: str) -> GuardianFact | None:
    return None if value == {} else GuardianFact(**_GUARDIAN.read(value, field))


def _grants(value: object, field: str) -> tuple[GrantFact, ...]:
    grants = tuple([GrantFact(**_GRANT.read(item, field)) for item in _array(value, field)])
    _ascending([grant.ref for grant in grants], field, strictly=True)
    return grants


def _stops(value: object, field: str) -> tuple[StopFact, ...]:
    stops = tuple(StopFact(**_STOP.read(item, field)) for item in _array(value, field))
    _ascending([(stop.ref, stop.binds) for stop in stops], field, strictly=True)
    return stops


def _touches(value: object, field: str) -> TouchHistory:
    found = as_object(value, field, _HISTORY, _HISTORY)
    name = f"{field}.items"
    rows = _array(found["items"], name)
    touches: tuple[Touch, ...] | None = None
    with suppress(TypeError):  # an array or an object where a word should be cannot be looked up
        touches = tuple([_touch(row, name) for row in rows])
    if touches is None:
        raise bad(name, "holds a touch with unknown words")
    if len(rows) > 1 and sorted(rows) != rows:  # the rows are by now known to be of one form, so they compare
        raise bad(name, "is not in order")
    return TouchHistory(since=_READ_INTEGER(found["since"], f"{field}.since"), items=touches)


def _touch(value: object, field: str) -> Touch:
    if not isinstance(value, list) or len(value) < _TOUCH:
        raise bad(field, "holds something that is not a touch")
    words = _TOUCH_WORDS.get(tuple(value[1:_TOUCH]))
    if words is None:
        raise bad(field, "holds a touch with unknown words")
    at = _READ_INTEGER(value[0], field)
    return Touch(at, *words) if len(value) == _TOUCH else Touch(at, *words, **_marks(value[_TOUCH:], field))


def _marks(marks: list[Any], field: str) -> dict[str, Any]:
    """What the marks of a touch say, each at most once and in alphabetical order."""
    found: dict[str, Any] = {}
    for mark in marks:
        read = _MARK.fullmatch(mark) if isinstance(mark, str) else None
        if read is None:
            raise bad(field, "holds a touch with an unknown mark")
        name = read[1] or read[2]
        found[name] = True if read[1] else PLAN_NAME["codec"].read(read[3], field)
    if list(found) != sorted(found) or len(found) != len(marks):
        raise bad(field, "holds a touch whose marks are not in order")
    return found


def _zones(value: object, field: str) -> ZoneFacts:
    found = as_object(value, field, _ZONES, _ZONES)
    name = f"{field}.candidates"
    return ZoneFacts(
        source=_SOURCE(found["source"], f"{field}.source"),
        until=_READ_INTEGER(found["until"], f"{field}.until"),
        data=_READ_TEXT(found["data"], f"{field}.data"),
        candidates=tuple(_zone(item, name) for item in _array(found["candidates"], name)),
    )


def _zone(value: object, field: str) -> ZoneFact:
    read = _READ_INTEGER
    pairs = []
    for each in _array(value, field):
        if not isinstance(each, list) or len(each) != 2:  # noqa: PLR2004  an instant and an offset
            raise bad(field, "holds something that is not an instant and an offset")
        pairs.append((read(each[0], field), read(each[1], field)))
    _ascending([at for at, _ in pairs], field, strictly=True)
    return ZoneFact(tuple(pairs))


def _screening(value: object, field: str) -> ScreeningFact:
    found = ScreeningFact(**_SCREENING.read(value, field))
    _ascending(list(found.findings), f"{field}.findings", strictly=True)
    _ascending(list(found.marks), f"{field}.marks", strictly=True)
    return found


def _calendars(value: object, field: str) -> tuple[CalendarFact, ...]:
    found = tuple(CalendarFact(**_CALENDAR.read(item, field)) for item in _array(value, field))
    if not found:
        raise bad(field, "is empty and not left out")
    _ascending([calendar.id for calendar in found], field, strictly=True)
    return found


def _vetoes(value: object, field: str) -> tuple[VetoFact, ...]:
    return tuple(VetoFact(**_VETO.read(item, field)) for item in _array(value, field))


def _remembered(read: Callable[[object, str], T]) -> Callable[[object, str], T]:
    """The reader of an object that stands alike in many decisions. Same bytes under `marshal` are the same value of the
    same types, which equal values need not be: to Python, 1 equals true.
    """
    kept: dict[bytes, T] = {}

    def read_once(value: object, field: str) -> T:
        key = marshal.dumps(value, 2)  # type: ignore[arg-type]  # JSON values all are
        found = kept.get(key)
        if found is None:
            found = read(value, field)
            if len(kept) >= _MOST_KEPT:
                kept.clear()
            if len(key) <= _LONGEST_KEPT:
                kept[key] = found
        return found

    return read_once


def _whole(read: Callable[[object, str], T]) -> Codec:
    """A field that is always known; facts are written by `carelink.audit.facts_form`, so only the reader counts."""
    return Codec(read, read, "object")


def _fact(read: Callable[[object, str], T]) -> Codec:
    """A fact, or the word that stands for one not known."""

    def read_fact(value: object, field: str) -> Fact[T]:
        absent = _ABSENT.get(value) if isinstance(value, str) else None
        return Known(read(value, field)) if absent is None else absent

    return Codec(read_fact, read_fact, "fact")


def _coded(metadata: Metadata) -> Codec:
    """A fact that is one of a few words: all there can be, made beforehand."""
    codec = metadata["codec"]
    facts: dict[str, Fact[Any]] = {word: Known(codec.read(word, "")) for word in codec.words}
    facts.update(_ABSENT)

    def read_coded(value: object, field: str) -> Fact[Any]:
        found = facts.get(value) if isinstance(value, str) else None
        return Known(codec.read(value, field)) if found is None else found  # `read` says what is wrong

    return Codec(read_coded, read_coded, "fact")


_FACTS: Final = Shape(
    {
        "at": INTEGER["codec"],
        "ask": _whole(_remembered(lambda value, field: Ask(**_ASK.read(value, field)))),
        "subject": REF["codec"],
        "recipient": REF["codec"],
        "role": choice(RecipientRole)["codec"],
        "standing": _coded(choice(Standing)),
        "recipient_standing": _coded(choice(Standing)),
        "age": _coded(choice(AgeBand)),
        "contact": _fact(lambda value, field: ContactFact(**_CONTACT.read(value, field))),
        "guardian": _fact(_guardian),
        "grants": _fact(_grants),
        "stops": _fact(_stops),
        "touches": _fact(_touches),
        "content": _fact(_remembered(lambda value, field: ContentFact(**_CONTENT.read(value, field)))),
        "channel": _fact(_remembered(lambda value, field: ChannelFact(**_CHANNEL.read(value, field)))),
        "zones": _fact(_remembered(_zones)),
        "mode": _coded(choice(Mode)),
        "clock": _coded(choice(ClockState)),
        "store": _coded(choice(StoreState)),
        "keys_available": _fact(BOOLEAN["codec"].read),
        "vetoes": _fact(_vetoes),
    },
    {
        "address": REF["codec"],
        "stage": _coded(choice(LifecycleStage)),
        "clinician": _fact(lambda value, field: ClinicianFact(**_CLINICIAN.read(value, field))),
        "screening": _fact(_remembered(_screening)),
        "calendars": _fact(_remembered(_calendars)),
    },
)


def facts_from_json(value: object, field: str = "facts") -> Facts:
    """The facts as recorded.

    Raises:
        FormatError: a field is missing, surplus, of the wrong type, not in its closed vocabulary or not in order; the
            message names the field.
    """
    found = _FACTS.read(value, field)
    found.setdefault("address", None)
    return Facts(**found)
