"""Files that survive a power cut: written beside, flushed, put in place in one step, and the folder flushed too.

A flush that fails is final: nothing is read back or tried again, the caller stops (StoreError).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from carelink.errors import StoreError, TamperedError

__all__ = ["create_file", "folder_lock", "make_folder", "replace_file", "sync_folder"]


@contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"{what}: {error.strerror or 'the system reported no reason'}") from error


def _write_beside(path: Path, data: bytes, mtime_ns: int | None) -> Path:
    """Write and flush a temporary file in the same folder; its name is fixed, so a crash leaves at most one."""
    temporary = path.with_name(f".{path.name}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(temporary, flags, 0o644), "wb") as file:
        file.write(data)
        file.flush()
        if mtime_ns is not None:
            os.utime(temporary, ns=(mtime_ns, mtime_ns))
        os.fsync(file.fileno())
    return temporary


def create_file(path: Path, data: bytes, *, mtime_ns: int | None = None) -> bool:
    """Create an immutable file; the caller flushes the folder.

    Returns:
        Whether it was created; False when it stands there with the same bytes.

    Raises:
        TamperedError: it stands there with other bytes.
        StoreError: it cannot be written.
    """
    with _failing("a file of the log cannot be written"):
        if not path.exists():
            temporary = _write_beside(path, data, mtime_ns)
            try:
                os.link(temporary, path)
            except FileExistsError:
                pass
            else:
                temporary.unlink()
                return True
        path.with_name(f".{path.name}.tmp").unlink(missing_ok=True)
        same = path.stat().st_size == len(data) and path.read_bytes() == data
        if same:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    if not same:
        raise TamperedError(
            f"`{path.name}` exists with other bytes",
            hint="a published file never changes; was the store restored from a backup?",
        )
    return False


def replace_file(path: Path, data: bytes, *, mtime_ns: int | None = None) -> None:
    """Replace a file in one step, durably: a reader sees the old bytes or the new, and so does a restart.

    Raises:
        StoreError: it cannot be written.
    """
    with _failing("a file cannot be replaced"):
        _write_beside(path, data, mtime_ns).replace(path)
    sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Create a folder and what lies above it; flushes each parent that gained a name.

    Raises:
        StoreError: it cannot be created.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    with _failing("a folder cannot be created"):
        path.mkdir(exist_ok=True)
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flush the names in a folder. Windows has no such call and does without.

    Raises:
        StoreError: the flush failed.
    """
    if sys.platform == "win32":
        return
    with _failing("a folder cannot be flushed"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


if sys.platform == "win32":

    @contextmanager
    def folder_lock(path: Path) -> Iterator[None]:
        """Hold a folder against other writers. Windows has no lock on folders: the notary's lease must do there."""
        with _failing("the folder cannot be opened"):
            path.stat()
        yield

else:
    import fcntl

    @contextmanager
    def folder_lock(path: Path) -> Iterator[None]:
        """Hold a folder against other writers, without leaving a file in it; released when the process ends.

        Raises:
            StoreError: another writer holds it.
        """
        with _failing("the folder cannot be opened"):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with _failing("another writer holds the folder"):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(descriptor)
