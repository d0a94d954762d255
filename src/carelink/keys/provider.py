"""Key providers: whoever holds the root key wraps and unwraps the KEKs of the epochs, and nothing else.

Wrapped KEK, 77 bytes: `version 0x01 (1) || root reference (16) || nonce (12) || ciphertext (32) || tag (16)`,
AES-256-GCM, AAD `"carelink/kek/v1" || lp(tenant) || epoch (4, big-endian)`. The root reference is
HKDF-Expand(root, "carelink/root/v1")[:16]: with it a wrong root is told from a damaged key. crypto.md e10.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import attrs
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from carelink.errors import CannotJudgeError, ConflictError, DecryptError, KeyCheckError
from carelink.vault.derive import Entropy, expand, lp
from carelink.vault.personal import KEY_LENGTH, SecretKey
from carelink.vault.suites import open_or_none

__all__ = ["KekContext", "KeyProvider", "RootKey", "RootKeys", "root_of"]

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
    """Wraps KEKs under a root key that never leaves it. The root has versions: the newest wraps, all of them unwrap.
    Wrapped forms are self-describing, so that a provider tells its own, and which version made them. Calls may come
    from several threads. The whole contract: docs/reference/key-provider.md.
    """

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK, under the newest version. Raises KeyProviderError for an outage."""

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK. Raises KeyCheckError for another root or a destroyed version, KeyProviderError for an outage,
        DecryptError otherwise. A damaged form never looks like an outage.
        """

    def versions(self) -> tuple[str, ...]:
        """Versions of the root that unwrap, oldest first. Names without secrets, `[A-Za-z0-9_.:-]{1,64}`, that no other
        root's versions bear. None, where there is no root key yet.
        """

    def version_of(self, wrapped: bytes) -> str:
        """The version that a wrapped KEK names; DecryptError if the bytes are no form of this provider's."""

    def rotate(self) -> str:
        """A new version that wraps from now on; the first, if there is none. Durable before it returns."""

    def destroy(self, version: str) -> None:
        """Destroy an older version: what it wrapped never opens again. Again is harmless; ConflictError for the
        newest one, or, if the provider cannot, for one that has an older one before it.
        """


class RootKey:
    """A root key held in this process: a provider by itself, and what the key folder opens to."""

    __slots__ = ("_cipher", "_entropy", "_ref")

    def __init__(self, root: SecretKey, entropy: Entropy) -> None:
        self._cipher = expand_cipher(root)
        self._ref = expand(root, b"carelink/root/v1", 16)
        self._entropy = entropy

    def __repr__(self) -> str:
        return "RootKey(***)"

    def successor(self) -> RootKey:
        """Another root key, made with the same entropy."""
        return RootKey(SecretKey(self._entropy(KEY_LENGTH)), self._entropy)

    @property
    def version(self) -> str:
        """Name of this root: its reference in hex."""
        return self._ref.hex()

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
        if root_of(wrapped) != self.version:
            raise KeyCheckError("the root key is not the one this key store was made with")
        raw = open_or_none(self._cipher, wrapped[17:29], wrapped[29:], context.aad())
        if raw is None:
            raise DecryptError("a wrapped key does not open here")
        return SecretKey(raw)


class RootKeys:
    """The versions of a root key that are held in this process: a provider by itself."""

    __slots__ = ("_roots",)

    def __init__(self, roots: Sequence[RootKey]) -> None:
        """`roots`: oldest first, at least one; one that occurs twice counts once."""
        self._roots = {root.version: root for root in roots}

    def __repr__(self) -> str:
        return "RootKeys(***)"

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK, under the newest root."""
        return self._newest.wrap(kek, context)

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK; errors as in `RootKey.unwrap`."""
        return self._roots.get(root_of(wrapped), self._newest).unwrap(wrapped, context)

    def versions(self) -> tuple[str, ...]:
        """References of the roots, oldest first."""
        return tuple(self._roots)

    def version_of(self, wrapped: bytes) -> str:
        """The root that a wrapped KEK names."""
        return root_of(wrapped)

    def rotate(self) -> str:
        """A new root."""
        root = self._newest.successor()
        self.add(root)
        return root.version

    def add(self, root: RootKey) -> None:
        """Another root, the newest now."""
        self._roots.pop(root.version, None)
        self._roots[root.version] = root

    def destroy(self, version: str) -> None:
        """Forget an older root.

        Raises:
            ConflictError: it is the newest.
        """
        if version == self._newest.version:
            raise ConflictError("the newest version of the root key is in use")
        self._roots.pop(version, None)

    @property
    def _newest(self) -> RootKey:
        return next(reversed(self._roots.values()))


def root_of(wrapped: bytes) -> str:
    """The version of the root that wrapped a KEK.

    Raises:
        CannotJudgeError: a form of an unknown version.
        DecryptError: not a wrapped KEK.
    """
    if wrapped and wrapped[0] != _VERSION:
        raise CannotJudgeError("a wrapped key of a version unknown to this carelink")
    if len(wrapped) != _LENGTH:
        raise DecryptError("a wrapped key does not open here")
    return wrapped[1:17].hex()


def expand_cipher(root: SecretKey) -> AESGCM:
    """The wrapping cipher of a root key: AES-256-GCM under HKDF-Expand(root, "carelink/root-wrap/v1")."""
    return AESGCM(expand(root, b"carelink/root-wrap/v1"))
