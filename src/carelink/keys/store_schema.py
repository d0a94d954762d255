"""Tables of the key store, version 1."""

from __future__ import annotations

from typing import Final

__all__ = ["SCHEMA", "SCHEMA_VERSION", "SECRETS"]

SCHEMA_VERSION: Final = 1

SECRETS: Final = ("index", "address", "request", "commit")
"""Secrets every store is born with: index root, address tokens, request keys, commitments to what no patient owns."""

SCHEMA: Final = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE epochs (epoch INTEGER PRIMARY KEY, wrapped BLOB NOT NULL, verify BLOB NOT NULL)",
    (
        "CREATE TABLE data_keys (owner TEXT NOT NULL, generation INTEGER NOT NULL, kid BLOB NOT NULL UNIQUE,"
        " suite INTEGER NOT NULL, wrapped BLOB NOT NULL, state TEXT NOT NULL CHECK (state IN ('active', 'retired')),"
        " PRIMARY KEY (owner, generation))"
    ),
    (
        "CREATE TABLE tombstones (owner TEXT NOT NULL, kid BLOB NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,"
        " PRIMARY KEY (owner, kid)) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE secrets (name TEXT NOT NULL, version INTEGER NOT NULL, wrapped BLOB NOT NULL, state TEXT NOT NULL"
        " CHECK (state IN ('active', 'retired', 'destroyed')), PRIMARY KEY (name, version)) WITHOUT ROWID"
    ),
)
