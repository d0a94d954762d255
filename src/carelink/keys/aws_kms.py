"""Key provider `aws-kms`: the root key is a symmetric key of AWS KMS, which never leaves it.

Versions of the root are KMS keys, each under an alias `ALIAS/NUMBER`; a version's name is its key's id. To rotate is to
make a key and its alias, to destroy is to schedule the key's deletion (7 to 30 days, in which it opens nothing and an
administrator can still bring it back) and to drop the alias. A wrapped KEK is `pack(version, KMS ciphertext)`, with
tenant and epoch as encryption context: both are random or a number, for KMS logs them.

Only keys under these aliases are ever asked to decrypt: a wrapped KEK that names somebody else's key opens nothing.
Needs `boto3` (the extra `aws-kms`). Tried against moto, an emulator, and not against AWS itself.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import attrs

from carelink.errors import CarelinkError, ConflictError, DecryptError, KeyCheckError, KeyProviderError, SettingsError
from carelink.keys.forms import VERSION, pack, unpack
from carelink.keys.options import Options
from carelink.keys.plugins import needed_module
from carelink.keys.provider import KekContext
from carelink.vault.derive import Entropy
from carelink.vault.personal import KEY_LENGTH, Personal, SecretKey

__all__ = ["AwsKmsProvider"]

_NAME: Final = "aws-kms"
_KNOWN: Final = frozenset(
    {
        "alias", "region", "endpoint", "profile", "access_key_id", "secret_access_key", "session_token", "timeout",
        "attempts", "deletion_days",
    }
)  # fmt: skip
_ALIAS: Final = re.compile(r"alias/(?!aws/)[A-Za-z0-9/_-]{1,200}", re.ASCII)
_LONGEST: Final = 6144
"""Of a ciphertext, in bytes (KMS API, `Decrypt`)."""

_DAMAGED: Final = {"InvalidCiphertextException", "IncorrectKeyException"}
_RESTING: Final = {"KMSInvalidStateException", "DisabledException"}
_DENIED: Final = {"AccessDeniedException", "AccessDenied"}
_RACES: Final = 5


@attrs.frozen
class _Failure:
    """What went wrong with a call: the service's own code, or "" where it gave none."""

    code: str = ""


class _Quiet(logging.Filter):
    """Drops what botocore would log of this provider's calls: at DEBUG it logs the bodies, and in them keys."""

    def __init__(self) -> None:
        super().__init__()
        self._inside = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        """Whether a record may pass."""
        return not getattr(self._inside, "on", False)

    @contextmanager
    def on(self) -> Iterator[None]:
        """In this thread, from here on. Loggers are looked up each time: botocore makes them as it goes."""
        for name in list(logging.root.manager.loggerDict):
            if name.split(".", 1)[0] == "botocore":
                logging.getLogger(name).addFilter(self)  # once, however often
        self._inside.on = True
        try:
            yield
        finally:
            self._inside.on = False


_QUIET: Final = _Quiet()


