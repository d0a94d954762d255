"""Canonical JSON: one byte string for a value, one reading of the bytes."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from carelink.audit.encoding import MAX_INTEGER, decode, encode
from carelink.errors import FormatError

KEYS = st.text(st.characters(max_codepoint=126), max_size=8)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.property
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_bytes_are_those_of_rfc8785_and_read_back(value):
    data = encode(value)
    assert data == rfc8785.dumps(value)
    assert decode(data) == value


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1.0}, {"a": [1e300]}, {"a": None}, {"a": [None]}, {"a": [1, None]}, {"a": 2**53}, {"a": [-(2**53)]},
        {"a": float("nan")}, {"a": float("-inf")}, {"名": 1}, {"a": "\ud800"}, {"a": {1, 2}}, {"a": b"x"}, {"a": 1e-7},
        {"a": [{"b": 10**17}]}, {"a": -0.0}, {"a": {"é": 1}},
    ],
)  # fmt: skip
def test_what_has_no_canonical_form_is_not_encoded(value):
    with pytest.raises(FormatError):
        encode(value)


@pytest.mark.parametrize("value", [{"a": ":1.5,null"}, {"a": "[n"}, {"a": ":" + "9" * 30}, {"a": 2**53 - 1}])
def test_texts_that_look_like_forbidden_values_are_texts(value):
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"1", b'{"a":1.0}', b'{"a":null}', b'{"a":1,"a":1}', b'{"b":1,"a":1}', b'{"a": 1}', b' {"a":1}',
        b'{"a":1}\n', b'{"a":01}', b'{"a":-0}', b'{"a":1e3}', b'{"a":9007199254740992}', b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\\ud800"}', b'{"a":"\\u0041"}', b'{"a":"\\/"}', b'{"\xc3\xa9":1}', b'{"a":"\xff"}', b'{"a":NaN}',
        b'{"a":Infinity}', b'{"a":+1}', b'{"a":true,}', b"{" * 30_000, b'{"a":' + b"[" * 30_000, b'{"a":' + b"1" * 5000,
        b'{"a":"\x01"}', b'{"a":"\\u000A"}',
    ],
)  # fmt: skip
def test_any_other_spelling_is_rejected_and_says_nothing_of_the_input(data):
    with pytest.raises(FormatError) as caught:
        decode(data)
    assert caught.value.__context__ is None
