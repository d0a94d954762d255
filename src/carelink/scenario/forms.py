"""What a table of a story may hold: each key with its type and meaning. The reader, the schema for editors and the
reference page are all made from these forms, so that they cannot say different things.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

import attrs

from carelink.errors import InvalidInputError

__all__ = [
    "Field",
    "Form",
    "Type",
    "flag",
    "instant",
    "listed",
    "mapping",
    "number",
    "table",
    "tables",
    "text",
    "words",
]

_HINT: Final = "docs/reference/scenario.md lists every key"


@attrs.frozen(kw_only=True)
class Type:
    """A type of a value: its name for people, its JSON schema, and how to read it.

    Attributes:
        many: a list of such values; a single one stands for a list of one.
        form: the table it is, if it is one.
    """

    says: str
    schema: Mapping[str, Any]
    kinds: tuple[type, ...] = ()
    words: frozenset[str] = frozenset()
    form: Form | None = None
    many: bool = False
    least: int | None = None

    def read(self, value: object, where: str) -> Any:
        """The value, checked.

        Raises:
            InvalidInputError: it is not of this type; the message says where.
        """
        if self.many:
            items = value if isinstance(value, list) else [value]
            one = attrs.evolve(self, many=False)
            return [one.read(item, f"{where}[{place}]") for place, item in enumerate(items, 1)]
        if self.form is not None:
            return self.form.read(value, where)
        if not isinstance(value, self.kinds) or (isinstance(value, bool) and bool not in self.kinds):
            raise InvalidInputError(f"{where}: not {self.says}", hint=_HINT)
        if self.words and value not in self.words:
            raise InvalidInputError(
                f"{where}: not a word of this place", hint=f"one of {', '.join(sorted(self.words))}"
            )
        if self.least is not None and isinstance(value, int) and value < self.least:
            raise InvalidInputError(f"{where}: less than {self.least}", hint=_HINT)
        if isinstance(value, dict):
            return {str(key): item for key, item in value.items()}
        return value


@attrs.frozen
class Field:
    """One key of a table."""

    name: str
    type: Type
    means: str
    required: bool = False


@attrs.frozen
class Form:
    """A table.

    Attributes:
        one_of: of these keys exactly one stands in the table.
    """

    name: str
    fields: tuple[Field, ...]
    one_of: tuple[str, ...] = ()

    def read(self, value: object, where: str) -> dict[str, Any]:
        """The table, checked.

        Raises:
            InvalidInputError: a key is unknown, missing or of another type; the message says which and where.
        """
        if not isinstance(value, dict):
            raise InvalidInputError(f"{where}: not a table", hint=_HINT)
        known = {field.name: field for field in self.fields}
        for key in value:
            if key not in known:
                near = ", ".join(sorted(known))
                raise InvalidInputError(f"{where}: the key `{_plain(key)}` is not known here", hint=f"one of {near}")
        for field in self.fields:
            if field.required and field.name not in value:
                raise InvalidInputError(f"{where}: `{field.name}` is missing", hint=field.means)
        if self.one_of and sum(name in value for name in self.one_of) != 1:
            raise InvalidInputError(f"{where}: needs exactly one of {', '.join(self.one_of)}", hint=_HINT)
        return {key: known[key].type.read(item, f"{where}.{key}") for key, item in value.items()}

    def schema(self) -> dict[str, Any]:
        """JSON schema of the table."""
        made: dict[str, Any] = {
            "type": "object",
            "additionalProperties": False,
            "properties": {field.name: {"description": field.means, **_schema(field.type)} for field in self.fields},
        }
        if required := [field.name for field in self.fields if field.required]:
            made["required"] = required
        if self.one_of:
            made["oneOf"] = [{"required": [name]} for name in self.one_of]
        return made


def _plain(key: object) -> str:
    """A key as it may stand in a message: words, not whatever somebody pasted."""
    text = str(key)
    return text if text.replace("_", "").isalnum() and len(text) <= 40 else "?"  # noqa: PLR2004


def _schema(kind: Type) -> dict[str, Any]:
    one = {"$ref": f"#/$defs/{kind.form.name}"} if kind.form is not None else dict(kind.schema)
    if not kind.many:
        return one
    many = {"type": "array", "items": one}
    return many if kind.form is not None and kind.says == "tables" else {"anyOf": [many, one]}


def text() -> Type:
    """A string."""
    return Type(says="a text", schema={"type": "string"}, kinds=(str,))


def number(least: int = 0) -> Type:
    """A whole number."""
    return Type(says="a whole number", schema={"type": "integer", "minimum": least}, kinds=(int,), least=least)


def flag() -> Type:
    """True or false."""
    return Type(says="true or false", schema={"type": "boolean"}, kinds=(bool,))


def instant() -> Type:
    """A moment: a date and time, or an offset from the step before; see `carelink.scenario.moments`."""
    return Type(says="a moment such as `2025-03-09 10:00` or `+3d 09:00`", schema={"type": "string"},
                kinds=(str, datetime, date))  # fmt: skip


def words(vocabulary: type[StrEnum] | Sequence[str]) -> Type:
    """A word of a closed vocabulary."""
    known = sorted(str(item) for item in vocabulary)
    return Type(says="a word", schema={"enum": known}, kinds=(str,), words=frozenset(known))


def listed(kind: Type) -> Type:
    """A list; one value stands for a list of one."""
    return attrs.evolve(kind, many=True)


def mapping(says: str, values: Mapping[str, Any]) -> Type:
    """A table with keys of the writer's own."""
    return Type(says=says, schema={"type": "object", "additionalProperties": dict(values)}, kinds=(dict,))


def table(form: Form) -> Type:
    """A table of another form."""
    return Type(says="a table", schema={}, form=form)


def tables(form: Form) -> Type:
    """A list of tables of another form."""
    return Type(says="tables", schema={}, form=form, many=True)
