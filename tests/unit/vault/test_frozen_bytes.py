"""Bytes that outlive versions: fixed keys and nonces give exactly these. Never edit a vector; add a version."""

import pytest

from carelink.errors import DecryptError
from carelink.vault.datakey import DataKey, Kek, commit, unwrap, wrap
from carelink.vault.envelope import FieldContext, open_field, seal
from carelink.vault.personal import SecretKey

OWNER = "0" * 31 + "1"
KEY = DataKey(SecretKey(bytes(range(32))), "t1", OWNER)
KEK = Kek(SecretKey(bytes(32)), 1)
PLACE = FieldContext("t1", "patient", "name", OWNER)
SEALED = bytes.fromhex(
    "01012dbaea5d76b30a28b34fea7aa49bd69d070707070707070707070707ea3c934579867f72f238a76d2ef35fb8"
    "341be3a2ca744c97f74ec8bccb8206638d2c3fc4ee73c50c696be44c50f652c4"
)
WRAPPED = bytes.fromhex(
    "01000000010707070707070707070707077dc9aac86c230625efbe715d7cd8e7f8d19633d03edc750171a634631ce9d0"
    "1102452ddc08dde036447dcb67187a51ad"
)


def test_the_envelope_is_frozen():
    assert seal(KEY, PLACE, "王小明", entropy=lambda n: b"\x07" * n) == SEALED
    assert open_field(KEY, PLACE, SEALED) == "王小明"


def test_the_wrapped_key_is_frozen_and_opens_in_its_place_only():
    assert wrap(KEK, KEY, lambda n: b"\x07" * n) == WRAPPED
    assert unwrap(KEK, WRAPPED, "t1", OWNER, KEY.kid).secret == KEY.secret
    other = Kek(SecretKey(bytes(32)), 2)
    for kek, tenant, owner, kid in (
        (KEK, "t2", OWNER, KEY.kid),
        (KEK, "t1", "2" * 32, KEY.kid),
        (KEK, "t1", OWNER, bytes(16)),
        (other, "t1", OWNER, KEY.kid),
    ):
        with pytest.raises(DecryptError):
            unwrap(kek, WRAPPED, tenant, owner, kid)


def test_the_commitment_is_frozen():
    assert commit(KEY, b"salt", b"x").hex() == "fa3f2a35014efaede47c71aa81446116ab1b18e4f3432c0b5968ac4c5b5f6401"
