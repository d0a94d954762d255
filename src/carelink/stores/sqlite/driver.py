"""The SQLite driver: connections that keep carelink's promises, and its errors as typed ones that hold no value."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from carelink.errors import CarelinkError, ConflictError, StoreError

__all__ = ["TROUBLE", "connect", "failure", "run"]

TROUBLE: Final = (sqlite3.Error, UnicodeError, OverflowError)
"""What the driver raises for a statement. Their texts can quote values, so none is ever chained or shown (P8)."""

_HINTS: Final = {
    "SQLITE_BUSY": "another process has been writing for too long; try again",
    "SQLITE_CANTOPEN": "check the path and its permissions",
    "SQLITE_CORRUPT": "the file is damaged: restore a backup, then run `carelink store reconcile`",
    "SQLITE_FULL": "the disk is full: make room and run again",
    "SQLITE_IOERR": "the disk does not answer: nothing was committed",
    "SQLITE_NOTADB": "the file is no data store",
    "SQLITE_READONLY": "the file or its folder cannot be written",
}
_FULL: Final = 2
_ON: Final = 1


def failure(error: Exception, conflict: str = "") -> CarelinkError:
    """The typed error for one of the driver's. Raise it outside `except`, so that its context carries nothing."""
    if conflict and isinstance(error, sqlite3.IntegrityError):
        return ConflictError(conflict)
    code = getattr(error, "sqlite_errorname", None) or type(error).__name__
    hint = next((hint for prefix, hint in _HINTS.items() if code.startswith(prefix)), "")
    return StoreError(f"the database refused: {code}", hint=hint)


def run(db: sqlite3.Connection, statement: str, values: Sequence[Any] = ()) -> list[Any]:
    """Run one statement; its rows.

    Raises:
        StoreError: the database refused.
    """
    try:
        return db.execute(statement, values).fetchall()
    except TROUBLE as error:
        found = failure(error)
    raise found


def connect(path: Path, *, busy: float, reading: bool = False) -> sqlite3.Connection:
    """Open an existing file: WAL, `synchronous=FULL`, `secure_delete=ON`.

    Args:
        path: the file; it is never created.
        busy: seconds to wait for another process's lock.
        reading: nothing can be written through this connection.

    Raises:
        StoreError: it cannot be opened, is no database, or this SQLite does not keep the three.
    """
    location = f"{path.absolute().as_uri()}?mode=rw"
    try:
        db = sqlite3.connect(
            location, uri=True, timeout=busy, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except TROUBLE as error:
        found = failure(error)
    else:
        try:
            _settle(db, reading=reading)
        except StoreError:
            db.close()
            raise
        return db
    raise found


def _settle(db: sqlite3.Connection, *, reading: bool) -> None:
    journal = run(db, "PRAGMA journal_mode = WAL")
    run(db, "PRAGMA synchronous = FULL")
    secure = run(db, "PRAGMA secure_delete = ON")
    synchronous = run(db, "PRAGMA synchronous")
    if (journal, synchronous, secure) != ([("wal",)], [(_FULL,)], [(_ON,)]):
        raise StoreError(
            "this SQLite does not keep WAL, synchronous=FULL and secure_delete=ON", hint="use another build"
        )
    if reading:
        run(db, "PRAGMA query_only = ON")
