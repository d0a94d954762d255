"""Facts made of an entry's JSON by somebody who trusts it: what parsing an entry costs before anything is checked.

`carelink.audit` reads the same strictly: every field there, no other, each of its closed type, in order. The benchmark of the
log compares the two, and asserts that they make equal facts.
"""

from __future__ import annotations

from typing import Any

from carelink.consent.facts import (
    Absent,
    Ask,
    ChannelFact,
    ClockState,
    ContactFact,
    ContentFact,
    Facts,
    GrantFact,
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
from carelink.model.scope import Scope
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    GrantState,
    Mode,
    Purpose,
    RecipientRole,
    Standing,
    StopSource,
)

WORDS: dict[type, dict[str, Any]] = {
    kind: {member.value: member for member in kind}
    for kind in (AgeBand, ChannelKind, ClockState, ContactStatus, ContentStatus, GrantState, Mode, Purpose, RecipientRole,
                 Standing, StopSource, StoreState)  # type: ignore[attr-defined]
}  # fmt: skip
ROLES, STANDINGS, AGES, MODES = WORDS[RecipientRole], WORDS[Standing], WORDS[AgeBand], WORDS[Mode]
CLOCKS, STORES, PURPOSES, KINDS = WORDS[ClockState], WORDS[StoreState], WORDS[Purpose], WORDS[ChannelKind]
ABSENT = {absent.value: absent for absent in Absent}
SCOPES: dict[tuple[tuple[str, ...], tuple[str, ...]], Scope] = {}


def scope(value: dict[str, list[str]]) -> Scope:
    key = (tuple(value["purposes"]), tuple(value["channels"]))
    found = SCOPES.get(key)
    if found is None:
        found = SCOPES[key] = Scope(*key)
    return found


def ask(value: dict[str, Any]) -> Ask:
    return Ask(**{**value, "purpose": PURPOSES[value["purpose"]], "channel_kind": KINDS[value["channel_kind"]]})


def contact(value: dict[str, Any]) -> ContactFact:
    return ContactFact(**{**value, "status": WORDS[ContactStatus][value["status"]]})


def grants(value: list[dict[str, Any]]) -> tuple[GrantFact, ...]:
    return tuple(
        GrantFact(
            **{
                **each,
                "scope": scope(each["scope"]),
                "state": WORDS[GrantState][each["state"]],
                "by": ROLES[each["by"]],
            }
        )
        for each in value
    )


def stops(value: list[dict[str, Any]]) -> tuple[StopFact, ...]:
    return tuple(
        StopFact(**{**each, "scope": scope(each["scope"]), "source": WORDS[StopSource][each["source"]]})
        for each in value
    )


def touches(value: dict[str, Any]) -> TouchHistory:
    rows = [
        Touch(at, PURPOSES[purpose], KINDS[kind], binds, bool(reply))
        for at, purpose, kind, binds, *reply in value["items"]
    ]
    return TouchHistory(since=value["since"], items=tuple(rows))


def content(value: dict[str, Any]) -> ContentFact:
    more = {"purposes": tuple(value["purposes"]), "channels": tuple(value["channels"])}
    return ContentFact(**{**value, **more, "status": WORDS[ContentStatus][value["status"]]})


def zones(value: dict[str, Any]) -> ZoneFacts:
    candidates = tuple(ZoneFact(tuple((at, offset) for at, offset in zone)) for zone in value["candidates"])
    return ZoneFacts(**{**value, "candidates": candidates})


MADE = {
    "standing": STANDINGS.get,
    "recipient_standing": STANDINGS.get,
    "age": AGES.get,
    "contact": contact,
    "guardian": lambda value: None if not value else NotImplemented,  # no patient of this log has a guardian
    "grants": grants,
    "stops": stops,
    "touches": touches,
    "content": content,
    "channel": lambda value: ChannelFact(**value),
    "zones": zones,
    "mode": MODES.get,
    "clock": CLOCKS.get,
    "store": STORES.get,
    "keys_available": bool,
    "vetoes": lambda value: tuple(VetoFact(**each) for each in value),
}


def screening(value: dict[str, Any]) -> ScreeningFact:
    found = tuple((category, action) for category, action in value.get("findings", ()))
    return ScreeningFact(lists=value["lists"], findings=found, marks=tuple(value.get("marks", ())))


def facts(value: dict[str, Any]) -> Facts:
    """The facts of a decision."""
    known = {}
    for name, make in MADE.items():
        found = value[name]
        absent = ABSENT.get(found) if type(found) is str else None
        known[name] = Known(make(found)) if absent is None else absent
    if "screening" in value:
        known["screening"] = Known(screening(value["screening"]))
    return Facts(
        at=value["at"],
        ask=ask(value["ask"]),
        subject=value["subject"],
        recipient=value["recipient"],
        role=ROLES[value["role"]],
        address=value.get("address"),
        **known,
    )