class AwsKmsProvider:
    """The root key in AWS KMS."""

    __slots__ = ("_alias", "_client", "_days", "_failures", "_made", "_number")

    def __init__(self, options: Mapping[str, Any], entropy: Entropy) -> None:  # noqa: ARG002  KMS has its own
        """Options: `alias`, `region`, and where needed `endpoint`, `profile`, `access_key_id`, `secret_access_key`,
        `session_token`, `timeout` (seconds), `attempts`, `deletion_days`.

        Raises:
            SettingsError: an option is missing, unknown or malformed.
            PluginError: `boto3` is not installed.
        """
        given = Options(_NAME, options, _KNOWN)
        self._alias = given.text("alias", "alias/carelink-root")
        if _ALIAS.fullmatch(self._alias) is None:
            raise SettingsError("`keys.aws-kms.alias` begins with `alias/`, and is none of AWS's own")
        self._days = given.number("deletion_days", 30, 7, 30)
        self._number = re.compile(re.escape(self._alias) + r"/([0-9]{1,9})", re.ASCII)
        self._made: dict[int, str] = {}
        exceptions: Any = needed_module("botocore.exceptions", _NAME)
        self._failures = (exceptions.ClientError, exceptions.BotoCoreError)
        client: Any = None
        try:
            client = _client(given)
        except self._failures:
            client = None
        if client is None:
            raise SettingsError(
                "`[keys.aws-kms]` does not say how to reach KMS", hint="check region, endpoint, profile"
            )
        self._client = client

    def __repr__(self) -> str:
        return "AwsKmsProvider(***)"

    def wrap(self, kek: SecretKey, context: KekContext) -> bytes:
        """The wrapped KEK, under the newest version."""
        versions = self.versions()
        if not versions:
            raise KeyProviderError(
                "KMS has no root key under this alias",
                hint="`carelink keys rotate root --to aws-kms` makes the first one",
            )
        answer = kek.use(lambda raw: self._try("encrypt", KeyId=versions[-1], Plaintext=raw, **_bound(context)))
        return pack(versions[-1], bytes(_whole(answer, "CiphertextBlob")))

    def unwrap(self, wrapped: bytes, context: KekContext) -> SecretKey:
        """The KEK; errors as in `KeyProvider.unwrap`."""
        version, blob = unpack(wrapped)
        if not 0 < len(blob) <= _LONGEST:
            raise DecryptError("a wrapped key does not open here")
        if version not in self.versions():
            raise KeyCheckError("KMS holds no root key of the version that wrapped this, or not under this alias")
        opened = self._opened(version, blob, context)
        if isinstance(opened, SecretKey):
            return opened
        if opened.code in _RESTING:
            state = _whole(self._try("describe_key", KeyId=version), "KeyMetadata").get("KeyState")
            if state in {"PendingDeletion", "PendingReplicaDeletion"}:
                raise KeyCheckError("the root key that wrapped this is being deleted in KMS")
        elif opened.code in _DAMAGED or (opened.code in _DENIED and self._works(version, context)):
            raise DecryptError("a wrapped key does not open here")
        elif opened.code == "NotFoundException":
            raise KeyCheckError("KMS no longer holds the root key that wrapped this")
        raise _outage(opened)

    def versions(self) -> tuple[str, ...]:
        """Ids of the keys under the root's aliases, oldest first."""
        return tuple(dict.fromkeys(self._numbered().values()))

    def version_of(self, wrapped: bytes) -> str:
        """The version that a wrapped KEK names."""
        return unpack(wrapped)[0]

    def rotate(self) -> str:
        """A new key, and its alias. One that was made but got no alias wraps nothing, and is the administrator's to
        delete: it bears the tag `carelink-root`.
        """
        number = max(self._numbered(), default=0)
        made = self._try(
            "create_key",
            Description="carelink root key",
            KeyUsage="ENCRYPT_DECRYPT",
            KeySpec="SYMMETRIC_DEFAULT",
            Tags=[{"TagKey": "carelink-root", "TagValue": self._alias}],
        )
        version = str(_whole(made, "KeyMetadata")["KeyId"])
        for _ in range(_RACES):
            number += 1
            named = self._try("create_alias", AliasName=f"{self._alias}/{number}", TargetKeyId=version)
            if not isinstance(named, _Failure):
                self._made[number] = version
                return version
            if named.code != "AlreadyExistsException":
                raise _outage(named)
        raise ConflictError("the root key is being rotated by others", hint="run it again")

    def destroy(self, version: str) -> None:
        """Schedule an older key's deletion and drop its alias.

        Raises:
            ConflictError: it is the newest.
        """
        numbered = self._numbered()
        if numbered and version == numbered[max(numbered)]:
            raise ConflictError("the newest version of the root key is in use")
        for number in [number for number, each in numbered.items() if each == version]:
            # The alias last: as long as it is there, a deletion that was cut is done again.
            gone = self._try("schedule_key_deletion", KeyId=version, PendingWindowInDays=self._days)
            if isinstance(gone, _Failure) and gone.code not in {"KMSInvalidStateException", "NotFoundException"}:
                raise _outage(gone)
            dropped = self._try("delete_alias", AliasName=f"{self._alias}/{number}")
            if isinstance(dropped, _Failure) and dropped.code != "NotFoundException":
                raise _outage(dropped)
            self._made.pop(number, None)

    def _numbered(self) -> dict[int, str]:
        """Keys by the number of their alias. KMS lists what was just made some seconds later: it is remembered here."""
        found: dict[int, str] = {}
        marker: dict[str, str] = {}
        while True:
            page = self._try("list_aliases", **marker)
            for each in _whole(page, "Aliases"):
                match = self._number.fullmatch(str(each.get("AliasName")))
                version = str(each.get("TargetKeyId"))
                if match and VERSION.fullmatch(version):
                    found[int(match[1])] = version
                    self._made.pop(int(match[1]), None)
            if isinstance(page, _Failure) or not page.get("Truncated"):
                return dict(sorted({**self._made, **found}.items()))
            marker = {"Marker": str(_whole(page, "NextMarker"))}

    def _opened(self, version: str, blob: bytes, context: KekContext) -> SecretKey | _Failure:
        """The key, or what was wrong: raised by the caller, whose variables hold no key."""
        answer = self._try("decrypt", KeyId=version, CiphertextBlob=blob, **_bound(context))
        if isinstance(answer, _Failure):
            return answer
        raw = answer.get("Plaintext")
        if not isinstance(raw, bytes) or len(raw) != KEY_LENGTH or not str(answer.get("KeyId")).endswith(version):
            return _Failure("half an answer")
        return SecretKey(raw)

    def _works(self, version: str, context: KekContext) -> bool:
        """Whether the key opens what it wraps now: then it is what was to be unwrapped that is damaged."""
        probe = self._try("encrypt", KeyId=version, Plaintext=bytes(KEY_LENGTH), **_bound(context))
        if isinstance(probe, _Failure) or not isinstance(probe.get("CiphertextBlob"), bytes):
            return False
        return isinstance(self._opened(version, probe["CiphertextBlob"], context), SecretKey)

    def _try(self, verb: str, **arguments: Any) -> dict[str, Any] | _Failure:
        """The answer to a call, or why there is none. Nothing is raised in here, where arguments hold keys."""
        try:
            with _QUIET.on():
                answer: dict[str, Any] = getattr(self._client, verb)(**arguments)
                return answer
        except self._failures as error:
            told = getattr(error, "response", None)  # that of a time-out is None
            found = told.get("Error", {}).get("Code") if isinstance(told, dict) else None
            return _Failure(str(found or ""))


