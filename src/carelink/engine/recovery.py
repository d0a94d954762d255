"""Recovery: claims whose answer was lost are looked up or become UNKNOWN; permits nobody claimed give their slots
back. Runs before each send, so that a restart settles what a kill left behind (P6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from carelink.engine.handover import attempt_key
from carelink.engine.journal import Journal
from carelink.engine.locks import gates_of_rows
from carelink.engine.membership import follow_merges
from carelink.engine.parts import MAX_SKEW, Parts
from carelink.errors import CarelinkError
from carelink.model.ids import PatientId
from carelink.model.moment import MINUTE, Instant, Micros
from carelink.model.touchpoint import SETTLES
from carelink.ports.channel import LookupResult
from carelink.ports.rows import PatientRow, ReservationRow
from carelink.vault.personal import Personal
from carelink.vocabulary import Outcome, ReservationState

__all__ = ["GRACE", "Recovered", "ask_channels", "recover"]

GRACE: Final = Micros(MAX_SKEW + 1 * MINUTE)
"""How long after its lease a claim may still be at a channel: an attempt begun within the lease may outlast it, and the
clock of the process that makes it may be behind this one by as much as is still trusted. Until then "not found" is no
answer, except where the channel proves that a repeat is harmless (P6, ADR 0026, 0035).
"""
_BATCH: Final = 1000
_UNTOLD: Final = LookupResult(found=None)


@attrs.frozen(kw_only=True)
class Recovered:
    """What recovery settled.

    Attributes:
        looked_up: claims the channel could tell about.
        unknown: claims nobody can tell about: maybe delivered, never repeated.
        expired: permits that nobody claimed in time.
        in_flight: claims that may still be answered; counted to a thousand.
        until: when the last of those can be settled.
    """

    looked_up: int = 0
    unknown: int = 0
    expired: int = 0
    in_flight: int = 0
    until: Instant | None = None


def recover(parts: Parts) -> Recovered:
    """Settle what is overdue, however much it is. Nothing is while the clock cannot be trusted: a clock that jumped
    ahead would end claims that another process is handing over. On a restored backup nothing is either: what was open
    in it is over, and the log it is to be reconciled with says how (ADR 0018).
    """
    if parts.publisher.restored:
        return Recovered()
    now, steady = parts.guard.read()
    told = unknown = expired = 0
    if steady:
        told, unknown = _settle_overdue(parts, now)
        expired = _release_late(parts, now)
    with parts.store.reader() as reader:
        flying = reader.open_reservations(ReservationState.CLAIMED, limit=_BATCH)
    return Recovered(
        looked_up=told,
        unknown=unknown,
        expired=expired,
        in_flight=len(flying),
        until=max((_ends(parts, row, now) for row in flying), default=None),
    )


def _ends(parts: Parts, row: ReservationRow, now: Instant) -> Instant:
    lease = now if row.lease is None else row.lease
    return lease if lease > now or not _doubtful(parts, row) else Instant(lease + GRACE)


def _doubtful(parts: Parts, row: ReservationRow) -> bool:
    """Whether "not found" says nothing yet: the channel can look up, but a repeat would be a second message."""
    found = parts.channels.get(row.channel)
    return found is not None and found[1].lookup and not found[1].harmless_repeat


def _settle_overdue(parts: Parts, now: Instant) -> tuple[int, int]:
    """Page through the overdue claims; those that must wait for their grace to pass are left, and not asked again."""
    told = unknown = 0
    waiting: set[str] = set()
    while True:
        limit = _BATCH + len(waiting)
        with parts.store.reader() as reader:
            rows = reader.open_reservations(ReservationState.CLAIMED, limit=limit, due=now)
        fresh = [row for row in rows if row.id not in waiting]
        if not fresh:
            return told, unknown
        settled = _settle_claims(parts, fresh, now)
        waiting.update(row.id for row in fresh if row.id not in settled)
        told += sum(outcome is not Outcome.UNKNOWN for outcome in settled.values())
        unknown += sum(outcome is Outcome.UNKNOWN for outcome in settled.values())


def _ask(parts: Parts, row: ReservationRow, owner: PatientId, envelope: bytes | None) -> LookupResult:
    """Ask the channel. `owner`: whose key the address is under, the survivor of the patient it was permitted for."""
    if row.channel not in parts.channels or not parts.channels[row.channel][1].lookup:
        return _UNTOLD
    if envelope is None:
        return _UNTOLD
    try:
        address: Personal[str] = parts.safe.open(owner, "contact", row.contact, "address", envelope)
        return parts.dispatcher.lookup(row.channel, key=attempt_key(parts, row), address=address, since=row.at)
    except CarelinkError:
        return _UNTOLD


def _outcome(parts: Parts, row: ReservationRow, answer: LookupResult, now: Instant) -> Outcome | None:
    """What the answer makes of a claim; None where it is too early to believe it."""
    if answer.found is None:
        return Outcome.UNKNOWN
    if answer.found:
        return answer.outcome if answer.outcome in (Outcome.ACCEPTED, Outcome.AWAITING_HUMAN) else Outcome.ACCEPTED
    if _doubtful(parts, row) and row.lease is not None and now < row.lease + GRACE:
        return None
    return Outcome.NOT_SENT


def ask_channels(
    parts: Parts,
    rows: Sequence[ReservationRow],
    envelopes: Mapping[tuple[str, str], bytes],
    people: Mapping[PatientId, PatientRow],
    now: Instant,
) -> dict[str, Outcome]:
    """What became of claims, by reservation: looked up, or UNKNOWN; those left out must wait for their grace to pass.

    Args:
        envelopes: sealed addresses of their contact points, by (row, column).
        people: their patients, merges followed.
    """
    found: dict[str, Outcome] = {}
    for row in rows:
        owner = people[row.patient].id if row.patient in people else row.patient
        outcome = _outcome(parts, row, _ask(parts, row, owner, envelopes.get((row.contact, "address"))), now)
        if outcome is not None:
            found[row.id] = outcome
    return found


def _settle_claims(parts: Parts, rows: Sequence[ReservationRow], now: Instant) -> dict[str, Outcome]:
    """Ask, outside any transaction, and record what came of it; what was settled, by reservation."""
    with parts.store.reader() as reader:
        envelopes = reader.sealed("contact", [row.contact for row in rows], ("address",))
        people = follow_merges(reader, [row.patient for row in rows])
    found = ask_channels(parts, rows, envelopes, people, now)
    settled: dict[str, Outcome] = {}
    with parts.store.transaction() as tx:
        tx.lock(gates_of_rows(rows))
        current = tx.reservations([row.id for row in rows if row.id in found])
        journal, changed = Journal(parts), []
        for row in current.values():
            settled[row.id] = outcome = found[row.id]
            if row.state is not ReservationState.CLAIMED:
                continue
            after = attrs.evolve(row, state=SETTLES[outcome], outcome=outcome)
            changed.append(after)
            journal.recovered(after, "deadline" if outcome is Outcome.UNKNOWN else "lookup", now)
        tx.put_reservations(changed)
        journal.write(tx)
    return settled


def _release_late(parts: Parts, now: Instant) -> int:
    released = 0
    while True:
        with parts.store.reader() as reader:
            rows = reader.open_reservations(ReservationState.HELD, limit=_BATCH, due=now)
        if not rows:
            return released
        with parts.store.transaction() as tx:
            tx.lock(gates_of_rows(rows))
            current = tx.reservations([row.id for row in rows])
            late = [row for row in current.values() if row.state is ReservationState.HELD and row.expires <= now]
            journal = Journal(parts)
            tx.put_reservations([attrs.evolve(row, state=ReservationState.RELEASED) for row in late])
            for row in late:
                journal.released(row, "expired", now)
            journal.write(tx)
        released += len(late)
