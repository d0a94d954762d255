"""The gate: lock, read facts, decide, reserve, append, in one commit. Decides chunks; one request is a chunk of one.

Only this module makes what a permit stands for; `carelink.engine.handover` turns a committed claim into a permit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from carelink.consent.decide import decide
from carelink.consent.facts import Absent, ClockState, Facts
from carelink.consent.policy import Policy
from carelink.consent.verdict import Decision
from carelink.content.template import PATIENT_NAME, check_variables
from carelink.engine.factreader import ChunkFacts, read_chunk, screen_ahead
from carelink.engine.journal import Journal
from carelink.engine.locks import gates_of_rows, under_locks
from carelink.engine.membership import Asked, Finder, Found, Target, gates_of
from carelink.engine.parts import LEASE, Parts
from carelink.engine.reviewed import approved_form
from carelink.engine.screener import Screened
from carelink.engine.soundness import tenant_of
from carelink.errors import CarelinkError, ConflictError, FormatError
from carelink.model.ids import DecisionId, RequestRef, ReservationId
from carelink.model.moment import DAY, Instant, Micros
from carelink.ports.rows import Gate, ReservationRow, TemplateRow, TouchRow
from carelink.ports.store import Reader, Transaction
from carelink.vocabulary import Effect, ReservationState

__all__ = ["Decided", "Gatekeeper"]

_MIN_HORIZON: Final = Micros(90 * DAY)


@attrs.define(kw_only=True)
class Decided:
    """One request after the gate.

    Attributes:
        target: None where the request named something unknown.
        earlier: the reservation its key already holds; nothing was decided now.
        reservation: made, or claimed, in this commit.
        deadline: end of the lease on the clock that never jumps, counted from before the commit.
        sealed: envelopes that the hand-over will open, by (table, row, column).
        released: why a held permit ended in this commit, "" if it did not.
    """

    asked: Asked
    target: Target | None = None
    decision: Decision | None = None
    earlier: ReservationRow | None = None
    reservation: ReservationRow | None = None
    deadline: Micros = attrs.field(default=Micros(0))
    template: TemplateRow | None = None
    sealed: Mapping[tuple[str, str, str], bytes] = attrs.field(factory=dict)
    error: CarelinkError | None = None
    released: str = ""

    @property
    def ref(self) -> RequestRef:
        """Keyed hash of the request's key."""
        return self.asked.ref

    @property
    def claimed(self) -> bool:
        """Whether a hand-over may follow at once."""
        return self.reservation is not None and self.reservation.state is ReservationState.CLAIMED


