"""The READMEs: their code runs, and both languages say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import carelink
from carelink.model.moment import parse_instant
from carelink.testing.fakes import FakeClock

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "README.zh-CN.md")
MARK = "<!-- run by tests/docs/test_readme.py -->\n```python\n"
LONGEST = 20


def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def _code(page: str) -> str:
    return _text(page).partition(MARK)[2].partition("```")[0]


def _run(page: str, at: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock(parse_instant(at))
    monkeypatch.setattr("carelink.home.SystemClock", lambda: clock)
    monkeypatch.chdir(folder)
    exec(compile(_code(page), page, "exec"), {})


@pytest.mark.parametrize("page", PAGES)
def test_by_day_the_message_is_handed_over(page: str, tmp_path: Path, monkeypatch, capsys) -> None:
    _run(page, "2026-01-15T10:00:00+08:00", tmp_path, monkeypatch)
    assert capsys.readouterr().out == "permit\nhanded over: accepted\n"
    (letter,) = (tmp_path / "clinic" / "outbox" / "email").glob("*.eml")
    assert "林小满" in letter.read_text(encoding="utf-8")
    with carelink.open(tmp_path / "clinic") as link, link.wiring.store.reader() as reader:
        (grant,) = reader.grants([link.find("MRN-1001")])[link.find("MRN-1001")]
    assert grant.state.value == "withdrawn"


def test_at_night_it_is_put_off_and_says_until_when(tmp_path: Path, monkeypatch, capsys) -> None:
    _run("README.md", "2026-01-15T23:00:00+08:00", tmp_path, monkeypatch)
    assert capsys.readouterr().out == "defer\nlater, from 2026-01-16 00:00:00+00:00\n"


def test_the_code_is_short() -> None:
    assert len(_code("README.md").splitlines()) <= LONGEST


def test_both_languages_have_the_same_code_and_commands() -> None:
    def bare(text: str) -> str:
        return re.sub(r" *# .*$", "", text, flags=re.MULTILINE)

    assert bare(_code("README.md")) == bare(_code("README.zh-CN.md"))
    commands = [
        [re.findall(r"carelink [a-z]+|--[a-z-]+", line.partition("#")[0]) for line in block.splitlines()]
        for page in PAGES
        for block in re.findall(r"```console\n(.*?)```", _text(page), re.DOTALL)
    ]
    assert commands[: len(commands) // 2] == commands[len(commands) // 2 :]


def test_both_languages_have_the_same_parts_and_links() -> None:
    english, chinese = (
        [line.count("#") for line in re.findall(r"^#+ .*$", _text(page), re.MULTILINE)] for page in PAGES
    )
    assert english == chinese
    links = [re.findall(r"\]\(([^)]+)\)", _text(page)) for page in PAGES]
    assert sorted(set(links[0]) - {PAGES[1]}) == sorted(set(links[1]) - {PAGES[0]})


def test_the_first_command_stands_before_everything_else() -> None:
    parts = re.findall(r"^## (.*)$", _text("README.md"), re.MULTILINE)
    assert parts[:2] == ["See it run", "In code"]
    assert parts[-2:] == ["What works today, and what not yet", "Limits"]
