"""Counts the syncs SQLite really makes: a VFS that passes everything on and counts `xSync`, registered in this process
through ctypes as the default. Nothing is traced from outside, no time is taken while counting.

Source of the structures: https://www.sqlite.org/c3ref/vfs.html and https://www.sqlite.org/c3ref/io_methods.html.
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Callable

# The path is passed as an address: SQLite reads parameters behind its final zero, and keeps it.
OPEN = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
SYNC = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


class Vfs(ctypes.Structure):
    """`sqlite3_vfs` up to and including `xOpen`; what follows is copied as it is."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("file_size", ctypes.c_int),
        ("longest_path", ctypes.c_int),
        ("next", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("data", ctypes.c_void_p),
        ("open", OPEN),
        ("rest", ctypes.c_void_p * 15),
    ]


class Methods(ctypes.Structure):
    """`sqlite3_io_methods`: version, then pointers, of which the fifth is `xSync` (18 in version 3)."""

    _fields_ = [
        ("version", ctypes.c_int),
        ("before", ctypes.c_void_p * 4),
        ("sync", SYNC),
        ("rest", ctypes.c_void_p * 13),
    ]


_KEPT: list[object] = []
"""SQLite keeps addresses of what a counter is made of; nothing of it may ever be freed."""


class SyncCounter:
    """Counts for every connection opened between its making and `stop`.

    Attributes:
        count: syncs so far.
    """

    def __init__(self) -> None:
        _KEPT.append(self)
        self._library = library = ctypes.CDLL(_sqlite3.__file__)
        library.sqlite3_vfs_find.restype = ctypes.POINTER(Vfs)
        library.sqlite3_vfs_find.argtypes = [ctypes.c_char_p]
        library.sqlite3_vfs_register.argtypes = [ctypes.POINTER(Vfs), ctypes.c_int]
        self.count = 0
        self._found = library.sqlite3_vfs_find(None)
        self._methods: dict[int, Methods] = {}
        real = self._found.contents
        self._vfs = Vfs.from_buffer_copy(real)
        self._name = b"counting"
        self._vfs.name = self._name
        self._vfs.open = OPEN(self._open(real.open))
        if library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1) != 0:
            raise OSError("SQLite took no other VFS")

    def stop(self) -> None:
        """Connections opened from now on are not counted."""
        self._library.sqlite3_vfs_register(self._found, 1)

    def _open(self, real: Callable[..., int]) -> Callable[..., int]:
        def opened(_: int, path: int, file: int, flags: int, out: int) -> int:
            code = real(ctypes.addressof(self._found.contents), path, file, flags, out)
            place = ctypes.c_void_p.from_address(file)
            if place.value:
                place.value = ctypes.addressof(self._counted(place.value))
            return code

        return opened

    def _counted(self, address: int) -> Methods:
        """The method table at this address, with a `xSync` that counts; made once, as SQLite compares the addresses."""
        if address not in self._methods:
            real = Methods.from_address(address)
            copy = Methods.from_buffer_copy(real)
            whole = real.sync

            def sync(file: int, flags: int) -> int:
                self.count += 1
                return whole(file, flags)

            copy.sync = SYNC(sync)
            self._methods[address] = copy
        return self._methods[address]
