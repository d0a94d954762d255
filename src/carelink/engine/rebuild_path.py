"""Reservations and gate instants, rebuilt from the entries of the one path: keys seen, and what caps count."""

from __future__ import annotations

from functools import singledispatchmethod
from typing import Any

import attrs

from carelink.audit.bodies import Body, HandoverBody, ReceiptBody, RecoveredBody, ReleasedBody
from carelink.audit.decided import ClaimBody, DecidedBody, DecisionBody
from carelink.engine.rebuild_names import Names
from carelink.model.ids import AddressRef, ContactPointId, DecisionId, PatientId, RequestRef, ReservationId
from carelink.model.moment import Instant
from carelink.model.touchpoint import SETTLES
from carelink.ports.rows import Gate, ReservationRow
from carelink.ports.store import Transaction
from carelink.vocabulary import Effect, Outcome, ReservationState

__all__ = ["RebuiltPath"]


@attrs.define
class RebuiltPath:
    """Gathers the rows of one transaction; `flush` writes them."""

    tx: Transaction
    names: Names
    _rows: dict[ReservationId, ReservationRow] = attrs.field(factory=dict)
    _new: dict[ReservationId, None] = attrs.field(factory=dict)
    _steps: list[ReservationRow] = attrs.field(factory=list)
    _last: dict[Gate, Instant] = attrs.field(factory=dict)

    @singledispatchmethod
    def apply(self, body: Body) -> None:
        """Do what an entry of the path says; others say nothing here."""

    def flush(self) -> None:
        """Write everything: changes of rows the store has first, for a request may hold a new one since. What the log
        leaves open stays open, and recovery ends it as after a kill.
        """
        self.tx.put_reservations(self._steps)
        self.tx.add_reservations([self._rows[key] for key in self._new])
        self.tx.lock(list(self._last))
        by_instant: dict[Instant, list[Gate]] = {}
        for gate, at in self._last.items():
            by_instant.setdefault(at, []).append(gate)
        for at, gates in by_instant.items():
            self.tx.advance(gates, at)

    @property
    def restored(self) -> int:
        """Permits that the store had not."""
        return len(self._new)

    @property
    def orphaned(self) -> int:
        """Those of them that hold a slot of somebody the store cannot name."""
        rows = (self._rows[key] for key in self._new)
        return sum(not row.patient and row.state is not ReservationState.RELEASED for row in rows)

    # -- entries --------------------------------------------------------------------------------------------

    @apply.register
    def _decision(self, body: DecisionBody) -> None:
        self._instant(body)
        if body.effect is not Effect.PERMIT or body.reservation is None or body.expires is None:
            return
        facts = body.facts
        patient = self.names.patient(facts.subject)
        row = ReservationRow(
            id=ReservationId(body.reservation),
            request=RequestRef(body.request),
            mac=b"",
            decision=DecisionId(body.decision),
            patient=PatientId("") if patient is None else patient.id,
            subject=facts.subject,
            purpose=facts.ask.purpose,
            channel=facts.ask.channel,
            channel_kind=facts.ask.channel_kind,
            template=facts.ask.template,
            template_version=facts.ask.template_version,
            reply=facts.ask.reply,
            at=facts.at,
            state=ReservationState.HELD if body.lease is None else ReservationState.CLAIMED,
            expires=body.expires,
            lease=body.lease,
            plan=facts.ask.plan,
            topic=facts.ask.topic,
            **self._recipient(body),
        )
        self._rows[row.id] = row
        self._new[row.id] = None

    @apply.register
    def _claim(self, body: ClaimBody) -> None:
        self._instant(body)
        row = self._row(body.reservation)
        if row is not None and body.effect is Effect.PERMIT:
            claimed, lease, at = ReservationState.CLAIMED, body.lease, body.facts.at
            self._change(row, state=claimed, lease=lease, at=at, **self._recipient(body))

    @apply.register
    def _attempted(self, body: HandoverBody) -> None:
        row = self._row(body.reservation)
        if row is not None:
            provider = None if body.provider is None else bytes.fromhex(body.provider)
            self._change(row, state=SETTLES[body.outcome], outcome=body.outcome, provider=provider)
        if body.outcome is Outcome.ACCOUNT:
            self.tx.put_channel_stop(body.channel, stopped=True)

    @apply.register
    def _recovered(self, body: RecoveredBody) -> None:
        row = self._row(body.reservation)
        if row is not None:
            self._change(row, state=SETTLES[body.outcome], outcome=body.outcome)

    @apply.register
    def _released(self, body: ReleasedBody) -> None:
        row = self._row(body.reservation)
        if row is not None:
            self._change(row, state=ReservationState.RELEASED)

    @apply.register
    def _receipt(self, body: ReceiptBody) -> None:
        row = self._row(body.reservation)
        if row is not None:
            self._change(row, delivery=body.state)

    # -- inside ---------------------------------------------------------------------------------------------

    def _instant(self, body: DecidedBody) -> None:
        """The last instant on the gate rows: time does not run backwards for a person, restored or not."""
        facts = body.facts
        gates = [Gate("person", bytes.fromhex(person)) for person in (facts.subject, facts.recipient)]
        token = None if facts.address is None else self.names.token(facts.address)
        if token is not None:
            gates.append(Gate("address", token))
        for gate in gates:
            self._last[gate] = max(facts.at, self._last.get(gate, facts.at))

    def _recipient(self, body: DecidedBody) -> dict[str, Any]:
        facts = body.facts
        address = AddressRef(facts.address or "")
        token, contact = self.names.token(address), self.names.contact(facts.recipient, address)
        return {
            "contact": ContactPointId("") if contact is None else contact.id,
            "recipient": facts.recipient,
            "role": facts.role,
            # An address nobody can name any more still counts: the 16 bytes of its pseudonym stand in for its token.
            "token": bytes.fromhex(address) if token is None else token,
            "address": address,
        }

    def _row(self, reservation: str) -> ReservationRow | None:
        key = ReservationId(reservation)
        if key not in self._rows:
            stored = self.tx.reservations([key]).get(key)
            if stored is None:
                return None
            self._rows[key] = stored
        return self._rows[key]

    def _change(self, row: ReservationRow, **changes: Any) -> ReservationRow:
        after = attrs.evolve(row, **changes)
        self._rows[row.id] = after
        if row.id not in self._new:
            self._steps.append(after)
        return after
