"""What imports share: a progress bar over bytes, problems printed and counted, batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

import attrs

from carelink.cli.common import error_console, progress
from carelink.cli.exit_codes import Exit
from carelink.errors import CarelinkError, ConflictError, ErasedError, InvalidInputError, KeyMissingError, NotFoundError
from carelink.interop.lines import Progress
from carelink.interop.records import Problem

__all__ = ["BATCH", "Report", "Reporter", "batches", "parted", "print_problem", "watched"]

BATCH: Final = 500
"""Records in one commit."""

_SHOWN: Final = 20
"""Notes of one kind that an import prints. It prints every lost row, and `--check` prints everything."""

Report = Callable[[Problem], None]
T = TypeVar("T")
R = TypeVar("R")

_ROW: Final = (InvalidInputError, ConflictError, NotFoundError, ErasedError, KeyMissingError)
"""Errors that one row can be the cause of."""


@attrs.define
class Reporter:
    """Prints problems, counts them, and knows whether rows were lost."""

    everything: bool = False
    lost: int = 0
    notes: Counter[str] = attrs.field(factory=Counter)

    def __call__(self, problem: Problem) -> None:
        """Take one problem in."""
        if problem.lost:
            self.lost += 1
        else:
            self.notes[problem.code.value] += 1
        if problem.lost or self.everything or self.notes[problem.code.value] <= _SHOWN:
            error_console.print(str(problem), markup=False)

    def rows(self) -> list[tuple[str, str]]:
        """Rows of the summary: how often each note was made."""
        return [(f"note: {code}", str(count)) for code, count in sorted(self.notes.items())]

    def finish(self) -> int:
        """Say what was not printed and what was lost; the exit code."""
        for code, count in sorted(self.notes.items()):
            if count > _SHOWN and not self.everything:
                error_console.print(f"{count - _SHOWN} more rows with {code}; --check lists all", markup=False)
        if self.lost:
            rows = "1 row was" if self.lost == 1 else f"{self.lost} rows were"
            error_console.print(f"{rows} left out, named above; all others were taken", markup=False)
        return Exit.COULD_NOT_RUN if self.lost else Exit.OK


def print_problem(problem: Problem) -> None:
    """Print one problem and keep no count."""
    error_console.print(str(problem), markup=False)


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Lists of at most `BATCH` items."""
    source = iter(items)
    while batch := list(islice(source, BATCH)):
        yield batch


def parted(given: Sequence[T], work: Callable[[Sequence[T]], Sequence[R]]) -> list[R | CarelinkError]:
    """What `work` makes of a batch. If it refuses the whole because of one row, halves are tried, down to that row,
    which is answered with its error: it does not cost the others. Whatever is wrong with more than a row is raised.
    """
    if not given:
        return []
    try:
        return list(work(given))
    except _ROW as error:
        if len(given) == 1:
            return [error]
    middle = len(given) // 2
    return [*parted(given[:middle], work), *parted(given[middle:], work)]


def watched(path: Path, read: Callable[[Progress], Iterator[T]]) -> Iterator[T]:
    """What a reader gives, under a progress bar that counts the bytes it has read.

    Raises:
        NotFoundError: there is nothing at this path.
    """
    if not path.exists():
        raise NotFoundError("there is no such file or folder")
    with progress(path.name, None) as bar:
        (task,) = bar.task_ids
        yield from read(lambda done, total: bar.update(task, completed=done, total=total))
