"""The kinds of rules about plans, ways of consent, processors, review, screening, data and calendars: each refuses what
it is for, passes the neighbouring case, and names the instant that would cure it.
"""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.facts import (
    Absent,
    CalendarFact,
    ChannelFact,
    ClinicianFact,
    Known,
    ScreeningFact,
    StopFact,
    Touch,
    TouchHistory,
    ZoneFact,
    ZoneFacts,
)
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules import KINDS
from carelink.errors import PolicyError
from carelink.model.moment import DAY, HOUR, Instant, parse_instant
from carelink.model.scope import Scope
from carelink.testing.strategies import NOW, good_facts
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    DataClass,
    Effect,
    GrantMethod,
    GrantState,
    ProviderState,
    Purpose,
    StopSource,
)

LISTS = "ef" * 32


def judge(kind, facts, **params):
    return KINDS[kind, 1].__call__("R", params).judge(facts)


def counting(kind, facts, **params):
    return KINDS[kind, 1]("R", params, ("care",)).judge(facts)


def with_content(**changes):
    facts = good_facts()
    return attrs.evolve(facts, content=Known(attrs.evolve(facts.content.value, **changes)))


def with_grant(**changes):
    facts = good_facts()
    return attrs.evolve(facts, grants=Known((attrs.evolve(facts.grants.value[0], **changes),)))


def touched(*touches, since=0, **asked):
    return attrs.evolve(good_facts(**asked), touches=Known(TouchHistory(since=Instant(since), items=touches)))


def touch(at, topic="", plan="", binds="sra"):
    return Touch(Instant(at), Purpose.CARE_APPOINTMENT, ChannelKind.EMAIL, binds, False, plan, topic)


def screened(*findings, marks=()):
    return attrs.evolve(good_facts(), screening=Known(ScreeningFact(lists=LISTS, findings=findings, marks=marks)))


# -- due, duplicate, caps of a plan ---------------------------------------------------------------------------------


def test_a_contact_is_due_within_its_window():
    assert judge("due", good_facts()).effect is Effect.PERMIT
    assert judge("due", good_facts(due_from=NOW, due_until=NOW + 1)).effect is Effect.PERMIT
    early = judge("due", good_facts(due_from=NOW + 5, due_until=NOW + 9))
    assert (early.reason, early.earliest) == (ReasonCode.NOT_DUE, NOW + 5)
    late = judge("due", good_facts(due_until=NOW))
    assert (late.reason, late.earliest) == (ReasonCode.NOT_DUE, None)
    assert judge("due", good_facts(due_from=NOW + 9, due_until=NOW + 9)).earliest is None


def test_the_same_topic_twice_is_a_duplicate_for_as_long_as_it_says():
    once = touched(touch(NOW - HOUR, "nurse-call"), topic="nurse-call")
    verdict = judge("duplicate", once, within="P1D")
    assert (verdict.reason, verdict.earliest) == (ReasonCode.DUPLICATE, NOW - HOUR + DAY)
    assert judge("duplicate", attrs.evolve(once, at=Instant(NOW - HOUR + DAY)), within="P1D").effect is Effect.PERMIT
    assert (
        judge("duplicate", touched(touch(NOW - HOUR, "day-one"), topic="nurse-call"), within="P1D").effect
        is Effect.PERMIT
    )
    assert judge("duplicate", touched(touch(NOW - HOUR)), within="P1D").effect is Effect.PERMIT
    another = touched(touch(NOW - HOUR, "nurse-call", binds="a"), topic="nurse-call")
    assert judge("duplicate", another, within="P1D").effect is Effect.PERMIT  # another patient on the same phone
    short = touched(since=NOW - HOUR, topic="nurse-call")
    assert judge("duplicate", short, within="P1D").reason is ReasonCode.FACT_UNKNOWN


@pytest.mark.parametrize(("plans", "count"), [("any", 5), ("same", 1), ("none", 2)])
def test_a_cap_counts_touches_of_the_plans_it_means(plans, count):
    kept = [touch(NOW - HOUR, plan=name) for name in ("walk-21", "recheck-year", "recheck-year", "", "")]
    facts = touched(*kept, plan="walk-21")
    assert counting("frequency_cap", facts, max=count, window="P1D", plans=plans).reason is ReasonCode.CAP_EXCEEDED
    assert counting("frequency_cap", facts, max=count + 1, window="P1D", plans=plans).effect is Effect.PERMIT


