"""A published log read from a folder nobody vouches for: no links followed, no pipes waited on, no endless files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from carelink.audit.checkpoint import VerifierKey
from carelink.audit.fetcher import NodeKind
from carelink.errors import CannotJudgeError, StoreError

__all__ = ["FolderFetcher", "read_trusted_key"]

_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_ABSENT: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV, errno.ENAMETOOLONG}
)
_LONGEST_KEY: Final = 4096


class FolderFetcher:
    """A `Fetcher` over a folder."""

    def __init__(self, path: Path) -> None:
        self._root = os.fspath(path)

    def read(self, path: str, limit: int) -> bytes | None:
        """Bytes of a regular file, cut after `limit` + 1; None when there is none.

        Raises:
            StoreError: the medium or its permissions deny the file.
        """
        try:
            descriptor = os.open(f"{self._root}/{path}", _FLAGS)
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise StoreError("a file of the log cannot be opened") from error
        try:
            status = os.fstat(descriptor)
            return _read_up_to(descriptor, limit + 1, status.st_size + 1) if stat.S_ISREG(status.st_mode) else None
        except OSError as error:
            raise StoreError("a file of the log cannot be read") from error
        finally:
            os.close(descriptor)

    def names(self, folder: str) -> Iterator[tuple[str, NodeKind]]:
        """Names in a folder ("" is the log itself); none when there is no such folder.

        Raises:
            StoreError: the medium or its permissions deny the folder.
        """
        try:
            with os.scandir(f"{self._root}/{folder}") as found:
                for node in found:
                    yield node.name, _kind(node)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise StoreError("a folder of the log cannot be read") from error


def _read_up_to(descriptor: int, limit: int, guess: int) -> bytes:
    """Read to the end of the file or to the limit; one byte more than the file should have shows its end."""
    data = os.read(descriptor, min(limit, guess))
    if len(data) < min(limit, guess) and len(data) == guess - 1:
        return data
    parts, length = [data], len(data)
    while length < limit and (more := os.read(descriptor, min(limit - length, 1 << 20))):
        parts.append(more)
        length += len(more)
    return b"".join(parts)


def _kind(node: os.DirEntry[str]) -> NodeKind:
    if node.is_file(follow_symlinks=False):
        return NodeKind.FILE
    return NodeKind.FOLDER if node.is_dir(follow_symlinks=False) else NodeKind.OTHER


def read_trusted_key(path: Path, log: Path | None = None) -> VerifierKey:
    """Read the verifier key an auditor trusts; `log` is the folder it is to judge, where there is one.

    Raises:
        CannotJudgeError: the file lies inside the log, whatever links lead to it, or cannot be read.
        FormatError: it holds no verifier key.
    """
    if log is not None and path.resolve().is_relative_to(log.resolve()):
        raise CannotJudgeError("a key from inside the folder proves nothing", hint="get the key another way")
    text = ""
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST_KEY).decode("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        pass
    if not text:
        raise CannotJudgeError("the key file cannot be read")
    return VerifierKey.parse(text)
