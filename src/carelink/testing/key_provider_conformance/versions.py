"""Versions of the root key: the newest wraps, the older ones unwrap until they are destroyed, and that is for good."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress

import pytest

from carelink.errors import ConflictError, KeyCheckError
from carelink.keys.provider import KeyProvider
from carelink.testing.key_provider_conformance.fixtures import CONTEXT, REFUSALS, kek, refused

_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)


def test_versions_have_names(provider: KeyProvider) -> None:
    """Well-formed, all different, and the same when asked again."""
    names = provider.versions()
    assert isinstance(names, tuple)
    assert names
    assert all(_NAME.fullmatch(name) for name in names)
    assert len(set(names)) == len(names)
    assert provider.versions() == names


def test_a_form_names_the_newest_version(provider: KeyProvider) -> None:
    """Which is how a rotation knows what is left to do."""
    assert provider.version_of(provider.wrap(kek(), CONTEXT)) == provider.versions()[-1]


@pytest.mark.parametrize("form", [b"", b"\0", b"\xff" * 5, b"\xff" * 90, b"\x40" + b"A" * 63])
def test_what_is_no_form_names_no_version(provider: KeyProvider, form: bytes) -> None:
    """It is refused, or named as nothing that this provider has."""
    try:
        name = provider.version_of(form)
    except REFUSALS:
        return
    assert name not in provider.versions()


def test_a_rotation_adds_a_version_that_wraps(provider: KeyProvider) -> None:
    """And its name is what `rotate` gave."""
    before = provider.versions()
    new = provider.rotate()
    assert provider.versions() == (*before, new)
    assert provider.version_of(provider.wrap(kek(), CONTEXT)) == new


def test_older_versions_unwrap(provider: KeyProvider) -> None:
    """A rotation makes nothing unreadable."""
    old = provider.wrap(kek(), CONTEXT)
    provider.rotate()
    assert provider.unwrap(old, CONTEXT) == kek()
    assert provider.version_of(old) == provider.versions()[0]


def test_a_form_cannot_pass_as_another_versions(provider: KeyProvider) -> None:
    """Its version is bound to it: the head of the one does not fit the tail of the other."""
    old = provider.wrap(kek(), CONTEXT)
    provider.rotate()
    new = provider.wrap(kek(), CONTEXT)
    if len(old) != len(new):
        pytest.skip("forms of the two versions differ in length")
    for at in range(4, len(old) - 16, 8):
        if old[:at] != new[:at] and old[at:] != new[at:]:
            refused(provider, old[:at] + new[at:])


def test_a_rotation_is_durable(provider: KeyProvider, reopen: Callable[[], KeyProvider]) -> None:
    """Before it returns: whoever opens it next has both versions."""
    old = provider.wrap(kek(1), CONTEXT)
    provider.rotate()
    new = provider.wrap(kek(2), CONTEXT)
    again = reopen()
    assert again.versions() == provider.versions()
    assert again.unwrap(old, CONTEXT) == kek(1)
    assert again.unwrap(new, CONTEXT) == kek(2)
    assert again.version_of(again.wrap(kek(3), CONTEXT)) == provider.versions()[-1]


def test_one_that_was_open_before_a_rotation_unwraps_what_came_after(
    provider: KeyProvider, reopen: Callable[[], KeyProvider]
) -> None:
    """Other processes need not be restarted."""
    before = reopen()
    before.versions()
    provider.rotate()
    assert before.unwrap(provider.wrap(kek(), CONTEXT), CONTEXT) == kek()


def test_what_one_wraps_another_unwraps(provider: KeyProvider, reopen: Callable[[], KeyProvider]) -> None:
    """The root is the far end's, not this object's."""
    assert reopen().unwrap(provider.wrap(kek(), CONTEXT), CONTEXT) == kek()
    assert provider.unwrap(reopen().wrap(kek(), CONTEXT), CONTEXT) == kek()


def test_the_newest_cannot_be_destroyed(provider: KeyProvider) -> None:
    """It would take everything with it."""
    form = provider.wrap(kek(), CONTEXT)
    with pytest.raises(ConflictError):
        provider.destroy(provider.versions()[-1])
    assert provider.unwrap(form, CONTEXT) == kek()
    provider.rotate()
    with pytest.raises(ConflictError):
        provider.destroy(provider.versions()[-1])
    assert len(provider.versions()) == 2
    assert provider.unwrap(form, CONTEXT) == kek()


def test_what_a_destroyed_version_wrapped_never_opens(provider: KeyProvider) -> None:
    """It is told as a root that is not here; the newer one goes on."""
    old = provider.wrap(kek(1), CONTEXT)
    provider.rotate()
    new = provider.wrap(kek(2), CONTEXT)
    provider.destroy(provider.version_of(old))
    assert isinstance(refused(provider, old), KeyCheckError)
    assert provider.unwrap(new, CONTEXT) == kek(2)
    assert provider.unwrap(provider.wrap(kek(3), CONTEXT), CONTEXT) == kek(3)


def test_a_destroyed_version_is_off_the_list(provider: KeyProvider) -> None:
    """And the newest stays on it."""
    first = provider.versions()[-1]
    new = provider.rotate()
    provider.destroy(first)
    assert provider.versions() == (new,)


def test_destroying_is_durable(provider: KeyProvider, reopen: Callable[[], KeyProvider]) -> None:
    """Whoever opens it next does not have it either."""
    old = provider.wrap(kek(), CONTEXT)
    provider.rotate()
    provider.destroy(provider.version_of(old))
    again = reopen()
    assert again.versions() == provider.versions()
    assert isinstance(refused(again, old), KeyCheckError)


def test_destroying_again_is_harmless(provider: KeyProvider) -> None:
    """A rotation that was cut repeats it."""
    first = provider.versions()[-1]
    new = provider.rotate()
    form = provider.wrap(kek(), CONTEXT)
    for _ in range(3):
        provider.destroy(first)
    assert provider.versions() == (new,)
    assert provider.unwrap(form, CONTEXT) == kek()


def test_destroying_what_never_was_changes_nothing(provider: KeyProvider) -> None:
    """It is as gone as can be."""
    before = provider.versions()
    form = provider.wrap(kek(), CONTEXT)
    with suppress(ConflictError, KeyCheckError):
        provider.destroy("0" * 32)
    assert provider.versions() == before
    assert provider.unwrap(form, CONTEXT) == kek()


def test_names_do_not_come_back(provider: KeyProvider) -> None:
    """A name that was used for another key would hide a wrong root."""
    seen = list(provider.versions())
    for number in range(3):
        form = provider.wrap(kek(number), CONTEXT)
        seen.append(provider.rotate())
        assert provider.unwrap(form, CONTEXT) == kek(number)
        provider.destroy(seen[-2])
    assert len(set(seen)) == len(seen) == 4
    assert provider.versions() == (seen[-1],)


def test_a_working_days_rotation(provider: KeyProvider, reopen: Callable[[], KeyProvider]) -> None:
    """What `carelink keys rotate root` does, with another process that reads all the while."""
    reader = reopen()
    form = provider.wrap(kek(), CONTEXT)
    for _ in range(2):
        provider.rotate()
        assert reader.unwrap(form, CONTEXT) == kek()
        form = provider.wrap(provider.unwrap(form, CONTEXT), CONTEXT)
        for old in provider.versions()[:-1]:
            provider.destroy(old)
        assert reader.unwrap(form, CONTEXT) == kek()
        assert provider.unwrap(reader.wrap(kek(7), CONTEXT), CONTEXT) == kek(7)
        assert len(provider.versions()) == 1
