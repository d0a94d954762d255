"""The store conformance suite: what `carelink.ports.store` promises, as tests that anyone can run on a store.

In a test module of your own:

    from carelink.testing.store_conformance import *

    @pytest.fixture
    def store(tmp_path):
        made = MyStore.create(tmp_path / "data")     # empty, of this version's schema
        yield made
        made.close()

    @pytest.fixture
    def reopen(tmp_path):                            # optional: the same store as another process would open it
        return lambda: MyStore.open(tmp_path / "data")

    TestSameAsMemory = side_by_side(lambda: MyStore.create(...))    # optional: compared with the specification

Every test begins with an empty store. `side_by_side` gives a Hypothesis state machine that does the same to a store and
to the memory store, which is the port's executable specification, and compares every read.
"""

from __future__ import annotations

from carelink.testing.store_conformance.concurrency import TestLocks, TestSnapshots
from carelink.testing.store_conformance.consent import TestContent, TestGrants, TestSuppressions
from carelink.testing.store_conformance.fixtures import reopen
from carelink.testing.store_conformance.log import TestLog, TestTenant
from carelink.testing.store_conformance.machine import side_by_side
from carelink.testing.store_conformance.persons import TestAddresses, TestPatients, TestSealedFields
from carelink.testing.store_conformance.reports import TestLists, TestReports
from carelink.testing.store_conformance.reservations import TestReservations, TestTouches
from carelink.testing.store_conformance.transactions import TestTransactions

__all__ = [
    "TestAddresses",
    "TestContent",
    "TestGrants",
    "TestLists",
    "TestLocks",
    "TestLog",
    "TestPatients",
    "TestReports",
    "TestReservations",
    "TestSealedFields",
    "TestSnapshots",
    "TestSuppressions",
    "TestTenant",
    "TestTouches",
    "TestTransactions",
    "reopen",
    "side_by_side",
]
