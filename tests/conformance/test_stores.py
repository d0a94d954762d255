"""The conformance suite on the stores that ship: memory and SQLite, and the two side by side."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from carelink.ports.store import Store
from carelink.stores.memory import MemoryStore
from carelink.stores.sqlite.store import SqliteStore
from carelink.testing.store_conformance import *  # noqa: F403
from carelink.testing.store_conformance import side_by_side

pytestmark = pytest.mark.conformance

_FOLDER = tempfile.TemporaryDirectory(prefix="stores-", ignore_cleanup_errors=True)
_NUMBERS = count(1)


def _empty() -> Path:
    """A copy of an empty store: to run the migrations once is enough."""
    folder = Path(_FOLDER.name)
    template = folder / "template.db"
    if not template.exists():
        SqliteStore.create(template).close()
    path = folder / f"{next(_NUMBERS)}.db"
    shutil.copyfile(template, path)
    return path


@pytest.fixture
def path() -> Iterator[Path]:
    made = _empty()
    yield made
    for file in made.parent.glob(f"{made.name}*"):
        file.unlink()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore.open(request.getfixturevalue("path"))
    yield made
    made.close()


@pytest.fixture
def reopen(store: Store, request: pytest.FixtureRequest) -> Callable[[], Store] | None:
    if isinstance(store, MemoryStore):
        return None
    path = request.getfixturevalue("path")
    return lambda: SqliteStore.open(path)


TestSqliteIsAsSpecified = side_by_side(lambda: SqliteStore.open(_empty()))


@pytest.mark.slow
class TestSqliteIsAsSpecifiedAtLength(side_by_side(lambda: SqliteStore.open(_empty()), examples=120, steps=25)):
    pass
