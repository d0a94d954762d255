"""Physical lines of a file, plain or gzipped, with their numbers. Damage costs the lines it hits and no other.

A gzip file is known by how it begins, whatever it is called. A file that is cut off, or whose compressed bytes are
damaged, gives every whole line before the damage, then says so.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import attrs

from carelink.interop.records import Fault

__all__ = ["MAX_LINE", "Line", "Meter", "Progress", "read_lines"]

MAX_LINE: Final = 1 << 20
"""Bytes a line may have, its end included. No patient needs a megabyte; what is longer is reported and skipped."""

_CHUNK: Final = 1 << 16
_GZIP: Final = b"\x1f\x8b"
_WINDOW: Final = 31
"""zlib's name for: a gzip header and trailer, the largest window."""

Progress = Callable[[int, int], None]
"""Called with (bytes read so far, bytes in all), both as they lie on disk, compressed."""


@attrs.frozen
class Line:
    """A physical line without its end, or why there is none. The first is number 1."""

    number: int
    data: bytes = attrs.field(repr=False)
    fault: Fault | None = None


@attrs.define
class Meter:
    """How far an import is, over all its files."""

    total: int
    progress: Progress | None = None
    done: int = 0

    def add(self, count: int) -> None:
        """So many more bytes were read."""
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)


def read_lines(path: Path, meter: Meter) -> Iterator[Line]:
    """The lines of a file, blank ones left out. Holds one line and one chunk in memory.

    Raises:
        OSError: the file cannot be opened or read.
    """
    with path.open("rb") as file:
        number, rest, skipping, fault = 0, b"", False, None
        for data in _plain(file, meter):
            if data is None:
                fault = Fault.FILE_DAMAGED
                break
            *whole, rest = (rest + data).split(b"\n")
            for piece in whole:
                number += 1
                if skipping or len(piece) >= MAX_LINE:
                    skipping = False
                    yield Line(number, b"", Fault.LINE_TOO_LONG)
                elif not piece.isspace() and piece:
                    yield Line(number, piece.removesuffix(b"\r"))
            if len(rest) >= MAX_LINE:
                rest, skipping = b"", True
        if fault is not None:
            yield Line(number + 1, b"", fault)
        elif skipping:
            yield Line(number + 1, b"", Fault.LINE_TOO_LONG)
        elif rest and not rest.isspace():
            yield Line(number + 1, rest.removesuffix(b"\r"))


def _plain(file: BinaryIO, meter: Meter) -> Iterator[bytes | None]:
    """Uncompressed chunks; None where the file is damaged, which ends it."""
    head = file.read(_CHUNK)
    if not _is_gzip(head, named=Path(file.name).suffix == ".gz"):
        while head:
            meter.add(len(head))
            yield head
            head = file.read(_CHUNK)
        return
    unzip, begun = zlib.decompressobj(_WINDOW), False
    while head:
        meter.add(len(head))
        while head:
            before = unzip.copy()
            try:
                data = unzip.decompress(head, _CHUNK)
            except zlib.error:
                yield from _before_damage(before, head)
                return
            begun = True
            yield data
            head = unzip.unconsumed_tail
            if unzip.eof:
                # More members may follow; zeros at the end are padding that gzip itself ignores.
                head, begun = unzip.unused_data.lstrip(b"\0"), False
                unzip = zlib.decompressobj(_WINDOW)
        head = file.read(_CHUNK)
        if not begun:
            head = head.lstrip(b"\0")
    if begun:
        yield unzip.flush()
        yield None


def _is_gzip(head: bytes, *, named: bool) -> bool:
    """Whether a file begins as gzip does; one that is not named so must begin to decompress, too: its first line may be
    garbage that looks the part.
    """
    if not head.startswith(_GZIP):
        return False
    try:
        zlib.decompressobj(_WINDOW).decompress(head, 1)
    except zlib.error:
        return named
    return True


def _before_damage(unzip: zlib._Decompress, data: bytes) -> Iterator[bytes | None]:
    """What can be had of a chunk that turned out damaged: byte by byte, up to the first that does not decode."""
    saved = bytearray()
    for at in range(len(data)):
        try:
            saved += unzip.decompress(data[at : at + 1])
        except zlib.error:
            break
    yield bytes(saved)
    yield None
