"""Keyed look-ups: truncated blind index, full-length address tokens, references of request keys. crypto.md e5.

The blind index is cut to so few bits that several rows share each value; the look-up opens the candidates and
compares. Address tokens are never cut and have a key of their own, which outlives erasure: suppression hangs on them.
"""

from __future__ import annotations

from typing import Final

from carelink.errors import InvalidInputError
from carelink.vault.derive import KeyedHash, lp
from carelink.vault.personal import SecretKey

__all__ = ["BlindIndex", "address_hash", "address_token", "plan_bits", "request_hash", "request_ref"]

_MIN_ROWS: Final = 16
_MAX_BITS: Final = 64
_ADDRESS: Final = b"carelink/address/v1"
_REQUEST: Final = b"carelink/request/v1"


def plan_bits(expected: int, *, skewed: bool = False) -> int:
    """Bits of an index over so many rows: floor(log2 R) - 2, and 2 <= R / 2^bits <= sqrt(R) always holds.

    Raises:
        InvalidInputError: fewer than 16 rows, or a column whose values are not spread evenly (name, sex, diagnosis).
    """
    if skewed:
        raise InvalidInputError("a skewed column cannot have a blind index", hint="combine it with another column")
    if expected < _MIN_ROWS:
        raise InvalidInputError("a blind index over fewer than 16 rows would name its rows")
    bits = expected.bit_length() - 3
    while expected > 4**bits:  # R / 2^b > sqrt(R)
        bits += 1
    return min(bits, _MAX_BITS)


class BlindIndex:
    """The index of one column under one version of the index root."""

    __slots__ = ("_bits", "_hash")

    def __init__(self, root: SecretKey, tenant: str, table: str, column: str, bits: int) -> None:
        if not 0 < bits <= _MAX_BITS:
            raise InvalidInputError("a blind index has 1 to 64 bits")
        place = lp(tenant.encode()) + lp(table.encode()) + lp(column.encode())
        self._hash = KeyedHash(root, b"carelink/bidx/v1" + place)
        self._bits = bits

    def value(self, canonical: str) -> bytes:
        """First bits of the keyed hash, in as few bytes as hold them; unused low bits of the last byte are zero."""
        length = (self._bits + 7) // 8
        head = int.from_bytes(self._hash.plain(canonical.encode())[:length], "big")
        spare = length * 8 - self._bits
        return (head >> spare << spare).to_bytes(length, "big")

    def __repr__(self) -> str:
        return "BlindIndex(***)"


def address_hash(key: SecretKey) -> KeyedHash:
    """The keyed state behind address tokens; keep it when there are many to make."""
    return KeyedHash(key, _ADDRESS)


def request_hash(key: SecretKey) -> KeyedHash:
    """The keyed state behind request references; keep it when there are many to make."""
    return KeyedHash(key, _REQUEST)


def address_token(key: SecretKey | KeyedHash, kind: str, canonical: str) -> bytes:
    """The 32-byte token of an address in its canonical form. `key`: the address-token key, or `address_hash` of it."""
    state = address_hash(key) if isinstance(key, SecretKey) else key
    return state.digest(kind.encode(), canonical.encode())


def request_ref(key: SecretKey | KeyedHash, tenant: str, text: str) -> str:
    """What store and log call a request key: 32 hex digits. `key`: the request key, or `request_hash` of it."""
    state = request_hash(key) if isinstance(key, SecretKey) else key
    return state.digest(tenant.encode(), text.encode("utf-8", "surrogatepass"))[:16].hex()
