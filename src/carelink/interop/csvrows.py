"""CSV rows with their line numbers: RFC 4180, in UTF-8 (with or without a byte order mark) or GB18030.

Commas, quotes and line ends are single bytes in both encodings and never part of a longer character, so rows are
told apart before the encoding is known. A quoted cell may hold line breaks. A quote that somebody forgot to close
must not swallow the rows below it, so a row goes on over a line break only if the whole of it has as many cells as
the first line, and none of the lines it takes along is such a row by itself.

Which encoding it is, is decided for the whole file and from evidence: a byte order mark, else the names of the
columns if they are not all ASCII, else the rows. Where the evidence is mixed the file is refused: a wrong guess
would write a wrong name into every row.
"""

from __future__ import annotations

import codecs
import csv
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from carelink.errors import InvalidInputError
from carelink.interop.lines import Line, Meter, read_lines
from carelink.interop.records import Fault, Problem, has_control

__all__ = ["Row", "Sheet", "open_sheet"]

_TAKEN: Final = 64
"""Lines that one row may reach over."""

_DELIMITERS: Final = (b",", b"\t", b";")
_OTHER: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_THREE_BYTES: Final = 0xE0
"""UTF-8 characters of three bytes and more begin with this byte or a higher one."""

_CLEAR: Final = 5
"""The rows decide if those that speak for one encoding are this many times those that speak against it."""


@attrs.frozen
class Row:
    """Cells of one row, and the line it begins on."""

    line: int
    cells: tuple[str, ...] = attrs.field(repr=False)


@attrs.frozen
class Sheet:
    """An opened CSV file: the names of its columns, and how to read its rows."""

    path: Path
    encoding: str
    delimiter: bytes
    columns: tuple[str, ...]
    meter: Meter

    def rows(self) -> Iterator[Row | Problem]:
        """Rows after the first line, and what is wrong with those that are none."""
        name, width = self.path.name, len(self.columns)
        for item in _split(read_lines(self.path, self.meter), self.delimiter, width):
            if isinstance(item, _Bad):
                yield Problem(file=name, line=item.line, code=item.code, hint=item.hint)
                continue
            try:
                cells = tuple(cell.decode(self.encoding).strip() for cell in item.cells)
            except UnicodeDecodeError:
                code = Fault.NOT_UTF8 if self.encoding == "utf-8" else Fault.NOT_GB18030
                yield Problem(file=name, line=item.line, code=code)
                continue
            if any(has_control(cell) for cell in cells):
                yield Problem(file=name, line=item.line, code=Fault.CONTROL_CHARACTER)
            elif any(cells):
                yield Row(item.line, cells)


@attrs.frozen
class _Raw:
    line: int
    cells: tuple[bytes, ...]


@attrs.frozen
class _Bad:
    line: int
    code: Fault
    hint: str = ""


def open_sheet(path: Path, meter: Meter, known: Callable[[Sequence[str]], int]) -> Sheet:
    """Read the first line and settle the encoding.

    Args:
        path: the file, plain or gzipped.
        meter: where progress is counted.
        known: how many of these column names mean something.

    Raises:
        InvalidInputError: there is no first line, it names no known column, or the encoding is not one of the two.
    """
    first = next(read_lines(path, Meter(0)), None)
    if first is None or first.fault is not None:
        raise InvalidInputError("the file has no first line that names the columns")
    if first.data.startswith(_OTHER):
        raise InvalidInputError("the file is UTF-16", hint="save it as CSV UTF-8")
    marked = first.data.startswith(codecs.BOM_UTF8)
    head = first.data.removeprefix(codecs.BOM_UTF8)
    delimiter = max(_DELIMITERS, key=head.count)
    cells = _cells(head, delimiter)
    if cells is None:
        raise InvalidInputError("the first line, which names the columns, has an unclosed quotation mark")
    found = {encoding: _decoded(cells, encoding) for encoding in ("utf-8", "gb18030")}
    score = {encoding: known(names) for encoding, names in found.items() if names is not None}
    if not any(score.values()):
        raise InvalidInputError(
            "the first line names no column that carelink knows", hint="name the columns with --map FILE"
        )
    if marked:
        encoding = "utf-8"
    elif not head.isascii() and score.get("utf-8", 0) != score.get("gb18030", 0):
        encoding = max(score, key=lambda name: score[name])
    else:
        encoding = _encoding_of_rows(path, delimiter, len(cells))
    columns = found[encoding]
    if columns is None:
        raise InvalidInputError("the first line is in another encoding than the rows", hint="save it as CSV UTF-8")
    return Sheet(path, encoding, delimiter, columns, meter)


