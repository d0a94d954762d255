"""The file under the key store: its connection, its transactions, and the keys of its epochs."""

from __future__ import annotations

import hmac
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from carelink.errors import KeyCheckError, KeyMissingError, StoreError, StoreOutdatedError
from carelink.keys.private_files import raise_alone
from carelink.keys.provider import KekContext, KeyProvider
from carelink.keys.store_schema import SCHEMA_VERSION
from carelink.vault.datakey import Kek, wrap_bytes
from carelink.vault.derive import Entropy, expand, lp
from carelink.vault.personal import KEY_LENGTH, SecretKey

__all__ = ["SECRET_LABEL", "Database", "Epoch", "add_secret", "connect", "new_epoch", "secret_bound", "storing"]

SECRET_LABEL: Final = b"carelink/secret/v1"
_FULL: Final = 2


@contextmanager
def storing() -> Iterator[None]:
    """Turn database errors into StoreError, with no parameter hanging on its context."""
    failed = False
    try:
        yield
    except sqlite3.Error:
        failed = True
    if failed:
        raise_alone(StoreError("the key store cannot be read or written"))


def connect(target: str, *, uri: bool) -> sqlite3.Connection:
    """A connection that overwrites what it deletes and flushes what it commits.

    Raises:
        StoreError: this SQLite does not.
    """
    db = sqlite3.connect(target, uri=uri, isolation_level=None, check_same_thread=False, timeout=10)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=FULL")
    db.execute("PRAGMA secure_delete=ON")
    if db.execute("PRAGMA secure_delete").fetchone() != (1,) or db.execute("PRAGMA synchronous").fetchone() != (_FULL,):
        db.close()
        raise StoreError("this SQLite does not overwrite what it deletes; keys cannot be destroyed in it")
    return db


def secret_bound(tenant: str, name: str, version: int) -> bytes:
    """What a wrapped secret is bound to."""
    return lp(tenant.encode()) + lp(name.encode()) + version.to_bytes(4, "big")


def add_secret(db: sqlite3.Connection, kek: Kek, tenant: str, name: str, version: int, entropy: Entropy) -> None:
    """A new version of a secret, within a transaction."""
    key = SecretKey(entropy(KEY_LENGTH))
    wrapped = wrap_bytes(kek, key, SECRET_LABEL, secret_bound(tenant, name, version), entropy)
    db.execute("INSERT INTO secrets VALUES (?, ?, ?, 'active')", (name, version, wrapped))


@attrs.frozen
class Epoch:
    """A new epoch key, as it is kept and as it is used."""

    kek: Kek
    wrapped: bytes
    verify: bytes

    def put(self, db: sqlite3.Connection) -> None:
        """Its row, within a transaction."""
        db.execute("INSERT INTO epochs VALUES (?, ?, ?)", (self.kek.epoch, self.wrapped, self.verify))


def new_epoch(provider: KeyProvider, tenant: str, epoch: int, entropy: Entropy) -> Epoch:
    """A new epoch key. The provider may be far away: nobody should wait for the database meanwhile."""
    key = SecretKey(entropy(KEY_LENGTH))
    wrapped = provider.wrap(key, KekContext(tenant, epoch))
    return Epoch(Kek(key, epoch), wrapped, _check_value(key, tenant, epoch))


def _check_value(key: SecretKey, tenant: str, epoch: int) -> bytes:
    return expand(key, b"carelink/check/v1" + lp(tenant.encode()) + epoch.to_bytes(4, "big"), 16)


class Database:
    """An open key file with the epochs' keys in memory."""

    def __init__(self, db: sqlite3.Connection, provider: KeyProvider, entropy: Entropy) -> None:
        """Read the epochs and check the root; errors as in `KeyStore.open`."""
        self._db, self._provider, self._entropy = db, provider, entropy
        self._lock, self._turning = threading.RLock(), threading.Lock()
        self._keks: dict[int, Kek] = {}
        with storing():
            meta = dict(db.execute("SELECT name, value FROM meta"))
        if meta.get("schema") != str(SCHEMA_VERSION):
            raise StoreOutdatedError("the key store has another schema version")
        self.tenant: str = meta["tenant"]
        self._load()
        if not self._keks:
            raise KeyMissingError("the key store has no epoch key")

    def _load(self) -> None:
        """Unwrap the keys of epochs that are not in memory yet: another process may have begun one."""
        with storing():
            epochs = self._db.execute("SELECT epoch, wrapped, verify FROM epochs ORDER BY epoch").fetchall()
        for epoch, wrapped, verify in epochs:
            if epoch in self._keks:
                continue
            key = self._provider.unwrap(wrapped, KekContext(self.tenant, epoch))
            if not hmac.compare_digest(_check_value(key, self.tenant, epoch), verify):
                raise KeyCheckError("the root key is not the one this key store was made with")
            self._keks[epoch] = Kek(key, epoch)

    def _kek(self, epoch: int) -> Kek | None:
        """The key of an epoch; None if there is no such epoch."""
        if epoch not in self._keks:
            self._load()
        return self._keks.get(epoch)

    def _newest(self) -> Kek:
        """The key that wraps new keys. Within a transaction, so that no epoch ends before the commit."""
        (epoch,) = self._db.execute("SELECT max(epoch) FROM epochs").fetchone()
        kek = self._kek(epoch)
        if kek is None:
            raise KeyMissingError("the key store has no epoch key")
        return kek

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Statements of one snapshot."""
        with storing():
            self._db.execute("BEGIN")
            try:
                yield self._db
            finally:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Statements of one commit; nobody else writes meanwhile."""
        with storing():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
