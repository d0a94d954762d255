"""Conservation, from entries alone: every request ends in exactly one final state, and the states add up."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final

import attrs

from carelink.audit.bodies import HandoverBody, RecoveredBody, ReleasedBody
from carelink.audit.decided import ClaimBody, DecisionBody
from carelink.audit.entry import Entry
from carelink.audit.packed import PackedMap
from carelink.vocabulary import Effect, Outcome

__all__ = ["CLAIM_OPEN", "DEFERRED", "PERMIT_OPEN", "REFUSED", "Balance", "Book", "Imbalance", "balance"]

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
class Book:
    """Keeps the books: the state of every request after the entries fed so far."""

    _states: PackedMap = attrs.field(factory=lambda: PackedMap(1))
    _words: list[str] = attrs.field(factory=list)
    _open: dict[str, tuple[str, _Open]] = attrs.field(factory=dict)
    _found: Imbalance | None = None

    def feed(self, index: int, entry: Entry) -> Imbalance | None:
        """Take one more entry; what it contradicts, None when nothing."""
        self._found = None
        body = entry.body
        if isinstance(body, DecisionBody):
            self._decision(index, body)
        elif isinstance(body, ClaimBody):
            self._claim(index, body)
        elif isinstance(body, (HandoverBody, ReleasedBody, RecoveredBody)):
            self._end(index, body)
        return self._found

    def states(self) -> dict[str, int]:
        """How many requests are in each state, by state."""
        return dict(sorted((self._words[code], number) for code, number in self._states.counted().items()))

    def _had(self, request: str) -> str:
        code = self._states.get(bytes.fromhex(request))
        return "" if code is None else self._words[code]

    def _enter(self, index: int, request: str, got: str, *, sound: bool) -> None:
        if sound:
            if got not in self._words:
                self._words.append(got)  # a state is one of a closed few
            self._states.put(bytes.fromhex(request), self._words.index(got))
        else:
            self._found = Imbalance(index=index, request=request, had=self._had(request), got=got)

    def _decision(self, index: int, body: DecisionBody) -> None:
        had = self._had(body.request)
        closed = had in _SPENT or had in (PERMIT_OPEN, CLAIM_OPEN)
        if body.effect is not Effect.PERMIT:
            if closed and body.unknowing:
                return
            got = REFUSED if body.effect is Effect.REFUSE else DEFERRED
            self._enter(index, body.request, got, sound=not closed)
            return
        state = _Open.HELD if body.lease is None else _Open.CLAIMED
        sound = not closed and body.reservation not in self._open
        self._enter(index, body.request, state.value, sound=sound)
        if sound and body.reservation is not None:
            self._open[body.reservation] = (body.request, state)

    def _claim(self, index: int, body: ClaimBody) -> None:
        sound = self._open.get(body.reservation) == (body.request, _Open.HELD)
        if body.effect is Effect.PERMIT:
            self._enter(index, body.request, CLAIM_OPEN, sound=sound)
            if sound:
                self._open[body.reservation] = (body.request, _Open.CLAIMED)
        elif not sound:
            self._enter(index, body.request, PERMIT_OPEN, sound=False)

    def _end(self, index: int, body: HandoverBody | ReleasedBody | RecoveredBody) -> None:
        got = f"released:{body.cause.value}" if isinstance(body, ReleasedBody) else f"{body.kind}:{body.outcome.value}"
        request, state = self._open.get(body.reservation, ("", None))
        sound = request == body.request and (isinstance(body, ReleasedBody) or state is _Open.CLAIMED)
        self._enter(index, body.request, got, sound=sound)
        if sound:
            del self._open[body.reservation]


def balance(entries: Iterable[tuple[int, Entry]]) -> Balance:
    """Count every request's final state. Memory grows with the number of requests, not of entries."""
    book = Book()
    found = [imbalance for index, entry in entries if (imbalance := book.feed(index, entry)) is not None]
    states = book.states()
    return Balance(requests=sum(states.values()), states=states, findings=tuple(found))
