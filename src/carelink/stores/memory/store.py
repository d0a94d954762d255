"""The memory store itself: one writer at a time, readers on what was committed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from carelink.errors import StoreError
from carelink.ports.store import Reader, Transaction
from carelink.stores.memory.reader import MemoryReader
from carelink.stores.memory.state import State
from carelink.stores.memory.writer import MemoryTransaction

__all__ = ["MemoryStore"]


class MemoryStore:
    """One tenant in this process's memory. Closing it forgets nothing, so that a test can open it again."""

    exclusive = False
    """It is, but it says not: what runs on it must also be right on a store whose transactions meet at gates only."""

    def __init__(self) -> None:
        self._committed = State()
        self._turn = threading.Lock()
        self._writer = 0
        self._here = threading.local()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """See the port."""
        if self._writer == threading.get_ident():
            raise StoreError("a write transaction is open in this thread already")
        with self._turn:
            self._writer = threading.get_ident()
            state = self._committed.copy()
            work = MemoryTransaction(state)
            try:
                yield work
                if work.spoilt:
                    raise StoreError("a write failed: nothing is committed")
                self._committed = state
            finally:
                work.end()
                self._writer = 0

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """See the port."""
        outer: MemoryReader | None = getattr(self._here, "reader", None)
        if outer is not None:
            yield outer
            return
        view = MemoryReader(self._committed)
        self._here.reader = view
        try:
            yield view
        finally:
            self._here.reader = None
            view.end()

    def close(self) -> None:
        """Nothing is held that would have to be released."""
