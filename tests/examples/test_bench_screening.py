"""The benchmark of the screening measures what it says, and fails above its limit."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


def test_it_measures_every_text_and_tells_what_is_too_slow(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.syspath_prepend(str(FOLDER))
    bench = import_module("bench_screening")
    assert bench.main(["--rounds", "1", "--no-limit"]) == 0
    out = capsys.readouterr().out
    for name in bench.SENTENCES:
        assert f"{name:8} 500 characters" in out
    assert out.count("times naive") == out.count("times bare") == len(bench.SENTENCES)
    monkeypatch.setattr(bench, "LIMIT", 1e-9)
    assert bench.main(["--rounds", "1"]) == 1
    assert "MISSED" in capsys.readouterr().out
