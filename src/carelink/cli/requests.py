"""Turns `--purpose P --template T --channel C [--where ...]` and JSON lines into requests."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from carelink.app import CareLink
from carelink.errors import InvalidInputError
from carelink.model.ids import PatientId, RelatedId, is_ref
from carelink.model.moment import Instant, parse_instant
from carelink.model.request import Request
from carelink.ports.rows import PatientRow
from carelink.vocabulary import AgeBand, Standing, word

__all__ = ["add_selection", "from_json", "select"]

_PAGE: Final = 1000
_FIELDS: Final = {
    "key", "patient", "identifier", "purpose", "channel", "template", "version", "variables", "recipient",
    "disclosure", "automated", "reply", "wait", "not_before", "useless_after",
}  # fmt: skip


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Arguments that say what to send to whom."""
    parser.add_argument("--purpose", help="for example care.appointment")
    parser.add_argument("--template", help="NAME or NAME@VERSION")
    parser.add_argument("--channel", help="a channel kind (email, sms) or a channel's name")
    parser.add_argument("--var", action="append", default=[], metavar="NAME=VALUE", help="value of a template variable")
    parser.add_argument("--where", action="append", default=[], metavar="FIELD=VALUE",
                        help="only patients with this: age=18+ (0-7, 8-13, 14-17), language=zh")  # fmt: skip
    parser.add_argument("--campaign", default="", help="name of this occasion: another name contacts again")
    parser.add_argument("--wait", action="store_true", help="over a cap, defer instead of refuse")
    parser.add_argument("--not-before", type=parse_instant, help="RFC 3339 instant")
    parser.add_argument("--useless-after", type=parse_instant, help="RFC 3339 instant")


def _pairs(texts: list[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise InvalidInputError(f"`{option}` takes NAME=VALUE")
        pairs[name] = value
    return pairs


def _fits(row: PatientRow, where: Mapping[str, str]) -> bool:
    age = where.get("age")
    if age is not None and (row.age is None or row.age is not word(AgeBand, age)):
        return False
    language = where.get("language")
    return language is None or row.language.partition("-")[0] == language.partition("-")[0]


def select(link: CareLink, args: argparse.Namespace) -> Iterator[Request]:
    """A request for each patient the selection fits; merged records are left out, their survivor stands for them."""
    if not (args.purpose and args.template and args.channel):
        raise InvalidInputError("name --purpose, --template and --channel", hint="or pass --jsonl FILE")
    where = _pairs(args.where, "--where")
    if surplus := sorted(set(where) - {"age", "language"}):
        raise InvalidInputError(f"`--where {surplus[0]}` is not known", hint="use age or language")
    name, _, version = args.template.partition("@")
    if version and not version.isdecimal():
        raise InvalidInputError("a template version is a number", hint="NAME@2")
    variables = _pairs(args.var, "--var")
    after = ""
    while True:
        with link.wiring.store.reader() as reader:
            page = reader.page_patients(after, _PAGE)
        if not page:
            return
        after = page[-1].id
        for row in page:
            if row.standing is Standing.MERGED or not _fits(row, where):
                continue
            yield Request(
                key="/".join(
                    filter(None, (args.campaign, args.purpose, name, version or "newest", args.channel, row.id))
                ),
                patient=row.id,
                purpose=args.purpose,
                channel=args.channel,
                template=name,
                version=int(version or 0),
                variables=variables,
                wait=args.wait,
                not_before=args.not_before,
                useless_after=args.useless_after,
            )


def _instant(value: object, field: str) -> Instant | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInputError(f"`{field}` is an RFC 3339 instant")
    return parse_instant(value)


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
    if surplus := sorted(set(data) - _FIELDS):
        raise InvalidInputError("a field is not known", hint=f"unknown: {surplus[0][:32]!a}")
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
    return Request(
        key=data["key"],
        patient=_patient(link, data),
        purpose=data["purpose"],
        channel=data["channel"],
        template=data["template"],
        version=version,
        variables=variables,
        recipient=_related(data.get("recipient")),
        disclosure=data.get("disclosure"),
        automated=data.get("automated", False),
        reply=data.get("reply", False),
        wait=data.get("wait", False),
        not_before=_instant(data.get("not_before"), "not_before"),
        useless_after=_instant(data.get("useless_after"), "useless_after"),
    )


def _related(value: object) -> RelatedId | None:
    if value is None:
        return None
    if not isinstance(value, str) or not is_ref(value):
        raise InvalidInputError("`recipient` is the id of a related person")
    return RelatedId(value)


def _patient(link: CareLink, data: Mapping[str, Any]) -> PatientId:
    patient, identifier = data.get("patient"), data.get("identifier")
    if isinstance(patient, str) and identifier is None:
        return PatientId(patient)
    if isinstance(identifier, str) and patient is None:
        system, colon, value = identifier.rpartition("|")
        return link.find(value, system=system) if colon else link.find(identifier)
    raise InvalidInputError("name the patient by `patient` or by `identifier`, one of them")
