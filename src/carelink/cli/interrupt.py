"""Ctrl-C and termination while messages are being handed over: the attempt that was begun is settled first.

A kill is always safe, because recovery settles what was in flight; but it may leave an attempt UNKNOWN. Asked politely,
a run ends after the hand-overs it has claimed, and none is.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["Pause", "interruptible"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SAYS: Final = b"\nfinishing what is being handed over; once more to stop at once\n"


class Pause:
    """Whether somebody asked to stop.

    Attributes:
        busy: set while hand-overs may be under way; an interruption then waits for `check`.
    """

    def __init__(self) -> None:
        self.busy = False
        self._asked = False

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """The signal handler.

        Raises:
            KeyboardInterrupt: nothing is under way, or it is the second time.
        """
        if self.busy and not self._asked:
            self._asked = True
            os.write(2, _SAYS)
            return
        raise KeyboardInterrupt

    def check(self) -> None:
        """Stop here, if somebody asked.

        Raises:
            KeyboardInterrupt: somebody did.
        """
        if self._asked:
            raise KeyboardInterrupt


@contextmanager
def interruptible() -> Iterator[Pause]:
    """Handle Ctrl-C and termination softly within this block; only the main thread may."""
    pause = Pause()
    if threading.current_thread() is not threading.main_thread():
        yield pause
        return
    before = [(number, signal.signal(number, pause.handle)) for number in _SIGNALS]
    try:
        yield pause
    finally:
        for number, handler in before:
            signal.signal(number, handler)
