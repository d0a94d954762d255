"""Laws of the decision core: absence never permits, more is never looser, order does not matter, nothing raises."""

from __future__ import annotations

import hashlib
import random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.audit.encoding import decode, encode
from carelink.audit.facts_form import facts_from_json, facts_to_json
from carelink.consent.decide import decide
from carelink.consent.explain import explain
from carelink.consent.facts import Absent, Facts, Known, TouchHistory, VetoFact
from carelink.consent.pack import parse_pack
from carelink.consent.policy import Policy
from carelink.consent.verdict import Decision
from carelink.packs.loader import DEFAULT_PACKS, bundled, load_bundled
from carelink.testing.strategies import (
    RULE_KINDS,
    facts,
    grant_facts,
    pack_texts,
    packs,
    policies,
    stop_facts,
    touch_histories,
    touches,
)
from carelink.vocabulary import Effect, Mode, Standing

pytestmark = pytest.mark.property

STRENGTH = {Effect.REFUSE: 0, Effect.DEFER: 1, Effect.PERMIT: 2}
NAMES = [field.name for field in attrs.fields(Facts) if str(field.type).startswith("Fact[")]
GATE = "CARELINK."
OF_GRANTS = ("given_by", "consent_method", "reconfirm", "ask_again")
COUNTS = ("frequency_cap", "minimum_gap", "quiet_hours", "time_window")


def effect(seen, policy):
    return STRENGTH[decide(seen, policy).effect]


def counted(history, *more):
    items = sorted((*history.items, *more), key=lambda t: (t.at, t.purpose, t.channel_kind, t.binds, t.reply))
    return Known(TouchHistory(since=history.since, items=tuple(items)))


# -- P2 --------------------------------------------------------------------------------------------------------------


@given(facts(absent=False), policies(), st.sampled_from(NAMES), st.sampled_from(Absent))
def test_an_absent_fact_never_permits(seen, policy, name, absent):
    decision = decide(attrs.evolve(seen, **{name: absent}), policy)
    assert decision.effect is Effect.REFUSE
    assert decision.earliest is None


@given(facts(), policies())
def test_decide_is_total_and_says_why(seen, policy):
    decision = decide(seen, policy)
    assert isinstance(decision, Decision)
    assert decision.at == seen.at
    assert decision.policy == policy.digest
    assert (decision.effect is Effect.PERMIT) is (not decision.reasons)
    for verdict in decision.verdicts:
        assert (verdict.reason is None) is (verdict.effect is Effect.PERMIT)
        if verdict.earliest is not None:
            assert verdict.effect is not Effect.PERMIT
            assert verdict.earliest > seen.at
    assert min(STRENGTH[verdict.effect] for verdict in decision.verdicts) == STRENGTH[decision.effect]
    for language in ("en", "zh"):
        assert len(explain(decision, policy, language)) == len(decision.reasons)


@given(
    facts(), policies(), st.sampled_from(NAMES), st.sampled_from([None, 0, "", object(), Known(None), Known(object())])
)
def test_facts_of_the_wrong_form_refuse_instead_of_raising(seen, policy, name, rubbish):
    decision = decide(attrs.evolve(seen, **{name: rubbish}), policy)
    assert isinstance(decision, Decision)


@given(facts(), policies())
def test_deciding_twice_gives_the_same(seen, policy):
    assert decide(seen, policy) == decide(seen, policy)


# -- P10 and P4: more is never looser --------------------------------------------------------------------------------


@given(facts(), policies(), touches())
def test_one_more_touch_is_never_looser(seen, policy, touch):
    if isinstance(seen.touches, Known):
        more = attrs.evolve(seen, touches=counted(seen.touches.value, touch))
        assert effect(more, policy) <= effect(seen, policy)


@given(facts(), packs("one", kinds=COUNTS), touch_histories(), touches())
def test_one_more_touch_is_never_looser_under_caps_and_gaps(seen, pack, history, touch):
    policy = Policy.compose([load_bundled("baseline"), pack])
    few = attrs.evolve(seen, touches=counted(history))
    assert effect(attrs.evolve(seen, touches=counted(history, touch)), policy) <= effect(few, policy)


