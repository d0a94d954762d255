"""The data key of one owner (a patient or related person): 32 random bytes, wrapped under an epoch's KEK.

Source: reference crypto.md e2. Derivations, all HKDF-Expand:

    K_enc = Expand(DEK, "carelink/enc/v1" || suite)
    kid   = Expand(DEK, "carelink/kid/v1" || suite || lp(tenant) || lp(owner))[:16]     commits to the key

Wrapped form, 65 bytes: `version 0x01 (1) || epoch (4, big-endian) || nonce (12) || ciphertext (32) || tag (16)`,
AES-256-GCM under the KEK, AAD `"carelink/dek/v1" || epoch || lp(tenant) || lp(owner) || kid`.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from carelink.errors import CannotJudgeError, DecryptError
from carelink.vault.derive import Entropy, lp
from carelink.vault.personal import KEY_LENGTH, SecretKey
from carelink.vault.suites import AES_256_GCM, Aead, Suite, open_or_none

__all__ = [
    "WRAPPED_LENGTH",
    "DataKey",
    "Kek",
    "commit",
    "new_data_key",
    "unwrap",
    "unwrap_bytes",
    "wrap",
    "wrap_bytes",
    "wrapped_epoch",
]

WRAPPED_LENGTH: Final = 65
"""Bytes of a wrapped key."""

_VERSION: Final = 1
_NONCE: Final = 12
_HEAD: Final = 5
_MAX_EPOCH: Final = 2**32


class DataKey:
    """A data key in use. Shows its kid's presence only: repr is masked, pickling is refused.

    Attributes:
        kid: 16 bytes, public: names the key in envelopes and commits to it.
        header: version, suite and kid, the first 18 bytes of every envelope under this key.
        generation: 1 for the first key of its owner.
    """

    __slots__ = ("_cipher", "_secret", "generation", "header", "kid", "owner", "suite", "tenant")

    def __init__(
        self, secret: SecretKey, tenant: str, owner: str, *, generation: int = 1, suite: Suite = AES_256_GCM
    ) -> None:
        self._secret = secret
        self._cipher: Aead | None = None
        self.tenant = tenant
        self.owner = owner
        self.generation = generation
        self.suite = suite
        info = b"carelink/kid/v1" + suite.octet + lp(tenant.encode()) + lp(owner.encode())
        self.kid = suite.derive(secret, info, 16)
        self.header = bytes([1]) + suite.octet + self.kid

    @property
    def cipher(self) -> Aead:
        """The cipher under K_enc, made at first use."""
        if self._cipher is None:
            key = self.suite.derive(self._secret, b"carelink/enc/v1" + self.suite.octet, self.suite.key_length)
            self._cipher = self.suite.aead(key)
        return self._cipher

    @property
    def secret(self) -> SecretKey:
        """The key itself, masked."""
        return self._secret

    def __repr__(self) -> str:
        return "DataKey(***)"

    def __copy__(self) -> DataKey:
        return self

    def __deepcopy__(self, memo: object) -> DataKey:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a data key cannot be pickled")


class Kek:
    """A key-encryption key of one epoch, in use."""

    __slots__ = ("cipher", "epoch")

    def __init__(self, key: SecretKey, epoch: int) -> None:
        if not 0 <= epoch < _MAX_EPOCH:
            raise ValueError("an epoch is a 32-bit number")
        self.cipher = key.use(AESGCM)
        self.epoch = epoch

    def __repr__(self) -> str:
        return "Kek(***)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a key cannot be pickled")


def new_data_key(
    tenant: str, owner: str, entropy: Entropy, *, generation: int = 1, suite: Suite = AES_256_GCM
) -> DataKey:
    """A fresh key."""
    return DataKey(SecretKey(entropy(KEY_LENGTH)), tenant, owner, generation=generation, suite=suite)


def wrap_bytes(kek: Kek, secret: SecretKey, label: bytes, bound: bytes, entropy: Entropy) -> bytes:
    """Wrap any 32-byte key in the 65-byte form; the AAD is `label || epoch || bound`."""
    epoch = kek.epoch.to_bytes(4, "big")
    nonce = entropy(_NONCE)
    return (
        bytes([_VERSION])
        + epoch
        + nonce
        + secret.use(lambda raw: kek.cipher.encrypt(nonce, raw, label + epoch + bound))
    )


def unwrap_bytes(kek: Kek, wrapped: bytes, label: bytes, bound: bytes) -> SecretKey:
    """Unwrap what `wrap_bytes` made.

    Raises:
        CannotJudgeError: a wrapped form of an unknown version.
        DecryptError: it does not open under this KEK in this place.
    """
    raw: bytes | None = None
    if wrapped_epoch(wrapped) == kek.epoch:
        raw = open_or_none(kek.cipher, wrapped[_HEAD : _HEAD + _NONCE], wrapped[17:], label + wrapped[1:_HEAD] + bound)
    if raw is None:
        raise DecryptError("a wrapped key does not open here")
    return SecretKey(raw)


def wrapped_epoch(wrapped: bytes) -> int:
    """The epoch whose KEK wraps this key.

    Raises:
        CannotJudgeError: a wrapped form of an unknown version.
        DecryptError: not a wrapped key.
    """
    if wrapped and wrapped[0] != _VERSION:
        raise CannotJudgeError("a wrapped key of a version unknown to this carelink")
    if len(wrapped) != WRAPPED_LENGTH:
        raise DecryptError("a wrapped key does not open here")
    return int.from_bytes(wrapped[1:_HEAD], "big")


def _bound(tenant: str, owner: str, kid: bytes) -> bytes:
    return lp(tenant.encode()) + lp(owner.encode()) + kid


def wrap(kek: Kek, key: DataKey, entropy: Entropy) -> bytes:
    """Wrap a data key: 65 bytes that open only for its tenant, owner, kid and epoch."""
    return wrap_bytes(kek, key.secret, b"carelink/dek/v1", _bound(key.tenant, key.owner, key.kid), entropy)


def unwrap(
    kek: Kek,
    wrapped: bytes,
    tenant: str,
    owner: str,
    kid: bytes,
    *,
    generation: int = 1,
    suite: Suite = AES_256_GCM,
) -> DataKey:
    """Unwrap a data key and check that it is the one its kid commits to.

    Raises:
        CannotJudgeError: a wrapped form of an unknown version.
        DecryptError: it does not open here, or is another key.
    """
    secret = unwrap_bytes(kek, wrapped, b"carelink/dek/v1", _bound(tenant, owner, kid))
    key = DataKey(secret, tenant, owner, generation=generation, suite=suite)
    if not hmac.compare_digest(key.kid, kid):
        raise DecryptError("a wrapped key does not open here")
    return key


def commit(key: DataKey, salt: bytes, data: bytes) -> bytes:
    """Commitment that dies with the key: HMAC(Expand(DEK, "carelink/commit/v1" || lp(salt)), data) of the suite."""
    return key.suite.mac(key.suite.derive(key.secret, b"carelink/commit/v1" + lp(salt), 32), data)
