"""Tables for a fold over millions of entries: references of 16 bytes, numbers, lists of numbers, kept in plain bytes.

A dict from a reference to a small object costs some 200 bytes; here it is some 30. Keys are kept whole, so every
answer is exact. Where a key lies follows from Python's own keyed hash: whoever writes a log cannot heap keys up.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final

__all__ = ["Lists", "Names", "PackedMap"]

_KEY: Final = 16
_FULL: Final = 16
_ITEM: Final = 4
_PIECE: Final = Struct("=I")
_RECENT: Final = 256


class PackedMap:
    """Numbers by keys of 16 bytes.

    Args:
        value: bytes of a number; 0 where only the keys matter.
    """

    __slots__ = ("_count", "_mask", "_rows", "_value", "_width")

    def __init__(self, value: int = 0) -> None:
        self._rows, self._mask, self._count = [b""], 0, 0
        self._value, self._width = value, _KEY + value

    def __contains__(self, key: bytes) -> bool:
        return self._at(self._rows[hash(key) & self._mask], key) >= 0

    def get(self, key: bytes) -> int | None:
        """The number of a key, None where there is none."""
        row = self._rows[hash(key) & self._mask]
        at = self._at(row, key)
        return None if at < 0 else int.from_bytes(row[at + _KEY : at + self._width], "little")

    def put(self, key: bytes, number: int = 0) -> None:
        """Set the number of a key."""
        place = hash(key) & self._mask
        row = self._rows[place]
        at = self._at(row, key)
        if at < 0:
            self._rows[place] = row + key + number.to_bytes(self._value, "little")
            self._count += 1
            if self._count > _FULL * len(self._rows):
                self._widen()
        elif self._value:
            self._rows[place] = row[: at + _KEY] + number.to_bytes(self._value, "little") + row[at + self._width :]

    def drop(self, key: bytes) -> None:
        """Forget a key."""
        place = hash(key) & self._mask
        row = self._rows[place]
        at = self._at(row, key)
        if at >= 0:
            self._rows[place] = row[:at] + row[at + self._width :]
            self._count -= 1

    def counted(self) -> Counter[int]:
        """How many keys have each number, for numbers of one byte."""
        found: Counter[int] = Counter()
        for row in self._rows:
            found.update(row[_KEY :: self._width])
        return found

    def _at(self, row: bytes, key: bytes) -> int:
        at = row.find(key)
        while at > 0 and at % self._width:
            at = row.find(key, at + 1)
        return at

    def _widen(self) -> None:
        """Four rows for each; one row at a time, so that little is held twice."""
        had, width = len(self._rows), self._width
        self._mask = had * 4 - 1
        self._rows += [b""] * (had * 3)
        for place in range(had):
            row = self._rows[place]
            parts: dict[int, list[bytes]] = {place: []}
            for at in range(0, len(row), width):
                parts.setdefault(hash(row[at : at + _KEY]) & self._mask, []).append(row[at : at + width])
            for each, pieces in parts.items():
                self._rows[each] = b"".join(pieces)


class Names:
    """Numbers references of 32 hexadecimal digits, in the order they come."""

    __slots__ = ("_numbers", "_recent", "_refs")

    def __init__(self) -> None:
        self._numbers, self._refs = PackedMap(_ITEM), bytearray()
        self._recent: dict[str, int] = {}

    def number(self, ref: str) -> int:
        """The number of a reference; a new one where it has none."""
        number = self.find(ref)
        if number is None:
            key = bytes.fromhex(ref)
            number = len(self._refs) // _KEY
            self._numbers.put(key, number)
            self._refs += key
        return number

    def find(self, ref: str | None) -> int | None:
        """The number of a reference, None where it has none."""
        if not ref:
            return None
        number = self._recent.get(ref)
        if number is None:
            number = self._numbers.get(bytes.fromhex(ref))
            if number is not None:
                if len(self._recent) >= _RECENT:
                    self._recent.clear()
                self._recent[ref] = number
        return number

    def ref(self, number: int) -> str:
        """The reference with a number."""
        return self._refs[number * _KEY : (number + 1) * _KEY].hex()


class Lists:
    """For a number a list of numbers, each once; nearly always one or two."""

    __slots__ = ("_rows",)

    def __init__(self) -> None:
        self._rows: list[bytes] = []

    def of(self, number: int | None) -> Sequence[int]:
        """The list of a number; empty where it has none."""
        row = self._rows[number] if number is not None and number < len(self._rows) else b""
        return memoryview(row).cast("I") if row else ()

    def add(self, number: int, item: int) -> None:
        """Put an item at the end, unless it is there."""
        if number >= len(self._rows):
            self._rows += [b""] * (number + 1 - len(self._rows))
        row, piece = self._rows[number], _PIECE.pack(item)
        if self._at(row, piece) < 0:
            self._rows[number] = row + piece

    def remove(self, number: int, item: int) -> None:
        """Take an item out, if it is there."""
        if number < len(self._rows):
            row = self._rows[number]
            at = self._at(row, _PIECE.pack(item))
            if at >= 0:
                self._rows[number] = row[:at] + row[at + _ITEM :]

    def __iter__(self) -> Iterator[int]:
        """Numbers that have a list."""
        return (number for number, row in enumerate(self._rows) if row)

    @staticmethod
    def _at(row: bytes, piece: bytes) -> int:
        at = row.find(piece)
        while at > 0 and at % _ITEM:
            at = row.find(piece, at + 1)
        return at
