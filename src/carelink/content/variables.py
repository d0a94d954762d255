"""Types of a template's variables: what a value may look like, so that a variable cannot carry what nobody reviewed.

A value is checked before anything is decided. An error names the variable and never the value, which may be personal.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum, unique
from typing import Any, Final

import attrs

from carelink.errors import InvalidInputError
from carelink.vocabulary import word

__all__ = ["MAX_VALUE", "VARIABLE_NAME", "Characters", "ValueKind", "VariableType", "check_plain"]

MAX_VALUE: Final = 200
"""Longest value of a variable, in characters: enough for a ward or a doctor's name, too short for an article."""

VARIABLE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode that a value may not hold. Half a surrogate pair cannot be encoded; a line break or a mark that
nobody sees can change what a reviewed text says.
"""
_INTEGER: Final = re.compile(r"-?[0-9]{1,12}", re.ASCII)
_MAX_CHOICES: Final = 100


@unique
class ValueKind(StrEnum):
    """What a variable holds. Dates and times are ISO 8601: `2026-11-25`, `08:30`, `2026-11-25 08:30`."""

    TEXT = "text"
    INTEGER = "integer"
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"
    CHOICE = "choice"


@unique
class Characters(StrEnum):
    """Classes of characters that a text may be made of."""

    LATIN = "latin"
    HAN = "han"
    LETTER = "letter"
    DIGIT = "digit"
    SPACE = "space"
    PUNCTUATION = "punctuation"


def _latin(mark: str) -> bool:
    return mark.isascii() and mark.isalpha()


def _han(mark: str) -> bool:
    return unicodedata.name(mark, "").startswith("CJK UNIFIED IDEOGRAPH")


def _digit(mark: str) -> bool:
    return mark.isascii() and mark.isdigit()


_CLASSES: Final[Mapping[Characters, Callable[[str], bool]]] = {
    Characters.LATIN: _latin,
    Characters.HAN: _han,
    Characters.LETTER: str.isalpha,
    Characters.DIGIT: _digit,
    Characters.SPACE: lambda mark: mark == " ",
    Characters.PUNCTUATION: lambda mark: unicodedata.category(mark).startswith("P"),
}

_FORMATS: Final = {ValueKind.DATE: "%Y-%m-%d", ValueKind.TIME: "%H:%M", ValueKind.DATETIME: "%Y-%m-%d %H:%M"}


def check_plain(name: str, value: object, longest: int = MAX_VALUE) -> str:
    """The value, if it is some plain text that is not too long.

    Raises:
        InvalidInputError: naming the variable.
    """
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise InvalidInputError(f"the value of variable `{name}` is empty or longer than {longest} characters")
    if not value.isprintable() and any(unicodedata.category(mark) in _HIDDEN for mark in value):
        raise InvalidInputError(f"the value of variable `{name}` holds line breaks or invisible characters")
    return value


def _key(kind: ValueKind, text: str) -> int | str | None:
    """What a value is compared by; None where it is not of the kind. Equal values are written in one way only."""
    if kind is ValueKind.INTEGER:
        return int(text) if _INTEGER.fullmatch(text) and str(int(text)) == text else None
    written = ""
    try:
        written = datetime.strptime(text, _FORMATS[kind]).strftime(_FORMATS[kind])  # noqa: DTZ007  a local time
    except ValueError:
        written = ""
    # `strftime` does not fill years below 1000 on every platform; such a value is none.
    return text if written == text else None


@attrs.frozen(kw_only=True)
class VariableType:
    """The declared type of one variable.

    Attributes:
        name: as in the text.
        kind: what it holds.
        longest: of a text, in characters; 0 for all other kinds.
        characters: classes of characters a text may be made of; none named: any visible one.
        low, high: smallest and largest value, as text; "" for no bound. Not for texts and choices.
        choices: every value there may be, for a choice.

    Raises:
        InvalidInputError: the type is malformed.
    """

    name: str
    kind: ValueKind
    longest: int = 0
    characters: tuple[Characters, ...] = ()
    low: str = ""
    high: str = ""
    choices: tuple[str, ...] = ()

    def __attrs_post_init__(self) -> None:
        if VARIABLE_NAME.fullmatch(self.name) is None:
            raise InvalidInputError("a variable is named `[a-z][a-z0-9_]*`, at most 32")
        text, one_of = self.kind is ValueKind.TEXT, self.kind is ValueKind.CHOICE
        if not (1 <= self.longest <= MAX_VALUE if text else self.longest == 0) or (self.characters and not text):
            raise self._wrong(f"`max` of a text is 1 to {MAX_VALUE}, and only a text has characters")
        if one_of is not bool(self.choices) or len(self.choices) > _MAX_CHOICES:
            raise self._wrong("a choice, and nothing else, names its values")
        for value in self.choices:
            check_plain(self.name, value)
        bounds = [bound for bound in (self.low, self.high) if bound]
        if bounds and (text or one_of):
            raise self._wrong("a text or a choice has no range")
        keys = [_key(self.kind, bound) for bound in bounds]
        if None in keys or (len(bounds) == 2 and _below(keys[1], keys[0])):  # noqa: PLR2004  both ends
            raise self._wrong("its range is not one")

    @classmethod
    def of(cls, name: str, declared: Mapping[str, Any]) -> VariableType:
        """From a declaration: `type`, then `max` and `characters` of a text, `min` and `max` of a number, date or time,
        `of` for a choice.

        Raises:
            InvalidInputError: it is malformed.
        """
        if VARIABLE_NAME.fullmatch(name) is None:
            raise InvalidInputError("a variable is named `[a-z][a-z0-9_]*`, at most 32")
        left = dict(declared)
        kind = word(ValueKind, str(left.pop("type", "text")))
        try:
            if kind is ValueKind.TEXT:
                made = cls(
                    name=name,
                    kind=kind,
                    longest=int(left.pop("max", MAX_VALUE)),
                    characters=tuple(sorted({word(Characters, each) for each in left.pop("characters", ())})),
                )
            elif kind is ValueKind.CHOICE:
                made = cls(name=name, kind=kind, choices=tuple(left.pop("of", ())))
            else:
                made = cls(name=name, kind=kind, low=str(left.pop("min", "")), high=str(left.pop("max", "")))
        except (TypeError, ValueError):
            made = None
        if made is None or left:
            raise InvalidInputError(f"the type of variable `{name}` is malformed")
        return made

    def declared(self) -> dict[str, Any]:
        """The declaration, in one form only."""
        found: dict[str, Any] = {"type": self.kind.value}
        if self.kind is ValueKind.TEXT:
            found["max"] = self.longest
        if self.characters:
            found["characters"] = [each.value for each in self.characters]
        if self.low:
            found["min"] = self.low
        if self.high:
            found["max"] = self.high
        if self.choices:
            found["of"] = list(self.choices)
        return found

    def check(self, value: object) -> str:
        """The value, if it is of this type.

        Raises:
            InvalidInputError: naming the variable, never the value.
        """
        text = check_plain(self.name, value, self.longest or MAX_VALUE)
        if self.kind is ValueKind.CHOICE:
            if text not in self.choices:
                raise self._wrong("is none of its choices")
        elif self.kind is ValueKind.TEXT:
            allowed = [_CLASSES[each] for each in self.characters]
            if allowed and not all(any(test(mark) for test in allowed) for mark in text):
                raise self._wrong("holds characters that its type does not allow")
        else:
            key = _key(self.kind, text)
            if key is None:
                raise self._wrong(f"is no {self.kind.value}")
            low, high = (_key(self.kind, bound) if bound else None for bound in (self.low, self.high))
            if _below(key, low) or _below(high, key):
                raise self._wrong("is out of its range")
        return text

    def _wrong(self, what: str) -> InvalidInputError:
        return InvalidInputError(f"variable `{self.name}`: {what}")


def _below(left: Any, right: Any) -> bool:
    """Whether both are there, keys of one kind, and the first is less. Dates and times in ISO 8601 sort as texts."""
    return left is not None and right is not None and bool(left < right)
