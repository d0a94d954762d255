"""Key providers: whoever holds the root key wraps and unwraps the KEKs of the epochs, and nothing else.

Wrapped KEK, 77 bytes: `version 0x01 (1) || root reference (16) || nonce (12) || ciphertext (32) || tag (16)`,
AES-256-GCM, AAD `"carelink/kek/v1" || lp(tenant) || epoch (4, big-endian)`. The root reference is
HKDF-Expand(root, "carelink/root/v1")[:16]: with it a wrong root is told from a damaged key. crypto.md e10.
"""

from __future__ import annotations

from typing import Final, Protocol

import attrs
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from carelink.errors import CannotJudgeError, DecryptError, KeyCheckError
from carelink.vault.derive import Entropy, expand, lp
from carelink.vault.personal import SecretKey
from carelink.vault.suites import open_or_none

__all__ = ["KekContext", "KeyProvider", "RootKey"]

_VERSION: Final = 1
_LENGTH: Final = 77


@attrs.frozen
class KekContext:
    """What a wrapped KEK is bound to. No personal data: providers log it."""

    tenant: str
    epoch: int

    def aad(self) -> bytes:
        """The binding as bytes."""
        return b"carelink/kek/v1" + lp(self.tenant.encode()) + self.epoch.to_bytes(4, "big")


class KeyProvider(Protocol):
    """Wraps KEKs under a root key that never leaves it."""

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK."""

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK. Raises KeyCheckError for another root, KeyProviderError for an outage, DecryptError otherwise."""


class RootKey:
    """A root key held in this process: a provider by itself, and what the key folder opens to."""

    __slots__ = ("_cipher", "_entropy", "_ref")

    def __init__(self, root: SecretKey, entropy: Entropy) -> None:
        self._cipher = expand_cipher(root)
        self._ref = expand(root, b"carelink/root/v1", 16)
        self._entropy = entropy

    def __repr__(self) -> str:
        return "RootKey(***)"

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The 77-byte wrapped KEK."""
        nonce = self._entropy(12)
        sealed = kek.use(lambda raw: self._cipher.encrypt(nonce, raw, context.aad()))
        return bytes([_VERSION]) + self._ref + nonce + sealed

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK.

        Raises:
            CannotJudgeError: a form of an unknown version.
            KeyCheckError: it was wrapped by another root key.
            DecryptError: it is damaged, or belongs to another tenant or epoch.
        """
        if wrapped and wrapped[0] != _VERSION:
            raise CannotJudgeError("a wrapped key of a version unknown to this carelink")
        if len(wrapped) != _LENGTH:
            raise DecryptError("a wrapped key does not open here")
        if wrapped[1:17] != self._ref:
            raise KeyCheckError("the root key is not the one this key store was made with")
        raw = open_or_none(self._cipher, wrapped[17:29], wrapped[29:], context.aad())
        if raw is None:
            raise DecryptError("a wrapped key does not open here")
        return SecretKey(raw)


def expand_cipher(root: SecretKey) -> AESGCM:
    """The wrapping cipher of a root key: AES-256-GCM under HKDF-Expand(root, "carelink/root-wrap/v1")."""
    return AESGCM(expand(root, b"carelink/root-wrap/v1"))
