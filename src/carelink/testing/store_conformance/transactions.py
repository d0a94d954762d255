"""Transactions: all or nothing, durable, and useless once over."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from carelink.errors import CarelinkError, ConflictError, StoreError
from carelink.ports.rows import EntryRow, Gate, IndexRow, SealedRow
from carelink.ports.store import Reader, Store, Transaction
from carelink.testing.store_conformance import samples as a
from carelink.testing.store_conformance.fixtures import Reopen
from carelink.vocabulary import GrantState, StopSource

__all__ = ["TestTransactions"]


class _Interrupted(BaseException):
    """Stands for a keyboard interrupt."""


def _write_everything(tx: Transaction) -> None:
    tx.lock([Gate("person", b"g")])
    tx.advance([Gate("person", b"g")], a.at(1))
    tx.append([a.entry(0, 1)])
    tx.set_published(1)
    tx.put_tenant(a.tenant())
    tx.add_patients([a.patient(1)])
    tx.add_related([a.related(1, 1)])
    tx.add_contacts([a.contact(1, 1)])
    tx.name_address(a.token(2), a.address(2))
    tx.add_sealed([SealedRow(table="t", row="r", column="c", envelope=b"e")])
    tx.add_index([IndexRow(column="c", version=1, value=b"v", row="r")])
    tx.add_grants([a.grant(1, 1)])
    tx.end_grant(a.grant(1, 1).id, GrantState.WITHDRAWN, a.at(2))
    tx.add_stops([a.stop(1, of=1), a.stop(2, on=2, source=StopSource.REPLY, until=a.at(9))])
    tx.put_template(a.template())
    tx.put_credential(a.credential(1, 1))
    tx.put_erasure(a.erasure(1))
    tx.put_access(a.access(1, 1))
    tx.add_reservations([a.reservation(1)])
    tx.put_pack("d", b"p")
    tx.put_allow_listed([a.token(1)], listed=True)
    tx.put_channel_stop("sms", stopped=True)
    tx.seen_event("sms", "e")
    tx.park("sms", "k", "sent", a.at(1))


def _everything(reader: Reader) -> list[object]:
    try:
        tenant: object = reader.tenant()
    except StoreError:
        tenant = None
    return [
        tenant,
        reader.head(),
        list(reader.entries(0, 9)),
        reader.entries_for(a.request(1)),
        reader.page_patients("", 9),
        reader.related([a.patient_id(1)]),
        reader.contacts([a.patient_id(1)]),
        reader.address_refs([a.token(1), a.token(2)]),
        reader.sealed("t", ["r"], ["c"]),
        reader.lookup("c", [(1, b"v")]),
        reader.grants([a.patient_id(1)]),
        reader.stops([a.person(1)], []),
        reader.replies_waiting(a.at(1)),
        reader.templates([("recheck", 1)]),
        reader.credentials([a.credential(1, 1).actor]),
        reader.erasures([a.patient_id(1)]),
        reader.accesses([a.patient_id(1)]),
        reader.recall([a.request(1)]),
        reader.pack("d"),
        reader.allow_listed([a.token(1)]),
        reader.stopped_channels(),
    ]


class TestTransactions:
    """Begin, commit, roll back, end."""

    @pytest.mark.parametrize("error", [ValueError, _Interrupted])
    def test_what_ends_with_an_exception_leaves_no_trace(self, store: Store, error: type[BaseException]) -> None:
        with store.reader() as reader:
            before = _everything(reader)
        with pytest.raises(error), store.transaction() as tx:  # noqa: PT012  its end is what is tested
            _write_everything(tx)
            raise error
        with store.reader() as reader:
            assert _everything(reader) == before
        with store.transaction() as tx:
            assert tx.lock([Gate("person", b"g")]) == {Gate("person", b"g"): 0}
            assert tx.seen_event("sms", "e") is False
            assert tx.unpark("sms", ["k"]) == ()

    def test_a_transaction_sees_its_own_writes_and_commits_them(self, store: Store) -> None:
        with store.transaction() as tx:
            _write_everything(tx)
            own = _everything(tx)
            assert all(part for part in own)
        with store.reader() as reader:
            assert _everything(reader) == own
        with store.transaction() as tx:
            assert _everything(tx) == own

    def test_a_commit_is_there_for_another_process(self, store: Store, reopen: Reopen) -> None:
        if reopen is None:
            pytest.skip("this store cannot be opened twice")
        with store.transaction() as tx:
            _write_everything(tx)
            own = _everything(tx)
        other = reopen()
        try:
            with other.reader() as reader:
                assert _everything(reader) == own
        finally:
            other.close()

    @pytest.mark.parametrize(
        "write",
        [
            lambda tx: tx.add_patients([a.patient(1)]),
            lambda tx: tx.put_patient(a.patient(2)),
            lambda tx: tx.add_stops([a.stop(1)]),
            lambda tx: tx.set_published(9),
        ],
        ids=["conflict", "not-found", "malformed", "published"],
    )
    def test_a_write_that_raised_spoils_its_transaction(
        self, store: Store, write: Callable[[Transaction], None]
    ) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1)])
        with pytest.raises(StoreError), store.transaction() as tx:  # noqa: PT012  its end is what is tested
            tx.add_patients([a.patient(5)])
            with pytest.raises(CarelinkError):
                write(tx)
            with pytest.raises(StoreError):
                tx.add_patients([a.patient(6)])
            with pytest.raises(StoreError):
                tx.page_patients("", 9)
        with store.reader() as reader:
            assert reader.page_patients("", 9) == (a.patient(1),)

    def test_errors_hold_no_value(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.add_patients([a.patient(1)])
            tx.add_contacts([a.contact(1, 1)])
        with pytest.raises(ConflictError) as caught, store.transaction() as tx:
            tx.add_patients([a.patient(1)])
        with pytest.raises(ConflictError) as named, store.transaction() as tx:
            tx.name_address(a.token(1), a.address(7))
        for error in (caught.value, named.value):
            shown = f"{error!r} {error} {error.__cause__!r} {error.__context__!r} {error.hint}"
            for value in (a.patient_id(1), a.person(1), a.token(1).hex(), a.address(7)):
                assert value not in shown

    def test_after_its_end_nothing_answers(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.put_tenant(a.tenant())
        with store.reader() as reader:
            pass
        with pytest.raises(StoreError):
            reader.tenant()
        with pytest.raises(StoreError):
            list(reader.entries(0, 1))
        with pytest.raises(StoreError):
            tx.tenant()
        with pytest.raises(StoreError):
            tx.append([EntryRow(data=b"late", leaf=bytes(32))])
        with store.reader() as again:
            assert again.head().size == 0

    def test_a_thread_has_one_transaction(self, store: Store) -> None:
        with store.transaction() as tx:
            with pytest.raises(StoreError), store.transaction():
                pass
            tx.add_patients([a.patient(1)])
        with store.reader() as reader:
            assert reader.page_patients("", 9) == (a.patient(1),)

    def test_closing_twice_is_fine(self, store: Store) -> None:
        store.close()
        store.close()
