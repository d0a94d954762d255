"""Renewing keys while everything goes on: root, epochs, data keys, secrets. Each step is one commit and can be
repeated; a job that was killed goes on where it stood. Source: reference crypto.md e6.

A renewal of data keys is noted in `meta` (`renewal` = highest row number of the keys it began with) until its rows are
re-sealed too, so that to begin it again is to go on with it. Wrapped keys name their epoch in bytes 1 to 4.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final

from carelink.errors import ConflictError
from carelink.keys.database import SECRET_LABEL, Database, new_epoch, secret_bound, storing
from carelink.keys.provider import KekContext
from carelink.keys.routing import Providers
from carelink.ports.keys import KeyCounts
from carelink.vault.datakey import new_data_key, unwrap, unwrap_bytes, wrap, wrap_bytes, wrapped_epoch
from carelink.vault.suites import AES_256_GCM, Suite, suite_named, suite_of

__all__ = ["Renewing"]

_EPOCH_IS: Final = "substr(wrapped, 2, 4) = ?"
_OLD_EPOCH: Final = "substr(wrapped, 2, 4) <> ?"


def _word(epoch: int) -> bytes:
    return epoch.to_bytes(4, "big")


class Renewing(Database, ABC):
    """The renewing half of the key store."""

    def _forget(self) -> None:
        """Drop cached keys. The key store overrides it."""

    # -- settings in `meta` ----------------------------------------------------------------------------------

    def _meta(self, name: str) -> str | None:
        row = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def _new_suite(self) -> Suite:
        name = self._meta("suite")
        return AES_256_GCM if name is None else suite_named(name)

    def set_suite(self, suite: Suite) -> None:
        """New data keys are of this suite from now on; older ones stay what they are until they are renewed."""
        with self._lock, self._writing() as db:
            db.execute("INSERT OR REPLACE INTO meta VALUES ('suite', ?)", (suite.name,))

    # -- root ------------------------------------------------------------------------------------------------

    def rotate_root(self) -> tuple[str, ...]:
        """A new version of the root key: the epochs' keys are wrapped under it, then the older versions destroyed.
        A rotation that was interrupted is finished and none begun; nor is one where keys are still another provider's,
        which are moved.

        Returns:
            The versions destroyed.

        Raises:
            KeyProviderError: the provider does not answer.
        """
        with self._turning:
            versions = self._provider.versions()
            if not versions or (len(versions) == 1 and set(self._wrapped_under()) == set(versions)):
                self._provider.rotate()
            self._rewrap_epochs()
            # In this order: what is no longer the newest wraps nothing more, so what is not under it now never will be.
            *old, _ = self._provider.versions()
            used = {self._provider.version_of(wrapped) for _, wrapped in self._epochs()}
            gone = tuple(version for version in old if version not in used)
            for version in gone:
                self._provider.destroy(version)
            return gone

    def move_root(self, to: str) -> int:
        """Wrap the epochs' keys by another provider that the settings name; how many were not its own. Each is a commit
        of its own, and says whose it is: again goes on. What the provider before holds is left alone.

        Raises:
            SettingsError: the settings do not name it.
            KeyProviderError: one of the two does not answer.
        """
        with self._turning:
            if not isinstance(self._provider, Providers):
                raise ConflictError("this key store was opened with a single key provider")
            self._provider.choose(to)
            if not self._provider.versions():
                self._provider.rotate()
            return self._rewrap_epochs()

    def _wrapped_under(self) -> list[str]:
        """The root's version of each epoch."""
        return [self._provider.version_of(wrapped) for _, wrapped in self._epochs()]

    def _epochs(self) -> list[tuple[int, bytes]]:
        """The wrapped keys of the epochs, when nobody else is writing any."""
        with self._lock, self._writing() as db:
            return list(db.execute("SELECT epoch, wrapped FROM epochs ORDER BY epoch"))

    def _rewrap_epochs(self) -> int:
        """Wrap what is not under the newest version. The provider wraps while nobody waits for the database: it may be
        far away. Bytes that changed meanwhile are left to the next round.
        """
        current, total = self._provider.versions()[-1], 0
        while left := [each for each in self._epochs() if self._provider.version_of(each[1]) != current]:
            for epoch, wrapped in left:
                context = KekContext(self.tenant, epoch)
                again = self._provider.wrap(self._provider.unwrap(wrapped, context), context)
                with self._lock, self._writing() as db:
                    self._still_newest(again, current)
                    total += db.execute(
                        "UPDATE epochs SET wrapped = ? WHERE epoch = ? AND wrapped = ?", (again, epoch, wrapped)
                    ).rowcount
        self._truncate()
        return total

    def _still_newest(self, wrapped: bytes, version: str | None = None) -> None:
        """Refuse to write what was wrapped under a version that another process has replaced, and may destroy."""
        made = self._provider.version_of(wrapped)
        if made != self._provider.versions()[-1] or version not in (None, made):
            raise ConflictError("the root key was rotated meanwhile", hint="run it again")

    # -- epochs ----------------------------------------------------------------------------------------------

    def begin_epoch(self) -> int:
        """A new epoch for all keys made or wrapped from now on; the unfinished one, if there is one."""
        with self._turning:
            before = self._epochs()
            newest = before[-1][0]
            if len(before) > 1:
                return newest
            made = new_epoch(self._provider, self.tenant, newest + 1, self._entropy)
            with self._lock, self._writing() as db:
                if db.execute("SELECT max(epoch) FROM epochs").fetchone() == (newest,):
                    self._still_newest(made.wrapped)
                    made.put(db)
                    self._keks[newest + 1] = made.kek
            return newest + 1

    def rewrap(self, limit: int) -> int:
        """Wrap up to `limit` keys of older epochs under the newest; how many they were."""
        with self._lock, self._writing() as db:
            kek = self._newest()
            keys = db.execute(
                f"SELECT rowid, owner, kid, suite, wrapped FROM data_keys WHERE {_OLD_EPOCH} LIMIT ?",  # noqa: S608
                (_word(kek.epoch), limit),
            ).fetchall()
            for rowid, owner, kid, suite, wrapped in keys:
                old = self._kek(wrapped_epoch(wrapped))
                if old is None:
                    raise ConflictError("a key is under an epoch that is gone", hint="run `carelink keys check`")
                key = unwrap(old, wrapped, self.tenant, owner, kid, suite=suite_of(suite))
                again = wrap(kek, key, self._entropy)
                db.execute("UPDATE data_keys SET wrapped = ? WHERE rowid = ?", (again, rowid))
            secrets = db.execute(
                f"SELECT name, version, wrapped FROM secrets WHERE {_OLD_EPOCH} AND state <> 'destroyed'",  # noqa: S608
                (_word(kek.epoch),),
            ).fetchall()
            for name, version, wrapped in secrets:
                self._rewrap_secret(name, version, wrapped)
            return len(keys) + len(secrets)

    def _rewrap_secret(self, name: str, version: int, wrapped: bytes) -> None:
        bound, kek, old = secret_bound(self.tenant, name, version), self._newest(), self._kek(wrapped_epoch(wrapped))
        if old is None:
            raise ConflictError("a key is under an epoch that is gone", hint="run `carelink keys check`")
        secret = unwrap_bytes(old, wrapped, SECRET_LABEL, bound)
        again = wrap_bytes(kek, secret, SECRET_LABEL, bound, self._entropy)
        self._db.execute("UPDATE secrets SET wrapped = ? WHERE name = ? AND version = ?", (again, name, version))

    def end_epochs(self) -> tuple[int, ...]:
        """Destroy the keys of epochs under which nothing is wrapped any more; which they were."""
        with self._lock:
            with self._writing() as db:
                (newest,) = db.execute("SELECT max(epoch) FROM epochs").fetchone()
                older = [row[0] for row in db.execute("SELECT epoch FROM epochs WHERE epoch < ?", (newest,))]
                gone = tuple(epoch for epoch in older if not self._under(epoch))
                db.executemany("DELETE FROM epochs WHERE epoch = ?", [(epoch,) for epoch in gone])
            for epoch in gone:
                self._keks.pop(epoch, None)
            self._truncate()
            return gone

    def _under(self, epoch: int) -> int:
        count = 0
        for table in ("data_keys", "secrets"):
            (found,) = self._db.execute(
                f"SELECT count(*) FROM {table} WHERE {_EPOCH_IS}",  # noqa: S608  two names, both here
                (_word(epoch),),
            ).fetchone()
            count += found
        return count

    # -- data keys -------------------------------------------------------------------------------------------

    def begin_renewal(self) -> None:
        """All data keys there are now are to be renewed; an unfinished renewal goes on."""
        with self._lock, self._writing() as db:
            (last,) = db.execute("SELECT coalesce(max(rowid), 0) FROM data_keys").fetchone()
            db.execute("INSERT OR IGNORE INTO meta VALUES ('renewal', ?)", (str(last),))

    def renew(self, limit: int) -> int:
        """Give up to `limit` owners their next data key; how many got one. Older keys still open what they sealed."""
        with self._lock:
            with self._writing() as db:
                mark, suite, kek = self._meta("renewal"), self._new_suite(), self._newest()
                if mark is None:
                    return 0
                owners = db.execute(
                    "SELECT rowid, owner, generation FROM data_keys WHERE state = 'active' AND rowid <= ? LIMIT ?",
                    (int(mark), limit),
                ).fetchall()
                rows = []
                for _, owner, generation in owners:
                    key = new_data_key(self.tenant, owner, self._entropy, generation=generation + 1, suite=suite)
                    rows.append((owner, key.generation, key.kid, suite.number, wrap(kek, key, self._entropy)))
                db.executemany("UPDATE data_keys SET state = 'retired' WHERE rowid = ?", [row[:1] for row in owners])
                db.executemany("INSERT INTO data_keys VALUES (?, ?, ?, ?, ?, 'active')", rows)
            self._forget()
            return len(owners)

    def end_renewal(self) -> None:
        """The renewal is done; the next one begins afresh."""
        with self._lock, self._writing() as db:
            db.execute("DELETE FROM meta WHERE name = 'renewal'")

    def active(self, kids: Sequence[bytes]) -> frozenset[bytes]:
        """Which of these key ids are the newest of their owner."""
        with self._lock, self._reading() as db:
            find = "SELECT kid FROM data_keys WHERE kid = ? AND state = 'active'"
            return frozenset(row[0] for kid in kids for row in db.execute(find, (kid,)))

    def retired(self) -> dict[bytes, int]:
        """Key id and generation of data keys that are kept only for what they sealed."""
        with self._lock, self._reading() as db:
            return dict(db.execute("SELECT kid, generation FROM data_keys WHERE state = 'retired'").fetchall())

    def destroy_retired(self, kids: Sequence[bytes]) -> int:
        """Destroy retired data keys; how many there were. Whoever calls has seen that nothing is sealed under them."""
        with self._lock:
            with self._writing() as db:
                count = 0
                for kid in kids:
                    count += db.execute("DELETE FROM data_keys WHERE kid = ? AND state = 'retired'", (kid,)).rowcount
            self._forget()
            self._truncate()
            return count

    # -- secrets ---------------------------------------------------------------------------------------------

    def destroy_secret(self, name: str, version: int) -> None:
        """Destroy an older version of a secret.

        Raises:
            ConflictError: it is the newest one.
        """
        with self._lock:
            with self._writing() as db:
                (newest,) = db.execute("SELECT max(version) FROM secrets WHERE name = ?", (name,)).fetchone()
                if version == newest:
                    raise ConflictError("the newest version of a secret is in use")
                db.execute(
                    "UPDATE secrets SET state = 'destroyed', wrapped = x'' WHERE name = ? AND version = ?",
                    (name, version),
                )
            self._forget()
            self._truncate()

    # -- what there is -----------------------------------------------------------------------------------------

    def counts(self) -> KeyCounts:
        """What the key store holds, counted in one snapshot."""
        with self._lock, self._reading() as db:
            epochs = {row[0]: self._under(row[0]) for row in db.execute("SELECT epoch FROM epochs").fetchall()}
            suites = dict(db.execute("SELECT suite, count(*) FROM data_keys WHERE state = 'active' GROUP BY suite"))
            (retired,) = db.execute("SELECT count(*) FROM data_keys WHERE state = 'retired'").fetchone()
            (generation,) = db.execute("SELECT coalesce(max(generation), 0) FROM data_keys").fetchone()
            (stones,) = db.execute("SELECT count(DISTINCT owner) FROM tombstones").fetchone()
            secrets: dict[str, list[tuple[int, str]]] = {}
            for name, version, state in db.execute("SELECT name, version, state FROM secrets ORDER BY name, version"):
                secrets.setdefault(name, []).append((version, state))
            roots = [self._provider.version_of(row[0]) for row in db.execute("SELECT wrapped FROM epochs")]
            return KeyCounts(
                roots=tuple(dict.fromkeys(roots)),
                epochs=epochs,
                suites={suite_of(number).name: count for number, count in suites.items()},
                generation=generation,
                retired=retired,
                secrets={name: tuple(found) for name, found in secrets.items()},
                suite=self._new_suite().name,
                renewing=self._meta("renewal") is not None,
                tombstones=stones,
            )

    def unopened(self, progress: Callable[[int], None] = lambda _: None) -> int:
        """How many wrapped data keys do not open as what they say they are: a check of all of them."""
        bad, after = 0, 0
        while True:
            with self._lock, self._reading() as db:
                rows = db.execute(
                    "SELECT rowid, owner, generation, kid, suite, wrapped FROM data_keys WHERE rowid > ?"
                    " ORDER BY rowid LIMIT 1000",
                    (after,),
                ).fetchall()
            if not rows:
                return bad
            after = rows[-1][0]
            bad += len(rows) - len(self._unwrapped([row[1:] for row in rows]))
            progress(len(rows))

    @abstractmethod
    def _unwrapped(self, rows: Sequence[Any]) -> Sequence[object]:
        """Data keys of rows; those that do not open are left out. The key store says how."""

    def _truncate(self) -> bool:
        """Empty the write-ahead log, where what was deleted still stands; False while a reader keeps it busy."""
        with storing():
            return not self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
