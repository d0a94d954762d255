"""`carelink channels list|resume`: what is registered, what was stopped for account trouble."""

from __future__ import annotations

import argparse

from carelink.cli.common import console, open_link, table
from carelink.cli.exit_codes import Exit
from carelink.errors import NotFoundError

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("channels", help="registered channels")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("list", help="what is registered").set_defaults(run=_list)
    resume = verbs.add_parser("resume", help="let a channel that was stopped for account trouble go on")
    resume.add_argument("channel")
    resume.set_defaults(run=_resume)


def _list(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        with link.wiring.store.reader() as reader:
            stopped = reader.stopped_channels()
        routes = {name: kind for kind, name in link.wiring.settings.routes.items()}
        table("Channels", ("name", "kind", "version", "local", "route of", "state"),
              [(name, c.info.kind.value, c.info.version, "yes" if c.info.local else "no", routes.get(name, ""),
                "stopped" if name in stopped else "ready") for name, c in sorted(link.channels.items())])  # fmt: skip
    return Exit.OK


def _resume(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        if args.channel not in link.channels:
            raise NotFoundError(f"no channel `{args.channel[:40]}` is registered", hint="see `carelink channels list`")
        with link.wiring.store.transaction() as tx:
            stopped = args.channel in tx.stopped_channels()
            tx.put_channel_stop(args.channel, stopped=False)
    console.print(f"{args.channel} goes on" if stopped else f"{args.channel} was not stopped", markup=False)
    return Exit.OK
