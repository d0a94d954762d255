"""Recovery: claims whose answer was lost are looked up or become UNKNOWN; permits nobody claimed give their slots
back. Runs before each send, so that a restart settles what a kill left behind (P6).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from carelink.engine.handover import attempt_key
from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.engine.settle import gates_of_rows
from carelink.errors import CarelinkError
from carelink.model.moment import Instant
from carelink.model.touchpoint import SETTLES
from carelink.ports.channel import LookupResult
from carelink.ports.rows import ReservationRow
from carelink.vault.personal import Personal
from carelink.vocabulary import Outcome, ReservationState

__all__ = ["Recovered", "recover"]

_BATCH: Final = 1000
_UNTOLD: Final = LookupResult(found=None)


@attrs.frozen(kw_only=True)
class Recovered:
    """What recovery settled.

    Attributes:
        looked_up: claims the channel could tell about.
        unknown: claims nobody can tell about: maybe delivered, never repeated.
        expired: permits that nobody claimed in time.
        in_flight: claims whose lease still runs.
        until: when the last of those leases ends.
    """

    looked_up: int = 0
    unknown: int = 0
    expired: int = 0
    in_flight: int = 0
    until: Instant | None = None


def recover(parts: Parts) -> Recovered:
    """Settle what is overdue."""
    now, _ = parts.guard.read()
    with parts.store.reader() as reader:
        claimed = reader.open_reservations(ReservationState.CLAIMED, limit=_BATCH)
        held = reader.open_reservations(ReservationState.HELD, limit=_BATCH)
    overdue = [row for row in claimed if row.lease is not None and row.lease <= now]
    flying = [row for row in claimed if row.lease is None or row.lease > now]
    late = [row for row in held if row.expires <= now]
    told = _settle_claims(parts, overdue, now)
    _release(parts, late, now)
    return Recovered(
        looked_up=told,
        unknown=len(overdue) - told,
        expired=len(late),
        in_flight=len(flying),
        until=max((row.lease for row in flying if row.lease is not None), default=None),
    )


def _ask(parts: Parts, row: ReservationRow, envelope: bytes | None) -> LookupResult:
    if row.channel not in parts.channels or not parts.channels[row.channel][1].lookup:
        return _UNTOLD
    if envelope is None:
        return _UNTOLD
    try:
        address: Personal[str] = parts.safe.open(row.patient, "contact", row.contact, "address", envelope)
        return parts.dispatcher.lookup(row.channel, key=attempt_key(parts, row), address=address, since=row.at)
    except CarelinkError:
        return _UNTOLD


def _outcome(answer: LookupResult) -> Outcome:
    if answer.found is None:
        return Outcome.UNKNOWN
    if answer.found:
        return answer.outcome if answer.outcome in (Outcome.ACCEPTED, Outcome.AWAITING_HUMAN) else Outcome.ACCEPTED
    return Outcome.NOT_SENT


def _settle_claims(parts: Parts, rows: Sequence[ReservationRow], now: Instant) -> int:
    if not rows:
        return 0
    with parts.store.reader() as reader:
        envelopes = reader.sealed("contact", [row.contact for row in rows], ("address",))
    answers = {row.id: _ask(parts, row, envelopes.get((row.contact, "address"))) for row in rows}
    told = 0
    with parts.store.transaction() as tx:
        tx.lock(gates_of_rows(rows))
        current = tx.reservations([row.id for row in rows])
        journal, changed = Journal(parts), []
        for row in current.values():
            if row.state is not ReservationState.CLAIMED:
                continue
            outcome = _outcome(answers[row.id])
            told += outcome is not Outcome.UNKNOWN
            after = attrs.evolve(row, state=SETTLES[outcome], outcome=outcome)
            changed.append(after)
            journal.recovered(after, "deadline" if outcome is Outcome.UNKNOWN else "lookup", now)
        tx.put_reservations(changed)
        journal.write(tx)
    return told


def _release(parts: Parts, rows: Sequence[ReservationRow], now: Instant) -> None:
    if not rows:
        return
    with parts.store.transaction() as tx:
        tx.lock(gates_of_rows(rows))
        current = tx.reservations([row.id for row in rows])
        late = [row for row in current.values() if row.state is ReservationState.HELD and row.expires <= now]
        journal = Journal(parts)
        tx.put_reservations([attrs.evolve(row, state=ReservationState.RELEASED) for row in late])
        for row in late:
            journal.released(row, "expired", now)
        journal.write(tx)
