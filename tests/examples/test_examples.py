"""Every example runs, on a morning, and says what it promises."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from carelink.model.moment import parse_instant
from carelink.testing.fakes import FakeClock

FOLDER = Path(__file__).resolve().parents[2] / "examples"
LONGEST = 60
SAYS = {
    "quickstart": [
        "without consent: refuse ['NO_CONSENT']",
        "with consent:    permit",
        "handed over:     accepted",
        "in the outbox:   1",
        "the same again:  sent before",
        "after that:      refuse",
    ],
    "batch_send": [
        "effects:     {'refuse': 20, 'permit': 60}",
        "sent before: 24",
        "reasons:     {'NO_CONSENT': 20}",
        "files:       60",
    ],
    "web_handler": ['"effect": "permit"', "400 Bad Request", '"actions"'],
    # The process that this one starts has the machine's clock: by day it sends, by night it defers.
    "jsonl_client": ["'line': 1", "'line': 2", "'error': 'input.not_found'", "'error': 'input.invalid'", "exit code 0"],
    "verify_export": ["verify: exit code\n  0", "6 decisions derived again, 0 differ", "exit code\n  3", "entry "],
}


@pytest.fixture(autouse=True)
def morning(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    monkeypatch.setattr("carelink.home.SystemClock", lambda: clock)


def test_every_example_is_here() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", sorted(SAYS))
def test_an_example_runs_and_fits_on_a_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = FOLDER / f"{name}.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < LONGEST
    runpy.run_path(str(path), run_name="__main__")
    out = capsys.readouterr().out
    missing = [words for words in SAYS[name] if words not in out]
    assert not missing, out
