"""`carelink content add|approve|withdraw|list`: template versions and their approvals."""

from __future__ import annotations

import argparse
from pathlib import Path

from carelink.cli.common import console, open_link, split, table
from carelink.cli.exit_codes import Exit
from carelink.model.moment import parse_instant, to_datetime

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("content", help="templates: register, approve, withdraw")
    verbs = parser.add_subparsers(dest="verb", required=True)
    new = verbs.add_parser("add", help="register a template version as a draft")
    new.add_argument("name")
    new.add_argument("--version", type=int, default=1)
    new.add_argument("--body", required=True, type=Path, metavar="FILE", help="UTF-8 text with {variable} places")
    new.add_argument("--subject", default="")
    new.add_argument("--purposes", required=True, type=split)
    new.add_argument("--channels", required=True, type=split)
    new.add_argument("--language", default="und")
    new.add_argument("--until", type=parse_instant)
    new.add_argument("--actor", required=True)
    new.set_defaults(run=_add)
    for verb, run, text in (("approve", _approve, "add one reviewer's approval"), ("withdraw", _withdraw, "for good")):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("name")
        one.add_argument("--version", type=int, default=1)
        one.add_argument("--actor", required=True, help="who")
        one.set_defaults(run=run)
    show = verbs.add_parser("show", help="one template version")
    show.add_argument("name")
    show.add_argument("--version", type=int, default=0)
    show.set_defaults(run=_show)


def _add(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        form = link.template(
            args.name,
            args.body.read_text(encoding="utf-8").rstrip("\n"),
            purposes=args.purposes,
            channels=args.channels,
            subject=args.subject,
            language=args.language,
            version=args.version,
            author=args.actor,
            until=None if args.until is None else to_datetime(args.until),
        )
    console.print(f"draft {form.name}@{form.version}  {form.digest[:16]}", markup=False)
    return Exit.OK


def _approve(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        count = link.approve(args.name, args.version, actor=args.actor)
    console.print(f"{args.name}@{args.version}: {count} approvals", markup=False)
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
        console.print("no such template version", markup=False)
        return Exit.COULD_NOT_RUN
    table(f"{row.name}@{row.version}", ("what", "value"), [
        ("status", row.status.value), ("approvals", str(len(row.approvers))), ("purposes", ", ".join(row.purposes)),
        ("channels", ", ".join(row.channels)), ("digest", row.digest), ("subject", row.subject), ("body", row.body),
    ])  # fmt: skip
    return Exit.OK
