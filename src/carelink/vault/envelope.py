"""Sealed fields, envelope version 1. Source: reference crypto.md e3 and e4; the bytes are a public contract.

    off  len  field
    0    1    version 0x01
    1    1    suite
    2    16   kid, commits to the key
    18   12   nonce, random
    30   n    ciphertext of kind (1) || value || pad
    30+n 16   tag

Kinds: 0 null (no bytes), 1 text (UTF-8), 2 bytes, 3 integer (shortest two's complement, big-endian), 4 date
(YYYY-MM-DD), 5 truth value (0x00 or 0x01). Pad: ISO 7816-4 (0x80, then zeros) to a multiple of 32 or 128 bytes.

AAD: `"carelink/field/v1" || lp(tenant) || lp(table) || lp(column) || header[0:18] || lp(row) [|| lp(rev)]`, where lp
prefixes 4 bytes of length and rev is 8 bytes big-endian. Table and column are logical names that outlive SQL names.
"""

from __future__ import annotations

import os
from datetime import date, datetime
from enum import IntEnum, unique
from functools import lru_cache
from typing import Final

import attrs
from cryptography.exceptions import InvalidTag

from carelink.errors import CannotJudgeError, DecryptError, InvalidInputError
from carelink.vault.datakey import DataKey
from carelink.vault.derive import Entropy, lp
from carelink.vault.suites import suite_of

__all__ = ["FieldContext", "Padding", "Value", "key_id", "kid_of", "open_field", "padding_of", "seal"]

Value = str | bytes | int | date | bool | None
"""What a field can hold. `None`, `""`, `0` and `False` stay four values."""

_VERSION: Final = 1
_HEADER: Final = 18
_BODY: Final = 30
_TAG: Final = 16
_STEP: Final = 32
_NONCE: Final = 12
_DATE_LENGTH: Final = 10
_NULL, _TEXT, _BYTES, _INT, _DATE, _BOOL = range(6)
_TEXT_MARK: Final = bytes([_TEXT])
_END: Final = 0x80
_SIZES: Final = tuple(length.to_bytes(4, "big") for length in range(128))
"""Lengths as `lp` writes them."""


@unique
class Padding(IntEnum):
    """Steps that plaintexts are padded to, in bytes, so that lengths say little."""

    IDENTIFIER = 32
    NOTE = 128


@attrs.frozen
class FieldContext:
    """Where a field lives. It opens there and nowhere else.

    Attributes:
        row: primary key in its canonical text.
        rev: revision of the row, for columns where an older value must not be put back; None elsewhere.
    """

    tenant: str
    table: str
    column: str
    row: str
    rev: int | None = None

    def aad(self, header: bytes) -> bytes:
        """Associated data of an envelope with this 18-byte header in this place."""
        row = self.row.encode()
        size = _SIZES[len(row)] if len(row) < len(_SIZES) else len(row).to_bytes(4, "big")
        aad = _place(self.tenant, self.table, self.column) + header + size + row
        return aad if self.rev is None else aad + lp(self.rev.to_bytes(8, "big"))


@lru_cache(maxsize=1024)
def _place(tenant: str, table: str, column: str) -> bytes:
    """What the fields of one column have in common."""
    return b"carelink/field/v1" + lp(tenant.encode()) + lp(table.encode()) + lp(column.encode())


_PADS: Final = tuple(bytes([_END]) + bytes(zeros) for zeros in range(Padding.NOTE))


def _encode(value: object) -> bytes:
    if isinstance(value, str):
        text: bytes | None = None
        try:
            text = value.encode()
        except UnicodeEncodeError:
            text = None
        if text is None:
            raise InvalidInputError("text with lone surrogates has no sealed form")
        return _TEXT_MARK + text
    if value is None:
        return bytes([_NULL])
    if isinstance(value, bytes):
        return bytes([_BYTES]) + value
    if isinstance(value, bool):
        return bytes([_BOOL, value])
    if isinstance(value, int):
        return bytes([_INT]) + _int_bytes(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return bytes([_DATE]) + value.isoformat().encode()
    raise InvalidInputError("this type of value has no sealed form", hint="text, bytes, integer, date, bool or None")


def _int_bytes(value: int) -> bytes:
    magnitude = value if value >= 0 else ~value
    return value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True)