def test_a_gap_counts_touches_of_the_plans_it_means():
    facts = touched(touch(NOW - HOUR, plan="walk-21"), plan="recheck-year")
    assert counting("minimum_gap", facts, gap="P1D").reason is ReasonCode.GAP_TOO_SHORT
    assert counting("minimum_gap", facts, gap="P1D", plans="same").effect is Effect.PERMIT


# -- consent --------------------------------------------------------------------------------------------------------


def test_a_consent_that_was_bought_is_none():
    barred = {"not": ["incentivised", "bundled", "default"]}
    assert judge("consent_method", good_facts(), **barred).effect is Effect.PERMIT
    verdict = judge("consent_method", with_grant(method=GrantMethod.INCENTIVISED), **barred)
    assert verdict.reason is ReasonCode.CONSENT_INVALID
    assert judge("consent_method", with_grant(method=GrantMethod.IMPLIED), **barred).effect is Effect.PERMIT
    both = with_grant(method=GrantMethod.BUNDLED)
    free = attrs.evolve(both.grants.value[0], ref="5" * 32, method=GrantMethod.EXPLICIT)
    assert (
        judge("consent_method", attrs.evolve(both, grants=Known((*both.grants.value, free))), **barred).effect
        is Effect.PERMIT
    )
    over = with_grant(method=GrantMethod.BUNDLED, until=Instant(NOW + DAY))
    assert judge("consent_method", over, **barred).earliest == NOW + DAY  # then `grant` speaks
    assert judge("consent_method", attrs.evolve(good_facts(), grants=Known(())), **barred).effect is Effect.PERMIT


@pytest.mark.parametrize(
    ("given", "now", "age", "effect"),
    [
        (AgeBand.FROM_8, AgeBand.FROM_8, 14, Effect.PERMIT),
        (AgeBand.FROM_8, AgeBand.FROM_14, 14, Effect.REFUSE),
        (AgeBand.UNDER_8, AgeBand.ADULT, 14, Effect.REFUSE),
        (AgeBand.FROM_14, AgeBand.ADULT, 14, Effect.PERMIT),
        (AgeBand.FROM_14, AgeBand.ADULT, 18, Effect.REFUSE),
        (AgeBand.FROM_14, AgeBand.FROM_14, 18, Effect.PERMIT),
        (None, AgeBand.ADULT, 18, Effect.PERMIT),
    ],
)
def test_a_birthday_asks_for_confirmation(given, now, age, effect):
    verdict = judge("reconfirm", attrs.evolve(with_grant(age=given), age=Known(now)), age=age)
    assert verdict.effect is effect
    assert verdict.reason is (None if effect is Effect.PERMIT else ReasonCode.RECONFIRM_REQUIRED)
    assert judge("reconfirm", attrs.evolve(with_grant(), age=Absent.UNKNOWN), age=14).reason is ReasonCode.AGE_UNKNOWN


def test_who_said_no_is_not_asked_for_a_while():
    assert judge("ask_again", good_facts(), cool_down="P180D").effect is Effect.PERMIT
    taken = with_grant(state=GrantState.WITHDRAWN, ended_at=Instant(NOW - DAY))
    verdict = judge("ask_again", taken, cool_down="P180D")
    assert (verdict.reason, verdict.earliest) == (ReasonCode.ASKED_TOO_SOON, NOW + 179 * DAY)
    assert judge("ask_again", taken, cool_down="P1D").effect is Effect.PERMIT
    assert (
        judge("ask_again", with_grant(state=GrantState.EXPIRED, ended_at=Instant(NOW - DAY)), cool_down="P180D").effect
        is Effect.PERMIT
    )
    stop = StopFact(
        ref="7" * 32, binds="subject", scope=Scope(("marketing",)), source=StopSource.REPLY, since=Instant(NOW - DAY)
    )
    assert judge("ask_again", attrs.evolve(good_facts(), stops=Known((stop,))), cool_down="P2D").earliest == NOW + DAY
    staff = attrs.evolve(stop, source=StopSource.STAFF)
    assert (
        judge("ask_again", attrs.evolve(good_facts(), stops=Known((staff,))), cool_down="P2D").effect is Effect.PERMIT
    )


