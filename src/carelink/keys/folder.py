"""The key folder: root key and log signing key in files of their own, apart from the data.

root.key      32 raw bytes, or with a passphrase 89 bytes:
              version 0x02 (1) || iterations (4) || memory KiB (4) || lanes (4) || salt (16) || nonce (12)
              || ciphertext (32) || tag (16) -- AES-256-GCM under Argon2id (RFC 9106), AAD the first 29 bytes
              behind the label "carelink/root-file/v2"
signing.key   Ed25519 seed, 32 raw bytes (RFC 8032)
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from carelink.errors import KeyCheckError, KeyProviderError
from carelink.keys.private_files import check_private, create_private, make_private_folder, read_private
from carelink.keys.provider import KekContext, RootKey
from carelink.system import entropy as system_entropy
from carelink.vault.derive import Entropy
from carelink.vault.personal import KEY_LENGTH, SecretKey
from carelink.vault.suites import open_or_none

__all__ = ["FolderSigner", "KeyFolder", "PassphraseCost"]

_ROOT: Final = "root.key"
_SIGNING: Final = "signing.key"
_LABEL: Final = b"carelink/root-file/v2"
_SEALED: Final = 89
_HEAD: Final = 29


@attrs.frozen
class PassphraseCost:
    """Argon2id parameters. The default is RFC 9106's second choice: 3 passes over 64 MiB."""

    iterations: int = 3
    memory_kib: int = 65536
    lanes: int = 4

    def derive(self, passphrase: str, salt: bytes) -> SecretKey:
        """The key of a passphrase."""
        kdf = Argon2id(
            salt=salt,
            length=KEY_LENGTH,
            iterations=self.iterations,
            lanes=self.lanes,
            memory_cost=self.memory_kib,
        )
        return SecretKey(kdf.derive(passphrase.encode()))


_LIMIT: Final = PassphraseCost(iterations=64, memory_kib=4 * 1024 * 1024, lanes=64)


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


class KeyFolder:
    """A key folder, opened: provider of KEKs and holder of the signing key."""

    __slots__ = ("_path", "_root")

    def __init__(self, path: Path, root: RootKey) -> None:
        self._path = path
        self._root = root

    def __repr__(self) -> str:
        return "KeyFolder(***)"

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        entropy: Entropy = system_entropy,
        passphrase: str | None = None,
        cost: PassphraseCost | None = None,
    ) -> KeyFolder:
        """Make the folder with a new root key and a new signing key.

        Raises:
            ConflictError: there is a root key already; it is never replaced.
            KeyProviderError: it cannot be written or is not private.
        """
        make_private_folder(path)
        root = entropy(KEY_LENGTH)
        data = root if passphrase is None else _seal_root(root, passphrase, cost or PassphraseCost(), entropy)
        create_private(path / _ROOT, data)
        create_private(path / _SIGNING, entropy(KEY_LENGTH))
        return cls(path, RootKey(SecretKey(root), entropy))

    @classmethod
    def open(cls, path: Path, *, entropy: Entropy = system_entropy, passphrase: str | None = None) -> KeyFolder:
        """Open the folder.

        Raises:
            KeyCheckError: the passphrase is missing or wrong.
            KeyProviderError: missing, unreadable, damaged, not private, or another user's.
        """
        check_private(path, folder=True)
        data = read_private(path / _ROOT)
        if len(data) == KEY_LENGTH:
            return cls(path, RootKey(SecretKey(data), entropy))
        return cls(path, RootKey(_open_root(data, passphrase), entropy))

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK."""
        return self._root.wrap(kek, context)

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK; errors as in `RootKey.unwrap`."""
        return self._root.unwrap(wrapped, context)

    def signing_key(self) -> Ed25519PrivateKey:
        """The log's signing key, read from its file.

        Raises:
            KeyProviderError: missing, damaged or not private.
        """
        seed = read_private(self._path / _SIGNING)
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


def _seal_root(root: bytes, passphrase: str, cost: PassphraseCost, entropy: Entropy) -> bytes:
    numbers = b"".join(number.to_bytes(4, "big") for number in (cost.iterations, cost.memory_kib, cost.lanes))
    salt = entropy(16)
    head = b"\x02" + numbers + salt
    nonce = entropy(12)
    cipher = cost.derive(passphrase, salt).use(AESGCM)
    return head + nonce + cipher.encrypt(nonce, root, _LABEL + head)


def _open_root(data: bytes, passphrase: str | None) -> SecretKey:
    if len(data) != _SEALED or data[0] != 0x02:  # noqa: PLR2004  the version
        raise KeyProviderError("the root key file is damaged")
    if passphrase is None:
        raise KeyCheckError("the root key is under a passphrase and none was given", hint="give the passphrase")
    cost = PassphraseCost(*(int.from_bytes(data[at : at + 4], "big") for at in (1, 5, 9)))
    if not (
        0 < cost.iterations <= _LIMIT.iterations
        and 0 < cost.lanes <= _LIMIT.lanes
        and 8 * cost.lanes <= cost.memory_kib <= _LIMIT.memory_kib
    ):
        raise KeyProviderError("the root key file is damaged")
    cipher = cost.derive(passphrase, data[13:_HEAD]).use(AESGCM)
    root = open_or_none(cipher, data[_HEAD : _HEAD + 12], data[_HEAD + 12 :], _LABEL + data[:_HEAD])
    if root is None:
        raise KeyCheckError("the passphrase does not open the root key", hint="check the passphrase")
    return SecretKey(root)
