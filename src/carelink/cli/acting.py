"""Who acts: the options that every command has which opens personal data."""

from __future__ import annotations

import argparse

from carelink.app import CareLink
from carelink.cli.common import split
from carelink.model.access import Actor, PurposeOfUse, Role

__all__ = ["acting", "add_acting"]


def add_acting(parser: argparse.ArgumentParser, *, actor: str | None = None, purpose: str | None = None) -> None:
    """Add `--actor`, `--role` and `--purpose`; what is left out is what the settings say (`[access]`)."""
    parser.add_argument("--actor", default=actor, help="who does it, kept as a keyed hash (default: `access.actor`)")
    parser.add_argument("--role", type=split, default=(), metavar="ROLES",
                        help=f"{', '.join(Role)}; several with commas (default: `access.roles`)")  # fmt: skip
    parser.add_argument("--purpose", choices=[each.value for each in PurposeOfUse], default=purpose,
                        help="what for (default: " + (purpose or "`access.purpose`") + ")")  # fmt: skip


def acting(link: CareLink, args: argparse.Namespace) -> Actor:
    """Who acts.

    Raises:
        InvalidInputError: a role is unknown, or nobody is named.
    """
    return link.as_actor(args.actor or "", roles=args.role, purpose=args.purpose or "")
