"""A key folder that is no folder: root and signing key live in this process and end with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carelink.keys.folder import KeyFolder
from carelink.system import entropy as system_entropy
from carelink.vault.derive import Entropy
from carelink.vault.personal import KEY_LENGTH, SecretKey

__all__ = ["MemoryKeyFolder"]

_NOWHERE: Final = Path("memory")


class MemoryKeyFolder(KeyFolder):
    """Root key and signing key in memory."""

    __slots__ = ("_signing",)

    def __init__(self, entropy: Entropy = system_entropy) -> None:
        super().__init__(_NOWHERE, [SecretKey(entropy(KEY_LENGTH))], entropy)
        self._signing = Ed25519PrivateKey.from_private_bytes(entropy(KEY_LENGTH))

    def __repr__(self) -> str:
        return "MemoryKeyFolder(***)"

    def signing_key(self) -> Ed25519PrivateKey:
        """The log's signing key."""
        return self._signing

    def rotate(self) -> str:
        """A new root key."""
        return self._roots.rotate()

    def destroy(self, version: str) -> None:
        """Forget an older root key."""
        self._roots.destroy(version)
