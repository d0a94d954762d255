"""Access to personal data: who may open what, written down before anything is shown (ADR 0057).

Deny by default: an actor opens what one of their roles allows, if every registered authoriser agrees. Data of minors
need an approval by somebody else beforehand (未成年人网络保护条例 36). In an emergency staff open
all the same; that is marked, and stays on the list of open reviews until somebody else has looked at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import attrs

from carelink.engine.erasing import is_restricted
from carelink.engine.journal import Journal
from carelink.engine.ledger import people_of
from carelink.engine.membership import childhoods
from carelink.engine.parts import Parts
from carelink.errors import AccessDeniedError, ConflictError, InvalidInputError, NotFoundError
from carelink.model.access import AccessAction, Actor, DataKind, Finding, PurposeOfUse, Role
from carelink.model.ids import PatientId, PersonRef
from carelink.model.moment import DAY, Instant
from carelink.ports.authoriser import AccessQuestion, Authoriser
from carelink.ports.rows import AccessRow, PatientRow
from carelink.ports.store import Transaction

__all__ = ["ROLES", "SEALED", "Access"]

_COARSE: Final = frozenset({DataKind.DECISION, DataKind.HISTORY, DataKind.LOG})

SEALED: Final = frozenset({DataKind.IDENTITY, DataKind.CONTACT, DataKind.CONSENT, DataKind.RECORD})
"""Kinds that are sealed. For minors these need an approval."""

ROLES: Final[Mapping[Role, frozenset[DataKind]]] = {
    Role.OPERATOR: _COARSE,
    Role.CLINICIAN: frozenset({DataKind.DECISION, DataKind.IDENTITY, DataKind.CONTACT, DataKind.CONSENT}),
    Role.COMPLIANCE: _COARSE | SEALED,
    Role.AUDITOR: _COARSE,
    Role.SERVICE: frozenset({DataKind.DECISION}),
}
"""What each role opens, unless the settings say otherwise. Nobody else opens anything."""

_BREAKS_GLASS: Final = frozenset({Role.OPERATOR, Role.CLINICIAN, Role.COMPLIANCE})
_WHILE_RESTRICTED: Final = frozenset(
    {PurposeOfUse.RIGHTS, PurposeOfUse.AUDIT, PurposeOfUse.BREACH, PurposeOfUse.EMERGENCY}
)
"""What a restricted record may be opened for: PIPL 47, storage and protection only."""

_LONGEST: Final = 90 * DAY
"""An approval to look at a minor's data ends; who needs longer is approved again."""