def test_a_grant_is_asked_for_only_where_such_data_are_read():
    none = attrs.evolve(good_facts(), grants=Known(()))
    assert judge("grant", none, if_data=["diagnosis"]).effect is Effect.PERMIT
    chosen = attrs.evolve(good_facts(data=(DataClass.DIAGNOSIS,)), grants=Known(()))
    assert judge("grant", chosen, if_data=["diagnosis"]).reason is ReasonCode.NO_CONSENT
    text = attrs.evolve(with_content(data=(DataClass.DIAGNOSIS,)), grants=Known(()))
    assert judge("grant", text, if_data=["diagnosis"]).reason is ReasonCode.NO_CONSENT
    assert judge("grant", attrs.evolve(none, content=Absent.UNKNOWN), if_data=["diagnosis"]).effect is Effect.REFUSE


# -- processors -----------------------------------------------------------------------------------------------------


def channel(**changes):
    return attrs.evolve(good_facts(), channel=Known(ChannelFact(**{"local": False, "usable": True, **changes})))


def test_a_provider_has_an_agreement_and_a_place():
    agreed = channel(region="CN", agreement_until=Instant(NOW + 1))
    assert judge("processor", agreed, regions=["CN"]).effect is Effect.PERMIT
    assert judge("processor", channel(region="CN", agreement_until=NOW)).reason is ReasonCode.PROCESSOR_DENIED
    assert judge("processor", channel(region="CN")).reason is ReasonCode.PROCESSOR_DENIED
    assert judge("processor", agreed, regions=["SG"]).reason is ReasonCode.REGION_DENIED
    assert judge("processor", channel(), regions=["CN"], agreement=False).reason is ReasonCode.REGION_DENIED
    assert judge("processor", channel(), agreement=False).effect is Effect.PERMIT
    assert judge("processor", good_facts(), regions=["CN"]).effect is Effect.PERMIT  # nothing leaves this machine


# -- content --------------------------------------------------------------------------------------------------------


def test_a_review_needs_people_with_credentials():
    assert judge("review", with_content(clinical=3), clinical=3).effect is Effect.PERMIT
    assert judge("review", with_content(clinical=2), clinical=3).reason is ReasonCode.CONTENT_UNREVIEWED
    assert judge("review", with_content(clinical=2, lapsed=1), clinical=3).reason is ReasonCode.CREDENTIAL_INVALID
    assert judge("review", with_content(clinical=1, lapsed=1), clinical=3).reason is ReasonCode.CONTENT_UNREVIEWED
    assert judge("review", with_content(clinical=3), clinical=3, commercial=1).reason is ReasonCode.CONTENT_UNREVIEWED
    assert judge("review", with_content(ethics=1), ethics=1).effect is Effect.PERMIT
    with pytest.raises(PolicyError):
        judge("review", good_facts())


def test_an_approval_number_is_valid_until_its_day():
    assert judge("approval_number", with_content(number_until=Instant(NOW + 1))).effect is Effect.PERMIT
    assert judge("approval_number", with_content(number_until=NOW)).reason is ReasonCode.APPROVAL_NUMBER_MISSING
    assert judge("approval_number", good_facts()).reason is ReasonCode.APPROVAL_NUMBER_MISSING
    gone = attrs.evolve(good_facts(), content=Absent.UNKNOWN)
    assert judge("approval_number", gone).effect is Effect.REFUSE


@pytest.mark.parametrize(
    ("state", "required", "effect"),
    [
        (ProviderState.APPROVED, True, Effect.PERMIT),
        (ProviderState.PENDING, True, Effect.REFUSE),
        (ProviderState.REJECTED, False, Effect.REFUSE),
        (None, True, Effect.REFUSE),
        (None, False, Effect.PERMIT),
    ],
)
def test_a_provider_has_approved_the_template(state, required, effect):
    verdict = judge("provider_template", with_content(provider=state), required=required)
    assert (verdict.effect, verdict.reason is ReasonCode.PROVIDER_TEMPLATE_MISSING) == (effect, effect is Effect.REFUSE)
    if required:  # so it is unless the pack says otherwise
        assert judge("provider_template", with_content(provider=state)) == verdict


