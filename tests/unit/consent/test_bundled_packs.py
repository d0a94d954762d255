"""The packs that ship: every rule says whose it is, whence it comes and how sure we are; their bytes are frozen."""

from __future__ import annotations

import re
from datetime import date

import attrs
import pytest

from carelink.consent.decide import decide
from carelink.consent.facts import Known, Touch, TouchHistory
from carelink.consent.policy import Policy
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules import KINDS
from carelink.model.moment import DAY, HOUR
from carelink.model.scope import covers_purpose
from carelink.packs.loader import DEFAULT_PACKS, bundled, bundled_bytes, default_policy, load_bundled
from carelink.testing.strategies import NOW
from carelink.vocabulary import AgeBand, Authority, Certainty, ChannelKind, Effect, Family, Purpose, RecipientRole

PREFIX = {"baseline": "BASE.", "cn": "CN.", "hospital-default": "HD."}
RULES = [pytest.param(load_bundled(name), rule, id=rule.id) for name in PREFIX for rule in load_bundled(name).rules]

FROZEN = {
    # Changing a pack changes decisions: give it a new version, say so under **decision** in CHANGELOG.md, then freeze.
    "baseline": ("2026.2", "9e74c30cf8b7a199e68197d18091524643bbc559b217202a218b5edb6b334f86"),
    "cn": ("2026.2", "b0e92586a912ea8e677583e8167b50e521fcfa915777dfa53271c307be6e88c3"),
    "hospital-default": ("2026.2", "b4e0c065c72451ed756dd9ad28c1844b94c573a54d3125b2de597ad42613a674"),
}
REASONS = (
    "RULE_FAILED RULE_UNKNOWN POLICY_MISSING POLICY_NOT_IN_FORCE FACT_UNKNOWN FACT_STALE STORE_RESTORED "
    "CLOCK_UNTRUSTED KEYS_UNAVAILABLE LOG_UNPUBLISHED MODE_SANDBOX MODE_TEAM CHANNEL_UNAVAILABLE PLUGIN_VETO "
    "SUBJECT_ERASED SUBJECT_DECEASED SUBJECT_MERGED RECIPIENT_UNAVAILABLE SUPPRESSED OPTED_OUT "
    "CONTACT_MISSING CONTACT_INVALID CONTACT_STALE AGE_UNKNOWN GUARDIAN_REQUIRED MINOR_EXCLUDED "
    "DISCLOSURE_DENIED PROCESSOR_DENIED REGION_DENIED NO_CONSENT WITHDRAWN CONSENT_EXPIRED "
    "CONSENT_NOT_YET_VALID CONSENT_INVALID RECONFIRM_REQUIRED THIRD_PARTY_NO_CONSENT ASKED_TOO_SOON "
    "PURPOSE_MISMATCH DATA_EXCEEDS_PURPOSE CONTENT_UNREVIEWED CONTENT_WITHDRAWN CONTENT_EXPIRED "
    "CREDENTIAL_INVALID CLINICIAN_REQUIRED APPROVAL_NUMBER_MISSING PROVIDER_TEMPLATE_MISSING "
    "CLAIM_PROHIBITED PRESSURE_PROMO INCENTIVE_PROHIBITED MIXED_PURPOSE SENSITIVE_CONTENT CONTENT_OBFUSCATED "
    "CONTENT_HELD MARK_MISSING CAP_EXCEEDED GAP_TOO_SHORT DUPLICATE NOT_DUE TOO_LATE TOO_EARLY ZONE_UNKNOWN "
    "QUIET_HOURS CALENDAR_UNKNOWN NOT_A_WORKING_DAY"
)


def test_what_init_adopts_and_no_other_is_looked_at_here():
    # The others have fixtures: tests/unit/packs.
    assert set(PREFIX) <= set(bundled())
    assert set(DEFAULT_PACKS) == set(PREFIX)


@pytest.mark.parametrize("name", PREFIX)
def test_digests_are_frozen(name):
    pack = load_bundled(name)
    assert (pack.version, pack.digest) == FROZEN[name]


@pytest.mark.parametrize("name", PREFIX)
def test_heads(name):
    pack = load_bundled(name)
    assert pack.id == name
    assert pack.title_en.isascii()
    assert re.search("[一-鿿]", pack.title_zh)
    assert pack.jurisdiction == ("CN" if name == "cn" else "*")
    assert bundled_bytes(name).endswith(b"\n")
    assert b"\r" not in bundled_bytes(name)


