"""What work on keys needs of a key store: counts, and steps that can be repeated. Nobody outside gets a key by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import attrs

from carelink.vault.suites import Suite

__all__ = ["KeyCounts", "KeyShredder", "KeyWork", "Shred", "Tombstone"]


@attrs.frozen(kw_only=True)
class KeyCounts:
    """What a key store holds.

    Attributes:
        roots: versions of the root key that wrap an epoch. epochs: keys under each epoch.
        suites: newest data keys by suite. generation: the highest. retired: older data keys that are kept.
        secrets: (version, state) of each secret.
        suite: that of new data keys.
        renewing: a renewal of data keys is under way.
    """

    roots: tuple[str, ...]
    epochs: Mapping[int, int]
    suites: Mapping[str, int]
    generation: int
    retired: int
    secrets: Mapping[str, tuple[tuple[int, str], ...]]
    suite: str
    renewing: bool
    tombstones: int


class Tombstone(Protocol):
    """That an owner's keys were destroyed on purpose."""

    @property
    def at(self) -> int:
        """When, in microseconds."""


class Shred(Protocol):
    """What a shred came to."""

    @property
    def at(self) -> int:
        """When the first of the owner's keys was destroyed, in microseconds."""

    @property
    def clean(self) -> bool:
        """Whether the key store's write-ahead log was emptied too."""


class KeyShredder(Protocol):
    """Destroys keys for good. Implemented by `carelink.keys.store`."""

    def shred(self, owner: str, at: int, reason: str) -> Shred:
        """Destroy the keys of an owner, known here or not. Again is harmless."""

    def tombstoned(self, owners: Sequence[str]) -> Mapping[str, Tombstone]:
        """Those of the owners whose keys were destroyed."""


class KeyWork(Protocol):
    """Steps of rotations, each one commit. Implemented by `carelink.keys.store`."""

    def counts(self) -> KeyCounts:
        """What there is."""

    def rotate_root(self) -> tuple[str, ...]:
        """A new root; the versions destroyed."""

    def move_root(self, to: str) -> int:
        """Wrap the epochs' keys by the provider of this name; how many were another's."""

    def begin_epoch(self) -> int:
        """A new epoch, or the unfinished one."""

    def rewrap(self, limit: int) -> int:
        """Wrap up to `limit` keys of older epochs under the newest; how many."""

    def end_epochs(self) -> tuple[int, ...]:
        """Destroy the keys of epochs that wrap nothing; which."""

    def set_suite(self, suite: Suite) -> None:
        """The suite of new data keys."""

    def begin_renewal(self) -> None:
        """All data keys of now are to be renewed; an unfinished renewal goes on."""

    def renew(self, limit: int) -> int:
        """Give up to `limit` owners their next key; how many."""

    def end_renewal(self) -> None:
        """The renewal is done."""

    def active(self, kids: Sequence[bytes]) -> frozenset[bytes]:
        """Which of these key ids are the newest of their owner."""

    def retired(self) -> Mapping[bytes, int]:
        """Key id and generation of data keys that are kept only for what they sealed."""

    def destroy_retired(self, kids: Sequence[bytes]) -> int:
        """Destroy retired data keys; how many there were."""

    def new_secret(self, name: str) -> int:
        """Another version of a secret; its number."""

    def destroy_secret(self, name: str, version: int) -> None:
        """Destroy an older version of a secret."""

    def unopened(self, progress: Callable[[int], None]) -> int:
        """How many wrapped data keys do not open as what they say they are."""
