"""Exit codes: what a script may rely on."""

from __future__ import annotations

from enum import IntEnum, unique

from carelink.errors import CannotJudgeError, CarelinkError, DivergedError, InvalidInputError, TamperedError

__all__ = ["Exit", "code_of"]


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


def code_of(error: CarelinkError) -> Exit:
    """The exit code of a command that an error ended."""
    if isinstance(error, TamperedError):
        return Exit.TAMPERED
    if isinstance(error, DivergedError):
        return Exit.DIVERGED
    if isinstance(error, CannotJudgeError):
        return Exit.CANNOT_JUDGE
    if isinstance(error, InvalidInputError):
        return Exit.USAGE
    return Exit.COULD_NOT_RUN
