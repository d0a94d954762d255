"""Template versions: the approved form, its digest, and filling in variables.

A template is plain text with `{name}` places. There are no conditions, loops or filters: what a reviewer
approved is what leaves, with the declared values in the declared places.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from carelink.content.variables import MAX_VALUE, VARIABLE_NAME, VariableType, check_plain
from carelink.errors import InvalidInputError
from carelink.model.scope import ANY, Scope
from carelink.vocabulary import ChannelKind, DataClass, word

__all__ = [
    "BYLINE",
    "MAX_VALUE",
    "PATIENT_NAME",
    "ChannelText",
    "Rendered",
    "Template",
    "check_variables",
    "read_details",
    "render",
]

PATIENT_NAME: Final = "patient_name"
"""The one variable carelink fills in itself, from the sealed name, at hand-over."""

BYLINE: Final = "byline"
"""The place of the by-line, where a template has one. It is part of the approved form; a request cannot set it."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}", re.ASCII)
_MAX_BODY: Final = 20_000
_MAX_LINE: Final = 500
_MAX_CITATIONS: Final = 50
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


def _places(*texts: str) -> tuple[str, ...]:
    return tuple(sorted({name for text in texts for name in _PLACE.findall(text)}))


def _check_text(subject: str, body: str) -> None:
    if not body or len(body) > _MAX_BODY:
        raise InvalidInputError(f"a template body has 1 to {_MAX_BODY} characters")
    for text in (subject, body):
        if any(mark in _PLACE.sub("", text) for mark in "{}"):
            raise InvalidInputError("a brace in a template stands for a variable", hint="write {lower_case_name}")
        if _UNPRINTABLE.search(text):
            raise InvalidInputError("a template holds a control character or half a surrogate pair")
    if any(mark in subject for mark in "\n\r\t"):
        raise InvalidInputError("a subject line has no line breaks or tabs")


def _check_line(text: str, what: str) -> None:
    if not text.strip() or len(text) > _MAX_LINE or _UNPRINTABLE.search(text) or any(mark in text for mark in "\n\r\t"):
        raise InvalidInputError(f"{what} is one line of 1 to {_MAX_LINE} characters")


@attrs.frozen(kw_only=True)
class ChannelText:
    """What a version says on one channel kind instead of its own subject and body."""

    kind: ChannelKind
    body: str
    subject: str = ""

    def __attrs_post_init__(self) -> None:
        _check_text(self.subject, self.body)


@attrs.frozen(kw_only=True)
class Template:
    """One version of a template, as submitted for review.

    Attributes:
        name: `[a-z0-9_.-]{1,64}`.
        version: counts from 1.
        scope: purposes and channel kinds it may be used for.
        language: BCP 47 tag of the text.
        subject, body: text with `{variable}` places.
        types: declared types of variables, by name; one without is any text up to `MAX_VALUE` characters.
        texts: other text for some channel kinds, in order of kind.
        citations: sources of what it says, one line each.
        byline: who stands behind it, one line; fills `{byline}`.
        data: kinds of personal data that its variables carry, sorted.

    Raises:
        InvalidInputError: a name, brace, length or type is wrong.
    """

    name: str
    version: int
    scope: Scope
    body: str
    subject: str = ""
    language: str = "und"
    types: tuple[VariableType, ...] = ()
    texts: tuple[ChannelText, ...] = ()
    citations: tuple[str, ...] = ()
    byline: str = ""
    data: tuple[DataClass, ...] = ()

    def __attrs_post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise InvalidInputError("a template name is `[a-z0-9_.-]`, at most 64", hint="for example `recheck-6m`")
        if self.version < 1:
            raise InvalidInputError("template versions count from 1")
        _check_text(self.subject, self.body)
        if not self.scope.purposes or not self.scope.channels:
            raise InvalidInputError("a template names the purposes and channel kinds it is for")
        self._check_details()

    def _check_details(self) -> None:
        named = [each.name for each in self.types]
        if named != sorted(set(named)) or not set(named) <= set(self.variables) - {PATIENT_NAME}:
            raise InvalidInputError("a type is declared for a variable that the template does not have")
        kinds = [each.kind for each in self.texts]
        covered = ANY in self.scope.channels or {kind.value for kind in kinds} <= set(self.scope.channels)
        if kinds != sorted(set(kinds)) or not covered:
            raise InvalidInputError("a text is for a channel kind that the template is not for")
        if list(self.data) != sorted(set(self.data)) or len(self.citations) > _MAX_CITATIONS:
            raise InvalidInputError(f"a template names each kind of data once and at most {_MAX_CITATIONS} sources")
        for citation in self.citations:
            _check_line(citation, "a citation")
        if self.byline:
            _check_line(self.byline, "a by-line")
            if "{" in self.byline:
                raise InvalidInputError("a by-line has no variables")
        elif BYLINE in self._all_places():
            raise InvalidInputError("the template has a place for a by-line, and no by-line")

    def _all_places(self) -> tuple[str, ...]:
        more = [text for each in self.texts for text in (each.subject, each.body)]
        return _places(self.subject, self.body, *more)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the places in all its texts, sorted; the by-line's is none."""
        return tuple(name for name in self._all_places() if name != BYLINE)

    def text_for(self, kind: ChannelKind) -> tuple[str, str]:
        """Subject and body on a channel kind."""
        for text in self.texts:
            if text.kind is kind:
                return text.subject, text.body
        return self.subject, self.body

    def check(self, given: Mapping[str, str]) -> None:
        """Check that exactly the declared variables are given, each of its type.

        Raises:
            InvalidInputError: naming the variable, never the value.
        """
        check_variables(self.variables, given)
        for each in self.types:
            each.check(given[each.name])

    def fill(self, kind: ChannelKind, values: Mapping[str, str]) -> Rendered:
        """The text for a channel kind, filled in.

        Raises:
            InvalidInputError: a place has no value, or a value is not plain text of its type.
        """
        for each in self.types:
            if each.name in values:
                each.check(values[each.name])
        subject, body = self.text_for(kind)
        return render(subject, body, values, byline=self.byline)

    def _extras(self) -> dict[str, Any]:
        """What few templates have; a form without any is the form it always was."""
        found: dict[str, Any] = {}
        if self.types:
            found["types"] = {each.name: each.declared() for each in self.types}
        if self.texts:
            found["texts"] = {each.kind.value: [each.subject, each.body] for each in self.texts}
        if self.citations:
            found["citations"] = list(self.citations)
        if self.byline:
            found["byline"] = self.byline
        if self.data:
            found["data"] = [each.value for each in self.data]
        return found

    @property
    def details(self) -> str:
        """Types, texts by channel, citations, by-line and data classes as one JSON text; "" for none."""
        return _canonical(extras) if (extras := self._extras()) else ""

    @property
    def digest(self) -> str:
        """SHA-256 of the approved form, 64 hex digits: what reviewers approved, to the byte."""
        form = {
            "body": self.body,
            "channels": self.scope.channels,
            "language": self.language,
            "name": self.name,
            "purposes": self.scope.purposes,
            "subject": self.subject,
            "version": self.version,
            **self._extras(),
        }
        return hashlib.sha256(b"carelink/template/v1\n" + _canonical(form).encode()).hexdigest()


