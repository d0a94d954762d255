"""Kind `suppression`: a stop in scope refuses, whomever it binds, from its commit until its end."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, Known, StopFact
from carelink.consent.reasons import ReasonCode
from carelink.model.moment import DAY
from carelink.model.scope import PROMOTIONAL, Scope
from carelink.testing.strategies import NOW
from carelink.vocabulary import ChannelKind, Effect, Purpose, StopSource


def stop(scope=None, *, binds="subject", source=StopSource.STAFF, since=NOW - DAY, until=None, ref=9):
    return StopFact(
        ref=f"{ref:032x}", binds=binds, scope=scope or Scope(("*",)), source=source, since=since, until=until
    )


def test_none(judge, good):
    assert judge("suppression", good()).effect is Effect.PERMIT


@pytest.mark.parametrize("binds", ["subject", "recipient", "address"])
def test_a_stop_refuses_whatever_it_binds(judge, good, binds):
    verdict = judge("suppression", good(stops=Known((stop(binds=binds),))))
    assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.SUPPRESSED)
    assert verdict.detail == (("stops", 1),)


@pytest.mark.parametrize(
    ("scope", "purpose", "kind", "stopped"),
    [
        (Scope(("marketing",), ("sms",)), Purpose.MARKETING_EVENT, ChannelKind.SMS, True),
        (Scope(("marketing",), ("sms",)), Purpose.MARKETING_EVENT, ChannelKind.EMAIL, False),
        (Scope(("marketing",)), Purpose.CARE_APPOINTMENT, ChannelKind.SMS, False),
        (Scope(("care.medication",)), Purpose.CARE_MEDICATION, ChannelKind.SMS, True),
        (Scope(("care.medication",)), Purpose.CARE_APPOINTMENT, ChannelKind.SMS, False),
        (Scope(PROMOTIONAL), Purpose.EDUCATION_HEALTH, ChannelKind.CHAT, True),
        (Scope(PROMOTIONAL), Purpose.SYSTEM_CONSENT_REQUEST, ChannelKind.CHAT, True),
        (Scope(PROMOTIONAL), Purpose.SYSTEM_OPTOUT_CONFIRM, ChannelKind.CHAT, False),
        (Scope(("*",), ("*",)), Purpose.CARE_RECALL_SAFETY, ChannelKind.EMAIL, True),
    ],
)
def test_scope_is_exact(judge, good, scope, purpose, kind, stopped):
    facts = good(purpose=purpose, channel_kind=kind, stops=Known((stop(scope),)))
    assert (judge("suppression", facts).effect is Effect.REFUSE) is stopped


@pytest.mark.parametrize("source", StopSource)
def test_who_said_stop(judge, good, source):
    said = source in {StopSource.REPLY, StopSource.UNSUBSCRIBE, StopSource.COMPLAINT, StopSource.PROVIDER}
    verdict = judge("suppression", good(stops=Known((stop(source=source),))))
    assert verdict.reason is (ReasonCode.OPTED_OUT if said else ReasonCode.SUPPRESSED)


def test_one_who_said_stop_among_others(judge, good):
    both = (stop(), stop(source=StopSource.REPLY, ref=10))
    verdict = judge("suppression", good(stops=Known(both)))
    assert verdict.reason is ReasonCode.OPTED_OUT
    assert verdict.detail == (("stops", 2),)


def test_a_stop_recorded_by_a_clock_ahead_binds_already(judge, good):
    assert judge("suppression", good(stops=Known((stop(since=NOW + 1),)))).effect is Effect.REFUSE


def test_a_temporary_stop_ends_at_its_end(judge, good):
    verdict = judge("suppression", good(stops=Known((stop(until=NOW + 1),))))
    assert (verdict.effect, verdict.earliest) == (Effect.REFUSE, NOW + 1)
    assert judge("suppression", good(stops=Known((stop(until=NOW),)))).effect is Effect.PERMIT


def test_the_last_end_counts_and_a_lasting_stop_has_none(judge, good):
    ends = (stop(until=NOW + 5), stop(until=NOW + 9, ref=10), stop(until=NOW + 7, ref=11))
    assert judge("suppression", good(stops=Known(ends))).earliest == NOW + 9
    assert judge("suppression", good(stops=Known((*ends, stop(ref=12))))).earliest is None


def test_unknown(judge, good):
    assert judge("suppression", good(stops=Absent.UNKNOWN)).reason is ReasonCode.FACT_UNKNOWN
    assert judge("suppression", good(stops=Absent.STALE)).reason is ReasonCode.FACT_STALE
