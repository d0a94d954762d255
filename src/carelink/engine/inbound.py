"""Inbound: delivery reports, bounces, complaints and replies become entries; opt-outs act before anything else.

Events that restrict act at once, whoever sent them: a forged one fails safe. Events may come early, late, twice and
out of order; a report for a key nobody knows yet is parked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from carelink.engine.journal import Journal
from carelink.engine.ledger import name_addresses
from carelink.engine.optout import Reply, read_reply
from carelink.engine.parts import Parts
from carelink.engine.settle import gates_of_rows
from carelink.engine.stops import StopOrder, Stopped, apply_stops, plain_stop_scopes
from carelink.errors import CarelinkError
from carelink.model.ids import PersonRef, ReservationId, SuppressionId
from carelink.model.moment import DAY, Instant
from carelink.model.scope import ANY, PROMOTIONAL, Scope
from carelink.model.touchpoint import DELIVERY_RANK, fold_delivery
from carelink.ports.channel import ChannelEvent, ChannelInfo
from carelink.ports.rows import ContactRow, Gate, ReservationRow
from carelink.ports.store import Reader, Transaction
from carelink.vault.canonical import canonical_email, canonical_phone
from carelink.vocabulary import AddressKind, ContactStatus, DeliveryEvent, StopSource

__all__ = ["Inbound", "InboundResult"]

_REVIEW_PAUSE: Final = 7 * DAY
_STOPPING: Final = {
    DeliveryEvent.OPTED_OUT: StopSource.UNSUBSCRIBE,
    DeliveryEvent.COMPLAINED: StopSource.COMPLAINT,
}


@attrs.frozen(kw_only=True)
class InboundResult:
    """What came of one event.

    Attributes:
        actions: codes of what was done: `stopped`, `stopped_all`, `paused`, `invalidated`, `receipt`, `parked`,
            `repeated`, `noted`.
        reply: what the text was taken for, if there was one.
        suppressions, released, in_flight: see `Stopped`.
    """

    event: DeliveryEvent
    actions: tuple[str, ...]
    reply: Reply | None = None
    suppressions: tuple[SuppressionId, ...] = ()
    released: tuple[ReservationId, ...] = ()
    in_flight: tuple[ReservationId, ...] = ()


@attrs.define
class Inbound:
    """Takes events in."""

    parts: Parts

    def take(self, channel: str, events: Sequence[ChannelEvent]) -> list[InboundResult]:
        """Apply the events of one channel, those that stop somebody first; results in the order given."""
        info = self.parts.channels[self.parts.route(channel)][0]
        order = sorted(range(len(events)), key=lambda n: (not _restricts(events[n]), n))
        results: dict[int, InboundResult] = {}
        for number in order:
            results[number] = self._take(info, events[number])
        self.parts.publisher.tick()
        return [results[number] for number in range(len(events))]

    def _take(self, info: ChannelInfo, event: ChannelEvent) -> InboundResult:
        token = self._token(info, event)
        reservation = self._match(event)
        owners = self._owners(token)
        if reservation is not None and not owners:
            # No address, or one that nobody has: a mail that was forwarded is answered from somewhere else. What the
            # event names by its key is the address that was written to.
            token, owners = reservation.token, self._owners(reservation.token)
        gates = [] if reservation is None else list(gates_of_rows([reservation]))
        if token is not None:
            gates += [Gate("address", token), *(Gate("person", bytes.fromhex(row.person)) for row in owners)]
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock(list(dict.fromkeys(gates)))
            if event.event_id is not None and tx.seen_event(info.name, self.parts.safe.event_ref(event.event_id)):
                return InboundResult(event=event.event, actions=("repeated",))
            journal = Journal(self.parts)
            result = self._apply(tx, journal, info, event, token, owners, reservation, now)
            address = tx.address_refs([token]).get(token) if token is not None else None
            source = result.reply.value if result.reply is not None else "report"
            journal.inbound(event.event, info.name, address, source, bool(owners or reservation), result.actions, now)
            journal.write(tx)
        return result

    def _token(self, info: ChannelInfo, event: ChannelEvent) -> bytes | None:
        if event.address is None:
            return None
        raw = event.address.reveal("inbound")
        try:
            if info.address_kind is AddressKind.PHONE:
                text = canonical_phone(raw, self.parts.options.region).text
            else:
                text = canonical_email(raw).text
        except CarelinkError:
            return None
        return self.parts.safe.token(info.address_kind, text)

    def _owners(self, token: bytes | None) -> tuple[ContactRow, ...]:
        if token is None:
            return ()
        with self.parts.store.reader() as reader:
            return reader.contacts_on([token]).get(token, ())

    def _match(self, event: ChannelEvent) -> ReservationRow | None:
        if event.key is None:
            return None
        request = self.parts.safe.request_of(event.key)
        if request is None:
            return None
        with self.parts.store.reader() as reader:
            return reader.recall([request]).get(request)

    def _apply(
        self,
        tx: Transaction,
        journal: Journal,
        info: ChannelInfo,
        event: ChannelEvent,
        token: bytes | None,
        owners: tuple[ContactRow, ...],
        reservation: ReservationRow | None,
        now: Instant,
    ) -> InboundResult:
        reply = read_reply(event.text.reveal("inbound")) if event.text is not None else None
        actions: list[str] = []
        stopped: Stopped | None = None
        order, source = self._order(tx, info, event, reply, token, owners, reservation)
        if order is not None and token is not None:
            name_addresses(self.parts, tx, [token])
            stopped = apply_stops(self.parts, tx, journal, order, source, now)
            actions.append("paused" if reply is Reply.REVIEW else "stopped_all" if _all(order) else "stopped")
        if event.event is DeliveryEvent.BOUNCED_HARD or reply is Reply.WRONG_PERSON:
            status = ContactStatus.RECYCLED if reply is Reply.WRONG_PERSON else ContactStatus.INVALID
            for row in owners:
                tx.put_contact(attrs.evolve(row, status=status))
                journal.contact(row.person, attrs.evolve(row, status=status), now)
            actions.extend(["invalidated"] if owners else [])
        if event.event in DELIVERY_RANK:
            actions.append(self._receipt(tx, journal, info, event, reservation, now))
        return InboundResult(
            event=event.event,
            actions=tuple(actions) or ("noted",),
            reply=reply,
            suppressions=() if stopped is None else stopped.suppressions,
            released=() if stopped is None else stopped.released,
            in_flight=() if stopped is None else stopped.in_flight,
        )

    def _order(
        self,
        tx: Reader,
        info: ChannelInfo,
        event: ChannelEvent,
        reply: Reply | None,
        token: bytes | None,
        owners: tuple[ContactRow, ...],
        reservation: ReservationRow | None,
    ) -> tuple[StopOrder | None, StopSource]:
        """The stop an event stands for, if any. It binds the address and everybody on it."""
        if token is None:
            return None, StopSource.REPLY
        persons = tuple(dict.fromkeys(PersonRef(row.person) for row in owners))
        on_channel = Scope((ANY,), (info.kind.value,))
        promotional = Scope(PROMOTIONAL, (ANY,))
        if event.event in _STOPPING:
            # Unsubscribing from one message is a plain stop in answer to it; who complains wants no mail at all.
            complained = event.event is DeliveryEvent.COMPLAINED
            scopes = (promotional, on_channel) if complained else plain_stop_scopes(reservation)
            return StopOrder(persons=persons, tokens=(token,), scopes=scopes), _STOPPING[event.event]
        if reply is Reply.STOP:
            answered = tx.last_spent_on(token, info.kind.value)
            ended = plain_stop_scopes(answered)
            return StopOrder(persons=persons, tokens=(token,), scopes=ended), StopSource.REPLY
        if reply is Reply.STOP_ALL:
            # All messages of this channel kind; the same person's other channels stay open for care.
            return StopOrder(persons=persons, tokens=(token,), scopes=(promotional, on_channel)), StopSource.REPLY
        if reply is Reply.WRONG_PERSON:
            return StopOrder(tokens=(token,), scopes=(Scope((ANY,), (ANY,)),)), StopSource.WRONG_PERSON
        if reply is Reply.REVIEW:
            now, _ = self.parts.guard.read()
            until = Instant(now + _REVIEW_PAUSE)
            return StopOrder(persons=persons, tokens=(token,), scopes=(promotional,), until=until), StopSource.REPLY
        return None, StopSource.REPLY

    def _receipt(
        self,
        tx: Transaction,
        journal: Journal,
        info: ChannelInfo,
        event: ChannelEvent,
        reservation: ReservationRow | None,
        now: Instant,
    ) -> str:
        if reservation is None:
            if event.key is not None:
                tx.park(info.name, self.parts.safe.event_ref(event.key), event.event.value, now)
                return "parked"
            return "noted"
        state = fold_delivery(reservation.delivery, event.event)
        if state != reservation.delivery:
            tx.put_reservations([attrs.evolve(reservation, delivery=state)])
        journal.receipt(reservation, event.event, state, now if event.at is None else min(event.at, now), now)
        return "receipt"


def _restricts(event: ChannelEvent) -> bool:
    return event.event in _STOPPING or event.event is DeliveryEvent.REPLIED


def _all(order: StopOrder) -> bool:
    return any(ANY in scope.purposes for scope in order.scopes)
