"""Rotating keys on a working day: root, epoch, data keys and their suite, index. Source: reference crypto.md e6.

Everything is done in pages, each in a commit of its own; a job that was killed goes on when it is begun again. What an
older key sealed opens as long as that key is there, and a key goes only where nothing is under it, which is counted
while nobody else can write.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import Final

import attrs

from carelink.audit.kinds import KeyAction
from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.engine.safe import Safe
from carelink.errors import CarelinkError, ErasedError, KeyMissingError
from carelink.ports.keys import KeyCounts, KeyWork
from carelink.ports.rows import IndexRow, SealedRow
from carelink.ports.store import Transaction
from carelink.vault.envelope import key_id
from carelink.vault.suites import Suite

__all__ = ["Check", "Drill", "KeyState", "Rotation", "Steps"]

PAGE: Final = 500
"""Keys or fields in one commit: some 20 ms, after which whoever waits to write may."""

Steps = Callable[[int], None]
"""Told how many keys or fields were done since it was told last."""

_INDEX: Final = "index"
_REFERENCE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
"""Version of a root key in the key folder."""


def _silent(_: int) -> None:
    pass


@attrs.frozen(kw_only=True)
class KeyState:
    """What keys there are and what is under them.

    Attributes:
        fields: sealed fields under the newest key of their owner, under older ones, and under keys nobody has.
        index: blind-index values by key version.
    """

    counts: KeyCounts
    newest: int
    older: int
    unknown: int
    index: Mapping[int, int]


@attrs.frozen(kw_only=True)
class Check:
    """What a check found. Fields of an erased person that are still there count as `erased`."""

    keys: int
    fields: int
    erased: int
    missing: int
    damaged: int
    wrapped: int

    @property
    def sound(self) -> bool:
        """Whether every key and every field opens."""
        return not (self.missing or self.damaged or self.wrapped)


@attrs.frozen(kw_only=True)
class Drill:
    """What came of opening a sample of today's fields with the keys of a backup. `newer`: under keys made since."""

    tried: int
    opened: int
    newer: int

    @property
    def passed(self) -> bool:
        """Whether every field whose key the backup can have opened with it, and there was one."""
        return self.opened + self.newer == self.tried and (self.opened > 0 or not self.tried)


