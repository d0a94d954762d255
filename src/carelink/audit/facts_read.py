"""Facts from JSON, strictly: the exact inverse of `carelink.audit.facts_form`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final, TypeVar

from carelink.audit.schema import (
    BOOLEAN,
    CHANNELS,
    HEX64,
    INTEGER,
    NAME,
    PURPOSES,
    REF,
    TEXT,
    Codec,
    as_object,
    bad,
    choice,
    items,
    words,
)
from carelink.consent.facts import (
    Absent,
    Ask,
    ChannelFact,
    ClockState,
    ContactFact,
    ContentFact,
    Fact,
    Facts,
    GrantFact,
    GuardianFact,
    Known,
    StopFact,
    StoreState,
    Touch,
    TouchHistory,
    VetoFact,
    ZoneFact,
    ZoneFacts,
)
from carelink.model.scope import Scope
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DisclosureScope,
    GrantState,
    Mode,
    Purpose,
    RecipientRole,
    Standing,
    StopSource,
)

__all__ = ["SHAPES", "TOUCH_LETTERS", "facts_from_json"]

T = TypeVar("T")
Metadata = Mapping[str, Codec]

_ABSENT: Final = {absent.value: absent for absent in Absent}
_PURPOSE: Final = {purpose.value: purpose for purpose in Purpose}
_KIND: Final = {kind.value: kind for kind in ChannelKind}
TOUCH_LETTERS: Final = frozenset({"s", "r", "a", "sr", "sa", "ra", "sra"})
"""What a touch may bind: subject, recipient, address, in this order."""
_TOUCH: Final = 4
"""Elements of a touch that answered nothing; one that replied has the word "reply" as a fifth."""


class _Shape:
    """An object in the facts: its fields and their types."""

    def __init__(self, required: dict[str, Metadata], optional: dict[str, Metadata] | None = None) -> None:
        fields = {**required, **(optional or {})}
        self.codecs = {name: metadata["codec"] for name, metadata in fields.items()}
        self.required, self._allowed = frozenset(required), frozenset(fields)

    def read(self, value: object, field: str) -> dict[str, Any]:
        """The fields, each read."""
        found = as_object(value, field, self.required, self._allowed)
        return {name: self.codecs[name].read(item, f"{field}.{name}") for name, item in found.items()}


def _read_scope(value: object, field: str) -> Scope:
    found = as_object(value, field, _SCOPE_FIELDS, _SCOPE_FIELDS)
    purposes = _PURPOSE_NAMES.read(found["purposes"], f"{field}.purposes")
    channels = _CHANNEL_NAMES.read(found["channels"], f"{field}.channels")
    scope = Scope(purposes, channels)
    if scope.purposes != purposes or scope.channels != channels:
        raise bad(field, "is not sorted")
    return scope


_SCOPE_FIELDS: Final = frozenset({"purposes", "channels"})
_PURPOSE_NAMES: Final = items(PURPOSES)["codec"]
_CHANNEL_NAMES: Final = items(CHANNELS)["codec"]
_SCOPE: Final = Codec(_read_scope, _read_scope, "scope").metadata

_ASK: Final = _Shape(
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
    {"disclosure": choice(DisclosureScope), "not_before": INTEGER, "useless_after": INTEGER},
)
_CONTACT: Final = _Shape({"status": choice(ContactStatus), "persons": INTEGER}, {"verified_at": INTEGER})
_GUARDIAN: Final = _Shape(
    {"verified": BOOLEAN, "acts": BOOLEAN, "scopes": items(choice(DisclosureScope)), "since": INTEGER},
    {"until": INTEGER},
)
_GRANT: Final = _Shape(
    {
        "ref": REF,
        "scope": _SCOPE,
        "state": choice(GrantState),
        "by": choice(RecipientRole),
        "since": INTEGER,
        "separate": BOOLEAN,
        "notice": TEXT,
    },
    {"until": INTEGER, "ended_at": INTEGER},
)
_STOP: Final = _Shape(
    {
        "ref": REF,
        "binds": words("subject", "recipient", "address"),
        "scope": _SCOPE,
        "source": choice(StopSource),
        "since": INTEGER,
    },
    {"until": INTEGER},
)
_CONTENT: Final = _Shape(
    {
        "status": choice(ContentStatus),
        "purposes": items(PURPOSES),
        "channels": items(CHANNELS),
        "digest": HEX64,
        "approvals": INTEGER,
        "since": INTEGER,
    },
    {"until": INTEGER},
)
_CHANNEL: Final = _Shape({"local": BOOLEAN, "usable": BOOLEAN, "allow_listed": BOOLEAN})
_VETO: Final = _Shape({"plugin": TEXT, "code": TEXT})
SHAPES: Final = {
    "ask": _ASK, "contact": _CONTACT, "guardian": _GUARDIAN, "grants": _GRANT, "stops": _STOP, "content": _CONTENT,
    "channel": _CHANNEL, "vetoes": _VETO,
}  # fmt: skip
"""The objects in facts, for docs/reference/log-entry.md."""
_TOP: Final = frozenset(
    {
        "at", "ask", "subject", "recipient", "role", "standing", "recipient_standing", "age", "contact", "guardian",
        "grants", "stops", "touches", "content", "channel", "zones", "mode", "clock", "store", "keys_available",
        "vetoes",
    }
)  # fmt: skip
_TOP_ALLOWED: Final = _TOP | {"address"}
_HISTORY: Final = frozenset({"items", "since"})
_ZONES: Final = frozenset({"source", "until", "data", "candidates"})
_SOURCE: Final = words("patient", "address", "tenant")["codec"]


def facts_from_json(value: object, field: str = "facts") -> Facts:
    """The facts as recorded.

    Raises:
        FormatError: a field is missing, surplus, of the wrong type, not in its closed vocabulary or not in order; the
            message names the field.
    """
    found = as_object(value, field, _TOP, _TOP_ALLOWED)

    def take(name: str, metadata: Metadata) -> Any:
        return metadata["codec"].read(found[name], f"{field}.{name}")

    def fact(name: str, read: Callable[[object, str], T]) -> Fact[T]:
        item = found[name]
        absent = _ABSENT.get(item) if isinstance(item, str) else None
        return absent if absent is not None else Known(read(item, f"{field}.{name}"))

    def coded(name: str, metadata: Metadata) -> Any:
        return fact(name, metadata["codec"].read)

    return Facts(
        at=take("at", INTEGER),
        ask=Ask(**_ASK.read(found["ask"], f"{field}.ask")),
        subject=take("subject", REF),
        recipient=take("recipient", REF),
        role=take("role", choice(RecipientRole)),
        address=take("address", REF) if "address" in found else None,
        standing=coded("standing", choice(Standing)),
        recipient_standing=coded("recipient_standing", choice(Standing)),
        age=coded("age", choice(AgeBand)),
        contact=fact("contact", lambda item, name: ContactFact(**_CONTACT.read(item, name))),
        guardian=fact("guardian", _guardian),
        grants=fact("grants", _grants),
        stops=fact("stops", _stops),
        touches=fact("touches", _touches),
        content=fact("content", lambda item, name: ContentFact(**_CONTENT.read(item, name))),
        channel=fact("channel", lambda item, name: ChannelFact(**_CHANNEL.read(item, name))),
        zones=fact("zones", _zones),
        mode=coded("mode", choice(Mode)),
        clock=coded("clock", choice(ClockState)),
        store=coded("store", choice(StoreState)),
        keys_available=coded("keys_available", BOOLEAN),
        vetoes=fact("vetoes", _vetoes),
    )


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
    grants = tuple(GrantFact(**_GRANT.read(item, field)) for item in _array(value, field))
    _ascending([grant.ref for grant in grants], field, strictly=True)
    return grants


def _stops(value: object, field: str) -> tuple[StopFact, ...]:
    stops = tuple(StopFact(**_STOP.read(item, field)) for item in _array(value, field))
    _ascending([(stop.ref, stop.binds) for stop in stops], field, strictly=True)
    return stops


def _touches(value: object, field: str) -> TouchHistory:
    found = as_object(value, field, _HISTORY, _HISTORY)
    name = f"{field}.items"
    touches = tuple(_touch(item, name) for item in _array(found["items"], name))
    _ascending([(t.at, t.purpose, t.channel_kind, t.binds, t.reply) for t in touches], name, strictly=False)
    return TouchHistory(since=INTEGER["codec"].read(found["since"], f"{field}.since"), items=touches)


def _touch(value: object, field: str) -> Touch:
    if not isinstance(value, list) or len(value) not in (_TOUCH, _TOUCH + 1):
        raise bad(field, "holds something that is not a touch")
    reply = len(value) > _TOUCH
    if reply and value[_TOUCH] != "reply":
        raise bad(field, "holds a touch with an unknown mark")
    at, purpose, kind, binds = value[:_TOUCH]
    texts = isinstance(purpose, str) and isinstance(kind, str) and isinstance(binds, str)
    if not texts or purpose not in _PURPOSE or kind not in _KIND or binds not in TOUCH_LETTERS:
        raise bad(field, "holds a touch with unknown words")
    return Touch(INTEGER["codec"].read(at, field), _PURPOSE[purpose], _KIND[kind], binds, reply)


def _zones(value: object, field: str) -> ZoneFacts:
    found = as_object(value, field, _ZONES, _ZONES)
    name = f"{field}.candidates"
    return ZoneFacts(
        source=_SOURCE.read(found["source"], f"{field}.source"),
        until=INTEGER["codec"].read(found["until"], f"{field}.until"),
        data=TEXT["codec"].read(found["data"], f"{field}.data"),
        candidates=tuple(_zone(item, name) for item in _array(found["candidates"], name)),
    )


def _zone(value: object, field: str) -> ZoneFact:
    read = INTEGER["codec"].read
    pairs = []
    for pair in _array(value, field):
        if not isinstance(pair, list) or len(pair) != 2:  # noqa: PLR2004  an instant and an offset
            raise bad(field, "holds something that is not an instant and an offset")
        pairs.append((read(pair[0], field), read(pair[1], field)))
    _ascending([at for at, _ in pairs], field, strictly=True)
    return ZoneFact(tuple(pairs))


def _vetoes(value: object, field: str) -> tuple[VetoFact, ...]:
    return tuple(VetoFact(**_VETO.read(item, field)) for item in _array(value, field))
