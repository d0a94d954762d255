"""Every exception carelink raises on purpose: one tree, each class with a stable code and a hint.

Rules for messages (docs/explanation/errors.md): lower case, one line, domain words, back-ticks around
input that is safe to show, and never personal data. An exception MUST NOT carry a name, an address, an
identifier, a key, a ciphertext or a request key, neither in its text nor in its arguments (P8).
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "AccessDeniedError",
    "CannotJudgeError",
    "CarelinkError",
    "ChannelError",
    "ConfigurationError",
    "ConflictError",
    "DamagedRowError",
    "DecryptError",
    "DivergedError",
    "ErasedError",
    "FormatError",
    "InvalidInputError",
    "KeyCheckError",
    "KeyMissingError",
    "KeyProviderError",
    "NotFoundError",
    "PermitError",
    "PluginError",
    "PolicyError",
    "SelfApprovalError",
    "SettingsError",
    "StoreError",
    "StoreOutdatedError",
    "StoreRestoredError",
    "TamperedError",
]


class CarelinkError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        code: stable dotted name, part of the public contract (`docs/reference/errors.md`).
        hint: what the caller can do about it; may be empty.
    """

    code: ClassVar[str] = "carelink.error"
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = self.default_hint if hint is None else hint

    def __str__(self) -> str:
        text = f"{self.code}: {self.message}"
        return f"{text} ({self.hint})" if self.hint else text


class InvalidInputError(CarelinkError):
    """The caller handed over a value that has no meaning here."""

    code = "input.invalid"


class NotFoundError(CarelinkError):
    """A patient, template, request or channel that was named does not exist."""

    code = "input.not_found"


class ConflictError(CarelinkError):
    """A request key was used again with other content, or a row exists with other values."""

    code = "input.conflict"


class AccessDeniedError(CarelinkError):
    """Somebody may not open personal data in this role, for this purpose; where it is of a patient, the attempt is in
    the log.
    """

    code = "access.denied"


class SelfApprovalError(ConflictError):
    """The author of a text cannot approve it; the attempt is in the log."""

    code = "content.self_approval"
    default_hint = "ask somebody else"


class FormatError(CarelinkError):
    """Bytes that claim to be one of carelink's forms are not in that form."""

    code = "format.invalid"


class CannotJudgeError(CarelinkError):
    """A form of an unknown version, or evidence that is incomplete: neither good nor bad can be said."""

    code = "format.cannot_judge"


class TamperedError(CarelinkError):
    """Recorded bytes contradict what was signed, or a sealed field does not open in its place."""

    code = "evidence.tampered"


class DivergedError(CarelinkError):
    """A recorded decision is not what its recorded facts and policy give."""

    code = "evidence.diverged"


class ConfigurationError(CarelinkError):
    """The parts do not fit together."""

    code = "configuration.invalid"


class SettingsError(ConfigurationError):
    """A setting is missing or malformed."""

    code = "configuration.settings"


class PolicyError(ConfigurationError):
    """A policy pack cannot be read, or does not say what a pack must say."""

    code = "configuration.policy"


class PluginError(ConfigurationError):
    """A plugin is malformed; start-up stops."""

    code = "configuration.plugin"


class StoreError(CarelinkError):
    """The store cannot be read or written."""

    code = "store.failed"


class DamagedRowError(StoreError):
    """A row in the store holds what no version of carelink writes there."""

    code = "store.damaged_row"
    default_hint = "restore a backup, then run `carelink store reconcile`"


class StoreOutdatedError(StoreError):
    """The store's schema is not the one this version works with."""

    code = "store.outdated"
    default_hint = "run `carelink store migrate`"


class StoreRestoredError(StoreError):
    """The store is older than what was published from it: a restored backup."""

    code = "store.restored"
    default_hint = "run `carelink store reconcile` before anything is sent"


class KeyProviderError(CarelinkError):
    """The key provider is unreachable; nothing can be opened, sends are held."""

    code = "keys.provider_unavailable"


class KeyCheckError(CarelinkError):
    """The root key offered is not the one this store was made with."""

    code = "keys.wrong_root"
    default_hint = "check the key folder against the store"


class KeyMissingError(CarelinkError):
    """A key is unknown and no erasure explains it."""

    code = "keys.missing"


class ErasedError(CarelinkError):
    """The key was destroyed on purpose; the value is gone for good."""

    code = "keys.erased"


class DecryptError(TamperedError):
    """A sealed field does not open here. One text for every cause, so that it teaches nothing."""

    code = "keys.decrypt"


class PermitError(CarelinkError):
    """A permit was used twice, is expired, or was not minted by the gate (P1)."""

    code = "gate.permit"


class ChannelError(CarelinkError):
    """A channel broke its contract."""

    code = "channel.contract"
