"""Walk through a published folder: nothing may lie there that the signed head and its history do not call for."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final

from carelink.audit.checkpoint import VerifierKey
from carelink.audit.fetcher import Fetcher, NodeKind
from carelink.audit.findings import FindingCode, Findings, shown
from carelink.audit.merkle import HASH_SIZE
from carelink.audit.tiles import ENTRIES, MAX_BUNDLE, TILE_WIDTH, TileName, split_bundle
from carelink.errors import CarelinkError

__all__ = ["TOP_FILES", "TOP_FOLDERS", "SurplusWalk"]

TOP_FILES: Final = frozenset({"checkpoint", "README.md"})
"""Files a log has at its top. `README.md` explains an export; the last export entry holds its digest."""

TOP_FOLDERS: Final = frozenset({"tile", "checkpoints"})

_FOLDER: Final = re.compile(r"[0-7]|entries|x[0-9]{3}|[0-9]{3}\.p", re.ASCII)
_TEMPORARY: Final = re.compile(r"\.[0-9a-z.]{1,40}\.tmp", re.ASCII)
_MAX_DEPTH: Final = 12
_LONGEST_KEY: Final = 2048


class SurplusWalk:
    """Walks the folder, one directory in memory at a time.

    Args:
        fetch: the log.
        size: entries under the signed head.
        history: sizes of the checkpoints in the folder up to the head, ascending.
        strict: whether files of an unfinished publication count; off while a writer is at work.
    """

    def __init__(self, fetch: Fetcher, size: int, history: Sequence[int], findings: Findings, *, strict: bool) -> None:
        self._fetch, self._size, self._history = fetch, size, history
        self._findings, self._strict = findings, strict

    def run(self) -> None:
        """Report what does not belong."""
        for name, kind in self._fetch.names(""):
            if self._findings.exhausted:
                return
            if not (kind is NodeKind.FILE and name in TOP_FILES) and not (
                kind is NodeKind.FOLDER and name in TOP_FOLDERS
            ):
                self._stray(name, kind)
        for path in self._tiles():
            self._tile(path)
            if self._findings.exhausted:
                return

    def _tiles(self) -> Iterator[str]:
        """Paths of the files below `tile`, depth first."""
        open_folders = [("tile", iter(self._fetch.names("tile")))]
        while open_folders and not self._findings.exhausted:
            folder, names = open_folders[-1]
            found = next(names, None)
            if found is None:
                open_folders.pop()
                continue
            name, kind = found
            path = f"{folder}/{name}"
            if kind is NodeKind.FILE:
                yield path
            elif kind is NodeKind.FOLDER and _FOLDER.fullmatch(name) and len(open_folders) < _MAX_DEPTH:
                open_folders.append((path, iter(self._fetch.names(path))))
            else:
                self._stray(path, kind)

    def _tile(self, path: str) -> None:
        name = TileName.parse(path)
        if name is None:
            self._stray(path, NodeKind.FILE)
        elif name.fits(self._size):
            return
        elif name.width < TILE_WIDTH and self._published(name):
            self._earlier(name)
        elif self._strict:
            detail = "no checkpoint covers it" if name.end > self._size else "no checkpoint in the folder calls for it"
            self._findings.tampered(FindingCode.SURPLUS, detail, path)

    def _published(self, name: TileName) -> bool:
        """Whether a checkpoint in the folder called for this partial tile."""
        at = bisect_left(self._history, name.end)
        return at < len(self._history) and name.fits(self._history[at])

    def _earlier(self, name: TileName) -> None:
        """A partial tile of an earlier checkpoint must be the beginning of today's."""
        limit = MAX_BUNDLE if name.level == ENTRIES else TILE_WIDTH * HASH_SIZE
        now = TileName.of(name.level, name.index, self._size)
        data, whole = self._fetch.read(name.path, limit), self._fetch.read(now.path, limit)
        if data is None or whole is None:
            return
        if name.level == ENTRIES:
            entries, _ = split_bundle(whole, name.width)
            length = sum(2 + len(entry) for entry in entries)
        else:
            length = name.width * HASH_SIZE
        if data != whole[:length]:
            self._findings.tampered(FindingCode.TILE, f"is not the beginning of `{now.path}`", name.path)

    def _stray(self, path: str, kind: NodeKind) -> None:
        if kind is NodeKind.FILE and not self._strict and _TEMPORARY.fullmatch(path.rpartition("/")[2]):
            return
        if kind is NodeKind.FILE and self._is_key(path):
            detail = "a key inside the folder proves nothing; get the key another way and remove this file"
            self._findings.cannot_judge(FindingCode.KEY_INSIDE, detail, shown(path))
            return
        what = {NodeKind.FILE: "file", NodeKind.FOLDER: "folder", NodeKind.OTHER: "link or device"}[kind]
        self._findings.tampered(FindingCode.SURPLUS, f"a {what} that does not belong to the log", shown(path))

    def _is_key(self, path: str) -> bool:
        data = self._fetch.read(path, _LONGEST_KEY) or b""
        try:
            VerifierKey.parse(data.decode("utf-8").strip())
        except (UnicodeDecodeError, CarelinkError):
            return False
        return True
