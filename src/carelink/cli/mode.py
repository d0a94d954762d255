"""`carelink mode`: shows or changes how far the deployment may reach. Recorded; live needs a clean doctor."""

from __future__ import annotations

import argparse

from carelink.app import CareLink
from carelink.checks import Severity
from carelink.cli.common import console, error_console, open_link
from carelink.cli.doctor import doctor_results, print_results
from carelink.cli.exit_codes import Exit
from carelink.errors import InvalidInputError
from carelink.vocabulary import Mode, word

__all__ = ["add", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("mode", help="show or change how far messages may reach: sandbox, team, live")
    parser.add_argument("mode", nargs="?", choices=[mode.value for mode in Mode])
    parser.add_argument("--actor", default="", help="who changes it (needed for any change)")
    parser.add_argument("--allow", action="append", default=[], metavar="ADDRESS",
                        help="put this address on the list that team mode may reach")  # fmt: skip
    parser.add_argument("--disallow", action="append", default=[], metavar="ADDRESS",
                        help="take this address off that list")  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show or change."""
    with open_link(args) as link:
        if args.mode is None and not args.allow and not args.disallow:
            console.print(link.mode().value)
            return Exit.OK
        if not args.actor.strip():
            raise InvalidInputError("a change needs a named actor", hint="pass --actor NAME")
        for addresses, listed in ((args.allow, True), (args.disallow, False)):
            for address in addresses:
                link.allow(address, listed=listed)
        if args.allow or args.disallow:
            console.print(f"allow-list: {len(args.allow)} added, {len(args.disallow)} taken off")
        return Exit.OK if args.mode is None else _change(link, word(Mode, args.mode), args.actor)


def _change(link: CareLink, wanted: Mode, actor: str) -> int:
    """Narrowing is always possible; widening needs a clean doctor."""
    results = doctor_results(link)
    if wanted is not Mode.SANDBOX and any(result.severity is Severity.ERROR for result in results):
        print_results(results)
        error_console.print(
            f"carelink: mode stays {link.mode().value}: `{wanted.value}` needs a `carelink doctor` without errors",
            markup=False,
        )
        return Exit.COULD_NOT_RUN
    link.set_mode(wanted, actor=actor, checks=sum(result.severity is Severity.OK for result in results))
    console.print(f"mode {link.mode().value}")
    return Exit.OK
