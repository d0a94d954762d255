"""Facts: each of them may be absent, and `absences` names every one that is."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import (
    Absent,
    Ask,
    ChannelFact,
    ContactFact,
    ContentFact,
    Facts,
    GrantFact,
    Known,
    Touch,
    absences,
)
from carelink.model.scope import Scope
from carelink.testing.strategies import good_facts
from carelink.vocabulary import (
    ChannelKind,
    ContactStatus,
    ContentStatus,
    GrantMethod,
    GrantState,
    Purpose,
    RecipientRole,
)

PLAIN = {"at", "ask", "subject", "recipient", "role", "address"}
NAMES = [field.name for field in attrs.fields(Facts) if field.name not in PLAIN]


def test_good_facts_lack_nothing():
    assert absences(good_facts()) == ()


def test_there_are_twenty_facts_that_may_be_absent():
    assert len(NAMES) == 20
    assert all(isinstance(getattr(good_facts(), name), Known) for name in NAMES)


@pytest.mark.parametrize("absent", Absent)
@pytest.mark.parametrize("name", NAMES)
def test_an_absent_fact_is_named(name, absent):
    assert absences(attrs.evolve(good_facts(), **{name: absent})) == ((name, absent),)


def test_absences_come_in_the_order_of_the_facts():
    facts = attrs.evolve(good_facts(), **dict.fromkeys(NAMES, Absent.STALE))
    assert [name for name, _ in absences(facts)] == NAMES


def test_what_is_left_out_is_the_careful_value():
    ask = Ask(purpose=Purpose.CARE_CHRONIC, channel="x", channel_kind=ChannelKind.SMS, template="t", template_version=1)
    assert (ask.automated, ask.reply, ask.wait) == (False, False, False)
    assert (ask.disclosure, ask.not_before, ask.useless_after) == (None, None, None)
    assert ChannelFact(local=False, usable=True).allow_listed is False
    contact = ContactFact(status=ContactStatus.VALID)
    assert (contact.persons, contact.verified_at) == (1, None)
    grant = GrantFact(ref="a", scope=Scope(()), state=GrantState.GIVEN, by=RecipientRole.SELF, since=0)
    assert (grant.separate, grant.until, grant.ended_at, grant.notice) == (False, None, None, "")
    assert (grant.method, grant.age) == (GrantMethod.EXPLICIT, None)
    content = ContentFact(status=ContentStatus.APPROVED, purposes=(), channels=(), digest="", since=0)
    assert (content.approvals, content.until) == (0, None)
    assert (content.clinical, content.commercial, content.ethics, content.lapsed) == (0, 0, 0, 0)
    assert (content.number_until, content.data, content.provider) == (None, (), None)
    assert Touch(0, Purpose.CARE_CHRONIC, ChannelKind.SMS, "s").reply is False
