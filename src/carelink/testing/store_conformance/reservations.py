"""Reservations: one open per request, states that only go forward, touches that caps count."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from carelink.errors import ConflictError, InvalidInputError, NotFoundError
from carelink.model.ids import ContactPointId, PersonRef
from carelink.model.moment import Instant
from carelink.model.touchpoint import TRANSITIONS
from carelink.ports.rows import ReservationRow, TouchRow
from carelink.ports.store import Store
from carelink.testing.store_conformance import samples as a
from carelink.vocabulary import ChannelKind, Outcome, Purpose, RecipientRole, ReservationState

__all__ = ["TestReservations", "TestTouches"]

HELD, CLAIMED = ReservationState.HELD, ReservationState.CLAIMED
SPENT, RELEASED = ReservationState.SPENT, ReservationState.RELEASED


def _in(number: int, state: ReservationState, **changes: object) -> ReservationRow:
    changes.setdefault("lease", a.at(number + 5) if state is CLAIMED else None)
    return a.reservation(number, state=state, **changes)


class TestReservations:
    """Slots and what became of them."""

    def test_every_field_comes_back(self, store: Store) -> None:
        full = a.reservation(
            1, state=SPENT, lease=a.at(3), outcome=Outcome.UNKNOWN, delivery="delivered", provider=b"\x00p" * 16
        )
        bare = a.reservation(2, mac=b"", reply=False)
        with store.transaction() as tx:
            tx.add_reservations([full, bare])
        with store.reader() as reader:
            ids = [a.reservation_id(1), a.reservation_id(2), a.reservation_id(3), a.reservation_id(1)]
            assert reader.reservations(ids) == {full.id: full, bare.id: bare}
            assert reader.recall([a.request(1), a.request(2), a.request(3), a.request(2)]) == {
                full.request: full,
                bare.request: bare,
            }

    @pytest.mark.parametrize("state", [HELD, CLAIMED, SPENT])
    def test_a_request_holds_one_that_is_not_released(self, store: Store, state: ReservationState) -> None:
        with store.transaction() as tx:
            tx.add_reservations([_in(1, RELEASED), _in(2, state, request=a.request(1))])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_reservations([a.reservation(3, request=a.request(1))])
        with store.transaction() as tx:
            tx.add_reservations([_in(4, RELEASED, request=a.request(1))])
        with store.reader() as reader:
            assert reader.recall([a.request(1)])[a.request(1)].id == a.reservation_id(2)

    def test_nor_two_in_one_batch(self, store: Store) -> None:
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_reservations([a.reservation(1), a.reservation(2, request=a.request(1))])
        with store.reader() as reader:
            assert reader.recall([a.request(1)]) == {}

    def test_a_released_request_can_be_held_again(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_reservations([a.reservation(1)])
            tx.put_reservations([_in(1, RELEASED)])
            assert tx.recall([a.request(1)]) == {}
            tx.add_reservations([a.reservation(2, request=a.request(1))])
        with store.reader() as reader:
            assert reader.recall([a.request(1)])[a.request(1)].id == a.reservation_id(2)

    def test_an_id_is_unique(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_reservations([_in(1, RELEASED)])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_reservations([a.reservation(1, request=a.request(2))])

    @pytest.mark.parametrize("before", list(ReservationState))
    @pytest.mark.parametrize("after", list(ReservationState))
    def test_states_go_forward_only(self, store: Store, before: ReservationState, after: ReservationState) -> None:
        with store.transaction() as tx:
            tx.add_reservations([_in(1, before)])
        if after is before or after in TRANSITIONS[before]:
            with store.transaction() as tx:
                tx.put_reservations([_in(1, after)])
        else:
            with pytest.raises(ConflictError), store.transaction() as tx:
                tx.put_reservations([_in(1, after)])
        expected = after if after in TRANSITIONS[before] else before
        with store.reader() as reader:
            assert reader.reservations([a.reservation_id(1)])[a.reservation_id(1)].state is expected

    def test_one_refused_change_refuses_all(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_reservations([a.reservation(1), _in(2, SPENT)])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.put_reservations([_in(1, CLAIMED), _in(2, RELEASED)])
        with store.reader() as reader:
            assert reader.reservations([a.reservation_id(1)])[a.reservation_id(1)].state is HELD

    def test_changes_of_one_row_follow_each_other(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_reservations([a.reservation(1)])
            tx.put_reservations([_in(1, CLAIMED), _in(1, SPENT)])
            tx.put_reservations([])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.put_reservations([_in(1, SPENT), _in(1, RELEASED)])

    def test_only_what_may_change_is_written(self, store: Store) -> None:
        before = a.reservation(1)
        changed = attrs.evolve(
            before,
            contact=ContactPointId("0" * 32),
            recipient=a.person(7),
            role=RecipientRole.GUARDIAN,
            token=a.token(7),
            address=a.address(7),
            at=a.at(99),
            state=CLAIMED,
            lease=a.at(104),
            outcome=Outcome.ACCEPTED,
            delivery="read",
            provider=b"p",
        )
        wanted = attrs.evolve(
            changed,
            mac=b"other",
            request=a.request(9),
            subject=a.person(9),
            purpose=Purpose.CARE_MEDICATION,
            channel="elsewhere",
            channel_kind=ChannelKind.EMAIL,
            template="elsewhere",
            template_version=9,
            reply=False,
            expires=a.at(1),
        )
        with store.transaction() as tx:
            tx.add_reservations([before])
            tx.put_reservations([wanted])
        with store.reader() as reader:
            assert reader.reservations([before.id]) == {before.id: changed}

    def test_what_is_not_there_cannot_be_changed(self, store: Store) -> None:
        with pytest.raises(NotFoundError), store.transaction() as tx:
            tx.put_reservations([a.reservation(1)])

    def test_a_claim_has_a_lease(self, store: Store) -> None:
        with pytest.raises(InvalidInputError), store.transaction() as tx:
            tx.add_reservations([a.reservation(1, state=CLAIMED)])

    def test_open_ones_by_state_in_order_and_number(self, store: Store) -> None:
        rows = [a.reservation(3, at=a.at(1)), a.reservation(1, at=a.at(2)), a.reservation(2, at=a.at(2))]
        with store.transaction() as tx:
            tx.add_reservations([rows[2], rows[0], rows[1], _in(4, CLAIMED), _in(5, SPENT), _in(6, RELEASED)])
        with store.reader() as reader:
            assert reader.open_reservations(HELD, limit=9) == tuple(rows)
            assert reader.open_reservations(HELD, limit=2) == tuple(rows[:2])
            assert reader.open_reservations(CLAIMED, limit=9) == (_in(4, CLAIMED),)
            assert reader.open_reservations(SPENT, limit=9) == ()
            assert reader.open_reservations(RELEASED, limit=9) == ()

    def test_open_ones_that_are_due_end_at_the_instant(self, store: Store) -> None:
        held = [_in(n, HELD, expires=a.at(n)) for n in (1, 2, 3)]
        claimed = [_in(n, CLAIMED, lease=a.at(n), expires=a.at(n + 50)) for n in (4, 5)]
        with store.transaction() as tx:
            tx.add_reservations([*reversed(held), *claimed])
        with store.reader() as reader:
            assert reader.open_reservations(HELD, limit=9, due=a.at(2)) == tuple(held[:2])
            assert reader.open_reservations(HELD, limit=1, due=a.at(2)) == tuple(held[:1])
            assert reader.open_reservations(HELD, limit=9, due=Instant(a.at(1) - 1)) == ()
            assert reader.open_reservations(CLAIMED, limit=9, due=a.at(4)) == (claimed[0],)
            assert reader.open_reservations(SPENT, limit=9, due=a.at(99)) == ()

    def test_open_ones_that_touch_a_person_or_an_address(self, store: Store) -> None:
        by_recipient = a.reservation(2, recipient=a.person(1), at=a.at(1))
        both = a.reservation(1, at=a.at(2))
        with store.transaction() as tx:
            tx.add_reservations([both, by_recipient, _in(3, CLAIMED), a.reservation(9)])
            tx.add_reservations([_in(4, SPENT, subject=a.person(1)), _in(5, RELEASED, subject=a.person(1))])
        with store.reader() as reader:
            found = reader.open_for([a.person(1), a.person(1)], [a.token(1), a.token(3)])
            assert found == (by_recipient, both, _in(3, CLAIMED))
            assert reader.open_for([], []) == ()

    def test_what_a_reply_answers_is_the_newest_spent(self, store: Store) -> None:
        old = _in(1, SPENT, token=a.token(1), at=a.at(1))
        new, twin = _in(2, SPENT, token=a.token(1), at=a.at(5)), _in(3, SPENT, token=a.token(1), at=a.at(5))
        with store.transaction() as tx:
            tx.add_reservations([new, twin, old])
            tx.add_reservations([a.reservation(4, token=a.token(1), at=a.at(9)), _in(5, SPENT, at=a.at(9))])
            tx.add_reservations([_in(6, SPENT, token=a.token(1), at=a.at(9), channel_kind=ChannelKind.EMAIL)])
        with store.reader() as reader:
            assert reader.last_spent_on(a.token(1), "sms") == twin
            assert reader.last_spent_on(a.token(1), "chat") is None
            assert reader.last_spent_on(a.token(8), "sms") is None


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


class TestTouches:
    """What caps count: exactly the reservations that hold or spent a slot."""

    def test_subject_recipient_and_address_count_and_each_touch_once(self, store: Store) -> None:
        all_three = a.reservation(1)
        as_recipient = a.reservation(2, recipient=a.person(1))
        on_address = a.reservation(3, token=a.token(1))
        with store.transaction() as tx:
            tx.add_reservations([on_address, as_recipient, all_three, a.reservation(4)])
        with store.reader() as reader:
            found = reader.touches([a.person(1), a.person(1)], [a.token(1), a.token(1)], a.at(0))
            assert found == (_touch(all_three), _touch(as_recipient), _touch(on_address))
            assert reader.touches([a.person(1)], [], a.at(0)) == (_touch(all_three), _touch(as_recipient))
            assert reader.touches([], [a.token(1)], a.at(0)) == (_touch(all_three), _touch(on_address))
            assert reader.touches([], [], a.at(0)) == ()

    @pytest.mark.parametrize("state", list(ReservationState))
    def test_every_state_but_released_counts(self, store: Store, state: ReservationState) -> None:
        with store.transaction() as tx:
            tx.add_reservations([_in(1, state)])
        with store.reader() as reader:
            assert len(reader.touches([a.person(1)], [a.token(1)], a.at(0))) == (state is not RELEASED)

    @pytest.mark.parametrize("role", ["subject", "recipient", "token"])
    def test_the_window_begins_at_its_instant(self, store: Store, role: str) -> None:
        changes: dict[str, Any] = {role: a.token(9) if role == "token" else a.person(9)}
        row = a.reservation(5, **changes)
        with store.transaction() as tx:
            tx.add_reservations([row])
        with store.reader() as reader:
            assert reader.touches([a.person(9)], [a.token(9)], a.at(5)) == (_touch(row),)
            assert reader.touches([a.person(9)], [a.token(9)], Instant(a.at(5) + 1)) == ()

    def test_a_claim_moves_its_touch(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_reservations([a.reservation(1, subject=a.person(8))])
            moved = attrs.evolve(
                _in(1, CLAIMED), subject=a.person(8), recipient=a.person(2), token=a.token(2), at=a.at(60)
            )
            tx.put_reservations([moved])
        with store.reader() as reader:
            assert reader.touches([a.person(1)], [a.token(1)], a.at(0)) == ()
            assert reader.touches([a.person(2)], [a.token(2)], a.at(60)) == (_touch(moved),)

    def test_they_come_by_instant_and_id_whatever_the_number_of_keys(self, store: Store) -> None:
        persons = [PersonRef(a.person(n)) for n in range(a.MANY)]
        tokens = [a.token(n) for n in range(a.MANY)]
        with store.transaction() as tx:
            tx.add_reservations([a.reservation(n, at=a.at(n % 7)) for n in range(200)])
        with store.reader() as reader:
            found = reader.touches(persons, tokens, a.at(0))
            assert len(found) == 200
            assert list(found) == sorted(found, key=lambda touch: (touch.at, touch.reservation))
