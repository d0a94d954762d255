"""Answers what a patient may ask: access, copy, export, correction, restriction, and the refusal of any of these.

Who may open the whole record answers; each answer is an entry with the id of its receipt, and the opening is one too.
Erasure is `carelink.engine.erasure`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Final

import attrs

from carelink.engine.access import Access
from carelink.engine.erasing import Concerned, concerned
from carelink.engine.journal import Journal
from carelink.engine.ledger import Ledger
from carelink.engine.locks import under_locks
from carelink.engine.parts import Parts
from carelink.engine.person import read_person
from carelink.engine.registration import ContactInput, PatientInput, Registration
from carelink.engine.stops import StopOrder, apply_stops
from carelink.errors import ConflictError, InvalidInputError
from carelink.model.access import Actor, DataKind, Refusal, Right
from carelink.model.ids import PatientId
from carelink.model.moment import Instant
from carelink.model.scope import ANY, Scope
from carelink.ports.rows import Gate
from carelink.ports.store import Transaction
from carelink.rights.outcome import FieldOutcome, FieldResult
from carelink.rights.person import Person
from carelink.rights.request import RightsReceipt
from carelink.rights.statement import field_outcomes
from carelink.vault.canonical import canonical_address
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, Purpose, Standing, StopSource

__all__ = ["OWED", "Answer", "Correction", "Rights"]

OWED: Final = frozenset(
    {
        Purpose.SYSTEM_RIGHTS,
        Purpose.SYSTEM_BREACH_NOTICE,
        Purpose.SYSTEM_OPTOUT_CONFIRM,
        Purpose.CARE_RECALL_SAFETY,
        Purpose.PUBLIC_HEALTH_NOTICE,
    }
)
"""What is owed to a person even while their data are restricted (GDPR 18(2): vital interest, public interest)."""

_RESTRICTED: Final = Scope(tuple(sorted(each.value for each in Purpose if each not in OWED)), (ANY,))


@attrs.frozen(kw_only=True)
class Answer:
    """An answer: its receipt, and the record where that is what was asked for."""

    receipt: RightsReceipt
    person: Person | None = None


@attrs.frozen(kw_only=True)
class Correction:
    """What is to be corrected. None or "" where nothing is said.

    Attributes:
        add, remove: addresses with their kind; one that is removed is on record of the patient.
    """

    name: Personal[str] | None = None
    birth_date: Personal[date] | None = None
    zone: str = ""
    language: str = ""
    add: tuple[tuple[AddressKind, Personal[str]], ...] = ()
    remove: tuple[tuple[AddressKind, Personal[str]], ...] = ()


@attrs.define(kw_only=True)
class Rights:
    """Answers."""

    parts: Parts
    access: Access
    ledger: Ledger
    registration: Registration

    def show(self, right: Right, patient: PatientId, actor: Actor) -> Answer:
        """Open the whole record, for access, a copy or an export.

        Raises:
            NotFoundError: the patient is unknown.
            AccessDeniedError: the actor may not open the record.
            InvalidInputError: the right is another one.
        """
        if right not in (Right.ACCESS, Right.COPY, Right.EXPORT):
            raise InvalidInputError("this right does not open the record", hint="access, copy or export")
        self.access.open(actor, DataKind.RECORD, patient)
        person = read_person(self.parts, patient, DataKind.RECORD)
        now, _ = self.parts.guard.read()
        fields = field_outcomes(person, self._jurisdictions(), now)
        return Answer(receipt=self._note(right, patient, actor, fields, now), person=person)

    def correct(self, patient: PatientId, change: Correction, actor: Actor) -> Answer:
        """Correct what is wrong, and add what is missing.

        Raises:
            NotFoundError: the patient is unknown.
            AccessDeniedError: the actor may not open the record.
            InvalidInputError: nothing is said, a value is malformed, or an address that is to go is not on record.
            ConflictError: the patient is erased.
        """
        if change == Correction():
            raise InvalidInputError("nothing is to be corrected")
        self.access.open(actor, DataKind.RECORD, patient)
        before = read_person(self.parts, patient, DataKind.RECORD)
        if before.standing is Standing.ERASED or not before.identifiers:
            raise ConflictError("this patient was erased, or no identifier of theirs can be read")
        gone = [self._token(kind, address) for kind, address in change.remove]
        self._remove(patient, gone, check=True)
        self._register(before, change)
        self._remove(patient, gone)
        now, _ = self.parts.guard.read()
        after = read_person(self.parts, patient, DataKind.RECORD)
        return Answer(receipt=self._note(Right.CORRECT, patient, actor, _changes(before, after), now))

    def restrict(self, patient: PatientId, actor: Actor) -> Answer:
        """Store and protect only: nothing is sent but what is owed, and the record is opened for rights, audits and
        emergencies alone. Saying it twice changes nothing.

        Raises:
            NotFoundError: the patient is unknown.
            AccessDeniedError: the actor may not open the record.
        """
        self.access.open(actor, DataKind.RECORD, patient)

        def work(tx: Transaction, found: Concerned, _lasts: Mapping[Gate, Instant]) -> None:
            persons = tuple(row.person for row in found.records)
            left = tuple(
                person for person in persons
                if not any(stop.source is StopSource.RESTRICTION for stop in tx.stops([person], ()))
            )  # fmt: skip
            if left:
                now, _ = self.parts.guard.read()
                journal = Journal(self.parts)
                order = StopOrder(persons=left, scopes=(_RESTRICTED,))
                apply_stops(self.parts, tx, journal, order, StopSource.RESTRICTION, now)
                journal.write(tx)

        under_locks(self.parts.store, lambda reader: concerned(reader, patient), lambda found: found.gates, work)
        self.parts.publisher.tick()
        return self._settled(Right.RESTRICT, patient, actor)

    def unrestrict(self, patient: PatientId, actor: Actor) -> Answer:
        """Lift the restriction; no other stop is lifted.

        Raises:
            NotFoundError: the patient is unknown.
            AccessDeniedError: the actor may not open the record.
        """
        self.access.open(actor, DataKind.RECORD, patient)
        everything = Scope((ANY,), (ANY,))
        only_this = lambda stop: stop.source is StopSource.RESTRICTION  # noqa: E731
        self.ledger.lift(patient, everything, by=actor.ref, only=only_this)
        return self._settled(Right.UNRESTRICT, patient, actor)

    def refuse(self, right: Right, patient: PatientId, reason: Refusal, actor: Actor) -> Answer:
        """Refuse a request in writing; see `carelink.rights.request.refusal_letter`.

        Raises:
            NotFoundError: the patient is unknown.
            AccessDeniedError: the actor may not open records, and so answers no requests.
        """
        self.access.check(actor, DataKind.RECORD)
        now, _ = self.parts.guard.read()
        return Answer(receipt=self._note(right, patient, actor, (), now, reason))

    # -- inside ----------------------------------------------------------------------------------------------

    def _settled(self, right: Right, patient: PatientId, actor: Actor) -> Answer:
        person = read_person(self.parts, patient, DataKind.RECORD)
        now, _ = self.parts.guard.read()
        fields = field_outcomes(person, self._jurisdictions(), now)
        return Answer(receipt=self._note(right, patient, actor, fields, now))

    def _note(
        self,
        right: Right,
        patient: PatientId,
        actor: Actor,
        fields: Sequence[FieldOutcome],
        now: Instant,
        reason: Refusal | None = None,
    ) -> RightsReceipt:
        with self.parts.store.transaction() as tx:
            row = concerned(tx, patient).patient
            receipt = RightsReceipt(
                receipt=self.parts.ref(), right=right, patient=row.id, at=now, by=actor.ref, fields=tuple(fields),
                refusal=reason,
            )  # fmt: skip
            journal = Journal(self.parts)
            journal.rights(receipt.receipt, right, row.person, actor.ref, reason, now)
            journal.write(tx)
        return receipt

    def _jurisdictions(self) -> Collection[str]:
        with self.parts.store.reader() as reader:
            tenant = reader.tenant()
            policy = self.parts.policies.get(reader, tenant.policy, tenant.packs)
        return () if policy is None else {pack.jurisdiction for pack in policy.packs}

    def _token(self, kind: AddressKind, address: Personal[str]) -> bytes:
        form = canonical_address(kind, address.reveal("correct"), self.parts.options.region)
        return self.parts.safe.token(kind, form.text)

    def _register(self, before: Person, change: Correction) -> None:
        """Name, birth date, zone, language and new addresses go the way of every registration."""
        first = next((each.value for each in before.identifiers if each.value is not None), None)
        if first is None:
            raise ConflictError("no identifier of this patient can be read")
        system, _, value = first.reveal("correct").partition("|")
        given = PatientInput(
            identifiers=((system, Personal(value)),),
            name=change.name,
            birth_date=change.birth_date,
            zone=change.zone,
            language=change.language,
            contacts=tuple(ContactInput(kind=kind, address=address) for kind, address in change.add),
            known=True,
        )
        (done,) = self.registration.register([given])
        if done.error is not None:
            raise done.error

    def _remove(self, patient: PatientId, tokens: Sequence[bytes], *, check: bool = False) -> None:
        """Remove contact points of the patient's own. With `check`, only see that they are there."""

        def work(tx: Transaction, found: Concerned, _lasts: Mapping[Gate, Instant]) -> None:
            rows = [row for row in found.contacts if row.owner in found.owners and row.token in tokens]
            if {row.token for row in rows} != set(tokens):
                raise InvalidInputError("an address that is to go is not on record of this patient")
            if check:
                return
            now, _ = self.parts.guard.read()
            journal = Journal(self.parts)
            tx.delete_sealed("contact", [row.id for row in rows])
            for row in rows:
                journal.contact(row.person, row, now, ended=True)
                tx.delete_contact(row.id)
            journal.write(tx)

        if tokens:
            under_locks(self.parts.store, lambda reader: concerned(reader, patient), lambda found: found.gates, work)


def _changes(before: Person, after: Person) -> tuple[FieldOutcome, ...]:
    """Which fields are other than they were, by comparing what opens."""
    pairs = {
        "patient.name": (before.name, after.name),
        "patient.birth_date": (before.birth_date, after.birth_date),
        "patient.zone": (before.zone, after.zone),
        "patient.language": (before.language, after.language),
    }
    changed = [
        FieldOutcome(field=name, result=FieldResult.CORRECTED) for name, (old, new) in pairs.items() if old != new
    ]
    ids = {each.id for each in before.contacts} ^ {each.id for each in after.contacts}
    if ids:
        changed.append(FieldOutcome(field="contact.address", result=FieldResult.CORRECTED, count=len(ids)))
    return tuple(changed)
