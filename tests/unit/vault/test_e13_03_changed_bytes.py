"""Acceptance test 3: every flipped bit, every prefix and every extension of eight envelopes is refused, with one
exception type and one text.
"""

from datetime import date

import pytest

from carelink.errors import CarelinkError, DecryptError
from carelink.vault.datakey import DataKey
from carelink.vault.envelope import FieldContext, Padding, open_field, seal
from carelink.vault.personal import SecretKey
from carelink.vault.suites import AES_256_GCM, AES_256_GCM_SIV, SM4_GCM

OWNER = "0" * 31 + "1"
PLACE = FieldContext("t1", "patient", "name", OWNER)
SAMPLES = [
    (AES_256_GCM, "王小明", Padding.IDENTIFIER),
    (AES_256_GCM, "", Padding.IDENTIFIER),
    (AES_256_GCM, None, Padding.IDENTIFIER),
    (AES_256_GCM, "x" * 100, Padding.NOTE),
    (SM4_GCM, "+8613800138000", Padding.IDENTIFIER),
    (SM4_GCM, date(1950, 2, 28), Padding.IDENTIFIER),
    (AES_256_GCM_SIV, 2**70, Padding.IDENTIFIER),
    (AES_256_GCM_SIV, False, Padding.IDENTIFIER),
]


def refusal(key, envelope):
    with pytest.raises(CarelinkError) as caught:
        open_field(key, PLACE, envelope)
    assert caught.value.__context__ is None
    return type(caught.value), str(caught.value)


@pytest.mark.parametrize(("suite", "value", "pad"), SAMPLES)
def test_one_error_with_one_text(suite, value, pad):
    key = DataKey(SecretKey(bytes(range(32))), "t1", OWNER, suite=suite)
    sealed = seal(key, PLACE, value, pad)
    number = int.from_bytes(sealed, "big")
    flipped = [(number ^ 1 << bit).to_bytes(len(sealed), "big") for bit in range(len(sealed) * 8)]
    cut = [sealed[:length] for length in range(len(sealed))]
    front = [sealed[length:] for length in range(1, len(sealed))]
    longer = [sealed + bytes([octet]) for octet in range(256)] + [sealed + sealed, sealed + bytes(32)]
    assert len(flipped) >= 600
    found = {refusal(key, bad) for bad in [*flipped, *cut, *longer]}
    assert found == {(DecryptError, str(DecryptError("a sealed field does not open here")))}
    for bad in front:  # no longer an envelope of this key: may be none at all, or of another version
        refusal(key, bad)
    assert open_field(key, PLACE, sealed) == value
