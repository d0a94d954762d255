"""`carelink content add|approve|number|provider|withdraw|show|list|screen`: versions, their approvals, screening."""

from __future__ import annotations

import argparse
from typing import Any, Final

from carelink.cli.common import console, instant, open_link, read_input, shown_instant, split, table
from carelink.cli.content_screen import add_screen
from carelink.cli.exit_codes import Exit
from carelink.errors import InvalidInputError, NotFoundError
from carelink.model.moment import DAY, to_datetime
from carelink.ports.rows import TemplateRow
from carelink.vocabulary import ProviderState, ReviewRole

__all__ = ["add"]

_PAGE: Final = 500


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
    new.add_argument("--variable", action="append", default=[], metavar="NAME=TYPE[,SETTING=VALUE...]",
                     help="type of a variable: day=date, seat=integer,min=1,max=9, eye=choice,of=left|right, "
                     "ward=text,max=40,characters=han+digit")  # fmt: skip
    new.add_argument("--text", action="append", default=[], metavar="KIND=FILE", help="other text for one channel kind")
    new.add_argument("--citation", action="append", default=[], help="a source of what it says")
    new.add_argument("--byline", default="", help="who stands behind it; fills {byline}")
    new.add_argument("--data", type=split, default=(), help="kinds of personal data its variables carry")
    new.add_argument("--quorum", type=int, default=1, help="how many distinct approvers make it approved")
    new.add_argument("--actor", required=True, help="the author, who cannot approve it")
    new.set_defaults(run=_add)
    for verb, run, text in (
        ("approve", _approve, "add one reviewer's approval"),
        ("withdraw", _withdraw, "take a version out of use, for good"),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("name")
        one.add_argument("--version", type=int, default=1)
        one.add_argument("--actor", required=True, help="who")
        if verb == "approve":
            one.add_argument("--role", choices=[each.value for each in ReviewRole], default="clinical", help="as what")
        one.set_defaults(run=run)
    _add_later(verbs)
    show = verbs.add_parser("show", help="one template version")
    show.add_argument("name")
    show.add_argument("--version", type=int, default=0, help="0 is the newest")
    show.set_defaults(run=_show)
    every = verbs.add_parser("list", help="all template versions, with their status and what ends when")
    every.add_argument(
        "--ending", type=int, metavar="DAYS", help="only those that end, or whose number ends, within so many days"
    )
    every.set_defaults(run=_list)
    add_screen(verbs)


def _add_later(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """What may change about a version after it was registered."""
    number = verbs.add_parser("number", help="the regulator's approval number of a version")
    number.add_argument("name")
    number.add_argument("--version", type=int, default=1)
    number.add_argument("--number", required=True, help='as printed; "" takes it away')
    number.add_argument("--until", type=instant, help="end of its validity, RFC 3339")
    number.add_argument("--actor", required=True, help="who")
    number.set_defaults(run=_number)
    provider = verbs.add_parser("provider", help="where a version stands with the provider of a channel")
    provider.add_argument("name")
    provider.add_argument("--version", type=int, default=1)
    provider.add_argument("--channel", required=True, help="name of the channel")
    provider.add_argument("--state", required=True, choices=[each.value for each in ProviderState])
    provider.add_argument("--id", default="", help="the provider's id of the template")
    provider.add_argument("--actor", required=True, help="who")
    provider.set_defaults(run=_provider)


def _variable(text: str) -> tuple[str, dict[str, Any]]:
    """`NAME=TYPE[,SETTING=VALUE...]` as a declaration."""
    name, _, rest = text.partition("=")
    kind, *settings = rest.split(",")
    declared: dict[str, Any] = {"type": kind}
    for setting in settings:
        key, _, value = setting.partition("=")
        declared[key] = value
    if "of" in declared:
        declared["of"] = declared["of"].split("|")
    if "characters" in declared:
        declared["characters"] = declared["characters"].split("+")
    return name, declared


def _texts(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        kind, equals, name = pair.partition("=")
        if not equals:
            raise InvalidInputError("`--text` wants KIND=FILE", hint="for example sms=short.txt")
        found[kind] = _body(name)
    return found


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
            variables=dict(map(_variable, args.variable)),
            texts=_texts(args.text),
            citations=args.citation,
            byline=args.byline,
            data=args.data,
            quorum=args.quorum,
        )
        found = link.parts.screener.template(form)
    console.print(f"draft {form.name}@{form.version}  {form.digest[:16]}", markup=False)
    if found is None:
        console.print("screening: the word lists cannot be read, and without them it goes to nobody", markup=False)
    elif found[1]:
        told = ", ".join(f"{category} ({action})" for category, action in found[1])
        console.print(f"screening: {told}; see: carelink content screen", markup=False)
    console.print(f"Next: carelink content approve {form.name} --version {form.version} --actor REVIEWER", markup=False)
    return Exit.OK


def _approve(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        count = link.approve(args.name, args.version, actor=args.actor, role=args.role)
    console.print(f"{args.name}@{args.version}: approved by {count}", markup=False)
    return Exit.OK


def _number(args: argparse.Namespace) -> int:
    until = None if args.until is None else to_datetime(args.until)
    with open_link(args) as link:
        link.approval_number(args.name, args.version, number=args.number, until=until, actor=args.actor)
    console.print(
        f"{args.name}@{args.version}: approval number {'recorded' if args.number else 'taken away'}", markup=False
    )
    return Exit.OK


def _provider(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        link.provider_template(
            args.name, args.version, channel=args.channel, state=args.state, provider_id=args.id, actor=args.actor
        )
    console.print(f"{args.name}@{args.version}: {args.state} at {args.channel}", markup=False)
    return Exit.OK


def _withdraw(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        link.adoption.retract(args.name, args.version, by=link.actor(args.actor))
    console.print(f"{args.name}@{args.version} withdrawn", markup=False)
    return Exit.OK


def _line(row: TemplateRow) -> tuple[str, ...]:
    ends = ("" if end is None else shown_instant(end) for end in (row.number_until, row.until))
    approvals = f"{len(row.approvers)} of {row.quorum}"
    return f"{row.name}@{row.version}", row.status.value, approvals, row.number, *ends


def _list(args: argparse.Namespace) -> int:
    lines = []
    with open_link(args) as link, link.wiring.store.reader() as reader:
        now = link.parts.clock.now()
        last = None if args.ending is None else now + args.ending * DAY
        after = ("", 0)
        while page := reader.page_templates(after, _PAGE):
            after = (page[-1].name, page[-1].version)
            for row in page:
                ends = [end for end in (row.until, row.number_until) if end is not None and end > now]
                if last is None or any(end <= last for end in ends):
                    lines.append(_line(row))
    table("content", ("version", "status", "approvals", "approval number", "number until", "until"), lines)
    return Exit.OK


def _show(args: argparse.Namespace) -> int:
    with open_link(args) as link, link.wiring.store.reader() as reader:
        version = args.version or reader.latest_template(args.name) or 0
        row = reader.templates([(args.name, version)]).get((args.name, version))
    if row is None:
        raise NotFoundError("no such template version is registered", hint="register it: carelink content add")
    rows = [
        ("status", row.status.value), ("approved by", str(len(row.approvers))), ("quorum", str(row.quorum)),
        ("purposes", ", ".join(row.purposes)), ("channels", ", ".join(row.channels)), ("digest", row.digest),
        ("subject", row.subject), ("body", row.body), ("details", row.details),
        ("data", ", ".join(each.value for each in row.data)), ("providers", ", ".join(row.providers)),
        ("approval number", row.number), ("number until", shown_instant(row.number_until) if row.number_until else ""),
    ]  # fmt: skip
    table(f"{row.name}@{row.version}", ("what", "value"), [pair for pair in rows if pair[1] or pair[0] == "subject"])
    return Exit.OK
