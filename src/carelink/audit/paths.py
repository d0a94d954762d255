"""Rules of the path: what may follow what, whatever was decided (P1, P3, P5, P6, P10)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

import attrs

from carelink.audit.bodies import HandoverBody, PolicyBody, ReceiptBody, RecoveredBody, ReleasedBody, StoppedBody
from carelink.audit.decided import ClaimBody, DecidedBody, DecisionBody
from carelink.audit.derive import expected_stops
from carelink.audit.divergence import DivergenceCode
from carelink.audit.entry import Entry
from carelink.audit.fold import LogState
from carelink.audit.holdings import Reservation
from carelink.audit.kinds import Kind, ReleaseCause
from carelink.consent.facts import Ask, Known
from carelink.model.moment import MINUTE, SECOND, Instant
from carelink.model.touchpoint import fold_delivery
from carelink.vocabulary import Effect, ReservationState

__all__ = ["MAX_LEASE", "Fault", "faults"]

MAX_LEASE: Final = 5 * SECOND
"""Longest claim: no first byte leaves later than this after a stop commits (DESIGN, P3)."""

_SKEW: Final = 2 * MINUTE
"""A decision instant may be this far ahead of the clock that stamps the attempt (DESIGN, "Time is an argument")."""

_APPROVERS: Final = 2

_RELEASES: Final = {
    ReleaseCause.CLAIM_REFUSED: ReservationState.HELD,
    ReleaseCause.EXPIRED: ReservationState.HELD,
    ReleaseCause.STOPPED: ReservationState.HELD,
    ReleaseCause.LEASE_RAN_OUT: ReservationState.CLAIMED,
    ReleaseCause.CONTENT_CHANGED: ReservationState.CLAIMED,
    ReleaseCause.ADDRESS_UNREADABLE: ReservationState.CLAIMED,
}
_OPEN: Final = (ReservationState.HELD, ReservationState.CLAIMED)


class Fault(NamedTuple):
    """A broken rule."""

    code: DivergenceCode
    field: str
    expected: object
    recorded: object


def faults(state: LogState, entry: Entry) -> Iterator[Fault]:
    """Every rule the entry breaks, given the fold of all earlier entries."""
    if state.sealed and entry.body.kind is not Kind.RECONCILED:
        yield Fault(DivergenceCode.AFTER_SEAL, "kind", "the end of the log", entry.body.kind)
    rule = _RULES.get(entry.body.kind)
    if rule is not None:
        yield from rule(state, entry)


def _decided(state: LogState, at: Instant, body: DecidedBody) -> Iterator[Fault]:
    """What holds for whatever was decided: its instant is that of the entry."""
    if body.facts.at != at:
        yield Fault(DivergenceCode.TIME, "facts.at", at, body.facts.at)
    if body.effect is Effect.PERMIT:
        yield from _permit(state, body)


def _permit(state: LogState, body: DecidedBody) -> Iterator[Fault]:
    """What holds for a permit, decided or claimed."""
    facts = body.facts
    refs = {facts.subject, *state.aliases(facts.subject), facts.recipient, facts.address or ""}
    last = state.last_touch(refs)
    if last is not None and facts.at < last - _SKEW:
        yield Fault(DivergenceCode.TIME, "facts.at", f"not before {last}", facts.at)
    if body.lease is not None and not 0 < body.lease - body.facts.at <= MAX_LEASE:
        yield Fault(DivergenceCode.LEASE, "lease", "at most 5 s after the claim", body.lease - body.facts.at)
    for reservation, bound in sorted(state.owed.items()):
        if not refs.isdisjoint(bound):
            yield Fault(DivergenceCode.STOP_MISSING, "reservation", f"a stop after {reservation} opted out", "a permit")
    recorded = body.facts.stops.value if isinstance(body.facts.stops, Known) else ()
    told = {(stop.ref, stop.binds) for stop in recorded}
    ask = body.facts.ask
    for key, stop in sorted(expected_stops(state, body.facts).items()):
        if key not in told and stop.scope.covers(ask.purpose, ask.channel_kind, ask.plan):
            yield Fault(DivergenceCode.STOP_IGNORED, "facts.stops", stop.ref, "none")


def _decision(state: LogState, entry: Entry) -> Iterator[Fault]:
    body: DecisionBody = entry.body  # type: ignore[assignment]
    yield from _decided(state, entry.at, body)
    if body.unknowing:
        return
    late = body.facts.ask.useless_after
    if body.expires is not None and not body.facts.at < body.expires <= (body.expires if late is None else late):
        yield Fault(DivergenceCode.TIME, "expires", "after the decision, while it is of use", body.expires)
    if body.reservation in state.open or body.reservation in state.spent:
        yield Fault(DivergenceCode.RESERVATION_REUSED, "reservation", "a new one", body.reservation)
    if body.request in state.open_requests:
        yield Fault(DivergenceCode.REQUEST_HELD, "request", "no open permit", state.open_requests[body.request])
    if bytes.fromhex(body.request) in state.spent_requests:
        yield Fault(DivergenceCode.REQUEST_SPENT, "request", "not handed over before", body.request)


def _open(
    state: LogState, body: ClaimBody | HandoverBody | ReleasedBody | RecoveredBody, wanted: ReservationState
) -> Iterator[Fault]:
    """The reservation an entry names must be open, in the right state, and of the same request."""
    row = state.reservation(body.reservation)
    if row is None or row.state not in _OPEN:
        yield Fault(DivergenceCode.NO_PERMIT, "reservation", "open", "not open" if row is None else row.state)
        return
    if row.request != body.request:
        yield Fault(DivergenceCode.REQUEST_MIXED, "request", row.request, body.request)
    if row.state is not wanted:
        yield Fault(DivergenceCode.WRONG_STATE, "reservation", wanted, row.state)
    released = isinstance(body, ReleasedBody) and body.cause is ReleaseCause.CLAIM_REFUSED
    if row.refused is not released:
        expected = "released as claim_refused" if row.refused else "a refused claim before"
        yield Fault(DivergenceCode.CLAIM_NOT_RELEASED, "reservation", expected, body.kind)


def _claim(state: LogState, entry: Entry) -> Iterator[Fault]:
    body: ClaimBody = entry.body  # type: ignore[assignment]
    yield from _open(state, body, ReservationState.HELD)
    yield from _decided(state, entry.at, body)
    if body.effect is not Effect.PERMIT:
        return
    row = state.reservation(body.reservation)
    if row is not None and body.facts.at >= row.expires:
        yield Fault(DivergenceCode.EXPIRED, "facts.at", f"before {row.expires}", body.facts.at)
    if row is not None and row.ask is not None:
        yield from _same(state, row, body)


def _same(state: LogState, row: Reservation, body: ClaimBody) -> Iterator[Fault]:
    """What is claimed is what was decided, for the same person."""
    for field in attrs.fields(Ask):
        decided, claimed = getattr(row.ask, field.name), getattr(body.facts.ask, field.name)
        if decided != claimed:
            yield Fault(DivergenceCode.REQUEST_MIXED, f"facts.ask.{field.name}", decided, claimed)
    subject = body.facts.subject
    if row.subject != subject and row.subject not in state.aliases(subject):
        yield Fault(DivergenceCode.REQUEST_MIXED, "facts.subject", row.subject, subject)


def _handover(state: LogState, entry: Entry) -> Iterator[Fault]:
    body: HandoverBody = entry.body  # type: ignore[assignment]
    yield from _open(state, body, ReservationState.CLAIMED)
    row = state.reservation(body.reservation)
    if row is None or row.state is not ReservationState.CLAIMED or row.lease is None:
        return
    if row.channel != body.channel:
        yield Fault(DivergenceCode.CHANNEL_MIXED, "channel", row.channel, body.channel)
    if not row.at - _SKEW <= body.attempted_at < row.lease:
        yield Fault(DivergenceCode.LEASE, "attempted_at", f"within {row.at}..{row.lease}", body.attempted_at)


def _released(state: LogState, entry: Entry) -> Iterator[Fault]:
    body: ReleasedBody = entry.body  # type: ignore[assignment]
    yield from _open(state, body, _RELEASES[body.cause])
    row = state.reservation(body.reservation)
    if body.cause is ReleaseCause.EXPIRED and row is not None and entry.at < row.expires:
        yield Fault(DivergenceCode.TIME, "cause", f"not before {row.expires}", entry.at)


def _recovered(state: LogState, entry: Entry) -> Iterator[Fault]:
    body: RecoveredBody = entry.body  # type: ignore[assignment]
    yield from _open(state, body, ReservationState.CLAIMED)
    row = state.reservation(body.reservation)
    if row is not None and row.lease is not None and entry.at < row.lease:
        yield Fault(DivergenceCode.TIME, "outcome", f"not before {row.lease}", entry.at)


def _receipt(state: LogState, entry: Entry) -> Iterator[Fault]:
    body: ReceiptBody = entry.body  # type: ignore[assignment]
    delivery = state.delivery(body.reservation)
    if delivery is not None and (expected := fold_delivery(delivery, body.event)) != body.state:
        yield Fault(DivergenceCode.RECEIPT_STATE, "state", expected, body.state)


def _stopped(state: LogState, entry: Entry) -> Iterator[Fault]:
    body: StoppedBody = entry.body  # type: ignore[assignment]
    for key in body.in_flight:
        row = state.reservation(key)
        if row is None or row.state is not ReservationState.CLAIMED:
            yield Fault(DivergenceCode.STOP_LEFT_OPEN, "in_flight", "a claim", "not open" if row is None else row.state)
    for key in body.released:
        row = state.reservation(key)
        if row is not None and row.state in _OPEN:
            yield Fault(DivergenceCode.STOP_LEFT_OPEN, "released", "released", row.state)
    seen: set[str] = set()
    for ref in body.suppressions:
        stop = state.stops.get(ref)
        if stop is None:
            yield Fault(DivergenceCode.STOP_LEFT_OPEN, "suppressions", ref, "not standing")
            continue
        for key, row in sorted(state.open_of(stop.bound).items()):
            if key not in seen and stop.scope.covers(row.purpose, row.channel_kind, row.plan):
                seen.add(key)
                if row.state is ReservationState.HELD or key not in body.in_flight:
                    yield Fault(DivergenceCode.STOP_LEFT_OPEN, "in_flight", f"{key} met", row.state)


def _policy(state: LogState, entry: Entry) -> Iterator[Fault]:
    body: PolicyBody = entry.body  # type: ignore[assignment]
    for digest in body.packs:
        if digest not in state.packs:
            yield Fault(DivergenceCode.POLICY, "packs", "a pack recorded before", digest)
    if state.policy is not None:
        before = {state.packs[d].id for d in state.policy.packs if d in state.packs}
        gone = before - {state.packs[d].id for d in body.packs if d in state.packs}
        if gone and not body.loosens:
            yield Fault(DivergenceCode.APPROVAL, "loosens", "true: a pack is gone", "false")
    if body.loosens and len(set(body.approvers)) < _APPROVERS:
        yield Fault(DivergenceCode.APPROVAL, "approvers", "two distinct", len(set(body.approvers)))


_RULES: Final[dict[Kind, Callable[[LogState, Entry], Iterator[Fault]]]] = {
    Kind.DECISION: _decision,
    Kind.CLAIM: _claim,
    Kind.HANDOVER: _handover,
    Kind.RELEASED: _released,
    Kind.RECOVERED: _recovered,
    Kind.RECEIPT: _receipt,
    Kind.STOPPED: _stopped,
    Kind.POLICY: _policy,
}
