"""A world on the memory store; where the store matters, tests make their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from carelink.testing.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "w")
    made.content()
    yield made
    made.link.close()


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "d", sqlite=True)
    made.content()
    yield made
    made.link.close()
