"""What the key providers' conformance kit is given: a provider, and what the author can do to its far end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Final

import attrs

from carelink.keys.provider import KeyProvider

__all__ = ["FAULTS", "KeyProviderCase"]

FAULTS: Final = ("outage", "timeout", "throttled", "server_error", "cut", "no_permission")
"""Out of reach; no answer; HTTP 429 or the like; an internal error; half an answer; credentials that may not."""


@attrs.frozen(kw_only=True)
class KeyProviderCase:
    """A key provider under test, with a root key that nothing else uses.

    Attributes:
        provider: open, and trusted with nothing.
        reopen: the same root as another process would open it, without anything that this one remembers.
        other: a provider of the same kind with another root key.
        faults: by name (`FAULTS`), a context in which the far end fails so. Those that cannot happen are left out.
        secrets: what must show nowhere: tokens, PINs, passphrases, a root key that is known.
        finish: cleans up; called once.

    A test that needs what is left out is skipped, and says so.
    """

    provider: KeyProvider
    reopen: Callable[[], KeyProvider] | None = None
    other: Callable[[], KeyProvider] | None = None
    faults: Mapping[str, Callable[[], AbstractContextManager[object]]] = attrs.field(factory=dict)
    secrets: Sequence[bytes] = attrs.field(default=(), repr=False)
    finish: Callable[[], object] | None = None
