"""The log's signing key: a file in the key folder, whoever holds the root key.

signing.key   Ed25519 seed, 32 raw bytes (RFC 8032)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from carelink.errors import KeyProviderError
from carelink.keys.private_files import check_private, read_private
from carelink.vault.personal import KEY_LENGTH

__all__ = ["SIGNING", "FolderSigner", "SigningFolder"]

SIGNING: Final = "signing.key"


@attrs.frozen
class FolderSigner:
    """Signs checkpoints under one name (`carelink.ports.system.Signer`)."""

    name: str
    _key: Ed25519PrivateKey = attrs.field(repr=False)

    @property
    def public_key(self) -> bytes:
        """Raw public key, 32 bytes."""
        return self._key.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature."""
        return self._key.sign(message)


class SigningFolder:
    """A key folder, as holder of the signing key alone."""

    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    @classmethod
    def checked(cls, path: Path) -> SigningFolder:
        """The folder, if it is there and private.

        Raises:
            KeyProviderError: it is not.
        """
        check_private(path, folder=True)
        return cls(path)

    def signing_key(self) -> Ed25519PrivateKey:
        """The log's signing key, read from its file.

        Raises:
            KeyProviderError: missing, damaged or not private.
        """
        seed = read_private(self._path / SIGNING)
        if len(seed) != KEY_LENGTH:
            raise KeyProviderError("the signing key file is damaged")
        return Ed25519PrivateKey.from_private_bytes(seed)

    def signer(self, name: str) -> FolderSigner:
        """The signer under this name (the log's origin)."""
        return FolderSigner(name, self.signing_key())

    @staticmethod
    def check_signature(public: bytes, signature: bytes, message: bytes) -> bool:
        """Whether an Ed25519 signature verifies."""
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True
