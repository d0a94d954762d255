"""Operators' log lines: event names, ids, counts and codes. Evidence does not go this way (P5), and personal data
must not (P8): values of unknown keys are dropped, not masked.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

__all__ = ["configure", "logger"]

_SAFE_KEYS: Final = frozenset(
    {
        "event", "level", "timestamp", "code", "count", "counts", "effect", "outcome", "channel", "purpose", "size",
        "published", "lag", "reservation", "request", "entry", "mode", "policy", "version", "kind", "milliseconds",
    }
)  # fmt: skip


def _keep_safe(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    dropped = [key for key in event if key not in _SAFE_KEYS]
    for key in dropped:
        del event[key]
    if dropped:
        event["code"] = event.get("code", "fields_dropped")
    return event


def configure(*, verbose: bool = False) -> None:
    """Send log lines to stderr as `key=value`. Called by the command line; a library leaves this to its host."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _keep_safe,
            structlog.processors.KeyValueRenderer(key_order=["event", "level"], sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(10 if verbose else 30),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


class _SafeLogger:
    """A structlog logger that can only be given safe keys, whatever the host configured. A line that cannot be written
    changes nothing else: no hand-over and no commit hangs on a log.
    """

    def __init__(self) -> None:
        self._inner = structlog.get_logger("carelink")

    def info(self, event: str, **values: str | int) -> None:
        with contextlib.suppress(Exception):
            self._inner.info(event, **{key: value for key, value in values.items() if key in _SAFE_KEYS})

    def warning(self, event: str, **values: str | int) -> None:
        with contextlib.suppress(Exception):
            self._inner.warning(event, **{key: value for key, value in values.items() if key in _SAFE_KEYS})


def logger() -> _SafeLogger:
    """The logger of the library."""
    return _SafeLogger()
