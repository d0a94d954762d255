"""Facts: each of them may be absent, and `absences` names every one that is."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import Absent, Facts, Known, absences
from carelink.testing.strategies import good_facts

PLAIN = {"at", "ask", "subject", "recipient", "role", "address"}
NAMES = [field.name for field in attrs.fields(Facts) if field.name not in PLAIN]


def test_good_facts_lack_nothing():
    assert absences(good_facts()) == ()


def test_there_are_sixteen_facts_that_may_be_absent():
    assert len(NAMES) == 16
    assert all(isinstance(getattr(good_facts(), name), Known) for name in NAMES)


@pytest.mark.parametrize("absent", Absent)
@pytest.mark.parametrize("name", NAMES)
def test_an_absent_fact_is_named(name, absent):
    assert absences(attrs.evolve(good_facts(), **{name: absent})) == ((name, absent),)


def test_absences_come_in_the_order_of_the_facts():
    facts = attrs.evolve(good_facts(), **dict.fromkeys(NAMES, Absent.STALE))
    assert [name for name, _ in absences(facts)] == NAMES
