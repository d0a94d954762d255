"""The Merkle tree of RFC 6962: leaf and node hashes, the compact range the store keeps, proofs and their checks.

Source: RFC 6962 section 2.1 (hashes, audit paths, consistency proofs); RFC 9162 sections 2.1.3.2 and 2.1.4.2 (checks).
A tree over n leaves splits at the largest power of two below n; nothing is duplicated to fill a level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Final, Self

import attrs

from carelink.errors import FormatError, InvalidInputError

__all__ = [
    "EMPTY_ROOT",
    "HASH_SIZE",
    "MAX_SIZE",
    "Frontier",
    "HashReader",
    "complete_root",
    "consistency_proof",
    "fold_roots",
    "inclusion_proof",
    "leaf_hash",
    "node_hash",
    "range_root",
    "verify_consistency",
    "verify_inclusion",
]

HASH_SIZE: Final = 32
"""Bytes of a SHA-256 hash."""

EMPTY_ROOT: Final = sha256(b"").digest()
"""Root of the tree without leaves."""

MAX_SIZE: Final = 2**63 - 1
"""Largest number of leaves carelink reads or writes."""

_SIZE_BYTES: Final = 8

HashReader = Callable[[int, int], bytes]
"""`hash_at(level, index)`: root of the complete subtree over leaves [index * 2**level, (index + 1) * 2**level)."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of one entry: SHA-256 of 0x00 and its bytes."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node: SHA-256 of 0x01 and both children."""
    return sha256(b"\x01" + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Root over 2**k hashes of one level.

    Raises:
        InvalidInputError: the number is not a power of two.
    """
    if not hashes or len(hashes) & (len(hashes) - 1):
        raise InvalidInputError("a complete subtree has a power of two of hashes")
    row = hashes
    while len(row) > 1:
        pairs = iter(row)
        row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    [root] = row
    return root


def fold_roots(roots: Sequence[bytes]) -> bytes:
    """Root of a tree from the roots of its complete subtrees, largest first; of none, the empty root."""
    if not roots:
        return EMPTY_ROOT
    result = roots[-1]
    for left in reversed(roots[:-1]):
        result = sha256(b"\x01" + left + result).digest()
    return result


@attrs.frozen(slots=True)
class Frontier:
    """The right edge of a tree: all that is needed to append to it and to know its root.

    Attributes:
        size: number of leaves.
        hashes: roots of the complete subtrees the tree splits into, largest first: one for each 1 bit of `size`.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise FormatError("the size of a tree is out of range")
        if len(self.hashes) != self.size.bit_count() or any(len(each) != HASH_SIZE for each in self.hashes):
            raise FormatError("the hashes of a frontier do not fit its size")

    def append_many(self, leaf_hashes: Iterable[bytes]) -> Self:
        """The frontier after these leaves; this one stays as it is."""
        size, stack = self.size, list(self.hashes)
        for leaf in leaf_hashes:
            carry, node = size, leaf
            while carry & 1:
                node = sha256(b"\x01" + stack.pop() + node).digest()
                carry >>= 1
            stack.append(node)
            size += 1
        return type(self)(size, tuple(stack))

    def root(self) -> bytes:
        """Merkle tree hash."""
        return fold_roots(self.hashes)

    def to_bytes(self) -> bytes:
        """Eight bytes of size, big endian, then the hashes, largest subtree first."""
        return self.size.to_bytes(_SIZE_BYTES, "big") + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read what `to_bytes` wrote.

        Raises:
            FormatError: other bytes.
        """
        body = data[_SIZE_BYTES:]
        if len(data) < _SIZE_BYTES or len(body) % HASH_SIZE:
            raise FormatError("bytes are not a frontier")
        hashes = tuple(body[at : at + HASH_SIZE] for at in range(0, len(body), HASH_SIZE))
        return cls(int.from_bytes(data[:_SIZE_BYTES], "big"), hashes)


def _split(width: int) -> int:
    """Largest power of two below `width`, for widths above one."""
    return 1 << ((width - 1).bit_length() - 1)


def range_root(start: int, end: int, hash_at: HashReader) -> bytes:
    """Merkle tree hash of the leaves [start, end), where `start` begins a subtree of RFC 6962's recursion."""
    roots: list[bytes] = []
    while start < end:
        level = (end - start).bit_length() - 1
        roots.append(hash_at(level, start >> level))
        start += 1 << level
    return fold_roots(roots)


def inclusion_proof(index: int, size: int, hash_at: HashReader) -> tuple[bytes, ...]:
    """Audit path of a leaf in the tree of `size` leaves, from its sibling up to the root's child.

    Raises:
        InvalidInputError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise InvalidInputError("there is no entry at this index")
    start, end, path = 0, size, list[bytes]()
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(range_root(middle, end, hash_at))
            end = middle
        else:
            path.append(range_root(start, middle, hash_at))
            start = middle
    return tuple(reversed(path))


def consistency_proof(old_size: int, new_size: int, hash_at: HashReader) -> tuple[bytes, ...]:
    """Proof that the tree of `old_size` leaves is a prefix of the tree of `new_size` leaves.

    Empty when the sizes are equal and when the old tree is empty.

    Raises:
        InvalidInputError: the old tree is the larger one.
    """
    if not 0 <= old_size <= new_size:
        raise InvalidInputError("the old tree is larger than the new one")
    if old_size in (0, new_size):
        return ()
    start, end, whole, path = 0, new_size, True, list[bytes]()
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(range_root(middle, end, hash_at))
            end = middle
        else:
            path.append(range_root(start, middle, hash_at))
            start, whole = middle, False
    if not whole:
        path.append(range_root(start, end, hash_at))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows the leaf hash at `index` in the tree of that size and root (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size or any(len(each) != HASH_SIZE for each in (leaf, root, *proof)):
        return False
    node, last, result = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if node & 1 or node == last:
            result = node_hash(sibling, result)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and result == root


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows the old tree to be a prefix of the new one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old_size <= new_size or any(len(each) != HASH_SIZE for each in (old_root, new_root, *proof)):
        return False
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT and (new_size > 0 or new_root == EMPTY_ROOT)
    if old_size == new_size:
        return not proof and old_root == new_root
    return bool(proof) and _walk_consistency(old_size, old_root, new_size, new_root, proof)


def _walk_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    path = [old_root, *proof] if old_size & (old_size - 1) == 0 else list(proof)
    node, last = old_size - 1, new_size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root
