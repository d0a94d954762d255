"""Work under gate locks: who is concerned is read before they are taken and again after; if it moved, once more."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from carelink.errors import StoreError
from carelink.model.ids import PersonRef
from carelink.model.moment import Instant
from carelink.ports.rows import Gate, ReservationRow
from carelink.ports.store import Reader, Store, Transaction

__all__ = ["address_gate", "gates_of_rows", "person_gate", "under_locks"]

_RETRIES: Final = 5

Seen = TypeVar("Seen")
Done = TypeVar("Done")


def person_gate(person: PersonRef) -> Gate:
    """The gate row of a person."""
    return Gate("person", bytes.fromhex(person))


def address_gate(token: bytes) -> Gate:
    """The gate row of an address."""
    return Gate("address", token)


def gates_of_rows(rows: Sequence[ReservationRow]) -> tuple[Gate, ...]:
    """Gate rows of reservations: subject, recipient, address; each once."""
    gates: dict[Gate, None] = {}
    for row in rows:
        gates[person_gate(row.subject)] = None
        gates[person_gate(row.recipient)] = None
        gates[address_gate(row.token)] = None
    return tuple(gates)


def under_locks(
    store: Store,
    look: Callable[[Reader], Seen],
    gates: Callable[[Seen], Sequence[Gate]],
    work: Callable[[Transaction, Seen, Mapping[Gate, Instant]], Done],
) -> Done:
    """Do the work with what `look` sees under the locks, and commit.

    Where a transaction of the store excludes every other one from its beginning, nothing can move between a first look
    and the locks, and one look is enough.

    Raises:
        StoreError: who is concerned kept changing.
    """
    if store.exclusive:
        with store.transaction() as tx:
            seen = look(tx)
            return work(tx, seen, tx.lock(gates(seen)))
    for _ in range(_RETRIES):
        with store.reader() as reader:
            before = gates(look(reader))
        with store.transaction() as tx:
            lasts = tx.lock(before)
            seen = look(tx)
            if set(gates(seen)) <= set(before):
                return work(tx, seen, lasts)
    raise StoreError("persons and addresses kept changing while they were being locked", hint="try again")
