"""Inbound: delivery reports, bounces, complaints and replies become entries; opt-outs act before anything else.

Events that restrict act at once, whoever sent them: a forged one fails safe. Events may come early, late, twice and
out of order; a report for a key nobody knows yet is parked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

import attrs

from carelink.consent.optout.announced import asked_by
from carelink.consent.optout.reading import UNKNOWN, Asked, Reading, Reply, read_reply
from carelink.engine.journal import Journal
from carelink.engine.locks import address_gate, gates_of_rows, person_gate, under_locks
from carelink.engine.parts import Parts
from carelink.engine.reviewed import approved_form
from carelink.engine.stops import StopOrder, Stopped, apply_stops, name_addresses, plain_stop_scopes, spoken_scopes
from carelink.errors import CarelinkError
from carelink.model.ids import PersonRef, ReservationId, SuppressionId
from carelink.model.moment import DAY, Instant
from carelink.model.scope import ANY, PROMOTIONAL, Scope
from carelink.model.touchpoint import DELIVERY_RANK, fold_delivery
from carelink.ports.channel import ChannelEvent, ChannelInfo
from carelink.ports.rows import ContactRow, Gate, ReservationRow
from carelink.ports.store import Reader, Transaction
from carelink.vault.canonical import canonical_address
from carelink.vocabulary import ContactStatus, DeliveryEvent, StopSource

__all__ = ["REVIEW_PAUSE", "Inbound", "InboundResult"]

REVIEW_PAUSE: Final = 365 * DAY
"""How long a reply that a person must read pauses promotion at most. Somebody decides before, see `replies`."""

_STOPPING: Final = {
    DeliveryEvent.OPTED_OUT: StopSource.UNSUBSCRIBE,
    DeliveryEvent.COMPLAINED: StopSource.COMPLAINT,
}


@attrs.frozen(kw_only=True)
class InboundResult:
    """What came of one event.

    Attributes:
        actions: codes of what was done: `stopped`, `stopped_all`, `paused`, `invalidated`, `receipt`, `parked`,
            `repeated`, `noted`; `unplaced` is a stop whose address nobody can read: a person must look.
        reply: what the text was taken for, if there was one.
        suppressions, released, in_flight: see `Stopped`.
    """

    event: DeliveryEvent
    actions: tuple[str, ...]
    reply: Reply | None = None
    suppressions: tuple[SuppressionId, ...] = ()
    released: tuple[ReservationId, ...] = ()
    in_flight: tuple[ReservationId, ...] = ()


@attrs.frozen(kw_only=True)
class _Concerned:
    """Whom an event is about.

    Attributes:
        tokens: the address it came from, and the one its message went to: a patient may answer from another address.
        reservation: the hand-over it answers.
        owners: everybody on these addresses.
    """

    tokens: tuple[bytes, ...]
    reservation: ReservationRow | None
    owners: tuple[ContactRow, ...]

    @property
    def persons(self) -> tuple[PersonRef, ...]:
        """Pseudonyms of everybody on the addresses."""
        return tuple(dict.fromkeys(row.person for row in self.owners))

    def gates(self) -> tuple[Gate, ...]:
        """The gate rows of all these."""
        gates = [] if self.reservation is None else list(gates_of_rows([self.reservation]))
        gates += map(address_gate, self.tokens)
        gates += map(person_gate, self.persons)
        return tuple(dict.fromkeys(gates))


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
        return under_locks(
            self.parts.store,
            lambda reader: self._concerns(reader, event, token),
            _Concerned.gates,
            lambda tx, concerned, _lasts: self._take_in(tx, info, event, concerned),
        )

    def _concerns(self, reader: Reader, event: ChannelEvent, token: bytes | None) -> _Concerned:
        reservation = self._match(reader, event)
        found = [token, None if reservation is None else reservation.token]
        tokens = tuple(dict.fromkeys(one for one in found if one is not None))
        users = reader.contacts_on(tokens) if tokens else {}
        # An address that somebody has comes first: a mail that was forwarded is answered, or bounces, from another.
        tokens = tuple(sorted(tokens, key=lambda one: one not in users))
        owners = tuple(row for one in tokens for row in users.get(one, ()))
        return _Concerned(tokens=tokens, reservation=reservation, owners=owners)

    def _take_in(self, tx: Transaction, info: ChannelInfo, event: ChannelEvent, concerned: _Concerned) -> InboundResult:
        now, _ = self.parts.guard.read()
        if event.event_id is not None and tx.seen_event(info.name, self.parts.safe.event_ref(event.event_id)):
            return InboundResult(event=event.event, actions=("repeated",))
        journal = Journal(self.parts)
        result = self._apply(tx, journal, info, event, concerned, now)
        first = concerned.tokens[:1]
        address = tx.address_refs(first).get(first[0]) if first else None
        source = result.reply.value if result.reply is not None else "report"
        matched = bool(concerned.owners) or concerned.reservation is not None
        journal.inbound(event.event, info.name, address, source, matched, result.actions, now)
        journal.write(tx)
        return result

    def _token(self, info: ChannelInfo, event: ChannelEvent) -> bytes | None:
        if event.address is None:
            return None
        raw = event.address.reveal("inbound")
        try:
            text = canonical_address(info.address_kind, raw, self.parts.options.region).text
        except CarelinkError:
            return None
        return self.parts.safe.token(info.address_kind, text)

    def _match(self, reader: Reader, event: ChannelEvent) -> ReservationRow | None:
        request = None if event.key is None else self.parts.safe.request_of(event.key)
        return None if request is None else reader.recall([request]).get(request)

    def _apply(
        self,
        tx: Transaction,
        journal: Journal,
        info: ChannelInfo,
        event: ChannelEvent,
        concerned: _Concerned,
        now: Instant,
    ) -> InboundResult:
        answered = concerned.reservation
        if answered is None and concerned.tokens and event.text is not None:
            answered = tx.last_spent_on(concerned.tokens[0], info.kind.value)
        reading = self._read(tx, event, answered)
        reply = None if reading is None else reading.reply
        actions: list[str] = []
        stopped: Stopped | None = None
        order, source = self._order(info, event, reading, answered, concerned, now)
        if order is not None and not order.tokens:
            actions.extend([] if event.address is None else ["unplaced"])
        elif order is not None:
            name_addresses(self.parts, tx, journal, order.tokens, now)
            stopped = apply_stops(self.parts, tx, journal, order, source, now)
            actions.append("paused" if reply is Reply.REVIEW else "stopped_all" if _all(order) else "stopped")
        if event.event is DeliveryEvent.BOUNCED_HARD or reply is Reply.WRONG_PERSON:
            status = ContactStatus.RECYCLED if reply is Reply.WRONG_PERSON else ContactStatus.INVALID
            gone = [row for row in concerned.owners if row.token == concerned.tokens[0]]
            for row in gone:
                tx.put_contact(attrs.evolve(row, status=status))
                journal.contact(row.person, attrs.evolve(row, status=status), now)
            actions.extend(["invalidated"] if gone else [])
        if event.event in DELIVERY_RANK:
            actions.append(self._receipt(tx, journal, info, event, concerned.reservation, now))
        return InboundResult(
            event=event.event,
            actions=tuple(actions) or ("noted",),
            reply=reply,
            suppressions=() if stopped is None else stopped.suppressions,
            released=() if stopped is None else stopped.released,
            in_flight=() if stopped is None else stopped.in_flight,
        )

    def _read(self, tx: Reader, event: ChannelEvent, answered: ReservationRow | None) -> Reading | None:
        """What the words mean, in view of the message that they answer."""
        if event.text is None:
            return None
        return read_reply(event.text.reveal("inbound"), self.parts.grammar(), _asked(tx, answered))

    def _order(
        self,
        info: ChannelInfo,
        event: ChannelEvent,
        reading: Reading | None,
        answered: ReservationRow | None,
        concerned: _Concerned,
        now: Instant,
    ) -> tuple[StopOrder | None, StopSource]:
        """The stop an event stands for, if any. It binds the addresses and everybody on them."""
        persons, tokens = concerned.persons, concerned.tokens
        on_channel = Scope((ANY,), (info.kind.value,))
        promotional = Scope(PROMOTIONAL, (ANY,))
        if event.event in _STOPPING:
            # Unsubscribing from one message is a plain stop in answer to it; who complains wants no mail at all.
            complained = event.event is DeliveryEvent.COMPLAINED
            scopes = (promotional, on_channel) if complained else plain_stop_scopes(concerned.reservation)
            return StopOrder(persons=persons, tokens=tokens, scopes=scopes), _STOPPING[event.event]
        reply = None if reading is None else reading.reply
        if reading is not None and reply in (Reply.STOP, Reply.STOP_ALL):
            scopes = spoken_scopes(reading, answered, info.kind)
            return StopOrder(persons=persons, tokens=tokens, scopes=scopes), StopSource.REPLY
        if reply is Reply.WRONG_PERSON:
            return StopOrder(tokens=tokens[:1], scopes=(Scope((ANY,), (ANY,)),)), StopSource.WRONG_PERSON
        if reply is Reply.REVIEW:
            until = Instant(now + REVIEW_PAUSE)
            return StopOrder(persons=persons, tokens=tokens, scopes=(promotional,), until=until), StopSource.REPLY
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
        if reservation is None or self.parts.publisher.restored:
            if event.key is not None:
                tx.park(info.name, self.parts.safe.event_ref(event.key), event.event.value, now)
                return "parked"
            return "noted"
        state = fold_delivery(reservation.delivery, event.event)
        if state != reservation.delivery:
            tx.put_reservations([attrs.evolve(reservation, delivery=state)])
        journal.receipt(reservation, event.event, state, now if event.at is None else min(event.at, now), now)
        return "receipt"


def _asked(tx: Reader, answered: ReservationRow | None) -> Asked:
    """What the message asked for. Where its text cannot be had, nothing is known of it."""
    if answered is None:
        return UNKNOWN
    key = (answered.template, answered.template_version)
    row = tx.templates([key]).get(key)
    form = None if row is None else approved_form(row)
    return UNKNOWN if form is None else _asked_by(form.text_for(answered.channel_kind)[1])


_asked_by: Final = lru_cache(maxsize=1024)(asked_by)


def _restricts(event: ChannelEvent) -> bool:
    return event.event in _STOPPING or event.event is DeliveryEvent.REPLIED


def _all(order: StopOrder) -> bool:
    return any(ANY in scope.purposes for scope in order.scopes)
