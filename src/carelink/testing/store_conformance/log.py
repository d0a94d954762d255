"""The tenant's row and the log."""

from __future__ import annotations

import attrs
import pytest

from carelink.audit.merkle import Frontier, leaf_hash
from carelink.errors import InvalidInputError, StoreError
from carelink.model.ids import RequestRef
from carelink.ports.store import Store
from carelink.testing.store_conformance import samples as a
from carelink.vocabulary import Mode

__all__ = ["TestLog", "TestTenant"]


class TestTenant:
    """One row of global facts."""

    def test_a_store_that_was_never_initialised_says_so(self, store: Store) -> None:
        with store.reader() as reader, pytest.raises(StoreError):
            reader.tenant()

    def test_every_field_comes_back(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.put_tenant(a.tenant())
            assert tx.tenant() == a.tenant()
        with store.reader() as reader:
            assert reader.tenant() == a.tenant()

    def test_there_is_one_and_the_last_one_stands(self, store: Store) -> None:
        plain = a.tenant(zone="", mode=Mode.LIVE, policy="", packs=(), plugins="", synthetic=False)
        with store.transaction() as tx:
            tx.put_tenant(a.tenant())
            tx.put_tenant(plain)
        with store.reader() as reader:
            assert reader.tenant() == plain

    @pytest.mark.parametrize("word", ["", "ab,cd"])
    def test_a_list_holds_words(self, store: Store, word: str) -> None:
        with pytest.raises(InvalidInputError), store.transaction() as tx:
            tx.put_tenant(a.tenant(packs=("ab", word)))


class TestLog:
    """Entries are bytes, in order, under a tree whose right edge the head holds."""

    def test_an_empty_log(self, store: Store) -> None:
        with store.reader() as reader:
            head = reader.head()
            assert (head.size, head.published) == (0, 0)
            assert Frontier.from_bytes(head.frontier) == Frontier()
            assert list(reader.entries(0, 10)) == []

    def test_entries_come_back_byte_for_byte_and_in_order(self, store: Store) -> None:
        rows = [a.entry(n) for n in range(7)]
        with store.transaction() as tx:
            assert tx.append(rows[:3]) == 0
            assert tx.append([]) == 3
            assert tx.append(rows[3:]) == 3
        with store.reader() as reader:
            data = [row.data for row in rows]
            assert list(reader.entries(0, 7)) == data
            assert list(reader.entries(2, 5)) == data[2:5]
            assert list(reader.entries(5, 1_000_000)) == data[5:]
            assert list(reader.entries(7, 7)) == []

    def test_the_frontier_is_that_of_the_tree_over_the_entries(self, store: Store) -> None:
        done = 0
        for count in (1, 2, 4, 9):
            with store.transaction() as tx:
                tx.append([a.entry(n) for n in range(done, done + count)])
            done += count
            with store.reader() as reader:
                head = reader.head()
                again = Frontier().append_many(leaf_hash(data) for data in reader.entries(0, head.size))
                assert head.size == done
                assert Frontier.from_bytes(head.frontier) == again

    def test_many_entries_are_streamed_whole(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.append([a.entry(n) for n in range(a.MANY)])
        with store.reader() as reader:
            assert list(reader.entries(1, a.MANY)) == [a.entry(n).data for n in range(1, a.MANY)]

    def test_entries_are_found_by_the_request_they_name(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.append([a.entry(0, 1), a.entry(1), a.entry(2, 2), a.entry(3, 1)])
        with store.reader() as reader:
            assert reader.entries_for(a.request(1)) == ((0, a.entry(0).data), (3, a.entry(3).data))
            assert reader.entries_for(a.request(9)) == ()
            assert reader.entries_for(RequestRef("")) == ()

    def test_published_only_rises(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.append([a.entry(n) for n in range(5)])
            tx.set_published(4)
            tx.set_published(2)
        with store.reader() as reader:
            assert reader.head().published == 4

    def test_no_more_is_published_than_there_is(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.append([a.entry(0)])
        with pytest.raises(StoreError), store.transaction() as tx:
            tx.set_published(2)

    def test_unpublished_entries_can_be_moved_behind_others_byte_for_byte(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.append([a.entry(0), a.entry(1), a.entry(2, 5), a.entry(3)])
            tx.set_published(2)
        with store.transaction() as tx:
            taken = tx.take_out(2)
            assert [(row.data, row.request) for row in taken] == [
                (a.entry(2).data, a.request(5)),
                (a.entry(3).data, ""),
            ]
            assert [leaf_hash(row.data) for row in taken] == [row.leaf for row in taken]
            assert tx.append([a.entry(9), *taken]) == 2
        with store.reader() as reader:
            order = [0, 1, 9, 2, 3]
            assert list(reader.entries(0, 9)) == [a.entry(n).data for n in order]
            assert reader.entries_for(a.request(5)) == ((3, a.entry(2).data),)
            again = Frontier().append_many(a.entry(n).leaf for n in order)
            assert Frontier.from_bytes(reader.head().frontier) == again

    def test_a_successor_begins_empty_and_keeps_everything_else(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.put_tenant(a.tenant())
            tx.append([a.entry(0), a.entry(1, 5)])
            tx.set_published(2)
        with store.transaction() as tx:
            tx.begin_log()
            assert tx.append([a.entry(7)]) == 0
        with store.reader() as reader:
            assert list(reader.entries(0, 9)) == [a.entry(7).data]
            assert reader.entries_for(a.request(5)) == ()
            assert reader.head().published == 0
            assert Frontier.from_bytes(reader.head().frontier) == Frontier().append_many([a.entry(7).leaf])
            assert reader.tenant() == a.tenant()

    def test_taking_out_nothing_changes_nothing(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.append([a.entry(0)])
            before = tx.head()
            assert tx.take_out(1) == ()
            assert tx.head() == before

    def test_a_published_entry_is_never_taken_out(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.append([a.entry(0), a.entry(1)])
            tx.set_published(2)
        with pytest.raises(StoreError), store.transaction() as tx:
            tx.take_out(1)
        with store.reader() as reader:
            assert reader.head().size == 2

    def test_an_entry_is_not_read_into(self, store: Store) -> None:
        empty = attrs.evolve(a.entry(0), data=b"", leaf=leaf_hash(b""))
        with store.transaction() as tx:
            tx.append([empty])
        with store.reader() as reader:
            assert list(reader.entries(0, 1)) == [b""]
