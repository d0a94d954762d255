"""The published folder: C2SP tiles, entry bundles and signed checkpoints on disk, and nothing else.

Order of a publication: tiles and bundles (create-only, flushed), their folders, read back and hashed again, only then
the signature, `checkpoint` by rename, `checkpoints/<size>`. A crash in between leaves files beyond the head, which
are no part of the log until a checkpoint covers them; the next publication finds or removes them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from carelink.audit.checkpoint import (
    MAX_NOTE,
    Checkpoint,
    NoteVerifier,
    SignedCheckpoint,
    Signer,
    parse_signed_checkpoint,
    sign_checkpoint,
)
from carelink.audit.merkle import EMPTY_ROOT, HashReader, leaf_hash
from carelink.audit.proof import open_checkpoint
from carelink.audit.tiles import (
    ENTRIES,
    MAX_BUNDLE,
    TILE_WIDTH,
    TileBuilder,
    TileName,
    encode_bundle,
    read_entries,
    split_bundle,
    tile_files,
    tile_hash_reader,
)
from carelink.audit.witness import merge
from carelink.errors import (
    CannotJudgeError,
    ConfigurationError,
    ConflictError,
    InvalidInputError,
    NotFoundError,
    StoreError,
    StoreRestoredError,
    TamperedError,
)
from carelink.model.moment import Instant
from carelink.stores.durable_files import create_file, folder_lock, make_folder, replace_file, sync_folder
from carelink.stores.folder_fetcher import FolderFetcher

__all__ = ["LogFolder"]

_LEVELS: Final = (ENTRIES, *range(8))


class LogFolder:
    """A published log in a folder: one writer, any number of readers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fetcher = FolderFetcher(path)

    def head(self) -> SignedCheckpoint | None:
        """The newest published checkpoint; None before the first. Its signature is not checked.

        Raises:
            FormatError: `checkpoint` is not a checkpoint.
        """
        data = self.fetcher.read("checkpoint", MAX_NOTE)
        return None if data is None else parse_signed_checkpoint(data)

    def earlier(self, size: int) -> SignedCheckpoint | None:
        """The checkpoint published at this size; None when there was none. Its signature is not checked.

        Raises:
            FormatError: the file is not a checkpoint.
        """
        data = self.fetcher.read(f"checkpoints/{size}", MAX_NOTE)
        return None if data is None else parse_signed_checkpoint(data)

    def read(self, path: str) -> bytes | None:
        """A tile or bundle by its path; None when there is none."""
        return self.fetcher.read(path, MAX_BUNDLE)

    def entries(self, first: int = 0, last: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Published entries [first, last) with their indexes, a bundle in memory at a time; as stored, not verified.

        Raises:
            InvalidInputError: the range is outside the published log.
            CannotJudgeError: a bundle is missing.
            FormatError: a bundle or the checkpoint is malformed.
        """
        head = self.head()
        return read_entries(self.read, 0 if head is None else head.size, first, last)

    def hashes(self, size: int) -> HashReader:
        """Subtree roots of the published tree of this size, for proofs."""
        return tile_hash_reader(size, self.read)

    def publish(
        self,
        entries: Iterable[bytes],
        *,
        start: int,
        end: int,
        signers: Sequence[Signer],
        verifier: NoteVerifier,
        at: Instant,
        root: bytes | None = None,
    ) -> SignedCheckpoint:
        """Publish the entries [start, end) under a new signed checkpoint.

        Args:
            entries: exactly `end - start` entries, in order; taken one by one.
            start: entries published so far.
            end: entries published afterwards.
            signers: the log's signer, and any further ones whose signatures the checkpoint should bear.
            verifier: the log's own key; the published head must be under it, and so must the new one.
            at: when; kept as the modification time of the checkpoint files.
            root: the store's root at `end`; what was read back must give it.

        Returns:
            The published checkpoint; the present one when there is nothing to add.

        Raises:
            StoreRestoredError: more is published than `start`: the store is a restored backup.
            InvalidInputError: entries are missing before `start`, or their number is wrong.
            TamperedError: what is published, or was read back, contradicts itself, its signature or `root`.
            CannotJudgeError: a published tile at the right edge is missing.
            ConfigurationError: the signer's key is not the log's.
            StoreError: the folder cannot be written, or another writer holds it.
        """
        make_folder(self.path)
        with folder_lock(self.path):
            head = self._trusted_head(verifier)
            size = 0 if head is None else head.size
            self._check_range(start, end, size)
            if head is not None:
                self._keep(head, None)
                if end == size:
                    return head
            self._check_edge(size, EMPTY_ROOT if head is None else head.root)
            self._drop_unpublished(size)
            self._write(size, _exactly(entries, end - start))
            found = self._read_back(size, end)
            if root is not None and found != root:
                raise TamperedError("what was written does not give the store's root; nothing was signed")
            signed = _signed(Checkpoint(verifier.key.name, end, found), signers, verifier)
            replace_file(self.path / "checkpoint", signed.to_bytes(), mtime_ns=at * 1000)
            self._keep(signed, at)
            self._drop_replaced(size)
        return signed

    def cosign(self, cosigned: bytes, witness: NoteVerifier) -> tuple[SignedCheckpoint, int]:
        """Add a witness's signature to the published checkpoint it signed.

        Returns:
            The checkpoint with the signature, and the time the witness gave it, POSIX seconds.

        Raises:
            NotFoundError: no checkpoint of this size is published.
            FormatError, CannotJudgeError, TamperedError: as for `carelink.audit.witness.merge`.
            StoreError: the folder cannot be written, or another writer holds it.
        """
        size = parse_signed_checkpoint(cosigned).size
        with folder_lock(self.path):
            path = f"checkpoints/{size}"
            data = self.fetcher.read(path, MAX_NOTE)
            if data is None:
                raise NotFoundError(f"no checkpoint of {size} entries is published here")
            signed, seconds = merge(data, cosigned, witness)
            replace_file(self.path / path, signed.to_bytes())
            head = self.head()
            if head is not None and head.note.text == signed.note.text:
                replace_file(self.path / "checkpoint", signed.to_bytes())
        return signed, seconds

    def drop_unsigned(self, verifier: NoteVerifier) -> int:
        """Remove what lies beyond the signed head: the rest of a publication that a restored store will not repeat.

        Returns:
            How many files were removed.

        Raises:
            TamperedError: the head is not signed by the log's key.
            StoreError: the folder cannot be written, or another writer holds it.
        """
        with folder_lock(self.path):
            head = self._trusted_head(verifier)
            size = 0 if head is None else head.size
            removed = 0
            for name in self._beyond(size):
                full = self.path / name.path
                removed += full.exists()
                full.unlink(missing_ok=True)
                removed += self._clear(name, lambda partial: partial.end <= size)
                sync_folder(full.parent)
            return removed

    def export(
        self, target: Path, *, readme: bytes | None = None, progress: Callable[[int, int], None] | None = None
    ) -> SignedCheckpoint:
        """Copy the published log into a new, self-contained folder.

        The key is not put there: who verifies gets it another way.

        Args:
            target: the folder to make.
            readme: text of its README, whose digest an export entry of the log holds; without one there is none.
            progress: called with the number of entries copied so far and of all, now and then.

        Raises:
            ConflictError: the target exists and is not an empty folder, or lies in the log.
            CannotJudgeError: nothing is published yet, or a file is missing.
            FormatError: a published file is malformed.
            StoreError: the target cannot be written.
        """
        head = self.head()
        if head is None:
            raise CannotJudgeError("nothing is published yet")
        if target.resolve().is_relative_to(self.path.resolve()):
            raise ConflictError("the export would lie inside the log")
        if target.exists() and (not target.is_dir() or any(target.iterdir())):
            raise ConflictError("the target of the export exists", hint="name a folder that does not exist yet")
        make_folder(target)
        for name in _tiles_of(head.size):
            _place(target / name.path, self._as_published(name))
            if progress is not None and name.level == ENTRIES:
                progress(min(name.end, head.size), head.size)
        for text, _ in self.fetcher.names("checkpoints"):
            data = self.fetcher.read(f"checkpoints/{text}", MAX_NOTE)
            if data is not None and text.isascii() and text.isdigit() and int(text) <= head.size:
                _place(target / "checkpoints" / text, data)
        if readme is not None:
            _place(target / "README.md", readme)
        replace_file(target / "checkpoint", head.to_bytes())
        return head

    def _trusted_head(self, verifier: NoteVerifier) -> SignedCheckpoint | None:
        data = self.fetcher.read("checkpoint", MAX_NOTE)
        return None if data is None else open_checkpoint(data, verifier)

    def _check_range(self, start: int, end: int, size: int) -> None:
        if start < size:
            raise StoreRestoredError("more entries are published than the store knows to be")
        if start > size or end < start:
            raise InvalidInputError("the entries to publish do not follow those published")

    def _check_edge(self, size: int, root: bytes) -> None:
        """What is continued must be what was signed: the hashes at the right edge, and the entries under them."""
        good = TileBuilder.load(size, self.read).root() == root
        if good and size % TILE_WIDTH:
            number = size // TILE_WIDTH
            hashes = self._as_published(TileName.of(0, number, size))
            leaves = [leaf_hash(entry) for _, entry in read_entries(self.read, size, number * TILE_WIDTH)]
            good = b"".join(leaves) == hashes
        if not good:
            raise TamperedError("the published right edge is not what was signed", hint="run `carelink audit verify`")

    def _write(self, size: int, entries: Iterable[bytes]) -> None:
        folders: set[Path] = set()
        for path, data in tile_files(size, entries, self.read):
            file = self.path / path
            if file.parent not in folders:
                make_folder(file.parent)
                folders.add(file.parent)
            create_file(file, data)
        for folder in sorted(folders):
            sync_folder(folder)

    def _read_back(self, size: int, end: int) -> bytes:
        """Hash again what the disk gives back, all of it that is new; returns the root."""
        tree = TileBuilder.load(size, self.read)
        for number in range(size // TILE_WIDTH, -(-end // TILE_WIDTH)):
            base = number * TILE_WIDTH
            last = min(end, base + TILE_WIDTH)
            leaves = [leaf_hash(entry) for _, entry in read_entries(self.read, end, base, last)]
            self._same(TileName.of(0, number, end), b"".join(leaves))
            for name, data in tree.add(leaves[max(size - base, 0) :]):
                self._same(name, data)
        for name, data in tree.edges():
            self._same(name, data)
        return tree.root()

    def _same(self, name: TileName, data: bytes) -> None:
        if self.read(name.path) != data:
            raise TamperedError(f"`{name.path}` reads back differently from what was written; nothing was signed")

    def _keep(self, signed: SignedCheckpoint, at: Instant | None) -> None:
        """Keep a published checkpoint for ever; after a crash the head may still lack its copy."""
        folder = self.path / "checkpoints"
        make_folder(folder)
        path = folder / str(signed.size)
        if at is None and path.exists():
            path.with_name(f".{path.name}.tmp").unlink(missing_ok=True)
            return
        if create_file(path, signed.to_bytes(), mtime_ns=None if at is None else at * 1000):
            sync_folder(folder)

    def _beyond(self, size: int) -> Iterator[TileName]:
        """Full tiles, present or not, from the right edge on, as far as anything lies there."""
        for level in _LEVELS:
            index = (size >> (8 * max(level, 0))) // TILE_WIDTH
            while (self.path / TileName(level, index).path).exists() or self._partials(TileName(level, index)).is_dir():
                yield TileName(level, index)
                index += 1

    def _partials(self, name: TileName) -> Path:
        """The folder of the partial tiles of a full one."""
        full = self.path / name.path
        return full.with_name(f"{full.name}.p")

    def _drop_unpublished(self, size: int) -> int:
        """Remove partial tiles beyond the head: an unfinished publication left them, and the next may not need them."""
        return sum(self._clear(name, lambda partial: partial.end <= size) for name in self._beyond(size))

    def _drop_replaced(self, old: int) -> None:
        """Remove the partial tiles of the old right edge where the full tile is there."""
        for level in _LEVELS:
            name = TileName(level, (old >> (8 * max(level, 0))) // TILE_WIDTH)
            if (self.path / name.path).exists():
                self._clear(name, lambda _: False)

    def _clear(self, full: TileName, keep: Callable[[TileName], bool]) -> int:
        """Remove the partial tiles of one folder that are not to be kept, and whatever else lies among them."""
        folder = self._partials(full)
        if not folder.is_dir():
            return 0
        removed = 0
        for file in sorted(folder.iterdir()):
            name = TileName.parse(file.relative_to(self.path).as_posix())
            if name is None or not keep(name):
                file.unlink()
                removed += 1
        if removed:
            sync_folder(folder)
        with suppress(OSError):
            folder.rmdir()
            sync_folder(folder.parent)
        return removed

    def _as_published(self, name: TileName) -> bytes:
        """The tile as a checkpoint calls for it; cut from the full tile when that has replaced it meanwhile."""
        data = self.read(name.path)
        if data is None and name.width < TILE_WIDTH:
            whole = self.read(TileName(name.level, name.index).path)
            if whole is not None and name.level == ENTRIES:
                return encode_bundle(split_bundle(whole, name.width)[0])
            data = None if whole is None else whole[: name.width * 32]
        if data is None:
            raise CannotJudgeError(f"`{name.path}` is missing")
        return data


def _tiles_of(size: int) -> Iterator[TileName]:
    """Every bundle and tile of a tree."""
    for level in _LEVELS:
        count = size >> (8 * max(level, 0))
        for index in range(-(-count // TILE_WIDTH)):
            yield TileName.of(level, index, size)


def _exactly(entries: Iterable[bytes], count: int) -> Iterator[bytes]:
    given = 0
    for entry in entries:
        given += 1
        if given > count:
            break
        yield entry
    if given != count:
        raise InvalidInputError("the number of entries is not the number announced; nothing was signed")


def _signed(checkpoint: Checkpoint, signers: Sequence[Signer], verifier: NoteVerifier) -> SignedCheckpoint:
    signed = sign_checkpoint(checkpoint, signers)
    good = False
    with suppress(TamperedError):
        verifier.open(signed.note)
        good = True
    if not good:
        raise ConfigurationError("the signer's signature does not verify under the log's key; nothing was published")
    return signed


def _place(path: Path, data: bytes) -> None:
    """Write one file of an export: plainly, for the target may be a stick that knows no links."""
    make_folder(path.parent)
    problem = ""
    try:
        with path.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        problem = error.strerror or "the system reported no reason"
    if problem:
        raise StoreError(f"the export cannot be written: {problem}")
