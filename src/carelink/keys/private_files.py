"""Files that only their owner may read: folder 0700, files 0600, replaced in one step and flushed."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

from carelink.errors import CarelinkError, ConflictError, KeyProviderError

__all__ = [
    "check_private",
    "create_private",
    "locked",
    "make_private_folder",
    "raise_alone",
    "read_private",
    "remove_private",
    "replace_private",
    "sync",
]

if sys.platform != "win32":
    import fcntl

_OTHERS: Final = 0o077
_MAX: Final = 65536


@contextmanager
def _failing(what: str) -> Iterator[None]:
    failed = exists = False
    try:
        yield
    except FileExistsError:
        exists = True
    except OSError:
        failed = True
    if exists:
        raise_alone(ConflictError(f"{what}: it exists already"))
    if failed:
        raise_alone(KeyProviderError(f"{what}: the system refused"))


def raise_alone(error: CarelinkError) -> NoReturn:
    """Raise an error that does not hang on the one that a `with` block is just leaving, nor on its variables."""
    try:
        raise error
    finally:
        error.__context__ = None


def sync(folder: Path) -> None:
    """Flush the names in a folder; Windows has no such call."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_private(path: Path, *, folder: bool = False) -> None:
    """Refuse a key file or folder that others may touch, that is another's, or that is a link.

    Raises:
        KeyProviderError: it is missing or not private.
    """
    with _failing("the key folder cannot be read"):
        info = path.lstat()
    if not (stat.S_ISDIR(info.st_mode) if folder else stat.S_ISREG(info.st_mode)):
        raise KeyProviderError("a key file or folder is a link or a device")
    if sys.platform == "win32":
        return
    if info.st_uid != os.geteuid():
        raise KeyProviderError("the key folder belongs to another user")
    if info.st_mode & _OTHERS:
        mode = "0700" if folder else "0600"
        raise KeyProviderError("the key folder is open to others", hint=f"chmod {mode} it, then replace its keys")


def make_private_folder(path: Path) -> None:
    """Create a folder 0700, or check the one that stands there.

    Raises:
        KeyProviderError: it cannot be created or is not private.
    """
    if not path.exists():
        with _failing("the key folder cannot be created"):
            path.mkdir(mode=0o700, parents=True)
            path.chmod(0o700)
            sync(path.parent)
    check_private(path, folder=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else who asks changes the folder meanwhile, in this process or another. Windows has no such lock.

    Raises:
        KeyProviderError: it is not there, or stands on a file system that does not lock.
    """
    if sys.platform == "win32":
        yield
        return
    with _failing("the key folder cannot be read"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with _failing("the key folder cannot be locked"):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(path: Path, data: bytes) -> Path:
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return temporary


def create_private(path: Path, data: bytes) -> None:
    """Create a file 0600, durably; never over another.

    Raises:
        ConflictError: it exists.
        KeyProviderError: it cannot be written.
    """
    with _failing(f"`{path.name}` cannot be created"):
        temporary = _write(path, data)
        try:
            os.link(temporary, path)
        finally:
            temporary.unlink()
        sync(path.parent)


def replace_private(path: Path, data: bytes) -> None:
    """Replace a file in one step, durably.

    Raises:
        KeyProviderError: it cannot be written.
    """
    with _failing(f"`{path.name}` cannot be replaced"):
        _write(path, data).replace(path)
        sync(path.parent)


def remove_private(path: Path) -> None:
    """Remove a file, durably; again is harmless.

    Raises:
        KeyProviderError: it cannot be removed.
    """
    with _failing(f"`{path.name}` cannot be removed"):
        path.unlink(missing_ok=True)
        sync(path.parent)


def read_private(path: Path) -> bytes:
    """The bytes of a private file.

    Raises:
        KeyProviderError: missing, unreadable or not private.
    """
    check_private(path)
    with _failing("a key file cannot be read"), path.open("rb") as file:
        return file.read(_MAX)
    raise KeyProviderError("a key file cannot be read")