@pytest.mark.parametrize(("pack", "rule"), RULES)
def test_every_rule_names_whose_whence_and_how_sure(pack, rule):
    assert rule.id.startswith(PREFIX[pack.id])
    assert (rule.kind, rule.kind_version) in KINDS
    assert isinstance(rule.authority, Authority)
    assert isinstance(rule.certainty, Certainty)
    assert rule.sources
    assert re.search("[一-鿿]", rule.title_zh)
    assert rule.title_en.isascii()
    for source in rule.sources:
        assert source.article
        assert date.fromisoformat(source.version) <= date(2026, 11, 22)


@pytest.mark.parametrize(("pack", "rule"), RULES)
def test_law_stands_in_jurisdiction_packs_and_our_own_choices_are_marked(pack, rule):
    if pack.jurisdiction == "*":
        assert rule.authority is Authority.HOSPITAL
        assert rule.certainty is Certainty.INTERPRETATION
        assert all(source.instrument.startswith("carelink ") for source in rule.sources)
    if rule.authority is Authority.LAW:
        assert not any(source.instrument.startswith("carelink ") for source in rule.sources)
    if any(source.instrument.startswith("carelink ") for source in rule.sources):
        assert rule.certainty is Certainty.INTERPRETATION


def test_no_law_is_said_to_fix_caps_or_quiet_hours():
    # Compliance research 0.1: no Chinese law found does.
    assert not [rule.id for rule in load_bundled("cn").rules if rule.kind in {"quiet_hours", "frequency_cap"}]


def test_what_is_unverified_stays_marked():
    rules = {rule.id: rule for rule in load_bundled("cn").rules}
    assert rules["CN.CONS.24"].certainty is Certainty.SECONDARY
    for name in ("CN.DEATH", "CN.AGE.UNKNOWN", "CN.MIN.BIRTHDAY"):
        assert rules[name].certainty is Certainty.INTERPRETATION


def test_the_digest_of_the_default_policy_follows():
    assert default_policy().digest == Policy.from_bytes(bundled_bytes(name) for name in reversed(DEFAULT_PACKS)).digest


# -- figures of the purpose table (compliance research 7.2) ------------------------------------------------------------


CAPS = {
    "care.appointment": {(3, 1), (4, 1), (12, 7)},
    "care.treatment": {(3, 1), (4, 1), (12, 7)},
    "care.preparation": {(3, 1), (4, 1), (12, 7)},
    "care.result_ready": {(3, 1), (4, 1), (12, 7)},
    "care.medication": {(4, 1), (12, 7)},
    "care.postop_followup": {(2, 1), (4, 1), (12, 7)},
    "care.chronic": {(2, 1), (4, 1), (12, 7)},
    "care.recall_safety": set(),
    "public_health.notice": {(1, 1), (4, 1), (12, 7)},
    "education.health": {(4, 30), (4, 1), (12, 7)},
    "experience.survey": {(2, 30), (4, 1), (12, 7)},
    "marketing.service": {(1, 1), (2, 30), (4, 1), (12, 7)},
    "marketing.event": {(1, 1), (2, 30), (4, 1), (12, 7)},
    "referral.invitation": {(1, 90), (4, 1), (12, 7)},
    "research.recruitment": {(2, 365), (4, 1), (12, 7)},
    "admin.billing": {(2, 30), (4, 1), (12, 7)},
    "system.consent_request": {(1, 180), (4, 1), (12, 7)},
    "system.optout_confirm": set(),
    "system.breach_notice": set(),
    "system.rights": set(),
    "system.test": set(),
}
EARLY = {"education", "experience", "marketing", "referral", "research", "admin"}


def speaking_of(purpose, kind):
    rules = default_policy().rules
    return [one for one in rules if one.rule.kind == kind and covers_purpose(one.rule.when.purposes, purpose)]


