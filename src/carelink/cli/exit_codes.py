"""Exit codes: what a script may rely on."""

from __future__ import annotations

from enum import IntEnum, unique

__all__ = ["Exit"]


@unique
class Exit(IntEnum):
    """A `send` or `preview` of many with mixed effects is OK. In `audit verify`, 3 outranks 5 outranks 4."""

    OK = 0
    COULD_NOT_RUN = 1
    USAGE = 2
    TAMPERED = 3
    DIVERGED = 4
    CANNOT_JUDGE = 5
    REFUSED = 6
