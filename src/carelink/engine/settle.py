"""Settles claims: the answer of the channel, or the cause of none, into reservation and log in one commit."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from carelink.engine.handover import Tried
from carelink.engine.journal import Journal
from carelink.engine.locks import address_gate, gates_of_rows, person_gate, under_locks
from carelink.engine.parts import Parts
from carelink.engine.stops import apply_stops, opt_out_of
from carelink.model.ids import PersonRef, ReservationId
from carelink.model.touchpoint import SETTLES
from carelink.ports.rows import Gate, ReservationRow
from carelink.ports.store import Reader, Transaction
from carelink.vocabulary import Outcome, ReservationState, StopSource

__all__ = ["settle"]


def settle(parts: Parts, tried: Sequence[Tried]) -> dict[ReservationId, ReservationRow]:
    """Record what came of each claim; the rows as they stand now. A claim that recovery settled meanwhile keeps what
    recovery wrote, but an opt-out or account trouble that its late answer tells still acts.
    """
    if not tried:
        return {}
    rows = [item.reservation for item in tried]
    leaving = tuple({item.reservation.token for item in tried if _says(item, Outcome.OPTED_OUT)})

    def gates(users: dict[bytes, tuple[PersonRef, ...]]) -> tuple[Gate, ...]:
        more = [person_gate(person) for persons in users.values() for person in persons]
        return tuple(dict.fromkeys((*gates_of_rows(rows), *map(address_gate, leaving), *more)))

    return under_locks(
        parts.store,
        lambda reader: _users(reader, leaving),
        gates,
        lambda tx, users, _lasts: _settle_in(parts, tx, tried, users),
    )


def _users(reader: Reader, tokens: Sequence[bytes]) -> dict[bytes, tuple[PersonRef, ...]]:
    """Everybody on each address."""
    found = reader.contacts_on(tokens) if tokens else {}
    return {token: tuple(dict.fromkeys(row.person for row in rows)) for token, rows in found.items()}


def _says(item: Tried, outcome: Outcome) -> bool:
    return item.attempt is not None and item.attempt.result.outcome is outcome


def _settle_in(
    parts: Parts, tx: Transaction, tried: Sequence[Tried], users: dict[bytes, tuple[PersonRef, ...]]
) -> dict[ReservationId, ReservationRow]:
    current = dict(tx.reservations([item.reservation.id for item in tried]))
    now, _ = parts.guard.read()
    journal, changed = Journal(parts), []
    held = parts.safe.held_by([item.reservation.patient for item in tried if item.attempt is not None])
    for item in tried:
        row = current[item.reservation.id]
        if row.state is not ReservationState.CLAIMED:
            continue
        after = _settled(parts, item, row)
        current[row.id] = after
        changed.append(after)
        if item.attempt is None:
            journal.released(row, item.cause, now)
        else:
            journal.handover(after, item.attempt, item.content, held.get(row.patient))
    tx.put_reservations(changed)
    for item in tried:
        row = item.reservation
        if _says(item, Outcome.OPTED_OUT):
            persons = users.get(row.token, ())
            apply_stops(parts, tx, journal, opt_out_of(row, persons), StopSource.PROVIDER, now)
    for channel in sorted({item.reservation.channel for item in tried if _says(item, Outcome.ACCOUNT)}):
        tx.put_channel_stop(channel, stopped=True)
    journal.write(tx)
    return current


def _settled(parts: Parts, item: Tried, row: ReservationRow) -> ReservationRow:
    if item.attempt is None:
        return attrs.evolve(row, state=ReservationState.RELEASED)
    result = item.attempt.result
    provider = None
    if result.provider_id is not None:
        provider = parts.safe.provider_hash(row.channel, result.provider_id)
    return attrs.evolve(row, state=SETTLES[result.outcome], outcome=result.outcome, provider=provider)
