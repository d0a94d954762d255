"""The consent ledger: grants with their evidence, withdrawals, suppressions, liftings; each with its entry, each
under the gate locks of the persons and addresses it concerns.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.engine.stops import StopOrder, Stopped, apply_stops
from carelink.errors import InvalidInputError, NotFoundError
from carelink.model.ids import AddressRef, GrantId, PatientId, SuppressionId
from carelink.model.moment import Instant
from carelink.model.scope import Scope
from carelink.ports.rows import Gate, GrantRow, PatientRow
from carelink.ports.store import Reader, Transaction
from carelink.vocabulary import GrantState, RecipientRole, StopSource

__all__ = ["GrantOrder", "Ledger", "grant_row", "meets", "person_gate"]

_MAX_EVIDENCE = 500


def person_gate(row: PatientRow) -> Gate:
    """The gate row of a patient."""
    return Gate("person", bytes.fromhex(row.person))


@attrs.frozen(kw_only=True, repr=False)
class GrantOrder:
    """A grant to record.

    Attributes:
        scope: purposes or families, and channel kinds.
        evidence: where the proof lies (form number, recording id): sealed, never logged in clear.
        by: who gave it.
        since, until: validity, half open; `since` is when it was given.
        separate: given specifically for this processing.
        notice: version of the notice shown, `[A-Za-z0-9_.-]{0,64}`.
    """

    patient: PatientId
    scope: Scope
    evidence: str = attrs.field(repr=False)
    by: RecipientRole = RecipientRole.SELF
    since: Instant | None = None
    until: Instant | None = None
    separate: bool = False
    notice: str = ""

    def __attrs_post_init__(self) -> None:
        if not self.evidence.strip() or len(self.evidence) > _MAX_EVIDENCE:
            raise InvalidInputError("a grant needs a reference to its evidence", hint="name the form or recording")
        if not self.scope.purposes or "*" in self.scope.purposes or not self.scope.channels:
            raise InvalidInputError("a grant names purposes and channels", hint="there is no consent to everything")
        if self.since is not None and self.until is not None and self.until <= self.since:
            raise InvalidInputError("a grant ends after it begins")
        if not all(mark.isascii() and (mark.isalnum() or mark in "_.-") for mark in self.notice):
            raise InvalidInputError("a notice version is `[A-Za-z0-9_.-]`")


@attrs.define
class Ledger:
    """Records consent and stops."""

    parts: Parts

    def grant(self, orders: Sequence[GrantOrder]) -> list[GrantId]:
        """Record grants, all in one commit. Repeating a standing grant with the same evidence changes nothing.

        Raises:
            NotFoundError: a patient is unknown; nothing was recorded.
        """
        now, _ = self.parts.guard.read()
        with self.parts.store.reader() as reader:
            patients = _patients(reader, [order.patient for order in orders])
        self.parts.safe.prefetch(sorted(patients))
        with self.parts.store.transaction() as tx:
            tx.lock([person_gate(row) for row in patients.values()])
            standing = self._standing(tx, list(patients))
            journal, rows, sealed, ids = Journal(self.parts), [], [], []
            for order in orders:
                known = (order.patient, order.scope, order.by, order.evidence)
                if known in standing:
                    ids.append(standing[known])
                    continue
                row = grant_row(GrantId(self.parts.ref()), order, now)
                standing[known] = row.id
                ids.append(row.id)
                rows.append(row)
                sealed.append(self.parts.safe.seal(row.patient, "grant", row.id, "evidence", order.evidence))
                journal.granted(row, patients[row.patient].person, order.evidence, now)
            tx.add_grants(rows)
            tx.add_sealed(sealed)
            journal.write(tx)
        return ids

    def withdraw(
        self,
        patient: PatientId,
        scope: Scope,
        *,
        state: GrantState = GrantState.WITHDRAWN,
        evidence: str = "",
        at: Instant | None = None,
    ) -> list[GrantId]:
        """End every standing grant that lies within the scope, and carve nothing else: a grant that reaches
        further than the scope ends too, since a remainder nobody gave cannot be invented (DESIGN, P3).

        Returns:
            The grants that ended.

        Raises:
            NotFoundError: the patient is unknown.
        """
        now, _ = self.parts.guard.read()
        ended_at = now if at is None else min(at, now)
        with self.parts.store.transaction() as tx:
            rows = _patients(tx, [patient])
            tx.lock([person_gate(row) for row in rows.values()])
            journal, ended = Journal(self.parts), []
            for grant in tx.grants([patient]).get(patient, ()):
                if grant.state is not GrantState.GIVEN or not meets(grant, scope):
                    continue
                tx.end_grant(grant.id, state, ended_at)
                journal.grant_ended(grant, rows[patient].person, state, ended_at, evidence, now)
                ended.append(grant.id)
            journal.write(tx)
        return ended

    def stop(
        self,
        *,
        patient: PatientId | None = None,
        tokens: Sequence[bytes] = (),
        scopes: Sequence[Scope],
        source: StopSource,
        until: Instant | None = None,
    ) -> Stopped:
        """Suppress a patient, addresses, or both, in these scopes; release what waits; report what is in flight.

        Raises:
            NotFoundError: the patient is unknown.
        """
        now, _ = self.parts.guard.read()
        with self.parts.store.reader() as reader:
            persons = [row.person for row in _patients(reader, [patient]).values()] if patient is not None else []
        with self.parts.store.transaction() as tx:
            gates = [Gate("person", bytes.fromhex(person)) for person in persons]
            tx.lock([*gates, *(Gate("address", token) for token in tokens)])
            name_addresses(self.parts, tx, tokens)
            journal = Journal(self.parts)
            order = StopOrder(persons=tuple(persons), tokens=tuple(tokens), scopes=tuple(scopes), until=until)
            stopped = apply_stops(self.parts, tx, journal, order, source, now)
            journal.write(tx)
        self.parts.publisher.tick()
        return stopped

    def lift(self, patient: PatientId, scope: Scope, *, by: str) -> list[SuppressionId]:
        """Lift the patient's own suppressions that lie within the scope. Suppressions of an address stay: an opt-in
        lifts only its own person and scope.

        Raises:
            NotFoundError: the patient is unknown.
        """
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            rows = _patients(tx, [patient])
            tx.lock([person_gate(row) for row in rows.values()])
            journal, lifted = Journal(self.parts), []
            for stop in tx.stops([row.person for row in rows.values()], ()):
                inside = set(stop.purposes) <= set(scope.purposes) and set(stop.channels) <= set(scope.channels)
                if inside or scope == Scope(("*",), ("*",)):
                    tx.lift_stop(stop.id, now)
                    journal.lifted(stop.id, by, now)
                    lifted.append(stop.id)
            journal.write(tx)
        return lifted

    def _standing(
        self, reader: Reader, patients: Sequence[PatientId]
    ) -> dict[tuple[PatientId, Scope, RecipientRole, str], GrantId]:
        found = reader.grants(patients)
        given = [row for rows in found.values() for row in rows if row.state is GrantState.GIVEN]
        if not given:
            return {}
        envelopes = reader.sealed("grant", [row.id for row in given], ("evidence",))
        standing = {}
        for row in given:
            envelope = envelopes.get((row.id, "evidence"))
            if envelope is None:
                continue
            evidence = self.parts.safe.try_open(row.patient, "grant", row.id, "evidence", envelope)
            if evidence is not None:
                key = (row.patient, Scope(row.purposes, row.channels), row.by, str(evidence.reveal("compare")))
                standing[key] = row.id
        return standing


def name_addresses(parts: Parts, tx: Transaction, tokens: Sequence[bytes]) -> None:
    """Give each address that has none a pseudonym, so that the log can speak of it."""
    known = tx.address_refs(tokens)
    for token in tokens:
        if token not in known:
            tx.name_address(token, AddressRef(parts.ref()))


def _patients(reader: Reader, ids: Sequence[PatientId]) -> dict[PatientId, PatientRow]:
    found = dict(reader.patients(tuple(dict.fromkeys(ids))))
    if any(patient not in found for patient in ids):
        raise NotFoundError("no patient has this id", hint="`find` turns an identifier into an id")
    return found


def grant_row(grant: GrantId, order: GrantOrder, now: Instant) -> GrantRow:
    """The row of a new grant; one that does not say when it was given was given now."""
    return GrantRow(
        id=grant,
        patient=order.patient,
        purposes=order.scope.purposes,
        channels=order.scope.channels,
        by=order.by,
        since=now if order.since is None else order.since,
        until=order.until,
        separate=order.separate,
        notice=order.notice,
    )


def meets(grant: GrantRow, scope: Scope) -> bool:
    """Whether a grant and a scope have a purpose and a channel kind in common."""
    return _meets(grant.purposes, scope.purposes) and _meets(grant.channels, scope.channels)


def _meets(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether two lists of purposes (or channels) have something in common; a family meets its members."""
    if "*" in left or "*" in right:
        return True
    return any(a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.") for a in left for b in right)
