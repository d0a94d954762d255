"""The gate: lock, read facts, decide, reserve, append, in one commit. Decides chunks; one request is a chunk of one.

Only this module and the claim it makes mint what a permit stands for; `carelink.engine.handover` turns a
committed claim into a permit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final, TypeVar

import attrs

from carelink.consent.decide import decide
from carelink.consent.facts import Facts
from carelink.consent.policy import Policy
from carelink.consent.verdict import Decision
from carelink.content.template import check_variables
from carelink.engine.factreader import ChunkFacts, read_chunk
from carelink.engine.journal import Journal
from carelink.engine.membership import Target, gates_of, resolve
from carelink.engine.parts import LEASE, Parts
from carelink.errors import CarelinkError, ConflictError, StoreError
from carelink.model.ids import DecisionId, RequestRef, ReservationId
from carelink.model.moment import DAY, Instant, Micros
from carelink.model.request import Request
from carelink.ports.rows import Gate, ReservationRow, TemplateRow, TouchRow
from carelink.ports.store import Reader, Transaction
from carelink.vocabulary import Effect, ReservationState

__all__ = ["Decided", "Gatekeeper"]

_RETRIES: Final = 5
_MIN_HORIZON: Final = Micros(90 * DAY)

T = TypeVar("T")


@attrs.define(kw_only=True)
class Decided:
    """One request after the gate.

    Attributes:
        target: None where the request named something unknown.
        earlier: the reservation its key already holds; nothing was decided now.
        reservation: made, or claimed, in this commit.
        sealed: envelopes that the hand-over will open, by (table, row, column).
    """

    ref: RequestRef
    target: Target | None = None
    decision: Decision | None = None
    earlier: ReservationRow | None = None
    reservation: ReservationRow | None = None
    template: TemplateRow | None = None
    sealed: dict[tuple[str, str, str], bytes] = attrs.field(factory=dict)
    error: CarelinkError | None = None
    released: str = ""

    @property
    def claimed(self) -> bool:
        """Whether a hand-over may follow at once."""
        return self.reservation is not None and self.reservation.state is ReservationState.CLAIMED


@attrs.define
class Gatekeeper:
    """Decides and claims."""

    parts: Parts

    # -- deciding -------------------------------------------------------------------------------------------

    def decide(self, requests: Sequence[Request], *, claim: int) -> list[Decided]:
        """Decide each request and reserve for those permitted; the first `claim` permits are claimed in the same
        commit, because their hand-over follows at once.
        """
        self._refuse_repeated_keys(requests)
        return self._locked(
            lambda reader, at: resolve(self.parts, reader, requests, at),
            lambda tx, targets, lasts: self._decide_in(tx, targets, lasts, claim),
        )

    def preview(self, requests: Sequence[Request]) -> list[Decided]:
        """What `decide` would say now. Reads only."""
        now, _ = self.parts.guard.read()
        with self.parts.store.reader() as reader:
            found = resolve(self.parts, reader, requests, now)
            targets = [item for item in found if isinstance(item, Target)]
            chunk = self._chunk(reader, targets, {})
            policy = self._policy(reader, chunk)
            recalled = reader.recall([target.ref for target in targets])
            answers: list[Decided] = []
            for item in found:
                if not isinstance(item, Target):
                    answers.append(Decided(ref=item[0], error=item[1]))
                    continue
                error = self._variables_error(item, chunk)
                decision = None if error else decide(chunk.facts(item), policy)
                answers.append(
                    Decided(ref=item.ref, target=item, decision=decision, earlier=recalled.get(item.ref), error=error)
                )
            return answers

    def claim(self, pending: Sequence[Decided]) -> list[Decided]:
        """Decide again on held permits, with fresh facts and their own reservation left out; claim those still
        permitted, release the others.
        """
        requests = [
            attrs.evolve(item.target.request, version=row.template_version)
            for item in pending
            if item.target is not None and (row := item.reservation or item.earlier) is not None
        ]
        return self._locked(
            lambda reader, at: resolve(self.parts, reader, requests, at),
            self._claim_in,
        )

    # -- inside the transaction -----------------------------------------------------------------------------

    def _locked(
        self,
        find: Callable[[Reader, Instant], list[Target | tuple[RequestRef, CarelinkError]]],
        work: Callable[[Transaction, list[Target | tuple[RequestRef, CarelinkError]], dict[Gate, Instant]], list[T]],
    ) -> list[T]:
        """Lock the gate rows of what was found, look again, and work only if nothing moved in between."""
        for _ in range(_RETRIES):
            now, _steady = self.parts.guard.read()
            with self.parts.store.reader() as reader:
                before = gates_of([item for item in find(reader, now) if isinstance(item, Target)])
            with self.parts.store.transaction() as tx:
                lasts = dict(tx.lock(before))
                found = find(tx, now)
                after = gates_of([item for item in found if isinstance(item, Target)])
                if set(after) <= set(before):
                    return work(tx, found, lasts)
        raise StoreError("persons and addresses kept changing while they were being locked", hint="try again")

    def _chunk(self, reader: Reader, targets: Sequence[Target], lasts: dict[Gate, Instant]) -> ChunkFacts:
        tenant = reader.tenant()
        policy = self.parts.policies.get(reader, tenant.policy, tenant.packs)
        horizon = _MIN_HORIZON if policy is None else Micros(max(_MIN_HORIZON, policy.horizon))
        return read_chunk(self.parts, reader, targets, lasts, horizon)

    def _policy(self, reader: Reader, chunk: ChunkFacts) -> Policy | None:
        return self.parts.policies.get(reader, chunk.tenant.policy, chunk.tenant.packs)

    def _decide_in(
        self,
        tx: Transaction,
        found: list[Target | tuple[RequestRef, CarelinkError]],
        lasts: dict[Gate, Instant],
        claim: int,
    ) -> list[Decided]:
        targets = [item for item in found if isinstance(item, Target)]
        recalled = tx.recall([target.ref for target in targets])
        fresh = [target for target in targets if target.ref not in recalled]
        chunk = self._chunk(tx, fresh, lasts)
        policy = self._policy(tx, chunk)
        envelopes = self._envelopes(tx, fresh, chunk)
        journal = Journal(self.parts)
        made: list[ReservationRow] = []
        answers: list[Decided] = []
        for item in found:
            if not isinstance(item, Target):
                answers.append(Decided(ref=item[0], error=item[1]))
                continue
            if (earlier := recalled.get(item.ref)) is not None:
                answers.append(_recalled(item, earlier))
                continue
            if (error := self._variables_error(item, chunk)) is not None:
                answers.append(Decided(ref=item.ref, target=item, error=error))
                continue
            facts = chunk.facts(item)
            decision = decide(facts, policy)
            decision_id = DecisionId(self.parts.ref())
            answer = self._reserve(item, facts, decision, chunk, decision_id, claim=len(made) < claim)
            answer.sealed = envelopes
            if answer.reservation is not None:
                made.append(answer.reservation)
                chunk.count(_touch(answer.reservation))
            journal.decision(decision_id, item.ref, facts, decision, answer.reservation)
            answers.append(answer)
        tx.add_reservations(made)
        self._advance(tx, fresh, chunk)
        journal.write(tx)
        return answers

    def _claim_in(
        self, tx: Transaction, found: list[Target | tuple[RequestRef, CarelinkError]], lasts: dict[Gate, Instant]
    ) -> list[Decided]:
        targets = [item for item in found if isinstance(item, Target)]
        recalled = tx.recall([target.ref for target in targets])
        held = [t for t in targets if t.ref in recalled and recalled[t.ref].state is ReservationState.HELD]
        chunk = self._chunk(tx, held, lasts)
        policy = self._policy(tx, chunk)
        envelopes = self._envelopes(tx, held, chunk)
        journal = Journal(self.parts)
        changed: list[ReservationRow] = []
        answers: list[Decided] = []
        for item in found:
            if not isinstance(item, Target):
                answers.append(Decided(ref=item[0], error=item[1]))
                continue
            row = recalled.get(item.ref)
            if row is None:
                answers.append(Decided(ref=item.ref, target=item, released="stopped"))
                continue
            if row.state is not ReservationState.HELD:
                answers.append(_recalled(item, row))
                continue
            at, _clock = chunk.instant(item)
            if row.expires <= at:
                changed.append(attrs.evolve(row, state=ReservationState.RELEASED))
                chunk.uncount(row.id)
                journal.released(row, "expired", at)
                answers.append(Decided(ref=item.ref, target=item, released="expired"))
                continue
            answer, facts, decision = self._claim_one(item, row, chunk, policy)
            answer.sealed = envelopes
            assert answer.reservation is not None
            changed.append(answer.reservation)
            chunk.uncount(row.id)
            if answer.claimed:
                chunk.count(_touch(answer.reservation))
            journal.claim(self.parts.ref(), answer.reservation, facts, decision)
            if not answer.claimed:
                journal.released(row, "claim_refused", decision.at)
                answer.released, answer.reservation = "claim_refused", None
            answers.append(answer)
        tx.put_reservations(changed)
        self._advance(tx, held, chunk)
        journal.write(tx)
        return answers

    def _claim_one(
        self, item: Target, row: ReservationRow, chunk: ChunkFacts, policy: Policy | None
    ) -> tuple[Decided, Facts, Decision]:
        facts = chunk.facts(item, leave_out=row.id)
        decision = decide(facts, policy)
        if decision.effect is Effect.PERMIT and item.contact is not None:
            claimed = attrs.evolve(
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
        else:
            claimed = attrs.evolve(row, state=ReservationState.RELEASED)
        template = chunk.templates.get((row.template, row.template_version))
        answer = Decided(ref=item.ref, target=item, decision=decision, reservation=claimed, template=template)
        return answer, facts, decision

    def _reserve(
        self,
        item: Target,
        facts: Facts,
        decision: Decision,
        chunk: ChunkFacts,
        decision_id: DecisionId,
        *,
        claim: bool,
    ) -> Decided:
        template = chunk.templates.get((facts.ask.template, facts.ask.template_version))
        answer = Decided(ref=item.ref, target=item, decision=decision, template=template)
        if decision.effect is not Effect.PERMIT or item.contact is None:
            return answer
        expires = Instant(decision.at + self.parts.options.permit_ttl)
        if facts.ask.useless_after is not None:
            expires = min(expires, facts.ask.useless_after)
        answer.reservation = ReservationRow(
            id=ReservationId(self.parts.ref()),
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
            at=decision.at,
            state=ReservationState.CLAIMED if claim else ReservationState.HELD,
            expires=expires,
            lease=Instant(decision.at + LEASE) if claim else None,
        )
        return answer

    def _advance(self, tx: Transaction, targets: Sequence[Target], chunk: ChunkFacts) -> None:
        """Move the last instant of the gate rows forward, so that time never runs backwards for a person."""
        by_instant: dict[Instant, list[Target]] = {}
        for target in targets:
            by_instant.setdefault(chunk.instant(target)[0], []).append(target)
        for at, group in by_instant.items():
            tx.advance(gates_of(group), at)

    def _envelopes(
        self, reader: Reader, targets: Sequence[Target], chunk: ChunkFacts
    ) -> dict[tuple[str, str, str], bytes]:
        """The sealed fields that hand-overs of this chunk will open, read with the same snapshot."""
        contacts = [target.contact.id for target in targets if target.contact is not None]
        named = [
            target.patient.id
            for target in targets
            if "patient_name"
            in getattr(chunk.templates.get((target.request.template, chunk.version(target))), "variables", ())
        ]
        found = {
            ("contact", row, column): envelope
            for (row, column), envelope in reader.sealed("contact", contacts, ("address",)).items()
        }
        if named:
            names = reader.sealed("patient", named, ("name",))
            found.update({("patient", row, column): envelope for (row, column), envelope in names.items()})
        return found

    def _variables_error(self, target: Target, chunk: ChunkFacts) -> CarelinkError | None:
        template = chunk.templates.get((target.request.template, chunk.version(target)))
        if template is None:
            return None
        try:
            check_variables(template.variables, target.request.variables)
        except CarelinkError as error:
            return error
        return None

    def _refuse_repeated_keys(self, requests: Sequence[Request]) -> None:
        keys = sorted(request.key for request in requests)
        if any(left == right for left, right in pairwise(keys)):
            raise ConflictError("a request key stands twice in one batch", hint="a key names one contact")


def _recalled(item: Target, earlier: ReservationRow) -> Decided:
    # A reservation rebuilt from the log has no mac: its key is known to be used, its content is not.
    if earlier.mac and earlier.mac != item.mac:
        error = ConflictError("this request key was used before with other content", hint="use another key")
        return Decided(ref=item.ref, target=item, error=error)
    return Decided(ref=item.ref, target=item, earlier=earlier)


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
    )
