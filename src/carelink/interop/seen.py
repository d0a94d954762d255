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

    def add(self, text: str) -> bool:
        """Add a text; whether it is new."""
        digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        value = int.from_bytes(digest) or 1  # zero marks an empty slot
        if 2 * (self._count + 1) > len(self._slots):
            self._grow()
        return self._place(value)

    def _place(self, value: int) -> bool:
        mask = len(self._slots) - 1
        at = value & mask
        while self._slots[at]:
            if self._slots[at] == value:
                return False
            at = (at + 1) & mask
        self._slots[at] = value
        self._count += 1
        return True

    def _grow(self) -> None:
        old, self._slots = self._slots, array("Q", bytes(8 * 2 * len(self._slots)))
        mask = len(self._slots) - 1
        for value in old:
            if value:
                at = value & mask
                while self._slots[at]:
                    at = (at + 1) & mask
                self._slots[at] = value
