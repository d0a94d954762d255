"""Wrapping: what was wrapped comes back, in its place only, and nothing else opens."""

from __future__ import annotations

import random

import pytest

from carelink.errors import DecryptError, KeyCheckError
from carelink.keys.provider import KekContext, KeyProvider
from carelink.testing.key_provider_case import KeyProviderCase
from carelink.testing.key_provider_conformance.fixtures import CONTEXT, TENANT, kek, raw, refused, shown
from carelink.vault.personal import KEY_LENGTH, SecretKey

_NEAR = [
    KekContext(TENANT[:-1] + "f", 1),
    KekContext(TENANT[:-1], 1),
    KekContext(TENANT + "1", 1),
    KekContext(TENANT.upper(), 1),
    KekContext("", 1),
    KekContext(TENANT, 0),
    KekContext(TENANT, 2),
    KekContext(TENANT, 256),
    KekContext(TENANT, 2**24 + 1),
]


def test_a_kek_comes_back(provider: KeyProvider) -> None:
    """It is the same key, in a wrapper that masks it."""
    opened = provider.unwrap(provider.wrap(kek(), CONTEXT), CONTEXT)
    assert isinstance(opened, SecretKey)
    assert opened == kek()


def test_many_come_back_in_any_order(provider: KeyProvider) -> None:
    """Each is its own, whatever was wrapped in between."""
    contexts = [KekContext(TENANT, number) for number in range(1, 9)]
    wrapped = [provider.wrap(kek(context.epoch), context) for context in contexts]
    for context, form in sorted(zip(contexts, wrapped, strict=True), key=lambda pair: pair[1]):
        assert provider.unwrap(form, context) == kek(context.epoch)


@pytest.mark.parametrize(
    "value", [bytes(KEY_LENGTH), b"\xff" * KEY_LENGTH, b"\n\r\0 =:\"'{}" + bytes(22)], ids=("zeros", "ones", "marks")
)
def test_any_bytes_come_back(provider: KeyProvider, value: bytes) -> None:
    """A key is bytes, not text."""
    assert provider.unwrap(provider.wrap(SecretKey(value), CONTEXT), CONTEXT) == SecretKey(value)


@pytest.mark.parametrize("context", [KekContext("a", 1), KekContext("f" * 64, 2**32 - 1), KekContext(TENANT, 1)])
def test_any_context_is_taken(provider: KeyProvider, context: KekContext) -> None:
    """The shortest and the longest."""
    assert provider.unwrap(provider.wrap(kek(), context), context) == kek()


def test_the_same_key_is_never_wrapped_to_the_same_bytes(provider: KeyProvider) -> None:
    """Nonces do not repeat, and equal keys do not show as equal."""
    assert len({provider.wrap(kek(), CONTEXT) for _ in range(40)}) == 40


def test_what_is_wrapped_holds_no_key(provider: KeyProvider) -> None:
    """Not even encoded."""
    form = provider.wrap(kek(), CONTEXT)
    assert isinstance(form, bytes)
    assert not shown(form, [raw(1)])
    assert not shown(form, [raw(1)[:12], raw(1)[-12:]])


def test_it_is_wrapped_as_a_blob_of_a_reasonable_size(provider: KeyProvider) -> None:
    """Long enough to hold key and tag, short enough for a row."""
    assert KEY_LENGTH + 12 <= len(provider.wrap(kek(), CONTEXT)) <= 1024


@pytest.mark.parametrize("other", _NEAR, ids=lambda context: f"{len(context.tenant)}-{context.epoch}")
def test_another_context_does_not_open_it(provider: KeyProvider, other: KekContext) -> None:
    """Neither another tenant's nor another epoch's place, however near."""
    assert isinstance(refused(provider, provider.wrap(kek(), CONTEXT), other), DecryptError)


def test_every_changed_byte_is_refused(provider: KeyProvider) -> None:
    """One bit of each byte, a different one each time."""
    form = provider.wrap(kek(), CONTEXT)
    for at in range(len(form)):
        refused(provider, form[:at] + bytes([form[at] ^ (1 << at % 8)]) + form[at + 1 :])


def test_every_bit_of_the_last_bytes_is_refused(provider: KeyProvider) -> None:
    """Where encodings have slack bits, and tags end."""
    form = provider.wrap(kek(), CONTEXT)
    for at in (len(form) - 1, len(form) - 2):
        for bit in range(8):
            refused(provider, form[:at] + bytes([form[at] ^ (1 << bit)]) + form[at + 1 :])


def test_every_truncation_is_refused(provider: KeyProvider) -> None:
    """From nothing to all but one byte."""
    form = provider.wrap(kek(), CONTEXT)
    for length in range(len(form)):
        refused(provider, form[:length])


def test_a_tail_or_a_head_is_refused(provider: KeyProvider) -> None:
    """Nothing can be added."""
    form = provider.wrap(kek(), CONTEXT)
    for added in (b"\0", b" ", b"=", b"\n", form):
        refused(provider, form + added)
        refused(provider, added + form)


def test_noise_is_refused(provider: KeyProvider) -> None:
    """Of any length, a good form's too."""
    noise = random.Random(7)
    for length in (0, 1, 2, 16, 77, len(provider.wrap(kek(), CONTEXT)), 300):
        refused(provider, noise.randbytes(length))


def test_two_forms_cannot_be_spliced(provider: KeyProvider) -> None:
    """The head of one with the tail of another."""
    one, two = provider.wrap(kek(1), CONTEXT), provider.wrap(kek(2), CONTEXT)
    spliced = {one[:at] + two[at:] for at in range(8, len(one), 8)} - {one, two}
    assert spliced
    for form in spliced:
        refused(provider, form)


def test_damage_has_one_text(provider: KeyProvider) -> None:
    """What differs teaches an attacker what was nearly right."""
    form = provider.wrap(kek(), CONTEXT)
    damaged = [form[:at] + bytes([form[at] ^ 1]) + form[at + 1 :] for at in range(len(form) - 20, len(form), 5)]
    errors = [refused(provider, each) for each in damaged]
    errors.append(refused(provider, form, KekContext(TENANT, 2)))
    assert len({(type(error), str(error)) for error in errors}) == 1


def test_it_works_on_after_damage(provider: KeyProvider) -> None:
    """A refused form leaves nothing behind."""
    form = provider.wrap(kek(), CONTEXT)
    refused(provider, form[:-1])
    refused(provider, form, KekContext(TENANT, 7))
    assert provider.unwrap(form, CONTEXT) == kek()


def test_another_roots_form_is_told_as_such(case: KeyProviderCase, provider: KeyProvider) -> None:
    """The wrong root at the start is no damage: another error, and another remedy."""
    if case.other is None:
        pytest.skip("there is no other root: give a KeyProviderCase with `other`")
    other = case.other()
    if not other.versions():
        other.rotate()
    assert set(other.versions()).isdisjoint(provider.versions())
    assert isinstance(refused(provider, other.wrap(kek(), CONTEXT)), KeyCheckError)
    assert isinstance(refused(other, provider.wrap(kek(), CONTEXT)), KeyCheckError)


def test_another_providers_form_is_refused(provider: KeyProvider) -> None:
    """Forms of the key folder and of others' making."""
    for form in (b"\x01" + bytes(76), b"\x02\x07aws-kms" + bytes(80), b"vault:v1:" + b"A" * 80, b"{}" * 40):
        if form[:1] != provider.wrap(kek(), CONTEXT)[:1]:
            refused(provider, form)
