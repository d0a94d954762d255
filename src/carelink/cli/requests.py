"""Turns `--purpose P --template T --channel C [--where ...]` and JSON lines into requests."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from carelink.app import CareLink
from carelink.cli.common import instant
from carelink.errors import InvalidInputError, NotFoundError
from carelink.model.ids import PatientId, RelatedId, is_ref
from carelink.model.moment import Instant, parse_instant
from carelink.model.request import Request
from carelink.ports.rows import PatientRow
from carelink.vocabulary import AgeBand, Purpose, Standing, word

__all__ = ["Selection", "add_selection", "from_json", "selection"]

_PAGE: Final = 1000
_WHERE: Final = ("age", "identifier", "language", "patient")
_FIELDS: Final = {
    "key", "patient", "identifier", "purpose", "channel", "template", "version", "variables", "recipient",
    "disclosure", "automated", "reply", "wait", "not_before", "useless_after",
    "clinician", "plan", "topic", "due_from", "due_until", "data",
}  # fmt: skip


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Arguments that say what to send to whom."""
    parser.add_argument("--purpose", help="for example care.appointment")
    parser.add_argument("--template", help="NAME or NAME@VERSION")
    parser.add_argument("--channel", help="a channel kind (email, sms) or a channel's name")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="value of a template variable")
    parser.add_argument("--where", action="append", default=[], metavar="FIELD=VALUE",
                        help="only patients with this: age=18+ (0-7, 8-13, 14-17), language=zh, patient=ID, "
                             "identifier=SYSTEM|VALUE")  # fmt: skip
    parser.add_argument("--campaign", default="", help="name of this occasion: another name contacts again")
    parser.add_argument("--wait", action="store_true", help="over a cap, defer instead of refuse")
    parser.add_argument("--not-before", type=instant, metavar="INSTANT", help="RFC 3339 instant")
    parser.add_argument("--useless-after", type=instant, metavar="INSTANT", help="RFC 3339 instant")


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidInputError(f"`{option}` takes NAME=VALUE")
        if name in pairs:
            raise InvalidInputError(f"`{option}` gives one name twice")
        pairs[name] = value
    return pairs


@attrs.frozen(kw_only=True)
class Selection:
    """What to send, and to which patients. Iterates over requests, a page of patients in memory at a time.

    Merged records are left out: their survivor stands for them.
    """

    link: CareLink
    form: Mapping[str, Any] = attrs.field(repr=False)
    prefix: str
    age: AgeBand | None = None
    language: str | None = None
    patient: PatientId | None = None

    def __iter__(self) -> Iterator[Request]:
        for row in self._rows():
            yield Request(key=f"{self.prefix}/{row.id}", patient=row.id, **self.form)

    def count(self) -> int:
        """How many requests there will be."""
        return sum(1 for _ in self._rows())

    def _rows(self) -> Iterator[PatientRow]:
        after = ""
        while page := self._page(after):
            after = page[-1].id
            yield from (row for row in page if self._fits(row))
            if self.patient is not None:
                return

    def _page(self, after: str) -> tuple[PatientRow, ...]:
        with self.link.wiring.store.reader() as reader:
            if self.patient is None:
                return reader.page_patients(after, _PAGE)
            return tuple(reader.patients([self.patient]).values())

    def _fits(self, row: PatientRow) -> bool:
        if row.standing is Standing.MERGED or (self.age is not None and row.age is not self.age):
            return False
        return self.language is None or row.language.partition("-")[0] == self.language


