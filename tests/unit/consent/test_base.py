"""Parameters of rules are read strictly: what is missing, surplus or malformed is an error that names rule and key."""

from __future__ import annotations

from datetime import time

import pytest

from carelink.consent.facts import Absent, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import MAX_LENGTH, MAX_NUMBER, Params, absent, defer, permit, refuse
from carelink.errors import PolicyError
from carelink.model.moment import DAY, HOUR
from carelink.vocabulary import Effect

KEYS = {"key", "other"}


def params(**values):
    return Params("T.RULE", values, KEYS)


def test_a_surplus_key_is_refused_by_name():
    with pytest.raises(PolicyError, match=r"T\.RULE.*params\.surplus"):
        params(surplus=1)


def test_numbers():
    assert params(key=0).number("key") == 0
    assert params(key=MAX_NUMBER).number("key") == MAX_NUMBER == 1_000_000
    assert params().number("key", 7) == 7
    assert params(key=1).number("key", 7) == 1


@pytest.mark.parametrize("value", [-1, MAX_NUMBER + 1, True, False, 1.0, "1", None, [1]])
def test_what_is_no_number(value):
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(key=value).number("key")


def test_a_number_without_default_is_needed():
    with pytest.raises(PolicyError, match=r"T\.RULE.*params\.key"):
        params(other=1).number("key")


@pytest.mark.parametrize("default", [True, False])
def test_flags(default):
    assert params().flag("key", default=default) is default
    assert params(key=True).flag("key", default=default) is True
    assert params(key=False).flag("key", default=default) is False


@pytest.mark.parametrize("value", [0, 1, "true", None, []])
def test_what_is_no_flag(value):
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(key=value).flag("key", default=True)


def test_words():
    assert params(key="a").word("key", ("a", "b")) == "a"
    assert params().word("key", ("a", "b"), "b") == "b"
    assert params(key=["a", "b"]).words("key", ["a", "b"], ()) == ("a", "b")
    assert params().words("key", ["a"], ("x",)) == ("x",)
    # Whatever yields the words: it is looked at more than once.
    assert params(key=["b", "a"]).words("key", iter("ab"), ()) == ("b", "a")


@pytest.mark.parametrize("value", ["c", "", 1, ["a"]])
def test_what_is_no_word(value):
    with pytest.raises(PolicyError, match=r"params\.key.* a, b"):
        params(key=value).word("key", ("a", "b"))


def test_a_word_without_default_is_needed():
    with pytest.raises(PolicyError, match=r"params\.key"):
        params().word("key", ("a", "b"))


@pytest.mark.parametrize("value", ["a", [], ["c"], ["a", "c"], [1], [["a"]], [{}], {"a": 1}, 1])
def test_what_is_no_list_of_words(value):
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(key=value).words("key", ["a", "b"], ())


def test_codes():
    assert params(key=["adv_label", "B-2"]).codes("key") == ("adv_label", "B-2")
    assert params(key="CN").codes("key", one=True) == ("CN",)
    assert params().codes("key") == ()


@pytest.mark.parametrize("value", ["a", [], ["a", "a"], ["a", 1], ["a", "1a"], ["a", "b c"], [1], ["x" * 33], 1])
def test_what_is_no_list_of_codes(value):
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(key=value).codes("key")


@pytest.mark.parametrize("value", [["a"], "", "a b", 1, "x" * 33])
def test_what_is_no_code(value):
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(key=value).codes("key", one=True)


def test_lengths():
    assert params(key="PT1H").length("key") == HOUR
    assert params(key="P3660D").length("key") == MAX_LENGTH == 3660 * DAY
    assert params(key="PT1S").length("key") == 1_000_000
    assert params().length_if_any("key") is None
    assert params(key="P1D").length_if_any("key") == DAY


@pytest.mark.parametrize("value", ["PT0S", "P3661D", "P3660DT1S", "P1M", "30 days", "", 1, None, ["P1D"]])
def test_what_is_no_length(value):
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(key=value).length("key")
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(key=value).length_if_any("key")


def test_a_length_is_needed():
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(other="P1D").length("key")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("00:00", 0), ("08:00", 28_800), ("21:30", 77_400), ("23:59", 86_340), (time(8, 5), 29_100), (time(0, 0), 0)],
)
def test_clocks(value, seconds):
    assert params(key=value).clock("key") == seconds


@pytest.mark.parametrize(
    "value",
    [
        "24:00",
        "8:00",
        "08",
        "0800",
        "T08:00",
        "08:00:00",
        "08:60",
        "08:00Z",
        "٠٨:٠٠",
        time(8, 0, 30),
        time(8, 0, 0, 1),
        "",
        None,
        8,
        ["08:00"],
    ],
)
def test_what_is_no_clock(value):
    # Not what this version of Python happens to take for a time: a pack reads the same everywhere.
    with pytest.raises(PolicyError, match=r"params\.key"):
        params(key=value).clock("key")


def test_an_error_never_leaks_through_a_context():
    with pytest.raises(PolicyError) as caught:
        params(key="P1M").length("key")
    assert caught.value.__context__ is None
    assert "docs/reference/pack.md" in caught.value.hint


def test_what_rules_say():
    assert permit("R").effect is Effect.PERMIT
    assert permit("R").reason is None
    no = refuse("R", ReasonCode.CAP_EXCEEDED, earliest=5, max=1, count=2)
    assert (no.effect, no.earliest, no.detail) == (Effect.REFUSE, 5, (("count", 2), ("max", 1)))
    later = defer("R", ReasonCode.QUIET_HOURS, b=1, a=2)
    assert (later.effect, later.earliest, later.detail) == (Effect.DEFER, None, (("a", 2), ("b", 1)))


def test_an_absent_fact_refuses():
    assert absent("R", Known(None)) is None
    assert absent("R", Absent.UNKNOWN).reason is ReasonCode.FACT_UNKNOWN
    assert absent("R", Absent.UNKNOWN, ReasonCode.AGE_UNKNOWN).reason is ReasonCode.AGE_UNKNOWN
    assert absent("R", Absent.STALE, ReasonCode.AGE_UNKNOWN).reason is ReasonCode.FACT_STALE
    assert absent("R", Absent.STALE).effect is Effect.REFUSE