@pytest.mark.parametrize("purpose", Purpose)
def test_caps_are_those_of_the_table(purpose):
    found = {(one.judge.maximum, one.judge.window // DAY) for one in speaking_of(purpose, "frequency_cap")}
    assert found == CAPS[purpose.value]
    assert {one.judge.counted.letters for one in speaking_of(purpose, "frequency_cap")} <= {"sra"}


@pytest.mark.parametrize("purpose", Purpose)
def test_quiet_hours_are_those_of_the_table(purpose):
    found = {(one.judge.opens // 3600, one.judge.closes // 3600) for one in speaking_of(purpose, "quiet_hours")}
    if purpose.family.value in EARLY or purpose is Purpose.SYSTEM_CONSENT_REQUEST:
        assert found == {(9, 20)}
    elif purpose.family is Family.SYSTEM or purpose is Purpose.CARE_RECALL_SAFETY:
        assert found == set()
    else:
        assert found == {(8, 21)}


@pytest.mark.parametrize("purpose", Purpose)
def test_what_consent_each_purpose_needs(good, purpose):
    none_needed = purpose.family in {Family.SYSTEM, Family.PUBLIC_HEALTH} or purpose is Purpose.CARE_RECALL_SAFETY
    separate = purpose.family in {Family.MARKETING, Family.REFERRAL, Family.RESEARCH} or purpose in {
        Purpose.CARE_POSTOP_FOLLOWUP,
        Purpose.CARE_CHRONIC,
    }
    policy = default_policy()
    facts = good(purpose=purpose)
    assert decide(facts, policy).effect is Effect.PERMIT
    without = decide(good(purpose=purpose, grants=Known(())), policy)
    assert without.codes == (() if none_needed else (ReasonCode.NO_CONSENT,))
    plain = Known(tuple(attrs.evolve(grant, separate=False) for grant in facts.grants.value))
    general = decide(good(purpose=purpose, grants=plain), policy)
    assert general.codes == ((ReasonCode.NO_CONSENT,) if separate else ())


@pytest.mark.parametrize("purpose", Purpose)
def test_how_many_reviewers_each_purpose_needs(purpose):
    needed = max(one.judge.min_approvals for one in speaking_of(purpose, "content"))
    three = purpose.family.value in EARLY - {"admin"}
    assert needed == (3 if three else 2 if purpose.family is Family.PUBLIC_HEALTH else 1)


@pytest.mark.parametrize(
    "purpose", [Purpose.MARKETING_EVENT, Purpose.REFERRAL_INVITATION, Purpose.RESEARCH_RECRUITMENT]
)
def test_a_caller_who_calls_promotion_an_answer_gains_nothing(good, purpose):
    policy = default_policy()
    touches = Known(
        TouchHistory(since=0, items=tuple(Touch(NOW - n, purpose, ChannelKind.SMS, "s") for n in (HOUR, 2 * HOUR)))
    )
    assert decide(good(purpose=purpose, reply=True, touches=touches), policy).codes == (ReasonCode.CAP_EXCEEDED,)
    assert decide(good(at=NOW + 12 * HOUR, purpose=purpose, reply=True), policy).codes == (ReasonCode.QUIET_HOURS,)
    # An answer about care is neither counted nor held back at night.
    care = good(at=NOW + 12 * HOUR, reply=True, touches=touches)
    assert decide(care, policy).effect is Effect.PERMIT


# -- minors in the `cn` pack -----------------------------------------------------------------------------------------


def test_a_guardians_consent_does_not_carry_on_for_who_receives_in_person(good):
    theirs = tuple(attrs.evolve(grant, by=RecipientRole.GUARDIAN) for grant in good().grants.value)
    for age in (AgeBand.FROM_14, AgeBand.ADULT):
        own = decide(good(age=Known(age)), default_policy())
        assert own.effect is Effect.PERMIT
        decision = decide(good(age=Known(age), grants=Known(theirs)), default_policy())
        assert decision.codes == (ReasonCode.NO_CONSENT,)
        assert [verdict.rule for verdict in decision.reasons] == ["CN.MIN.BIRTHDAY"]


# -- the list of codes -----------------------------------------------------------------------------------------------


def test_reason_codes_are_frozen():
    # A released code is never renamed, reordered or given another meaning; a new one changes this line and nothing else.
    assert " ".join(code.value for code in ReasonCode) == REASONS


def test_codes_are_upper_snake_and_their_own_name():
    for code in ReasonCode:
        assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", code.value)
        assert code.name == code.value


def test_the_codes_of_the_scenarios_that_this_part_decides_are_there():
    needed = "NO_CONSENT WITHDRAWN OPTED_OUT CAP_EXCEEDED QUIET_HOURS CONTENT_UNREVIEWED DISCLOSURE_DENIED"
    assert {*needed.split(), "GUARDIAN_REQUIRED", "PURPOSE_MISMATCH", "SUPPRESSED"} <= {
        code.value for code in ReasonCode
    }
