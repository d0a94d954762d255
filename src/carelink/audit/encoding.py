"""Canonical JSON: the one byte string of an entry, and the one reading of those bytes.

The form is the subset of RFC 8785 (JSON Canonicalization Scheme) without floats and null: ASCII keys in ascending
order, strings, booleans, arrays, objects and integers within +-(2^53 - 1). Absent is omitted. No white space.
"""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from carelink.errors import FormatError

__all__ = ["MAX_INTEGER", "decode", "decode_unbounded", "encode"]

MAX_INTEGER: Final = 2**53 - 1
"""Largest integer every JSON reader holds exactly (RFC 8785 3.2.2.3, RFC 7493 2.2)."""

_ENCODER: Final = json.JSONEncoder(
    sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False, check_circular=False
)

# A value that is no string begins after one of `:,[`. Without its digits a float still shows a point or an exponent.
_BEGINS: Final = bytes.maketrans(b",[", b"::")
_DIGITS: Final = b"0123456789"
_WRONG: Final = re.compile(rb":(?:[n.eE]|-[.eE])")
# An integer of 2^53 and beyond has 17 digits, or 16 of which the first is 9. Whatever is no digit is a blank here.
_RUNS: Final = bytes(ord("0") if chr(mark) in "0123456789" else ord(" ") for mark in range(256))
_NINES: Final = bytes(mark if mark == ord("9") else _RUNS[mark] for mark in range(256))
_LONG: Final = b"0" * 17
_LARGE: Final = re.compile(rb" 9[09]{15}")


def _suspect(data: bytes) -> bool:
    """Conservative: True for every float, null and integer of 2^53 and beyond, and now and then for the like inside a
    string. What it finds is looked at value by value; what it does not find is in order. Every entry passes here, so
    it is made of whole passes in C.
    """
    bare = data.translate(_BEGINS, _DIGITS)
    if _WRONG.search(bare) is not None or _LONG in data.translate(_RUNS):
        return True
    return _LARGE.search(data.translate(_NINES)) is not None


def _no_float(_: str) -> NoReturn:
    raise ValueError


_DECODER: Final = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)


def encode(value: dict[str, object]) -> bytes:
    """The canonical bytes of an object.

    Raises:
        FormatError: it holds a float, null, an integer beyond 2^53 - 1, a key that is not ASCII text, half a
            surrogate pair, or a type JSON does not have. The message names the defect and never the value.
    """
    data = b""
    failed = ""
    try:
        data = _ENCODER.encode(value).encode()
    except UnicodeEncodeError:
        failed = "a string holds half a surrogate pair"
    except (TypeError, ValueError, RecursionError):
        failed = "a value has no canonical form"
    if failed:
        raise FormatError(failed)
    if not data.isascii() or _suspect(data):
        _look(value)
    return data


def decode(data: bytes) -> dict[str, object]:
    """Read canonical bytes. Encoding what is read gives exactly these bytes again.

    Raises:
        FormatError: any other spelling: white space, byte order mark, duplicate or unsorted keys, floats, null, other
            number spellings, integers beyond 2^53 - 1, surrogates, keys that are not ASCII, or not an object.
    """
    value = decode_unbounded(data)
    _look(value)
    return value


def decode_unbounded(data: bytes) -> dict[str, object]:
    """As `decode`, for a caller whose own form bounds every integer.

    Raises:
        FormatError: as `decode`, but for integers beyond 2^53 - 1.
    """
    value: object = None
    again = b""
    failed = ""
    try:
        value, _ = _DECODER.raw_decode(data.decode())  # what stands behind it shows when it is encoded again
        again = _ENCODER.encode(value).encode()
    except UnicodeDecodeError:
        failed = "an entry is not UTF-8"
    except (ValueError, RecursionError):
        failed = "an entry is not JSON without floats"
    if failed:
        raise FormatError(failed)
    if not isinstance(value, dict):
        raise FormatError("an entry is not an object")
    if again != data:
        raise FormatError("an entry is not in canonical form")
    if b"null" in data or not data.isascii():
        _look(value)
    return value


def _look(value: object) -> None:
    """Check value by value; `encode` has shown that the depth is bounded and the keys are sortable."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise FormatError("a key is not ASCII text")
            _look(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            _look(item)
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise FormatError("an integer is beyond 2^53 - 1")
    elif not isinstance(value, str):
        raise FormatError("floats and null have no canonical form")
