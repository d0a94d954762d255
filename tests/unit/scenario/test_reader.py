"""Stories are read strictly: whatever is wrong is named with its place before anything is played."""

from __future__ import annotations

import pytest

from carelink.errors import InvalidInputError
from carelink.model.moment import DAY, HOUR, MINUTE, Instant, parse_instant
from carelink.scenario.moments import local, moment
from carelink.scenario.reader import parse_story

HEAD = """
[scenario]
id = "T"
title = "t"
packs = ["baseline"]
start = "2025-03-01 09:00"
"""
STEP = """
[[step]]
note = "nothing"
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[scenario", "not TOML"),
        (STEP, "`scenario` is missing"),
        (HEAD, "`step` is missing"),
        (HEAD.replace('"baseline"', '"nowhere"') + STEP, "neither a bundled pack nor a file"),
        (HEAD.replace("2025-03-01 09:00", "2025-02-30 09:00") + STEP, "no such day"),
        (HEAD + STEP + "colour = 1\n", r"story.step\[1\]: the key `colour` is not known"),
        (HEAD + STEP + 'died = "x"\n', "exactly one of"),
        (HEAD + "[[step]]\nat = '+1d'\n", "exactly one of"),
        (HEAD + STEP + 'expect = { effect = "maybe" }\n', r"step\[1\].expect.effect: not a word"),
        (HEAD + STEP + 'expect = { reasons = ["CAP", "CAP_EXCEEDED"] }\n', r"expect.reasons\[1\]: not a word"),
        (HEAD + STEP + "expect = { entries = { decisions = 1 } }\n", "`decisions` is no kind of entry"),
        (HEAD + STEP + "expect = { counts = { yes = 1 } }\n", "`yes` is no effect and no reason"),
        (HEAD + STEP + "expect = { left = -1 }\n", "less than 0"),
        (HEAD + STEP + "expect = { left = true }\n", "not a whole number"),
        (HEAD + "zone = 'Moon/Sea'\n" + STEP, "zone"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(InvalidInputError, match=said):
        parse_story(text.encode())


def test_not_utf_8():
    with pytest.raises(InvalidInputError, match="not UTF-8"):
        parse_story(b"\xff\xfe")


def test_yaml_says_the_same_as_toml():
    pytest.importorskip("yaml", reason="an extra: carelink[scenarios]")
    text = """
scenario: {id: T, title: t, packs: [baseline], start: "2025-03-01 09:00"}
step:
  - note: nothing
"""
    assert parse_story(text.encode(), yaml=True) == parse_story((HEAD + STEP).encode())
    with pytest.raises(InvalidInputError, match=r"not YAML: .*line"):
        parse_story(b"scenario: [\n", yaml=True)


NOON = parse_instant("2025-03-01T12:00:00+08:00")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-03-09 10:00", "2025-03-09T10:00:00+08:00"),
        ("2025-03-09", "2025-03-09T00:00:00+08:00"),
        ("2025-03-09T10:00:30Z", "2025-03-09T10:00:30Z"),
        ("+3d 09:00", "2025-03-04T09:00:00+08:00"),
    ],
)
def test_moments(text, expected):
    assert moment(text, NOON, "Asia/Shanghai", "here") == parse_instant(expected)


def test_offsets():
    assert moment("+1d", NOON, "Asia/Shanghai", "here") == Instant(NOON + DAY)
    assert moment("+2h 5m", NOON, "Asia/Shanghai", "here") == Instant(NOON + 2 * HOUR + 5 * MINUTE)
    assert moment("+90m", NOON, "Asia/Shanghai", "here") == Instant(NOON + 90 * MINUTE)
    assert local(NOON, "Asia/Shanghai") == "2025-03-01 12:00"


@pytest.mark.parametrize("text", ["", "+", "soon", "2025-3-9", "2025-03-09 25:00", "+3d 24:30"])
def test_no_moment(text):
    with pytest.raises(InvalidInputError, match="here"):
        moment(text, NOON, "Asia/Shanghai", "here")


def test_an_hour_that_the_clocks_leave_out():
    with pytest.raises(InvalidInputError, match="leave this hour out"):
        moment("2025-03-30 02:30", NOON, "Europe/Berlin", "here")
