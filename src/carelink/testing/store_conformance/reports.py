"""Lists of a deployment, and reports of the far end."""

from __future__ import annotations

from carelink.ports.store import Store
from carelink.testing.store_conformance import samples as a

__all__ = ["TestLists", "TestReports"]


class TestLists:
    """The team's allow-list, and channels stopped for account trouble."""

    def test_the_allow_list(self, store: Store) -> None:
        tokens = [a.token(n) for n in range(3)]
        with store.transaction() as tx:
            tx.put_allow_listed(tokens[:2], listed=True)
            tx.put_allow_listed(tokens[:1], listed=True)
            tx.put_allow_listed([tokens[1], tokens[2]], listed=False)
        with store.reader() as reader:
            assert reader.allow_listed([*tokens, *tokens]) == frozenset(tokens[:1])
            assert reader.allow_listed([]) == frozenset()

    def test_stopped_channels(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.put_channel_stop("sms-a", stopped=True)
            tx.put_channel_stop("sms-a", stopped=True)
            tx.put_channel_stop("sms-b", stopped=True)
            tx.put_channel_stop("sms-b", stopped=False)
            tx.put_channel_stop("sms-c", stopped=False)
        with store.reader() as reader:
            assert reader.stopped_channels() == frozenset({"sms-a"})


class TestReports:
    """Events noted once, and reports for keys that are not known yet."""

    def test_an_event_is_new_once_on_each_channel(self, store: Store) -> None:
        with store.transaction() as tx:
            assert tx.seen_event("sms", "e1") is False
            assert tx.seen_event("sms", "e1") is True
            assert tx.seen_event("email", "e1") is False
        with store.transaction() as tx:
            assert tx.seen_event("sms", "e1") is True
            assert tx.seen_event("sms", "e2") is False

    def test_parked_reports_are_taken_out_once_oldest_first(self, store: Store) -> None:
        with store.transaction() as tx:
            tx.park("sms", "k1", "read", a.at(3))
            tx.park("sms", "k2", "sent", a.at(1))
            tx.park("sms", "k1", "delivered", a.at(3))
            tx.park("sms", "k1", "delivered", a.at(3))
            tx.park("sms", "k3", "sent", a.at(2))
            tx.park("email", "k1", "sent", a.at(0))
        with store.transaction() as tx:
            assert tx.unpark("sms", ["k1", "k2", "k9", "k1"]) == (
                ("k2", "sent", a.at(1)),
                ("k1", "read", a.at(3)),
                ("k1", "delivered", a.at(3)),
                ("k1", "delivered", a.at(3)),
            )
            assert tx.unpark("sms", ["k1", "k2"]) == ()
            assert tx.unpark("sms", ["k3"]) == (("k3", "sent", a.at(2)),)
            assert tx.unpark("email", ["k1"]) == (("k1", "sent", a.at(0)),)
            assert tx.unpark("email", []) == ()
