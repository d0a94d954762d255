"""Cipher suites of the envelope. A suite belongs to a key; its number stands in every envelope (crypto.md e3, e11).

| number | suite | here |
| --- | --- | --- |
| 0x01 | AES-256-GCM, HKDF and HMAC with SHA-256 | yes |
| 0x02 | SM4-128-GCM, HKDF and HMAC with SM3 (GB/T 32907, GB/T 32905, RFC 8998) | yes |
| 0x03 | AES-256-GCM-SIV, HKDF and HMAC with SHA-256 | yes |
| 0x04 | XAES-256-GCM | reserved |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NoReturn, Protocol

import attrs
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV

from carelink.errors import CannotJudgeError, InvalidInputError
from carelink.vault.derive import expand, expand_sm3, mac_sha256, mac_sm3
from carelink.vault.personal import SecretKey

__all__ = [
    "AES_256_GCM",
    "AES_256_GCM_SIV",
    "SM4_GCM",
    "SUITES",
    "Aead",
    "Sm4Gcm",
    "Suite",
    "open_or_none",
    "suite_named",
    "suite_of",
]

_TAG: Final = 16


class Aead(Protocol):
    """An authenticated cipher with its key in it."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Ciphertext and tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Plaintext, or InvalidTag."""


class Sm4Gcm:
    """SM4-128-GCM with the face of an `Aead`: `cryptography` has no one-shot form of it."""

    __slots__ = ("_algorithm",)

    def __init__(self, key: bytes) -> None:
        self._algorithm = algorithms.SM4(key)

    def __repr__(self) -> str:
        return "Sm4Gcm(***)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a key cannot be pickled")

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Ciphertext and tag."""
        context = Cipher(self._algorithm, modes.GCM(nonce)).encryptor()
        context.authenticate_additional_data(associated_data or b"")
        return context.update(data) + context.finalize() + context.tag

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Plaintext, or InvalidTag; ValueError where there is no whole tag."""
        context = Cipher(self._algorithm, modes.GCM(nonce, data[-_TAG:])).decryptor()
        context.authenticate_additional_data(associated_data or b"")
        return context.update(data[:-_TAG]) + context.finalize()


@attrs.frozen
class Suite:
    """One suite: how keys are derived under it, which cipher they key, and its HMAC (key, data)."""

    number: int
    name: str
    key_length: int
    aead: Callable[[bytes], Aead]
    derive: Callable[[SecretKey, bytes, int], bytes]
    mac: Callable[[bytes, bytes], bytes]

    @property
    def octet(self) -> bytes:
        """The number as it stands in envelopes and labels."""
        return bytes([self.number])


AES_256_GCM: Final = Suite(0x01, "AES-256-GCM", 32, AESGCM, expand, mac_sha256)
SM4_GCM: Final = Suite(0x02, "SM4-GCM", 16, Sm4Gcm, expand_sm3, mac_sm3)
AES_256_GCM_SIV: Final = Suite(0x03, "AES-256-GCM-SIV", 32, AESGCMSIV, expand, mac_sha256)
SUITES: Final[Mapping[int, Suite]] = MappingProxyType(
    {each.number: each for each in (AES_256_GCM, SM4_GCM, AES_256_GCM_SIV)}
)


def suite_of(number: int) -> Suite:
    """The suite with this number.

    Raises:
        CannotJudgeError: this version of carelink does not know it.
    """
    suite = SUITES.get(number)
    if suite is None:
        raise CannotJudgeError("sealed under a cipher suite unknown to this version")
    return suite


def suite_named(name: str) -> Suite:
    """The suite of this name, as `keys status` shows it.

    Raises:
        InvalidInputError: there is none.
    """
    for suite in SUITES.values():
        if suite.name == name:
            return suite
    known = ", ".join(suite.name for suite in SUITES.values())
    raise InvalidInputError("no cipher suite has this name", hint=f"one of {known}")


def open_or_none(aead: Aead, nonce: bytes, sealed: bytes, aad: bytes) -> bytes | None:
    """The plaintext, or None whatever was wrong: so the caller raises outside `except` and nothing is chained."""
    try:
        return aead.decrypt(nonce, sealed, aad)
    except (InvalidTag, ValueError):
        return None
