"""A key folder that is no folder: the signing key lives in this process and ends with it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carelink.keys.signing import SigningFolder
from carelink.system import entropy as system_entropy
from carelink.vault.derive import Entropy
from carelink.vault.personal import KEY_LENGTH

__all__ = ["MemoryKeyFolder"]

_NOWHERE: Final = Path("memory")


class MemoryKeyFolder(SigningFolder):
    """A signing key in memory."""

    __slots__ = ("_signing",)

    def __init__(self, entropy: Entropy = system_entropy) -> None:
        super().__init__(_NOWHERE)
        self._signing = Ed25519PrivateKey.from_private_bytes(entropy(KEY_LENGTH))

    def signing_key(self) -> Ed25519PrivateKey:
        """The log's signing key."""
        return self._signing
