"""FHIR resources as strict JSON: one object on a line, every key once, every value of the type that is asked for.

What `json` lets pass is refused here: NaN and Infinity, a key given twice, integers no field has, and half surrogate
pairs, which no text can be made of. A complaint names the path of the field and never its value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import attrs

from carelink.interop.dates import Days
from carelink.interop.records import Fault, Problem, Source, has_control
from carelink.model.moment import Instant

__all__ = ["BadError", "Node", "Reading", "parse"]

_DIGITS: Final = 18


class BadError(Exception):
    """A resource that cannot be used: what is wrong, where, and nothing of what stood there."""

    def __init__(self, code: Fault, field: str = "", hint: str = "") -> None:
        super().__init__(code.value, field, hint)
        self.code, self.field, self.hint = code, field, hint


@attrs.define
class Reading:
    """What is known while one resource is read, and the parts of it that could not be used."""

    source: Source
    days: Days = attrs.field(factory=Days)
    now: Instant | None = None
    problems: list[Problem] = attrs.field(factory=list)

    def note(self, code: Fault, field: str, hint: str = "") -> None:
        """A part was left out, the resource was kept."""
        self.problems.append(
            Problem(file=self.source.file, line=self.source.line, code=code, field=field, hint=hint, lost=False)
        )

    def is_over(self, node: Node | None) -> bool:
        """Whether a period has ended; without a clock, whether it has an end."""
        if node is None or not node.text("end"):
            return False
        good, end = self.days.end(node.text("end"))
        if not good:
            raise BadError(Fault.BAD_DATE, f"{node.path}.end")
        return end is not None and (self.now is None or end <= self.now)


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadError(Fault.DUPLICATE_KEY)
    return found


def _constant(_: str) -> NoReturn:
    raise BadError(Fault.NOT_JSON)


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise BadError(Fault.NOT_JSON)
    return int(text)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant, parse_int=_integer)


def parse(line: bytes, kind: str) -> Node:
    """The resource on a line.

    Raises:
        BadError: no UTF-8, not one JSON object, or another resource type.
    """
    code, data = Fault.NOT_JSON, None
    try:
        data = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        code = Fault.NOT_UTF8
    except BadError as bad:
        code = bad.code
    except (ValueError, RecursionError):
        code = Fault.NOT_JSON
    if not isinstance(data, dict):
        raise BadError(code)
    if data.get("resourceType") != kind:
        raise BadError(Fault.WRONG_RESOURCE_TYPE)
    return Node(data, kind)


class Node:
    """Typed access to a JSON object. A value that is absent or null reads as empty."""

    __slots__ = ("_data", "path")

    def __init__(self, data: Any, path: str) -> None:
        if not isinstance(data, dict):
            raise BadError(Fault.WRONG_TYPE, path)
        self._data: dict[str, Any] = data
        self.path = path

    def has(self, key: str) -> bool:
        """Whether something stands under the key."""
        return self._data.get(key) is not None

    def text(self, key: str) -> str:
        """A text without outer blanks."""
        value = self._data.get(key)
        return "" if value is None else _text(value, f"{self.path}.{key}")

    def flag(self, key: str) -> bool | None:
        """True, false or absent."""
        value = self._data.get(key)
        if value is not None and not isinstance(value, bool):
            raise BadError(Fault.WRONG_TYPE, f"{self.path}.{key}")
        return value

    def number(self, key: str) -> int | None:
        """An integer."""
        value = self._data.get(key)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
            raise BadError(Fault.WRONG_TYPE, f"{self.path}.{key}")
        return value

    def node(self, key: str) -> Node | None:
        """An object."""
        value = self._data.get(key)
        return None if value is None else Node(value, f"{self.path}.{key}")

    def nodes(self, key: str) -> list[Node]:
        """A list of objects."""
        return [Node(item, path) for item, path in self._items(key)]

    def texts(self, key: str) -> list[str]:
        """A list of texts; FHIR allows a null where only an extension stands."""
        return [_text(item, path) for item, path in self._items(key) if item is not None]

    def _items(self, key: str) -> Iterator[tuple[Any, str]]:
        value = self._data.get(key)
        if value is None:
            return
        if not isinstance(value, list):
            raise BadError(Fault.WRONG_TYPE, f"{self.path}.{key}")
        for place, item in enumerate(value):
            yield item, f"{self.path}.{key}[{place}]"

    def codes(self, key: str) -> list[str]:
        """Codes of a CodeableConcept, or of a list of them."""
        concepts = self.nodes(key) if isinstance(self._data.get(key), list) else [self.node(key)]
        return [code.text("code") for concept in concepts if concept is not None for code in concept.nodes("coding")]

    def start(self, key: str, days: Days) -> Instant | None:
        """The first instant of a date or dateTime."""
        text = self.text(key)
        instant = days.start(text) if text else None
        if text and instant is None:
            raise BadError(Fault.BAD_DATE, f"{self.path}.{key}")
        return instant

    def end(self, key: str, days: Days) -> Instant | None:
        """The first instant after a date or dateTime; None if it has no end."""
        text = self.text(key)
        good, instant = days.end(text) if text else (True, None)
        if not good:
            raise BadError(Fault.BAD_DATE, f"{self.path}.{key}")
        return instant

    def extensions(self, url: str) -> list[Node]:
        """Extensions with this url."""
        return [node for node in self.nodes("extension") if node.text("url") == url]

    def extension(self, url: str) -> Node | None:
        """The first extension with this url."""
        return next(iter(self.extensions(url)), None)


def _text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise BadError(Fault.WRONG_TYPE, path)
    if has_control(value):
        raise BadError(Fault.CONTROL_CHARACTER, path)
    return value.strip()
