"""Key provider `vault-transit`: the root key is a key of the transit engine of HashiCorp Vault or OpenBao.

Versions of the root are the key's versions there; a version's name is its number and the second it was made in, so
that the same number of another key is not taken for it. To destroy is to raise `min_decryption_version` and to trim. A
wrapped KEK is `pack(version, nonce (12) || ciphertext (32) || tag (16))`: the bytes behind `vault:vN:`, decoded, for
base64 has bits to spare that could be changed unseen. The context goes along as `associated_data`.

Plain HTTP/1.1 with JSON, nothing to install. Written from the engine's documented API, and tried against a peer of our
own that follows it: not on a real server. https://developer.hashicorp.com/vault/api-docs/secret/transit
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

import attrs

from carelink.errors import CarelinkError, ConflictError, DecryptError, KeyCheckError, KeyProviderError, SettingsError
from carelink.keys.forms import pack, unpack
from carelink.keys.options import Options
from carelink.keys.provider import KekContext
from carelink.vault.derive import Entropy
from carelink.vault.personal import KEY_LENGTH, SecretKey

__all__ = ["VaultTransitProvider"]

_NAME: Final = "vault-transit"
_KNOWN: Final = frozenset({"address", "mount", "key", "token", "token_file", "namespace", "ca_file", "timeout"})
_TYPES: Final = frozenset({"aes256-gcm96", "chacha20-poly1305"})
_BLOB: Final = 12 + KEY_LENGTH + 16
_LARGEST: Final = 1 << 20
"""Of an answer, in bytes."""

_PLACE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}(/[A-Za-z0-9_.-]{1,64}){0,4}", re.ASCII)
_VERSION: Final = re.compile(r"([1-9][0-9]{0,8})-([0-9]{1,12})", re.ASCII)
_CIPHERTEXT: Final = re.compile(r"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/=]+)", re.ASCII)
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@attrs.frozen
class _Failure:
    """A call that gave nothing: the HTTP status, 0 where there was none, and whether an error was told."""

    status: int
    told: bool = False


@attrs.frozen(kw_only=True)
class _Key:
    """What Vault says of the root key: its versions by number, and from which on they may be used."""

    made: Mapping[int, int]
    lowest: int
    available: int

    @property
    def names(self) -> dict[int, str]:
        """Names of the versions that decrypt, by number, oldest first."""
        return {number: f"{number}-{at}" for number, at in sorted(self.made.items()) if number >= self.lowest}


class VaultTransitProvider:
    """The root key in Vault's transit engine."""

    __slots__ = (
        "_host",
        "_key",
        "_mount",
        "_namespace",
        "_port",
        "_prefix",
        "_seconds",
        "_tls",
        "_token",
        "_token_file",
    )

    def __init__(self, options: Mapping[str, Any], entropy: Entropy) -> None:  # noqa: ARG002  Vault has its own
        """Options: `address`, `token` or `token_file` (read anew for each call, as Vault Agent writes it), and where
        needed `mount`, `key`, `namespace`, `ca_file`, `timeout` (seconds).

        Raises:
            SettingsError: an option is missing, unknown or malformed; the address is not https and not on this machine.
        """
        given = Options(_NAME, options, _KNOWN)
        address = urlsplit(given.text("address"))
        secure = address.scheme == "https"
        if not address.hostname or address.query or not (secure or _is_local(address.scheme, address.hostname)):
            raise SettingsError(
                "`keys.vault-transit.address` is an https address", hint="https://vault.example.org:8200"
            )
        self._host, self._port, self._prefix = address.hostname, _port(address, secure=secure), address.path.rstrip("/")
        self._mount, self._key = given.text("mount", "transit").strip("/"), given.text("key", "carelink-root")
        if _PLACE.fullmatch(self._mount) is None or _PLACE.fullmatch(self._key) is None or "/" in self._key:
            raise SettingsError("`keys.vault-transit.mount` and `key` are names of Vault")
        self._namespace, self._seconds = given.text("namespace", ""), given.seconds("timeout", 5, 0.05, 60)
        self._token, self._token_file = given.maybe_secret("token"), given.text("token_file", "")
        if (self._token is None) == (not self._token_file):
            raise SettingsError("`[keys.vault-transit]` takes `token_env`, `token_secret_file` or `token_file`")
        self._tls = _tls(given.text("ca_file", "")) if secure else None

    def __repr__(self) -> str:
        return "VaultTransitProvider(***)"

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK, under the newest version."""
        names = self._read().names
        if not names:
            raise KeyProviderError(
                "Vault has no root key of this name", hint="`carelink keys rotate root --to vault-transit` makes it"
            )
        number = max(names)
        answer = kek.use(
            lambda raw: self._try(
                "POST",
                f"encrypt/{self._key}",
                plaintext=_text(raw),
                associated_data=_text(context.aad()),
                key_version=number,
            )
        )
        if isinstance(answer, _Failure):
            raise _outage(answer)
        match = _CIPHERTEXT.fullmatch(str(answer.get("ciphertext")))
        blob = _bytes(match[2]) if match else b""
        if match is None or int(match[1]) != number or len(blob) != _BLOB:
            raise _outage(_Failure(0))
        return pack(names[number], blob)

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK; errors as in `KeyProvider.unwrap`."""
        version, blob = unpack(wrapped)
        if len(blob) != _BLOB:
            raise DecryptError("a wrapped key does not open here")
        number = next((number for number, name in self._read().names.items() if name == version), None)
        if number is None:
            raise KeyCheckError("Vault holds no root key of the version that wrapped this")
        opened = self._opened(f"vault:v{number}:{_text(blob)}", context)
        if isinstance(opened, SecretKey):
            return opened
        # Vault answers a wrong tag with 400, and some of its own troubles too. One that still works has told damage.
        if opened.status == http.client.BAD_REQUEST and self._works(number, context):
            raise DecryptError("a wrapped key does not open here")
        raise _outage(opened)

    def versions(self) -> tuple[str, ...]:
        """Versions of the key in Vault that decrypt, oldest first."""
        return tuple(self._read().names.values())

    def version_of(self, wrapped: bytes) -> str:
        """The version that a wrapped KEK names."""
        return unpack(wrapped)[0]

    def rotate(self) -> str:
        """A new version of the key, or the key itself."""
        if self._read().made:
            self._done(self._try("POST", f"keys/{self._key}/rotate"))
        else:
            self._done(self._try("POST", f"keys/{self._key}", type="aes256-gcm96"))
        names = self._read().names
        if not names:
            raise _outage(_Failure(0))
        return names[max(names)]

    def destroy(self, version: str) -> None:
        """Trim an older version away; backups of Vault may still hold it.

        Raises:
            ConflictError: it is the newest, or older ones are still there: Vault trims from the lower end only.
        """
        key, match = self._read(), _VERSION.fullmatch(version)
        if match is None or not key.made:
            return
        number, names = int(match[1]), key.names
        lowest = key.lowest
        if names.get(number) == version:
            if number == max(names):
                raise ConflictError("the newest version of the root key is in use")
            if number != min(names):
                raise ConflictError("versions of the root key in Vault are destroyed oldest first")
            lowest = number + 1
            self._done(
                self._try(
                    "POST", f"keys/{self._key}/config", min_decryption_version=lowest, min_encryption_version=lowest
                )
            )
        if number < lowest and key.available < lowest:
            self._done(self._try("POST", f"keys/{self._key}/trim", min_available_version=lowest))

    def _read(self) -> _Key:
        """The key as Vault has it now.

        Raises:
            KeyProviderError: no answer, or the key is not one that a root key may be.
        """
        data = self._try("GET", f"keys/{self._key}")
        if isinstance(data, _Failure):
            if data.status == http.client.NOT_FOUND and not data.told:
                return _Key(made={}, lowest=1, available=0)
            raise _outage(data)
        if data.get("type") not in _TYPES or data.get("derived") or data.get("convergent_encryption"):
            raise KeyProviderError("the key in Vault is not of type aes256-gcm96, or is derived")
        if data.get("exportable") or data.get("allow_plaintext_backup"):
            raise KeyProviderError("the root key in Vault can be exported", hint="make another, and name it in `key`")
        made = data.get("keys")
        numbers = {name: _number(data, name) for name in ("min_decryption_version", "min_available_version")}
        if not isinstance(made, dict) or not all(str(n).isdecimal() and type(at) is int for n, at in made.items()):
            raise _outage(_Failure(0))
        lowest = max(1, *numbers.values())
        return _Key(
            made={int(n): at for n, at in made.items()}, lowest=lowest, available=numbers["min_available_version"]
        )

    def _opened(self, ciphertext: str, context: KekContext) -> SecretKey | _Failure:
        """The key, or what was wrong: raised by the caller, whose variables hold no key."""
        answer = self._try("POST", f"decrypt/{self._key}", ciphertext=ciphertext, associated_data=_text(context.aad()))
        if isinstance(answer, _Failure):
            return answer
        raw = _bytes(str(answer.get("plaintext")))
        return SecretKey(raw) if len(raw) == KEY_LENGTH else _Failure(0)

    def _works(self, number: int, context: KekContext) -> bool:
        """Whether the key opens what it wraps now: then it is what was to be unwrapped that is damaged."""
        bound = {"associated_data": _text(context.aad())}
        probe = self._try("POST", f"encrypt/{self._key}", plaintext=_text(bytes(KEY_LENGTH)), **bound)
        if isinstance(probe, _Failure):
            return False
        return number > 0 and isinstance(self._opened(str(probe.get("ciphertext")), context), SecretKey)

    def _done(self, answer: dict[str, Any] | _Failure) -> None:
        if isinstance(answer, _Failure):
            raise _outage(answer)

    def _try(self, method: str, path: str, **body: Any) -> dict[str, Any] | _Failure:
        """The `data` of an answer, or why there is none. Nothing is raised in here, where a body holds a key."""
        connection: http.client.HTTPConnection | None = None
        try:
            connection = self._connection()
            sent = json.dumps(body) if method == "POST" else None
            connection.request(method, f"{self._prefix}/v1/{self._mount}/{quote(path)}", sent, self._headers())
            answer = connection.getresponse()
            text = answer.read(_LARGEST)
            status = answer.status
        except (OSError, http.client.HTTPException, UnicodeError, ValueError):
            return _Failure(0)
        finally:
            if connection is not None:
                connection.close()
        return _data(status, text)

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._seconds, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._seconds)

    def _headers(self) -> dict[str, str]:
        if self._token is not None:
            token = self._token.reveal("ask Vault")
        else:
            token = Path(self._token_file).read_text(encoding="ascii").strip()
        headers = {"X-Vault-Token": token, "X-Vault-Request": "true", "Content-Type": "application/json"}
        return {**headers, "X-Vault-Namespace": self._namespace} if self._namespace else headers


