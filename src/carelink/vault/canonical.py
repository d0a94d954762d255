"""Canonical forms of addresses and identifiers: one function for the write path and the query path.

The forms are versioned: tokens and index values are made of them, so a changed form is a new version with a re-index.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

import attrs

from carelink.errors import InvalidInputError
from carelink.vocabulary import AddressKind

__all__ = [
    "CANONICAL_VERSION",
    "RESIDENT_ID",
    "Canonical",
    "canonical_address",
    "canonical_chat",
    "canonical_email",
    "canonical_id",
    "canonical_phone",
]

CANONICAL_VERSION: Final = 1
"""Version of the forms in this file."""

RESIDENT_ID: Final = "cn.resident-id"
"""Identifier system of the 18-character Chinese resident identity number (GB 11643-1999)."""

_RESIDENT: Final = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_EMAIL: Final = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@.\x00-\x1f\x7f]+(\.[^\s@.\x00-\x1f\x7f]+)*")
_MAX_EMAIL: Final = 254
_CHAT: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,128}")
_SEPARATOR: Final = "|"


@attrs.frozen
class Canonical:
    """An address in its canonical form.

    Attributes:
        text: the form; personal data, kept out of repr.
        valid: whether the number plan knows such a number; a number that is not valid is kept but never dialled.
        zones: every IANA zone of the number's country prefix; empty where the form tells nothing.
    """

    text: str = attrs.field(repr=False)
    valid: bool = True
    zones: tuple[str, ...] = ()
    version: int = CANONICAL_VERSION


def _parsed(raw: str, region: str) -> Any:
    import phonenumbers  # noqa: PLC0415  heavy: 0.1 s that only writers of phone numbers pay

    try:
        return phonenumbers.parse(raw, region)
    except phonenumbers.NumberParseException:
        return None


def canonical_phone(raw: str, region: str) -> Canonical:
    """E.164 of a phone number; `region` (ISO 3166, such as CN) is meant where no country code stands.

    Raises:
        InvalidInputError: not a phone number at all.
    """
    number = _parsed(unicodedata.normalize("NFKC", raw).strip(), region)
    if number is None or number.extension:
        raise InvalidInputError("not a phone number", hint="write it as +<country code><number>")
    import phonenumbers  # noqa: PLC0415  as above
    from phonenumbers.tzdata import TIMEZONE_DATA  # noqa: PLC0415  as above

    text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    zones = tuple(sorted(set(TIMEZONE_DATA.get(str(number.country_code), ())) - {"Etc/Unknown"}))
    return Canonical(text, phonenumbers.is_valid_number(number), zones)


def canonical_email(raw: str) -> Canonical:
    """NFKC, stripped, case folded on both sides of the @.

    Raises:
        InvalidInputError: not an email address.
    """
    folded = unicodedata.normalize("NFKC", raw).strip().casefold()
    text = unicodedata.normalize("NFKC", folded)
    if len(text) > _MAX_EMAIL or _EMAIL.fullmatch(text) is None:
        raise InvalidInputError("not an email address", hint="write it as name@domain")
    return Canonical(text)


def canonical_chat(raw: str) -> Canonical:
    """A chat provider's own id of a person, verbatim but for outer blanks: its letters may differ by case.

    Raises:
        InvalidInputError: empty, too long, or with blanks inside.
    """
    text = raw.strip()
    if _CHAT.fullmatch(text) is None:
        raise InvalidInputError("not a chat id", hint="the provider's id of the person, at most 128 marks, no blanks")
    return Canonical(text)


def canonical_address(kind: AddressKind, raw: str, region: str) -> Canonical:
    """The canonical form of an address of this kind; `region` as in `canonical_phone`.

    Raises:
        InvalidInputError: it is none.
    """
    if kind is AddressKind.PHONE:
        return canonical_phone(raw, region)
    return canonical_email(raw) if kind is AddressKind.EMAIL else canonical_chat(raw)


def canonical_id(system: str, value: str) -> str:
    """`system|value`: resident numbers with an upper-case X, every other identifier verbatim but for outer blanks.

    Raises:
        InvalidInputError: empty, with a line break, or no resident number where the system says it is one.
    """
    text = value.strip()
    if not system or _SEPARATOR in system or not text or any(c in "\r\n" for c in system + text):
        raise InvalidInputError("not an identifier", hint="a system name without `|` and a value on one line")
    if system == RESIDENT_ID:
        text = unicodedata.normalize("NFKC", text).upper()
        if _RESIDENT.fullmatch(text) is None:
            raise InvalidInputError("not a resident identity number", hint="17 digits and a digit or X")
    return f"{system}{_SEPARATOR}{text}"
