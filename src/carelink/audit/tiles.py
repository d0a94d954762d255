"""Tiles: the tree and its entries as immutable files of 256, in the public C2SP form.

Source: c2sp.org/tlog-tiles. `tile/<L>/<N>[.p/<W>]` holds 256 hashes of level 8 * L, `tile/entries/<N>[.p/<W>]` holds
256 entries, each behind its length as uint16 big endian. A partial tile `.p/<W>` holds the first W of them; only full
tiles feed the level above. Everything here is bytes in, bytes out: readers and writers are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final

import attrs

from carelink.audit.merkle import HASH_SIZE, MAX_SIZE, HashReader, complete_root, fold_roots
from carelink.errors import CannotJudgeError, FormatError, InvalidInputError

__all__ = [
    "ENTRIES",
    "MAX_BUNDLE",
    "MAX_ENTRY",
    "TILE_WIDTH",
    "TileBuilder",
    "TileName",
    "TileRead",
    "edge_names",
    "encode_bundle",
    "read_entries",
    "split_bundle",
    "tile_files",
    "tile_hash_reader",
]

TILE_WIDTH: Final = 256
"""Hashes or entries of a full tile."""

MAX_ENTRY: Final = 0xFFFF
"""Bytes of the longest entry: its length is a uint16."""

MAX_BUNDLE: Final = TILE_WIDTH * (2 + MAX_ENTRY)
"""Bytes of the longest bundle."""

ENTRIES: Final = -1
"""Level of a `TileName` that names an entry bundle."""

_CACHED_TILES: Final = 64
_LONGEST_PATH: Final = 64
_LEVELS: Final = 8

TileRead = Callable[[str], bytes | None]
"""Reads a file of the log by its path, with `/`; None when there is none."""


@attrs.frozen(slots=True)
class TileName:
    """Which tile: its level (or ENTRIES), its number in the level, and its width, 256 for a full one."""

    level: int
    index: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """Path inside the log: groups of three digits, all but the last with `x`."""
        rest, number = divmod(self.index, 1000)
        groups = f"{number:03d}"
        while rest:
            rest, number = divmod(rest, 1000)
            groups = f"x{number:03d}/{groups}"
        level = "entries" if self.level == ENTRIES else str(self.level)
        suffix = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{groups}{suffix}"

    @property
    def height(self) -> int:
        """Level of the hashes in the tree; 0 for entries."""
        return 8 * max(self.level, 0)

    @property
    def end(self) -> int:
        """Number of entries of the smallest tree that has this tile."""
        return (self.index * TILE_WIDTH + self.width) << self.height

    def fits(self, size: int) -> bool:
        """Whether the tree of this size has exactly this tile."""
        if self.width == TILE_WIDTH:
            return self.end <= size
        return size >> self.height == self.index * TILE_WIDTH + self.width

    @classmethod
    def of(cls, level: int, index: int, size: int) -> TileName:
        """The tile with this number as the tree of this size has it: full, or partial at the right edge."""
        count = (size >> (8 * max(level, 0))) - index * TILE_WIDTH
        return cls(level, index, min(count, TILE_WIDTH))

    @classmethod
    def parse(cls, path: str) -> TileName | None:
        """Read a path; None unless it is spelled exactly as `path` spells it."""
        top, _, rest = path.partition("/")
        level_text, _, number = rest.partition("/")
        if top != "tile" or len(path) > _LONGEST_PATH:
            return None
        level = ENTRIES if level_text == "entries" else _digits(level_text)
        width: int | None = TILE_WIDTH
        groups = number.split("/")
        if len(groups) > 1 and groups[-2].endswith(".p"):
            width = _digits(groups.pop())
            groups[-1] = groups[-1].removesuffix(".p")
        index = _digits("".join(group.removeprefix("x") for group in groups))
        if level is None or width is None or index is None or not 1 <= width <= TILE_WIDTH or level >= _LEVELS:
            return None
        name = cls(level, index, width)
        return name if name.path == path and name.end <= MAX_SIZE else None


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def edge_names(size: int) -> Iterator[TileName]:
    """Partial tiles of a tree, lowest level first; the entry bundle is not among them."""
    for level in range(_LEVELS):
        count = size >> (8 * level)
        if not count:
            return
        if count % TILE_WIDTH:
            yield TileName(level, count // TILE_WIDTH, count % TILE_WIDTH)


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Entries behind their lengths.

    Raises:
        InvalidInputError: an entry is longer than 65,535 bytes.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise InvalidInputError("an entry is longer than 65535 bytes")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def split_bundle(data: bytes, width: int) -> tuple[list[bytes], str]:
    """The entries of a bundle that should hold `width`, and what is wrong with it; "" when nothing is."""
    entries: list[bytes] = []
    at, length = 0, len(data)
    for _ in range(width):
        start = at + 2
        if start > length:
            return entries, "ends before its last entry"
        at = start + (data[at] << 8 | data[at + 1])
        if at > length:
            return entries, "ends inside an entry"
        entries.append(data[start:at])
    return entries, "" if at == length else "has bytes after its last entry"


class TileBuilder:
    """Grows a tree tile by tile: takes leaf hashes, hands out each hash tile as it fills."""

    def __init__(self, size: int = 0, edges: dict[int, list[bytes]] | None = None) -> None:
        self.size = size
        self._edges: dict[int, list[bytes]] = {} if edges is None else edges

    @classmethod
    def load(cls, size: int, read: TileRead) -> TileBuilder:
        """Continue a tree of this size from its published partial tiles.

        Raises:
            CannotJudgeError: a tile is missing.
            FormatError: a tile has another length than its name says.
        """
        edges = {name.level: _read_hashes(name, read) for name in edge_names(size)}
        return cls(size, edges)

    def add(self, leaves: Sequence[bytes]) -> list[tuple[TileName, bytes]]:
        """Append leaf hashes; returns the tiles that became full, lower levels first."""
        done: list[tuple[TileName, bytes]] = []
        at = 0
        while at < len(leaves):
            edge = self._edges.setdefault(0, [])
            part = leaves[at : at + TILE_WIDTH - len(edge)]
            edge.extend(part)
            at += len(part)
            self.size += len(part)
            level = 0
            while len(self._edges[level]) == TILE_WIDTH:
                full = self._edges.pop(level)
                done.append((TileName(level, (self.size >> (8 * level + 8)) - 1), b"".join(full)))
                level += 1
                self._edges.setdefault(level, []).append(complete_root(full))
        return done

    def edges(self) -> list[tuple[TileName, bytes]]:
        """The partial tiles at the right edge, lower levels first."""
        return [(name, b"".join(self._edges[name.level])) for name in edge_names(self.size)]

    def roots(self, extra: Sequence[bytes] = ()) -> list[bytes]:
        """Roots of the complete subtrees, largest first, with up to a tile of further leaves looked at, not added."""
        found: list[bytes] = []
        for level in sorted(self._edges, reverse=True):
            row = self._edges[level]
            found += _subtree_roots([*row, *extra] if level == 0 else row)
        return found if 0 in self._edges else found + _subtree_roots(extra)

    def root(self, extra: Sequence[bytes] = ()) -> bytes:
        """Root hash, with up to a tile of further leaves looked at, not added."""
        return fold_roots(self.roots(extra))


def _subtree_roots(hashes: Sequence[bytes]) -> list[bytes]:
    found, at = [], 0
    while at < len(hashes):
        width = 1 << ((len(hashes) - at).bit_length() - 1)
        found.append(complete_root(hashes[at : at + width]))
        at += width
    return found


def _read_tile(name: TileName, read: TileRead) -> bytes:
    """The bytes of a tile, or of the full tile that replaced a partial one."""
    data = read(name.path)
    if data is None and name.width < TILE_WIDTH:
        data = read(TileName(name.level, name.index).path)
    if data is None:
        raise CannotJudgeError(f"`{name.path}` is missing")
    return data


def _read_hashes(name: TileName, read: TileRead) -> list[bytes]:
    data = _read_tile(name, read)
    if len(data) not in (name.width * HASH_SIZE, TILE_WIDTH * HASH_SIZE):
        raise FormatError(f"`{name.path}` has the wrong length")
    return [data[at : at + HASH_SIZE] for at in range(0, name.width * HASH_SIZE, HASH_SIZE)]


def tile_files(old_size: int, entries: Iterable[bytes], read: TileRead) -> Iterator[tuple[str, bytes]]:
    """The files that grow a published tree by these entries, in an order that can be written as it comes.

    Args:
        old_size: entries published so far.
        entries: those that follow, in order; taken one by one, a tile of them held at a time.
        read: reads the tiles published so far.

    Raises:
        CannotJudgeError: a published tile at the right edge is missing.
        FormatError: a published tile at the right edge is malformed.
        InvalidInputError: an entry is longer than 65,535 bytes.
    """
    builder = TileBuilder.load(old_size, read)
    bundle: list[bytes] = []
    leaves: list[bytes] = []
    if old_size % TILE_WIDTH:
        bundle.append(_old_bundle(old_size, read))
    for entry in entries:
        bundle.append(encode_bundle((entry,)))
        leaves.append(sha256(b"\x00" + entry).digest())
        if (builder.size + len(leaves)) % TILE_WIDTH == 0:
            yield TileName(ENTRIES, builder.size // TILE_WIDTH).path, b"".join(bundle)
            yield from ((name.path, data) for name, data in builder.add(leaves))
            bundle, leaves = [], []
    if leaves:
        builder.add(leaves)
        last = TileName.of(ENTRIES, builder.size // TILE_WIDTH, builder.size)
        yield last.path, b"".join(bundle)
    yield from ((name.path, data) for name, data in builder.edges() if not name.fits(old_size))


def _old_bundle(size: int, read: TileRead) -> bytes:
    name = TileName.of(ENTRIES, size // TILE_WIDTH, size)
    return encode_bundle(_read_bundle(name, read))


def _read_bundle(name: TileName, read: TileRead) -> list[bytes]:
    """Entries of a bundle, or the first ones of the full bundle that replaced a partial one."""
    data, width = read(name.path), name.width
    if data is None and name.width < TILE_WIDTH:
        data, width = read(TileName(ENTRIES, name.index).path), TILE_WIDTH
    if data is None:
        raise CannotJudgeError(f"`{name.path}` is missing")
    entries, wrong = split_bundle(data, width)
    if wrong:
        raise FormatError(f"`{name.path}` {wrong}")
    return entries[: name.width]


def read_entries(read: TileRead, size: int, first: int = 0, last: int | None = None) -> Iterator[tuple[int, bytes]]:
    """Entries [first, last) of a published tree of `size` with their indexes, a bundle in memory at a time.

    The bytes are as stored: verify the folder first.

    Raises:
        InvalidInputError: the range is outside the tree.
        CannotJudgeError: a bundle is missing.
        FormatError: a bundle is malformed.
    """
    stop = size if last is None else last
    if not 0 <= first <= stop <= size:
        raise InvalidInputError("the range of entries is outside the log")
    at = first
    while at < stop:
        number = at // TILE_WIDTH
        base = number * TILE_WIDTH
        entries = _read_bundle(TileName.of(ENTRIES, number, size), read)
        for index in range(at, min(stop, base + TILE_WIDTH)):
            yield index, entries[index - base]
        at = base + TILE_WIDTH


def tile_hash_reader(size: int, read: TileRead) -> HashReader:
    """A reader of subtree roots for proofs in a tree of `size`; keeps the tiles it used last.

    The reader raises CannotJudgeError for a missing and FormatError for a malformed tile.
    """
    cache: dict[TileName, list[bytes]] = {}

    def hash_at(level: int, index: int) -> bytes:
        tile_level, inner = divmod(level, 8)
        start = index << inner
        name = TileName.of(tile_level, start // TILE_WIDTH, size)
        hashes = cache.get(name)
        if hashes is None:
            if len(cache) >= _CACHED_TILES:
                del cache[next(iter(cache))]
            hashes = cache[name] = _read_hashes(name, read)
        offset = start % TILE_WIDTH
        return complete_root(hashes[offset : offset + (1 << inner)])

    return hash_at
