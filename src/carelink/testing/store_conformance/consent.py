"""Grants, suppressions, templates and packs."""

from __future__ import annotations

import attrs
import pytest

from carelink.errors import ConflictError, InvalidInputError, NotFoundError
from carelink.ports.rows import StopRow
from carelink.ports.store import Store
from carelink.testing.store_conformance import samples as a
from carelink.vocabulary import ContentStatus, GrantState, StopSource

__all__ = ["TestContent", "TestGrants", "TestSuppressions"]


class TestGrants:
    """Recorded grants."""

    def test_every_field_comes_back_in_order(self, store: Store) -> None:
        early, late, twin = a.grant(3, 1, since=a.at(1)), a.grant(1, 1, since=a.at(2)), a.grant(2, 1, since=a.at(2))
        bare = a.grant(4, 2, until=None, separate=False, notice="")
        with store.transaction() as tx:
            tx.add_grants([twin, late, early, bare])
        with store.reader() as reader:
            found = reader.grants([a.patient_id(1), a.patient_id(2), a.patient_id(3), a.patient_id(1)])
            assert found == {a.patient_id(1): (early, late, twin), a.patient_id(2): (bare,)}

    def test_a_grant_ends_once(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_grants([a.grant(1, 1), a.grant(2, 1)])
            tx.end_grant(a.grant(1, 1).id, GrantState.WITHDRAWN, a.at(50))
            tx.end_grant(a.grant(1, 1).id, GrantState.REVOKED, a.at(60))
            tx.end_grant(a.grant(9, 1).id, GrantState.REVOKED, a.at(60))
        with store.reader() as reader:
            ended, other = reader.grants([a.patient_id(1)])[a.patient_id(1)]
            assert ended == attrs.evolve(a.grant(1, 1), state=GrantState.WITHDRAWN, ended_at=a.at(50))
            assert other == a.grant(2, 1)

    def test_a_grant_is_replaced_whole(self, store: Store) -> None:
        changed = a.grant(
            1, 2, purposes=("admin",), until=None, separate=False, state=GrantState.REVOKED, ended_at=a.at(7)
        )
        with store.transaction() as tx:
            tx.add_grants([a.grant(1, 1)])
            tx.put_grant(changed)
        with pytest.raises(NotFoundError), store.transaction() as tx:
            tx.put_grant(a.grant(2, 1))
        with store.reader() as reader:
            assert reader.grants([a.patient_id(1), a.patient_id(2)]) == {a.patient_id(2): (changed,)}

    def test_a_grant_is_unique_and_its_lists_are_of_words(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_grants([a.grant(1, 1)])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_grants([a.grant(1, 2)])
        for word in ("", "care,marketing"):
            with pytest.raises(InvalidInputError), store.transaction() as tx:
                tx.add_grants([a.grant(2, 1, purposes=(word,))])


class TestSuppressions:
    """Stops of persons and of addresses."""

    def test_those_that_bind_are_found_each_once_and_in_order(self, store: Store) -> None:
        rows = [
            a.stop(4, of=1, since=a.at(1)),
            a.stop(1, on=1, since=a.at(2)),
            a.stop(3, of=2, since=a.at(3), until=None),
            a.stop(2, on=2, since=a.at(3)),
        ]
        with store.transaction() as tx:
            tx.add_stops([*reversed(rows), a.stop(9, of=9), a.stop(10, on=9)])
        with store.reader() as reader:
            persons, tokens = [a.person(1), a.person(2), a.person(1)], [a.token(1), a.token(2), a.token(2)]
            assert reader.stops(persons, tokens) == (rows[0], rows[1], rows[3], rows[2])
            assert reader.stops([a.person(2)], []) == (rows[2],)
            assert reader.stops([], []) == ()

    def test_a_lifted_one_binds_no_more(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_stops([a.stop(1, of=1), a.stop(2, on=1)])
            tx.lift_stop(a.stop(1, of=1).id, a.at(5))
            tx.lift_stop(a.stop(1, of=1).id, a.at(6))
            tx.lift_stop(a.stop(7, of=1).id, a.at(6))
        with store.reader() as reader:
            assert reader.stops([a.person(1)], [a.token(1)]) == (a.stop(2, on=1),)

    def test_one_past_its_end_is_still_there(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_stops([a.stop(1, of=1, until=a.at(-1))])
        with store.reader() as reader:
            assert len(reader.stops([a.person(1)], [])) == 1

    def test_replies_put_off_are_those_of_addresses_with_an_end_to_come(self, store: Store) -> None:
        reply = StopSource.REPLY
        put_off = [a.stop(3, on=1, until=a.at(9), source=reply), a.stop(1, on=2, until=a.at(8), source=reply)]
        others = [
            a.stop(4, of=1, until=a.at(9), source=reply),
            a.stop(5, on=1, until=None, source=reply),
            a.stop(6, on=1, until=a.at(5), source=reply),
            a.stop(7, on=1, until=a.at(9), source=StopSource.STAFF),
            a.stop(8, on=1, until=a.at(9), source=reply),
        ]
        with store.transaction() as tx:
            tx.add_stops([*put_off, *others])
            tx.lift_stop(others[-1].id, a.at(4))
        with store.reader() as reader:
            assert reader.replies_waiting(a.at(5)) == tuple(sorted(put_off, key=lambda row: (row.since, row.id)))
            assert reader.replies_waiting(a.at(8)) == (put_off[0],)
            assert reader.replies_waiting(a.at(9)) == ()

    def test_a_suppression_is_unique(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_stops([a.stop(1, of=1)])
        with pytest.raises(ConflictError), store.transaction() as tx:
            tx.add_stops([a.stop(1, of=2)])

    @pytest.mark.parametrize("row", [a.stop(1), a.stop(1, of=1, on=1), a.stop(1, of=1, channels=("a,b",))])
    def test_it_binds_a_person_or_an_address(self, store: Store, row: StopRow) -> None:
        with pytest.raises(InvalidInputError), store.transaction() as tx:
            tx.add_stops([row])
        with store.reader() as reader:
            assert reader.stops([a.person(1)], [a.token(1)]) == ()


class TestContent:
    """Template versions and packs."""

    def test_versions_stand_side_by_side(self, store: Store) -> None:
        draft = a.template(
            version=12,
            status=ContentStatus.DRAFT,
            subject="",
            variables=(),
            until=None,
            language="und",
            details="",
            data=(),
            author="",
            quorum=1,
            reviews=(),
            number="",
            number_until=None,
            providers=(),
            screened="",
        )
        with store.transaction() as tx:
            tx.put_template(a.template())
            tx.put_template(draft)
            tx.put_template(a.template("other", 2))
        with store.reader() as reader:
            found = reader.templates([("recheck", 1), ("recheck", 12), ("recheck", 2), ("other", 1), ("recheck", 1)])
            assert found == {("recheck", 1): a.template(), ("recheck", 12): draft}
            assert reader.page_templates(("", 0), 2) == (a.template("other", 2), a.template())
            assert reader.page_templates(("recheck", 1), 9) == (draft,)
            assert reader.page_templates(("recheck", 12), 9) == ()
            assert reader.latest_template("recheck") == 12
            assert reader.latest_template("nobody") is None

    def test_a_version_is_replaced(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.put_template(a.template())
            tx.put_template(a.template(status=ContentStatus.WITHDRAWN))
        with store.reader() as reader:
            assert reader.templates([("recheck", 1)])[("recheck", 1)].status is ContentStatus.WITHDRAWN

    def test_lists_are_of_words(self, store: Store) -> None:
        with pytest.raises(InvalidInputError), store.transaction() as tx:
            tx.put_template(a.template(variables=("a", "b,c")))

    def test_credentials_of_an_actor_are_found_in_order_and_replaced(self, store: Store) -> None:
        late, early, other = a.credential(1, 1, since=a.at(9)), a.credential(2, 1), a.credential(3, 2)
        bare = attrs.evolve(other, until=None, ended_at=None)
        with store.transaction() as tx:
            for row in (late, early, other, bare):
                tx.put_credential(row)
        with store.reader() as reader:
            found = reader.credentials([early.actor, other.actor, early.actor, "f" * 32])
            assert found == {early.actor: (early, late), other.actor: (bare,)}
            assert reader.credentials([]) == {}

    def test_packs_are_bytes(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.put_pack("d1", b"\xffold")
            tx.put_pack("d1", b"\xffnew\n")
        with store.reader() as reader:
            assert reader.pack("d1") == b"\xffnew\n"
            assert reader.pack("d2") is None
