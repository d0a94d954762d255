"""Acceptance test 6: each way in which a value cannot be had has its own typed error, and leaves nothing half written."""

import sqlite3
from contextlib import closing

import pytest

from carelink.engine.safe import Safe
from carelink.errors import (
    CannotJudgeError,
    DecryptError,
    ErasedError,
    KeyCheckError,
    KeyMissingError,
    KeyProviderError,
)
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore
from carelink.vault.datakey import DataKey
from carelink.vault.envelope import FieldContext, seal
from carelink.vault.personal import SecretKey

A, B = "a" * 32, "b" * 32


class Away:
    """A provider out of reach."""

    def wrap(self, kek, context):
        raise KeyProviderError("the provider does not answer")

    def unwrap(self, wrapped, context):
        raise KeyProviderError("the provider does not answer")


@pytest.fixture
def store(tmp_path):
    with closing(KeyStore.create(tmp_path / "keys.db", KeyFolder.create(tmp_path / "keys"), "t1")) as made:
        made.new_keys([A])
        yield made


def content(path):
    with closing(sqlite3.connect(path)) as db:
        return list(db.iterdump())


def envelope_under(raw, owner):
    return seal(DataKey(SecretKey(raw), "t1", owner), FieldContext("t1", "patient", "name", owner), "x")


@pytest.mark.parametrize("kind", ["wrong root", "provider away"])
def test_no_root(tmp_path, store, kind):
    before = content(tmp_path / "keys.db")
    other = Away() if kind == "provider away" else KeyFolder.create(tmp_path / "other")
    with pytest.raises(KeyProviderError if kind == "provider away" else KeyCheckError):
        KeyStore.open(tmp_path / "keys.db", other)
    assert content(tmp_path / "keys.db") == before


def test_a_new_store_is_not_left_behind_without_its_provider(tmp_path):
    with pytest.raises(KeyProviderError):
        KeyStore.create(tmp_path / "new.db", Away(), "t1")
    assert not (tmp_path / "new.db").exists()


def test_erased_and_missing_owners(tmp_path, store):
    safe = Safe(store, "t1")
    sealed = safe.seal(A, "patient", A, "name", "x").envelope
    with pytest.raises(KeyMissingError):
        safe.open(B, "patient", B, "name", sealed)
    store.shred(A, 5, "request")
    before = content(tmp_path / "keys.db")
    for write in (lambda: safe.seal(A, "patient", A, "name", "y"), lambda: store.new_generation(A)):
        with pytest.raises(ErasedError):
            write()
    with pytest.raises(ErasedError):
        safe.open(A, "patient", A, "name", sealed)
    assert content(tmp_path / "keys.db") == before


def test_an_unknown_kid_an_unknown_version_and_damage(store):
    safe = Safe(store, "t1")
    stranger = envelope_under(bytes(32), A)
    with pytest.raises(DecryptError):
        safe.open(A, "patient", A, "name", stranger)
    for head in (b"\x02\x01", b"\x01\x04"):
        with pytest.raises(CannotJudgeError):
            safe.open(A, "patient", A, "name", head + stranger[2:])
    sealed = safe.seal(A, "patient", A, "name", "x").envelope
    for bad in (sealed[:-1], sealed + b"x", b"", b"plain text"):
        with pytest.raises((DecryptError, CannotJudgeError)):
            safe.open(A, "patient", A, "name", bad)
    assert safe.open(A, "patient", A, "name", sealed).reveal("test") == "x"


def test_a_row_whose_key_is_gone_can_be_written_over(store):
    """What cannot be opened is not a trap: a new value goes in its place."""
    safe = Safe(store, "t1")
    lost = envelope_under(bytes(32), A)
    assert safe.try_open(A, "patient", A, "name", lost) is None
    again = safe.seal(A, "patient", A, "name", "new").envelope
    assert safe.open(A, "patient", A, "name", again).reveal("test") == "new"


def test_a_tag_that_fails_and_a_kid_nobody_has_look_the_same(store):
    """Acceptance test 16, the half that is no clock: an API caller cannot tell the two."""
    safe = Safe(store, "t1")
    sealed = safe.seal(A, "patient", A, "name", "x").envelope
    said = set()
    for bad in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:2] + bytes(16) + sealed[18:]):
        with pytest.raises(DecryptError) as caught:
            safe.open(A, "patient", A, "name", bad)
        said.add((str(caught.value), caught.value.__context__))
    assert len(said) == 1
