"""The machine: wall clock, randomness, waiting. The only reader of all three."""

from __future__ import annotations

import os
import threading
import time

from carelink.model.moment import Instant, Micros

__all__ = ["SystemClock", "entropy", "wait"]


class SystemClock:
    """The operating system's clocks."""

    def now(self) -> Instant:
        """Wall time."""
        return Instant(time.time_ns() // 1000)

    def monotonic(self) -> Micros:
        """Time that never jumps."""
        return Micros(time.monotonic_ns() // 1000)


def entropy(length: int, /) -> bytes:
    """Bytes from the operating system."""
    return os.urandom(length)


def wait(length: Micros) -> None:
    """Let time pass; the command line does so while a claim of a killed run is still in flight."""
    threading.Event().wait(max(length, 0) / 1_000_000)
