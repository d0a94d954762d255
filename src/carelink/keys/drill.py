"""A drill with a backup of the key folder: opened as a copy, so that the backup itself is not touched."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from carelink.errors import KeyProviderError
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore

__all__ = ["opened_copy"]


@contextmanager
def opened_copy(backup: Path, name: str, passphrase: str | None) -> Iterator[KeyStore]:
    """The key store of a backup, opened from a private copy that is removed afterwards.

    Args:
        backup: a folder with what the key folder held.
        name: file name of the key store in it.
        passphrase: of the root key, if it has one.

    Raises:
        KeyProviderError: the folder lacks a root key or a key store.
        KeyCheckError: its root key is not the one of its key store, or its passphrase is wrong.
    """
    files = [backup / each for each in ("root.key", name) if (backup / each).is_file()]
    if len(files) != 2:  # noqa: PLR2004  both of them
        raise KeyProviderError("the backup lacks `root.key` or the key store", hint="back up the whole key folder")
    with TemporaryDirectory(prefix="carelink-drill-") as place:
        folder = Path(place)
        folder.chmod(0o700)
        for file in sorted(backup.iterdir()):
            if file.is_file() and file.name.startswith(("root.", name)):
                copy = folder / file.name
                copy.touch(0o600)
                shutil.copyfile(file, copy)
        store = KeyStore.open(folder / name, KeyFolder.open(folder, passphrase=passphrase))
        try:
            yield store
        finally:
            store.close()
