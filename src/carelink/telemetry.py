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


_PROCESSORS: Final = (
    structlog.processors.add_log_level,
    _keep_safe,
    structlog.processors.KeyValueRenderer(key_order=["event", "level"], sort_keys=True),
)
_DEBUG: Final = 10
_WARNING: Final = 30


def configure(*, verbose: bool = False) -> None:
    """Send log lines to stderr as `key=value`. Called by the command line; a library leaves this to its host."""
    structlog.configure(
        processors=list(_PROCESSORS),
        wrapper_class=structlog.make_filtering_bound_logger(_DEBUG if verbose else _WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _inner() -> Any:
    """The host's logger; where the host set none up, warnings go to stderr: stdout is where structlog would put them,
    and it belongs to the host's results.
    """
    if structlog.is_configured():
        return structlog.get_logger("carelink")
    quiet = structlog.make_filtering_bound_logger(_WARNING)
    return structlog.wrap_logger(structlog.PrintLogger(sys.stderr), wrapper_class=quiet)


class _SafeLogger:
    """A structlog logger that can only be given safe keys, whatever the host configured. A line that cannot be written
    changes nothing else: no hand-over and no commit hangs on a log.
    """

    def __init__(self) -> None:
        self._inner = _inner()

    def info(self, event: str, **values: str | int) -> None:
        with contextlib.suppress(Exception):
            self._inner.info(event, **{key: value for key, value in values.items() if key in _SAFE_KEYS})

    def warning(self, event: str, **values: str | int) -> None:
        with contextlib.suppress(Exception):
            self._inner.warning(event, **{key: value for key, value in values.items() if key in _SAFE_KEYS})


def logger() -> _SafeLogger:
    """The logger of the library."""
    return _SafeLogger()
