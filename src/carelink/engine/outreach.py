"""The one path by which a patient is contacted (P1): decide, claim, hand over, settle. Bulk is the same path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

import attrs

from carelink.engine.gate import Decided, Gatekeeper
from carelink.engine.handover import Tried, hand_over
from carelink.engine.membership import Asked, ask
from carelink.engine.outcome import Forecast, Receipt, SendOutcome
from carelink.engine.parts import LEASE, Parts
from carelink.engine.recovery import recover
from carelink.engine.settle import settle
from carelink.errors import CarelinkError, ConflictError
from carelink.model.ids import RequestRef, ReservationId
from carelink.model.moment import Micros
from carelink.model.request import Request
from carelink.ports.rows import ReservationRow, TouchRow
from carelink.vocabulary import Effect, ReservationState

__all__ = ["Outreach"]

_STUCK: Final = 3
"""How often requests whose lease ran out before their turn are decided again in one call, without any progress."""

_SPOIL: Final = 2
"""A pace once measured is forgotten by halves, so that one slow attempt does not keep claims small for ever."""

Report = Callable[[SendOutcome], None]


@attrs.define
class Outreach:
    """Sends and previews."""

    parts: Parts
    gate: Gatekeeper = attrs.field(init=False)
    _pace: dict[str, int] = attrs.field(factory=dict, init=False)
    _recovered: int | None = attrs.field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self.gate = Gatekeeper(self.parts)

    def preview(self, requests: Iterable[Request]) -> list[Forecast]:
        """What `send` would decide now. Reserves, records and mints nothing; requests of one preview count against
        each other's caps as they would.
        """
        answers: list[Forecast] = []
        counted: list[TouchRow] = []
        for chunk in _chunks(requests, self.parts.options.chunk):
            asked = [ask(self.parts, request) for request in chunk]
            first = _first(asked)
            found = {item.ref: _forecast(item) for item in self.gate.preview(list(first.values()), counted)}
            for one in asked:
                answer = found[one.ref]
                if one is not first[one.ref] and one.mac != first[one.ref].mac:
                    answer = Forecast(effect=Effect.REFUSE, decision=None, error=_other_content())
                answers.append(answer)
        return answers

    def permit(self, requests: Iterable[Request]) -> list[SendOutcome]:
        """Decide and reserve without handing over: the permits wait for a later `send` of the same requests, which
        decides again.
        """
        answers: list[SendOutcome] = []
        for chunk in _chunks(requests, self.parts.options.chunk):
            asked = [ask(self.parts, request) for request in chunk]
            first = _first(asked)
            decided = self.gate.decide(list(first.values()), claim=0)
            final = {item.ref: _outcome(item) for item in decided}
            answers.extend(_in_order(asked, first, final))
            self.parts.publisher.tick()
        return answers

    def send(self, requests: Iterable[Request], *, progress: Report | None = None) -> list[SendOutcome]:
        """Decide each request and hand over those permitted; outcomes in the order of the requests.

        `progress` is told each outcome as soon as it is final, in any order. What it raises stops the run: what was
        handed over by then is recorded, and the same requests can be sent again.
        """
        self._recover()
        answers: list[SendOutcome] = []
        for chunk in _chunks(requests, self.parts.options.chunk):
            answers.extend(self._send_chunk(chunk, progress or _nobody))
            self.parts.publisher.tick()
        return answers

    def _recover(self) -> None:
        """Settle what is overdue, before the first send and then once a lease: nothing gets overdue any faster."""
        mono = self.parts.clock.monotonic()
        if self._recovered is None or mono - self._recovered >= LEASE:
            recover(self.parts)
            self._recovered = mono

    def _send_chunk(self, requests: Sequence[Request], report: Report) -> list[SendOutcome]:
        asked = [ask(self.parts, request) for request in requests]
        first = _first(asked)
        final: dict[RequestRef, SendOutcome] = {}
        left, stuck = list(first.values()), 0
        while left and stuck < _STUCK:
            again = self._round(left, final, report)
            stuck = stuck + 1 if len(again) == len(left) else 0
            left = [one for one in left if one.ref in again]
        for one in left:
            report(final[one.ref])
        answers = _in_order(asked, first, final)
        for one, answer in zip(asked, answers, strict=True):
            if one is not first[one.ref]:
                report(answer)
        return answers

    def _round(self, asked: Sequence[Asked], final: dict[RequestRef, SendOutcome], report: Report) -> set[RequestRef]:
        """Decide and hand over once; refs of those that must be decided again: their lease ran out before their turn,
        or their permit had ended by the time it was to be claimed.
        """
        decided = self.gate.decide(asked, claim=self._claim_size(asked))
        waiting = [item for item in decided if _held(item)]
        again = self._take([item for item in decided if not _held(item)], final, report)
        while waiting:
            size = self._claim_size([item.asked for item in waiting])
            batch, waiting = waiting[:size], waiting[size:]
            again |= self._take(self.gate.claim(batch), final, report)
        return again

    def _take(self, items: Sequence[Decided], final: dict[RequestRef, SendOutcome], report: Report) -> set[RequestRef]:
        """Hand over what is claimed among these and note what is final; refs of those to be decided again."""
        claimed = [item for item in items if item.claimed]
        again = {item.ref for item in items if item.released in ("expired", "stopped")}
        tried: list[Tried] = []
        rows: Mapping[ReservationId, ReservationRow] = {}
        if claimed:
            try:
                hand_over(self.parts, claimed, tried)
            finally:
                rows = settle(self.parts, tried)
        for item in tried:
            final[item.decided.ref] = _outcome(item.decided, rows[item.reservation.id], item)
            self._learn(item)
            if item.cause == "lease_ran_out":
                again.add(item.decided.ref)
        for decided in items:
            if not decided.claimed:
                final[decided.ref] = _outcome(decided)
            if decided.ref not in again:
                report(final[decided.ref])
        return again

    def _learn(self, item: Tried) -> None:
        if item.attempt is not None:
            name = item.reservation.channel
            self._pace[name] = max(item.took, self._pace.get(name, 0) // _SPOIL)

    def _claim_size(self, asked: Sequence[Asked]) -> int:
        """How many attempts surely fit into half a lease, by the slowest channel asked for: what it declares, or what
        it was seen to take.
        """
        slowest = 1
        for name in {one.channel for one in asked}:
            try:
                channel = self.parts.route(name)
            except CarelinkError:
                continue  # answered for each request, not here
            slowest = max(slowest, self.parts.channels[channel][1].latency, self._pace.get(channel, 0))
        return max(1, min(self.parts.options.chunk, Micros(LEASE // 2) // slowest))


def _nobody(_: SendOutcome) -> None:
    """Progress that nobody wants to hear of."""


def _chunks(requests: Iterable[Request], size: int) -> Iterator[list[Request]]:
    source = iter(requests)
    while chunk := list(islice(source, size)):
        yield chunk


def _first(asked: Sequence[Asked]) -> dict[RequestRef, Asked]:
    """The first request of each key: a key that stands twice in one batch is one contact."""
    first: dict[RequestRef, Asked] = {}
    for one in asked:
        first.setdefault(one.ref, one)
    return first


def _in_order(
    asked: Sequence[Asked], first: Mapping[RequestRef, Asked], final: Mapping[RequestRef, SendOutcome]
) -> list[SendOutcome]:
    """An outcome for each request; the second of a key is told what the first came to, unless it asks for other
    content.
    """
    answers = []
    for one in asked:
        answer = final[one.ref]
        if one is not first[one.ref]:
            if one.mac != first[one.ref].mac:
                answer = SendOutcome(ref=one.ref, effect=Effect.REFUSE, error=_other_content())
            elif answer.effect is Effect.PERMIT:
                answer = attrs.evolve(answer, repeated=True)
        answers.append(answer)
    return answers


def _other_content() -> CarelinkError:
    return ConflictError("this request key was used before with other content", hint="use another key")


def _held(item: Decided) -> bool:
    row = item.reservation if item.reservation is not None else item.earlier
    return row is not None and row.state is ReservationState.HELD


def _forecast(item: Decided) -> Forecast:
    if item.error is not None:
        return Forecast(effect=Effect.REFUSE, decision=None, error=item.error)
    if item.decision is None:
        return Forecast(effect=Effect.PERMIT, decision=None, handed_over_before=True)
    return Forecast(effect=item.decision.effect, decision=item.decision)


def _outcome(item: Decided, row: ReservationRow | None = None, tried: Tried | None = None) -> SendOutcome:
    if item.error is not None:
        return SendOutcome(ref=item.ref, effect=Effect.REFUSE, error=item.error)
    if item.earlier is not None:
        earlier = item.earlier
        spent = earlier.state is ReservationState.SPENT
        return SendOutcome(
            ref=item.ref,
            effect=Effect.PERMIT,
            receipt=Receipt(reservation=earlier.id, outcome=earlier.outcome, delivery=earlier.delivery)
            if spent
            else None,
            repeated=True,
            in_flight=earlier.state is ReservationState.CLAIMED,
        )
    receipt = None
    if row is not None and tried is not None:
        code = tried.attempt.result.code if tried.attempt is not None else ""
        receipt = Receipt(reservation=row.id, outcome=row.outcome, code=code, released=tried.cause)
    return SendOutcome(
        ref=item.ref,
        effect=Effect.REFUSE if item.decision is None else item.decision.effect,
        decision=item.decision,
        receipt=receipt,
    )
