"""The one path by which a patient is contacted (P1): decide, claim, hand over, settle. Bulk is the same path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import attrs

from carelink.consent.verdict import Decision
from carelink.engine.gate import Decided, Gatekeeper
from carelink.engine.handover import Tried, hand_over
from carelink.engine.outcome import Forecast, Receipt, SendOutcome
from carelink.engine.parts import LEASE, Parts
from carelink.engine.recovery import recover
from carelink.engine.settle import settle
from carelink.model.request import Request
from carelink.ports.rows import ReservationRow
from carelink.vocabulary import Effect, ReservationState

__all__ = ["Outreach"]

_ROUNDS: Final = 3
"""How often a request whose lease ran out before its turn is decided again in one call."""


@attrs.define
class Outreach:
    """Sends and previews."""

    parts: Parts
    gate: Gatekeeper = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.gate = Gatekeeper(self.parts)

    def preview(self, requests: Sequence[Request]) -> list[Forecast]:
        """What `send` would decide now. Reserves, records and mints nothing."""
        answers = []
        for item in self.gate.preview(requests):
            before = item.earlier is not None and item.earlier.state is not ReservationState.HELD
            effect = Effect.REFUSE if item.decision is None else item.decision.effect
            answers.append(Forecast(effect=effect, decision=item.decision, error=item.error, handed_over_before=before))
        return answers

    def permit(self, requests: Sequence[Request]) -> list[SendOutcome]:
        """Decide and reserve without handing over: the permits wait for a later `send` of the same requests, which
        decides again.
        """
        answers: list[SendOutcome] = []
        for chunk in _chunks(requests, self.parts.options.chunk):
            answers.extend(_outcome(item) for item in self.gate.decide(chunk, claim=0))
        self.parts.publisher.tick()
        return answers

    def send(
        self, requests: Sequence[Request], *, progress: Callable[[SendOutcome], None] | None = None
    ) -> list[SendOutcome]:
        """Decide each request and hand over those permitted; outcomes in the order of the requests."""
        recover(self.parts)
        answers: list[SendOutcome] = []
        for chunk in _chunks(requests, self.parts.options.chunk):
            for outcome in self._send_chunk(chunk):
                answers.append(outcome)
                if progress is not None:
                    progress(outcome)
            self.parts.publisher.tick()
        return answers

    def _send_chunk(self, requests: Sequence[Request]) -> list[SendOutcome]:
        final: dict[str, SendOutcome] = {}
        order = [self.parts.safe.request_ref(request.key) for request in requests]
        left: Sequence[Request] = requests
        for _ in range(_ROUNDS):
            again = self._round(left, final)
            left = [request for request in left if self.parts.safe.request_ref(request.key) in again]
            if not left:
                break
        return [final[ref] for ref in order]

    def _round(self, requests: Sequence[Request], final: dict[str, SendOutcome]) -> set[str]:
        """Decide and hand over once; refs of those whose lease ran out before their turn."""
        decided = self.gate.decide(requests, claim=self._claim_size(requests))
        for item in decided:
            final[item.ref] = _outcome(item)
        again = self._hand_over([item for item in decided if item.claimed], final)
        waiting = [item for item in decided if _held(item) is not None]
        while waiting:
            size = self._claim_size([item.target.request for item in waiting if item.target is not None])
            batch, waiting = waiting[:size], waiting[size:]
            claimed = self.gate.claim(batch)
            for item in claimed:
                final[item.ref] = _outcome(item)
            again |= self._hand_over([item for item in claimed if item.claimed], final)
        return again

    def _hand_over(self, claimed: Sequence[Decided], final: dict[str, SendOutcome]) -> set[str]:
        if not claimed:
            return set()
        tried = hand_over(self.parts, claimed)
        settled = settle(self.parts, tried)
        again: set[str] = set()
        for item in tried:
            row = settled.get(item.reservation.id)
            if row is None:
                row = item.reservation
            final[item.decided.ref] = _outcome(item.decided, row, item)
            if item.cause == "lease_ran_out":
                again.add(item.decided.ref)
        return again

    def _claim_size(self, requests: Sequence[Request]) -> int:
        """How many attempts surely fit into half a lease, by the slowest channel asked for."""
        slowest = 1
        for name in {request.channel for request in requests}:
            try:
                slowest = max(slowest, self.parts.channels[self.parts.route(name)][1].latency)
            except Exception:  # noqa: BLE001, S112  a bad channel name is answered per request, not here
                continue
        return max(1, min(self.parts.options.chunk, (LEASE // 2) // slowest))


def _chunks(requests: Sequence[Request], size: int) -> Iterator[Sequence[Request]]:
    for start in range(0, len(requests), size):
        yield requests[start : start + size]


def _held(item: Decided) -> ReservationRow | None:
    row = item.reservation if item.reservation is not None else item.earlier
    return row if row is not None and row.state is ReservationState.HELD else None


def _outcome(item: Decided, row: ReservationRow | None = None, tried: Tried | None = None) -> SendOutcome:
    if item.error is not None:
        return SendOutcome(ref=item.ref, effect=Effect.REFUSE, error=item.error)
    if item.earlier is not None:
        earlier = item.earlier
        flying = earlier.state is ReservationState.CLAIMED
        receipt = Receipt(reservation=earlier.id, outcome=earlier.outcome, delivery=earlier.delivery)
        waiting = earlier.state is ReservationState.HELD
        return SendOutcome(
            ref=item.ref,
            effect=Effect.PERMIT,
            receipt=None if flying or waiting else receipt,
            repeated=True,
            in_flight=flying,
        )
    decision: Decision | None = item.decision
    receipt_now = None
    if row is not None and tried is not None:
        code = tried.attempt.result.code if tried.attempt is not None else ""
        receipt_now = Receipt(reservation=row.id, outcome=row.outcome, code=code, released=tried.cause)
    elif item.released and item.target is not None:
        receipt_now = None
    return SendOutcome(
        ref=item.ref,
        effect=Effect.REFUSE if decision is None else decision.effect,
        decision=decision,
        receipt=receipt_now,
    )
