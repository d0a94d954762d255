"""`Personal` for values about people, `SecretKey` for key bytes: neither shows itself unless asked by name.

Source: reference crypto.md e12. Both are immutable, masked in every text form, without length, iteration or hash,
compare in constant time, and refuse pickling. The one way out is `reveal` (or `use`), which raises an audit event.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Callable
from datetime import date
from typing import Any, Final, Generic, NoReturn, TypeVar, cast, final

__all__ = ["KEY_LENGTH", "Personal", "SecretKey"]

T = TypeVar("T")
R = TypeVar("R")

KEY_LENGTH: Final = 32
"""Bytes in every key of carelink."""


def _refuse(what: str) -> NoReturn:
    raise TypeError(f"a personal value or key cannot be {what}")


class _Masked:
    """What both types share; holds no data."""

    __slots__ = ()
    __hash__ = None  # type: ignore[assignment]
    __iter__ = None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a personal value or key does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a personal value or key does not change")

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __copy__(self) -> _Masked:
        return self

    def __deepcopy__(self, memo: object) -> _Masked:
        return self

    def __reduce__(self) -> NoReturn:
        _refuse("pickled")

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        _refuse("pickled")

    def __getstate__(self) -> NoReturn:
        _refuse("pickled")


def _comparable(value: object) -> bytes | None:
    """Bytes that are equal exactly when two values of these types are; None for other types."""
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, bytes):
        return b"b" + value
    if isinstance(value, bool | int | date):
        return f"{type(value).__name__}:{value!s}".encode()
    return None


@final
class Personal(_Masked, Generic[T]):
    """A value about a person. Ask for it with `reveal("why")`, or better, lend it to a function with `use`."""

    __slots__ = ("_value",)
    _value: T

    def __init__(self, value: T) -> None:
        _HELD.__set__(self, value)

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("Personal cannot be subclassed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not Personal:
            return NotImplemented
        mine, theirs = _HELD.__get__(self), _HELD.__get__(other)
        left, right = _comparable(mine), _comparable(theirs)
        if left is None or right is None:
            return bool(type(mine) is type(theirs) and mine == theirs)
        return hmac.compare_digest(left, right)

    __hash__ = None

    def reveal(self, purpose: str) -> T:
        """The value. `purpose` goes to `sys.audit("carelink.reveal", purpose)`."""
        sys.audit("carelink.reveal", purpose)
        return cast("T", _HELD.__get__(self))

    def use(self, fn: Callable[[T], R]) -> R:
        """What `fn` makes of the value, without a local variable of the caller ever holding it."""
        sys.audit("carelink.reveal", "use")
        return fn(_HELD.__get__(self))


@final
class SecretKey(_Masked):
    """Thirty-two bytes of key."""

    __slots__ = ("_value",)
    _value: bytes

    def __init__(self, value: bytes) -> None:
        if len(value) != KEY_LENGTH:
            raise ValueError("a key has 32 bytes")
        _KEY.__set__(self, bytes(value))

    def __init_subclass__(cls) -> NoReturn:
        raise TypeError("SecretKey cannot be subclassed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not SecretKey:
            return NotImplemented
        return hmac.compare_digest(_KEY.__get__(self), _KEY.__get__(other))

    __hash__ = None

    def reveal(self, purpose: str) -> bytes:
        """The key bytes. `purpose` goes to `sys.audit("carelink.reveal", purpose)`."""
        sys.audit("carelink.reveal", purpose)
        return cast("bytes", _KEY.__get__(self))

    def use(self, fn: Callable[[bytes], R]) -> R:
        """What `fn` makes of the key bytes."""
        sys.audit("carelink.reveal", "use")
        return fn(_KEY.__get__(self))


# The slot descriptors leave their classes: what walks `dir()` or `__slots__` with getattr finds no value there.
_HELD: Any = Personal.__dict__["_value"]
_KEY: Any = SecretKey.__dict__["_value"]
for _each in (Personal, SecretKey):
    type.__delattr__(_each, "_value")