def _is_local(scheme: str, host: str) -> bool:
    return scheme == "http" and host in _LOOPBACK


def _port(address: Any, *, secure: bool) -> int:
    port: int | None = None
    try:
        port = address.port or (443 if secure else 80)
    except ValueError:
        port = None
    if port is None:
        raise SettingsError("`keys.vault-transit.address` has a malformed port")
    return port


def _tls(ca_file: str) -> ssl.SSLContext:
    made: ssl.SSLContext | None = None
    try:
        made = ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError):
        made = None
    if made is None:
        raise SettingsError("`keys.vault-transit.ca_file` cannot be read, or holds no certificates")
    return made


def _data(status: int, text: bytes) -> dict[str, Any] | _Failure:
    """What an answer holds. Half of one is none."""
    body: Any = None
    try:
        body = json.loads(text) if text else {}
    except ValueError:
        body = None
    if status == http.client.NO_CONTENT:
        return {}
    if status != http.client.OK or not isinstance(body, dict):
        return _Failure(0 if status == http.client.OK else status, bool(isinstance(body, dict) and body.get("errors")))
    data = body.get("data")
    return data if isinstance(data, dict) else {}


def _number(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    return value if type(value) is int else 0


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    """Decoded, if it is in the one form that its bytes have; else nothing."""
    data = b""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
    return data if _text(data) == text else b""


def _outage(failure: _Failure) -> CarelinkError:
    hints: dict[int, str] = {
        http.client.FORBIDDEN: "the token is missing, expired, or not permitted this",
        http.client.TOO_MANY_REQUESTS: "Vault asks for fewer requests",
        http.client.SERVICE_UNAVAILABLE: "Vault is sealed or not ready",
        http.client.TEMPORARY_REDIRECT: "name the active node in `address`",
        http.client.NOT_FOUND: "is the engine mounted where `mount` says?",
    }
    return KeyProviderError("Vault cannot be reached, or failed", hint=hints.get(failure.status, ""))