@pytest.mark.parametrize(
    ("findings", "params", "effect", "reason"),
    [
        ((), {}, Effect.PERMIT, None),
        ((("absolute", "refuse"),), {}, Effect.REFUSE, ReasonCode.CLAIM_PROHIBITED),
        ((("absolute", "annotate"),), {}, Effect.PERMIT, None),
        ((("absolute", "hold"),), {}, Effect.DEFER, ReasonCode.CONTENT_HELD),
        ((("absolute", "hold"), ("pressure", "refuse")), {}, Effect.REFUSE, ReasonCode.PRESSURE_PROMO),
        ((("incentive", "refuse"), ("pressure", "refuse")), {}, Effect.REFUSE, ReasonCode.PRESSURE_PROMO),
        ((("link", "refuse"),), {}, Effect.REFUSE, ReasonCode.MIXED_PURPOSE),
        ((("sensitive", "refuse"),), {"hold": ["sensitive"]}, Effect.DEFER, ReasonCode.CONTENT_HELD),
        ((("sensitive", "annotate"),), {"refuse": ["sensitive"]}, Effect.REFUSE, ReasonCode.SENSITIVE_CONTENT),
        ((("sensitive", "refuse"),), {"categories": ["absolute"]}, Effect.PERMIT, None),
        ((("clinical_advice", "refuse"),), {}, Effect.REFUSE, ReasonCode.CLINICIAN_REQUIRED),
        ((("incentive", "refuse"),), {}, Effect.REFUSE, ReasonCode.INCENTIVE_PROHIBITED),
        ((("obfuscation", "refuse"),), {}, Effect.REFUSE, ReasonCode.CONTENT_OBFUSCATED),
        ((("others_events", "refuse"),), {}, Effect.REFUSE, ReasonCode.DISCLOSURE_DENIED),
        ((("structure", "refuse"),), {}, Effect.REFUSE, ReasonCode.MARK_MISSING),
        ((("absolute", "something new"),), {}, Effect.REFUSE, ReasonCode.CLAIM_PROHIBITED),
    ],
)
def test_the_worst_finding_speaks(findings, params, effect, reason):
    verdict = judge("screening", screened(*findings), **params)
    assert (verdict.effect, verdict.reason) == (effect, reason)


def test_a_text_nobody_screened_is_held():
    assert judge("screening", good_facts()).reason is ReasonCode.CONTENT_HELD
    assert judge("screening", good_facts(), required=False).effect is Effect.PERMIT
    assert judge("screening", attrs.evolve(good_facts(), screening=Absent.UNKNOWN)).effect is Effect.REFUSE


def test_every_mark_must_be_there():
    assert judge("marks", screened(marks=("identity", "opt_out")), marks=["opt_out"]).effect is Effect.PERMIT
    verdict = judge("marks", screened(marks=("identity",)), marks=["identity", "opt_out"])
    assert (verdict.reason, dict(verdict.detail)) == (ReasonCode.MARK_MISSING, {"missing": 1})
    assert judge("marks", good_facts(), marks=["identity"]).reason is ReasonCode.MARK_MISSING


def test_advice_has_a_clinician_behind_it():
    advice = (("clinical_advice", "annotate"),)
    named = {"clinician": "9" * 32}
    valid = Known(ClinicianFact(since=Instant(0)))

    def facts(findings=advice, credential=valid, **asked):
        return attrs.evolve(
            good_facts(**asked), screening=Known(ScreeningFact(lists=LISTS, findings=findings)), clinician=credential
        )

    assert judge("clinician", facts(**named)).effect is Effect.PERMIT
    assert judge("clinician", facts()).reason is ReasonCode.CLINICIAN_REQUIRED
    assert judge("clinician", facts(credential=Known(None), **named)).reason is ReasonCode.CLINICIAN_REQUIRED
    assert judge("clinician", facts(findings=(), credential=Known(None))).effect is Effect.PERMIT
    assert (
        judge("clinician", facts(findings=(), credential=Known(None)), always=True).reason
        is ReasonCode.CLINICIAN_REQUIRED
    )
    lapsed = facts(credential=Known(ClinicianFact(since=Instant(0), until=NOW)), **named)
    assert judge("clinician", lapsed).reason is ReasonCode.CREDENTIAL_INVALID
    soon = facts(credential=Known(ClinicianFact(since=Instant(NOW + 5))), **named)
    verdict = judge("clinician", soon)
    assert (verdict.reason, verdict.earliest) == (ReasonCode.CREDENTIAL_INVALID, NOW + 5)
    assert judge("clinician", facts(credential=Known(ClinicianFact(since=NOW)), **named)).effect is Effect.PERMIT


