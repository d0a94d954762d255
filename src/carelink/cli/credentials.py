"""`carelink credentials add|end|list`: who may approve content as what, from when until when."""

from __future__ import annotations

import argparse

from carelink.cli.common import console, instant, open_link, shown_instant, table
from carelink.cli.exit_codes import Exit
from carelink.model.moment import to_datetime
from carelink.vocabulary import ReviewRole

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("credentials", help="reviewers and clinicians: register, renew, end")
    verbs = parser.add_subparsers(dest="verb", required=True)
    roles = [each.value for each in ReviewRole]
    new = verbs.add_parser("add", help="record a credential, or renew the one that runs")
    new.add_argument("name", help="the member of staff; kept only as a keyed hash")
    new.add_argument("--role", choices=roles, default="clinical")
    new.add_argument("--since", type=instant, help="first instant, RFC 3339; now, if left out")
    new.add_argument("--until", type=instant, help="end of its validity, RFC 3339")
    new.add_argument("--actor", required=True, help="who records it")
    new.set_defaults(run=_add)
    end = verbs.add_parser("end", help="end a credential: approvals under it count no more")
    end.add_argument("name", help="the member of staff")
    end.add_argument("--role", choices=roles, default="clinical")
    end.add_argument("--actor", required=True, help="who ends it")
    end.set_defaults(run=_end)
    show = verbs.add_parser("list", help="every credential that one member of staff has or had")
    show.add_argument("name", help="the member of staff")
    show.set_defaults(run=_list)


def _add(args: argparse.Namespace) -> int:
    since, until = (None if each is None else to_datetime(each) for each in (args.since, args.until))
    with open_link(args) as link:
        row = link.credential(args.name, args.role, since=since, until=until, actor=args.actor)
    end = "" if row.until is None else f" until {shown_instant(row.until)}"
    console.print(f"{row.role.value} since {shown_instant(row.since)}{end}", markup=False)
    return Exit.OK


def _end(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        count = link.end_credential(args.name, args.role, actor=args.actor)
    console.print(f"{count} ended", markup=False)
    return Exit.OK


def _list(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        rows = link.credentials.of(link.actor(args.name))
    lines = [(row.role.value, *map(shown_instant, (row.since, row.until, row.ended_at))) for row in rows]
    table("credentials", ("role", "since", "until", "ended"), lines)
    return Exit.OK
