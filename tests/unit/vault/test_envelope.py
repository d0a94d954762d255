"""Envelope version 1: frozen bytes, an independent reader, and refusal of everything else with one text."""

from datetime import date

import pytest

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


def refused(key, place, envelope):
    with pytest.raises((DecryptError, CannotJudgeError)) as caught:
        open_field(key, place, envelope)
    assert caught.value.__context__ is None
    return caught.value


@pytest.mark.parametrize("value", VALUES)
def test_what_is_sealed_opens_with_its_type(value):
    for pad in Padding:
        opened = open_field(KEY, PLACE, seal(KEY, PLACE, value, pad))
        assert opened == value
        assert type(opened) is type(value)


def test_short_names_and_numbers_have_one_length():
    lengths = {len(seal(KEY, PLACE, text)) for text in ("王明", "王小明", "+8613800138000", "11010119900101001X")}
    assert lengths == {78}


def test_another_key_s_envelope_of_an_unknown_version_or_suite_cannot_be_judged():
    stranger = seal(DataKey(SecretKey(RAW), "t1", "2" * 32), PLACE, "x")
    assert type(refused(KEY, PLACE, b"\x02" + stranger[1:])) is CannotJudgeError
    assert type(refused(KEY, PLACE, stranger[:1] + b"\x04" + stranger[2:])) is CannotJudgeError
    assert type(refused(KEY, PLACE, stranger)) is DecryptError


def test_a_key_s_own_envelope_that_calls_itself_another_version_or_suite_was_changed():
    sealed = seal(KEY, PLACE, "x")
    for head in (b"\x02\x01", b"\x01\x04", b"\x01\x02", b"\x01\x03", b"\xff\xff"):
        assert type(refused(KEY, PLACE, head + sealed[2:])) is DecryptError


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
