"""Closed types of the fields of entries, and objects made of them. Nothing personal fits into any of them (P8).

A form is read and written through the same check: what may not be read cannot be written either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, ClassVar, Final, Self, TypeVar

import attrs

from carelink.audit.encoding import MAX_INTEGER
from carelink.errors import FormatError
from carelink.model.scope import ANY, PLAN
from carelink.vocabulary import ChannelKind, Family, Purpose

__all__ = [
    "ANY_TEXT",
    "BOOLEAN",
    "CHANNELS",
    "CODE",
    "COUNT",
    "DAYS",
    "HEX64",
    "INTEGER",
    "NAME",
    "PLANS",
    "PLAN_NAME",
    "PRINTABLE",
    "PURPOSES",
    "REF",
    "RULE",
    "TEXT",
    "Codec",
    "Form",
    "Metadata",
    "Shape",
    "as_object",
    "bad",
    "choice",
    "items",
    "nested",
    "pair",
    "several",
    "unlike_number",
    "words",
]

Metadata = Mapping[str, "Codec"]

_REF: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_HEX64: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TEXT: Final = re.compile(r"[A-Za-z0-9_.:+/=*-]{0,128}", re.ASCII)
_NAME: Final = re.compile(r"[a-z0-9_.-]{1,64}", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
_RULE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}", re.ASCII)
_DAYS: Final = re.compile(r"[wr]{1,800}", re.ASCII)
_PRINTABLE: Final = re.compile(r"[!-?A-~]{1,512}", re.ASCII)
_LONG: Final = re.compile(r"[0-9]{9}", re.ASCII)
_LONG_SPLIT: Final = re.compile(r"[0-9]{11}", re.ASCII)
_SPLITTERS: Final = str.maketrans("", "", "-._:+/=*")

T = TypeVar("T")


def bad(field: str, what: str) -> FormatError:
    """The error for a field; it names the field and never what stands in it."""
    return FormatError(f"`{field}` {what}")


@attrs.frozen
class Codec:
    """A closed type: `read` from JSON and `write` to JSON, each checks; both take the field's name for errors.

    Attributes:
        says: name of the type, for docs/reference/log-entry.md.
        words: what a value may be, where these are few.
    """

    read: Callable[[object, str], Any]
    write: Callable[[Any, str], object]
    says: str
    words: tuple[str, ...] = ()

    @property
    def metadata(self) -> Metadata:
        """For `attrs.field(metadata=...)`."""
        return {"codec": self}


@lru_cache(maxsize=4096)
def unlike_number(text: str) -> bool:
    """Whether a text of an open vocabulary cannot be a phone, card or identity number.

    It has no nine digits in a row, and no eleven with separators in between.
    """
    return _LONG.search(text) is None and _LONG_SPLIT.search(text.translate(_SPLITTERS)) is None


def _same(check: Callable[[object, str], T], says: str, words: tuple[str, ...] = ()) -> Metadata:
    return Codec(check, check, says, words).metadata


def _matching(pattern: re.Pattern[str], what: str, says: str, *, numbers: bool = False) -> Metadata:
    match = pattern.fullmatch

    def check(value: object, field: str) -> str:
        if not isinstance(value, str) or match(value) is None:
            raise bad(field, f"is not {what}")
        if not numbers and not unlike_number(value):
            raise bad(field, "looks like a number of a person")
        return value

    return _same(check, says)


def _integer(value: object, field: str) -> int:
    if type(value) is not int or not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise bad(field, "is not an integer")
    return value


def _boolean(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise bad(field, "is not true or false")
    return value


def _string(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise bad(field, "is not text")
    return value


def _ref(value: object, field: str) -> str:
    if not isinstance(value, str) or _REF.fullmatch(value) is None:
        raise bad(field, "is not an identifier")
    return value


REF: Final = _same(_ref, "reference")
HEX64: Final = _matching(_HEX64, "a digest", "digest", numbers=True)
TEXT: Final = _matching(_TEXT, "a short technical text", "text")
NAME: Final = _matching(_NAME, "a technical name", "name")
CODE: Final = _matching(_CODE, "a code", "code")
RULE: Final = _matching(_RULE, "a rule id", "rule")
PRINTABLE: Final = _matching(_PRINTABLE, "printable ASCII", "printable", numbers=True)
PLAN_NAME: Final = _matching(PLAN, "the name of a plan or topic", "plan")
DAYS: Final = _matching(_DAYS, "a row of `w` and `r`", "days", numbers=True)
ANY_TEXT: Final = _same(_string, "any text")
INTEGER: Final = _same(_integer, "integer")
BOOLEAN: Final = _same(_boolean, "boolean")


def _count(value: object, field: str) -> int:
    found = _integer(value, field)
    if found < 1:
        raise bad(field, "is not at least 1; none is left out")
    return found


COUNT: Final = _same(_count, "integer from 1")


def choice(vocabulary: type[Enum], *, but: Enum | None = None) -> Metadata:
    """One member of a closed vocabulary, by its value; `but` is what a field that is left out stands for."""
    members = {member.value: member for member in vocabulary if member is not but}

    def read(value: object, field: str) -> Enum:
        member = members.get(value) if isinstance(value, str) else None
        if member is None:
            raise bad(field, f"is not a known {vocabulary.__name__}")
        return member

    def write(value: object, field: str) -> object:
        if not isinstance(value, vocabulary) or value is but:
            raise bad(field, f"is not a {vocabulary.__name__}")
        return value.value

    return Codec(read, write, vocabulary.__name__, tuple(members)).metadata


def words(*known: str, says: str = "") -> Metadata:
    """One of these texts."""
    closed = {word: word for word in known}

    def check(value: object, field: str) -> str:
        word = closed.get(value) if isinstance(value, str) else None
        if word is None:
            raise bad(field, "is not one of its words")
        return word

    return _same(check, says or " or ".join(f"`{word}`" if word else "nothing" for word in known), known)


PURPOSES: Final = words(
    "*", *(family.value for family in Family), *(purpose.value for purpose in Purpose), says="purpose"
)
CHANNELS: Final = words("*", *(kind.value for kind in ChannelKind), says="channel kind")


def _plan(value: object, field: str) -> str:
    found: str = ANY if value == ANY else PLAN_NAME["codec"].read(value, field)
    return found


PLANS: Final = _same(_plan, "plan or `*`")
"""One plan of a scope, or every plan."""


def items(metadata: Metadata) -> Metadata:
    """An array of these, as a tuple; the order is kept."""
    inner = metadata["codec"]
    read_one = inner.read

    def read(value: object, field: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise bad(field, "is not an array")
        return tuple([read_one(item, field) for item in value])

    def write(value: object, field: str) -> object:
        if not isinstance(value, tuple):
            raise bad(field, "is not a tuple")
        return [inner.write(item, field) for item in value]

    return Codec(read, write, f"array of {inner.says}", inner.words).metadata


def several(metadata: Metadata) -> Metadata:
    """An array of these that is not empty and in ascending order, each once: none is left out."""
    inner = items(metadata)["codec"]

    def read(value: object, field: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = inner.read(value, field)
        _ascends(found, field)
        return found

    def write(value: object, field: str) -> object:
        written = inner.write(value, field)
        _ascends(value, field)
        return written

    return Codec(read, write, inner.says, inner.words).metadata


def _ascends(found: Any, field: str) -> None:
    if not found:
        raise bad(field, "is empty and not left out")
    if list(found) != sorted(set(found)):
        raise bad(field, "is not in order")


def pair(metadata: Metadata) -> Metadata:
    """An array of two of these, as a tuple."""
    inner = items(metadata)["codec"]

    def read(value: object, field: str) -> tuple[Any, ...]:
        found: tuple[Any, ...] = inner.read(value, field)
        if len(found) != 2:  # noqa: PLR2004  a pair
            raise bad(field, "is not a pair")
        return found

    def write(value: object, field: str) -> object:
        if not isinstance(value, tuple) or len(value) != 2:  # noqa: PLR2004  a pair
            raise bad(field, "is not a pair")
        return inner.write(value, field)

    return Codec(read, write, f"pair of {inner.says}", inner.words).metadata


def nested(form: type[Form]) -> Metadata:
    """An object of this form."""

    def write(value: object, field: str) -> object:
        if not isinstance(value, form):
            raise bad(field, f"is not a {form.__name__}")
        return value.write(field)

    return Codec(form.read, write, form.__name__.lstrip("_")).metadata


def as_object(value: object, field: str, required: frozenset[str], allowed: frozenset[str]) -> dict[str, Any]:
    """The object, if it has all required fields and no other than the allowed ones.

    Raises:
        FormatError: naming the missing field; a surplus field has no name worth repeating.
    """
    if not isinstance(value, dict):
        raise bad(field, "is not an object")
    keys = value.keys()
    if not keys >= required:
        raise bad(f"{field}.{min(required - keys)}", "is missing")
    if not keys <= allowed:
        raise bad(field, "has a field it does not have in this form")
    return value


class Shape:
    """The fields of an object, each with its type.

    Args:
        required: types of the fields that stand in every object of the form.
        optional: types of those that may be left out.
    """

    def __init__(self, required: Mapping[str, Codec], optional: Mapping[str, Codec] | None = None) -> None:
        self.codecs = {**required, **(optional or {})}
        self.required, self._allowed = frozenset(required), frozenset(self.codecs)
        self._readers: dict[str, dict[str, tuple[Callable[[object, str], Any], str]]] = {}

    def read(self, value: object, field: str) -> dict[str, Any]:
        """The fields of the object, each read.

        Raises:
            FormatError: a field is missing, surplus or not of its type.
        """
        readers = self._readers.get(field)
        if readers is None:  # names of fields are those of the forms: few, and none comes from what is read
            readers = {name: (codec.read, f"{field}.{name}") for name, codec in self.codecs.items()}
            self._readers[field] = readers
        if not isinstance(value, dict):
            raise bad(field, "is not an object")
        found: dict[str, Any] = {}
        for name, item in value.items():
            reader = readers.get(name)
            if reader is None:
                break
            found[name] = reader[0](item, reader[1])
        if len(found) < len(value) or not self.required <= found.keys():
            as_object(value, field, self.required, self._allowed)  # says which
        return found


@attrs.frozen
class Form:
    """An object with named fields of closed types. A field whose default is None or () is omitted when it has it."""

    _fields: ClassVar[dict[type, tuple[tuple[str, Codec, bool], ...]]] = {}
    _shapes: ClassVar[dict[type, tuple[Shape, tuple[str, ...]]]] = {}

    @classmethod
    def _table(cls) -> tuple[tuple[str, Codec, bool], ...]:
        table = Form._fields.get(cls)
        if table is None:
            table = tuple(
                (a.name, a.metadata["codec"], a.default is None or a.default == ()) for a in attrs.fields(cls)
            )
            Form._fields[cls] = table
        return table

    def write(self, field: str = "body") -> dict[str, object]:
        """As JSON, every field checked."""
        found: dict[str, object] = {}
        for name, codec, optional in self._table():
            value = getattr(self, name)
            if not optional or (value is not None and value != ()):
                found[name] = codec.write(value, f"{field}.{name}")
        self.check(field)
        return found

    @classmethod
    def read(cls, value: object, field: str = "body") -> Self:
        """From JSON, strictly."""
        known = Form._shapes.get(cls)
        if known is None:
            table = cls._table()
            optional = {name: codec for name, codec, left_out in table if left_out}
            shape = Shape({name: codec for name, codec, left_out in table if not left_out}, optional)
            known = Form._shapes[cls] = (shape, tuple(optional))
        shape, omitted = known
        values = shape.read(value, field)
        for name in omitted:
            if values.get(name) == ():
                raise bad(f"{field}.{name}", "is empty and not omitted")
        form = cls(**values)
        form.check(field)
        return form

    def check(self, field: str) -> None:
        """Rules between fields; a form that has some overrides this."""

    def to_json(self) -> dict[str, object]:
        """As JSON, every field checked."""
        return self.write()

    @classmethod
    def from_json(cls, value: object) -> Self:
        """From JSON, strictly."""
        return cls.read(value)
