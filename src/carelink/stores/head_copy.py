"""The external head copy: the newest checkpoint kept apart from the store, so that a restored backup is recognised.

It may lie on another disk or machine. It only ever grows: a smaller head, or another root at the same size, is refused.
"""

from __future__ import annotations

from pathlib import Path

from carelink.audit.checkpoint import MAX_NOTE, SignedCheckpoint, parse_signed_checkpoint
from carelink.errors import ConfigurationError, StoreRestoredError, TamperedError
from carelink.stores.durable_files import folder_lock, make_folder, replace_file
from carelink.stores.folder_fetcher import FolderFetcher

__all__ = ["read_head_copy", "write_head_copy"]


def read_head_copy(path: Path) -> SignedCheckpoint | None:
    """The head copy; None when none was written yet. Its signature is the caller's to check.

    Raises:
        FormatError: the file is not a checkpoint.
        StoreError: it cannot be read.
    """
    data = FolderFetcher(path.parent).read(path.name, MAX_NOTE)
    return None if data is None else parse_signed_checkpoint(data)


def write_head_copy(path: Path, head: SignedCheckpoint) -> None:
    """Advance the head copy, durably; writing the same head again is fine.

    Raises:
        StoreRestoredError: the copy is of a larger log: what wants to be written comes from a restored backup.
        TamperedError: the copy has another root at this size: two histories.
        ConfigurationError: the copy is of another log.
        FormatError: the copy is not a checkpoint.
        StoreError: it cannot be read or written, or another process is writing it.
    """
    make_folder(path.parent)
    with folder_lock(path.parent):
        copy = read_head_copy(path)
        if copy is not None:
            if copy.checkpoint.origin != head.checkpoint.origin:
                raise ConfigurationError("the head copy is of another log", hint="give each log a head copy of its own")
            if copy.size > head.size:
                raise StoreRestoredError("the log is older than its head copy")
            if copy.size == head.size and copy.root != head.root:
                raise TamperedError("the head copy has another root at the same size")
            if copy == head:
                return
        replace_file(path, head.to_bytes())
