"""Kind `grant`: a grant that fits and is in force, or the most telling reason why not."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, GrantFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.model.moment import DAY
from carelink.model.scope import Scope
from carelink.testing.strategies import NOW
from carelink.vocabulary import ChannelKind, Effect, GrantState, Purpose, RecipientRole

GIVEN, WITHDRAWN, REVOKED, EXPIRED = GrantState


def grant(**changes):
    plain = {
        "ref": "a" * 32,
        "scope": Scope(("care",), ("email",)),
        "state": GIVEN,
        "by": RecipientRole.SELF,
        "since": NOW - DAY,
    }
    return GrantFact(**{**plain, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"since": NOW}, None),
        ({"since": NOW + 1}, ReasonCode.CONSENT_NOT_YET_VALID),
        ({"until": NOW + 1}, None),
        ({"until": NOW}, ReasonCode.CONSENT_EXPIRED),
        ({"ended_at": NOW + 1}, None),
        ({"ended_at": NOW}, ReasonCode.WITHDRAWN),
        ({"ended_at": NOW - 1, "until": NOW}, ReasonCode.WITHDRAWN),
        ({"state": WITHDRAWN}, ReasonCode.WITHDRAWN),
        ({"state": WITHDRAWN, "ended_at": NOW + DAY}, ReasonCode.WITHDRAWN),
        ({"state": REVOKED, "ended_at": NOW - 1}, ReasonCode.WITHDRAWN),
        ({"state": EXPIRED, "ended_at": NOW - 1}, ReasonCode.CONSENT_EXPIRED),
        ({"state": EXPIRED, "since": NOW + 1}, ReasonCode.CONSENT_EXPIRED),
        ({"since": NOW + 2, "until": NOW + 2}, ReasonCode.CONSENT_EXPIRED),
        ({"since": NOW + 2, "ended_at": NOW + 1}, ReasonCode.CONSENT_EXPIRED),
    ],
)
def test_one_grant(judge, good, changes, reason):
    verdict = judge("grant", good(grants=Known((grant(**changes),))))
    assert verdict.reason is reason
    assert verdict.effect is (Effect.PERMIT if reason is None else Effect.REFUSE)
    assert verdict.earliest == (NOW + 1 if reason is ReasonCode.CONSENT_NOT_YET_VALID else None)


def test_no_grant_at_all(judge, good):
    assert judge("grant", good(grants=Known(()))).reason is ReasonCode.NO_CONSENT


@pytest.mark.parametrize(
    ("scope", "params"),
    [
        (Scope(("education",), ("email",)), {}),
        (Scope(("care",), ("sms",)), {}),
        (Scope(("care.medication",), ("email",)), {}),
        (Scope(("care",), ("email",)), {"separate": True}),
        (Scope(("care",), ("email",)), {"by": ["guardian"]}),
    ],
)
def test_a_grant_for_something_else_is_no_consent(judge, good, scope, params):
    # Scenarios 1, 2, 3, 5, 6 and 11 of the domain catalogue: consent to something else is no consent to this.
    for state in GrantState:
        facts = good(grants=Known((grant(scope=scope, state=state),)))
        assert judge("grant", facts, **params).reason is ReasonCode.NO_CONSENT


def test_family_exact_and_channel(judge, good):
    for scope in (Scope(("care",)), Scope(("care.appointment",), ("email", "sms"))):
        assert judge("grant", good(grants=Known((grant(scope=scope),)))).effect is Effect.PERMIT
    facts = good(purpose=Purpose.MARKETING_EVENT, channel_kind=ChannelKind.SMS, grants=Known((grant(),)))
    assert judge("grant", facts).reason is ReasonCode.NO_CONSENT


def test_separate_and_by(judge, good):
    facts = good(grants=Known((grant(separate=True, by=RecipientRole.GUARDIAN),)))
    assert judge("grant", facts, separate=True, by=["guardian"]).effect is Effect.PERMIT
    assert judge("grant", facts, by=["guardian", "self"]).effect is Effect.PERMIT
    assert judge("grant", facts, by=["self", "related"]).reason is ReasonCode.NO_CONSENT
    assert judge("grant", facts).effect is Effect.PERMIT
    with pytest.raises(PolicyError, match=r"params\.by"):
        judge("grant", facts, by=["nurse"])
    with pytest.raises(PolicyError, match=r"params\.exact"):
        judge("grant", facts, exact=True)


def test_a_new_grant_beside_a_withdrawn_one_carries(judge, good):
    both = Known((grant(state=WITHDRAWN), grant(ref="b" * 32)))
    assert judge("grant", good(grants=both)).effect is Effect.PERMIT


def test_the_soonest_beginning_is_named(judge, good):
    later = [grant(ref=f"{n:032x}", since=NOW + n) for n in (7, 3, 5)]
    never = grant(ref="c" * 32, since=NOW + 1, ended_at=NOW + 1)
    verdict = judge("grant", good(grants=Known((*later, never, grant(ref="d" * 32, state=WITHDRAWN)))))
    assert (verdict.reason, verdict.earliest) == (ReasonCode.CONSENT_NOT_YET_VALID, NOW + 3)


def test_withdrawn_outranks_expired(judge, good):
    both = Known((grant(until=NOW), grant(ref="b" * 32, state=WITHDRAWN)))
    assert judge("grant", good(grants=both)).reason is ReasonCode.WITHDRAWN


def test_unknown(judge, good):
    assert judge("grant", good(grants=Absent.UNKNOWN)).reason is ReasonCode.FACT_UNKNOWN
    assert judge("grant", good(grants=Absent.STALE)).reason is ReasonCode.FACT_STALE
