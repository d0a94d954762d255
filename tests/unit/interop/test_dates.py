"""Dates as other systems write them, and the instants they mean."""

from __future__ import annotations

from datetime import date

import pytest

from carelink.interop.dates import Days, is_partial, parse_date
from carelink.model.moment import iso


@pytest.mark.parametrize(
    "text",
    ["1985-03-02", "1985-3-2", "1985/3/2", "1985/03/02", "1985.3.2", "19850302", "1985年3月2日", "1985年03月02日",
     "1985-03-02 00:00:00", "1985-03-02T00:00", "1985/3/2 0:00:00"],
)  # fmt: skip
def test_full_dates(text: str) -> None:
    assert parse_date(text) == date(1985, 3, 2)


@pytest.mark.parametrize(
    "text",
    ["", "1985", "1985-03", "02-03-1985", "2/3/1985", "1985-13-02", "1985-02-30", "850302", "1985-03-02x",
     "1985-03-02 10:30", "１９８５-03-02", "0000-01-01", "1985-3-", "١٩٨٥-03-02"],
)  # fmt: skip
def test_what_is_no_full_date(text: str) -> None:
    assert parse_date(text) is None


@pytest.mark.parametrize(
    ("text", "partial"),
    [("1985", True), ("1985-03", True), ("1985/3", True), ("1985年", True), ("1985年3月", True), ("1985-13", False),
     ("85", False), ("", False), ("0000", False), ("1985-03-02", False), ("unknown", False)],
)  # fmt: skip
def test_partial_dates(text: str, *, partial: bool) -> None:
    assert is_partial(text) is partial


def test_a_day_begins_and_ends_in_its_zone() -> None:
    days = Days("Asia/Shanghai")
    start, (good, end) = days.start("2026-01-15"), days.end("2026-01-15")
    assert start is not None
    assert end is not None
    assert good
    assert (iso(start), iso(end)) == ("2026-01-14T16:00:00Z", "2026-01-15T16:00:00Z")


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-01-15", "2026-01-15T00:00:00Z", "2026-01-16T00:00:00Z"),
        ("2026-02", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("2026-12", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2026", "2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"),
        ("2026-01-15T10:00:00+08:00", "2026-01-15T02:00:00Z", "2026-01-15T02:00:00Z"),
        ("2026-01-15T10:00:00.5Z", "2026-01-15T10:00:00.500000Z", "2026-01-15T10:00:00.500000Z"),
    ],
)
def test_the_last_day_month_or_year_belongs_to_a_period(text: str, start: str, end: str) -> None:
    first, (good, last) = Days().start(text), Days().end(text)
    assert first is not None
    assert last is not None
    assert good
    assert (iso(first), iso(last)) == (start, end)


@pytest.mark.parametrize("text", ["9999-12-31", "9999", "9999-12", "9999-12-31T23:59:59Z"])
def test_the_year_9999_means_no_end(text: str) -> None:
    assert Days("Asia/Shanghai").end(text) == (True, None)
    assert Days().start(text) is None


@pytest.mark.parametrize(
    "text", ["0001-01-01", "0001-01-01T00:00:00+08:00", "1899-12-31", "soon", "2026-01-15T10:00:00"]
)
def test_what_is_no_instant(text: str) -> None:
    assert Days().start(text) is None
    assert Days().end(text) == (False, None)


def test_a_time_without_an_offset_is_meant_in_the_zone_where_that_is_allowed() -> None:
    start = Days("Asia/Shanghai", local=True).start("2026-01-15 10:00:00")
    assert start is not None
    assert iso(start) == "2026-01-15T02:00:00Z"
    assert Days("Asia/Shanghai").start("2026-01-15 10:00:00") is None