def _encoding_of_rows(path: Path, delimiter: bytes, width: int) -> str:
    """From the rows that have as many cells as the first line: which encoding do their non-ASCII bytes speak for?

    Valid UTF-8 with characters of three bytes or more is hardly ever anything else. Two Chinese characters in GB18030
    are now and then valid UTF-8 of two-byte characters, so such rows speak for UTF-8 only if little speaks against it.
    """
    strong = weak = against = 0
    for item in _split(read_lines(path, Meter(0)), delimiter, width):
        data = delimiter.join(item.cells) if isinstance(item, _Raw) else b""
        if data.isascii():
            continue
        if _is(data, "utf-8"):
            wide = max(data) >= _THREE_BYTES
            strong, weak = strong + wide, weak + (not wide)
        else:
            against += _is(data, "gb18030")
    if strong + weak >= _CLEAR * against:
        return "utf-8"
    if against >= _CLEAR * strong and against > weak:
        return "gb18030"
    raise InvalidInputError(
        "some rows are UTF-8 and some are not: the file mixes encodings", hint="save it as CSV UTF-8"
    )


def _is(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _decoded(cells: Sequence[bytes], encoding: str) -> tuple[str, ...] | None:
    try:
        return tuple(cell.decode(encoding).strip() for cell in cells)
    except UnicodeDecodeError:
        return None


def _cells(data: bytes, delimiter: bytes) -> tuple[bytes, ...] | None:
    """Cells of one row; None where a quotation mark does not close where a cell may end."""
    if b'"' not in data:
        return tuple(data.split(delimiter))
    # Latin-1 gives one character a byte and takes every byte: the csv module then splits bytes.
    text = data.decode("latin-1")
    try:
        lines = [f"{part}\n" for part in text.split("\n")]
        rows = list(csv.reader(lines, delimiter=delimiter.decode(), strict=True))
    except csv.Error:
        return None
    return tuple(cell.encode("latin-1") for cell in rows[0]) if len(rows) == 1 else None


def _split(lines: Iterable[Line], delimiter: bytes, width: int) -> Iterator[_Raw | _Bad]:
    """Rows and faults after the first line, in the order of the lines."""
    source = iter(lines)
    next(source, None)
    ahead: deque[Line] = deque()
    while (line := ahead.popleft() if ahead else next(source, None)) is not None:
        if line.fault is not None:
            yield _Bad(line.number, line.fault)
            continue
        cells = _cells(line.data, delimiter)
        if cells is None:
            row = _over_lines(line, source, ahead, delimiter, width)
            yield _Bad(line.number, Fault.UNCLOSED_QUOTE) if row is None else row
        elif len(cells) != width:
            yield _Bad(line.number, Fault.WRONG_COLUMNS, f"{len(cells)} cells, the first line has {width}")
        else:
            yield _Raw(line.number, cells)


def _over_lines(line: Line, source: Iterator[Line], ahead: deque[Line], delimiter: bytes, width: int) -> _Raw | None:
    """A row that goes on over line breaks, with the lines it takes removed from `ahead`; None if it is no such row."""
    data, taken = line.data, 0
    while taken < _TAKEN:
        if taken == len(ahead):
            more = next(source, None)
            if more is None:
                return None
            ahead.append(more)
        piece = ahead[taken]
        alone = None if piece.fault is not None else _cells(piece.data, delimiter)
        if piece.fault is not None or (alone is not None and len(alone) == width):
            return None
        data, taken = data + b"\n" + piece.data, taken + 1
        cells = _cells(data, delimiter)
        if cells is not None:
            if len(cells) != width:
                return None
            for _ in range(taken):
                ahead.popleft()
            return _Raw(line.number, cells)
    return None
