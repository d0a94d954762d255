"""`carelink crypto leakage`: what the store shows to whoever has it and no key."""

from __future__ import annotations

import argparse

from carelink.cli.common import console, open_link, table
from carelink.cli.exit_codes import Exit
from carelink.engine.leakage import leakage

__all__ = ["add"]

_NOTE = (
    "Also in clear: random ids, pseudonyms, instants, closed codes, time zones, the age band, who is related to whom,"
    " how many records there are. Not shown: names, addresses, identifiers, birth dates, notes, message texts."
)


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("crypto", help="what encryption leaves to be seen")
    verbs = parser.add_subparsers(dest="verb", required=True)
    show = verbs.add_parser("leakage", help="what each keyed value and each sealed length shows, and to whom")
    show.set_defaults(run=_leakage)


def _leakage(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        surfaces, lengths = leakage(link.parts)
    table(
        "keyed values",
        ("value", "bits", "rows", "seen equal", "most on one", "equal by chance", "shows", "can be inverted by"),
        [
            (
                each.name,
                str(each.bits),
                f"{each.spread.rows:,}",
                f"{each.spread.equal:,} ({each.spread.equality:.1%})",
                f"{each.spread.most:,}",
                f"{each.chance:.1e}",
                each.shows,
                each.inverts,
            )
            for each in surfaces
        ],
    )
    table(
        "sealed lengths",
        ("field", "fields", "bytes: fields"),
        [
            (
                f"{each.table}.{each.column}",
                f"{each.fields:,}",
                ", ".join(f"{length}: {count:,}" for length, count in each.lengths),
            )
            for each in lengths
        ],
    )
    console.print(_NOTE, markup=False)
    return Exit.OK
