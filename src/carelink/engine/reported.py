"""Consent as another system reports it, again and again: repeating a report changes nothing, and nothing that was taken
back comes back because an old form is reported once more (P3).

A grant is known again by its patient, scope, giver and evidence. A form that was given before a withdrawal which meets
its scope does not stand, in whichever order the two are reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum, unique

import attrs

from carelink.engine.journal import Journal
from carelink.engine.ledger import GrantOrder, grant_row, meets, people_gates, people_of
from carelink.engine.locks import under_locks
from carelink.engine.membership import childhoods
from carelink.engine.parts import Parts
from carelink.model.ids import GrantId, PatientId
from carelink.model.moment import Instant
from carelink.ports.rows import GrantRow, PatientRow, SealedRow
from carelink.ports.store import Transaction
from carelink.vocabulary import AgeBand, GrantState

__all__ = ["Report", "Reported", "Taken"]


@attrs.frozen(kw_only=True, repr=False)
class Report:
    """A grant, or one that ended.

    Attributes:
        order: the grant.
        state: WITHDRAWN ends every grant of the patient that meets the scope and was given by `ended_at`; REVOKED and
            EXPIRED end this one alone.
        ended_at: when it ended; None: now.
    """

    order: GrantOrder
    state: GrantState = GrantState.GIVEN
    ended_at: Instant | None = None


@unique
class Taken(StrEnum):
    """What came of a report."""

    RECORDED = "recorded"
    UNCHANGED = "unchanged"
    REPLACED = "replaced"
    """it was on record with other terms (dates, notice); the old one ended"""
    ENDED = "withdrawn"
    """it is on record as one that ended"""
    NOT_REVIVED = "not revived"
    """it, or what it covers, was taken back after it was given"""
    UNDATED = "undated"
    """the patient took something back that it covers, and it does not say when it was given"""


@attrs.define
class _Held:
    """A grant on record, as it stands while a batch is worked through."""

    row: GrantRow
    evidence: str = attrs.field(repr=False)


@attrs.define
class _Work:
    """One batch under its locks."""

    parts: Parts
    now: Instant
    patients: Mapping[PatientId, PatientRow]
    journal: Journal
    ages: Callable[[PatientRow, Instant], AgeBand | None]
    held: dict[PatientId, list[_Held]] = attrs.field(factory=dict)
    rows: list[GrantRow] = attrs.field(factory=list)
    sealed: list[SealedRow] = attrs.field(factory=list)
    ends: list[tuple[GrantId, GrantState, Instant]] = attrs.field(factory=list)

    def add(self, order: GrantOrder) -> _Held:
        patient, at = self.patients[order.patient], self.now if order.since is None else order.since
        row = grant_row(GrantId(self.parts.ref()), order, self.now, self.ages(patient, at))
        held = _Held(row, order.evidence)
        self.held.setdefault(order.patient, []).append(held)
        self.rows.append(row)
        self.sealed.append(self.parts.safe.seal(row.patient, "grant", row.id, "evidence", order.evidence))
        self.journal.granted(row, self.patients[row.patient].person, order.evidence, self.now)
        return held

    def end(self, held: _Held, state: GrantState, at: Instant) -> None:
        person = self.patients[held.row.patient].person
        self.ends.append((held.row.id, state, at))
        self.journal.grant_ended(held.row, person, state, at, "", self.now)
        held.row = attrs.evolve(held.row, state=state, ended_at=at)

    def write(self, tx: Transaction) -> None:
        tx.add_grants(self.rows)
        tx.add_sealed(self.sealed)
        for grant, state, at in self.ends:
            tx.end_grant(grant, state, at)
        self.journal.write(tx)


@attrs.frozen
class Reported:
    """Takes reports in."""

    parts: Parts

    def take(self, reports: Sequence[Report]) -> list[Taken]:
        """Take reports in, in this order, all in one commit. A record that was merged means its survivor.

        Raises:
            NotFoundError: a patient is not on record; nothing was taken.
            StoreError, KeyProviderError: the store or the keys cannot be had; nothing was taken.
        """
        return under_locks(
            self.parts.store,
            lambda reader: people_of(reader, [report.order.patient for report in reports]),
            people_gates,
            lambda tx, people, _lasts: self._take_in(tx, people, reports),
        )

    def _take_in(
        self, tx: Transaction, people: Mapping[PatientId, PatientRow], reports: Sequence[Report]
    ) -> list[Taken]:
        now, _ = self.parts.guard.read()
        patients = {row.id: row for row in people.values()}
        self.parts.safe.prefetch(list(patients))
        ages = childhoods(self.parts, tx, list(patients.values()))
        work = _Work(self.parts, now, patients, Journal(self.parts), ages, self._held(tx, list(patients)))
        taken = []
        for report in reports:
            survivor = people[report.order.patient].id
            meant = report
            if survivor != report.order.patient:
                meant = attrs.evolve(report, order=attrs.evolve(report.order, patient=survivor))
            taken.append(_take(work, meant))
        work.write(tx)
        return taken

    def _held(self, tx: Transaction, patients: Sequence[PatientId]) -> dict[PatientId, list[_Held]]:
        found = tx.grants(patients)
        ids = [row.id for rows in found.values() for row in rows]
        envelopes = tx.sealed("grant", ids, ("evidence",))
        held: dict[PatientId, list[_Held]] = {}
        for patient, rows in found.items():
            for row in rows:
                envelope = envelopes.get((row.id, "evidence"))
                opened = None
                if envelope is not None:
                    opened = self.parts.safe.try_open(patient, "grant", row.id, "evidence", envelope)
                held.setdefault(patient, []).append(_Held(row, "" if opened is None else str(opened.reveal("compare"))))
        return held


def _take(work: _Work, report: Report) -> Taken:
    if report.state is GrantState.GIVEN:
        return _given(work, report.order)
    return _ended(work, report)


def _given(work: _Work, order: GrantOrder) -> Taken:
    same = _same(work, order)
    standing = next((held for held in same if held.row.state is GrantState.GIVEN), None)
    if standing is not None:
        if _terms(standing.row, order):
            return Taken.UNCHANGED
        work.end(standing, GrantState.EXPIRED, work.now)
        work.add(order)
        return Taken.REPLACED
    ends = [held.row.ended_at for held in same if held.row.ended_at is not None]
    ends += [
        held.row.ended_at
        for held in work.held.get(order.patient, ())
        if held.row.state is GrantState.WITHDRAWN and held.row.ended_at is not None and meets(held.row, order.scope)
    ]
    if ends and order.since is None:
        return Taken.NOT_REVIVED if same else Taken.UNDATED
    if order.since is not None and any(end >= order.since for end in ends):
        return Taken.NOT_REVIVED
    work.add(order)
    return Taken.RECORDED


def _ended(work: _Work, report: Report) -> Taken:
    order, same = report.order, _same(work, report.order)
    at = work.now if report.ended_at is None else min(report.ended_at, work.now)
    ended = [held for held in same if held.row.state is not GrantState.GIVEN]
    if ended and len(ended) == len(same) and report.ended_at is None:
        return Taken.UNCHANGED  # an undated end counts from when it was first reported
    changed = False
    if not same:
        work.end(work.add(attrs.evolve(order, since=at if order.since is None else order.since)), report.state, at)
        changed = True
    for held in work.held.get(order.patient, ()):
        own = held in same
        wide = report.state is GrantState.WITHDRAWN and held.row.since <= at and meets(held.row, order.scope)
        if held.row.state is GrantState.GIVEN and (own or wide):
            work.end(held, report.state, at)
            changed = True
    return Taken.ENDED if changed else Taken.UNCHANGED


def _same(work: _Work, order: GrantOrder) -> list[_Held]:
    return [
        held
        for held in work.held.get(order.patient, ())
        if (held.row.purposes, held.row.channels, held.row.by, held.evidence)
        == (order.scope.purposes, order.scope.channels, order.by, order.evidence)
    ]


def _terms(row: GrantRow, order: GrantOrder) -> bool:
    """Whether a grant on record has the terms reported; one without a date keeps the date it has."""
    since = row.since if order.since is None else order.since
    return (row.since, row.until, row.separate, row.notice) == (since, order.until, order.separate, order.notice)