@attrs.define
class Gatekeeper:
    """Decides and claims."""

    parts: Parts

    # -- deciding -------------------------------------------------------------------------------------------

    def decide(self, asked: Sequence[Asked], *, claim: int) -> list[Decided]:
        """Decide each request and reserve for those permitted; the first `claim` permits are claimed in the same
        commit, because their hand-over follows at once. No two requests may have the same key.
        """
        screened, finder = screen_ahead(self.parts, asked), Finder(self.parts, asked)
        return under_locks(
            self.parts.store,
            finder,
            gates_of,
            lambda tx, found, lasts: self._decide_in(tx, asked, found, lasts, claim, screened, finder.mono),
        )

    def claim(self, pending: Sequence[Decided]) -> list[Decided]:
        """Decide again on held permits, with fresh facts and their own reservation left out; claim those still
        permitted, release the others.
        """
        rows, asked = [], []
        for item in pending:
            row = item.reservation if item.reservation is not None else item.earlier
            if row is not None:
                rows.append(row)
                asked.append(item.asked.pinned(row.channel, row.template_version))
        held, screened = gates_of_rows(rows), screen_ahead(self.parts, asked)
        finder = Finder(self.parts, asked)
        return under_locks(
            self.parts.store,
            finder,
            lambda found: tuple(dict.fromkeys((*gates_of(found), *held))),
            lambda tx, found, lasts: self._claim_in(tx, asked, found, lasts, screened, finder.mono),
        )

    def preview(self, asked: Sequence[Asked], before: list[TouchRow]) -> list[Decided]:
        """What `decide` would say now, and `claim` of a permit that waits. Reads only. `before` holds what earlier
        requests of the same preview would have reserved, and takes what these would.
        """
        with self.parts.store.reader() as reader:
            finder = Finder(self.parts, asked)
            found = finder(reader)
            targets = [item for item in found if isinstance(item, Target)]
            recalled = reader.recall([target.ref for target in targets])
            chunk = self._chunk(reader, targets, reader.last_instants(gates_of(found)), {}, finder.mono)
            policy = self._policy(reader, chunk)
        for touch in before:
            chunk.count(touch)
        return [
            self._foretell(one, item, recalled.get(one.ref), chunk, policy, before)
            for one, item in zip(asked, found, strict=True)
        ]

    def _foretell(
        self,
        one: Asked,
        item: Found,
        row: ReservationRow | None,
        chunk: ChunkFacts,
        policy: Policy | None,
        before: list[TouchRow],
    ) -> Decided:
        answer = self._undecided(one, item, row, chunk)
        waits = answer is not None and answer.error is None and row is not None and row.state is ReservationState.HELD
        if not isinstance(item, Target) or (answer is not None and not waits):
            assert answer is not None
            return answer
        facts = chunk.facts(item, leave_out=None if row is None else row.id)
        decision = decide(facts, policy)
        if decision.effect is Effect.PERMIT and row is None:
            made = self._reservation(item, facts, decision, DecisionId(one.ref), ReservationId(one.ref), claim=False)
            before.append(_touch(made))
            chunk.count(before[-1])
        return Decided(asked=one, target=item, decision=decision, earlier=row)

    # -- inside the transaction -----------------------------------------------------------------------------

    def _chunk(
        self, reader: Reader, targets: Sequence[Target], lasts: Mapping[Gate, Instant], screened: Screened, mono: Micros
    ) -> ChunkFacts:
        tenant = tenant_of(reader)
        policy = self.parts.policies.get(reader, tenant.policy, tenant.packs)
        horizon = _MIN_HORIZON if policy is None else Micros(max(_MIN_HORIZON, policy.horizon))
        calendars = () if policy is None else policy.calendars
        return read_chunk(self.parts, reader, tenant, targets, lasts, horizon, calendars, screened=screened, mono=mono)

    def _policy(self, reader: Reader, chunk: ChunkFacts) -> Policy | None:
        return self.parts.policies.get(reader, chunk.tenant.policy, chunk.tenant.packs)

    def _undecided(self, one: Asked, item: Found, earlier: ReservationRow | None, chunk: ChunkFacts) -> Decided | None:
        """The answer to a request that is not decided now, because it is wrong or its key was used; else None."""
        if not isinstance(item, Target):
            return Decided(asked=one, error=item[1])
        if earlier is not None:
            # A reservation rebuilt from the log has no mac: its key is known to be used, its content is not.
            if earlier.mac and earlier.mac != item.mac:
                error = ConflictError("this request key was used before with other content", hint="use another key")
                return Decided(asked=one, target=item, error=error)
            return Decided(asked=one, target=item, earlier=earlier)
        template = chunk.templates.get((item.request.template, chunk.version(item)))
        if template is not None:
            try:
                form = approved_form(template)
                if form is None:  # it is never sent; what is recorded is that somebody asked for it
                    check_variables(template.variables, item.request.variables)
                else:
                    form.check(item.request.variables)
            except CarelinkError as error:
                return Decided(asked=one, target=item, error=error)
        return None

    def _decide_in(
        self,
        tx: Transaction,
        asked: Sequence[Asked],
        found: Sequence[Found],
        lasts: Mapping[Gate, Instant],
        claim: int,
        screened: Screened,
        mono: Micros,
    ) -> list[Decided]:
        targets = [item for item in found if isinstance(item, Target)]
        recalled = tx.recall([target.ref for target in targets])
        fresh = [target for target in targets if target.ref not in recalled]
        chunk = self._chunk(tx, fresh, lasts, screened, mono)
        policy = self._policy(tx, chunk)
        envelopes = self._envelopes(tx, fresh, chunk)
        journal = Journal(self.parts)
        made: list[ReservationRow] = []
        answers: list[Decided] = []
        for one, item in zip(asked, found, strict=True):
            answer = self._undecided(one, item, recalled.get(one.ref), chunk)
            if answer is None:
                assert isinstance(item, Target)
                answer = self._decide_one(one, item, chunk, policy, journal, claim=len(made) < claim)
                answer.sealed = envelopes
                if answer.reservation is not None:
                    made.append(answer.reservation)
                    chunk.count(_touch(answer.reservation))
            answers.append(answer)
        tx.add_reservations(made)
        self._advance(tx, answers, chunk)
        journal.write(tx)
        return answers

    def _decide_one(
        self, one: Asked, item: Target, chunk: ChunkFacts, policy: Policy | None, journal: Journal, *, claim: bool
    ) -> Decided:
        """Decide and write down. Facts that the log cannot hold are facts nobody knows, and do not permit."""
        decision_id = DecisionId(self.parts.ref())
        facts, error = chunk.facts(item), None
        for known in (facts, _blank(facts)):
            decision, row = decide(known, policy), None
            try:
                if decision.effect is Effect.PERMIT:
                    fresh = ReservationId(self.parts.ref())
                    row = self._reservation(item, known, decision, decision_id, fresh, claim=claim)
                journal.decision(decision_id, item.ref, known, decision, row)
            except FormatError as problem:
                error = problem
                continue
            return Decided(
                asked=one,
                target=item,
                decision=decision,
                reservation=row,
                deadline=Micros(chunk.mono + LEASE),
                template=chunk.templates.get((known.ask.template, known.ask.template_version)),
            )
        return Decided(asked=one, target=item, error=error)

    def _claim_in(
        self,
        tx: Transaction,
        asked: Sequence[Asked],
        found: Sequence[Found],
        lasts: Mapping[Gate, Instant],
        screened: Screened,
        mono: Micros,
    ) -> list[Decided]:
        targets = [item for item in found if isinstance(item, Target)]
        recalled = tx.recall([target.ref for target in targets])
        held = [t for t in targets if t.ref in recalled and recalled[t.ref].state is ReservationState.HELD]
        chunk = self._chunk(tx, held, lasts, screened, mono)
        policy = self._policy(tx, chunk)
        envelopes = self._envelopes(tx, held, chunk)
        journal = Journal(self.parts)
        changed: list[ReservationRow] = []
        answers: list[Decided] = []
        for one, item in zip(asked, found, strict=True):
            row = recalled.get(one.ref)
            if not isinstance(item, Target):
                answer = Decided(asked=one, error=item[1])
            elif row is None:
                answer = Decided(asked=one, target=item, released="stopped")
            elif row.state is not ReservationState.HELD or not row.patient:
                # Without a patient it was rebuilt from the log for somebody this store cannot name: it waits to end.
                answer = Decided(asked=one, target=item, earlier=row)
            elif self.parts.publisher.restored:
                # A permit in a restored backup was used or released since; the log knows how, and this store does not.
                # The request is refused as a new one would be, and the permit left as it is (ADR 0018).
                answer = self._decide_one(one, item, chunk, policy, journal, claim=False)
            else:
                answer, after = self._claim_one(one, item, row, chunk, policy, journal)
                answer.sealed = envelopes
                changed.append(after)
                chunk.uncount(row)
                if answer.claimed:
                    chunk.count(_touch(after))
            answers.append(answer)
        tx.put_reservations(changed)
        self._advance(tx, answers, chunk)
        journal.write(tx)
        return answers

    def _claim_one(
        self, one: Asked, item: Target, row: ReservationRow, chunk: ChunkFacts, policy: Policy | None, journal: Journal
    ) -> tuple[Decided, ReservationRow]:
        at, _clock = chunk.instant(item)
        released = attrs.evolve(row, state=ReservationState.RELEASED)
        if row.expires <= at:
            journal.released(row, "expired", at)
            return Decided(asked=one, target=item, released="expired"), released
        facts = chunk.facts(item, leave_out=row.id)
        for known in (facts, _blank(facts)):
            decision = decide(known, policy)
            after = released
            if decision.effect is Effect.PERMIT and item.contact is not None:
                after = attrs.evolve(
                    row,
                    state=ReservationState.CLAIMED,
                    at=decision.at,
                    lease=Instant(decision.at + LEASE),
                    contact=item.contact.id,
                    recipient=item.recipient,
                    role=item.role,
                    token=item.contact.token,
                    address=item.contact.address,
                )
            try:
                journal.claim(self.parts.ref(), after, known, decision)
            except FormatError:
                continue
            if after is released:
                journal.released(row, "claim_refused", decision.at)
                return Decided(asked=one, target=item, decision=decision, released="claim_refused"), released
            template = chunk.templates.get((row.template, row.template_version))
            return (
                Decided(
                    asked=one,
                    target=item,
                    decision=decision,
                    reservation=after,
                    deadline=Micros(chunk.mono + LEASE),
                    template=template,
                ),
                after,
            )
        raise FormatError("a claim cannot be written down")

    def _reservation(
        self,
        item: Target,
        facts: Facts,
        decision: Decision,
        decision_id: DecisionId,
        reservation: ReservationId,
        *,
        claim: bool,
    ) -> ReservationRow:
        if item.contact is None:
            raise FormatError("a permit without an address")
        expires = Instant(decision.at + self.parts.options.permit_ttl)
        if facts.ask.useless_after is not None:
            expires = min(expires, facts.ask.useless_after)
        return ReservationRow(
            id=reservation,
            request=item.ref,
            mac=item.mac,
            decision=decision_id,
            patient=item.patient.id,
            contact=item.contact.id,
            subject=item.patient.person,
            recipient=item.recipient,
            role=item.role,
            token=item.contact.token,
            address=item.contact.address,
            purpose=facts.ask.purpose,
            channel=facts.ask.channel,
            channel_kind=facts.ask.channel_kind,
            template=facts.ask.template,
            template_version=facts.ask.template_version,
            reply=facts.ask.reply,
            plan=facts.ask.plan,
            topic=facts.ask.topic,
            at=decision.at,
            state=ReservationState.CLAIMED if claim else ReservationState.HELD,
            expires=expires,
            lease=Instant(decision.at + LEASE) if claim else None,
        )

    def _advance(self, tx: Transaction, answers: Sequence[Decided], chunk: ChunkFacts) -> None:
        """Move the last instant of the gate rows forward, so that time never runs backwards for a person. A clock in
        doubt moves nothing: one bad step forward would hold a person's messages until the world caught up.
        """
        by_instant: dict[Instant, dict[Gate, None]] = {}
        for answer in answers:
            if answer.target is not None and answer.decision is not None:
                at, clock = chunk.instant(answer.target)
                if clock is ClockState.TRUSTED:
                    by_instant.setdefault(at, {}).update(dict.fromkeys(answer.target.gates))
        for at, gates in by_instant.items():
            tx.advance(tuple(gates), at)

    def _envelopes(
        self, reader: Reader, targets: Sequence[Target], chunk: ChunkFacts
    ) -> dict[tuple[str, str, str], bytes]:
        """The sealed fields that hand-overs of this chunk will open, read with the same snapshot."""
        contacts = [target.contact.id for target in targets if target.contact is not None]
        naming = {key for key, row in chunk.templates.items() if PATIENT_NAME in row.variables}
        named = [target.patient.id for target in targets if (target.request.template, chunk.version(target)) in naming]
        found = {
            ("contact", row, column): envelope
            for (row, column), envelope in reader.sealed("contact", contacts, ("address",)).items()
        }
        if named:
            names = reader.sealed("patient", named, ("name",))
            found.update({("patient", row, column): envelope for (row, column), envelope in names.items()})
        return found


_PER_PERSON: Final = (
    "standing", "recipient_standing", "age", "contact", "guardian", "grants", "stops", "touches", "content", "zones",
)  # fmt: skip


def _blank(facts: Facts) -> Facts:
    """The same request with nothing known of those it concerns."""
    unknown: dict[str, Any] = dict.fromkeys(_PER_PERSON, Absent.UNKNOWN)
    return attrs.evolve(facts, address=None, **unknown)


def _touch(row: ReservationRow) -> TouchRow:
    return TouchRow(
        reservation=row.id,
        subject=row.subject,
        recipient=row.recipient,
        token=row.token,
        purpose=row.purpose,
        channel_kind=row.channel_kind,
        reply=row.reply,
        at=row.at,
        plan=row.plan,
        topic=row.topic,
    )
