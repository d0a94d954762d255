"""The provider under test, and what the kit's tests share. Loaded as a plugin where the option names a provider."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Final, NoReturn

import pytest

from carelink.errors import CannotJudgeError, CarelinkError, DecryptError, KeyCheckError
from carelink.keys.provider import KekContext, KeyProvider
from carelink.testing.key_provider_case import KeyProviderCase
from carelink.vault.personal import SecretKey

__all__ = ["CONTEXT", "REFUSALS", "TENANT", "kek", "raw", "refused", "shown", "spellings"]

TENANT: Final = "5ac1a0b2c3d4e5f60718293a4b5c6d7e"
CONTEXT: Final = KekContext(TENANT, 1)
REFUSALS: Final = (DecryptError, KeyCheckError, CannotJudgeError)
"""What a form that is not good may raise. An outage is not among them: it would be waited out for ever."""


def raw(number: int) -> bytes:
    """The bytes of one of the kit's KEKs."""
    return hashlib.sha256(b"canary kek %d" % number).digest()


def kek(number: int = 1) -> SecretKey:
    """One of the kit's KEKs."""
    return SecretKey(raw(number))


def refused(provider: KeyProvider, wrapped: bytes, context: KekContext = CONTEXT) -> CarelinkError:
    """The error with which these bytes are refused; the test fails if they open, or with anything else."""
    try:
        provider.unwrap(wrapped, context)
    except REFUSALS as error:
        return error
    except Exception as error:  # noqa: BLE001  whatever it is, it is the wrong one
        _wrong(error)
    pytest.fail(f"opened: {len(wrapped)} bytes that were never wrapped for this place")


def _wrong(error: Exception) -> NoReturn:
    pytest.fail(f"refused with {type(error).__name__}, which says something else")


def spellings(secret: bytes) -> Iterable[bytes]:
    """How a secret could show: as it is, in hexadecimal, in base64 at any offset, as Python prints bytes."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for offset in range(3):
        yield base64.b64encode(b"\0" * offset + secret)[4 if offset else 0 : -4]
    yield repr(secret)[2:-1].encode()


def shown(text: str | bytes, secrets: Iterable[bytes]) -> bool:
    """Whether one of the secrets stands in a text in any spelling."""
    data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
    return any(form in data for secret in secrets for form in spellings(secret))


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Iterator[KeyProviderCase]:
    """The case under test, made anew."""
    module, _, attribute = str(request.config.getoption("--carelink-key-provider")).partition(":")
    made = getattr(import_module(module), attribute)()
    whole = made if isinstance(made, KeyProviderCase) else KeyProviderCase(provider=made)
    try:
        if not whole.provider.versions():
            whole.provider.rotate()
        yield whole
    finally:
        if whole.finish is not None:
            whole.finish()


@pytest.fixture
def provider(case: KeyProviderCase) -> KeyProvider:
    """The provider alone."""
    return case.provider


@pytest.fixture
def reopen(case: KeyProviderCase) -> Callable[[], KeyProvider]:
    """Opens the same root as another process would."""
    if case.reopen is None:
        pytest.skip("it cannot be opened again: give a KeyProviderCase with `reopen`")
    return case.reopen


@pytest.fixture
def secrets(case: KeyProviderCase) -> list[bytes]:
    """What must show nowhere: the author's secrets, and the kit's KEKs."""
    return [*case.secrets, *(raw(number) for number in range(12))]
