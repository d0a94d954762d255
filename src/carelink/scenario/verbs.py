"""What each verb of a step does to the play, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs

from carelink.content.screening.codes import Action
from carelink.content.screening.screen import screen_rendered
from carelink.engine.inbound import InboundResult
from carelink.engine.outcome import Forecast, SendOutcome
from carelink.errors import CarelinkError, InvalidInputError
from carelink.model.moment import DAY, SECOND, Instant, to_datetime
from carelink.model.request import Request
from carelink.model.scope import EVERY_PLAN
from carelink.packs.screening_lists import default_lists
from carelink.ports.channel import ChannelEvent
from carelink.scenario.cast import Person, Play, scope_of
from carelink.scenario.moments import moment
from carelink.scenario.proof import first_bad_entry
from carelink.scenario.quirks import Killed, provider
from carelink.scenario.record import record_of
from carelink.testing.fakes import Handed, RecordingChannel
from carelink.vault.personal import Personal
from carelink.vocabulary import ChannelKind, DeliveryEvent, Purpose

__all__ = ["Asked", "Result", "asks_of", "run_ask", "run_verb"]

_PLAIN: Final = (
    "version", "variables", "disclosure", "plan", "topic", "data", "clinician", "automated", "reply", "wait",
)  # fmt: skip
_MOMENTS: Final = ("due_from", "due_until", "not_before", "useless_after")
_ASKS: Final = ("send", "permit", "preview", "programme")


@attrs.define
class Result:
    """What came of a step.

    Attributes:
        asked: who was asked for, with the answer.
        left: messages that left, with the channel.
        findings: reasons that screening found.
        fails_at: the entry that verification named; -1 if it named none.
        state: what is on record of a patient who was looked at.
        killed: the process died in it, as a far end was told to let it.
        error: code of the error the call ended with.
    """

    asked: list[tuple[str, SendOutcome | Forecast]] = attrs.field(factory=list)
    left: list[tuple[str, Handed]] = attrs.field(factory=list)
    inbound: list[InboundResult] = attrs.field(factory=list)
    findings: list[str] = attrs.field(factory=list)
    entries: list[bytes] = attrs.field(factory=list)
    state: dict[str, object] = attrs.field(factory=dict)
    killed: bool = False
    fails_at: int | None = None
    error: str = ""


@attrs.frozen(kw_only=True)
class Asked:
    """One round of asks, at its moment: who, and the request of each."""

    at: Instant
    verb: str
    given: Mapping[str, Any]
    where: str
    key: str


def asks_of(step: Mapping[str, Any], at: Instant, zone: str, where: str, number: int) -> list[Asked]:
    """The rounds of asks of a step, empty if it asks for nothing."""
    verb = next((name for name in _ASKS if name in step), None)
    if verb is None:
        return []
    given = step[verb]
    if "parts" in given:
        return _parts(step, at, zone, where, number)
    times, every = (given["times"], given.get("every", 1)) if verb == "programme" else (1, 1)
    key = given.get("key", step.get("name", f"step-{number}"))
    return [
        Asked(
            at=Instant(at + place * every * DAY),
            verb=verb,
            given=given,
            where=f"{where}.{verb}",
            key=key if times == 1 else f"{key}#{place + 1}",
        )
        for place in range(times)
    ]


def _parts(step: Mapping[str, Any], at: Instant, zone: str, where: str, number: int) -> list[Asked]:
    """The rounds of a programme whose parts have moments of their own: pure expansion, a part's keys before its own."""
    given = step["programme"]
    whole = {key: value for key, value in given.items() if key != "parts"}
    key = given.get("key", step.get("name", f"step-{number}"))
    made = []
    for place, part in enumerate(given["parts"], 1):
        here = f"{where}.programme.parts[{place}]"
        own = {name: value for name, value in part.items() if name != "after"}
        due = moment(part["after"], at, zone, f"{here}.after")
        if due < at:
            raise InvalidInputError(f"{here}.after: before the programme begins", hint="`+0d`, `+7d 09:00`")
        made.append(Asked(at=due, verb="programme", given={**whole, **own}, where=here, key=f"{key}#{place}"))
    return made


def run_ask(play: Play, asked: Asked, result: Result, start: Instant) -> None:
    """Ask once for everybody that a round names."""
    people = play.everybody(asked.given["to"], f"{asked.where}.to")
    single = len(people) == 1
    requests = [
        _request(play, asked, person, asked.key if single else f"{asked.key}/{person.label}", start)
        for person in people
    ]
    link = play.link
    found: list[SendOutcome | Forecast]
    try:
        if asked.verb == "preview":
            found = [*link.preview_many(requests)]
        else:
            found = [*(link.permit_many(requests) if asked.verb == "permit" else link.send_many(requests))]
    except Killed:
        result.killed = True
        play.restart()
        return
    for person, outcome in zip(people, found, strict=True):
        if outcome.error is not None:
            result.error = result.error or outcome.error.code
        result.asked.append((person.label, outcome))