def _decode_date(raw: bytes) -> date | None:
    try:
        return date.fromisoformat(raw.decode("ascii")) if len(raw) == _DATE_LENGTH else None
    except ValueError:
        return None


def _decode(plain: bytes) -> tuple[Value] | None:
    """The value in a one-tuple; None if the bytes are no padded value in its one form."""
    body = plain.rstrip(b"\x00")
    if len(plain) % _STEP or len(body) < 2 or body[-1] != _END:  # noqa: PLR2004  a kind and the pad's mark
        return None
    kind, raw = body[0], body[1:-1]
    value: Value = None
    if kind == _TEXT:
        try:
            value = raw.decode()
        except UnicodeDecodeError:
            value = None
    elif kind == _NULL:
        return None if raw else (None,)
    elif kind == _BYTES:
        value = raw
    elif kind == _INT and raw:
        number = int.from_bytes(raw, "big", signed=True)
        value = number if _int_bytes(number) == raw else None
    elif kind == _DATE:
        value = _decode_date(raw)
    elif kind == _BOOL and raw in (b"\x00", b"\x01"):
        value = raw == b"\x01"
    return None if value is None else (value,)


def seal(
    key: DataKey,
    context: FieldContext,
    value: Value,
    pad: Padding = Padding.IDENTIFIER,
    *,
    entropy: Entropy = os.urandom,
) -> bytes:
    """The envelope of a value for one place under one key.

    Raises:
        InvalidInputError: a value of a type without a sealed form.
    """
    plain = _encode(value)
    plain += _PADS[~len(plain) % pad]
    nonce, header = entropy(_NONCE), key.header
    return header + nonce + key.cipher.encrypt(nonce, plain, context.aad(header))


def key_id(envelope: bytes) -> bytes:
    """The key id that the bytes name, unchecked: for finding the key, which then judges them."""
    return envelope[2:_HEADER]


def padding_of(envelope: bytes) -> Padding:
    """The padding under which a value of this envelope has the same length again."""
    return Padding.IDENTIFIER if (len(envelope) - _BODY - _TAG) % Padding.NOTE else Padding.NOTE


def kid_of(envelope: bytes) -> bytes:
    """The kid that an envelope names.

    Raises:
        CannotJudgeError: an unknown version or suite.
        DecryptError: too short for an envelope.
    """
    if envelope and envelope[0] != _VERSION:
        raise CannotJudgeError("sealed in a version unknown to this carelink")
    if len(envelope) > 1:
        suite_of(envelope[1])
    if len(envelope) < _BODY + _STEP + _TAG:
        raise DecryptError("a sealed field does not open here")
    return envelope[2:_HEADER]


def open_field(key: DataKey, context: FieldContext, envelope: bytes) -> Value:
    """The value in an envelope that was sealed for this place under this key.

    A kid is made for one version and one suite: where it is this key's and version or suite are not, the bytes were
    changed. Only an envelope of another key can be of a version that is not known here.

    Raises:
        CannotJudgeError: an envelope of another key, of an unknown version or suite.
        DecryptError: anything else; always the same text.
    """
    found: tuple[Value] | None = None
    header = envelope[:_HEADER]
    if header == key.header:
        plain: bytes | None = None
        try:
            plain = key.cipher.decrypt(envelope[_HEADER:_BODY], envelope[_BODY:], context.aad(header))
        except (InvalidTag, ValueError):
            plain = None
        found = None if plain is None else _decode(plain)
    elif header[2:] != key.kid:
        kid_of(envelope)
    if found is None:
        raise DecryptError("a sealed field does not open here")
    return found[0]
