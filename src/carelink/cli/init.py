"""`carelink init`: store, keys, settings, tenant zone; refuses to overwrite; mode sandbox."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from carelink.cli.common import console
from carelink.cli.exit_codes import Exit
from carelink.errors import InvalidInputError
from carelink.home import DEFAULT_HOME, init
from carelink.settings import home_from_environment, passphrase

__all__ = ["add", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("init", help="make a new home: store, keys, settings, log; mode sandbox")
    parser.add_argument("--zone", help="the hospital's time zone, for example Asia/Shanghai (asked for if left out)")
    parser.add_argument("--region", default="CN", help="country of phone numbers written without a prefix")
    parser.add_argument("--keys", default="keys", metavar="DIR",
                        help="key folder, relative to the home; best on another disk, with own backups")  # fmt: skip
    parser.add_argument("--pack", action="append", default=[], type=Path, metavar="FILE",
                        help="a hospital's own policy pack (TOML), beside the bundled ones")  # fmt: skip
    parser.add_argument("--actor", default="init", help="who does this")
    parser.set_defaults(run=run)


def _zone(args: argparse.Namespace) -> str:
    """The zone given, or asked for where somebody is there to answer.

    Raises:
        InvalidInputError: none was given.
    """
    zone = args.zone
    if zone is None and sys.stdin is not None and sys.stdin.isatty():
        try:
            zone = input("Time zone of the hospital (for example Asia/Shanghai): ")
        except EOFError:
            zone = ""
    if not zone or not zone.strip():
        raise InvalidInputError("the hospital's time zone is needed", hint="pass --zone Asia/Shanghai")
    return str(zone.strip())


def run(args: argparse.Namespace) -> int:
    """Make the home."""
    home = Path(args.home) if args.home else home_from_environment() or Path(DEFAULT_HOME)
    with init(
        home,
        zone=_zone(args),
        region=args.region,
        keys=args.keys,
        packs=args.pack,
        actor=args.actor,
        passphrase=passphrase(),
    ) as link:
        policy = link.policy()
        packs = ", ".join(f"{pack.id} {pack.version}" for pack in policy.packs) if policy is not None else "none"
        for name, value in (
            ("home", str(home)),
            ("mode", f"{link.mode().value}: nothing leaves this machine"),
            ("policy", packs),
            ("log", link.key.name),
            ("log key", link.key.text),
            ("fingerprint", link.key.fingerprint),
        ):
            console.print(f"{name:<12} {value}", markup=False)
    console.print("Keep the log key elsewhere: verifying needs it, and a key found beside a log proves nothing.")
    console.print("Next: carelink patients import --csv FILE, carelink consent import --csv FILE")
    return Exit.OK
