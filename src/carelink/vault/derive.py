"""Length prefixes, HKDF-Expand and labelled keyed hashes: the small parts that every form here is made of."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from carelink.vault.personal import SecretKey

__all__ = ["Entropy", "KeyedHash", "expand", "expand_sm3", "lp", "mac_sha256", "mac_sm3"]

Entropy = Callable[[int], bytes]
"""So many unpredictable bytes."""

_BLOCK: Final = 32


def lp(part: bytes) -> bytes:
    """The part behind its length, 4 bytes big-endian, so that no two lists of parts read the same."""
    return len(part).to_bytes(4, "big") + part


def mac_sha256(key: bytes, data: bytes) -> bytes:
    """HMAC with SHA-256 (RFC 2104), 32 bytes."""
    return hmac.digest(key, data, "sha256")


def mac_sm3(key: bytes, data: bytes) -> bytes:
    """HMAC with SM3 (GM/T 0004, block of 64 bytes), 32 bytes. Not from `hashlib`: not every Python has SM3 there."""
    state = HMAC(key, hashes.SM3())
    state.update(data)
    return state.finalize()


def _expand(mac: Callable[[bytes, bytes], bytes], key: SecretKey, info: bytes, length: int) -> bytes:
    if not 0 < length <= _BLOCK:
        raise ValueError("one block of HKDF-Expand has 1 to 32 bytes")
    return key.use(lambda raw: mac(raw, info + b"\x01"))[:length]


def expand(key: SecretKey, info: bytes, length: int = _BLOCK) -> bytes:
    """HKDF-Expand with SHA-256 (RFC 5869, 2.3), first block only.

    Raises:
        ValueError: more than one block was asked for.
    """
    return _expand(mac_sha256, key, info, length)


def expand_sm3(key: SecretKey, info: bytes, length: int = _BLOCK) -> bytes:
    """HKDF-Expand with SM3, first block only. Raises as `expand`."""
    return _expand(mac_sm3, key, info, length)


class KeyedHash:
    """HMAC-SHA256 under HKDF-Expand(key, label), over length-prefixed parts. The keyed state is made once."""

    __slots__ = ("_state", "label")

    def __init__(self, key: SecretKey, label: bytes) -> None:
        self.label = label
        self._state = hmac.new(expand(key, label), digestmod="sha256")

    def digest(self, *parts: bytes) -> bytes:
        """The 32-byte hash of the parts."""
        state = self._state.copy()
        state.update(b"".join(map(lp, parts)))
        return state.digest()

    def plain(self, data: bytes) -> bytes:
        """The 32-byte hash of one part without its length."""
        state = self._state.copy()
        state.update(data)
        return state.digest()

    def __repr__(self) -> str:
        return "KeyedHash(***)"

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("a keyed hash cannot be pickled")
