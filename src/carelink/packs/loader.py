"""Reads the policy packs bundled as TOML beside this file."""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

from carelink.consent.pack import Pack, parse_pack
from carelink.consent.policy import Policy
from carelink.errors import PolicyError

__all__ = ["DEFAULT_PACKS", "bundled", "bundled_bytes", "default_policy", "load_bundled"]

DEFAULT_PACKS: Final = ("baseline", "cn", "hospital-default")
"""What `init` adopts."""


@cache
def bundled() -> tuple[str, ...]:
    """Ids of the bundled packs, ascending."""
    names = (entry.name for entry in resources.files("carelink.packs").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def bundled_bytes(name: str) -> bytes:
    """The exact text of a bundled pack.

    Raises:
        PolicyError: there is none of this name.
    """
    if name not in bundled():
        raise PolicyError("no bundled pack has this name", hint=f"one of {', '.join(bundled())}")
    return resources.files("carelink.packs").joinpath(f"{name}.toml").read_bytes()


def load_bundled(name: str) -> Pack:
    """A bundled pack, read.

    Raises:
        PolicyError: there is none of this name.
    """
    return parse_pack(bundled_bytes(name))


def default_policy() -> Policy:
    """The policy that `init` adopts."""
    return Policy.compose([load_bundled(name) for name in DEFAULT_PACKS])
