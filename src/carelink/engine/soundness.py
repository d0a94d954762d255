"""Whether what the store answers has the form it must have. What has not is a fact nobody knows, never one that
permits (P2); and one damaged row costs no other request its decision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from types import UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import attrs

from carelink.errors import DamagedRowError, StoreError
from carelink.ports.rows import TenantRow
from carelink.ports.store import Reader
from carelink.vocabulary import Mode

__all__ = ["salvage", "salvage_rows", "sound", "sound_only", "tenant_of"]

K = TypeVar("K")
V = TypeVar("V")
R = TypeVar("R")

_DAMAGE: Final = (DamagedRowError, KeyError, ValueError, TypeError, AttributeError)
"""What a reader raises over a row that is not in its form: an unknown word, no hex, another type."""


def _exact(hint: Any) -> tuple[frozenset[type], type | None]:
    """The exact types a value may have, and the type of its items where it is a tuple."""
    if get_origin(hint) in (Union, UnionType):
        kinds: set[type] = set()
        items = None
        for part in get_args(hint):
            types, inner = _exact(part)
            kinds |= types
            items = items or inner
        return frozenset(kinds), items
    if get_origin(hint) is tuple:
        (items,) = _exact(get_args(hint)[0])[0]
        return frozenset({tuple}), items
    plain = getattr(hint, "__supertype__", hint)
    return frozenset({plain}), None


@lru_cache(maxsize=64)
def _form(kind: Any) -> tuple[Callable[[Any], tuple[Any, ...]], tuple[frozenset[type], ...], tuple[Any, ...]]:
    hints = get_type_hints(kind)
    names = [field.name for field in kind.__attrs_attrs__]
    exact = [_exact(hints[name]) for name in names]
    lists = tuple((name, items) for name, (_, items) in zip(names, exact, strict=True) if items is not None)
    return attrgetter(*names), tuple(types for types, _ in exact), lists


def sound(row: object) -> bool:
    """Whether every field of a row holds a value of the type it is declared with, no other and no subclass."""
    values, wanted, lists = _form(cast("Any", type(row)))
    for value, types in zip(values(row), wanted, strict=True):
        if type(value) not in types:
            return False
    for name, items in lists:
        for item in getattr(row, name) or ():
            if type(item) is not items:
                return False
    return True


def sound_only(rows: Iterable[R]) -> tuple[R, ...]:
    """The rows that are sound."""
    return tuple(row for row in rows if sound(row))


def salvage(read: Callable[[Sequence[K]], Mapping[K, V]], keys: Sequence[K]) -> tuple[dict[K, V], frozenset[K]]:
    """What a set-based read answers, and the keys whose rows cannot be read. A read that fails over damage is halved
    until the damaged rows are alone; a read that fails because the database does is not.
    """
    if not keys:
        return {}, frozenset()
    damaged = False
    found: Mapping[K, V] = {}
    try:
        found = read(keys)
    except _DAMAGE:
        damaged = True
    if not damaged:
        return dict(found), frozenset()
    if len(keys) == 1:
        return {}, frozenset(keys)
    middle = len(keys) // 2
    left, lost_left = salvage(read, keys[:middle])
    right, lost_right = salvage(read, keys[middle:])
    return {**left, **right}, lost_left | lost_right


def salvage_rows(
    read: Callable[[Sequence[Any], Sequence[Any]], Sequence[R]], persons: Sequence[str], tokens: Sequence[bytes]
) -> tuple[list[R], frozenset[str | bytes]]:
    """`salvage` for reads that take persons and tokens and answer with rows; a row may then come twice."""
    keys: tuple[str | bytes, ...] = (*persons, *tokens)
    if not keys:
        return [], frozenset()
    damaged = False
    rows: Sequence[R] = ()
    try:
        rows = read(persons, tokens)
    except _DAMAGE:
        damaged = True
    if not damaged:
        return list(rows), frozenset()
    if len(keys) == 1:
        return [], frozenset(keys)
    found: list[R] = []
    lost: frozenset[str | bytes] = frozenset()
    middle = len(keys) // 2
    for half in (keys[:middle], keys[middle:]):
        some = [key for key in half if isinstance(key, str)]
        others = [key for key in half if isinstance(key, bytes)]
        more, gone = salvage_rows(read, some, others)
        found += more
        lost |= gone
    return found, lost


def tenant_of(reader: Reader) -> TenantRow:
    """The tenant's row.

    Raises:
        StoreError: it is damaged; nothing can be decided without it.
    """
    found: TenantRow | None = None
    try:
        found = reader.tenant()
    except _DAMAGE:
        found = None
    if found is None or not sound(attrs.evolve(found, mode=Mode.SANDBOX)):
        raise StoreError("the tenant's row is damaged", hint="run `carelink doctor`")
    return found
