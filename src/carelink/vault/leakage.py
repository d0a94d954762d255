"""What keyed values show to whoever sees the store without its keys: arithmetic of coincidences. crypto.md e5, a4.

Two rows of equal value always show equal keyed values. What differs is how often *different* values look equal: the
fewer bits, the more rows hide behind one value.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

__all__ = ["Spread", "candidates", "same_by_chance"]


def candidates(rows: int, bits: int) -> float:
    """Mean number of other rows behind a value of so many bits, if all rows differ."""
    return max(0, rows - 1) / float(1 << bits)


def same_by_chance(rows: int, bits: int) -> float:
    """Chance that any two of so many different values look equal, at most: pairs over values."""
    return min(1.0, rows * (rows - 1) / 2 / float(1 << bits))


@attrs.frozen(kw_only=True)
class Spread:
    """How rows spread over keyed values.

    Attributes:
        rows: how many there are.
        values: how many different values.
        alone: rows whose value no other row has. Who learns of one such value what it stands for, knows its row.
        equal: rows that share their value with others: seen to be equal without any key.
        most: rows behind the value that most rows share.
    """

    rows: int
    values: int
    alone: int
    equal: int
    most: int

    @classmethod
    def of(cls, counts: Mapping[int, int]) -> Spread:
        """From how many values stand for so many rows each."""
        rows = sum(each * count for each, count in counts.items())
        alone = counts.get(1, 0)
        return cls(
            rows=rows,
            values=sum(count for each, count in counts.items() if each),
            alone=alone,
            equal=rows - alone,
            most=max((each for each, count in counts.items() if count), default=0),
        )

    @property
    def equality(self) -> float:
        """Share of rows that are seen to equal another one, 0 to 1."""
        return self.equal / self.rows if self.rows else 0.0
