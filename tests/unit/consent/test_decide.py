"""`decide`: all rules are asked, the weakest verdict wins, what goes wrong refuses, the earliest instant is exact."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.decide import MAX_STEPS, decide
from carelink.consent.facts import Absent, Facts, Known
from carelink.consent.pack import When
from carelink.consent.policy import Policy
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import defer, permit, refuse
from carelink.model.moment import DAY, HOUR
from carelink.packs.loader import default_policy, load_bundled
from carelink.testing.strategies import NOW
from carelink.vocabulary import Effect, Purpose, RecipientRole

GATE = "CARELINK.GATE"
NAMES = [field.name for field in attrs.fields(Facts) if str(field.type).startswith("Fact[")]


def yes(facts):
    return permit("T")


def no(facts):
    return refuse("T.NO", ReasonCode.NO_CONSENT)


def later(at, effect=refuse, reason=ReasonCode.CAP_EXCEEDED):
    """Permits from an instant on."""
    return lambda facts: permit("T") if facts.at >= at else effect("T.LATER", reason, earliest=at)


def opens(*spans, effect=defer, reason=ReasonCode.QUIET_HOURS):
    """Permits within half-open spans."""

    def say(facts):
        if any(start <= facts.at < end for start, end in spans):
            return permit("T")
        return effect("T.OPENS", reason, earliest=next((start for start, _ in spans if start > facts.at), None))

    return say


def outage(facts):
    return defer("T.OUT", ReasonCode.KEYS_UNAVAILABLE)


def window(facts):
    late = facts.ask.useless_after
    late_now = late is not None and late <= facts.at
    return refuse("T.WINDOW", ReasonCode.TOO_LATE) if late_now else permit("T")


def codes(decision):
    return [reason.value for reason in decision.codes]


# -- what is decided -------------------------------------------------------------------------------------------------


def test_the_bundled_policies_permit_good_facts(good):
    for policy in (Policy.compose([load_bundled("baseline")]), default_policy()):
        decision = decide(good(), policy)
        assert (decision.effect, decision.reasons, decision.earliest) == (Effect.PERMIT, (), None)
        assert decision.at == NOW
        assert decision.policy == policy.digest


def test_no_policy_refuses(good):
    decision = decide(good(), None)
    assert (decision.effect, codes(decision), decision.policy) == (Effect.REFUSE, ["POLICY_MISSING"], "0" * 64)
    assert (decision.at, decision.earliest, decision.reasons[0].rule) == (NOW, None, GATE)


def test_no_rules_refuse(good, policy_of):
    decision = decide(good(), policy_of())
    assert (decision.effect, codes(decision), decision.policy) == (Effect.REFUSE, ["POLICY_MISSING"], "f" * 64)


def test_rules_that_speak_of_something_else_permit_nothing(good, policy_of):
    elsewhere = policy_of(yes, whens=[When(purposes=("marketing",))])
    assert codes(decide(good(), elsewhere)) == ["POLICY_MISSING"]


def test_every_rule_is_asked_and_the_weakest_wins(good, policy_of):
    decision = decide(good(), policy_of(later(NOW + 5, defer), yes, no))
    assert decision.effect is Effect.REFUSE
    assert codes(decision) == ["NO_CONSENT", "CAP_EXCEEDED"]
    assert [verdict.effect for verdict in decision.verdicts] == [Effect.DEFER, Effect.PERMIT, Effect.REFUSE]
    assert decide(good(), policy_of(yes, outage)).effect is Effect.DEFER
    assert decide(good(), policy_of(yes, yes)).effect is Effect.PERMIT


def test_a_rule_that_raises_refuses(good, policy_of):
    def broken(facts):
        raise ZeroDivisionError

    decision = decide(good(), policy_of(yes, broken))
    assert (decision.effect, codes(decision)) == (Effect.REFUSE, ["RULE_FAILED"])
    assert decision.reasons[0].rule == "T.1"


def test_facts_that_no_rule_can_be_chosen_for_refuse(good):
    broken = attrs.evolve(good(), ask=None)
    decision = decide(broken, default_policy())
    assert (decision.effect, codes(decision)) == (Effect.REFUSE, ["RULE_FAILED"])
    assert decision.policy == default_policy().digest


# -- absent facts (P2) -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("absent", Absent)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("asked", [{}, {"reply": True}, {"purpose": Purpose.CARE_RECALL_SAFETY}])
def test_an_absent_fact_never_permits(good, name, absent, asked):
    for policy in (Policy.compose([load_bundled("baseline")]), default_policy()):
        decision = decide(good(**asked, **{name: absent}), policy)
        assert decision.effect is Effect.REFUSE
        assert decision.earliest is None
        reason = decision.reasons[0].reason
        if absent is Absent.STALE:
            assert reason is ReasonCode.FACT_STALE
        else:
            assert reason is {
                "age": ReasonCode.AGE_UNKNOWN,
                "contact": ReasonCode.CONTACT_MISSING,
                "content": ReasonCode.CONTENT_UNREVIEWED,
                "zones": ReasonCode.ZONE_UNKNOWN,
            }.get(name, ReasonCode.FACT_UNKNOWN)


def test_what_no_rule_looked_at_is_named_where_nothing_else_refuses(good, policy_of):
    facts = good(guardian=Absent.UNKNOWN, age=Absent.STALE)
    for rules in ((yes,), (yes, later(NOW + 5, defer))):
        decision = decide(facts, policy_of(*rules))
        assert decision.effect is Effect.REFUSE
        named = [verdict.rule for verdict in decision.reasons if verdict.rule.startswith("CARELINK.")]
        assert named == ["CARELINK.FACT.GUARDIAN", "CARELINK.FACT.AGE"]
    assert codes(decide(facts, policy_of(yes, no))) == ["NO_CONSENT"]


@pytest.mark.parametrize("name", NAMES)
def test_the_gate_names_an_unknown_fact_as_a_rule_would(good, policy_of, name):
    named = {
        "age": "AGE_UNKNOWN",
        "contact": "CONTACT_MISSING",
        "content": "CONTENT_UNREVIEWED",
        "zones": "ZONE_UNKNOWN",
    }
    assert codes(decide(good(**{name: Absent.UNKNOWN}), policy_of(yes))) == [named.get(name, "FACT_UNKNOWN")]
    assert codes(decide(good(**{name: Absent.STALE}), policy_of(yes))) == ["FACT_STALE"]


def test_time_does_not_cure_an_absent_fact(good, policy_of):
    assert decide(good(guardian=Absent.UNKNOWN), policy_of(later(NOW + 5))).earliest is None
    assert decide(good(), policy_of(later(NOW + 5))).earliest == NOW + 5


# -- the earliest instant --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "earliest"),
    [
        ([later(NOW + 5)], NOW + 5),
        ([later(NOW + 5), later(NOW + 9)], NOW + 9),
        ([later(NOW + 9), later(NOW + 5)], NOW + 9),
        ([later(NOW + 5), no], None),
        ([later(NOW + 5), outage], None),
        ([opens((NOW + 1, NOW + 3), (NOW + 7, NOW + 9)), later(NOW + 3)], NOW + 7),
        ([opens((NOW + 1, NOW + 3), (NOW + 7, NOW + 9)), opens((NOW + 2, NOW + 4))], NOW + 2),
        ([opens((NOW + 1, NOW + 3), (NOW + 7, NOW + 9)), opens((NOW + 3, NOW + 7))], None),
        ([opens((NOW + 1, NOW + 3), (NOW + 7, NOW + 9)), later(NOW + 9)], None),
        # Permits now, but no longer when the other does.
        ([opens((NOW, NOW + 3)), later(NOW + 3)], None),
        ([opens((NOW, NOW + 3), (NOW + 6, NOW + 7)), later(NOW + 3)], NOW + 6),
    ],
)
def test_earliest(good, policy_of, rules, earliest):
    assert decide(good(), policy_of(*rules)).earliest == earliest


def test_a_search_without_end_names_nothing(good, policy_of):
    def ever_later(facts):
        return refuse("T", ReasonCode.CAP_EXCEEDED, earliest=facts.at + 1)

    assert decide(good(), policy_of(ever_later)).earliest is None
    # So many steps are taken and no more.
    calls = []

    def counted(facts):
        calls.append(facts.at)
        return ever_later(facts)

    decide(good(), policy_of(counted))
    assert len(calls) == MAX_STEPS + 1 == 201


@pytest.mark.parametrize(("steps", "found"), [(MAX_STEPS - 1, True), (MAX_STEPS, False)])
def test_the_last_step_of_the_search(good, policy_of, steps, found):
    def stairs(facts):
        return permit("T") if facts.at == NOW + steps else refuse("T", ReasonCode.CAP_EXCEEDED, earliest=facts.at + 1)

    assert decide(good(), policy_of(stairs)).earliest == (NOW + steps if found else None)


def test_a_search_stops_where_nothing_can_cure(good, policy_of):
    calls = []

    def never(facts):
        calls.append(facts.at)
        return refuse("T", ReasonCode.NO_CONSENT)

    decide(good(), policy_of(never, later(NOW + 5)))
    assert calls == [NOW]


# -- dates of packs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("since", "until", "effect", "earliest"),
    [
        (NOW, NOW + 1, Effect.PERMIT, None),
        (NOW - 1, NOW, Effect.REFUSE, None),
        (NOW + 1, NOW + 2, Effect.REFUSE, NOW + 1),
        (NOW + 1, NOW + 9, Effect.REFUSE, NOW + 1),
    ],
)
def test_a_pack_outside_its_dates_refuses(good, policy_of, since, until, effect, earliest):
    decision = decide(good(), policy_of(yes, since=since, until=until))
    assert (decision.effect, decision.earliest) == (effect, earliest)
    assert codes(decision) == ([] if effect is Effect.PERMIT else ["POLICY_NOT_IN_FORCE"])


def test_a_rule_names_no_instant_after_its_pack_lapses(good, policy_of):
    assert decide(good(), policy_of(later(NOW + 5), until=NOW + 6)).earliest == NOW + 5
    decision = decide(good(), policy_of(later(NOW + 5), until=NOW + 5))
    assert decision.earliest is None
    assert decision.reasons[0].earliest is None


def test_a_pack_not_yet_in_force_is_judged_as_it_will_be(good, policy_of):
    assert decide(good(), policy_of(later(NOW + 5), since=NOW + 2)).earliest == NOW + 5
    assert decide(good(), policy_of(later(NOW + 5), since=NOW + 2, until=NOW + 5)).earliest is None
    assert decide(good(), policy_of(no, since=NOW + 2)).earliest is None


# -- a promise that could only be kept too late -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "late", "effect"),
    [
        ([later(NOW + 5, defer)], NOW + 6, Effect.DEFER),
        ([later(NOW + 5, defer)], NOW + 5, Effect.REFUSE),
        ([later(NOW + 5, defer)], NOW + 4, Effect.REFUSE),
        ([later(NOW + 5, defer), later(NOW + 9, defer)], NOW + 7, Effect.REFUSE),
        ([opens((NOW + 2, NOW + 3), (NOW + 8, NOW + 9)), later(NOW + 4, defer)], NOW + 8, Effect.REFUSE),
        ([opens((NOW + 2, NOW + 3), (NOW + 8, NOW + 9)), later(NOW + 4, defer)], NOW + 9, Effect.DEFER),
        # An outage may be over at any moment, and an opening that is not in sight may still come.
        ([outage], NOW + 1, Effect.DEFER),
        ([outage, later(NOW + 5, defer)], NOW + 6, Effect.DEFER),
        ([outage, later(NOW + 5, defer)], NOW + 5, Effect.REFUSE),
        ([opens()], NOW + 1, Effect.DEFER),
        ([opens(), later(NOW + 5, defer)], NOW + 5, Effect.REFUSE),
        ([later(NOW + 5, defer), opens((NOW, NOW + 2))], NOW + 6, Effect.DEFER),
    ],
)
def test_too_late(good, policy_of, rules, late, effect):
    for order in (rules, rules[::-1]):
        decision = decide(good(useless_after=late), policy_of(*order, window))
        assert decision.effect is effect
        if effect is Effect.REFUSE:
            assert decision.earliest is None
            assert (decision.verdicts[-1].rule, decision.verdicts[-1].reason) == (GATE, ReasonCode.TOO_LATE)
            assert decision.verdicts[-1].effect is Effect.REFUSE


def test_a_refusal_is_not_told_twice_that_it_is_late(good, policy_of):
    decision = decide(good(useless_after=NOW + 2), policy_of(later(NOW + 5), window))
    assert codes(decision) == ["CAP_EXCEEDED"]


def test_a_permit_is_not_too_late(good, policy_of):
    assert decide(good(useless_after=NOW + 1), policy_of(yes, window)).effect is Effect.PERMIT


def test_an_outage_does_not_make_a_wish_for_next_week_too_late(good):
    # With the bundled policy: the keys are out of reach at noon, and the message is of use until the evening.
    decision = decide(good(useless_after=NOW + 6 * HOUR, keys_available=Known(value=False)), default_policy())
    assert (decision.effect, codes(decision)) == (Effect.DEFER, ["KEYS_UNAVAILABLE"])


def test_a_night_ends_before_the_message_is_useless_or_not(good):
    night = NOW + 12 * HOUR  # 23:00 in Shanghai
    waits = decide(good(at=night, useless_after=night + DAY), default_policy())
    assert (waits.effect, waits.earliest) == (Effect.DEFER, night + 9 * HOUR)
    late = decide(good(at=night, useless_after=night + 9 * HOUR), default_policy())
    assert (late.effect, codes(late)) == (Effect.REFUSE, ["TOO_LATE", "QUIET_HOURS"])


def test_roles_and_the_rest_of_when(good):
    when = When(purposes=("care",), channels=("email",), roles=(RecipientRole.SELF,), automated=False)
    assert when.applies(good())
    assert not when.applies(good(automated=True))
    assert not when.applies(good(role=RecipientRole.RELATED))
    assert not when.applies(good(purpose=Purpose.MARKETING_EVENT))
    assert not attrs.evolve(when, channels=("sms",)).applies(good())
    assert attrs.evolve(when, channels=("sms", "*")).applies(good())
    assert attrs.evolve(when, automated=True).applies(good(automated=True))
    assert not attrs.evolve(when, automated=True).applies(good())
    assert When().applies(good(automated=True, role=RecipientRole.GUARDIAN))
