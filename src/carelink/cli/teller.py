"""Tells the demo: numbered steps in English or Chinese, and checks that say whether each came out as promised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carelink.cli.common import console, table
from carelink.consent.sentences import sentence
from carelink.engine.outcome import SendOutcome

__all__ = ["Teller"]


class Teller:
    """Prints, and remembers what did not come out as promised."""

    def __init__(self, *, chinese: bool) -> None:
        self.chinese = chinese
        self.checked = 0
        self.broken: list[str] = []
        self._number = 0
        self._after_table = False

    def words(self, english: str, chinese: str) -> str:
        """The one that is wanted."""
        return chinese if self.chinese else english

    def _gap(self) -> None:
        if self._after_table:
            console.print()
        self._after_table = False

    def step(self, english: str, chinese: str) -> None:
        """The next numbered heading."""
        self._number += 1
        console.print(f"\n{self._number}. {self.words(english, chinese)}", style="bold", markup=False)

    def say(self, english: str, chinese: str) -> None:
        """A line."""
        self._gap()
        console.print(self.words(english, chinese), markup=False)

    def expect(self, good: bool, english: str, chinese: str) -> None:  # noqa: FBT001
        """A line that was checked."""
        self._gap()
        what = self.words(english, chinese)
        self.checked += 1
        if not good:
            self.broken.append(what)
        mark = self.words("ok", "通过") if good else self.words("BROKEN", "未达到")
        console.print(f"[{mark}] {what}", style="green" if good else "bold red", markup=False)

    def table(self, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> None:
        """A table without a title; columns have an English and a Chinese head."""
        console.print()
        table("", [self.words(*column) for column in columns], rows)
        self._after_table = True

    def reasons(self, outcome: SendOutcome) -> None:
        """Each reason once, as a code and a sentence."""
        for code in () if outcome.decision is None else outcome.decision.codes:
            self.say(f"  {code.value}: {sentence(code)}", f"  {code.value}:{sentence(code, 'zh')}")
