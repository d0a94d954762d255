"""Durations of packs: a strict form, the same on every Python."""

from __future__ import annotations

import pytest

from carelink.errors import InvalidInputError
from carelink.model.moment import DAY, HOUR, MINUTE, SECOND, parse_duration


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("P30D", 30 * DAY),
        ("P2W", 14 * DAY),
        ("PT12H", 12 * HOUR),
        ("PT30M", 30 * MINUTE),
        ("PT5S", 5 * SECOND),
        ("P1W2DT3H4M5S", 9 * DAY + 3 * HOUR + 4 * MINUTE + 5 * SECOND),
        ("P0D", 0),
    ],
)
def test_durations(text, length):
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text",
    [
        "",
        "P",
        "PT",
        "P1",
        "1D",
        "P1DT",
        "P1M",
        "P1Y",
        "PT1D",
        "P1D1D",
        "P1D1W",
        "PT1S1H",
        "p1d",
        "P1.5D",
        "P-1D",
        "P1D ",
    ],
)
def test_what_is_no_duration(text):
    with pytest.raises(InvalidInputError):
        parse_duration(text)


@pytest.mark.parametrize("text", ["P١D", "P" + "9" * 5000 + "D", "P1D\n"])
def test_what_only_looks_like_one(text):
    with pytest.raises(InvalidInputError):
        parse_duration(text)
