"""How a wrapped KEK says who wrapped it, so that two providers can stand side by side while keys are moved.

The key folder's form begins with 0x01 and is as old as carelink (`carelink.keys.provider`). Every other provider's:

    0x02 (1) || length of the name (1) || provider's name, ASCII `[a-z0-9-]{1,32}` || the provider's own bytes

What a provider's own bytes are is its affair, as long as they name the version that made them. `pack` and `unpack` are
there for those that do not care: length of the version's name (1) || its name, ASCII || the rest.
"""

from __future__ import annotations

import re
from typing import Final

from carelink.errors import CannotJudgeError, DecryptError

__all__ = ["FOLDER", "NAME", "VERSION", "claim", "claimed", "pack", "unpack"]

FOLDER: Final = "folder"
"""Name of the key folder among providers."""

NAME: Final = re.compile(r"[a-z0-9-]{1,32}", re.ASCII)
"""Names of providers."""

VERSION: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}", re.ASCII)
"""Names of versions of a root key."""

_FOLDER_FORM: Final = 1
_FORM: Final = 2


def claim(name: str, own: bytes) -> bytes:
    """A provider's bytes with its name before them; the key folder's stay as they are."""
    return own if name == FOLDER else bytes([_FORM, len(name)]) + name.encode("ascii") + own


def claimed(wrapped: bytes) -> tuple[str, bytes]:
    """Name of the provider that wrapped a KEK, and its own bytes.

    Raises:
        CannotJudgeError: a form of an unknown version.
        DecryptError: it names no provider.
    """
    if not wrapped or wrapped[0] == _FOLDER_FORM:
        return FOLDER, wrapped
    if wrapped[0] != _FORM:
        raise CannotJudgeError("a wrapped key of a version unknown to this carelink")
    name, own = _split(wrapped[1:], NAME)
    if name == FOLDER:
        raise DecryptError("a wrapped key does not open here")
    return name, own


def pack(version: str, blob: bytes) -> bytes:
    """A version's name and what was made under it."""
    if VERSION.fullmatch(version) is None:
        raise ValueError("not the name of a version")
    return bytes([len(version)]) + version.encode("ascii") + blob


def unpack(own: bytes) -> tuple[str, bytes]:
    """What `pack` packed.

    Raises:
        DecryptError: it is nothing of the kind.
    """
    return _split(own, VERSION)


def _split(data: bytes, names: re.Pattern[str]) -> tuple[str, bytes]:
    length = data[0] if data else 0
    name = data[1 : 1 + length].decode("ascii", "replace")
    if len(name) != length or names.fullmatch(name) is None:
        raise DecryptError("a wrapped key does not open here")
    return name, data[1 + length :]