def _request(play: Play, asked: Asked, person: Person, key: str, start: Instant) -> Request:
    given, where = asked.given, asked.where
    more: dict[str, Any] = {name: given[name] for name in _PLAIN if name in given}
    more |= {name: play.when(given, name, where, start) for name in _MOMENTS if name in given}
    if "recipient" in given:
        if given["recipient"] not in person.relatives:
            raise InvalidInputError(f"{where}.recipient: no relative is called so", hint="see `[[patient.related]]`")
        more["recipient"] = person.relatives[given["recipient"]].related
    channel = play.channel(given["channel"], f"{where}.channel").info.name
    return Request(
        key=key, patient=person.id, purpose=given["purpose"], channel=channel, template=given["template"], **more
    )


def _reply(play: Play, given: Mapping[str, Any], where: str, results: Mapping[str, Result]) -> Result:
    channel = play.channel(given["channel"], f"{where}.channel")
    address = _address(play, given["from"], channel, f"{where}.from")
    key = None
    if "to" in given:
        left = _named(results, given["to"], f"{where}.to").left
        key = next((handed.key for name, handed in left if name == channel.info.name), None)
    event = ChannelEvent(
        event=DeliveryEvent.REPLIED,
        key=key,
        address=Personal(address),
        text=Personal(given["text"]),
        at=play.clock.now(),
    )
    return Result(inbound=play.link.inbound(channel.info.name, [event]))


def _address(play: Play, label: str, channel: RecordingChannel, where: str) -> str:
    address = _who(play, label, where).addresses.get(channel.info.address_kind)
    if address is None:
        raise InvalidInputError(f"{where}: has no address of this channel", hint="see `contacts`")
    return address


def _who(play: Play, label: str, where: str) -> Person:
    for person in play.people.values():
        if label in person.relatives and label not in play.people:
            return person.relatives[label]
    return play.person(label, where)


def _named(results: Mapping[str, Result], name: str, where: str) -> Result:
    if name not in results:
        raise InvalidInputError(f"{where}: no earlier step is named so", hint="a step's `name`")
    return results[name]


def _report(play: Play, given: Mapping[str, Any], where: str, results: Mapping[str, Result]) -> Result:
    result = Result()
    if "from" in given:
        channel = play.channel(given.get("channel", ""), f"{where}.channel")
        address = _address(play, given["from"], channel, f"{where}.from")
        event = ChannelEvent(
            event=DeliveryEvent(given["event"]), address=Personal(address), at=play.clock.now(),
            event_id=f"{given['from']}-{given['event']}-{play.clock.monotonic()}",
        )  # fmt: skip
        return Result(inbound=play.link.inbound(channel.info.name, [event] * given.get("times", 1)))
    for name, handed in _named(results, given["of"], f"{where}.of").left:
        event = ChannelEvent(
            event=DeliveryEvent(given["event"]), key=handed.key, address=Personal(handed.address), at=play.clock.now(),
            event_id=f"{handed.key}-{given['event']}",
        )  # fmt: skip
        result.inbound += play.link.inbound(name, [event] * given.get("times", 1))
    return result


def _withdraw(play: Play, given: Mapping[str, Any], where: str) -> None:
    scope = scope_of(given)
    for person in play.everybody(given["patient"], f"{where}.patient"):
        play.link.withdraw(
            person.id, purposes=scope.purposes, channels=scope.channels, plans=scope.plans,
            evidence="told the desk",
        )  # fmt: skip


def _stop(play: Play, given: Mapping[str, Any], where: str) -> None:
    scope = scope_of(given)
    for person in play.everybody(given["patient"], f"{where}.patient"):
        play.link.stop(
            person.id, purposes=scope.purposes, channels=scope.channels, plans=scope.plans,
            source=given.get("source", "staff"),
        )  # fmt: skip


def _lift(play: Play, given: Mapping[str, Any], where: str) -> None:
    scope = scope_of(given)
    for person in play.everybody(given["patient"], f"{where}.patient"):
        play.link.lift(
            person.id, purposes=scope.purposes, channels=scope.channels, plans=scope.plans,
            actor="desk",
        )  # fmt: skip


def _merge(play: Play, given: Mapping[str, Any], where: str) -> None:
    play.link.registration.merge(play.person(given["patient"], where).id, play.person(given["into"], where).id)


def _approve(play: Play, given: Mapping[str, Any], where: str) -> None:
    del where
    role = given.get("role", "clinical")
    play.link.approve(given["template"], given.get("version", 1), actor=given["by"], role=role)