@given(facts(), packs("one"), packs("two"))
def test_one_more_pack_is_never_looser(seen, one, two):
    baseline = load_bundled("baseline")
    few, many = Policy.compose([baseline, one]), Policy.compose([baseline, one, two])
    assert effect(seen, many) <= effect(seen, few)
    assert effect(seen, few) <= effect(seen, Policy.compose([baseline]))


@given(facts(), packs("one"), packs("two"))
def test_composing_is_a_meet(seen, one, two):
    # Each rule says what it says alone, and the weakest wins; only an end to waiting can make it weaker still.
    baseline = load_bundled("baseline")
    left, right, both = (
        decide(seen, Policy.compose([baseline, *more])) for more in ((one,), (two,), (one, two))
    )  # fmt: skip
    # The gate itself speaks of an absent fact only where no rule looked at it.
    said = {verdict.rule: verdict for part in (left, right) for verdict in part.verdicts}
    assert {v.rule: v for v in both.verdicts if not v.rule.startswith(GATE)} == {
        rule: verdict for rule, verdict in said.items() if not rule.startswith(GATE)
    }
    weaker = min(STRENGTH[left.effect], STRENGTH[right.effect])
    assert STRENGTH[both.effect] <= weaker
    if seen.ask.useless_after is None:
        assert STRENGTH[both.effect] == weaker


@given(facts(), st.sampled_from(sorted(set(bundled()) - set(DEFAULT_PACKS))), policies())
def test_a_bundled_pack_more_is_never_looser(seen, name, policy):
    assert effect(seen, Policy.compose([*policy.packs, load_bundled(name)])) <= effect(seen, policy)


@given(facts(), packs("one", kinds=COUNTS, dated=False), packs("two", kinds=COUNTS, dated=False))
def test_one_more_pack_of_waiting_rules_is_never_looser(seen, one, two):
    # Where both wait, the longer wait may be the one that is too late; it never makes a refusal a promise again.
    baseline = load_bundled("baseline")
    before, after = decide(seen, Policy.compose([baseline, one])), decide(seen, Policy.compose([baseline, one, two]))
    assert STRENGTH[after.effect] <= STRENGTH[before.effect]
    if after.earliest is not None and before.effect is not Effect.PERMIT:
        assert before.earliest is not None
        assert before.earliest <= after.earliest


@given(facts(), policies(), stop_facts())
def test_one_more_stop_is_never_looser(seen, policy, stop):
    if isinstance(seen.stops, Known):
        more = attrs.evolve(seen, stops=Known((*seen.stops.value, stop)))
        assert effect(more, policy) <= effect(seen, policy)
        ask, within = seen.ask, stop.until is None or seen.at < stop.until
        if within and stop.scope.covers(ask.purpose, ask.channel_kind):
            assert decide(more, policy).effect is Effect.REFUSE


@given(facts(), policies())
def test_a_veto_refuses(seen, policy):
    vetoed = attrs.evolve(seen, vetoes=Known((VetoFact("plugin", "no"),)))
    assert decide(vetoed, policy).effect is Effect.REFUSE


# Rules of these kinds are silent where there is no grant, and leave that to kind `grant`; asking again looks at those
# that ended.
@given(facts(), policies(kinds=tuple(kind for kind in RULE_KINDS if kind not in OF_GRANTS)), st.data())
def test_one_grant_less_is_never_looser(seen, policy, data):
    if isinstance(seen.grants, Known) and seen.grants.value:
        left = list(seen.grants.value)
        left.pop(data.draw(st.integers(0, len(left) - 1)))
        assert effect(attrs.evolve(seen, grants=Known(tuple(left))), policy) <= effect(seen, policy)


