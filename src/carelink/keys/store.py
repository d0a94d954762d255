"""The key store: a SQLite file of its own with wrapped keys and tombstones, apart from the data and its backups.

Sources: reference crypto.md e2, e7, e9. A restore is old data with the current key store, so who was erased stays so.
Secrets are wrapped like data keys, AAD `"carelink/secret/v1" || epoch || lp(tenant) || lp(name) || version (4)`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from carelink.errors import (
    ConflictError,
    DecryptError,
    ErasedError,
    InvalidInputError,
    KeyMissingError,
)
from carelink.keys.database import SECRET_LABEL, add_secret, connect, new_epoch, secret_bound, storing
from carelink.keys.private_files import sync
from carelink.keys.provider import KeyProvider, RootKey, RootKeys
from carelink.keys.renewing import Renewing
from carelink.keys.store_schema import SCHEMA, SCHEMA_VERSION, SECRETS
from carelink.model.ids import is_ref
from carelink.system import entropy as system_entropy
from carelink.vault.datakey import DataKey, new_data_key, unwrap, unwrap_bytes, wrap, wrapped_epoch
from carelink.vault.derive import Entropy
from carelink.vault.personal import KEY_LENGTH, SecretKey
from carelink.vault.suites import suite_of

__all__ = ["Erased", "Health", "KeyStore", "MemoryKeyStore", "Shredded"]

_CACHE: Final = 10_000
_FIRST_EPOCH: Final = 1


@attrs.frozen
class Erased:
    """The owner's keys were destroyed on purpose. `at` in microseconds."""

    at: int
    reason: str


@attrs.frozen
class Shredded:
    """What a shred came to: `at` is the first one's instant; `clean` whether the write-ahead log was emptied too."""

    at: int
    keys: int
    clean: bool


@attrs.frozen
class Health:
    """What `check` saw. `problems` is empty when all is well."""

    keys: int
    tombstones: int
    problems: tuple[str, ...]


