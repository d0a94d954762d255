"""Kind `contact`: an address that is there, usable, and verified recently enough."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, ContactFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.model.moment import DAY
from carelink.testing.strategies import NOW
from carelink.vocabulary import ContactStatus, Effect


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ContactStatus.VALID, None),
        (ContactStatus.UNVERIFIED, None),
        (ContactStatus.INVALID, ReasonCode.CONTACT_INVALID),
        (ContactStatus.RECYCLED, ReasonCode.CONTACT_INVALID),
    ],
)
def test_statuses(judge, good, status, reason):
    verdict = judge("contact", good(contact=Known(ContactFact(status=status))))
    assert verdict.reason is reason
    assert verdict.effect is (Effect.PERMIT if reason is None else Effect.REFUSE)


def test_a_pack_may_want_verified_addresses_only(judge, good):
    unverified = good(contact=Known(ContactFact(status=ContactStatus.UNVERIFIED)))
    assert judge("contact", unverified, statuses=["valid"]).reason is ReasonCode.CONTACT_INVALID
    assert judge("contact", good(), statuses=["valid"]).effect is Effect.PERMIT
    with pytest.raises(PolicyError, match=r"params\.statuses"):
        judge("contact", good(), statuses=["splendid"])


def test_no_address(judge, good):
    assert judge("contact", good(address=None)).reason is ReasonCode.CONTACT_MISSING
    assert judge("contact", good(contact=Absent.UNKNOWN)).reason is ReasonCode.CONTACT_MISSING
    assert judge("contact", good(contact=Absent.STALE)).reason is ReasonCode.FACT_STALE


@pytest.mark.parametrize(
    ("verified", "passes"), [(NOW - DAY + 1, True), (NOW - DAY, False), (NOW, True), (None, False), (NOW + 1, True)]
)
def test_age_of_the_verification(judge, good, verified, passes):
    facts = good(contact=Known(ContactFact(status=ContactStatus.VALID, verified_at=verified)))
    verdict = judge("contact", facts, max_age="P1D")
    assert verdict.reason is (None if passes else ReasonCode.CONTACT_STALE)
    assert verdict.earliest is None
    assert judge("contact", facts).effect is Effect.PERMIT
