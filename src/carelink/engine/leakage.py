"""What the store shows without its keys: every keyed value and every sealed length in it, counted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

import attrs

from carelink.engine.parts import Parts
from carelink.ports.store import Reader
from carelink.vault.leakage import Spread, same_by_chance

__all__ = ["IDENTIFIER_BITS", "Lengths", "Surface", "leakage"]

IDENTIFIER_BITS: Final = 64
_TOKEN_BITS: Final = 256
_PAGE: Final = 2_000


@attrs.frozen(kw_only=True)
class Surface:
    """One kind of keyed value in the store.

    Attributes:
        name: `identifier MRN, version 1`, `address token`.
        bits: length.
        spread: how rows lie on it; of addresses, a row is a person who has one.
        chance: that two different values look equal, at most.
        shows: what whoever has the store and no key sees.
        inverts: who can test guesses.
    """

    name: str
    bits: int
    spread: Spread
    chance: float
    shows: str
    inverts: str


@attrs.frozen(kw_only=True)
class Lengths:
    """Lengths of the sealed fields of one column: how many fields have each, in bytes of envelope."""

    table: str
    column: str
    fields: int
    lengths: tuple[tuple[int, int], ...]


def leakage(parts: Parts) -> tuple[list[Surface], list[Lengths]]:
    """Count it. Scans the store; nothing is opened, and no key is used."""
    with parts.store.reader() as reader:
        return list(_surfaces(reader)), _lengths(reader)


def _surfaces(reader: Reader) -> Iterator[Surface]:
    for (column, version), counts in sorted(reader.index_spread().items()):
        spread = Spread.of(counts)
        yield Surface(
            name=f"identifier {column}, key version {version}",
            bits=IDENTIFIER_BITS,
            spread=spread,
            chance=same_by_chance(spread.values, IDENTIFIER_BITS),
            shows="that two records have one identifier",
            inverts="who has the index key too, by guessing",
        )
    spread = Spread.of(reader.address_spread())
    yield Surface(
        name="address token",
        bits=_TOKEN_BITS,
        spread=spread,
        chance=same_by_chance(spread.values, _TOKEN_BITS),
        shows="that two persons have one address, and that one was stopped",
        inverts="who has the address key too, by guessing",
    )


def _lengths(reader: Reader) -> list[Lengths]:
    found: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    after = ("", "", "")
    while page := reader.page_sealed(after, _PAGE):
        for row in page:
            found[row.table, row.column][len(row.envelope)] += 1
        after = (page[-1].table, page[-1].row, page[-1].column)
    return [
        Lengths(table=table, column=column, fields=sum(counts.values()), lengths=tuple(sorted(counts.items())))
        for (table, column), counts in sorted(found.items())
    ]
