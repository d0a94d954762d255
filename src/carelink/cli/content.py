"""`carelink content add|approve|withdraw|show|screen`: template versions and their approvals, and screening a text."""

from __future__ import annotations

import argparse

from carelink.cli.common import console, instant, open_link, read_input, split, table
from carelink.cli.content_screen import add_screen
from carelink.cli.exit_codes import Exit
from carelink.errors import InvalidInputError, NotFoundError
from carelink.model.moment import to_datetime

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("content", help="templates: register, approve, withdraw, screen")
    verbs = parser.add_subparsers(dest="verb", required=True)
    new = verbs.add_parser("add", help="register a template version as a draft")
    new.add_argument("name")
    new.add_argument("--version", type=int, default=1)
    new.add_argument("--body", required=True, metavar="FILE", help="UTF-8 text with {variable} places; - for stdin")
    new.add_argument("--subject", default="", help="subject line, for email")
    new.add_argument("--purposes", required=True, type=split, help="for example care.appointment")
    new.add_argument("--channels", required=True, type=split, help="channel kinds, for example email,sms")
    new.add_argument("--language", default="und", help="BCP 47 tag of the text, for example zh-Hans")
    new.add_argument("--until", type=instant, help="last instant of its validity, RFC 3339")
    new.add_argument("--actor", required=True, help="the author")
    new.set_defaults(run=_add)
    for verb, run, text in (
        ("approve", _approve, "add one reviewer's approval"),
        ("withdraw", _withdraw, "take a version out of use, for good"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("name")
        one.add_argument("--version", type=int, default=1)
        one.add_argument("--actor", required=True, help="who")
        one.set_defaults(run=run)
    show = verbs.add_parser("show", help="one template version")
    show.add_argument("name")
    show.add_argument("--version", type=int, default=0, help="0 is the newest")
    show.set_defaults(run=_show)
    add_screen(verbs)


def _body(name: str) -> str:
    """The text of a template: exactly what the file says, but for its last line break.

    Raises:
        InvalidInputError: it is not UTF-8.
    """
    data = read_input(name)
    text: str | None = None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = None
    if text is None:
        raise InvalidInputError("the body is not UTF-8 text", hint="save the file as UTF-8")
    return text.replace("\r\n", "\n").rstrip("\n")


def _add(args: argparse.Namespace) -> int:
    body = _body(args.body)
    with open_link(args) as link:
        form = link.template(
            args.name,
            body,
            purposes=args.purposes,
            channels=args.channels,
            subject=args.subject,
            language=args.language,
            version=args.version,
            author=args.actor,
            until=None if args.until is None else to_datetime(args.until),
        )
    console.print(f"draft {form.name}@{form.version}  {form.digest[:16]}", markup=False)
    console.print(f"Next: carelink content approve {form.name} --version {form.version} --actor REVIEWER", markup=False)
    return Exit.OK


def _approve(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        count = link.approve(args.name, args.version, actor=args.actor)
    console.print(f"{args.name}@{args.version}: approved by {count}", markup=False)
    return Exit.OK


def _withdraw(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        link.adoption.retract(args.name, args.version, by=link.actor(args.actor))
    console.print(f"{args.name}@{args.version} withdrawn", markup=False)
    return Exit.OK


def _show(args: argparse.Namespace) -> int:
    with open_link(args) as link, link.wiring.store.reader() as reader:
        version = args.version or reader.latest_template(args.name) or 0
        row = reader.templates([(args.name, version)]).get((args.name, version))
    if row is None:
        raise NotFoundError("no such template version is registered", hint="register it: carelink content add")
    table(f"{row.name}@{row.version}", ("what", "value"), [
        ("status", row.status.value), ("approved by", str(len(row.approvers))), ("purposes", ", ".join(row.purposes)),
        ("channels", ", ".join(row.channels)), ("digest", row.digest), ("subject", row.subject), ("body", row.body),
    ])  # fmt: skip
    return Exit.OK
