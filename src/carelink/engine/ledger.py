"""The consent ledger: grants with their evidence, withdrawals, suppressions, liftings; each with its entry, each
under the gate locks of the persons and addresses it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import attrs

from carelink.engine.journal import Journal
from carelink.engine.locks import address_gate, person_gate, under_locks
from carelink.engine.membership import childhoods, follow_merges
from carelink.engine.parts import Parts
from carelink.engine.stops import StopOrder, Stopped, apply_stops, name_addresses
from carelink.errors import InvalidInputError, NotFoundError
from carelink.model.ids import GrantId, PatientId, PersonRef, SuppressionId
from carelink.model.moment import Instant
from carelink.model.scope import ANY, Scope
from carelink.ports.rows import Gate, GrantRow, PatientRow, StopRow
from carelink.ports.store import Reader, Transaction
from carelink.vocabulary import AgeBand, GrantMethod, GrantState, RecipientRole, StopSource

__all__ = ["GrantOrder", "Ledger", "grant_row", "meets", "people_gates", "people_of"]

_MAX_EVIDENCE = 500

People = Mapping[PatientId, PatientRow]
"""Surviving records by the id that was named."""


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
        method: how it came about.
    """

    patient: PatientId
    scope: Scope
    evidence: str = attrs.field(repr=False)
    by: RecipientRole = RecipientRole.SELF
    since: Instant | None = None
    until: Instant | None = None
    separate: bool = False
    notice: str = ""
    method: GrantMethod = GrantMethod.EXPLICIT

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
    """Records consent and stops. Whoever names a record that was merged means the one it was merged into."""

    parts: Parts

    def grant(self, orders: Sequence[GrantOrder]) -> list[GrantId]:
        """Record grants, all in one commit. Repeating a standing grant with the same evidence changes nothing.

        Raises:
            NotFoundError: a patient is unknown; nothing was recorded.
        """
        return under_locks(
            self.parts.store,
            lambda reader: people_of(reader, [order.patient for order in orders]),
            people_gates,
            lambda tx, people, _lasts: self._grant_in(tx, people, orders),
        )

    def _grant_in(self, tx: Transaction, people: People, orders: Sequence[GrantOrder]) -> list[GrantId]:
        now, _ = self.parts.guard.read()
        owners = sorted({row.id for row in people.values()})
        self.parts.safe.prefetch(owners)
        standing, ages = self._standing(tx, owners), childhoods(self.parts, tx, list(people.values()))
        journal, rows, sealed, ids = Journal(self.parts), [], [], []
        for order in orders:
            patient = people[order.patient]
            at = now if order.since is None else order.since
            named = attrs.evolve(order, patient=patient.id)
            row = grant_row(GrantId(self.parts.ref()), named, now, ages(patient, at))
            known = _likeness(row, order.evidence)
            if known in standing and (order.since is None or order.since == standing[known].since):
                ids.append(standing[known].id)
                continue
            standing[known] = row
            ids.append(row.id)
            rows.append(row)
            sealed.append(self.parts.safe.seal(row.patient, "grant", row.id, "evidence", order.evidence))
            journal.granted(row, patient.person, order.evidence, now)
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
        """End every standing grant that meets the scope, whole: a grant that reaches further than the scope ends too,
        since a remainder nobody gave cannot be invented (ADR 0010).

        Returns:
            The grants that ended.

        Raises:
            NotFoundError: the patient is unknown.
        """

        def work(tx: Transaction, people: People, _lasts: Mapping[Gate, Instant]) -> list[GrantId]:
            now, _ = self.parts.guard.read()
            ended_at = now if at is None else min(at, now)
            row = people[patient]
            journal, ended = Journal(self.parts), []
            for grant in tx.grants([row.id]).get(row.id, ()):
                if grant.state is not GrantState.GIVEN or not meets(grant, scope):
                    continue
                tx.end_grant(grant.id, state, ended_at)
                journal.grant_ended(grant, row.person, state, ended_at, evidence, now)
                ended.append(grant.id)
            journal.write(tx)
            return ended

        return under_locks(self.parts.store, lambda reader: people_of(reader, [patient]), people_gates, work)

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
            InvalidInputError: it would stop nobody, or nothing.
        """
        if patient is None and not tokens:
            raise InvalidInputError("a stop names a patient or an address")
        if not scopes or not all(scope.purposes and scope.channels for scope in scopes):
            raise InvalidInputError("a stop names purposes and channels", hint="`*` is all of them")

        def work(tx: Transaction, people: People, _lasts: Mapping[Gate, Instant]) -> Stopped:
            now, _ = self.parts.guard.read()
            journal = Journal(self.parts)
            name_addresses(self.parts, tx, journal, tokens, now)
            persons = tuple(row.person for row in people.values())
            order = StopOrder(persons=persons, tokens=tuple(tokens), scopes=tuple(scopes), until=until)
            stopped = apply_stops(self.parts, tx, journal, order, source, now)
            journal.write(tx)
            return stopped

        stopped = under_locks(
            self.parts.store,
            lambda reader: people_of(reader, [] if patient is None else [patient]),
            lambda people: (*people_gates(people), *map(address_gate, tokens)),
            work,
        )
        self.parts.publisher.tick()
        return stopped

    def lift(
        self, patient: PatientId, scope: Scope, *, by: str, only: Callable[[StopRow], bool] | None = None
    ) -> list[SuppressionId]:
        """Lift the patient's own suppressions that lie within the scope, those of records merged into it too; of these
        only some, if `only` says which. Suppressions of an address stay: an opt-in lifts only its own person and scope.

        Raises:
            NotFoundError: the patient is unknown.
        """

        def look(reader: Reader) -> tuple[PersonRef, ...]:
            row = people_of(reader, [patient])[patient]
            return (row.person, *reader.aliases([row.id]).get(row.id, ()))

        def work(
            tx: Transaction, persons: tuple[PersonRef, ...], _lasts: Mapping[Gate, Instant]
        ) -> list[SuppressionId]:
            now, _ = self.parts.guard.read()
            journal, lifted = Journal(self.parts), []
            for stop in tx.stops(persons, ()):
                if _within(stop, scope) and (only is None or only(stop)):
                    tx.lift_stop(stop.id, now)
                    journal.lifted(stop.id, by, now)
                    lifted.append(stop.id)
            journal.write(tx)
            return lifted

        return under_locks(self.parts.store, look, lambda persons: tuple(map(person_gate, persons)), work)

    def _standing(self, reader: Reader, patients: Sequence[PatientId]) -> dict[tuple[object, ...], GrantRow]:
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
                standing[_likeness(row, str(evidence.reveal("compare")))] = row
        return standing


def _likeness(row: GrantRow, evidence: str) -> tuple[object, ...]:
    """What two records of one grant have in common; a new end or a separate consent makes it another grant."""
    return (
        *(row.patient, row.purposes, row.channels, row.plans, row.by),
        *(row.until, row.separate, row.notice, row.method, evidence),
    )


def people_of(reader: Reader, ids: Sequence[PatientId]) -> People:
    """Surviving records by the id that was named.

    Raises:
        NotFoundError: nobody has one of the ids.
    """
    found = follow_merges(reader, ids)
    if any(patient not in found for patient in ids):
        raise NotFoundError("no patient has this id", hint="`find` turns an identifier into an id")
    return found


def people_gates(people: People) -> tuple[Gate, ...]:
    """The gate rows of these persons."""
    return tuple(dict.fromkeys(person_gate(row.person) for row in people.values()))


def grant_row(grant: GrantId, order: GrantOrder, now: Instant, age: AgeBand | None) -> GrantRow:
    """The row of a new grant; one that does not say when it was given was given now. `age`: the patient's band
    then, which only a child's grant keeps.
    """
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
        plans=order.scope.plans,
        method=order.method,
        age=age,
    )


def meets(grant: GrantRow, scope: Scope) -> bool:
    """Whether a grant and a scope have a purpose, a channel kind and a plan in common."""
    purposes = _meets(grant.purposes, scope.purposes)
    return purposes and _meets(grant.channels, scope.channels) and _meets(grant.plans, scope.plans)


def _meets(left: Sequence[str], right: Sequence[str]) -> bool:
    """Whether two lists of purposes (or channels) have something in common; a family meets its members."""
    if ANY in left or ANY in right:
        return True
    return any(a == b or a.startswith(f"{b}.") or b.startswith(f"{a}.") for a in left for b in right)


def _within(stop: StopRow, scope: Scope) -> bool:
    """Whether the scope covers all that the stop covers; a family covers its members."""
    purposes = _inside(stop.purposes, scope.purposes)
    return purposes and _inside(stop.channels, scope.channels) and _inside(stop.plans, scope.plans)


def _inside(names: Sequence[str], scope: Sequence[str]) -> bool:
    return ANY in scope or all(name in scope or name.partition(".")[0] in scope for name in names)
