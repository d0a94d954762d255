"""Erasure: everything stops, copies elsewhere are told, keys are destroyed, rows go, and a receipt says so (P9).

Steps, each durable, each harmless to repeat; whoever opens the store next goes on where it was cut off:

1. `begun`: the entry `erasing`, the standing, stops on person and own addresses, waiting permits released: one commit.
2. Claims in flight are waited for: they end within their lease, and recovery settles what was lost.
3. `told`: every registered eraser was asked once.
4. `shredded`: the keys of the record and of those merged into it are destroyed, each with its tombstone.
5. `done`: envelopes, index, contact points and pseudonyms of addresses are removed, the entry `erased` and the receipt
   are written: one commit.

The keys of anyone whose erasure reached `told` are looked for at every open, so that an older key store brings nobody
back; on a restored data store the published log is asked. Sources: reference crypto.md e7, DESIGN.md "Keys".
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final

import attrs

from carelink.audit.bodies import ErasedBody, ErasingBody
from carelink.audit.entry import parse_entry
from carelink.audit.kinds import Kind
from carelink.engine.erasing import Concerned, Gone, concerned, forget, stop_everything
from carelink.engine.journal import Journal
from carelink.engine.locks import under_locks
from carelink.engine.membership import follow_merges
from carelink.engine.parts import Parts
from carelink.engine.recovery import recover
from carelink.errors import (
    CarelinkError,
    DecryptError,
    ErasedError,
    InvalidInputError,
    KeyMissingError,
    NotFoundError,
    StoreRestoredError,
)
from carelink.model.ids import PatientId, PersonRef, RelatedId
from carelink.model.moment import Instant, Micros
from carelink.ports.eraser import CopyResult, EraseOrder, Eraser, EraseReport
from carelink.ports.keys import KeyShredder
from carelink.ports.rows import ErasureRow, ReservationRow
from carelink.ports.store import Reader, Transaction
from carelink.rights.outcome import FieldOutcome, FieldResult
from carelink.rights.receipt import CopyOutcome, ErasureReceipt
from carelink.rights.retention import REMAINS, retained
from carelink.vault.personal import Personal
from carelink.vocabulary import ErasurePhase, ReservationState, Standing

__all__ = ["REASONS", "Erasure", "ErasureState"]

REASONS: Final = ("request", "withdrawal", "purpose_ended", "retention_over", "unlawful", "court")
"""Why somebody is erased (PIPL 47, GDPR 17): at the person's request, consent withdrawn, the purpose is fulfilled, the
period is over, the data were not lawfully kept, an authority orders it.
"""

_PAGE: Final = 500
_MARKS: Final = tuple(f'"kind":"{kind.value}"'.encode() for kind in (Kind.ERASING, Kind.ERASED))
_ORDER: Final = list(ErasurePhase)


@attrs.frozen(kw_only=True)
class ErasureState:
    """How far an erasure is.

    Attributes:
        receipt: once it is done.
        in_flight: claims that it waits for; `until`: when the last of them can be settled.
    """

    patient: PatientId
    phase: ErasurePhase
    receipt: ErasureReceipt | None = None
    in_flight: int = 0
    until: Instant | None = None


def _reached(row: ErasureRow, phase: ErasurePhase) -> bool:
    return _ORDER.index(row.phase) >= _ORDER.index(phase)


@attrs.define(kw_only=True)
class Erasure:
    """Erases persons.

    Attributes:
        erasers: whoever keeps derived copies.
        backups: for how long backups of the key store are kept; None where nobody said.
    """

    parts: Parts
    keys: KeyShredder
    erasers: Sequence[Eraser] = ()
    backups: Micros | None = None

    def erase(self, patient: PatientId, *, by: str, reason: str) -> ErasureState:
        """Erase a patient, with every record that was merged into theirs. Again goes on with one that was cut off, asks
        erasers that had not settled once more, and returns the receipt.

        Raises:
            NotFoundError: the patient is unknown.
            InvalidInputError: the reason is none of `REASONS`.
            StoreRestoredError: the store is a restored backup: reconcile it first.
        """
        if reason not in REASONS:
            raise InvalidInputError("the reason is none that an erasure can have", hint=f"one of {', '.join(REASONS)}")
        if self.parts.publisher.restored:
            raise StoreRestoredError("nobody is erased in a restored store that was not reconciled")
        row = self._begin(patient, by, reason)
        if row.phase is ErasurePhase.DONE:
            row = self._tell_again(row)
        return self._go_on(row)

    def state(self, patient: PatientId) -> ErasureState:
        """How far a patient's erasure is.

        Raises:
            NotFoundError: the patient is unknown, or nobody erased them.
        """
        with self.parts.store.reader() as reader:
            found = follow_merges(reader, [patient])
            rows = reader.erasures([row.id for row in found.values()])
        if not rows:
            raise NotFoundError("there is no erasure of this patient")
        (row,) = rows.values()
        return _state(row)

    def resume(self) -> int:
        """Go on with every erasure that is not done, and destroy keys that came back with an older key store; how many
        there were. Called at every open. What cannot go on now is left for the next open, and `doctor` tells.
        """
        count = 0
        for row in self.unfinished():
            try:
                self._go_on(row)
            except CarelinkError:
                continue
            count += 1
        return count

    def shred_again(self) -> int:
        """Destroy the keys of everybody whose erasure got as far as that, where the key store is older and has them
        still; how many owners. Before any read of what is sealed.
        """
        count = 0
        for page in self._pages():
            due = {owner: row for row in page if _reached(row, ErasurePhase.TOLD) for owner in row.owners}
            gone = self.keys.tombstoned(list(due))
            for owner, row in due.items():
                if owner not in gone:
                    self.keys.shred(owner, row.shredded_at or row.begun, row.reason)
                    count += 1
        return count

    def shred_from(self, entries: Iterable[tuple[int, bytes]]) -> int:
        """The same by a published log, where the store is a restored backup and does not know of the erasure."""
        count = 0
        for _, data in entries:
            if not any(mark in data for mark in _MARKS):
                continue
            entry = parse_entry(data)
            if isinstance(entry.body, (ErasingBody, ErasedBody)):
                reason = entry.body.reason if isinstance(entry.body, ErasingBody) else "request"
                count += self._shred_person(PersonRef(entry.body.subject), entry.at, reason)
        return count

    def unfinished(self) -> Iterator[ErasureRow]:
        """Erasures that are not done, or left something of a wrapped key in the key store's write-ahead log."""
        for page in self._pages():
            yield from (row for row in page if row.phase is not ErasurePhase.DONE or not row.clean)

    # -- steps -----------------------------------------------------------------------------------------------

    def _pages(self) -> Iterator[tuple[ErasureRow, ...]]:
        after = ""
        while True:
            with self.parts.store.reader() as reader:
                page = reader.page_erasures(after, _PAGE)
            if not page:
                return
            yield page
            after = page[-1].patient

    def _shred_person(self, person: PersonRef, at: Instant, reason: str) -> int:
        with self.parts.store.reader() as reader:
            row = reader.patients_by_person([person]).get(person)
            owners = () if row is None else concerned(reader, row.id).owners
        left = [owner for owner in owners if owner not in self.keys.tombstoned(owners)]
        for owner in left:
            self.keys.shred(owner, at, reason)
        return len(left)

    def _begin(self, patient: PatientId, by: str, reason: str) -> ErasureRow:
        def work(tx: Transaction, found: Concerned, _lasts: object) -> ErasureRow:
            row = tx.erasures([found.patient.id]).get(found.patient.id)
            if row is not None:
                return row
            now, _ = self.parts.guard.read()
            row = ErasureRow(
                patient=found.patient.id, owners=found.owners, phase=ErasurePhase.BEGUN, reason=reason, by=by, begun=now
            )
            journal = Journal(self.parts)
            journal.erasing(found.patient.person, reason, by, now)
            tx.put_patient(attrs.evolve(found.patient, standing=Standing.ERASED))
            stop_everything(self.parts, tx, journal, found, now)
            tx.put_erasure(row)
            journal.write(tx)
            return row

        return under_locks(self.parts.store, lambda reader: concerned(reader, patient), lambda found: found.gates, work)

    def _go_on(self, row: ErasureRow) -> ErasureState:
        if row.phase is ErasurePhase.BEGUN:
            waiting = self._waiting(row)
            if waiting is not None:
                return waiting
            row = self._tell(row)
        if row.phase is ErasurePhase.TOLD or not row.clean:
            row = self._shred(row)
        if row.phase is ErasurePhase.SHREDDED:
            row = self._finish(row)
        return _state(row)

    def _waiting(self, row: ErasureRow) -> ErasureState | None:
        """What is in flight for the person. Recovery settles what can be settled, while the address can be read."""
        if not self._flying(row):
            return None
        recover(self.parts)
        flying = self._flying(row)
        if not flying:
            return None
        until = max((each.lease for each in flying if each.lease is not None), default=None)
        return ErasureState(patient=row.patient, phase=row.phase, in_flight=len(flying), until=until)

    def _flying(self, row: ErasureRow) -> list[ReservationRow]:
        with self.parts.store.reader() as reader:
            rows = reader.open_for(concerned(reader, row.patient).persons, ())
        return [each for each in rows if each.state is ReservationState.CLAIMED]

    def _tell(self, row: ErasureRow) -> ErasureRow:
        """Ask every eraser, with what is known of the person. The keys are there still."""
        copies = self._asked(self._order(row)) if self.erasers else ()
        return self._advance(attrs.evolve(row, phase=ErasurePhase.TOLD, copies=tuple(copy.word() for copy in copies)))

    def _tell_again(self, row: ErasureRow) -> ErasureRow:
        """Ask the erasers that have not settled, and those that came since; they get the records' ids alone."""
        known = {copy.name: copy for copy in map(CopyOutcome.of, row.copies)}
        settled = {name for name, copy in known.items() if copy.settled}
        order = EraseOrder(patient=row.patient, records=row.owners)
        again = {copy.name: copy for copy in self._asked(order, leave=settled)}
        if not again:
            return row
        copies = tuple(copy for _, copy in sorted({**known, **again}.items()))
        receipt = attrs.evolve(ErasureReceipt.of(row.receipt), copies=copies)
        after = attrs.evolve(row, copies=tuple(copy.word() for copy in copies), receipt=receipt.to_text())
        with self.parts.store.transaction() as tx:
            tx.put_erasure(after)
        return after

    def _asked(self, order: EraseOrder, leave: Collection[str] = ()) -> tuple[CopyOutcome, ...]:
        found = []
        for eraser in sorted(self.erasers, key=lambda each: each.name):
            if eraser.name not in leave:
                report = _ask(eraser, order)
                found.append(CopyOutcome(name=eraser.name, outcome=report.result.value, count=report.count))
        return tuple(found)

    def _order(self, row: ErasureRow) -> EraseOrder:
        """The order with identifiers and addresses; what is damaged is left out.

        Raises:
            KeyProviderError: keys cannot be had now; the erasure waits.
        """
        with self.parts.store.reader() as reader:
            found = concerned(reader, row.patient)
            identifiers = reader.sealed("patient", found.owners, ("identifiers",))
            addresses = reader.sealed("contact", [each.id for each in found.contacts], ("address",))
        owners = {each.id: each.patient for each in found.related}
        of_contact = {str(each.id): owners.get(RelatedId(each.owner), each.owner) for each in found.contacts}
        named = [self._open(owner, "patient", owner, "identifiers", data) for (owner, _), data in identifiers.items()]
        lines = [line for value in named if value is not None for line in str(value.reveal("erasers")).split("\n")]
        reached = [self._open(of_contact[at], "contact", at, "address", data) for (at, _), data in addresses.items()]
        return EraseOrder(
            patient=row.patient,
            records=row.owners,
            identifiers=tuple(map(Personal, lines)),
            addresses=tuple(value for value in reached if value is not None),
        )

    def _open(self, owner: str, table: str, row: str, column: str, envelope: bytes) -> Personal[str] | None:
        try:
            return self.parts.safe.open(owner, table, row, column, envelope)
        except (DecryptError, KeyMissingError, ErasedError):
            return None

    def _shred(self, row: ErasureRow) -> ErasureRow:
        """Destroy the keys. A tombstone keeps the instant of the first time."""
        now, _ = self.parts.guard.read()
        done = [self.keys.shred(owner, now, row.reason) for owner in row.owners]
        phase = row.phase if _reached(row, ErasurePhase.SHREDDED) else ErasurePhase.SHREDDED
        at = Instant(min(each.at for each in done))
        after = attrs.evolve(row, phase=phase, shredded_at=at, clean=all(each.clean for each in done))
        return self._advance(after)

    def _finish(self, row: ErasureRow) -> ErasureRow:
        def work(tx: Transaction, found: Concerned, _lasts: object) -> ErasureRow:
            current = tx.erasures([row.patient])[row.patient]
            if current.phase is ErasurePhase.DONE:
                return current
            now, _ = self.parts.guard.read()
            journal = Journal(self.parts)
            gone = forget(self.parts, tx, journal, found, now)
            kept = [code for code in REMAINS if code not in _sometimes(gone)]
            journal.erased(found.patient.person, kept, now)
            receipt = self._receipt(tx, current, gone, tuple(kept), now)
            after = attrs.evolve(current, phase=ErasurePhase.DONE, receipt=receipt.to_text())
            tx.put_erasure(after)
            journal.write(tx)
            return after

        done = under_locks(
            self.parts.store, lambda reader: concerned(reader, row.patient), lambda found: found.gates, work
        )
        self.parts.publisher.tick()
        return done

    def _receipt(
        self, reader: Reader, row: ErasureRow, gone: Gone, kept: tuple[str, ...], now: Instant
    ) -> ErasureReceipt:
        tenant = reader.tenant()
        policy = self.parts.policies.get(reader, tenant.policy, tenant.packs)
        jurisdictions = {pack.jurisdiction for pack in policy.packs} if policy is not None else set()
        live = now if row.shredded_at is None else row.shredded_at
        erased = tuple(
            FieldOutcome(field=field, result=FieldResult.ERASED, count=count)
            for field, count in sorted(gone.fields.items())
        )
        return ErasureReceipt(
            patient=row.patient,
            records=len(row.owners),
            reason=row.reason,
            by=row.by,
            begun=row.begun,
            done=now,
            unreadable_live=live,
            unreadable_backups=None if self.backups is None else Instant(live + self.backups),
            fields=(*erased, *retained(jurisdictions, now)),
            remains=kept,
            copies=tuple(map(CopyOutcome.of, row.copies)),
            stops=gone.stops,
        )

    def _advance(self, row: ErasureRow) -> ErasureRow:
        """Write a step down, unless another process is further already."""
        with self.parts.store.transaction() as tx:
            current = tx.erasures([row.patient]).get(row.patient, row)
            if _ORDER.index(current.phase) > _ORDER.index(row.phase):
                return current
            tx.put_erasure(row)
        return row


def _sometimes(gone: Gone) -> set[str]:
    """Codes of what can remain, and does not here."""
    return {code for code, there in (("address_tokens", gone.stops), ("shared_address", gone.shared)) if not there}


def _ask(eraser: Eraser, order: EraseOrder) -> EraseReport:
    try:
        report: Any = eraser.erase(order)
    except Exception:  # noqa: BLE001  whatever an eraser raises, the person is erased here all the same
        return EraseReport(result=CopyResult.FAILED)
    result, count = getattr(report, "result", None), getattr(report, "count", None)
    if not isinstance(result, CopyResult) or not isinstance(count, int) or count < 0:
        return EraseReport(result=CopyResult.FAILED)
    return EraseReport(result=result, count=count)


def _state(row: ErasureRow) -> ErasureState:
    receipt = ErasureReceipt.of(row.receipt) if row.receipt else None
    return ErasureState(patient=row.patient, phase=row.phase, receipt=receipt)
