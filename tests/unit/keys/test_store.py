"""The key folder and the key store: privacy of files, wrong roots, erasure that leaves nothing."""

import copy
import json
import pickle
import sqlite3
import stat

import pytest

from carelink.errors import ConflictError, ErasedError, KeyCheckError, KeyMissingError, KeyProviderError
from carelink.keys.folder import KeyFolder, PassphraseCost
from carelink.keys.store import Erased, KeyStore, MemoryKeyStore
from carelink.vault.personal import Personal, SecretKey

A, B, C = ("a" * 32, "b" * 32, "c" * 32)


@pytest.fixture
def opened(tmp_path):
    folder = KeyFolder.create(tmp_path / "keys")
    store = KeyStore.create(tmp_path / "keys.db", folder, "t1")
    yield tmp_path, folder, store
    store.close()


def test_files_are_private(opened):
    path, _, _ = opened
    assert stat.S_IMODE((path / "keys").stat().st_mode) == 0o700
    for name in ("keys/root.key", "keys/signing.key", "keys.db"):
        assert stat.S_IMODE((path / name).stat().st_mode) == 0o600
    (path / "keys/root.key").chmod(0o640)
    with pytest.raises(KeyProviderError):
        KeyFolder.open(path / "keys")


def test_keys_come_back_after_opening_again(opened):
    path, _, store = opened
    made = store.new_keys([A, B])
    again = KeyStore.open(path / "keys.db", KeyFolder.open(path / "keys"))
    found = again.get([A, B, C])
    assert {owner: key.kid for owner, key in found.items()} == {owner: key.kid for owner, key in made.items()}
    assert again.secret("index") == store.secret("index")
    again.close()


def test_a_wrong_root_is_told_as_such(opened):
    path, _, _ = opened
    with pytest.raises(KeyCheckError):
        KeyStore.open(path / "keys.db", KeyFolder.create(path / "other"))


def test_a_wrong_passphrase_is_told_as_such(tmp_path):
    KeyFolder.create(tmp_path / "k", passphrase="right", cost=PassphraseCost(1, 64, 1))
    KeyFolder.open(tmp_path / "k", passphrase="right")
    for wrong in ("left", None):
        with pytest.raises(KeyCheckError):
            KeyFolder.open(tmp_path / "k", passphrase=wrong)


def test_shredding_leaves_no_wrapped_bytes(opened):
    path, _, store = opened
    store.new_keys([A, B])
    with sqlite3.connect(path / "keys.db") as db:
        (wrapped,) = db.execute("SELECT wrapped FROM data_keys WHERE owner = ?", (A,)).fetchone()
    db.close()
    assert any(wrapped in each.read_bytes() for each in path.glob("keys.db*"))
    first = store.shred(A, 5, "request")
    assert first.clean
    assert first.keys == 1
    assert not any(wrapped in each.read_bytes() for each in path.glob("keys.db*"))
    assert store.shred(A, 9, "again").at == 5
    assert store.get([A, B])[A] == Erased(5, "request")
    with pytest.raises(ErasedError):
        store.one(A)
    with pytest.raises(ErasedError):
        store.new_keys([A])
    assert store.check().problems == ()


def test_a_shred_elsewhere_counts_here_at_once(opened):
    path, folder, store = opened
    store.new_keys([A])
    store.one(A)
    other = KeyStore.open(path / "keys.db", folder)
    other.shred(A, 1, "request")
    other.close()
    with pytest.raises(ErasedError):
        store.one(A)


def test_unknown_and_double_owners_are_refused():
    store = MemoryKeyStore("t1")
    with pytest.raises(KeyMissingError):
        store.one(A)
    old = store.new_keys([A])[A]
    with pytest.raises(ConflictError):
        store.new_keys([A])
    new = store.new_generation(A)
    assert store.one(A).kid == new.kid != old.kid
    assert set(store.by_kid([old.kid, new.kid])) == {old.kid, new.kid}
    store.close()


@pytest.mark.parametrize("hidden", [Personal("wang-xiaoming"), SecretKey(b"wang-xiaoming" + bytes(19))])
def test_no_channel_leaks(hidden):
    swept = [repr(getattr(hidden, name, None)) for name in [*dir(hidden), "_value"]]
    shown = [repr(hidden), str(hidden), f"{hidden}", f"{hidden:>9}", repr([hidden]), *swept]
    assert not any("wang" in text for text in shown)
    assert copy.copy(hidden) is hidden
    assert copy.deepcopy(hidden) is hidden
    for leak in (pickle.dumps, json.dumps, vars, len, iter, hash):
        with pytest.raises(TypeError):
            leak(hidden)
    with pytest.raises(AttributeError):
        hidden._value = 1
