"""What changes a person as a whole: two records that are one person, death, and the stage of care."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from carelink.engine.journal import Journal
from carelink.engine.locks import person_gate, under_locks
from carelink.engine.membership import follow_merges
from carelink.engine.parts import Parts
from carelink.errors import InvalidInputError, NotFoundError
from carelink.model.ids import PatientId
from carelink.ports.rows import Gate, PatientRow
from carelink.ports.store import Reader, Transaction
from carelink.vocabulary import LifecycleStage, Standing

__all__ = ["mark", "merge", "place"]

People = Mapping[PatientId, PatientRow]


def _gates(people: People) -> tuple[Gate, ...]:
    return tuple(dict.fromkeys(person_gate(row.person) for row in people.values()))


def merge(parts: Parts, old: PatientId, survivor: PatientId) -> None:
    """Two records are one person: the old one's suppressions and contacts bind the survivor, and so does a death that
    stands on either; its grants do not carry over (ADR 0009). Where the survivor was itself merged into another, that
    one is meant.

    Raises:
        NotFoundError: one of them is unknown.
        InvalidInputError: they are the same record, the first was merged into another, or one of them was erased.
    """
    if old == survivor:
        raise InvalidInputError("a record cannot be merged into itself")

    def look(reader: Reader) -> People:
        rows = follow_merges(reader, (old, survivor))
        if old not in rows or survivor not in rows:
            raise NotFoundError("no patient has this id")
        return rows

    def work(tx: Transaction, rows: People, _lasts: object) -> None:
        gone, stays = rows[old], rows[survivor]
        if gone.id == stays.id and survivor != gone.id:
            raise InvalidInputError("a record cannot be merged into itself")
        if gone.id == stays.id:
            return
        if gone.id != old:
            raise InvalidInputError("the record was merged into another already", hint="merge the one it names")
        if Standing.ERASED in (gone.standing, stays.standing):
            raise InvalidInputError("an erased record cannot be merged")
        now, _ = parts.guard.read()
        journal = Journal(parts)
        if gone.standing is Standing.DECEASED and stays.standing is Standing.ACTIVE:
            tx.put_patient(attrs.evolve(stays, standing=Standing.DECEASED))
            journal.subject(stays.person, now, standing=Standing.DECEASED)
        tx.put_patient(attrs.evolve(gone, standing=Standing.MERGED, merged_into=stays.id))
        journal.merged(stays.person, gone.person, now)
        journal.write(tx)

    under_locks(parts.store, look, _gates, work)


def mark(parts: Parts, patient: PatientId, standing: Standing) -> None:
    """Record that a patient died, or that this was recorded in error. A merged record means the one it was merged
    into.

    Raises:
        NotFoundError: the patient is unknown.
    """
    _change(parts, patient, standing=standing)


def place(parts: Parts, patient: PatientId, stage: LifecycleStage) -> None:
    """Record where a patient stands with the hospital. A merged record means the one it was merged into.

    Raises:
        NotFoundError: the patient is unknown.
    """
    _change(parts, patient, stage=stage)


def _change(
    parts: Parts, patient: PatientId, *, standing: Standing | None = None, stage: LifecycleStage | None = None
) -> None:
    def look(reader: Reader) -> People:
        rows = follow_merges(reader, [patient])
        if patient not in rows:
            raise NotFoundError("no patient has this id")
        return rows

    def work(tx: Transaction, rows: People, _lasts: object) -> None:
        row = rows[patient]
        after = attrs.evolve(row, standing=standing or row.standing, stage=stage or row.stage)
        if after == row or row.standing in (Standing.ERASED, Standing.MERGED):
            return
        now, _ = parts.guard.read()
        tx.put_patient(after)
        journal = Journal(parts)
        journal.subject(row.person, now, standing=standing, stage=stage)
        journal.write(tx)

    under_locks(parts.store, look, _gates, work)
