"""A drill with a backup of the key folder: opened as a copy, so that the backup itself is not touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from carelink.errors import KeyProviderError
from carelink.keys.provider import KeyProvider
from carelink.keys.store import KeyStore

__all__ = ["opened_copy"]


@contextmanager
def opened_copy(
    backup: Path, name: str, provider: Callable[[Path], KeyProvider], *, root: bool = True
) -> Iterator[KeyStore]:
    """The key store of a backup, opened from a private copy that is removed afterwards.

    Args:
        backup: a folder with what the key folder held.
        name: file name of the key store in it.
        provider: gives the key provider, with the copy in the place of the key folder.
        root: whether the folder must hold the root key.

    Raises:
        KeyProviderError: the folder lacks a root key or a key store, or the provider is out of reach.
        KeyCheckError: its root key is not the one of its key store, or its passphrase is wrong.
    """
    if not all((backup / each).is_file() for each in (("root.key", name) if root else (name,))):
        raise KeyProviderError("the backup lacks `root.key` or the key store", hint="back up the whole key folder")
    with TemporaryDirectory(prefix="carelink-drill-") as place:
        folder = Path(place)
        folder.chmod(0o700)
        for file in sorted(backup.iterdir()):
            if file.is_file() and file.name.startswith(("root.", name)):
                copy = folder / file.name
                copy.touch(0o600)
                shutil.copyfile(file, copy)
        store = KeyStore.open(folder / name, provider(folder))
        try:
            yield store
        finally:
            store.close()
