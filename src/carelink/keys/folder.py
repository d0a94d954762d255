"""The key folder: root key and log signing key in files of their own, apart from the data. The built-in provider.

root.key      32 raw bytes, or with a passphrase 89 bytes:
              version 0x02 (1) || iterations (4) || memory KiB (4) || lanes (4) || salt (16) || nonce (12)
              || ciphertext (32) || tag (16) -- AES-256-GCM under Argon2id (RFC 9106), AAD the first 29 bytes
              behind the label "carelink/root-file/v2"
root.previous the root key before it, in the same form, while a rotation is under way
signing.key   see `carelink.keys.signing`
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from carelink.errors import ConflictError, KeyCheckError, KeyProviderError
from carelink.keys.private_files import (
    check_private,
    create_private,
    locked,
    make_private_folder,
    read_private,
    remove_private,
    replace_private,
)
from carelink.keys.provider import KekContext, RootKey, RootKeys, root_of
from carelink.keys.signing import SIGNING, FolderSigner, SigningFolder
from carelink.system import entropy as system_entropy
from carelink.vault.derive import Entropy
from carelink.vault.personal import KEY_LENGTH, Personal, SecretKey
from carelink.vault.suites import open_or_none

__all__ = ["FolderSigner", "KeyFolder", "PassphraseCost"]

_ROOT: Final = "root.key"
_PREVIOUS: Final = "root.previous"
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


class KeyFolder(SigningFolder):
    """A key folder, opened: provider of KEKs and holder of the signing key."""

    __slots__ = ("_entropy", "_guard", "_lock", "_open", "_roots", "_seen")

    def __init__(
        self, path: Path, entropy: Entropy, guard: Callable[[bytes], bytes], opener: Callable[[bytes], SecretKey]
    ) -> None:
        """`guard`: what is written to the root key file for a root key. `opener`: what such a file holds."""
        super().__init__(path)
        self._entropy, self._guard, self._open = entropy, guard, opener
        self._lock = threading.Lock()
        self._seen: list[bytes] = []
        self._roots = RootKeys([])
        self._current()

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
        root, guard = entropy(KEY_LENGTH), _guard(passphrase, cost or PassphraseCost(), entropy)
        create_private(path / _ROOT, guard(root))
        create_private(path / SIGNING, entropy(KEY_LENGTH))
        return cls(path, entropy, guard, _opener(passphrase))

    @classmethod
    def open(cls, path: Path, *, entropy: Entropy = system_entropy, passphrase: str | None = None) -> KeyFolder:
        """Open the folder.

        Raises:
            KeyCheckError: the passphrase is missing or wrong.
            KeyProviderError: missing, unreadable, damaged, not private, or another user's.
        """
        check_private(path, folder=True)
        current = read_private(path / _ROOT)
        sealed = len(current) != KEY_LENGTH
        cost = _cost_of(current) if sealed else PassphraseCost()
        return cls(path, entropy, _guard(passphrase if sealed else None, cost, entropy), _opener(passphrase))

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK."""
        return self._current().wrap(kek, context)

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK; errors as in `RootKey.unwrap`."""
        roots = self._current()
        if roots.version_of(wrapped) not in roots.versions():
            roots = self._current()  # a rotation may have passed between two files
        return roots.unwrap(wrapped, context)

    def versions(self) -> tuple[str, ...]:
        """References of the root keys in the folder, oldest first: two while a rotation is under way."""
        return self._current().versions()

    def version_of(self, wrapped: bytes) -> str:
        """The root that a wrapped KEK names."""
        return root_of(wrapped)

    def rotate(self) -> str:
        """A new root key, under the same passphrase; the one before stays in `root.previous` until it is destroyed.

        Raises:
            ConflictError: the root before this one is still there.
            KeyProviderError: the folder cannot be written.
        """
        with locked(self._path):
            current, previous = read_private(self._path / _ROOT), self._path / _PREVIOUS
            if not previous.exists():
                create_private(previous, current)
            elif read_private(previous) != current:
                raise ConflictError("a rotation of the root key is under way", hint="finish it first")
            replace_private(self._path / _ROOT, self._guard(self._entropy(KEY_LENGTH)))
            return self.versions()[-1]

    def destroy(self, version: str) -> None:
        """Destroy an older root key.

        Raises:
            ConflictError: it is the newest.
            KeyProviderError: the folder cannot be written.
        """
        with locked(self._path):
            *old, newest = self.versions()
            if version == newest:
                raise ConflictError("the newest version of the root key is in use")
            if version in old:
                remove_private(self._path / _PREVIOUS)

    def _current(self) -> RootKeys:
        """The root keys that are in the folder now: another process may have made or destroyed one, and what is wrapped
        under one that is gone never opens again. Files that did not change are not opened again, which a passphrase
        makes dear.
        """
        with self._lock:
            root, previous = read_private(self._path / _ROOT), self._path / _PREVIOUS
            # In this order: the root before a new one is there before the new one is.
            files = [*_read_if_there(previous), root]
            seen = [sha256(data).digest() for data in files]
            if seen != self._seen:
                self._roots = RootKeys([RootKey(self._open(data), self._entropy) for data in dict.fromkeys(files)])
                self._seen = seen
            return self._roots


def _read_if_there(path: Path) -> list[bytes]:
    """The bytes of a private file, unless it is gone, which it may be at any time."""
    try:
        return [read_private(path)] if path.exists() else []
    except KeyProviderError:
        if path.exists():
            raise
    return []


def _opener(passphrase: str | None) -> Callable[[bytes], SecretKey]:
    """What becomes of the bytes of a root key file."""
    held = None if passphrase is None else Personal(passphrase)
    return lambda data: _open_root(data, None if held is None else held.reveal("open the root key"))


def _guard(passphrase: str | None, cost: PassphraseCost, entropy: Entropy) -> Callable[[bytes], bytes]:
    """What becomes of a root key on its way to the file. The passphrase stays in here, where nothing prints it."""
    if passphrase is None:
        return bytes
    held = Personal(passphrase)
    return lambda root: _seal_root(root, held.reveal("seal the root key"), cost, entropy)


def _cost_of(data: bytes) -> PassphraseCost:
    return PassphraseCost(*(int.from_bytes(data[at : at + 4], "big") for at in (1, 5, 9)))


def _seal_root(root: bytes, passphrase: str, cost: PassphraseCost, entropy: Entropy) -> bytes:
    numbers = b"".join(number.to_bytes(4, "big") for number in (cost.iterations, cost.memory_kib, cost.lanes))
    salt = entropy(16)
    head = b"\x02" + numbers + salt
    nonce = entropy(12)
    cipher = cost.derive(passphrase, salt).use(AESGCM)
    return head + nonce + cipher.encrypt(nonce, root, _LABEL + head)


def _open_root(data: bytes, passphrase: str | None) -> SecretKey:
    if len(data) == KEY_LENGTH:
        return SecretKey(data)
    if len(data) != _SEALED or data[0] != 0x02:  # noqa: PLR2004  the version
        raise KeyProviderError("the root key file is damaged")
    if passphrase is None:
        raise KeyCheckError("the root key is under a passphrase and none was given", hint="give the passphrase")
    cost = _cost_of(data)
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
