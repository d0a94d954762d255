"""Errors that forget: their tracebacks keep files and lines, and lose the local variables (P8).

Debuggers, test runners and error trackers render the variables of every frame an error passed. Behind carelink's public
verbs those hold names, addresses and texts; so a frame is cleared before its error reaches the caller. The caller's own
frames are the caller's.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

__all__ = ["forget", "forgetful"]

C = TypeVar("C", bound=type)


def forget(error: BaseException, *, before: BaseException | None = None) -> None:
    """Clear the finished frames of an error and of those it came from.

    Args:
        error: its text, its arguments and its lines stay.
        before: what the caller was handling already; from there on nothing is carelink's.
    """
    for each in _behind(error, before):
        trace = each.__traceback__
        while trace is not None:
            with suppress(RuntimeError):  # still running: the caller's, or about to be cleared further up
                trace.tb_frame.clear()
            trace = trace.tb_next


def _behind(error: BaseException, before: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set() if before is None else {id(before)}
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
            yield each


def _wrapped(function: FunctionType) -> Callable[..., Any]:
    @wraps(function)
    def call(*given: Any, **named: Any) -> Any:
        before = sys.exc_info()[1]
        try:
            return function(*given, **named)
        except BaseException as error:
            del given, named
            forget(error, before=before)
            raise

    return call


def forgetful(cls: C) -> C:
    """Class decorator: what leaves a public method, or the constructor, as an error has forgotten its variables."""
    for name, member in list(vars(cls).items()):
        if isinstance(member, FunctionType) and (not name.startswith("_") or name == "__init__"):
            setattr(cls, name, _wrapped(member))
    return cls
