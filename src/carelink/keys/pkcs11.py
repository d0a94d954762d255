"""Key provider `pkcs11`: the root key is an AES-256 key on a PKCS#11 token (an HSM, a smart card), never exportable.

Versions of the root are token objects with one label. CKA_ID, 16 bytes: number (4, big-endian) || random (12); its hex
is the version's name. A wrapped KEK is `pack(version, nonce (12) || ciphertext (32) || tag (16))`, CKM_AES_GCM with the
context as AAD (PKCS#11 v3.0, 6.13.4). Needs `python-pkcs11` (the extra `pkcs11`) and the token's own module.

Tokens that make the nonce themselves, as some do in FIPS mode, do not work with this. Nor does a call into a module
that hangs end in time: PKCS#11 has no time limit. Open it after a fork, not before. In a process that uses the same
module for something else too, give this one a copy of its file: it logs out, and starts it again after a failure.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from carelink.errors import CarelinkError, ConflictError, DecryptError, KeyCheckError, KeyProviderError
from carelink.keys.forms import pack, unpack
from carelink.keys.options import Options
from carelink.keys.plugins import needed_module
from carelink.keys.provider import KekContext
from carelink.vault.derive import Entropy
from carelink.vault.personal import KEY_LENGTH, SecretKey

__all__ = ["Pkcs11Provider"]

T = TypeVar("T")

_NAME: Final = "pkcs11"
_KNOWN: Final = frozenset({"module_file", "token", "pin", "key"})
_NONCE: Final = 12
_TAG: Final = 16
_ID: Final = 16
_NUMBER: Final = 4
_BITS: Final = 8 * KEY_LENGTH
_PROBE: Final = bytes(KEY_LENGTH)
_HINT: Final = "see `[keys.pkcs11]` in the settings"


class _Module:
    """A module of this process: logging in and out, and starting it again, count for all who use it."""

    def __init__(self, file: str) -> None:
        self.file, self.failed = file, False
        self.lock = threading.Lock()


_MODULES: Final[dict[str, _Module]] = {}


class Pkcs11Provider:
    """The root key on a token. Each call opens a session of its own, so that a token may come and go."""

    __slots__ = ("_entropy", "_key", "_library", "_module", "_pin", "_pin_refused", "_token")

    def __init__(self, options: Mapping[str, Any], entropy: Entropy) -> None:
        """Options: `module_file`, `token` (its label), `pin`, `key` (label of the root's versions).

        Raises:
            SettingsError: an option is missing, unknown or malformed.
            PluginError: `python-pkcs11` is not installed.
        """
        given = Options(_NAME, options, _KNOWN)
        file = given.text("module_file")
        self._module, self._token = _MODULES.setdefault(file, _Module(file)), given.text("token")
        self._key, self._pin = given.text("key", "carelink-root"), given.secret("pin")
        self._library: Any = needed_module("pkcs11", "pkcs11")
        self._entropy, self._pin_refused = entropy, False

    def __repr__(self) -> str:
        return "Pkcs11Provider(***)"

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK, under the newest version."""
        nonce = self._entropy(_NONCE)

        def work(session: Any) -> bytes:
            version, key = self._newest(session)
            return pack(version, nonce + kek.use(lambda raw: bytes(key.encrypt(raw, **self._gcm(nonce, context)))))

        return self._on_token(work)

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK; errors as in `KeyProvider.unwrap`."""
        version, blob = unpack(wrapped)
        if len(blob) != _NONCE + KEY_LENGTH + _TAG:
            raise DecryptError("a wrapped key does not open here")
        nonce, sealed = blob[:_NONCE], blob[_NONCE:]

        def work(session: Any) -> SecretKey | None:
            key = self._keys(session).get(version)
            if key is None:
                raise KeyCheckError("the token holds no root key of the version that wrapped this")
            kek: SecretKey | None = None
            try:
                kek = SecretKey(bytes(key.decrypt(sealed, **self._gcm(nonce, context))))
            except (self._library.PKCS11Error, ValueError):
                kek = None
            if kek is not None:
                return kek
            # Tokens answer a wrong tag with whatever error they like. One that still works has told damage.
            again = self._gcm(self._entropy(_NONCE), context)
            key.decrypt(key.encrypt(_PROBE, **again), **again)
            return None

        opened = self._on_token(work)
        if opened is None:
            raise DecryptError("a wrapped key does not open here")
        return opened

    def versions(self) -> tuple[str, ...]:
        """Versions of the root on the token, oldest first."""
        return self._on_token(lambda session: tuple(self._keys(session)))

    def version_of(self, wrapped: bytes) -> str:
        """The version that a wrapped KEK names."""
        return unpack(wrapped)[0]

    def rotate(self) -> str:
        """A new key on the token."""
        random = self._entropy(_ID - _NUMBER)

        def work(session: Any) -> str:
            numbers = [int(version[: 2 * _NUMBER], 16) for version in self._keys(session)]
            key_id = (max(numbers, default=0) + 1).to_bytes(_NUMBER, "big") + random
            attribute = self._library.Attribute
            session.generate_key(
                self._library.KeyType.AES,
                _BITS,
                id=key_id,
                label=self._key,
                store=True,
                template={
                    attribute.SENSITIVE: True,
                    attribute.EXTRACTABLE: False,
                    attribute.ENCRYPT: True,
                    attribute.DECRYPT: True,
                    attribute.WRAP: False,
                    attribute.UNWRAP: False,
                    attribute.SIGN: False,
                    attribute.VERIFY: False,
                    attribute.DERIVE: False,
                },
            )
            return key_id.hex()

        return self._on_token(work, writing=True)

    def destroy(self, version: str) -> None:
        """Destroy an older key on the token. Copies of the token, and its backups, are the operator's affair.

        Raises:
            ConflictError: it is the newest.
        """

        def work(session: Any) -> None:
            keys = self._keys(session)
            if keys and version == next(reversed(keys)):
                raise ConflictError("the newest version of the root key is in use")
            if version in keys:
                keys[version].destroy()

        self._on_token(work, writing=True)

    def _gcm(self, nonce: bytes, context: KekContext) -> dict[str, Any]:
        library = self._library
        return {
            "mechanism": library.Mechanism.AES_GCM,
            "mechanism_param": library.GCMParams(nonce, context.aad(), 8 * _TAG),
        }

    def _newest(self, session: Any) -> tuple[str, Any]:
        keys = self._keys(session)
        if not keys:
            raise KeyProviderError(
                "the token holds no root key", hint="`carelink keys rotate root --to pkcs11` makes the first one"
            )
        return next(reversed(keys.items()))

    def _keys(self, session: Any) -> dict[str, Any]:
        """Token objects by version, oldest first."""
        attribute = self._library.Attribute
        wanted = {attribute.CLASS: self._library.ObjectClass.SECRET_KEY, attribute.LABEL: self._key}
        found = {bytes(key[attribute.ID]).hex(): key for key in session.get_objects(wanted)}
        for version, key in found.items():
            if len(version) != 2 * _ID:
                raise KeyProviderError("a key on the token has the root's label and another's id")
            if key[attribute.EXTRACTABLE] or not key[attribute.SENSITIVE]:
                raise KeyProviderError("a root key on the token can be exported", hint="destroy it on the token")
        return dict(sorted(found.items()))

    def _on_token(self, work: Callable[[Any], T], *, writing: bool = False) -> T:
        """What `work` gives in a session of its own. Whatever the module raises becomes KeyProviderError. Errors are
        raised anew, out here: the frames inside hold objects of the token.
        """
        answers: list[T] = []
        error: CarelinkError = KeyProviderError("the token cannot be reached, or failed", hint=_HINT)
        with self._module.lock:
            if self._pin_refused:
                raise KeyProviderError(
                    "the token refused the PIN, and is not asked again, so that it is not locked", hint=_HINT
                )
            try:
                with self._session(writing=writing) as session:
                    answers.append(work(session))
            except CarelinkError as raised:
                error = raised.with_traceback(None)
            except (self._library.PinIncorrect, self._library.PinLocked, self._library.PinExpired):
                self._pin_refused = True
                error = KeyProviderError("the token refused the PIN", hint=_HINT)
            except (self._library.PKCS11Error, RuntimeError, OSError, ValueError):
                self._module.failed = True
        if not answers:
            raise error
        return answers[0]

    def _session(self, *, writing: bool) -> Any:
        library = self._library.lib(self._module.file)
        if self._module.failed:
            # Modules that lost their device often do not find it again otherwise.
            library.reinitialize()
            self._module.failed = False
        token = library.get_token(token_label=self._token)
        return self._pin.use(lambda pin: token.open(rw=writing, user_pin=pin))
