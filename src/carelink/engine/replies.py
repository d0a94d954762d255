"""Replies that a person must read: each pauses what is promotional until somebody says what it meant.

The words themselves are not kept here: they stand with the hospital's own inbox, and the log holds what they were taken
for (P8). A reply nobody decided on goes on pausing for a year (`inbound.REVIEW_PAUSE`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from carelink.consent.optout.grammar import ReplyScope
from carelink.consent.optout.reading import Reading, Reply
from carelink.engine.journal import Journal
from carelink.engine.locks import address_gate, person_gate, under_locks
from carelink.engine.parts import Parts
from carelink.engine.stops import StopOrder, Stopped, apply_stops, spoken_scopes
from carelink.errors import NotFoundError
from carelink.model.ids import AddressRef, PatientId, PersonRef, SuppressionId
from carelink.model.moment import Instant
from carelink.ports.rows import ContactRow, Gate, ReservationRow, StopRow
from carelink.ports.store import Reader, Transaction
from carelink.vocabulary import ChannelKind, StopSource

__all__ = ["Replies", "WaitingReply"]


@attrs.frozen(kw_only=True)
class WaitingReply:
    """A reply that waits for a person.

    Attributes:
        id: names it.
        address: pseudonym of the address that it came from; as the log has it.
        patients: whose address that is now.
        channel: kind of channel of the last message there, which it may answer; None if there is none.
        since, until: from when and until when at most it pauses what is promotional.
    """

    id: SuppressionId
    address: AddressRef | None
    patients: tuple[PatientId, ...]
    channel: ChannelKind | None
    since: Instant
    until: Instant | None


@attrs.frozen(kw_only=True)
class _Put:
    """A reply with all that it paused, and the message that it answers."""

    row: StopRow
    all: tuple[StopRow, ...]
    persons: tuple[PersonRef, ...]
    answered: ReservationRow | None

    def gates(self) -> tuple[Gate, ...]:
        assert self.row.token is not None
        return (address_gate(self.row.token), *map(person_gate, self.persons))


@attrs.define
class Replies:
    """The desk at which replies are decided."""

    parts: Parts

    def waiting(self) -> list[WaitingReply]:
        """Those that wait, oldest first."""
        now, _ = self.parts.guard.read()
        with self.parts.store.reader() as reader:
            rows = reader.replies_waiting(now)
            tokens = [row.token for row in rows if row.token is not None]
            refs, users = reader.address_refs(tokens), reader.contacts_on(tokens)
            return [
                WaitingReply(
                    id=row.id,
                    address=refs.get(row.token),
                    patients=_patients(reader, users.get(row.token, ())),
                    channel=None if (last := _answered(reader, row)) is None else last.channel_kind,
                    since=row.since,
                    until=row.until,
                )
                for row in rows
                if row.token is not None
            ]

    def decide(self, waiting: SuppressionId, *, stop: bool, by: str) -> Stopped:
        """Somebody read the reply. It was a stop: then it stops what a plain stop in answer to the last message does.
        It was none: then what it paused goes on.

        Args:
            by: pseudonym of who decided.

        Raises:
            NotFoundError: no such reply waits.
        """

        def work(tx: Transaction, put: _Put, _lasts: Mapping[Gate, Instant]) -> Stopped:
            now, _ = self.parts.guard.read()
            journal, stopped = Journal(self.parts), Stopped(suppressions=())
            if stop:
                assert put.row.token is not None
                kind = ChannelKind.SMS if put.answered is None else put.answered.channel_kind
                scopes = spoken_scopes(Reading(Reply.STOP, ReplyScope.PLAIN), put.answered, kind)
                order = StopOrder(persons=put.persons, tokens=(put.row.token,), scopes=scopes)
                stopped = apply_stops(self.parts, tx, journal, order, StopSource.REPLY, now)
            for row in put.all:
                tx.lift_stop(row.id, now)
                journal.lifted(row.id, by, now)
            journal.write(tx)
            return stopped

        done = under_locks(self.parts.store, lambda reader: self._look(reader, waiting), _Put.gates, work)
        self.parts.publisher.tick()
        return done

    def _look(self, reader: Reader, waiting: SuppressionId) -> _Put:
        now, _ = self.parts.guard.read()
        row = next((row for row in reader.replies_waiting(now) if row.id == waiting), None)
        if row is None or row.token is None:
            raise NotFoundError("no reply of this id waits", hint="see `carelink replies list`")
        owners = reader.contacts_on([row.token]).get(row.token, ())
        persons = tuple(dict.fromkeys(owner.person for owner in owners))
        pauses = (one for one in reader.stops(persons, [row.token]) if _same(one, row))
        return _Put(row=row, all=tuple(pauses), persons=persons, answered=_answered(reader, row))


def _patients(reader: Reader, users: Sequence[ContactRow]) -> tuple[PatientId, ...]:
    """Of those on an address, who is a patient; relatives are not named."""
    found = reader.patients_by_person([user.person for user in users])
    return tuple(dict.fromkeys(row.id for row in found.values()))


def _same(one: StopRow, row: StopRow) -> bool:
    """Whether both came of one reply: it paused its address and everybody on it at one instant."""
    return (one.source, one.since, one.until) == (row.source, row.since, row.until)


def _answered(reader: Reader, row: StopRow) -> ReservationRow | None:
    """The last message to the address, on whatever channel."""
    assert row.token is not None
    found = (reader.last_spent_on(row.token, kind.value) for kind in ChannelKind)
    return max((each for each in found if each is not None), key=lambda each: each.at, default=None)
