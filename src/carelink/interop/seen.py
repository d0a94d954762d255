"""Which ids an import has seen, in a few bytes an id: an open-addressing table of 64-bit hashes.

Sixteen to thirty-two bytes an id where a set of texts takes a hundred and more. Two different ids among a million
share a hash with probability 3e-8; the second would be reported as a duplicate.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import Final

__all__ = ["Seen"]

_SMALLEST: Final = 1 << 10


class Seen:
    """A growing set of texts."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _SMALLEST))
        self._count = 0

    def __contains__(self, text: str) -> bool:
        return self._slots[self._find(_hash(text))] != 0

    def add(self, text: str) -> None:
        """Add a text."""
        value = _hash(text)
        at = self._find(value)
        if self._slots[at]:
            return
        self._slots[at] = value
        self._count += 1
        if 2 * self._count > len(self._slots):
            self._grow()

    def _find(self, value: int) -> int:
        """The slot that holds the value, or the free one where it belongs."""
        mask = len(self._slots) - 1
        at = value & mask
        while self._slots[at] and self._slots[at] != value:
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
        for value in old:
            if value:
                self._slots[self._find(value)] = value


def _hash(text: str) -> int:
    """64 bits of a hash; never zero, which marks a free slot."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) or 1