def _client(given: Options) -> Any:
    boto3, config = needed_module("boto3", _NAME), needed_module("botocore.config", _NAME)
    seconds = given.seconds("timeout", 5, 0.05, 60)

    def text(name: str) -> str | None:
        return given.text(name, "") or None

    def secret(name: str) -> Personal[str] | None:
        return given.maybe_secret(name)

    session = boto3.session.Session(
        profile_name=text("profile"),
        region_name=text("region"),
        **{
            f"aws_{name}": value.reveal("sign calls to KMS")
            for name in ("access_key_id", "secret_access_key", "session_token")
            if (value := secret(name)) is not None
        },
    )
    with _QUIET.on():
        return session.client(
            "kms",
            endpoint_url=text("endpoint"),
            config=config.Config(
                connect_timeout=seconds,
                read_timeout=seconds,
                retries={"mode": "standard", "total_max_attempts": given.number("attempts", 3, 1, 5)},
            ),
        )


def _bound(context: KekContext) -> dict[str, dict[str, str]]:
    return {"EncryptionContext": {"carelink": "kek", "tenant": context.tenant, "epoch": str(context.epoch)}}


def _whole(answer: dict[str, Any] | _Failure, field: str) -> Any:
    """A field of an answer.

    Raises:
        KeyProviderError: there is no answer, or half of one.
    """
    if isinstance(answer, _Failure):
        raise _outage(answer)
    if field not in answer:
        raise _outage(_Failure("half an answer"))
    return answer[field]


def _outage(failure: _Failure) -> CarelinkError:
    if failure.code in _DENIED:
        return KeyProviderError(
            "KMS does not permit this", hint="see docs/how-to/choose-a-key-provider.md for the permissions"
        )
    known = re.fullmatch(r"[A-Za-z.]{1,60}", failure.code)
    return KeyProviderError("KMS cannot be reached, or failed", hint=failure.code if known else "")
