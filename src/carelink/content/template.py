"""Template versions: the approved form, its digest, and filling in variables.

A template is plain text with `{name}` places. There are no conditions, loops or filters: what a reviewer
approved is what leaves, with the declared values in the declared places.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Final

import attrs

from carelink.errors import InvalidInputError
from carelink.model.scope import Scope

__all__ = ["MAX_VALUE", "PATIENT_NAME", "Rendered", "Template", "check_variables", "render"]

PATIENT_NAME: Final = "patient_name"
"""The one variable carelink fills in itself, from the sealed name, at hand-over."""

MAX_VALUE: Final = 200
"""Longest value of a variable, in characters: enough for a ward or a doctor's name, too short for an article."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}", re.ASCII)
_VARIABLE: Final = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
_PLACE: Final = re.compile(r"\{([a-z][a-z0-9_]{0,31})\}", re.ASCII)
_MAX_BODY: Final = 20_000
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of Unicode that a value may not hold. Half a surrogate pair cannot be encoded; a line break or a mark that
nobody sees can change what a reviewed text says.
"""


def _places(*texts: str) -> tuple[str, ...]:
    return tuple(sorted({name for text in texts for name in _PLACE.findall(text)}))


@attrs.frozen(kw_only=True)
class Template:
    """One version of a template, as submitted for review.

    Attributes:
        name: `[a-z0-9_.-]{1,64}`.
        version: counts from 1.
        scope: purposes and channel kinds it may be used for.
        language: BCP 47 tag of the text.
        subject, body: text with `{variable}` places.

    Raises:
        InvalidInputError: a name, brace or length is wrong.
    """

    name: str
    version: int
    scope: Scope
    body: str
    subject: str = ""
    language: str = "und"

    def __attrs_post_init__(self) -> None:
        if _NAME.fullmatch(self.name) is None:
            raise InvalidInputError("a template name is `[a-z0-9_.-]`, at most 64", hint="for example `recheck-6m`")
        if self.version < 1:
            raise InvalidInputError("template versions count from 1")
        if not self.body or len(self.body) > _MAX_BODY:
            raise InvalidInputError(f"a template body has 1 to {_MAX_BODY} characters")
        for text in (self.subject, self.body):
            if any(mark in _PLACE.sub("", text) for mark in "{}"):
                raise InvalidInputError("a brace in a template stands for a variable", hint="write {lower_case_name}")
            if _UNPRINTABLE.search(text):
                raise InvalidInputError("a template holds a control character or half a surrogate pair")
        if any(mark in self.subject for mark in "\n\r\t"):
            raise InvalidInputError("a subject line has no line breaks or tabs")
        if not self.scope.purposes or not self.scope.channels:
            raise InvalidInputError("a template names the purposes and channel kinds it is for")

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the places in subject and body, sorted."""
        return _places(self.subject, self.body)

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
        }
        text = json.dumps(form, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(b"carelink/template/v1\n" + text.encode()).hexdigest()


@attrs.frozen(repr=False)
class Rendered:
    """Text ready to hand over. Its repr shows nothing: it may name a person."""

    subject: str = attrs.field(repr=False)
    body: str = attrs.field(repr=False)

    def __repr__(self) -> str:
        return "Rendered(...)"

    def to_bytes(self) -> bytes:
        """The bytes that the log's content commitment is made over."""
        return self.subject.encode() + b"\n\n" + self.body.encode()


def _checked(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_VALUE:
        raise InvalidInputError(f"the value of variable `{name}` is empty or longer than {MAX_VALUE} characters")
    plain = value.isascii() and value.isprintable()
    if not plain and any(unicodedata.category(mark) in _HIDDEN for mark in value):
        raise InvalidInputError(f"the value of variable `{name}` holds line breaks or invisible characters")
    return value


def check_variables(declared: tuple[str, ...], given: Mapping[str, str]) -> None:
    """Check that exactly the declared variables are given, `patient_name` apart.

    Raises:
        InvalidInputError: one is missing, surplus, empty, too long or not plain text.
    """
    wanted = set(declared) - {PATIENT_NAME}
    if missing := sorted(wanted - set(given)):
        raise InvalidInputError(f"variable `{missing[0]}` of the template has no value")
    for name, value in given.items():
        if _VARIABLE.fullmatch(name) is None or name not in wanted:
            raise InvalidInputError("a value is given for a variable the template does not have")
        _checked(name, value)


def render(subject: str, body: str, values: Mapping[str, str]) -> Rendered:
    """Fill in the places. Values are inserted as they are, once: a value cannot open a new place.

    Raises:
        InvalidInputError: a place has no value, or a value is not plain text.
    """
    for name in _places(subject, body):
        if name not in values:
            raise InvalidInputError(f"variable `{name}` of the template has no value")
        _checked(name, values[name])

    def fill(text: str) -> str:
        return _PLACE.sub(lambda place: values[place.group(1)], text)

    return Rendered(fill(subject), fill(body))
