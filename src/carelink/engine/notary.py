"""The notary: publishes integrated entries under a signed checkpoint, and tells a restored backup from the store the
log was published from. The promise of tamper evidence begins at publication.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

import attrs

from carelink.audit.bodies import GenesisBody
from carelink.audit.checkpoint import NoteVerifier, SignedCheckpoint, Signer
from carelink.audit.entry import parse_entry
from carelink.audit.merkle import Frontier, HashReader, leaf_hash, range_root
from carelink.consent.facts import StoreState
from carelink.errors import CarelinkError, StoreRestoredError
from carelink.model.moment import SECOND, Instant, Micros
from carelink.ports.store import Reader, Store
from carelink.ports.system import Clock
from carelink.telemetry import logger

__all__ = ["Notary", "PublishedLog"]

_MANY: Final = 4096


class PublishedLog(Protocol):
    """Where checkpoints and tiles are published. Implemented by `carelink.stores.logfolder`."""

    def head(self) -> SignedCheckpoint | None:
        """The newest published checkpoint."""

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Published entries with their indexes."""

    def hashes(self, size: int) -> HashReader:
        """Subtree roots of the published tree of this size."""

    def publish(
        self,
        entries: Iterable[bytes],
        *,
        start: int,
        end: int,
        signers: Sequence[Signer],
        verifier: NoteVerifier,
        at: Instant,
        root: bytes | None = None,
    ) -> SignedCheckpoint:
        """Publish entries [start, end) under a new checkpoint."""


def follows(reader: Reader, head: SignedCheckpoint) -> bool:
    """Whether the store's log is the successor of the log under this head."""
    first = next(iter(reader.entries(0, 1)), None)
    body = None if first is None else parse_entry(first).body
    previous = body.previous if isinstance(body, GenesisBody) else None
    if previous is None or previous.origin != head.checkpoint.origin:
        return False
    return head.size < previous.size or (previous.size, previous.root) == (head.size, head.root.hex())


