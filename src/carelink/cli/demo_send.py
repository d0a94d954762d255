"""The demo's middle: everybody is decided and the permitted are handed over; a late STOP; the same once more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from email import message_from_bytes
from pathlib import Path
from typing import Final

import attrs

from carelink.app import CareLink
from carelink.cli.teller import Teller
from carelink.consent.reasons import ReasonCode
from carelink.consent.sentences import sentence
from carelink.engine.outcome import Forecast, SendOutcome
from carelink.interop.demo_cast import CASES, cast
from carelink.interop.records import PatientRecord
from carelink.model.ids import PatientId
from carelink.model.moment import SECOND
from carelink.model.request import Request
from carelink.ports.channel import ChannelEvent
from carelink.testing.fakes import FakeClock
from carelink.vault.personal import Personal
from carelink.vocabulary import AgeBand, DeliveryEvent, Effect, Outcome, Standing

__all__ = ["Demo", "Place", "again", "late_stop", "requests", "says", "send"]

_CHILDREN: Final = (AgeBand.UNDER_8, AgeBand.FROM_8)
_DAYS: Final = {"en": ("Monday", "Tuesday"), "zh": ("星期一", "星期二")}


@attrs.frozen
class Place:
    """Where and when the story plays."""

    at: str
    zone: str
    region: str
    stop: str


@attrs.define(kw_only=True)
class Demo:
    """One telling: what it runs on, and what it has asked carelink for so far."""

    fhir: Path | None
    synthetic: bool
    folder: Path
    teller: Teller
    place: Place
    clock: FakeClock
    link: CareLink
    records: list[PatientRecord] = attrs.field(factory=list)
    consents: int = 0
    asked: list[Request] = attrs.field(factory=list)

    @property
    def outbox(self) -> list[Path]:
        """The messages that reached the far end, one file each."""
        return sorted((self.folder / "home" / "outbox" / "email").glob("*.eml"))


def requests(demo: Demo, occasion: str, channel: str, day: int) -> list[Request]:
    """A recheck reminder to everybody, in their language. Another occasion contacts again."""
    found = []
    for row in demo.link.patients():
        language = "zh" if row.language.partition("-")[0] == "zh" else "en"
        found.append(
            Request(
                key=f"demo/{occasion}/{row.id}",
                patient=row.id,
                purpose="care.appointment",
                channel=channel,
                template=f"recheck.{language}",
                variables={"day": _DAYS[language][day]},
            )
        )
    return found


def says(item: SendOutcome | Forecast, code: ReasonCode) -> bool:
    """Whether a code is among the reasons."""
    return item.decision is not None and code in item.decision.codes


def send(demo: Demo, forecasts: Sequence[Forecast]) -> list[Request]:
    """Send, and give back the requests that were permitted."""
    teller = demo.teller
    teller.step("Send: everybody is decided, what is permitted goes to the outbox", "发送:逐人判断,获准的交付到发件箱")
    outcomes = demo.link.send_many(demo.asked)
    _show(teller, outcomes)
    permitted = [r for r, o in zip(demo.asked, outcomes, strict=True) if o.effect is Effect.PERMIT]
    handed = sum(o.receipt is not None and o.receipt.outcome is Outcome.ACCEPTED for o in outcomes)
    teller.expect(
        [forecast.effect for forecast in forecasts] == [outcome.effect for outcome in outcomes],
        f"{len(outcomes)} were decided, each as the preview said",
        f"共判断 {len(outcomes)} 项,均与预览一致",
    )
    teller.expect(
        len(demo.outbox) == handed == len(permitted),
        f"{len(demo.outbox)} messages in the outbox, one for each permit and none besides",
        f"发件箱中有 {len(demo.outbox)} 封,与许可一一对应",
    )
    _check_people(demo, outcomes)
    if demo.fhir is None:
        _check_cases(demo, outcomes)
    elif not demo.consents:
        teller.expect(
            not permitted,
            "nothing was invented: without a consent on record nothing was sent",
            "未虚构任何数据:没有同意记录,就没有发送",
        )
    _explain(demo, outcomes)
    return permitted


_EFFECTS: Final = {
    Effect.PERMIT: ("permit", "允许"),
    Effect.DEFER: ("defer", "推迟"),
    Effect.REFUSE: ("refuse", "拒绝"),
}


def _show(teller: Teller, outcomes: Sequence[SendOutcome]) -> None:
    """Effects, and for what is not permitted the reasons."""
    effects = Counter(outcome.effect for outcome in outcomes)
    rows = [(teller.words(*_EFFECTS[effect]), str(effects[effect])) for effect in Effect]
    teller.table((("decision", "结论"), ("requests", "请求数")), rows)
    reasons = Counter(code for outcome in outcomes if outcome.decision is not None for code in outcome.decision.codes)
    if reasons:
        ranked = sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0].rank))
        teller.table(
            (("reason", "原因"), ("requests", "请求数"), ("meaning", "含义")),
            [(code.value, str(count), teller.words(sentence(code), sentence(code, "zh"))) for code, count in ranked],
        )


def _explain(demo: Demo, outcomes: Sequence[SendOutcome]) -> None:
    """What `carelink why` tells of the refusal with the most reasons: decided again from what was recorded."""
    teller = demo.teller
    outcome = max(outcomes, key=lambda item: len(item.reasons))
    story = demo.link.why(outcome.ref, actor="demo")
    against = ", ".join(verdict.rule for verdict in story.decision.reasons)
    teller.expect(
        story.agrees and story.decision.codes == (() if outcome.decision is None else outcome.decision.codes),
        f"why, for one of them: {len(story.decision.verdicts)} rules were asked; against it were: {against or 'none'}",
        f"其中一项的原因:共 {len(story.decision.verdicts)} 条规则,其中反对的有:{against or '无'}",
    )


def _check_people(demo: Demo, outcomes: Sequence[SendOutcome]) -> None:
    """Nobody dead and no child was written to, whoever the patients are."""
    teller = demo.teller
    rows = {row.id: row for row in demo.link.patients()}
    by_patient = {request.patient: outcome for request, outcome in zip(demo.asked, outcomes, strict=True)}
    dead = [by_patient[key] for key, row in rows.items() if row.standing is Standing.DECEASED]
    teller.expect(
        all(says(outcome, ReasonCode.SUBJECT_DECEASED) for outcome in dead),
        f"the {len(dead)} deceased are refused: SUBJECT_DECEASED",
        f"{len(dead)} 名已去世者均被拒绝:SUBJECT_DECEASED",
    )
    children = {key: by_patient[key] for key, row in rows.items() if row.age in _CHILDREN and
                row.standing is Standing.ACTIVE}  # fmt: skip
    through = {key for key, outcome in children.items() if outcome.effect is Effect.PERMIT}
    guarded = _guarded(demo)
    refused = [outcome for key, outcome in children.items() if key not in guarded]
    teller.expect(
        through <= guarded and all(says(outcome, ReasonCode.GUARDIAN_REQUIRED) for outcome in refused),
        f"{len(children)} are under 14: {len(through)} reached through their guardian, "
        f"{len(refused)} without one refused: GUARDIAN_REQUIRED",
        f"{len(children)} 名未满 14 岁:{len(through)} 名经监护人联系,{len(refused)} 名无监护人被拒:GUARDIAN_REQUIRED",
    )


def _guarded(demo: Demo) -> set[PatientId]:
    """Patients for whom a verified guardian acts."""
    found = set()
    for record in demo.records:
        if any(person.acts and person.verified for person in record.related):
            system, value = record.identifiers[0]
            found.add(demo.link.find(value.reveal("demo"), system=system))
    return found


def _check_cases(demo: Demo, outcomes: Sequence[SendOutcome]) -> None:
    """The bundled people are of known kinds, and what must become of each kind is known."""
    teller = demo.teller
    by_patient = {request.patient: outcome for request, outcome in zip(demo.asked, outcomes, strict=True)}
    people: dict[str, list[SendOutcome]] = {}
    for person in cast():
        if person.replaced_by is None:
            people.setdefault(person.case, []).append(by_patient[demo.link.find(person.mrns[0])])
    wrong = 0
    rows = []
    for case in CASES:
        for outcome in people[case.key]:
            wrong += outcome.effect is not case.effect or (case.reason is not None and not says(outcome, case.reason))
        rows.append((teller.words(*case.says), str(len(people[case.key])), teller.words(*_EFFECTS[case.effect]),
                     "" if case.reason is None else case.reason.value))  # fmt: skip
    teller.table((("who", "对象"), ("people", "人数"), ("decision", "结论"), ("because", "原因")), rows)
    teller.expect(
        not wrong,
        f"each of these {len(CASES)} kinds of patient was decided as the table says",
        f"以上 {len(CASES)} 类患者的判断均与表中一致",
    )


def late_stop(demo: Demo, permitted: Sequence[Request]) -> None:
    """Whoever alone reads a mailbox answers STOP while further permits wait."""
    teller, link = demo.teller, demo.link
    teller.step("A late STOP: permits are waiting, then somebody replies", "迟到的“退订”:许可待用时有人回复")
    before = demo.outbox
    readers = [str(message_from_bytes(path.read_bytes())["To"]) for path in before]
    wanted = {request.patient for request in permitted}
    waiting = [request for request in requests(demo, "second", "email", 1) if request.patient in wanted]
    demo.asked = [*demo.asked, *waiting]
    made = link.permit_many(waiting)
    holding = [request for request, outcome in zip(waiting, made, strict=True) if outcome.effect is Effect.PERMIT]
    teller.say(f"a second reminder: {len(holding)} permits waiting", f"第二次提醒:{len(holding)} 个许可待用")
    without = [outcome for outcome in made if outcome.effect is not Effect.PERMIT and outcome.decision is not None]
    if without:
        teller.say(f"{len(without)} got none:", f"{len(without)} 项未获许可:")
        teller.reasons(without[0])
    if not holding:
        return
    stopper = next((address for address in readers if readers.count(address) == 1), readers[0])
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(stopper), text=Personal(demo.place.stop))
    (result,) = link.inbound("email", [event])
    teller.expect(
        len(result.released) > 0 and not result.in_flight,
        f"a reply says {demo.place.stop}: waiting permits void at once: {len(result.released)}",
        f"收到回复“{demo.place.stop}”:立即作废的待用许可:{len(result.released)}",
    )
    demo.clock.advance(SECOND)
    outcomes = dict(zip((request.key for request in waiting), link.send_many(waiting), strict=True))
    stopped = [outcomes[r.key] for r in holding if outcomes[r.key].effect is Effect.REFUSE]
    for outcome in stopped[:1]:
        teller.reasons(outcome)
    new = [path for path in demo.outbox if path not in before]
    reached = {str(message_from_bytes(path.read_bytes())["To"]) for path in new}
    teller.expect(
        len(stopped) == len(result.released) == len(holding) - len(new) and stopper not in reached,
        f"the one who said stop was not written to; the other {len(new)} were, each decided again first",
        f"回复者未再收到;其余 {len(new)} 人照常收到,交付前均重新判断",
    )


def again(demo: Demo) -> None:
    """A retry, by mistake or after a crash, contacts nobody."""
    teller = demo.teller
    teller.step("The same requests once more: nobody is contacted twice", "同样的请求再来一次:无人重复收到")
    before = len(demo.outbox)
    outcomes = demo.link.send_many(demo.asked)
    repeated = sum(outcome.repeated for outcome in outcomes)
    teller.expect(
        len(demo.outbox) == before == repeated,
        f"{repeated} were sent before and are left alone; no new message in the outbox",
        f"{repeated} 项此前已发送,不再发送;发件箱没有新增",
    )
