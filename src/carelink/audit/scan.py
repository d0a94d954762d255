"""One pass over the bytes of a log: every bundle, every leaf, every hash tile, and the root at each size asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from carelink.audit.fetcher import Fetcher
from carelink.audit.findings import MAX_LISTED, Finding, FindingCode, Findings
from carelink.audit.merkle import HASH_SIZE
from carelink.audit.tiles import ENTRIES, MAX_BUNDLE, TILE_WIDTH, TileBuilder, TileName, split_bundle

__all__ = ["EntryCheck", "Progress", "RootSink", "TreeScan"]

EntryCheck = Callable[[int, bytes], Finding | None]
"""`check(index, entry)`: what is wrong with the form of an entry. Never raises."""

RootSink = Callable[[int, bytes], None]
"""`sink(size, root)`: the entries' own root at a size that was asked for, in ascending order."""

Progress = Callable[[int, int], None]
"""`progress(done, total)`: entries so far, after every tile of them."""

_TILE_BYTES: Final = TILE_WIDTH * HASH_SIZE


class TreeScan:
    """Reads the entries once, a bundle in memory at a time, and compares everything with everything.

    Args:
        fetch: the log.
        size: entries under the signed head.
        findings: where defects go.
        check_entry: form check of each entry whose hash is right.
        wanted: sizes at which the root is handed to `sink`, ascending, without repeats.
        exact: whether a partial tile may be represented by the full tile that replaced it (a writer is at work).
    """

    def __init__(
        self,
        fetch: Fetcher,
        size: int,
        findings: Findings,
        check_entry: EntryCheck,
        *,
        wanted: Sequence[int],
        sink: RootSink,
        progress: Progress | None = None,
        exact: bool = True,
    ) -> None:
        self._fetch, self._size, self._findings, self._check_entry = fetch, size, findings, check_entry
        self._wanted, self._sink, self._progress, self._exact = wanted, sink, progress, exact
        self._tree = TileBuilder()
        self._next = 0
        self._doubtful: list[int] = []
        self.checked = 0

    def run(self) -> bytes | None:
        """Scan; returns the entries' root, or None when a gap or too many defects ended the scan early."""
        self._tell(0, [])
        for number in range(-(-self._size // TILE_WIDTH)):
            leaves = self._bundle(number)
            if leaves is None or self._findings.exhausted:
                self.settle(root_is_signed=None)
                return None
            self._tell(number * TILE_WIDTH, leaves)
            for name, data in self._tree.add(leaves):
                if name.level:
                    self._compare_tile(name, data)
            if self._progress is not None:
                self._progress(self._tree.size, self._size)
        for name, data in self._tree.edges():
            if name.level:
                self._compare_tile(name, data)
        return self._tree.root()

    def settle(self, *, root_is_signed: bool | None) -> None:
        """Say which side of each leaf mismatch is at fault: the tile if the entries give the signed root."""
        for index in self._doubtful:
            number = index // TILE_WIDTH
            bundle, tile = (TileName.of(level, number, self._size).path for level in (ENTRIES, 0))
            if root_is_signed:
                self._findings.tampered(FindingCode.TILE, "its hash is not that of the entry", tile, index)
            else:
                detail = f"its bytes do not hash to what `{tile}` holds"
                self._findings.tampered(FindingCode.LEAF, detail, bundle, index)
        self._doubtful.clear()

    def _tell(self, base: int, leaves: list[bytes]) -> None:
        """Hand out the roots asked for up to the end of these leaves, which are not yet in the tree."""
        end = base + len(leaves)
        while self._next < len(self._wanted) and self._wanted[self._next] <= end:
            size = self._wanted[self._next]
            self._sink(size, self._tree.root(leaves[: size - base]))
            self._next += 1

    def _read(self, name: TileName, limit: int) -> tuple[bytes | None, TileName]:
        data = self._fetch.read(name.path, limit)
        if data is None and not self._exact and name.width < TILE_WIDTH:
            whole = TileName(name.level, name.index)
            return self._fetch.read(whole.path, limit), whole
        return data, name

    def _bundle(self, number: int) -> list[bytes] | None:
        """Check one bundle against its level-0 tile; returns the leaf hashes to go on with, if any."""
        name = TileName.of(ENTRIES, number, self._size)
        hashes = self._hashes(TileName.of(0, number, self._size))
        data, held = self._read(name, MAX_BUNDLE)
        if data is None:
            first = number * TILE_WIDTH
            self._findings.tampered(FindingCode.BUNDLE_MISSING, "the entries are missing", name.path, first)
            return _split(hashes)
        entries, wrong = split_bundle(data, held.width)
        entries = entries[: name.width]
        leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
        base = number * TILE_WIDTH
        bad = [] if hashes is None else _differences(b"".join(leaves), hashes)
        if wrong:
            at = bad[0] if bad else len(leaves)
            self._findings.tampered(FindingCode.BUNDLE_FORM, f"the bundle {wrong}", name.path, base + at)
            return _split(hashes)
        self._doubtful += [base + at for at in bad[: MAX_LISTED - len(self._doubtful)]]
        self._forms(base, entries, frozenset(bad))
        return leaves

    def _hashes(self, name: TileName) -> bytes | None:
        data, held = self._read(name, _TILE_BYTES)
        if data is None:
            self._findings.tampered(FindingCode.TILE_MISSING, "the hashes are missing", name.path)
            return None
        if len(data) != held.width * HASH_SIZE:
            detail = f"has not the length of {held.width} hashes"
            self._findings.tampered(FindingCode.TILE, detail, name.path)
            return None
        return data[: name.width * HASH_SIZE]

    def _forms(self, base: int, entries: list[bytes], bad: frozenset[int]) -> None:
        self.checked += len(entries)
        for at, entry in enumerate(entries):
            finding = self._check_entry(base + at, entry)
            if finding is not None and at not in bad:
                self._findings.add(finding)

    def _compare_tile(self, name: TileName, data: bytes) -> None:
        hashes = self._hashes(name)
        if hashes is None:
            return
        for at in _differences(data, hashes):
            first = (name.index * TILE_WIDTH + at) << name.height
            detail = f"hash {at} is not that of the entries from {first} to {first + (1 << name.height) - 1}"
            self._findings.tampered(FindingCode.TILE, detail, name.path)


def _split(hashes: bytes | None) -> list[bytes] | None:
    return None if hashes is None else [hashes[at : at + HASH_SIZE] for at in range(0, len(hashes), HASH_SIZE)]


def _differences(left: bytes, right: bytes) -> list[int]:
    """Positions of the hashes in which two rows of them differ, as far as both reach."""
    if left == right:
        return []
    starts = range(0, min(len(left), len(right)), HASH_SIZE)
    return [at // HASH_SIZE for at in starts if left[at : at + HASH_SIZE] != right[at : at + HASH_SIZE]]
