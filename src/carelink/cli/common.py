"""What commands share: opening a home, printing tables, sentences and instants."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from carelink.app import CareLink
from carelink.consent.sentences import sentence
from carelink.consent.verdict import Decision
from carelink.errors import CarelinkError
from carelink.home import open_home
from carelink.model.moment import Instant, parse_instant, to_datetime

__all__ = [
    "console",
    "error_console",
    "instant",
    "is_chinese",
    "open_link",
    "print_reasons",
    "progress",
    "read_input",
    "shown_instant",
    "split",
    "table",
]

_WIDE = 160
"""Columns of a table where nobody looks: what reads a pipe wants lines, not a terminal's width."""


class _Console(Console):
    """rich's console, which leaves it to `carelink.cli.main` to end the process."""

    def on_broken_pipe(self) -> None:
        del self._buffer[:]
        raise BrokenPipeError


console = _Console(highlight=False, soft_wrap=True, emoji=False)
error_console = _Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def open_link(args: argparse.Namespace) -> CareLink:
    """The home named by --home, CARELINK_HOME, or `carelink-data` here."""
    return open_home(args.home)


def is_chinese(args: argparse.Namespace) -> bool:
    """Whether sentences are wanted in Chinese."""
    return bool(getattr(args, "lang", "en") == "zh")


def split(text: str) -> tuple[str, ...]:
    """A comma-separated list."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def instant(text: str) -> Instant:
    """An RFC 3339 instant, as an argument.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    problem = ""
    try:
        return parse_instant(text)
    except CarelinkError as error:
        problem = error.message
    raise argparse.ArgumentTypeError(problem)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; cells are text, never markup. Codes and ids stay whole where the width allows, sentences fold."""
    from rich.text import Text

    body = [tuple(row) for row in rows]
    words = [[line[place] for line in [columns, *body]] for place in range(len(columns))]
    width = console.width if console.is_terminal else max(console.width, _WIDE)
    least = sum(max(cell_len(word) for cell in column for word in (cell.split() or [""])) + 3 for column in words)
    grid = Table(header_style="bold", show_edge=False, pad_edge=False)
    for name, column in zip(columns, words, strict=True):
        whole = least <= width and not any(" " in cell for cell in column[1:])
        grid.add_column(name, overflow="fold", no_wrap=whole)
    for row in body:
        grid.add_row(*(Text(cell) for cell in row))
    if title:
        console.print(title, style="italic", markup=False)
    # Rich lets no table be wider than its console, and a pipe's console is 80 columns wide.
    _Console(file=console.file, width=width, highlight=False, emoji=False).print(grid)


def shown_instant(instant: Instant | None, zone: str = "") -> str:
    """An instant for people: local where the zone is known."""
    if instant is None:
        return "-"
    moment: datetime = to_datetime(instant).astimezone(ZoneInfo(zone) if zone else UTC)
    return moment.isoformat(sep=" ", timespec="seconds")


def print_reasons(decision: Decision, *, chinese: bool, zone: str = "") -> None:
    """The reasons of a decision, one line each, with the instant from which it would pass."""
    for verdict in decision.reasons:
        assert verdict.reason is not None
        words = sentence(verdict.reason, "zh" if chinese else "en")
        until = f"  -> {shown_instant(verdict.earliest, zone)}" if verdict.earliest is not None else ""
        console.print(f"  {verdict.effect.value:<7} {verdict.reason.value:<22} {verdict.rule:<28} {words}{until}")


def progress(label: str, total: int | Callable[[], int] | None) -> Progress:
    """A progress bar on stderr; silent where stderr is no terminal, and then `total` is not even counted."""
    seen = sys.stderr.isatty()
    if callable(total):
        total = total() if seen else None
    bar = Progress(
        TextColumn(label),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=error_console,
        transient=True,
        disable=not seen,
    )
    bar.add_task(label, total=total)
    return bar


def read_input(name: str) -> bytes:
    """Bytes of a file, or of standard input for `-`.

    Raises:
        CarelinkError: it cannot be read.
    """
    if name == "-":
        return sys.stdin.buffer.read()
    path = Path(name)
    if not path.is_file():
        raise CarelinkError(f"there is no file `{path.name}`")
    return path.read_bytes()
