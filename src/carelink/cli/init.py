"""`carelink init`: store, keys, settings, tenant zone; refuses to overwrite; mode sandbox."""

from __future__ import annotations

import argparse
from pathlib import Path

from carelink.cli.common import console
from carelink.cli.exit_codes import Exit
from carelink.errors import InvalidInputError
from carelink.home import init
from carelink.settings import passphrase

__all__ = ["add", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("init", help="make a new home: store, keys, settings, log; mode sandbox")
    parser.add_argument("--zone", help="the tenant's time zone, for example Asia/Shanghai (asked for if left out)")
    parser.add_argument("--region", default="CN", help="country of phone numbers written without a prefix")
    parser.add_argument("--keys", default="keys", help="key folder; best on another disk, with backups of its own")
    parser.add_argument("--pack", action="append", default=[], type=Path, help="a hospital's own pack (TOML)")
    parser.add_argument("--actor", default="init", help="who does this")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the home."""
    zone = args.zone
    if zone is None:
        try:
            zone = input("Time zone of the hospital (for example Asia/Shanghai): ").strip()
        except EOFError:
            zone = ""
    if not zone:
        raise InvalidInputError("the tenant's time zone is needed", hint="pass --zone Asia/Shanghai")
    home = Path(args.home or "carelink-data")
    with init(
        home,
        zone=zone,
        region=args.region,
        keys=args.keys,
        packs=args.pack,
        actor=args.actor,
        passphrase=passphrase(),
    ) as link:
        console.print(f"home         {home}")
        console.print(f"mode         {link.mode().value}: nothing leaves this machine")
        policy = link.policy()
        packs = ", ".join(f"{pack.id} {pack.version}" for pack in policy.packs) if policy is not None else "none"
        console.print(f"policy       {packs}")
        console.print(f"log          {link.key.name}")
        console.print(f"log key      {link.key.text}")
        console.print(f"fingerprint  {link.key.fingerprint}")
    console.print("Keep the log key elsewhere: verifying needs it, and a key found beside a log proves nothing.")
    console.print("Next: carelink patients import --csv FILE, carelink consent import --csv FILE")
    return Exit.OK
