"""carelink: the gate every message to a patient must pass.

Open a home, register patients, record grants with their evidence, then `preview` and `send` requests. Nothing reaches
a channel without a permit, and only the gate mints permits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from carelink.consent.reasons import ReasonCode
from carelink.errors import CarelinkError
from carelink.model.request import Request
from carelink.vocabulary import ChannelKind, Effect, Mode, Outcome, Purpose

if TYPE_CHECKING:
    from carelink.app import CareLink
    from carelink.home import in_memory, init
    from carelink.home import open_home as open  # noqa: A004  `carelink.open` reads as what it does

__all__ = [
    "CareLink",
    "CarelinkError",
    "ChannelKind",
    "Effect",
    "Mode",
    "Outcome",
    "Purpose",
    "ReasonCode",
    "Request",
    "__version__",
    "in_memory",
    "init",
    "open",
]

__version__ = "0.1.0"

# The heavy parts (keys, stores, channels) load when first used: `import carelink` stays cheap.
_LAZY = {
    "CareLink": ("carelink.app", "CareLink"),
    "in_memory": ("carelink.home", "in_memory"),
    "init": ("carelink.home", "init"),
    "open": ("carelink.home", "open_home"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module `carelink` has no attribute `{name}`")
    from importlib import import_module  # noqa: PLC0415  only when asked for

    module, attribute = _LAZY[name]
    return getattr(import_module(module), attribute)
