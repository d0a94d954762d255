"""Reads the word lists of the screening, bundled as TOML in `screening/`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path

from carelink.content.screening.compiled import WordLists
from carelink.content.screening.lists import WordList, parse_list
from carelink.errors import PolicyError

__all__ = ["bundled_lists", "default_lists", "list_bytes", "load_list", "screening_lists"]


@cache
def bundled_lists() -> tuple[str, ...]:
    """Ids of the bundled word lists, ascending."""
    names = (entry.name for entry in resources.files("carelink.packs").joinpath("screening").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def list_bytes(name: str) -> bytes:
    """The exact text of a bundled word list.

    Raises:
        PolicyError: there is none of this name.
    """
    if name not in bundled_lists():
        raise PolicyError("no bundled word list has this name", hint=f"one of {', '.join(bundled_lists())}")
    return resources.files("carelink.packs").joinpath("screening", f"{name}.toml").read_bytes()


def load_list(name: str) -> WordList:
    """A bundled word list, read.

    Raises:
        PolicyError: there is none of this name.
    """
    return parse_list(list_bytes(name))


@cache
def default_lists() -> WordLists:
    """All bundled word lists together, ready for use; made once."""
    return WordLists([load_list(name) for name in bundled_lists()])


def screening_lists(more: Sequence[Path]) -> WordLists:
    """The bundled word lists, and a hospital's own beside them.

    Raises:
        PolicyError: one is malformed, or has the id of another.
        OSError: a file cannot be read.
    """
    if not more:
        return default_lists()
    return WordLists([*map(load_list, bundled_lists()), *(parse_list(path.read_bytes()) for path in more)])
