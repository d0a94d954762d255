"""Facts as JSON, written by hand because every decision pays for it. `facts_from_json` is the exact inverse.

Canonical order: grants by ref, stops by ref then binds, touches by (at, purpose, kind, binds, marks). A fact that was
not known is the upper-case word UNKNOWN or STALE, which no known value is. What is empty, nobody's or the usual is left
out, and must be.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from carelink.audit.facts_read import TOUCH_LETTERS, facts_from_json
from carelink.audit.schema import bad, unlike_number
from carelink.consent.facts import (
    Ask,
    CalendarFact,
    ChannelFact,
    ContactFact,
    ContentFact,
    Facts,
    GrantFact,
    GuardianFact,
    Known,
    ScreeningFact,
    StopFact,
    Touch,
    TouchHistory,
    ZoneFacts,
    touch_marks,
)
from carelink.model.scope import EVERY_PLAN, PLAN, Scope
from carelink.vocabulary import GrantMethod

__all__ = ["facts_from_json", "facts_to_json"]

Json = dict[str, Any]

_REF: Final[Callable[[str], object]] = re.compile(r"[0-9a-f]{32}", re.ASCII).fullmatch
_HEX64: Final[Callable[[str], object]] = re.compile(r"[0-9a-f]{64}", re.ASCII).fullmatch
_TEXT: Final = re.compile(r"[A-Za-z0-9_.:+/=*-]{0,128}", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)


def facts_to_json(facts: Facts) -> Json:
    """The facts in the form of entries.

    Raises:
        FormatError: an identifier is none, or a technical text could be a name, an address or a number of a person.
    """
    if not (_REF(facts.subject) and _REF(facts.recipient)):
        raise bad("facts.subject", "or `facts.recipient` is not an identifier")
    found: Json = {
        "at": facts.at,
        "ask": _ask(facts.ask),
        "subject": facts.subject,
        "recipient": facts.recipient,
        "role": facts.role,
        "standing": _plain(facts.standing),
        "recipient_standing": _plain(facts.recipient_standing),
        "age": _plain(facts.age),
        "contact": _contact(fact.value) if isinstance(fact := facts.contact, Known) else fact.value,
        "grants": _grants(grants.value) if isinstance(grants := facts.grants, Known) else grants.value,
        "stops": _stops(stops.value) if isinstance(stops := facts.stops, Known) else stops.value,
        "touches": _touches(touches.value) if isinstance(touches := facts.touches, Known) else touches.value,
        "content": _content(content.value) if isinstance(content := facts.content, Known) else content.value,
        "zones": _zones(zones.value) if isinstance(zones := facts.zones, Known) else zones.value,
        "mode": _plain(facts.mode),
        "clock": clock.value.value if isinstance(clock := facts.clock, Known) else clock.value,
        "store": store.value.value if isinstance(store := facts.store, Known) else store.value,
        "keys_available": _plain(facts.keys_available),
    }
    if facts.address is not None:
        if not _REF(facts.address):
            raise bad("facts.address", "is not an identifier")
        found["address"] = facts.address
    guardian = facts.guardian
    if isinstance(guardian, Known):
        found["guardian"] = {} if guardian.value is None else _guardian(guardian.value)
    else:
        found["guardian"] = guardian.value
    channel = facts.channel
    if isinstance(channel, Known):
        found["channel"] = _channel(channel.value)
    else:
        found["channel"] = channel.value
    vetoes = facts.vetoes
    if isinstance(vetoes, Known):
        found["vetoes"] = [
            {"plugin": _text(veto.plugin, "facts.vetoes.plugin"), "code": _text(veto.code, "facts.vetoes.code")}
            for veto in vetoes.value
        ]
    else:
        found["vetoes"] = vetoes.value
    _rare(facts, found)
    return found


def _rare(facts: Facts, found: Json) -> None:
    """Facts that most requests have nothing to say of: left out then."""
    stage, clinician = facts.stage, facts.clinician
    if stage.value is not None:
        found["stage"] = stage.value
    if not isinstance(clinician, Known):
        found["clinician"] = clinician.value
    elif (credential := clinician.value) is not None:
        found["clinician"] = {"since": credential.since}
        if credential.until is not None:
            found["clinician"]["until"] = credential.until
    screening, calendars = facts.screening, facts.calendars
    if not isinstance(screening, Known):
        found["screening"] = screening.value
    elif screening.value is not None:
        found["screening"] = _screening(screening.value)
    if not isinstance(calendars, Known):
        found["calendars"] = calendars.value
    elif calendars.value:
        found["calendars"] = [_calendar(calendar) for calendar in sorted(calendars.value, key=lambda one: one.id)]


def _plain(fact: Any) -> object:
    """A fact whose value is text or a truth value as it stands (members of StrEnum are their own text)."""
    return fact.value


@lru_cache(maxsize=4096)
def _text(text: str, field: str) -> str:
    if _TEXT.fullmatch(text) is None or not unlike_number(text):
        raise bad(field, "is not a short technical text")
    return text


@lru_cache(maxsize=4096)
def _name(text: str, field: str) -> str:
    if _NAME.fullmatch(text) is None or not unlike_number(text):
        raise bad(field, "is not a technical name")
    return text


def _ask(ask: Ask) -> Json:
    found: Json = {
        "purpose": ask.purpose,
        "channel": _name(ask.channel, "facts.ask.channel"),
        "channel_kind": ask.channel_kind,
        "template": _name(ask.template, "facts.ask.template"),
        "template_version": ask.template_version,
        "automated": ask.automated,
        "reply": ask.reply,
        "wait": ask.wait,
    }
    if ask.disclosure is not None:
        found["disclosure"] = ask.disclosure
    if ask.not_before is not None:
        found["not_before"] = ask.not_before
    if ask.useless_after is not None:
        found["useless_after"] = ask.useless_after
    if ask.plan:
        found["plan"] = _plan(ask.plan, "facts.ask.plan")
    if ask.topic:
        found["topic"] = _plan(ask.topic, "facts.ask.topic")
    if ask.due_from is not None:
        found["due_from"] = ask.due_from
    if ask.due_until is not None:
        found["due_until"] = ask.due_until
    if ask.data:
        found["data"] = sorted(set(ask.data))
    if ask.clinician:
        if not _REF(ask.clinician):
            raise bad("facts.ask.clinician", "is not an identifier")
        found["clinician"] = ask.clinician
    return found


@lru_cache(maxsize=4096)
def _plan(text: str, field: str) -> str:
    if PLAN.fullmatch(text) is None or not unlike_number(text):
        raise bad(field, "is not the name of a plan or topic")
    return text


def _scope(scope: Scope) -> Json:
    found: Json = {"channels": scope.channels, "purposes": scope.purposes}
    if scope.plans != EVERY_PLAN:
        found["plans"] = scope.plans
    return found


def _screening(screening: ScreeningFact) -> Json:
    if not _HEX64(screening.lists):
        raise bad("facts.screening.lists", "is not a digest")
    found: Json = {"lists": screening.lists}
    if screening.findings:
        found["findings"] = [
            [_name(category, "facts.screening.findings"), _name(action, "facts.screening.findings")]
            for category, action in sorted(set(screening.findings))
        ]
    if screening.marks:
        found["marks"] = [_name(mark, "facts.screening.marks") for mark in sorted(set(screening.marks))]
    return found


def _calendar(calendar: CalendarFact) -> Json:
    return {
        "id": _text(calendar.id, "facts.calendars.id"),
        "first": calendar.first,
        "days": calendar.days,
        "data": _text(calendar.data, "facts.calendars.data"),
    }


def _channel(channel: ChannelFact) -> Json:
    found: Json = {"local": channel.local, "usable": channel.usable, "allow_listed": channel.allow_listed}
    if channel.region:
        found["region"] = _text(channel.region, "facts.channel.region")
    if channel.agreement_until is not None:
        found["agreement_until"] = channel.agreement_until
    return found


def _contact(contact: ContactFact) -> Json:
    found: Json = {"status": contact.status, "persons": contact.persons}
    if contact.verified_at is not None:
        found["verified_at"] = contact.verified_at
    return found


def _guardian(guardian: GuardianFact) -> Json:
    found: Json = {
        "verified": guardian.verified,
        "acts": guardian.acts,
        "scopes": guardian.scopes,
        "since": guardian.since,
    }
    if guardian.until is not None:
        found["until"] = guardian.until
    return found


def _grants(grants: tuple[GrantFact, ...]) -> list[Json]:
    found = []
    for grant in grants:
        if not _REF(grant.ref):
            raise bad("facts.grants.ref", "is not an identifier")
        item: Json = {
            "ref": grant.ref,
            "scope": _scope(grant.scope),
            "state": grant.state,
            "by": grant.by,
            "since": grant.since,
            "separate": grant.separate,
            "notice": _text(grant.notice, "facts.grants.notice"),
        }
        if grant.until is not None:
            item["until"] = grant.until
        if grant.ended_at is not None:
            item["ended_at"] = grant.ended_at
        if grant.method is not GrantMethod.EXPLICIT:
            item["method"] = grant.method
        if grant.age is not None:
            item["age"] = grant.age
        found.append(item)
    if len(found) > 1:
        found.sort(key=lambda item: item["ref"])
    return found


def _stops(stops: tuple[StopFact, ...]) -> list[Json]:
    found = []
    for stop in stops:
        if not _REF(stop.ref):
            raise bad("facts.stops.ref", "is not an identifier")
        item: Json = {
            "ref": stop.ref,
            "binds": stop.binds,
            "scope": _scope(stop.scope),
            "source": stop.source,
            "since": stop.since,
        }
        if stop.until is not None:
            item["until"] = stop.until
        found.append(item)
    if len(found) > 1:
        found.sort(key=lambda item: (item["ref"], item["binds"]))
    return found


def _touches(history: TouchHistory) -> Json:
    found = [_touch(touch) for touch in history.items]
    if not TOUCH_LETTERS.issuperset([touch.binds for touch in history.items]):
        raise bad("facts.touches.items", "holds a touch with unknown words")
    if len(found) > 1:
        found.sort()
    return {"items": found, "since": history.since}


def _touch(touch: Touch) -> list[Any]:
    """Marks follow in alphabetical order: "plan:…", "reply", "topic:…"."""
    for name in (touch.plan, touch.topic):
        if name:
            _plan(name, "facts.touches.items")
    return [touch.at, touch.purpose, touch.channel_kind, touch.binds, *touch_marks(touch)]


def _content(content: ContentFact) -> Json:
    if not _HEX64(content.digest):
        raise bad("facts.content.digest", "is not a digest")
    found: Json = {
        "status": content.status,
        "purposes": content.purposes,
        "channels": content.channels,
        "digest": content.digest,
        "approvals": content.approvals,
        "since": content.since,
    }
    if content.until is not None:
        found["until"] = content.until
    for name in ("clinical", "commercial", "ethics", "lapsed"):
        if (number := getattr(content, name)) != 0:
            found[name] = number
    if content.number_until is not None:
        found["number_until"] = content.number_until
    if content.data:
        found["data"] = sorted(set(content.data))
    if content.provider is not None:
        found["provider"] = content.provider
    return found


def _zones(zones: ZoneFacts) -> Json:
    return {
        "source": zones.source,
        "until": zones.until,
        "data": _text(zones.data, "facts.zones.data"),
        "candidates": [candidate.offsets for candidate in zones.candidates],
    }
