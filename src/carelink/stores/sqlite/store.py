"""The SQLite store: one file, WAL, `synchronous=FULL`, `secure_delete=ON`, `BEGIN IMMEDIATE` for every write."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from carelink.errors import ConflictError, StoreError, StoreOutdatedError
from carelink.ports.store import Reader, Transaction
from carelink.stores.schema import HEAD, REVISIONS, VERSION_TABLE
from carelink.stores.sqlite.driver import connect, run
from carelink.stores.sqlite.reader import SqliteReader
from carelink.stores.sqlite.writer import SqliteTransaction

__all__ = ["BUSY", "SqliteStore"]

BUSY: Final = 30.0
"""Seconds a writer waits for another process's commit before it gives up."""

_SPARE: Final = 8
"""Connections for reading that are kept open for the next reader."""


class SqliteStore:
    """One tenant in one file. One writer at a time, in this process and among processes; readers do not wait.

    Made by `open` or `create`.
    """

    exclusive = True
    """`BEGIN IMMEDIATE` takes the file's one write lock."""

    def __init__(self, path: Path, busy: float = BUSY) -> None:
        self._path, self._busy = path, busy
        self._turn = threading.RLock()
        self._pool = threading.Lock()
        self._spare: list[sqlite3.Connection] = []
        self._here = threading.local()
        self._closed = False
        self._writer = connect(path, busy=busy)

    @classmethod
    def create(cls, path: Path, *, busy: float = BUSY) -> Self:
        """Make a new store. What an interrupted `create` left, a file without a table, is gone on with.

        Raises:
            ConflictError: there is one already.
            StoreError: it cannot be written.
        """
        problem = ""
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        except OSError as error:
            problem = error.strerror or "the system reported no reason"
        if problem:
            raise StoreError(f"a data store cannot be made here: {problem}")
        if _tables(path, busy):
            raise ConflictError("there is a data store here already")
        _upgrade(path, busy)
        return cls.open(path, busy=busy)

    @classmethod
    def open(cls, path: Path, *, busy: float = BUSY) -> Self:
        """Open a store of this version's schema.

        Args:
            path: the file.
            busy: seconds to wait for another process's commit before giving up.

        Raises:
            StoreOutdatedError: another version.
            StoreError: it is not there, cannot be read, or is no carelink store.
        """
        store = cls(path, busy)
        try:
            _check_revision(_revision(store._writer))
        except StoreError:
            store.close()
            raise
        return store

    @classmethod
    def migrate(cls, path: Path, *, busy: float = BUSY) -> tuple[str, str]:
        """Bring a store to this version's schema; the revisions before and after.

        Raises:
            StoreError: it is no carelink store, of a newer version, or cannot be written.
        """
        db = connect(path, busy=busy)
        try:
            before = _revision(db)
        finally:
            db.close()
        if before != HEAD:
            if before not in REVISIONS:
                _check_revision(before)
            _upgrade(path, busy)
        return before, HEAD

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """See the port."""
        with self._turn:
            self._check_open()
            if _busy(self._writer):
                raise StoreError("a write transaction is open in this thread already")
            run(self._writer, "BEGIN IMMEDIATE")
            work = SqliteTransaction(self._writer)
            try:
                yield work
                if work.spoilt:
                    raise StoreError("a write failed: nothing is committed")
                run(self._writer, "COMMIT")
            finally:
                work.end()
                if _busy(self._writer):
                    # A roll-back that fails leaves a transaction that the next BEGIN reports.
                    with suppress(StoreError):
                        run(self._writer, "ROLLBACK")

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """See the port."""
        outer: SqliteReader | None = getattr(self._here, "reader", None)
        if outer is not None:
            yield outer
            return
        db = self._take()
        view = SqliteReader(db)
        try:
            run(db, "BEGIN")
            view.head()  # SQLite begins a snapshot with its first read
            self._here.reader = view
            yield view
        finally:
            self._here.reader = None
            view.end()
            self._give_back(db)

    def close(self) -> None:
        """See the port. The last connection of all to close folds the write-ahead log into the file."""
        with self._turn, self._pool:
            self._closed = True
            for db in [*self._spare, self._writer]:
                db.close()
            self._spare.clear()

    # -- connections for reading ---------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")

    def _take(self) -> sqlite3.Connection:
        with self._pool:
            self._check_open()
            if self._spare:
                return self._spare.pop()
        return connect(self._path, busy=self._busy, reading=True)

    def _give_back(self, db: sqlite3.Connection) -> None:
        fit = not db.in_transaction
        if not fit:
            with suppress(StoreError):
                run(db, "ROLLBACK")
                fit = True
        with self._pool:
            if fit and not self._closed and len(self._spare) < _SPARE:
                self._spare.append(db)
                return
        db.close()


def _busy(db: sqlite3.Connection) -> bool:
    return db.in_transaction


def _tables(path: Path, busy: float) -> int:
    db = connect(path, busy=busy)
    try:
        return len(run(db, "SELECT 1 FROM sqlite_master LIMIT 1"))
    finally:
        db.close()


def _revision(db: sqlite3.Connection) -> str:
    """The schema's revision; "" for a file that is no carelink store."""
    if not run(db, "SELECT 1 FROM sqlite_master WHERE name = ?", (VERSION_TABLE,)):
        return ""
    rows = run(db, f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608  a constant
    return str(rows[0][0]) if rows else ""


def _check_revision(found: str) -> None:
    if found == HEAD:
        return
    if not found:
        raise StoreError("the file is no carelink data store", hint="check the path")
    if found < HEAD:
        raise StoreOutdatedError(f"the store has schema {found}, this version works with {HEAD}")
    raise StoreOutdatedError("the store was made by a newer version", hint="use that version of carelink")


def _upgrade(path: Path, busy: float) -> None:
    # Heavy, and only needed here: SQLAlchemy and Alembic take longer to import than a store takes to open.
    from sqlalchemy import Connection, create_engine, event  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    from carelink.stores.schema.migrate import upgrade  # noqa: PLC0415

    engine = create_engine("sqlite://", creator=lambda: connect(path, busy=busy), poolclass=NullPool)

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # The driver begins no transaction by itself; without one a killed migration would stay half done.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    failed = False
    try:
        with engine.begin() as connection:
            upgrade(connection)
    except SQLAlchemyError:
        failed = True
    finally:
        engine.dispose()
    if failed:
        raise StoreError("the schema cannot be written", hint="check disk space and permissions")