@attrs.frozen
class Rotation:
    """Rotations of one tenant's keys."""

    parts: Parts
    keys: KeyWork

    # -- what there is ---------------------------------------------------------------------------------------

    def state(self) -> KeyState:
        """Counts of keys, and of fields and index values under them."""
        with self.parts.store.reader() as reader:
            headers, index = reader.sealed_headers(), dict(reader.index_counts())
        retired = self.keys.retired()
        active = self.keys.active([key_id(header) for header in headers])
        found: Counter[str] = Counter()
        for header, count in headers.items():
            kid = key_id(header)
            found["newest" if kid in active else "older" if kid in retired else "unknown"] += count
        return KeyState(
            counts=self.keys.counts(),
            newest=found["newest"],
            older=found["older"],
            unknown=found["unknown"],
            index=index,
        )

    def check(self, steps: Steps = _silent) -> Check:
        """Open every wrapped key and every sealed field."""
        found: Counter[str] = Counter()
        for row in self._fields(steps):
            found[self._opens(row)] += 1
        counts = self.keys.counts()
        return Check(
            keys=sum(counts.suites.values()) + counts.retired,
            fields=sum(found.values()),
            erased=found["erased"],
            missing=found["missing"],
            damaged=found["damaged"],
            wrapped=self.keys.unopened(steps),
        )

    def _opens(self, row: SealedRow) -> str:
        return _opens_in(self.parts.safe, row)

    def drill(self, copy: Safe, sample: int) -> Drill:
        """Open a random sample of the fields with another key store: a backup's."""
        with self.parts.store.reader() as reader:
            total = sum(reader.sealed_headers().values())
        drawn = {int.from_bytes(self.parts.entropy(8), "big") % total for _ in range(sample)} if total else set()
        found: Counter[str] = Counter()
        for place, row in enumerate(self._fields(_silent)):
            if place in drawn and self._opens(row) == "well":
                found[_opens_in(copy, row)] += 1
        return Drill(tried=sum(found.values()), opened=found["well"], newer=found["missing"])

    # -- root and epoch --------------------------------------------------------------------------------------

    def root(self) -> int:
        """A new root key; how many older ones were destroyed. The epochs' keys are wrapped again, nothing else is
        touched.

        Raises:
            KeyProviderError: the provider does not answer; run it again.
        """
        gone = self.keys.rotate_root()
        new = self.keys.counts().roots[-1]
        made = (KeyAction.CREATED, _root_name(new), 1)
        self._note(made, *((KeyAction.DESTROYED, _root_name(version), 1) for version in gone))
        return len(gone)

    def move_root(self, to: str) -> int:
        """Wrap the epochs' keys under the root of another key provider; how many were not yet. The root before stays
        where it is.

        Raises:
            SettingsError: the settings do not name this provider.
            KeyProviderError: one of the two does not answer; run it again.
        """
        moved = self.keys.move_root(to)
        if moved:
            self._note((KeyAction.CREATED, _root_name(self.keys.counts().roots[-1]), 1))
        return moved

    def epoch(self, steps: Steps = _silent) -> int:
        """A new epoch key; how many keys were wrapped again. Older epochs end when nothing is under them."""
        epoch = self.keys.begin_epoch()
        self._note((KeyAction.CREATED, "epoch", epoch))
        total = 0
        while done := self.keys.rewrap(PAGE):
            total += done
            steps(done)
        self._note(*((KeyAction.DESTROYED, "epoch", old) for old in self.keys.end_epochs()))
        return total

    # -- data keys -------------------------------------------------------------------------------------------

    def data(self, *, suite: Suite | None = None, lazy: bool = False, steps: Steps = _silent) -> int:
        """A new data key for everybody; how many fields were sealed again.

        Args:
            suite: that of the new keys, and of keys made later.
            lazy: fields stay under the older keys until they are written again, or until a rotation that is not lazy.
            steps: told of keys made and fields sealed.
        """
        if suite is not None:
            self.keys.set_suite(suite)
        self.keys.begin_renewal()
        while done := self.keys.renew(PAGE):
            steps(done)
        total = 0 if lazy else self.reseal(steps)
        self.keys.end_renewal()
        self._note((KeyAction.ROTATED, "data", self.keys.counts().generation))
        return total

    def reseal(self, steps: Steps = _silent) -> int:
        """Seal every field under its owner's newest key; how many were not. A field that changes meanwhile is left to
        the next pass; one that does not open is left alone, and `check` tells it.
        """
        total = 0
        while changed := self._pass(steps):
            total += changed
        return total

    def _pass(self, steps: Steps) -> int:
        total = 0
        page: list[SealedRow] = []
        for row in self._fields(steps):
            page.append(row)
            if len(page) == PAGE:
                total += self._replace(page)
                page = []
        return total + self._replace(page)

    def _replace(self, page: list[SealedRow]) -> int:
        active = self.keys.active(list({key_id(row.envelope) for row in page}))
        changes = []
        for row in page:
            if key_id(row.envelope) in active:
                continue
            new = self._renewed(row)
            if new is not None:
                changes.append((row, new))
        if not changes:
            return 0
        with self.parts.store.transaction() as tx:
            return tx.replace_sealed(changes)

    def _renewed(self, row: SealedRow) -> bytes | None:
        try:
            return self.parts.safe.renewed(row)
        except CarelinkError:
            return None

    def retire(self) -> int:
        """Destroy older data keys that nothing is sealed under; how many. Commitments in the log that were made under
        them can be checked by nobody afterwards. Fields are counted while nobody can write: whoever writes later looks
        the key up later, and gets the newest.
        """
        with self.parts.store.transaction() as tx:
            used = {key_id(header) for header in tx.sealed_headers()}
            free = {kid: generation for kid, generation in self.keys.retired().items() if kid not in used}
            count = self.keys.destroy_retired(list(free))
            if count:
                journal = Journal(self.parts)
                journal.key(KeyAction.DESTROYED, "data", max(free.values()), self.parts.guard.read()[0])
                journal.write(tx)
        return count

    # -- index -----------------------------------------------------------------------------------------------

    def index(self, steps: Steps = _silent) -> int:
        """A new key of the identifier index; how many patients were indexed again. Both versions are written and
        looked up until the new one is complete; then the old one goes.

        Raises:
            KeyMissingError: a patient's identifiers do not open, so that the new index would lack them. Both stay.
        """
        versions = [version for version, state in self.keys.counts().secrets[_INDEX] if state != "destroyed"]
        if len(versions) == 1:
            versions.append(self.keys.new_secret(_INDEX))
            self._note((KeyAction.CREATED, _INDEX, versions[-1]))
        self._drop_strays(versions)
        *old, new = versions
        total = self._index_again(steps)
        for version in old:
            with self.parts.store.transaction() as tx:
                if tx.index_behind(version, new):
                    raise KeyMissingError(
                        "identifiers of some patients do not open, so the old index stays",
                        hint="run `carelink keys check`",
                    )
                tx.drop_index(version)
                self.keys.destroy_secret(_INDEX, version)
                self._note_in(tx, (KeyAction.DESTROYED, _INDEX, version))
        return total

    def _drop_strays(self, versions: Sequence[int]) -> None:
        """Values under a version whose key is gone: left by a run that was killed between the two."""
        with self.parts.store.transaction() as tx:
            for version in tx.index_counts():
                if version not in versions:
                    tx.drop_index(version)

    def _index_again(self, steps: Steps) -> int:
        total = 0
        for row in self._fields(steps):
            if (row.table, row.column) != ("patient", "identifiers"):
                continue
            opened = self._opened(row)
            if opened is None:
                continue
            with self.parts.store.transaction() as tx:
                current = tx.sealed("patient", [row.row], ("identifiers",)).get((row.row, "identifiers"))
                if current != row.envelope:
                    continue  # written meanwhile, and indexed then
                tx.add_index(
                    [
                        IndexRow(column="identifier", version=version, value=value, row=row.row)
                        for form in opened.split("\n")
                        for version, value in self.parts.safe.blind("identifier", form)
                    ]
                )
            total += 1
        return total

    def _opened(self, row: SealedRow) -> str | None:
        try:
            return str(self.parts.safe.reopen(row).reveal("index again"))
        except CarelinkError:
            return None

    # -- inside ----------------------------------------------------------------------------------------------

    def _fields(self, steps: Steps) -> Iterator[SealedRow]:
        """Every sealed field, page by page; no snapshot is kept between pages."""
        after = ("", "", "")
        while True:
            with self.parts.store.reader() as reader:
                page = reader.page_sealed(after, PAGE)
            if not page:
                return
            yield from page
            after = (page[-1].table, page[-1].row, page[-1].column)
            steps(len(page))

    def _note(self, *entries: tuple[KeyAction, str, int]) -> None:
        if entries:
            with self.parts.store.transaction() as tx:
                self._note_in(tx, *entries)

    def _note_in(self, tx: Transaction, *entries: tuple[KeyAction, str, int]) -> None:
        journal, (now, _) = Journal(self.parts), self.parts.guard.read()
        for action, name, version in entries:
            journal.key(action, name, version, now)
        journal.write(tx)


def _root_name(version: str) -> str:
    """How the log calls a root: six characters of its reference, which no number of a person is as short as. Names that
    a provider gives its versions are hashed first.
    """
    reference = version if _REFERENCE.fullmatch(version) else sha256(version.encode()).hexdigest()
    return f"root:{reference[:6]}"


def _opens_in(safe: Safe, row: SealedRow) -> str:
    try:
        safe.reopen(row)
    except ErasedError:
        return "erased"
    except KeyMissingError:
        return "missing"
    except CarelinkError:
        return "damaged"
    return "well"
