"""Settles claims: the answer of the channel, or the cause of none, into reservation and log in one commit."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from carelink.engine.handover import Tried
from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.engine.stops import apply_stops, opt_out_of
from carelink.model.ids import ReservationId
from carelink.model.touchpoint import SETTLES
from carelink.ports.rows import Gate, ReservationRow
from carelink.vocabulary import Outcome, ReservationState, StopSource

__all__ = ["gates_of_rows", "settle"]


def gates_of_rows(rows: Sequence[ReservationRow]) -> tuple[Gate, ...]:
    """Gate rows of reservations: subject, recipient, address; each once."""
    gates: dict[Gate, None] = {}
    for row in rows:
        gates[Gate("person", bytes.fromhex(row.subject))] = None
        gates[Gate("person", bytes.fromhex(row.recipient))] = None
        gates[Gate("address", row.token)] = None
    return tuple(gates)


def settle(parts: Parts, tried: Sequence[Tried]) -> dict[ReservationId, ReservationRow]:
    """Record what came of each claim. A claim that recovery settled meanwhile keeps what recovery wrote."""
    if not tried:
        return {}
    ids = [item.reservation.id for item in tried]
    with parts.store.transaction() as tx:
        tx.lock(gates_of_rows([item.reservation for item in tried]))
        current = tx.reservations(ids)
        now, _ = parts.guard.read()
        journal, changed, opted_out, accounts = Journal(parts), [], [], set()
        for item in tried:
            row = current[item.reservation.id]
            if row.state is not ReservationState.CLAIMED:
                continue
            after = _settled(parts, item, row)
            changed.append(after)
            if item.attempt is None:
                journal.released(row, item.cause, now)
                continue
            journal.handover(after, item.attempt, item.content)
            if after.outcome is Outcome.OPTED_OUT:
                opted_out.append(after)
            if after.outcome is Outcome.ACCOUNT:
                accounts.add(after.channel)
        tx.put_reservations(changed)
        for row in opted_out:
            apply_stops(parts, tx, journal, opt_out_of(row), StopSource.PROVIDER, now)
        for channel in sorted(accounts):
            tx.put_channel_stop(channel, stopped=True)
        journal.write(tx)
        return {row.id: row for row in changed}


def _settled(parts: Parts, item: Tried, row: ReservationRow) -> ReservationRow:
    if item.attempt is None:
        return attrs.evolve(row, state=ReservationState.RELEASED)
    result = item.attempt.result
    provider = None
    if result.provider_id is not None:
        provider = parts.safe.provider_hash(row.channel, result.provider_id)
    return attrs.evolve(row, state=SETTLES[result.outcome], outcome=result.outcome, provider=provider)