@attrs.define(kw_only=True)
class Notary:
    """Publishes, and guards against a store that is older than what was published.

    Attributes:
        read_copy, write_copy: the head copy kept apart from the store.
        put_away: moves a closed log and its head copy out of the way of its successor.
        lag: how many integrated entries may be unpublished before sending stops.
        interval: publish at least this often while there is something to publish.
    """

    store: Store
    log: PublishedLog
    signer: Signer
    verifier: NoteVerifier
    clock: Clock
    read_copy: Callable[[], SignedCheckpoint | None]
    write_copy: Callable[[SignedCheckpoint], None]
    put_away: Callable[[], None]
    lag: int = 100_000
    interval: Micros = SECOND
    _last: int = attrs.field(default=0, init=False)
    _furthest: int = attrs.field(default=0, init=False)
    _restored: bool = attrs.field(default=False, init=False)

    def open(self) -> StoreState:
        """Compare the store with what was published from it. Called before anything is decided.

        Raises:
            FormatError: the published head or its copy is not a checkpoint.
        """
        self._last = self.clock.monotonic()
        other = [head for head in (self.log.head(), self.read_copy()) if head is not None and not self._is_own(head)]
        if other:
            with self.store.reader() as reader:
                succeeds = all(follows(reader, head) for head in other)
            if not succeeds:
                self._restored = True  # the store is of a log before, or beside, the one that is published
                return StoreState.RESTORED
            self.put_away()  # a succession was cut off between its commit and this
        head, copy = self.log.head(), self.read_copy()
        self._furthest = max((known.size for known in (head, copy) if known is not None), default=0)
        with self.store.reader() as reader:
            self._restored = not self._continues(reader, head, copy)
        return StoreState.RESTORED if self._restored else StoreState.CURRENT

    def _is_own(self, head: SignedCheckpoint) -> bool:
        return head.checkpoint.origin == self.signer.name

    def publish_from(self, reader: Reader) -> SignedCheckpoint:
        """Publish all that a transaction sees, before it commits: the last head of a log that is being closed.

        Raises:
            StoreRestoredError: the store is a restored backup.
            StoreError: the log cannot be written.
            TamperedError: what is published contradicts the store.
        """
        if self._restored:
            raise StoreRestoredError("a restored store closes no log")
        published, head = self.log.head(), reader.head()
        start = 0 if published is None else published.size
        signed = self.log.publish(
            reader.entries(start, head.size),
            start=start,
            end=head.size,
            signers=[self.signer],
            verifier=self.verifier,
            at=self.clock.now(),
            root=Frontier.from_bytes(head.frontier).root(),
        )
        self.write_copy(signed)
        return signed

    def _continues(self, reader: Reader, head: SignedCheckpoint | None, copy: SignedCheckpoint | None) -> bool:
        """Whether the store is the published log and what came after, not a backup, however long it has grown since."""
        if reader.head().size < self._furthest:
            return False
        if head is not None and not self.same_entry(reader, head.size - 1):
            return False
        if copy is None or (head is not None and self.extends(head, copy)):
            return True
        # The published folder is older than the head copy, or gone. The store must then show by itself that it is not.
        return copy.size > (0 if head is None else head.size) and _root(reader, copy.size) == copy.root

    def same_entry(self, reader: Reader, index: int) -> bool:
        """Whether the store has the published entry at this index. Every entry has a random salt: two histories that
        parted have no entry in common at any index after.
        """
        published = [data for _, data in self.log.entries(index, index + 1)]
        return published == list(reader.entries(index, index + 1))

    def extends(self, head: SignedCheckpoint, copy: SignedCheckpoint) -> bool:
        """Whether the published log of this head begins with the tree of the head copy."""
        if copy.size >= head.size:
            return copy.size == head.size and copy.root == head.root
        try:
            return range_root(0, copy.size, self.log.hashes(head.size)) == copy.root
        except CarelinkError as error:
            logger().warning("published_log_unreadable", code=error.code)
            return False

    @property
    def restored(self) -> bool:
        """Whether the store was found to be a restored backup when it was opened, and not reconciled since."""
        return self._restored

    def state(self, reader: Reader) -> StoreState:
        """Whether sending may go on."""
        head = reader.head()
        if self._restored or head.size < self._furthest:
            return StoreState.RESTORED
        if head.size - head.published > self.lag:
            return StoreState.UNPUBLISHED
        return StoreState.CURRENT

    def tick(self, *, closing: bool = False) -> None:
        """Publish if enough entries or enough time have gathered. A failure to publish is an operator's matter until
        the lag limit stops sending; it never undoes what was decided.

        Args:
            closing: publish whatever there is: a restored backup is known by what was published before it.
        """
        now = self.clock.monotonic()
        with self.store.reader() as reader:
            head = reader.head()
        behind = head.size - head.published
        if behind and (closing or behind >= _MANY or now - self._last >= self.interval):
            try:
                self.publish()
            except CarelinkError as error:
                logger().warning("publication_failed", code=error.code, lag=behind)

    def publish(self) -> SignedCheckpoint | None:
        """Publish all integrated entries; None when there is nothing to publish.

        Raises:
            StoreRestoredError: the store is a restored backup.
            StoreError: the log cannot be written.
            TamperedError: what is published contradicts the store.
        """
        if self._restored:
            raise StoreRestoredError("a restored store is not published over its own log")
        published = self.log.head()
        start = 0 if published is None else published.size
        with self.store.reader() as reader:
            head = reader.head()
            if head.size == 0 or (head.size == start and head.published == start):
                return published
            signed = self.log.publish(
                reader.entries(start, head.size),
                start=start,
                end=head.size,
                signers=[self.signer],
                verifier=self.verifier,
                at=self.clock.now(),
                root=Frontier.from_bytes(head.frontier).root(),
            )
        self.write_copy(signed)
        self._furthest = signed.size
        self._last = self.clock.monotonic()
        with self.store.transaction() as tx:
            tx.set_published(signed.size)
        return signed


def _root(reader: Reader, size: int) -> bytes:
    """Root over the store's first entries, hashed again."""
    return Frontier().append_many(leaf_hash(data) for data in reader.entries(0, size)).root()
