"""Conservation, from entries alone: every request ends in exactly one final state, and the states add up."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

import attrs

from carelink.audit.bodies import HandoverBody, RecoveredBody, ReleasedBody
from carelink.audit.decided import ClaimBody, DecisionBody
from carelink.audit.entry import Entry
from carelink.vocabulary import Effect, Outcome

__all__ = ["CLAIM_OPEN", "DEFERRED", "PERMIT_OPEN", "REFUSED", "Balance", "Imbalance", "balance"]

REFUSED: Final = "refused"
DEFERRED: Final = "deferred"
PERMIT_OPEN: Final = "permit_open"
CLAIM_OPEN: Final = "claim_open"

_SPENT: Final = frozenset(
    f"{how}:{outcome.value}"
    for how in ("handover", "recovered")
    for outcome in (Outcome.ACCEPTED, Outcome.AWAITING_HUMAN, Outcome.UNKNOWN)
)


class _Open(Enum):
    HELD = PERMIT_OPEN
    CLAIMED = CLAIM_OPEN


@attrs.frozen(kw_only=True)
class Imbalance:
    """An entry that would give a request a second final state, or one it cannot have.

    Attributes:
        index: number of the entry.
        request: keyed hash of the request's key.
        had: the request's state before it; "" where it had none.
        got: the state the entry gives.
    """

    index: int
    request: str
    had: str
    got: str


@attrs.frozen(kw_only=True)
class Balance:
    """The table.

    Attributes:
        requests: how many requests the log names.
        states: how many are in each final state: `refused`, `deferred`, `permit_open`, `claim_open`,
            `released:<cause>`, `handover:<outcome>`, `recovered:<outcome>`. They add up to `requests`.
        findings: contradictions; none in a sound log.
    """

    requests: int
    states: dict[str, int]
    findings: tuple[Imbalance, ...]


@attrs.define
class _Book:
    states: dict[str, str] = attrs.field(factory=dict)
    open: dict[str, tuple[str, _Open]] = attrs.field(factory=dict)
    findings: list[Imbalance] = attrs.field(factory=list)

    def enter(self, index: int, request: str, got: str, *, sound: bool) -> None:
        if not sound:
            self.findings.append(Imbalance(index=index, request=request, had=self.states.get(request, ""), got=got))
            return
        self.states[request] = got

    def decision(self, index: int, body: DecisionBody) -> None:
        had = self.states.get(body.request, "")
        closed = had in _SPENT or had in (PERMIT_OPEN, CLAIM_OPEN)
        if body.effect is not Effect.PERMIT:
            got = REFUSED if body.effect is Effect.REFUSE else DEFERRED
            self.enter(index, body.request, got, sound=not closed)
            return
        state = _Open.HELD if body.lease is None else _Open.CLAIMED
        sound = not closed and body.reservation not in self.open
        self.enter(index, body.request, state.value, sound=sound)
        if sound and body.reservation is not None:
            self.open[body.reservation] = (body.request, state)

    def claim(self, index: int, body: ClaimBody) -> None:
        sound = self.open.get(body.reservation) == (body.request, _Open.HELD)
        if body.effect is Effect.PERMIT:
            self.enter(index, body.request, CLAIM_OPEN, sound=sound)
            if sound:
                self.open[body.reservation] = (body.request, _Open.CLAIMED)
        elif not sound:
            self.enter(index, body.request, PERMIT_OPEN, sound=False)

    def end(self, index: int, body: HandoverBody | ReleasedBody | RecoveredBody) -> None:
        got = f"released:{body.cause.value}" if isinstance(body, ReleasedBody) else f"{body.kind}:{body.outcome.value}"
        request, state = self.open.get(body.reservation, ("", None))
        sound = request == body.request and (isinstance(body, ReleasedBody) or state is _Open.CLAIMED)
        self.enter(index, body.request, got, sound=sound)
        if sound:
            del self.open[body.reservation]


def balance(entries: Iterable[tuple[int, Entry]]) -> Balance:
    """Count every request's final state. Memory grows with the number of requests, not of entries."""
    book = _Book()
    for index, entry in entries:
        body = entry.body
        if isinstance(body, DecisionBody):
            book.decision(index, body)
        elif isinstance(body, ClaimBody):
            book.claim(index, body)
        elif isinstance(body, (HandoverBody, ReleasedBody, RecoveredBody)):
            book.end(index, body)
    states: dict[str, int] = {}
    for state in book.states.values():
        states[state] = states.get(state, 0) + 1
    return Balance(requests=len(book.states), states=dict(sorted(states.items())), findings=tuple(book.findings))
