"""Lines for people: which rule, whose, by which source, and from when it would pass."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.decide import decide
from carelink.consent.explain import explain, explain_all
from carelink.consent.facts import Known, Touch, TouchHistory
from carelink.consent.reasons import ReasonCode
from carelink.consent.rules.base import refuse
from carelink.consent.sentences import SENTENCES, sentence
from carelink.model.moment import HOUR
from carelink.packs.loader import default_policy
from carelink.testing.strategies import NOW
from carelink.vocabulary import Authority, Certainty, Effect, Purpose

NIGHT = NOW + 12 * HOUR


def test_a_permit_needs_no_explanation(good):
    policy = default_policy()
    assert explain(decide(good(), policy), policy) == ()


def test_a_night_in_english_and_chinese(good):
    policy = default_policy()
    decision = decide(good(at=NIGHT), policy)
    assert explain(decision, policy) == (
        (
            "defer QUIET_HOURS: It is outside the hours for contact where the recipient is. [HD.QUIET.SERVICE: 08:00 to "
            "21:00 where the recipient is; hospital policy: carelink compliance research (2026-11-22) 7.2; our "
            "interpretation or default] from 2026-03-11T00:00:00Z"
        ),
    )
    assert explain(decision, policy, "zh") == (
        (
            "defer QUIET_HOURS: 收件人当地处于免打扰时段。 [HD.QUIET.SERVICE: 当地 08:00 至 21:00; 医院规定: carelink "
            "compliance research (2026-11-22) 7.2; 本项目的解释或默认值] 自 2026-03-11T00:00:00Z"
        ),
    )


def test_each_rule_is_told_those_that_permit_last(good):
    policy = default_policy()
    decision = decide(good(at=NIGHT), policy)
    lines = explain_all(decision, policy)
    assert len(lines) == len(decision.verdicts) > 1
    assert lines[:1] == explain(decision, policy)
    assert all(line.startswith("permit [") for line in lines[1:])
    titles = {compiled.rule.id: compiled.rule for compiled in policy.rules}
    passed = [verdict.rule for verdict in decision.verdicts if verdict.rule != "HD.QUIET.SERVICE"]
    assert list(lines[1:]) == [f"permit [{name}: {titles[name].title_en}]" for name in passed]
    chinese = explain_all(decision, policy, "zh")
    assert chinese[:1] == explain(decision, policy, "zh")
    assert list(chinese[1:]) == [f"permit [{name}: {titles[name].title_zh}]" for name in passed]
    assert list(explain_all(decision, None)[1:]) == [f"permit [{name}]" for name in passed]


def test_figures_are_named(good):
    policy = default_policy()
    items = (Touch(NOW - 1, Purpose.MARKETING_EVENT, good().ask.channel_kind, "sra"),)
    facts = good(purpose=Purpose.MARKETING_EVENT, touches=Known(TouchHistory(since=0, items=items)))
    (line,) = explain(decide(facts, policy), policy)
    assert line.startswith("refuse CAP_EXCEEDED: ")
    assert "(sent 1, allowed 1) from 2026-03-11T02:59:59.999999Z" in line
    (chinese,) = explain(decide(facts, policy), policy, "zh")
    assert "(已联系次数 1, 上限 1) 自 " in chinese


def test_one_line_a_reason_in_conflict_order_with_every_source(good):
    policy = default_policy()
    decision = decide(good(at=NIGHT, purpose=Purpose.MARKETING_EVENT, grants=Known(())), policy)
    lines = explain(decision, policy)
    assert len(lines) == len(decision.reasons)
    assert [line.split()[1].rstrip(":") for line in lines] == [v.reason.value for v in decision.reasons]
    law = next(line for line in lines if "CN.PIPL.29" in line)
    assert (
        "law: 个人信息保护法 (2021-08-20) 28-30; 网络数据安全管理条例 (2024-09-24) 22(2), 62(7); read in the text]"
        in law
    )
    assert " from " not in law


def test_without_a_policy_only_the_code_is_known(good):
    assert explain(decide(good(), None), None) == ("refuse POLICY_MISSING: No policy is in force. [CARELINK.GATE]",)
    policy = default_policy()
    night = decide(good(at=NIGHT), policy)
    assert explain(night, None) == (
        (
            "defer QUIET_HOURS: It is outside the hours for contact where the recipient is. [HD.QUIET.SERVICE] from "
            "2026-03-11T00:00:00Z"
        ),
    )


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_authority_and_certainty_has_words(good, policy_of, language):
    seen = set()
    for authority in Authority:
        for certainty in Certainty:
            policy = policy_of(lambda facts: refuse("T.0", ReasonCode.NO_CONSENT))
            (compiled,) = policy.rules
            rule = attrs.evolve(compiled.rule, authority=authority, certainty=certainty)
            policy = attrs.evolve(policy, rules=(attrs.evolve(compiled, rule=rule),))
            decision = decide(good(), policy)
            assert decision.effect is Effect.REFUSE
            (line,) = explain(decision, policy, language)
            seen.add(line)
    assert len(seen) == len(Authority) * len(Certainty)


# -- sentences -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ReasonCode)
def test_every_code_has_a_sentence_in_both_languages(code):
    english, chinese = SENTENCES[code]
    assert sentence(code) == sentence(code, "en") == english
    assert sentence(code, "zh") == chinese
    assert english.isascii()
    assert english[0].isupper()
    assert english.endswith(".")
    assert chinese.endswith("。")
    assert any("一" <= mark <= "鿿" for mark in chinese)


def test_every_sentence_is_another():
    assert (
        len({pair[0] for pair in SENTENCES.values()}) == len({pair[1] for pair in SENTENCES.values()}) == len(SENTENCES)
    )
    assert set(SENTENCES) == set(ReasonCode)