def test_only_the_data_a_purpose_allows_are_read():
    assert (
        judge("data_purpose", good_facts(data=(DataClass.APPOINTMENT,)), allowed=["appointment"]).effect
        is Effect.PERMIT
    )
    verdict = judge("data_purpose", good_facts(data=(DataClass.VALUE_TIER,)), allowed=["appointment"])
    assert verdict.reason is ReasonCode.PURPOSE_MISMATCH
    assert (
        judge("data_purpose", with_content(data=(DataClass.DIAGNOSIS,)), allowed=["appointment"]).effect
        is Effect.REFUSE
    )


# -- calendars ------------------------------------------------------------------------------------------------------


def on_days(at, days, *zones, first=None, until=40):
    """A decision at a text instant, with a calendar from its UTC day on, in zones of fixed offsets (hours)."""
    now = parse_instant(at)
    begin = now // DAY
    candidates = tuple(ZoneFact(((Instant(0), hours * 3600),)) for hours in zones or (8,))
    return attrs.evolve(
        good_facts(now),
        zones=Known(ZoneFacts(source="patient", until=Instant((begin + until) * DAY), data="t", candidates=candidates)),
        calendars=Known((CalendarFact(id="CN", first=begin if first is None else first, days=days, data="t"),)),
    )


def test_a_rest_day_waits_for_local_midnight_of_the_next_working_day():
    assert judge("working_days", on_days("2026-10-01T02:00:00Z", "w"), calendar="CN").effect is Effect.PERMIT
    rest = judge("working_days", on_days("2026-10-01T02:00:00Z", "rrrw"), calendar="CN")
    assert (rest.effect, rest.reason) == (Effect.DEFER, ReasonCode.NOT_A_WORKING_DAY)
    assert rest.earliest == parse_instant("2026-10-03T16:00:00Z")
    # 17:00 UTC is the next day in Shanghai
    assert judge("working_days", on_days("2026-10-01T17:00:00Z", "wr"), calendar="CN").effect is not Effect.PERMIT


def test_a_working_day_must_be_one_in_every_zone():
    facts = on_days("2026-10-01T20:00:00Z", "rw", 8, -5)  # Friday in Shanghai, Thursday in New York
    verdict = judge("working_days", facts, calendar="CN")
    assert verdict.earliest == parse_instant("2026-10-02T05:00:00Z")


def test_where_the_calendar_ends_it_cannot_be_told():
    assert (
        judge("working_days", on_days("2026-10-01T17:00:00Z", "w"), calendar="CN").reason is ReasonCode.CALENDAR_UNKNOWN
    )
    assert (
        judge("working_days", on_days("2026-10-01T02:00:00Z", "w"), calendar="US").reason is ReasonCode.CALENDAR_UNKNOWN
    )
    absent = attrs.evolve(on_days("2026-10-01T02:00:00Z", "w"), calendars=Absent.UNKNOWN)
    assert judge("working_days", absent, calendar="CN").reason is ReasonCode.CALENDAR_UNKNOWN
    ends = judge("working_days", on_days("2026-10-01T02:00:00Z", "rr"), calendar="CN")
    assert (ends.reason, ends.earliest) == (ReasonCode.NOT_A_WORKING_DAY, None)


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("duplicate", {}),
        ("consent_method", {}),
        ("consent_method", {"not": ["bought"]}),
        ("reconfirm", {"age": 16}),
        ("ask_again", {"cool_down": "180 days"}),
        ("processor", {"regions": []}),
        ("processor", {"regions": "CN"}),
        ("marks", {}),
        ("marks", {"marks": ["a", "a"]}),
        ("screening", {"refuse": ["absolute"], "hold": ["absolute"]}),
        ("data_purpose", {"allowed": ["horoscope"]}),
        ("data_purpose", {}),
        ("working_days", {}),
        ("working_days", {"calendar": 7}),
        ("due", {"by": "noon"}),
        ("grant", {"if_data": ["horoscope"]}),
    ],
)
def test_a_malformed_parameter_is_an_error(kind, params):
    with pytest.raises(PolicyError):
        KINDS[kind, 1]("R", params)
