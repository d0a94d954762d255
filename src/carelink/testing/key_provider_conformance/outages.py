"""Outages: each is KeyProviderError, in time, and leaves nothing half done; afterwards all goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

import pytest

from carelink.errors import KeyProviderError
from carelink.keys.provider import KeyProvider
from carelink.testing.key_provider_case import FAULTS, KeyProviderCase
from carelink.testing.key_provider_conformance.fixtures import CONTEXT, kek

_PATIENCE = 30.0
"""Seconds in which a call that gets no answer must have given up."""

Fault = Callable[[], AbstractContextManager[object]]


@pytest.fixture(params=FAULTS)
def fault(request: pytest.FixtureRequest, case: KeyProviderCase) -> Fault:
    """A context in which the far end fails."""
    found = case.faults.get(request.param)
    if found is None:
        pytest.skip(f"`{request.param}` cannot happen here: else give it in `faults`")
    return found


def test_faults_have_known_names(case: KeyProviderCase) -> None:
    """A misspelt one would never be tried."""
    assert set(case.faults) <= set(FAULTS)


def test_a_fault_is_felt(provider: KeyProvider, fault: Fault) -> None:
    """The fault is one: at least one call fails in it."""
    form = provider.wrap(kek(), CONTEXT)
    felt = 0
    with fault():
        for call in (
            lambda: provider.wrap(kek(), CONTEXT),
            lambda: provider.unwrap(form, CONTEXT),
            provider.versions,
            provider.rotate,
        ):
            try:
                call()
            except KeyProviderError:
                felt += 1
    assert felt


def test_wrapping_in_an_outage(provider: KeyProvider, fault: Fault) -> None:
    """It says so, or, without the far end, it is right."""
    with fault():
        try:
            form = provider.wrap(kek(), CONTEXT)
        except KeyProviderError:
            form = b""
    if form:
        assert provider.unwrap(form, CONTEXT) == kek()


def test_unwrapping_in_an_outage(provider: KeyProvider, fault: Fault) -> None:
    """A good form in an outage is not a damaged one."""
    form = provider.wrap(kek(), CONTEXT)
    with fault(), suppress(KeyProviderError):
        assert provider.unwrap(form, CONTEXT) == kek()
    assert provider.unwrap(form, CONTEXT) == kek()


def test_listing_in_an_outage(provider: KeyProvider, fault: Fault) -> None:
    """No versions known is not the same as no versions."""
    before = provider.versions()
    with fault(), suppress(KeyProviderError):
        assert provider.versions() == before
    assert provider.versions() == before


def test_naming_needs_no_far_end(provider: KeyProvider, fault: Fault) -> None:
    """The form says it itself."""
    form = provider.wrap(kek(), CONTEXT)
    name = provider.versions()[-1]
    with fault():
        assert provider.version_of(form) == name


def test_rotating_in_an_outage(provider: KeyProvider, fault: Fault) -> None:
    """It was done or it was not; what was wrapped opens, and what is wrapped now does."""
    before = provider.versions()
    form = provider.wrap(kek(1), CONTEXT)
    with fault(), suppress(KeyProviderError):
        provider.rotate()
    after = provider.versions()
    assert after[: len(before)] == before
    assert len(after) <= len(before) + 1
    assert provider.unwrap(form, CONTEXT) == kek(1)
    new = provider.wrap(kek(2), CONTEXT)
    assert provider.version_of(new) == after[-1]
    assert provider.unwrap(new, CONTEXT) == kek(2)


def test_destroying_in_an_outage(provider: KeyProvider, fault: Fault) -> None:
    """The newer version is not touched, and to destroy again is to be done."""
    first = provider.versions()[-1]
    new = provider.rotate()
    form = provider.wrap(kek(), CONTEXT)
    with fault(), suppress(KeyProviderError):
        provider.destroy(first)
    assert provider.unwrap(form, CONTEXT) == kek()
    provider.destroy(first)
    assert provider.versions() == (new,)
    assert provider.unwrap(form, CONTEXT) == kek()


def test_it_gives_up_in_time(provider: KeyProvider, fault: Fault) -> None:
    """A start, or a rotation, must not hang."""
    form = provider.wrap(kek(), CONTEXT)
    began = time.monotonic()
    with fault(), suppress(KeyProviderError):
        provider.unwrap(form, CONTEXT)
    assert time.monotonic() - began < _PATIENCE


def test_it_recovers_by_itself(provider: KeyProvider, fault: Fault) -> None:
    """Nothing has to be opened again; not even after several failures."""
    form = provider.wrap(kek(), CONTEXT)
    for _ in range(2):
        with fault():
            for _ in range(2):
                with suppress(KeyProviderError):
                    provider.unwrap(form, CONTEXT)
        assert provider.unwrap(form, CONTEXT) == kek()
