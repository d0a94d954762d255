"""The memory store: the executable specification of `carelink.ports.store`, and a store for tests.

Read `reader` and `writer` beside the port: each method is the plainest code that does what the port says. Nothing is
indexed and every transaction copies the tables, so it is no store for a million patients.
"""

from __future__ import annotations

from carelink.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
