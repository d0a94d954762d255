"""`carelink replies list|decide`: replies that a person must read."""

from __future__ import annotations

import argparse

from carelink.cli.common import console, open_link, shown_instant, table
from carelink.cli.exit_codes import Exit
from carelink.model.ids import SuppressionId

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("replies", help="replies that a person must read, and what they meant")
    verbs = parser.add_subparsers(dest="verb", required=True)
    show = verbs.add_parser("list", help="those that wait, oldest first; until decided, nothing promotional is sent")
    show.set_defaults(run=_list)
    decide = verbs.add_parser("decide", help="say what a reply meant")
    decide.add_argument("id", help="the reply, as `list` names it")
    meant = decide.add_mutually_exclusive_group(required=True)
    meant.add_argument("--stop", action="store_true", help="it was a stop: stop as for a plain STOP")
    meant.add_argument("--no-stop", action="store_true", help="it was none: what it paused goes on")
    decide.add_argument("--actor", required=True, help="who read it; kept only as a keyed hash")
    decide.set_defaults(run=_decide)


def _list(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        waiting = link.replies()
    lines = [
        (
            reply.id,
            shown_instant(reply.since),
            "-" if reply.channel is None else reply.channel.value,
            reply.address or "-",
            " ".join(reply.patients) or "-",
            shown_instant(reply.until),
        )
        for reply in waiting
    ]
    table("replies", ("id", "since", "answers", "address", "patients", "pauses until"), lines)
    return Exit.OK


def _decide(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        done = link.decide_reply(SuppressionId(args.id), stop=args.stop, actor=args.actor)
    what = f"stopped: {len(done.suppressions)} suppressions" if args.stop else "not a stop: what it paused goes on"
    console.print(what, markup=False)
    return Exit.OK