@given(facts(), policies(), grant_facts())
def test_a_grant_that_has_ended_changes_nothing(seen, policy, grant):
    if isinstance(seen.grants, Known):
        over = attrs.evolve(grant, ended_at=min(seen.at, grant.since))
        more = attrs.evolve(seen, grants=Known((*seen.grants.value, over)))
        assert effect(more, policy) == effect(seen, policy)


@given(facts(absent=False), policies(), st.sampled_from(sorted(set(Standing) - {Standing.ACTIVE})))
def test_the_dead_the_merged_and_the_erased_are_never_contacted(seen, policy, standing):
    for name in ("standing", "recipient_standing"):
        assert decide(attrs.evolve(seen, **{name: Known(standing)}), policy).effect is Effect.REFUSE


@given(facts(absent=False), policies())
def test_a_narrower_mode_is_never_looser(seen, policy):
    effects = [effect(attrs.evolve(seen, mode=Known(mode)), policy) for mode in (Mode.SANDBOX, Mode.TEAM, Mode.LIVE)]
    assert effects == sorted(effects)


@given(facts(), policies())
def test_a_request_that_waits_is_refused_or_deferred_alike(seen, policy):
    # `wait` turns some refusals into promises; it never permits.
    wait, now = (attrs.evolve(seen, ask=attrs.evolve(seen.ask, wait=flag)) for flag in (True, False))
    assert (decide(wait, policy).effect is Effect.PERMIT) is (decide(now, policy).effect is Effect.PERMIT)
    assert set(decide(now, policy).codes) <= set(decide(wait, policy).codes)


# -- order does not matter -------------------------------------------------------------------------------------------


@given(facts(), policies(max_rules=6), st.integers())
def test_the_order_of_rules_and_facts_does_not_matter(seen, policy, seed):
    shuffled = list(policy.rules)
    random.Random(seed).shuffle(shuffled)
    changes = {}
    for name in ("grants", "stops"):
        fact = getattr(seen, name)
        if isinstance(fact, Known):
            changes[name] = Known(tuple(reversed(fact.value)))
    if isinstance(seen.touches, Known):
        changes["touches"] = Known(attrs.evolve(seen.touches.value, items=tuple(reversed(seen.touches.value.items))))
    if isinstance(seen.zones, Known):
        changes["zones"] = Known(
            attrs.evolve(seen.zones.value, candidates=tuple(reversed(seen.zones.value.candidates)))
        )
    one, other = (
        decide(seen, policy),
        decide(attrs.evolve(seen, **changes), attrs.evolve(policy, rules=tuple(shuffled))),
    )
    assert (one.effect, one.codes, one.earliest) == (other.effect, other.codes, other.earliest)
    assert one.reasons == other.reasons


# -- forms -----------------------------------------------------------------------------------------------------------


@given(facts())
def test_facts_survive_the_log(seen):
    stored = encode(facts_to_json(seen))
    assert facts_from_json(decode(stored)) == seen
    assert encode(facts_to_json(facts_from_json(decode(stored)))) == stored


@given(facts(), policies())
def test_a_decision_is_derived_again_from_the_log(seen, policy):
    again = Policy.from_bytes(pack.data for pack in policy.packs)
    assert decide(facts_from_json(decode(encode(facts_to_json(seen)))), again) == decide(seen, policy)


@given(pack_texts(), st.data())
def test_the_digest_of_a_pack_is_that_of_its_bytes(text, data):
    pack = parse_pack(text)
    assert pack == parse_pack(text)
    assert pack.digest == hashlib.sha256(text).hexdigest()
    assert pack.data == text
    longer = text + data.draw(st.sampled_from([b"\n", b"# note\n", b" "]))
    assert parse_pack(longer).digest != pack.digest
    assert parse_pack(longer).rules == pack.rules


@given(st.permutations([0, 1, 2]), packs("one"), packs("two"))
def test_the_digest_of_a_policy_does_not_depend_on_the_order_of_packs(order, one, two):
    chosen = [load_bundled("baseline"), one, two]
    policy = Policy.compose(chosen)
    assert Policy.compose([chosen[place] for place in order]) == policy
    assert Policy.compose(chosen[:2]).digest != policy.digest
