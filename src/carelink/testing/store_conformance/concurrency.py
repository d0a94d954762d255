"""Snapshots and locks, with real threads on one store."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from carelink.model.moment import Instant
from carelink.ports.rows import Gate
from carelink.ports.store import Store, Transaction
from carelink.testing.store_conformance import samples as a
from carelink.testing.store_conformance.fixtures import Reopen

__all__ = ["TestLocks", "TestSnapshots"]

_WAIT = 30.0
"""Seconds after which a thread that does not answer fails the test."""


def _in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


class TestSnapshots:
    """A reader sees one committed state."""

    def test_a_reader_sees_nothing_newer_than_its_beginning(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1)])
        with store.reader() as reader:
            with store.transaction() as tx:
                tx.add_patients([a.patient(2)])
                tx.put_patient(a.patient(1, zone=""))
                tx.append([a.entry(0)])
            assert reader.page_patients("", 9) == (a.patient(1),)
            assert reader.head().size == 0
            assert list(reader.entries(0, 9)) == []
        with store.reader() as reader:
            assert reader.page_patients("", 9) == (a.patient(1, zone=""), a.patient(2))

    def test_an_inner_reader_sees_what_the_outer_one_sees(self, store: Store) -> None:
        with store.reader() as outer:
            with store.transaction() as tx:
                tx.add_patients([a.patient(1)])
            with store.reader() as inner:
                assert inner.page_patients("", 9) == ()
            assert outer.page_patients("", 9) == ()
        with store.reader() as fresh:
            assert fresh.page_patients("", 9) == (a.patient(1),)

    def test_a_reader_within_a_transaction_sees_what_was_committed_before(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1)])
            with store.reader() as reader:
                assert reader.page_patients("", 9) == ()

    def test_readers_and_a_writer_do_not_wait_for_each_other(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1)])
        begun, written = threading.Event(), threading.Event()
        seen: list[int] = []

        def read() -> None:
            with store.reader() as reader:
                seen.append(len(reader.page_patients("", 9)))
                begun.set()
                assert written.wait(_WAIT)
                seen.append(len(reader.page_patients("", 9)))

        with ExitStack() as stack:
            thread = _in_thread(read)
            stack.callback(thread.join, _WAIT)
            stack.callback(written.set)
            assert begun.wait(_WAIT)
            with store.reader() as mine, store.transaction() as tx:
                tx.add_patients([a.patient(2)])
                assert len(mine.page_patients("", 9)) == 1
        assert seen == [1, 1]
        with store.reader() as reader:
            assert len(reader.page_patients("", 9)) == 2


class TestLocks:
    """Gate rows: an instant that only rises, and transactions that take turns on them."""

    def test_a_new_gate_has_the_instant_zero(self, store: Store) -> None:
        gates = [Gate("person", b"\x02"), Gate("address", b"\x01"), Gate("person", b"\x01"), Gate("person", b"\x02")]
        with store.transaction() as tx:
            assert tx.lock(gates) == dict.fromkeys(gates, Instant(0))
            assert tx.lock([]) == {}
            tx.lock_global()

    def test_the_last_instant_only_rises(self, store: Store) -> None:
        gate, other = Gate("person", b"\x01"), Gate("address", b"\x01")
        with store.transaction() as tx:
            tx.lock([gate, other])
            tx.advance([gate], a.at(5))
            tx.advance([gate], a.at(3))
        with store.transaction() as tx:
            assert tx.lock([gate, other]) == {gate: a.at(5), other: 0}

    def test_a_snapshot_tells_last_instants_without_locking(self, store: Store) -> None:
        gate, other = Gate("person", b"\x01"), Gate("address", b"\x01")
        with store.transaction() as tx:
            tx.lock([gate])
            tx.advance([gate], a.at(5))
        with store.reader() as reader:
            assert reader.last_instants([other, gate, gate]) == {gate: a.at(5), other: 0}
            assert reader.last_instants([]) == {}

    def test_only_a_locked_gate_is_advanced(self, store: Store) -> None:
        gate, other = Gate("person", b"\x01"), Gate("person", b"\x02")
        with store.transaction() as tx:
            tx.lock([gate])
        with store.transaction() as tx:
            tx.lock([other])
            tx.advance([gate, other, Gate("person", b"\x03")], a.at(5))
        with store.transaction() as tx:
            found = tx.lock([gate, other, Gate("person", b"\x03")])
            assert found == {gate: 0, other: a.at(5), Gate("person", b"\x03"): 0}

    def test_many_gates_are_locked_in_one_go(self, store: Store) -> None:
        gates = [Gate(kind, n.to_bytes(4, "big")) for kind in ("person", "address") for n in range(a.MANY)]
        with store.transaction() as tx:
            assert len(tx.lock(gates)) == len(gates)
            tx.advance(gates, a.at(1))
            assert set(tx.lock(list(reversed(gates))).values()) == {a.at(1)}

    def test_a_second_holder_of_a_gate_waits_and_then_sees_the_first(self, store: Store) -> None:
        gate = Gate("person", b"\x01")
        order: list[str] = []
        inside = threading.Event()

        def second() -> None:
            inside.set()
            with store.transaction() as tx:
                tx.lock([gate])
                order.append(f"second sees {len(tx.touches([a.person(1)], [], a.at(0)))}")

        with store.transaction() as tx:
            tx.lock([gate])
            thread = _in_thread(second)
            assert inside.wait(_WAIT)
            thread.join(0.05)
            tx.add_reservations([a.reservation(1)])
            order.append("first commits")
        thread.join(_WAIT)
        assert order == ["first commits", "second sees 1"]

    @pytest.mark.parametrize("handles", [1, 2])
    def test_a_cap_holds_among_threads(self, store: Store, reopen: Reopen, handles: int) -> None:
        """Four threads count and reserve under one gate: never more than the cap, and as many as the cap."""
        if handles > 1 and reopen is None:
            pytest.skip("this store cannot be opened twice")
        cap, tries, gate = 5, 6, Gate("person", b"\x01")
        with ExitStack() as stack:
            stores = [store]
            if handles > 1 and reopen is not None:
                stores.append(reopen())
                stack.callback(stores[1].close)
            problems: list[BaseException] = []

            def reserve(tx: Transaction, number: int) -> None:
                tx.lock([gate])
                if len(tx.touches([a.person(1)], [], a.at(0))) < cap:
                    tx.add_reservations([a.reservation(number, subject=a.person(1))])

            def work(worker: int) -> None:
                try:
                    for n in range(tries):
                        with stores[worker % len(stores)].transaction() as tx:
                            reserve(tx, 100 + worker * tries + n)
                except BaseException as error:  # noqa: BLE001  shown by the test's own thread
                    problems.append(error)

            threads = [_in_thread(lambda worker=worker: work(worker)) for worker in range(4)]  # type: ignore[misc]
            for thread in threads:
                thread.join(_WAIT)
            assert problems == []
        with store.reader() as reader:
            assert len(reader.touches([a.person(1)], [], a.at(0))) == cap