@attrs.define(kw_only=True)
class Access:
    """Decides and writes down who opens what.

    Attributes:
        table: what each role opens.
        authorisers: the hospital's own, each of which can refuse.
    """

    parts: Parts
    table: Mapping[Role, frozenset[DataKind]] = attrs.field(factory=lambda: ROLES)
    authorisers: Sequence[Authoriser] = ()

    def open(self, actor: Actor, what: DataKind, patient: PatientId) -> None:
        """Allow and write down one opening of a patient's data. Called before it is read.

        Raises:
            NotFoundError: the patient is unknown.
            AccessDeniedError: not allowed; the attempt is in the log.
        """
        self._open(actor, what, patient, None)

    def open_person(self, actor: Actor, what: DataKind, person: PersonRef) -> None:
        """The same for a pseudonym of the log; of somebody who may not be in the store any more.

        Raises:
            AccessDeniedError: not allowed; the attempt is in the log.
        """
        with self.parts.store.reader() as reader:
            row = reader.patients_by_person([person]).get(person)
        self._open(actor, what, None if row is None else row.id, person)

    def check(self, actor: Actor, what: DataKind) -> None:
        """See that an actor may open something that is of no single patient, such as the whole log, which has an entry
        of its own.

        Raises:
            AccessDeniedError: not allowed.
        """
        reason = self._refusal(
            AccessQuestion(actor=actor, what=what, patient=None, minor=False, approved=False, restricted=False)
        )
        if reason:
            raise _denied(reason, what)

    def approve(self, patient: PatientId, *, actor: str, by: Actor, until: Instant, purpose: PurposeOfUse) -> str:
        """Approve that somebody looks at a patient's data, until an instant at most 90 days away; the approval's id.

        Args:
            actor: pseudonym of who is to look.
            by: who approves: in role compliance, and somebody else.

        Raises:
            NotFoundError: the patient is unknown.
            AccessDeniedError: the approver is not in role compliance, or approves for themselves.
            InvalidInputError: it would be over, or lasts too long.
        """
        now, _ = self.parts.guard.read()
        self._judges(by, actor)
        if not now < until <= now + _LONGEST:
            raise InvalidInputError("an approval ends within 90 days from now", hint="approve again when it is over")
        with self.parts.store.transaction() as tx:
            row = people_of(tx, [patient])[patient]
            made = AccessRow(
                id=self.parts.ref(), patient=row.id, actor=actor, emergency=False, what=DataKind.RECORD.value,
                purpose=purpose.value, at=now, by=by.ref, until=until,
            )  # fmt: skip
            tx.put_access(made)
            journal = Journal(self.parts)
            journal.access(AccessAction.APPROVED, made, row.person, now)
            journal.write(tx)
        return made.id

    def reviews(self, limit: int = 1000) -> tuple[AccessRow, ...]:
        """Openings in an emergency that nobody has reviewed, oldest first."""
        with self.parts.store.reader() as reader:
            return reader.open_reviews(limit)

    def review(self, access: str, finding: Finding, *, by: Actor) -> None:
        """Write down what a review of an opening in an emergency found.

        Raises:
            NotFoundError: there is no such opening to be reviewed.
            ConflictError: it was reviewed before.
            AccessDeniedError: the reviewer is not in role compliance, or is who opened it.
        """
        with self.parts.store.transaction() as tx:
            row = tx.access(access)
            if row is None or not row.emergency:
                raise NotFoundError("no opening in an emergency has this id", hint="`carelink access reviews`")
            if row.reviewed_at is not None:
                raise ConflictError("it was reviewed before")
            self._judges(by, row.actor)
            now, _ = self.parts.guard.read()
            after = attrs.evolve(row, by=by.ref, reviewed_at=now, finding=finding.value)
            tx.put_access(after)
            journal = Journal(self.parts)
            journal.access(AccessAction.REVIEWED, after, tx.patients([row.patient])[row.patient].person, now)
            journal.write(tx)

    # -- inside ----------------------------------------------------------------------------------------------

    def _judges(self, by: Actor, of: str) -> None:
        if Role.COMPLIANCE not in by.roles:
            raise AccessDeniedError("only role compliance approves and reviews access")
        if by.ref == of:
            raise AccessDeniedError("nobody approves or reviews their own access", hint="ask somebody else")

    def _open(self, actor: Actor, what: DataKind, patient: PatientId | None, person: PersonRef | None) -> None:
        reason = ""
        with self.parts.store.transaction() as tx:
            now, _ = self.parts.guard.read()
            row = None if patient is None else people_of(tx, [patient])[patient]
            minor = what in SEALED and row is not None and self._minor(tx, row, now)
            approved = row is not None and self._approved(tx, actor, row, now)
            question = AccessQuestion(
                actor=actor,
                what=what,
                patient=None if row is None else row.id,
                minor=minor,
                approved=approved,
                restricted=row is not None and is_restricted(tx, row),
            )
            reason = self._refusal(question)
            subject = person or (row.person if row is not None else None)
            assert subject is not None
            self._write(tx, question, subject, reason, now)
        if reason:
            raise _denied(reason, what)

    def _write(self, tx: Transaction, question: AccessQuestion, subject: PersonRef, reason: str, now: Instant) -> None:
        """The entry; and a row to be reviewed, for what was opened in an emergency."""
        actor, journal = question.actor, Journal(self.parts)
        made = AccessRow(
            id=self.parts.ref(), patient=question.patient or PatientId(""), actor=actor.ref, emergency=True,
            what=question.what.value, purpose=actor.purpose.value, at=now,
        )  # fmt: skip
        if reason:
            journal.access(AccessAction.DENIED, made, subject, now)
        else:
            breaks = actor.purpose is PurposeOfUse.EMERGENCY and question.patient is not None
            if breaks:
                tx.put_access(made)
            role = next((each for each in actor.roles if question.what in self.table.get(each, ())), actor.roles[0])
            journal.opened(subject, question.what, actor, role, made.id if breaks else None, now)
        journal.write(tx)

    def _refusal(self, question: AccessQuestion) -> str:
        """Why not; "" where nothing speaks against it."""
        actor = question.actor
        emergency = actor.purpose is PurposeOfUse.EMERGENCY and bool(_BREAKS_GLASS & set(actor.roles))
        if not emergency and not any(question.what in self.table.get(role, ()) for role in actor.roles):
            return "no role of the actor opens this"
        if question.minor and not question.approved and not emergency:
            return "the patient is a minor, and nobody approved that the actor looks"
        if question.restricted and question.what in SEALED and actor.purpose not in _WHILE_RESTRICTED:
            return "the record is restricted, and this is not what it may be opened for"
        for authoriser in self.authorisers:
            if not _agrees(authoriser, question):
                return f"authoriser `{authoriser.name}` refuses"
        return ""

    def _minor(self, tx: Transaction, row: PatientRow, now: Instant) -> bool:
        """Under 18, or once known to be and the birth date cannot be read."""
        if row.age is None:
            return False
        band = childhoods(self.parts, tx, [row])(row, now)
        return band is not None

    def _approved(self, tx: Transaction, actor: Actor, row: PatientRow, now: Instant) -> bool:
        found = tx.accesses([row.id]).get(row.id, ())
        return any(
            not each.emergency and each.actor == actor.ref and each.until is not None and each.at <= now < each.until
            for each in found
        )


def _agrees(authoriser: Authoriser, question: AccessQuestion) -> bool:
    try:
        return authoriser.allows(question) is True
    except Exception:  # noqa: BLE001  whatever it raises, it did not agree (P2)
        return False


def _denied(reason: str, what: DataKind) -> AccessDeniedError:
    return AccessDeniedError(f"`{what.value}` is not opened: {reason}", hint="see docs/how-to/control-access.md")
