"""How the verifier and the readers get at a published log: a folder, an archive, a memory."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Protocol

__all__ = ["Fetcher", "NodeKind"]


class NodeKind(Enum):
    """What stands under a name."""

    FILE = "file"
    FOLDER = "folder"
    OTHER = "other"
    """A link, a device, a pipe: nothing a log is made of."""


class Fetcher(Protocol):
    """Reads a published log. Paths are relative, with `/`.

    Both methods raise StoreError when the medium fails, and nothing else.
    """

    def read(self, path: str, limit: int) -> bytes | None:
        """Bytes of a regular file, cut after `limit` + 1; None when there is none. Never waits, follows no links."""
        ...

    def names(self, folder: str) -> Iterable[tuple[str, NodeKind]]:
        """Names in a folder ("" is the log itself), in any order; none when there is no such folder."""
        ...
