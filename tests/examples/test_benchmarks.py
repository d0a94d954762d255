"""The benchmark compares like with like: path and floor write the same rows with the same commits and syncs."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
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


@pytest.fixture(scope="module")
def log_bench() -> Iterator[ModuleType]:
    """The benchmark of the log as a module, with the story that it tells."""
    sys.path.insert(0, str(FOLDER))
    module = import_module("bench_log")
    module.told = module.synthetic_log.story()
    yield module
    sys.path.remove(str(FOLDER))


@pytest.mark.integration
def test_the_benchmark_of_the_log_measures_what_it_says(log_bench, tmp_path: Path, capsys) -> None:
    run = log_bench.Run(tmp_path, 1, log_bench.told)
    run.integrity(300)
    run.replay(300)
    run.append(4, 1)
    run.append(200, 100)
    out = capsys.readouterr().out
    for part in ("times hashlib", "times parsing and deciding", "times a bare insert"):
        assert part in out


@pytest.mark.slow
def test_the_readers_of_the_long_log_are_watched(log_bench, tmp_path: Path, capsys) -> None:
    log_bench.Run(tmp_path, 1, log_bench.told).memory(3000)
    out = capsys.readouterr().out
    assert out.count("VERIFIED") == 2
    assert out.count("CONSISTENT") == 1
    assert "progress moved" in out
    assert "MISSED" not in out


def test_a_figure_above_its_limit_is_told(log_bench, tmp_path: Path, capsys) -> None:
    run = log_bench.Run(tmp_path, 1, log_bench.told)
    run.tell("x", 2.0, 1.0, 10, 2.0, "y")
    assert run.good
    run.tell("x", 2.1, 1.0, 10, 2.0, "y")
    assert not run.good
    assert "MISSED" in capsys.readouterr().out


def test_every_patient_of_the_long_log_is_another_one(log_bench) -> None:
    entries = list(log_bench.told.entries(3 * log_bench.told.length))
    assert len(set(entries)) == len(entries)
    salts = [entry.rpartition(b'"salt":"')[2] for entry in entries]
    assert len(set(salts)) == len(salts)
    persons = [entry for entry in entries if b'"kind":"consent_granted"' in entry]
    assert len({entry.partition(b'"subject":"')[2][:32] for entry in persons}) == len(persons) == 3
