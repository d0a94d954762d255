"""Envelope version 1: frozen bytes, an independent reader, and refusal of everything else with one text."""

from datetime import date

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from carelink.errors import CannotJudgeError, DecryptError
from carelink.vault.datakey import DataKey
from carelink.vault.envelope import FieldContext, Padding, open_field, seal
from carelink.vault.personal import SecretKey
from carelink.vault.suites import AES_256_GCM_SIV

RAW = bytes(range(32))
OWNER = "0" * 31 + "1"
KEY = DataKey(SecretKey(RAW), "t1", OWNER)
PLACE = FieldContext("t1", "patient", "name", OWNER)
VALUES = [None, "", "王小明", b"", b"\x80\x00", 0, -1, 255, 2**70, False, True, date(1950, 2, 28)]


def fixed(length):
    return bytes([7]) * length


def refused(key, place, envelope):
    with pytest.raises((DecryptError, CannotJudgeError)) as caught:
        open_field(key, place, envelope)
    assert caught.value.__context__ is None
    return caught.value


def read_independently(raw, tenant, table, column, row, envelope):
    def lp(text):
        return len(text).to_bytes(4, "big") + text.encode()

    key = HKDFExpand(hashes.SHA256(), 32, b"carelink/enc/v1\x01").derive(raw)
    kid = HKDFExpand(hashes.SHA256(), 16, b"carelink/kid/v1\x01" + lp(tenant) + lp(row)).derive(raw)
    assert envelope[:18] == b"\x01\x01" + kid
    opened = Cipher(algorithms.AES(key), modes.GCM(envelope[18:30], envelope[-16:])).decryptor()
    opened.authenticate_additional_data(
        b"carelink/field/v1" + lp(tenant) + lp(table) + lp(column) + envelope[:18] + lp(row)
    )
    plain = opened.update(envelope[30:-16]) + opened.finalize()
    body, _, zeros = plain.rpartition(b"\x80")
    assert not zeros.strip(b"\0")
    return body[0], body[1:]


def test_an_independent_reader_finds_kind_and_value():
    sealed = seal(KEY, PLACE, "王小明", entropy=fixed)
    assert read_independently(RAW, "t1", "patient", "name", OWNER, sealed) == (1, "王小明".encode())


@pytest.mark.parametrize("value", VALUES)
def test_what_is_sealed_opens_with_its_type(value):
    for pad in Padding:
        opened = open_field(KEY, PLACE, seal(KEY, PLACE, value, pad))
        assert opened == value
        assert type(opened) is type(value)


def test_short_names_and_numbers_have_one_length():
    lengths = {len(seal(KEY, PLACE, text)) for text in ("王明", "王小明", "+8613800138000", "11010119900101001X")}
    assert lengths == {78}


def test_every_changed_bit_every_cut_and_every_extension_is_refused_with_one_text():
    sealed = seal(KEY, PLACE, "x")
    texts = set()
    for bit in range(16, len(sealed) * 8):
        changed = bytearray(sealed)
        changed[bit // 8] ^= 1 << bit % 8
        texts.add((type(refused(KEY, PLACE, bytes(changed))), str(refused(KEY, PLACE, bytes(changed)))))
    for cut in range(len(sealed)):
        texts.add((type(refused(KEY, PLACE, sealed[:cut])), str(refused(KEY, PLACE, sealed[:cut]))))
    for octet in range(256):
        texts.add((type(refused(KEY, PLACE, sealed + bytes([octet]))), str(refused(KEY, PLACE, sealed + b"\0"))))
    assert len(texts) == 1
    assert next(iter(texts))[0] is DecryptError


def test_an_unknown_version_or_suite_cannot_be_judged():
    sealed = seal(KEY, PLACE, "x")
    assert type(refused(KEY, PLACE, b"\x02" + sealed[1:])) is CannotJudgeError
    assert type(refused(KEY, PLACE, sealed[:1] + b"\x02" + sealed[2:])) is CannotJudgeError


def test_an_envelope_opens_in_its_own_place_only():
    places = [
        FieldContext(tenant, table, column, row, rev)
        for tenant in ("t1", "t2")
        for table in ("patient", "contact")
        for column in ("name", "address")
        for row in (OWNER, "2" * 32)
        for rev in (None, 1, 2)
    ]
    for here in places:
        sealed = seal(KEY, here, "x")
        for there in places:
            if there == here:
                assert open_field(KEY, there, sealed) == "x"
            else:
                refused(KEY, there, sealed)


def test_another_owner_tenant_key_or_suite_does_not_open_it():
    sealed = seal(KEY, PLACE, "x")
    for other in (
        DataKey(SecretKey(RAW), "t1", "2" * 32),
        DataKey(SecretKey(RAW), "t2", OWNER),
        DataKey(SecretKey(RAW[::-1]), "t1", OWNER, generation=2),
        DataKey(SecretKey(RAW), "t1", OWNER, suite=AES_256_GCM_SIV),
    ):
        refused(other, PLACE, sealed)
        refused(other, PLACE, other.header + sealed[18:])
