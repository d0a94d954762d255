"""Cipher suites of the envelope. A suite belongs to a key; its number stands in every envelope (crypto.md e3, e11).

| number | suite | here |
| --- | --- | --- |
| 0x01 | AES-256-GCM, HKDF and HMAC with SHA-256 | yes |
| 0x02 | SM4-128-GCM, HKDF and HMAC with SM3 | reserved |
| 0x03 | AES-256-GCM-SIV, HKDF and HMAC with SHA-256 | yes |
| 0x04 | XAES-256-GCM | reserved |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV

from carelink.errors import CannotJudgeError
from carelink.vault.derive import expand
from carelink.vault.personal import SecretKey

__all__ = ["AES_256_GCM", "AES_256_GCM_SIV", "SUITES", "Aead", "Suite", "open_or_none", "suite_of"]


class Aead(Protocol):
    """An authenticated cipher with its key in it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Ciphertext and tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Plaintext, or InvalidTag."""


@attrs.frozen
class Suite:
    """One suite: how keys are derived under it and which cipher they key."""

    number: int
    name: str
    key_length: int
    aead: Callable[[bytes], Aead]
    derive: Callable[[SecretKey, bytes, int], bytes]

    @property
    def octet(self) -> bytes:
        """The number as it stands in envelopes and labels."""
        return bytes([self.number])


AES_256_GCM: Final = Suite(0x01, "AES-256-GCM", 32, AESGCM, expand)
AES_256_GCM_SIV: Final = Suite(0x03, "AES-256-GCM-SIV", 32, AESGCMSIV, expand)
SUITES: Final[Mapping[int, Suite]] = MappingProxyType({each.number: each for each in (AES_256_GCM, AES_256_GCM_SIV)})


def suite_of(number: int) -> Suite:
    """The suite with this number.

    Raises:
        CannotJudgeError: this version of carelink does not know it.
    """
    suite = SUITES.get(number)
    if suite is None:
        raise CannotJudgeError("sealed under a cipher suite unknown to this version")
    return suite


def open_or_none(aead: Aead, nonce: bytes, sealed: bytes, aad: bytes) -> bytes | None:
    """The plaintext, or None whatever was wrong: so the caller raises outside `except` and nothing is chained."""
    try:
        return aead.decrypt(nonce, sealed, aad)
    except (InvalidTag, ValueError):
        return None
