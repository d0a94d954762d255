"""The arithmetic of what keyed values show (crypto.md e5)."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from carelink.vault.leakage import Spread, candidates, same_by_chance


def test_a_spread_counts_who_is_seen_to_be_equal():
    spread = Spread.of({0: 5, 1: 10, 2: 3, 7: 1})
    assert (spread.rows, spread.values, spread.alone, spread.equal, spread.most) == (23, 14, 10, 13, 7)
    assert spread.equality == pytest.approx(13 / 23)
    assert Spread.of({}).equality == 0.0
    assert Spread.of({0: 4}).most == 0


@pytest.mark.parametrize(("rows", "bits"), [(200_000, 15), (5_000, 10), (10_000, 4)])
def test_the_mean_number_of_candidates_is_what_a_draw_finds(rows, bits):
    draw = random.Random(7)
    counts = Counter(draw.getrandbits(bits) for _ in range(rows))
    others = sum(count * (count - 1) for count in counts.values()) / rows
    assert others == pytest.approx(candidates(rows, bits), rel=0.1)


def test_chances_are_small_for_long_values_and_never_above_one():
    assert same_by_chance(1_000_000, 64) < 1e-7
    assert same_by_chance(1_000_000, 256) < 1e-60
    assert same_by_chance(1_000, 4) == 1.0
    assert same_by_chance(1, 64) == same_by_chance(0, 64) == candidates(0, 8) == 0.0
