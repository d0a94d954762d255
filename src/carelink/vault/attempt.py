"""Attempt tokens: what a far end sees of a request instead of its keyed hash, and back.

One AES-256 block under a key of its own is a permutation of 128 bits: the token tells nobody which log entry it
belongs to, the same request always carries the same token, and it can be turned back without a table. ECB is right
here because there is exactly one block.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from carelink.vault.derive import expand
from carelink.vault.personal import SecretKey

__all__ = ["AttemptKeys"]

_HEX: Final = frozenset("0123456789abcdef")
_LENGTH: Final = 32


class AttemptKeys:
    """Turns request references into tokens and back."""

    __slots__ = ("_cipher",)

    def __init__(self, root: SecretKey) -> None:
        key = expand(root, b"carelink/attempt/v1")
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305  one block, see above

    def seal(self, ref: str) -> str:
        """The token of a reference: 32 hex digits for 32 hex digits."""
        encryptor = self._cipher.encryptor()
        return (encryptor.update(bytes.fromhex(ref)) + encryptor.finalize()).hex()

    def open(self, token: str) -> str | None:
        """The reference of a token; None if it has not the form of one. Any 32 hex digits open to something: who
        uses the answer looks it up.
        """
        if len(token) != _LENGTH or not _HEX.issuperset(token):
            return None
        decryptor = self._cipher.decryptor()
        return (decryptor.update(bytes.fromhex(token)) + decryptor.finalize()).hex()

    def __repr__(self) -> str:
        return "AttemptKeys(***)"
