"""Canonical JSON: one byte string for a value, one reading of the bytes."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from carelink.audit.encoding import MAX_INTEGER, decode, decode_unbounded, encode
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
        {"a": [{"b": 10**17}]}, {"a": 10**16}, {"a": -(10**16)}, {"a": -0.0}, {"a": {"é": 1}},
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


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b'{"a":"\xff"}', "not UTF-8"), (b'{"a":1.5}', "without floats"), (b'{"a":NaN}', "without floats"),
        (b'{"a":-Infinity}', "without floats"), (b'{"a":', "not JSON"), (b"[]", "not an object"),
        (b'{"b":1,"a":1}', "canonical"), (b'{"a":null}', "null"), (b'{"\xc3\xa9":1}', "not ASCII"),
        (b'{"a":9007199254740992}', "beyond"),
    ],
)  # fmt: skip
def test_the_error_says_what_is_wrong(data, complaint):
    with pytest.raises(FormatError, match=complaint):
        decode(data)


@pytest.mark.parametrize("data", [b'{"a":null}', b'{"a":[null]}', b'{"\xc3\xa9":1}', b'{"a":{"\xc3\xa9":"null"}}'])
def test_without_a_bound_on_integers_the_form_is_as_strict(data):
    with pytest.raises(FormatError):
        decode_unbounded(data)


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b'{"a":9007199254740992}', {"a": 2**53}),
        (b'{"a":[-1000000000000000000]}', {"a": [-(10**18)]}),
        ('{"a":"null, \u00e9"}'.encode(), {"a": "null, \u00e9"}),
    ],
)
def test_without_a_bound_any_integer_is_read(data, value):
    assert decode_unbounded(data) == value
