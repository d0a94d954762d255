"""What caps and gaps count: the right touches, of subject, recipient and address apart."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Known, Touch, TouchHistory
from carelink.consent.rules import KINDS
from carelink.errors import PolicyError
from carelink.model.moment import DAY
from carelink.testing.strategies import NOW
from carelink.vocabulary import ChannelKind, Effect, Purpose

SMS, EMAIL = ChannelKind.SMS, ChannelKind.EMAIL
CARE, NEWS, SHOP = Purpose.CARE_APPOINTMENT, Purpose.EDUCATION_HEALTH, Purpose.MARKETING_EVENT


def counts(good, touches, **params):
    """Whether one touch of these fills a cap of one, and starts a gap."""
    purposes = params.pop("of", ("*",))
    facts = good(touches=Known(TouchHistory(since=0, items=tuple(touches))))
    cap = KINDS[("frequency_cap", 1)]("T.CAP", {"max": 1, "window": "P1D", **params}, purposes).judge(facts)
    gap = KINDS[("minimum_gap", 1)]("T.GAP", {"gap": "P1D", **params}, purposes).judge(facts)
    assert cap.effect is gap.effect
    return cap.effect is Effect.REFUSE


def touch(purpose=CARE, kind=EMAIL, binds="sra", at=NOW - 1, *, reply=False):
    return Touch(at, purpose, kind, binds, reply)


@pytest.mark.parametrize(
    ("which", "binds"),
    [
        ("person", {"s", "r", "sr", "sa", "ra", "sra"}),
        ("address", {"a", "sa", "ra", "sra"}),
        ("both", {"s", "r", "a", "sr", "sa", "ra", "sra"}),
        (None, {"s", "r", "a", "sr", "sa", "ra", "sra"}),
    ],
)
def test_whom_a_touch_counts_against(good, which, binds):
    params = {} if which is None else {"counts": which}
    for letters in ("s", "r", "a", "sr", "sa", "ra", "sra"):
        assert counts(good, [touch(binds=letters)], **params) is (letters in binds)


def test_each_is_counted_apart(good, judge):
    # One touch each of subject, recipient and address are not three of anybody.
    apart = (touch(binds="s"), touch(binds="r"), touch(binds="a"))
    facts = good(touches=Known(TouchHistory(since=0, items=apart)))
    assert judge("frequency_cap", facts, max=2, window="P1D").effect is Effect.PERMIT
    assert judge("frequency_cap", facts, max=1, window="P1D").detail == (("count", 1), ("max", 1))
    more = Known(TouchHistory(since=0, items=(*apart, touch(binds="ra"))))
    assert judge("frequency_cap", good(touches=more), max=2, window="P1D").detail == (("count", 2), ("max", 2))


def test_purposes(good):
    assert counts(good, [touch(CARE)], purposes=["care"])
    assert counts(good, [touch(CARE)], purposes=["care.appointment"])
    assert not counts(good, [touch(NEWS)], purposes=["care"])
    assert not counts(good, [touch(NEWS)], of=("care",))
    assert counts(good, [touch(CARE)], of=("care",))
    # What the rule counts need not be what it speaks of.
    assert counts(good, [touch(NEWS)], purposes=["education"], of=("care",))
    assert not counts(good, [touch(CARE)], purposes=["*"], except_purposes=["care"])
    assert counts(good, [touch(NEWS)], purposes=["*"], except_purposes=["care"])


def test_channels(good):
    assert counts(good, [touch(kind=SMS)])
    assert counts(good, [touch(kind=SMS)], channels=["sms"])
    assert not counts(good, [touch(kind=SMS)], channels=["email"])
    assert counts(good, [touch(kind=SMS)], channels=["email", "*"])


def test_replies_neither_count_nor_are_held_back(good):
    assert not counts(good, [touch(reply=True)])
    assert counts(good, [touch(reply=True)], replies=True)
    full = [touch()]

    def asked(reply, **params):
        def make(**changes):
            return good(reply=reply, **changes)

        return counts(make, full, **params)

    assert not asked(reply=True)
    assert asked(reply=True, replies=True)
    assert asked(reply=False)


def test_a_touch_later_than_now_counts(good):
    assert counts(good, [touch(at=NOW + 30 * DAY)])


@pytest.mark.parametrize(
    "params",
    [
        {"counts": "everyone"},
        {"purposes": ["care.nothing"]},
        {"purposes": []},
        {"except_purposes": ["x"]},
        {"channels": ["pigeon"]},
        {"replies": "no"},
        {"also": 1},
    ],
)
def test_parameters(good, params):
    with pytest.raises(PolicyError, match=rf"params\.{next(iter(params))}"):
        counts(good, [], **params)