def read_details(details: str) -> dict[str, Any]:
    """The attributes of a template that its `details` hold.

    Raises:
        InvalidInputError: they are malformed.
    """
    if not details:
        return {}
    made: dict[str, Any] | None = None
    try:
        found = json.loads(details)
        made = {
            "types": tuple(VariableType.of(name, each) for name, each in found.get("types", {}).items()),
            "texts": tuple(
                ChannelText(kind=word(ChannelKind, kind), subject=subject, body=body)
                for kind, (subject, body) in found.get("texts", {}).items()
            ),
            "citations": tuple(found.get("citations", ())),
            "byline": found.get("byline", ""),
            "data": tuple(word(DataClass, each) for each in found.get("data", ())),
        }
    except (ValueError, TypeError, AttributeError, RecursionError):
        made = None
    if made is None or not all(isinstance(line, str) for line in (made["byline"], *made["citations"])):
        raise InvalidInputError("the details of a template are malformed")
    return made


def _canonical(form: dict[str, Any]) -> str:
    return json.dumps(form, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


@attrs.frozen(repr=False)
class Rendered:
    """Text ready to hand over. It may name a person, so neither its repr nor a console that prints fields shows any."""

    subject: str = attrs.field(repr=False)
    body: str = attrs.field(repr=False)

    def __repr__(self) -> str:
        return "Rendered(...)"

    def to_bytes(self) -> bytes:
        """The bytes that the log's content commitment is made over."""
        return self.subject.encode() + b"\n\n" + self.body.encode()


def check_variables(declared: tuple[str, ...], given: Mapping[str, str]) -> None:
    """Check that exactly the declared variables are given, `patient_name` apart.

    Raises:
        InvalidInputError: one is missing, surplus, empty, too long or not plain text.
    """
    wanted = set(declared) - {PATIENT_NAME}
    if missing := sorted(wanted - set(given)):
        raise InvalidInputError(f"variable `{missing[0]}` of the template has no value")
    for name, value in given.items():
        if VARIABLE_NAME.fullmatch(name) is None or name not in wanted:
            raise InvalidInputError("a value is given for a variable the template does not have")
        check_plain(name, value)


def render(subject: str, body: str, values: Mapping[str, str], *, byline: str = "") -> Rendered:
    """Fill in the places. Values are inserted as they are, once: a value cannot open a new place. A by-line, where
    there is one, is the text's own and no value.

    Raises:
        InvalidInputError: a place has no value, or a value is not plain text.
    """
    if byline:
        values = {**values, BYLINE: byline}
    for name in _places(subject, body):
        if name == BYLINE and byline:
            continue
        if name not in values:
            raise InvalidInputError(f"variable `{name}` of the template has no value")
        check_plain(name, values[name])

    def fill(text: str) -> str:
        return _PLACE.sub(lambda place: values[place.group(1)], text)

    return Rendered(fill(subject), fill(body))
