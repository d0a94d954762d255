"""Fixtures of the suite that a store may override."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from carelink.ports.store import Store

__all__ = ["Reopen", "reopen"]

Reopen = Callable[[], Store] | None


@pytest.fixture
def reopen() -> Reopen:
    """A call that opens the store under test again, as another process would; None where a store cannot be."""
    return None