class KeyStore(Renewing):
    """An open key store; safe to share between threads."""

    def __init__(
        self,
        db: sqlite3.Connection,
        provider: KeyProvider,
        entropy: Entropy,
        *,
        clock: Callable[[], int] | None = None,
        ttl: int | None = None,
    ) -> None:
        """Read epochs and check the root. `clock` returns microseconds, `ttl` is the life of a cached key in them."""
        super().__init__(db, provider, entropy)
        self._clock, self._ttl = clock, ttl
        self._cache: OrderedDict[str, tuple[int, DataKey]] = OrderedDict()
        self._versions: dict[str, dict[int, SecretKey]] = {}
        with storing():
            (self._seen,) = db.execute("PRAGMA data_version").fetchone()

    def __repr__(self) -> str:
        return "KeyStore(***)"

    @classmethod
    def create(
        cls, path: Path, provider: KeyProvider, tenant: str, entropy: Entropy = system_entropy, **options: Any
    ) -> KeyStore:
        """Make a new store, whole or not at all: built beside, then put in place.

        Raises:
            ConflictError: there is one already.
            StoreError: it cannot be written.
        """
        beside = path.with_name(f".{path.name}.new")
        for suffix in ("", "-wal", "-shm"):
            beside.with_name(beside.name + suffix).unlink(missing_ok=True)
        os.close(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with storing():
            db = connect(str(beside), uri=False)
            _build(db, provider, tenant, entropy)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            db.close()
        exists = False
        try:
            os.link(beside, path)
        except FileExistsError:
            exists = True
        beside.unlink()
        if exists:
            raise ConflictError("there is a key store already")
        sync(path.parent)
        return cls.open(path, provider, entropy, **options)

    @classmethod
    def open(cls, path: Path, provider: KeyProvider, entropy: Entropy = system_entropy, **options: Any) -> KeyStore:
        """Open a store.

        Raises:
            KeyCheckError: the provider holds another root key.
            KeyProviderError: the provider is out of reach.
            StoreOutdatedError: another schema version.
            StoreError: it cannot be read, or is not there.
        """
        with storing():
            db = connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
        try:
            return cls(db, provider, entropy, **options)
        except BaseException:
            db.close()
            raise

    def close(self) -> None:
        """Forget the keys in memory and close the file."""
        with self._lock, storing():
            self._cache.clear()
            self._keks.clear()
            self._db.close()

    # -- data keys -----------------------------------------------------------------------------------------

    def new_keys(self, owners: Sequence[str]) -> dict[str, DataKey]:
        """First keys for new owners, all in one commit.

        Raises:
            InvalidInputError: an owner is no id.
            ErasedError: one of them was erased; it gets no key again.
            ConflictError: one of them has a key.
        """
        return self._add(dict.fromkeys(owners, 1))

    def new_generation(self, owner: str) -> DataKey:
        """The next key of an owner; older ones stay readable through `by_kid`.

        Raises:
            ErasedError: the owner was erased.
            KeyMissingError: the owner has no key.
        """
        with self._lock:
            old = self.one(owner)
            return self._add({owner: old.generation + 1})[owner]

    def _add(self, wanted: dict[str, int]) -> dict[str, DataKey]:
        if not all(map(is_ref, wanted)):
            raise InvalidInputError("an owner of keys is named by an id of 32 hex digits")
        names = json.dumps(list(wanted))
        with self._lock:
            with self._writing() as db:
                if db.execute(
                    "SELECT 1 FROM tombstones WHERE owner IN (SELECT value FROM json_each(?)) LIMIT 1", (names,)
                ).fetchone():
                    raise ErasedError("an owner of these keys was erased", hint="a returning person gets a new id")
                if db.execute(
                    "SELECT 1 FROM data_keys JOIN json_each(?) ON owner = key WHERE generation >= value LIMIT 1",
                    (json.dumps(wanted),),
                ).fetchone():
                    raise ConflictError("an owner has a key already")
                kek, suite = self._newest(), self._new_suite()
                made = {
                    owner: new_data_key(self.tenant, owner, self._entropy, generation=generation, suite=suite)
                    for owner, generation in wanted.items()
                }
                rows = [
                    (key.owner, key.generation, key.kid, key.suite.number, wrap(kek, key, self._entropy))
                    for key in made.values()
                ]
                db.execute(
                    "UPDATE data_keys SET state = 'retired' WHERE owner IN (SELECT value FROM json_each(?))", (names,)
                )
                db.executemany("INSERT INTO data_keys VALUES (?, ?, ?, ?, ?, 'active')", rows)
            for owner, key in made.items():
                self._cache.pop(owner, None)
                self._keep(key)
            return made

    def get(self, owners: Sequence[str]) -> dict[str, DataKey | Erased]:
        """Newest keys by owner. An owner without key or tombstone, or whose key does not open, is left out."""
        return self._get(owners)[0]

    def one(self, owner: str) -> DataKey:
        """The newest key of one owner.

        Raises:
            ErasedError: destroyed on purpose.
            KeyMissingError: unknown, and no erasure explains it.
            DecryptError: its wrapped form was changed.
        """
        found, broken = self._get([owner])
        key = found.get(owner)
        if isinstance(key, DataKey):
            return key
        if key is not None:
            raise ErasedError("the keys of this person were destroyed")
        if broken:
            raise DecryptError("a wrapped key does not open here")
        raise KeyMissingError("a key is unknown and no erasure explains it", hint="restore the key store")

    def _get(self, owners: Sequence[str]) -> tuple[dict[str, DataKey | Erased], bool]:
        with self._lock:
            self._refresh()
            found: dict[str, DataKey | Erased] = {}
            for owner in owners:
                key = self._cached(owner)
                if key is not None:
                    found[owner] = key
            left = [owner for owner in owners if owner not in found]
            if not left:
                return found, False
            names = json.dumps(left)
            with self._reading() as db:
                rows = db.execute(
                    "SELECT owner, generation, kid, suite, wrapped FROM data_keys"
                    " WHERE owner IN (SELECT value FROM json_each(?)) AND state = 'active'",
                    (names,),
                ).fetchall()
                gone = self._tombstoned(left)
            keys = self._unwrapped([row for row in rows if row[0] not in gone])
            for key in keys:
                found[key.owner] = key
                self._keep(key)
            found.update(gone)
            return found, len(keys) < len(rows)

    def by_kid(self, kids: Sequence[bytes]) -> dict[bytes, DataKey]:
        """Keys of any generation by kid; unknown, destroyed and damaged ones are left out."""
        with self._lock:
            with self._reading() as db:
                rows = [
                    row
                    for kid in kids
                    for row in db.execute(
                        "SELECT owner, generation, kid, suite, wrapped FROM data_keys WHERE kid = ?"
                        " AND owner NOT IN (SELECT owner FROM tombstones)",
                        (kid,),
                    )
                ]
            return {key.kid: key for key in self._unwrapped(rows)}

    def _unwrapped(self, rows: Sequence[Any]) -> list[DataKey]:
        keys = []
        for owner, generation, kid, suite, wrapped in rows:
            try:
                kek = self._kek(wrapped_epoch(wrapped))
                if kek is None:
                    continue
                keys.append(unwrap(kek, wrapped, self.tenant, owner, kid, generation=generation, suite=suite_of(suite)))
            except DecryptError:
                continue
        return keys

    def _refresh(self) -> None:
        """Drop what is cached when another process wrote: its shred counts here at once."""
        with storing():
            (seen,) = self._db.execute("PRAGMA data_version").fetchone()
        if seen != self._seen:
            self._forget()
            self._seen = seen

    def _forget(self) -> None:
        self._cache.clear()
        self._versions.clear()

    def _cached(self, owner: str) -> DataKey | None:
        entry = self._cache.get(owner)
        if entry is None:
            return None
        if self._ttl is not None and self._clock is not None and self._clock() - entry[0] >= self._ttl:
            del self._cache[owner]
            return None
        self._cache.move_to_end(owner)
        return entry[1]

    def _keep(self, key: DataKey) -> None:
        self._cache[key.owner] = (0 if self._clock is None else self._clock(), key)
        if len(self._cache) > _CACHE:
            self._cache.popitem(last=False)

    # -- erasure -------------------------------------------------------------------------------------------

    def shred(self, owner: str, at: int, reason: str) -> Shredded:
        """Destroy the keys of an owner, known here or not: tombstone and delete in one commit. Again is harmless.

        `clean` is False while another reader keeps the write-ahead log busy: call again.

        Raises:
            InvalidInputError: the owner is no id.
            StoreError: it did not commit.
        """
        if not is_ref(owner):
            raise InvalidInputError("an owner of keys is named by an id of 32 hex digits")
        with self._lock:
            self._cache.pop(owner, None)
            with self._writing() as db:
                kids = [kid for (kid,) in db.execute("SELECT kid FROM data_keys WHERE owner = ?", (owner,))]
                marks = kids or ([] if self._tombstoned([owner]) else [b""])
                db.executemany(
                    "INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?, ?)", [(owner, kid, at, reason) for kid in marks]
                )
                db.execute("DELETE FROM data_keys WHERE owner = ?", (owner,))
            return Shredded(self._tombstoned([owner])[owner].at, len(kids), self._truncate())

    def tombstoned(self, owners: Sequence[str]) -> dict[str, Erased]:
        """Those of the owners whose keys were destroyed."""
        with self._lock:
            return self._tombstoned(owners)

    def _tombstoned(self, owners: Sequence[str]) -> dict[str, Erased]:
        with storing():
            rows = self._db.execute(
                "SELECT owner, min(at), reason FROM tombstones"
                " WHERE owner IN (SELECT value FROM json_each(?)) GROUP BY owner",
                (json.dumps(list(owners)),),
            ).fetchall()
        return {owner: Erased(at, reason) for owner, at, reason in rows}

    # -- secrets -------------------------------------------------------------------------------------------

    def secrets(self, name: str) -> dict[int, SecretKey]:
        """All versions of a secret that were not destroyed, oldest first. Raises as `secret`."""
        with self._lock:
            self._refresh()
            if name in self._versions:
                return dict(self._versions[name])
            with storing():
                rows = self._db.execute(
                    "SELECT version, wrapped FROM secrets WHERE name = ? AND state <> 'destroyed' ORDER BY version",
                    (name,),
                ).fetchall()
            found = {}
            for version, wrapped in rows:
                kek = self._kek(wrapped_epoch(wrapped))
                if kek is None:
                    raise KeyMissingError("the epoch key of a secret is unknown")
                found[version] = unwrap_bytes(kek, wrapped, SECRET_LABEL, secret_bound(self.tenant, name, version))
            if found:
                self._versions[name] = found
        if not found:
            raise KeyMissingError("no secret has this name")
        return dict(found)

    def secret(self, name: str) -> SecretKey:
        """The newest version of a secret.

        Raises:
            KeyMissingError: there is none.
            DecryptError: its wrapped form was changed.
        """
        versions = self.secrets(name)
        return versions[max(versions)]

    def new_secret(self, name: str) -> int:
        """Add a version of a secret, or its first. Returns its number."""
        with self._lock, self._writing() as db:
            (last,) = db.execute("SELECT coalesce(max(version), 0) FROM secrets WHERE name = ?", (name,)).fetchone()
            add_secret(db, self._newest(), self.tenant, name, last + 1, self._entropy)
            self._versions.pop(name, None)
            return int(last) + 1

    def check(self) -> Health:
        """Whether the file is sound and no destroyed key is back."""
        with self._lock, self._reading() as db:
            sound = db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (keys,) = db.execute("SELECT count(*) FROM data_keys").fetchone()
            (stones,) = db.execute("SELECT count(DISTINCT owner) FROM tombstones").fetchone()
            back = db.execute("SELECT 1 FROM data_keys JOIN tombstones USING (owner) LIMIT 1").fetchone()
        problems = [] if sound else ["the key store's file is damaged"]
        if back:
            problems.append("a destroyed key is back in the key store")
        return Health(keys, stones, tuple(problems))


def _build(db: sqlite3.Connection, provider: KeyProvider, tenant: str, entropy: Entropy) -> None:
    epoch = new_epoch(provider, tenant, _FIRST_EPOCH, entropy)
    db.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        db.execute(statement)
    db.executemany("INSERT INTO meta VALUES (?, ?)", [("tenant", tenant), ("schema", str(SCHEMA_VERSION))])
    epoch.put(db)
    for name in SECRETS:
        add_secret(db, epoch.kek, tenant, name, 1, entropy)
    db.execute("COMMIT")


class MemoryKeyStore(KeyStore):
    """A key store in memory under a root key of its own."""

    def __init__(self, tenant: str, entropy: Entropy = system_entropy, **options: Any) -> None:
        root = RootKeys([RootKey(SecretKey(entropy(KEY_LENGTH)), entropy)])
        with storing():
            db = connect(":memory:", uri=False)
            _build(db, root, tenant, entropy)
        super().__init__(db, root, entropy, **options)
