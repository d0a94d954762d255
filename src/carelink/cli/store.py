"""`carelink store status|migrate|reconcile`: the data store and its log."""

from __future__ import annotations

import argparse
from pathlib import Path

from carelink import settings
from carelink.cli.common import console, open_link
from carelink.cli.exit_codes import Exit
from carelink.engine.reconcile import reconcile
from carelink.stores.sqlite.store import SqliteStore

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("store", help="the data store and its log")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("status", help="entries, published, state").set_defaults(run=_status)
    verbs.add_parser("migrate", help="bring the schema to this version").set_defaults(run=_migrate)
    rebuild = verbs.add_parser("reconcile", help="after restoring a backup: rebuild from the log what it lacks")
    rebuild.add_argument("--actor", required=True)
    rebuild.add_argument("--accept-orphans", action="store_true",
                         help="go on although some permits or stops are of people this backup cannot name")  # fmt: skip
    rebuild.set_defaults(run=_reconcile)


def _status(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        with link.wiring.store.reader() as reader:
            head, state = reader.head(), link.notary.state(reader)
        console.print(f"entries {head.size}  published {head.published}  state {state.value}", markup=False)
    return Exit.OK


def _migrate(args: argparse.Namespace) -> int:
    home = Path(args.home) if args.home else settings.home_from_environment() or Path("carelink-data")
    before, after = SqliteStore.migrate(settings.load(home).store)
    console.print(f"schema {before} -> {after}" if before != after else f"schema {after}: nothing to do", markup=False)
    return Exit.OK


def _reconcile(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        result = reconcile(link.parts, link.notary, by=link.actor(args.actor), accept_orphans=args.accept_orphans)
        if result.done:
            link.erasure.resume()
    if result.from_size == result.to_size:
        console.print("the store is what was published from it: nothing to do")
        return Exit.OK
    console.print(f"entries      {result.from_size} -> {result.to_size}", markup=False)
    console.print(f"restored     {result.restored} permits, grants and stops", markup=False)
    console.print(f"moved        {result.moved} entries that this backup took in by itself", markup=False)
    console.print(f"orphaned     {result.orphaned} permits and stops of people this backup cannot name", markup=False)
    if not result.done:
        console.print("Nothing was changed and sending stays refused. Import the patients and the list of stops again,")
        console.print("then pass --accept-orphans.")
        return Exit.COULD_NOT_RUN
    return Exit.OK
