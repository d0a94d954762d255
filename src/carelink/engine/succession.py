"""Closing a log at the end of its period and beginning its successor: one commit, under the tenant's exclusive lock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from carelink.audit.bodies import PreviousLog
from carelink.audit.checkpoint import SignedCheckpoint, VerifierKey
from carelink.audit.merkle import leaf_hash
from carelink.audit.succession import is_carried
from carelink.engine.journal import Journal, genesis
from carelink.engine.notary import Notary
from carelink.engine.parts import Parts
from carelink.errors import ConflictError
from carelink.ports.rows import EntryRow
from carelink.ports.store import Transaction
from carelink.vocabulary import ReservationState

__all__ = ["Succeeded", "succeed"]

_BATCH = 2000


@attrs.frozen(kw_only=True)
class Succeeded:
    """What a succession did.

    Attributes:
        closed: last head of the closed log.
        successor: verifier key of the log that goes on.
        carried: entries that the successor began with, its genesis apart.
    """

    closed: SignedCheckpoint
    successor: VerifierKey
    carried: int


def succeed(parts: Parts, notary: Notary, successor: VerifierKey, *, by: str) -> Succeeded:
    """Seal the log, publish its last head, and begin the successor with what is.

    Everything but the last head happens in one transaction; the head is published just before its commit. Cut off in
    between, the store is older than its log, as after a restore, and `store reconcile` makes the seal void.

    Raises:
        ConflictError: permits wait or claims are in flight: send or let them end first.
        StoreError: the store is a restored backup, or the log cannot be written.
    """
    with parts.store.transaction() as tx:
        tx.lock_global()
        _nothing_open(tx)
        now, _ = parts.guard.read()
        journal = Journal(parts)
        journal.sealed(successor.fingerprint, by, now)
        journal.write(tx)
        closed = notary.publish_from(tx)
        kept = list(_carried(tx, closed.size))
        tenant = tx.tenant()
        tx.begin_log()
        tx.put_tenant(attrs.evolve(tenant, origin=successor.name))
        previous = PreviousLog(origin=closed.checkpoint.origin, size=closed.size, root=closed.root.hex())
        first = genesis(
            parts.entropy,
            tenant=tenant.tenant,
            origin=successor.name,
            log_key=successor.text,
            at=now,
            previous=previous,
        )
        tx.append([first])
        for start in range(0, len(kept), _BATCH):
            tx.append(kept[start : start + _BATCH])
    return Succeeded(closed=closed, successor=successor, carried=len(kept))


def _nothing_open(tx: Transaction) -> None:
    open_states: Sequence[ReservationState] = (ReservationState.HELD, ReservationState.CLAIMED)
    if any(tx.open_reservations(state, limit=1) for state in open_states):
        raise ConflictError(
            "permits wait or claims are in flight: their ends belong into the same log",
            hint="run `carelink send` for them, or wait until they expire",
        )


def _carried(tx: Transaction, size: int) -> Iterator[EntryRow]:
    for start in range(0, size, _BATCH):
        for data in tx.entries(start, min(size, start + _BATCH)):
            if is_carried(data):
                yield EntryRow(data=data, leaf=leaf_hash(data))
