"""The SQLite store: one file, WAL, `synchronous=FULL`, `secure_delete=ON`, `BEGIN IMMEDIATE` for every write."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from carelink.audit.merkle import Frontier
from carelink.errors import ConflictError, StoreError, StoreOutdatedError
from carelink.ports.store import Reader, Transaction
from carelink.stores.schema import HEAD, VERSION_TABLE
from carelink.stores.sqlite.reader import SqliteReader
from carelink.stores.sqlite.writer import SqliteTransaction

__all__ = ["SqliteStore"]

_BUSY: Final = 30.0
"""Seconds a writer waits for another process's commit before it gives up."""

_FULL: Final = 2
_ON: Final = 1


@contextmanager
def _wrapped() -> Iterator[None]:
    """Database errors as StoreError, raised outside `except`: their text could quote a value."""
    code = ""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorname", type(error).__name__)
    if code:
        raise StoreError("the database refused", hint=code)


def _connect(path: Path) -> sqlite3.Connection:
    with _wrapped():
        db = sqlite3.connect(path, timeout=_BUSY, isolation_level=None, check_same_thread=False, cached_statements=256)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA secure_delete = ON")
        synchronous = db.execute("PRAGMA synchronous").fetchone()[0]
        secure = db.execute("PRAGMA secure_delete").fetchone()[0]
        journal = db.execute("PRAGMA journal_mode").fetchone()[0]
    if (journal, synchronous, secure) != ("wal", _FULL, _ON):
        raise StoreError(
            "this SQLite does not keep WAL, synchronous=FULL and secure_delete=ON", hint="use another build"
        )
    return db


class SqliteStore:
    """One tenant in one file. One writer at a time, in this process and among processes; readers do not wait."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._reading = threading.RLock()
        self._writer = _connect(path)
        self._reader = _connect(path)
        self._depth = 0

    @classmethod
    def create(cls, path: Path) -> SqliteStore:
        """Make a new store.

        Raises:
            ConflictError: there is one already.
            StoreError: it cannot be written.
        """
        exists = False
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            exists = True
        if exists:
            raise ConflictError("there is a data store here already")
        cls._upgrade(path)
        db = _connect(path)
        with _wrapped():
            db.execute("INSERT INTO head (id, size, frontier, published) VALUES (1, 0, ?, 0)", (Frontier().to_bytes(),))
        db.close()
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> SqliteStore:
        """Open a store of this version's schema.

        Raises:
            StoreOutdatedError: another version; run `carelink store migrate`.
            StoreError: not a carelink store.
        """
        store = cls(path)
        found = store._revision()
        if found != HEAD:
            store.close()
            raise StoreOutdatedError(f"the store has schema {found or 'none'}, this version works with {HEAD}")
        return store

    @classmethod
    def migrate(cls, path: Path) -> tuple[str, str]:
        """Bring a store to this version's schema; the revisions before and after."""
        store = cls(path)
        before = store._revision()
        store.close()
        if before != HEAD:
            cls._upgrade(path)
        return before, HEAD

    @staticmethod
    def _upgrade(path: Path) -> None:
        # Heavy, and only needed here: SQLAlchemy and Alembic take longer to import than a store takes to open.
        from sqlalchemy import create_engine  # noqa: PLC0415
        from sqlalchemy.pool import NullPool  # noqa: PLC0415

        from carelink.stores.schema.migrate import upgrade  # noqa: PLC0415

        engine = create_engine("sqlite://", creator=lambda: _connect(path), poolclass=NullPool)
        with engine.begin() as connection:
            upgrade(connection)
        engine.dispose()

    def _revision(self) -> str:
        rows: list[tuple[str]] = []
        with _wrapped():
            known = self._reader.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)).fetchone()
            if known:
                rows = self._reader.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()  # noqa: S608
        return rows[0][0] if rows else ""

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write. Commits at the end, or leaves no trace."""
        with self._lock:
            if self._writer.in_transaction:
                raise StoreError("a write transaction is open in this thread already")
            with _wrapped():
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    yield SqliteTransaction(self._writer)
                    self._writer.execute("COMMIT")
                finally:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """Read one committed state. Readers nest: the inner one sees what the outer one sees."""
        with self._reading, _wrapped():
            outer = self._depth == 0
            if outer:
                self._reader.execute("BEGIN")
            self._depth += 1
            try:
                yield SqliteReader(self._reader)
            finally:
                self._depth -= 1
                if outer and self._reader.in_transaction:
                    self._reader.execute("COMMIT")

    def close(self) -> None:
        """Close both connections; the write-ahead log is folded into the file."""
        with self._lock, self._reading:
            self._reader.close()
            try:
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error:
                pass
            self._writer.close()