def _screen(play: Play, given: Mapping[str, Any], where: str) -> Result:
    versions = [version for name, version in play.contents if name == given["template"]]
    if not versions:
        raise InvalidInputError(f"{where}.template: no content of this name", hint="see `[[content]]`")
    content = play.contents[given["template"], max(versions)]
    parts = {name: content[name] for name in ("subject", "body") if content.get(name)}
    found = screen_rendered(
        parts, purpose=Purpose(given["purpose"]), channel_kind=ChannelKind(given["channel"]), lists=default_lists()
    )
    reasons = [one.reason for one in found.findings if one.action in (Action.REFUSE, Action.HOLD)]
    return Result(findings=sorted({str(reason) for reason in reasons if reason}))


def _number(play: Play, given: Mapping[str, Any], where: str) -> None:
    until = play.when(given, "until", where)
    play.link.approval_number(
        given["template"], given.get("version", 1), number=given["number"], actor="office",
        until=None if until is None else to_datetime(until),
    )  # fmt: skip


def _provider_template(play: Play, given: Mapping[str, Any], where: str) -> None:
    name = play.channel(given["channel"], f"{where}.channel").info.name
    play.link.provider_template(
        given["template"], given.get("version", 1), channel=name, state=given["state"], provider_id="S1", actor="office"
    )


def _retract(play: Play, given: Mapping[str, Any], where: str) -> None:
    del where
    play.link.adoption.retract(given["template"], given.get("version", 1), by=play.link.actor("office"))


def _recover(play: Play, given: Any, where: str) -> None:
    del given, where
    play.link.recover()


def _nothing(_: object) -> None:
    """What a verb comes to that is seen in what it makes: entries, and later answers."""


def _plan_ended(play: Play, given: Mapping[str, Any], where: str) -> None:
    play.link.plan_ended(play.person(given["patient"], where).id, plans=given["plans"])


def _returned(play: Play, given: Mapping[str, Any], where: str) -> None:
    play.link.returned(play.person(given["patient"], where).id, plans=given.get("plans", EVERY_PLAN), actor="desk")


def _stage(play: Play, given: Mapping[str, Any], where: str) -> None:
    play.link.stage(play.person(given["patient"], where).id, given["stage"])


def _end_credential(play: Play, given: Mapping[str, Any], where: str) -> None:
    del where
    play.link.end_credential(given["name"], given.get("role", "clinical"), actor="registrar")


def _restart(play: Play, given: Any, where: str) -> None:
    del given, where
    play.restart()


_Verb = Callable[[Play, Any, str], Result | None]
_VERBS: Final[Mapping[str, _Verb]] = {
    "grant": Play.grant,
    "withdraw": _withdraw,
    "stop": _stop,
    "lift": _lift,
    "patient": Play.patient,
    "relate": Play.relate,
    "stage": _stage,
    "died": lambda play, label, where: play.link.died(play.person(label, where).id),
    "transferred": lambda play, label, where: _nothing(play.link.transferred(play.person(label, where).id)),
    "plan_ended": _plan_ended,
    "returned": _returned,
    "merge": _merge,
    "content": Play.content,
    "approve": _approve,
    "credential": Play.staff,
    "end_credential": _end_credential,
    "screen": _screen,
    "provider": provider,
    "adopt": lambda play, names, _: _adopt(play, names),
    "clock_steps": lambda play, seconds, _: play.clock.step(seconds * SECOND),
    "withdraw_content": _retract,
    "provider_template": _provider_template,
    "approval_number": _number,
    "contact": Play.contact,
    "look": lambda play, label, where: Result(state=record_of(play, label, where)),
    "recover": _recover,
    "mode": lambda play, mode, _: play.mode(mode),
    "allow": Play.allow,
    "restart": _restart,
    "tamper": lambda play, given, _: Result(fails_at=first_bad_entry(play.link, alter=given["entry"])),
    "note": lambda *_: None,
}


def _adopt(play: Play, names: Sequence[str]) -> None:
    play.link.adopt([play.story.packs[name] for name in names], actor="scenario", approvers=("first", "second"))


def run_verb(play: Play, step: Mapping[str, Any], where: str, results: Mapping[str, Result]) -> Result:
    """Do what a step says that asks for nothing."""
    if "reply" in step:
        return _reply(play, step["reply"], f"{where}.reply", results)
    if "report" in step:
        return _report(play, step["report"], f"{where}.report", results)
    verb = next(name for name in _VERBS if name in step)
    try:
        return _VERBS[verb](play, step[verb], f"{where}.{verb}") or Result()
    except CarelinkError as error:
        if "error" not in step.get("expect", {}):
            raise
        return Result(error=error.code)
