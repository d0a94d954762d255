"""Closed logs: put away whole, beside the log that goes on, under a name made of what they are."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from carelink.audit.checkpoint import SignedCheckpoint
from carelink.errors import StoreError
from carelink.stores.durable_files import make_folder, sync_folder
from carelink.stores.head_copy import read_head_copy
from carelink.stores.logfolder import LogFolder

__all__ = ["closed_folder", "put_away"]

_SAFE: Final = re.compile(r"[^A-Za-z0-9.-]+")


def closed_folder(log: LogFolder, head: SignedCheckpoint) -> Path:
    """Where a closed log of this head lies: `<log>-closed/<origin>-<digest>`."""
    origin = head.checkpoint.origin
    name = f"{_SAFE.sub('-', origin)}-{sha256(origin.encode()).hexdigest()[:8]}"
    return log.path.with_name(f"{log.path.name}-closed") / name


def put_away(log: LogFolder, copy: Path) -> None:
    """Move the published log and its head copy away. Repeating it after a crash finishes what is left.

    Raises:
        StoreError: they cannot be moved.
    """
    head = log.head()
    failed = False
    try:
        if head is not None:
            target = closed_folder(log, head)
            make_folder(target.parent)
            log.path.rename(target)
            sync_folder(target.parent)
            sync_folder(log.path.parent)
        kept = read_head_copy(copy)
        if kept is not None:
            copy.rename(copy.with_name(f"{copy.name}-{sha256(kept.checkpoint.origin.encode()).hexdigest()[:8]}"))
            sync_folder(copy.parent)
    except OSError:
        failed = True
    if failed:
        raise StoreError("the closed log cannot be put away", hint="check the folder beside the log")
