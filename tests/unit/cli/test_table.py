"""Tables: whole codes, folded sentences, and no width of a terminal where there is none."""

from __future__ import annotations

import pytest
from rich.console import Console

from carelink.cli import common

ROWS = [("CONSENT_NOT_YET_VALID", "1", "The consent is not yet valid, and this sentence goes on for a while longer.")]
HEADS = ("reason", "requests", "meaning")


def _shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, *, terminal: bool) -> str:
    monkeypatch.setattr(common, "console", Console(width=width, force_terminal=terminal, color_system=None))
    common.table("", HEADS, ROWS)
    return capsys.readouterr().out


def test_a_pipe_gets_whole_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shown = _shown(monkeypatch, capsys, 80, terminal=False)
    assert ROWS[0][2] in shown
    assert len(shown.splitlines()) == 3


@pytest.mark.parametrize("width", [48, 60, 80])
def test_a_narrow_terminal_folds_sentences_and_not_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    shown = _shown(monkeypatch, capsys, width, terminal=True)
    assert "CONSENT_NOT_YET_VALID │ 1" in shown
    assert max(map(len, shown.splitlines())) <= width
    assert ROWS[0][2].split() == "".join(line.rpartition("│")[2] for line in shown.splitlines()[2:]).split()


def test_where_nothing_fits_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = _shown(monkeypatch, capsys, 30, terminal=True)
    cells = [line.split("│") for line in shown.splitlines() if "│" in line]
    assert "".join(cell[0].strip() for cell in cells) == "CONSENT_NOT_YET_VALID"
    assert "".join(cell[2].replace(" ", "") for cell in cells) == ROWS[0][2].replace(" ", "")