def selection(link: CareLink, args: argparse.Namespace) -> Selection:
    """The selection that the arguments mean, checked before anybody is looked at.

    Raises:
        InvalidInputError: an argument is missing or malformed.
        NotFoundError: the template, the channel or the patient is unknown.
    """
    if not (args.purpose and args.template and args.channel):
        raise InvalidInputError("name --purpose, --template and --channel")
    where = _pairs(args.where, "--where")
    if set(where) - set(_WHERE):
        raise InvalidInputError("`--where` names a field that is not known", hint=f"use {', '.join(_WHERE)}")
    name, at, version = args.template.partition("@")
    if at and not (version.isascii() and version.isdecimal() and len(version) < 10):  # noqa: PLR2004  fits an integer
        raise InvalidInputError("a template version is a number", hint="write NAME@2")
    link.parts.route(args.channel)
    with link.wiring.store.reader() as reader:
        newest = reader.latest_template(name)
    if newest is None or int(version or newest) > newest:
        raise NotFoundError(f"no such version of template `{name[:64]}`", hint="register it: carelink content add")
    return Selection(
        link=link,
        prefix="/".join(filter(None, (args.campaign, args.purpose, name, version or "newest", args.channel))),
        form={
            "purpose": word(Purpose, args.purpose),
            "channel": args.channel,
            "template": name,
            "version": int(version or 0),
            "variables": _pairs(args.var, "--var"),
            "wait": args.wait,
            "not_before": args.not_before,
            "useless_after": args.useless_after,
        },
        age=word(AgeBand, where["age"]) if "age" in where else None,
        language=where["language"].partition("-")[0] if "language" in where else None,
        patient=_patient(link, where) if {"patient", "identifier"} & set(where) else None,
    )


def from_json(link: CareLink, line: str) -> Request:
    """One request from one JSON line.

    Raises:
        InvalidInputError: not a JSON object of the known fields.
        NotFoundError: the identifier is nobody's.
    """
    data: Any = None
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise InvalidInputError("not a JSON object")
    if set(data) - _FIELDS:
        raise InvalidInputError("a field is not known", hint=f"known: {', '.join(sorted(_FIELDS))}")
    _check_types(data)
    return Request(
        key=data["key"],
        patient=_patient(link, data),
        purpose=data["purpose"],
        channel=data["channel"],
        template=data["template"],
        version=data.get("version", 0),
        variables=data.get("variables", {}),
        recipient=_related(data.get("recipient")),
        disclosure=data.get("disclosure"),
        automated=data.get("automated", False),
        reply=data.get("reply", False),
        wait=data.get("wait", False),
        not_before=_instant(data.get("not_before"), "not_before"),
        useless_after=_instant(data.get("useless_after"), "useless_after"),
        clinician=data.get("clinician", ""),
        plan=data.get("plan", ""),
        topic=data.get("topic", ""),
        due_from=_instant(data.get("due_from"), "due_from"),
        due_until=_instant(data.get("due_until"), "due_until"),
        data=tuple(data.get("data", [])),
    )


def _check_types(data: Mapping[str, Any]) -> None:
    """Whether each field is of its type; what it says is for `Request` to check."""
    for field in ("key", "purpose", "channel", "template"):
        if not isinstance(data.get(field), str):
            raise InvalidInputError(f"`{field}` is missing or not text")
    variables = data.get("variables", {})
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise InvalidInputError("`variables` is an object of texts")
    version = data.get("version", 0)
    if not isinstance(version, int) or isinstance(version, bool):
        raise InvalidInputError("`version` is a number")
    for flag in ("automated", "reply", "wait"):
        if not isinstance(data.get(flag, False), bool):
            raise InvalidInputError(f"`{flag}` is true or false")
    for field in ("clinician", "plan", "topic"):
        if not isinstance(data.get(field, ""), str):
            raise InvalidInputError(f"`{field}` is a name")
    classes = data.get("data", [])
    if not isinstance(classes, list) or not all(isinstance(each, str) for each in classes):
        raise InvalidInputError("`data` is a list of kinds of data")
    disclosure = data.get("disclosure")
    if disclosure is not None and not isinstance(disclosure, str):
        raise InvalidInputError("`disclosure` is text")


def _instant(value: object, field: str) -> Instant | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInputError(f"`{field}` is an RFC 3339 instant")
    return parse_instant(value)


def _related(value: object) -> RelatedId | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_ref(value):
        raise InvalidInputError("`recipient` is the id of a related person")
    return RelatedId(value)


def _patient(link: CareLink, data: Mapping[str, Any]) -> PatientId:
    patient, identifier = data.get("patient"), data.get("identifier")
    if isinstance(patient, str) and identifier is None:
        if not is_ref(patient):
            raise InvalidInputError("`patient` is an id of 32 hex digits", hint="or name one by `identifier`")
        return PatientId(patient)
    if isinstance(identifier, str) and patient is None:
        system, bar, value = identifier.rpartition("|")
        return link.find(value, system=system) if bar else link.find(identifier)
    raise InvalidInputError("name the patient by `patient` or by `identifier`, one of them")
