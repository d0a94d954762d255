"""`carelink mode`: shows or changes how far the deployment may reach. Recorded; live needs a clean doctor."""

from __future__ import annotations

import argparse

from carelink.checks import Severity
from carelink.cli.common import console, open_link
from carelink.cli.doctor import doctor_results, print_results
from carelink.cli.exit_codes import Exit
from carelink.errors import InvalidInputError
from carelink.vocabulary import Mode, word

__all__ = ["add", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("mode", help="show or change: sandbox, team, live")
    parser.add_argument("mode", nargs="?", choices=[mode.value for mode in Mode])
    parser.add_argument("--actor", default="", help="who changes it (needed to change)")
    parser.add_argument("--allow", action="append", default=[], metavar="ADDRESS", help="team mode: allow this address")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show or change."""
    with open_link(args) as link:
        for address in args.allow:
            link.allow(address)
        if args.mode is None:
            console.print(link.mode().value)
            return Exit.OK
        if not args.actor:
            raise InvalidInputError("a change of mode needs a named actor", hint="pass --actor NAME")
        results = doctor_results(link)
        if args.mode != Mode.SANDBOX.value and any(result.severity is Severity.ERROR for result in results):
            print_results(results)
            console.print(f"mode stays {link.mode().value}: `{args.mode}` needs a clean doctor")
            return Exit.COULD_NOT_RUN
        passed = sum(result.severity is Severity.OK for result in results)
        link.set_mode(word(Mode, args.mode), actor=args.actor, checks=passed)
        console.print(f"mode {link.mode().value}")
        return Exit.OK
