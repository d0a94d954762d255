"""The benchmark compares like with like: path and floor write the same rows with the same commits and syncs."""

from __future__ import annotations

import sqlite3
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark as a module; homes have its channels while a test runs."""
    monkeypatch.syspath_prepend(str(FOLDER))
    module = import_module("bench_whole_path")
    monkeypatch.setattr("carelink.home._wire", module.wired)
    return module


@pytest.mark.integration
@pytest.mark.parametrize("batch", [1, 20])
def test_path_and_floor_write_the_same(benchmarks, tmp_path: Path, batch: int) -> None:
    bench = benchmarks.Bench(tmp_path, 20, batch)
    ours, floor, job = bench.counts()
    assert ours == floor
    assert ours.commits == 2 * (20 // batch)
    assert ours.syncs >= ours.commits
    # Each request: two gate rows moved on, a reservation made and settled, two entries. Each commit: the head.
    assert ours.rows == 20 * 6 + ours.commits
    assert len(job.decisions) == 20


@pytest.mark.integration
def test_the_counter_counts_syncs(benchmarks, tmp_path: Path) -> None:
    counter = benchmarks.SyncCounter()
    db = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    counter.stop()
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE t (a)")
    for mode, syncs in (("FULL", 10), ("NORMAL", 0)):
        db.execute(f"PRAGMA synchronous = {mode}")
        before = counter.count
        for number in range(10):
            db.execute("INSERT INTO t VALUES (?)", (number,))
        assert counter.count - before == syncs
    db.close()
