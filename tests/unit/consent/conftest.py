"""Rules by kind, small policies, and good facts to change."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.pack import Pack, Rule, Source, When
from carelink.consent.policy import Compiled, Policy
from carelink.consent.rules import COUNTING, KINDS
from carelink.model.moment import Instant
from carelink.testing.strategies import good_facts
from carelink.vocabulary import Authority, Certainty


@pytest.fixture
def judge():
    """`judge(kind, facts, **params)`: what a rule of this kind says; touches of all purposes count by default."""

    def ask(kind, facts, **params):
        return rule_of(kind, **params).judge(facts)

    return ask


@pytest.fixture
def good():
    """`good(**changes)`: facts that every rule permits, changed."""

    def make(at=None, **changes):
        asked = {name: changes.pop(name) for name in list(changes) if name in _ASKED}
        facts = good_facts(**asked) if at is None else good_facts(at, **asked)
        return attrs.evolve(facts, **changes)

    return make


_ASKED = {
    "purpose", "channel_kind", "disclosure", "automated", "reply", "wait", "not_before", "useless_after",
}  # fmt: skip


def rule_of(kind, **params):
    make = KINDS[(kind, 1)]
    return make("T.RULE", params, ("*",)) if (kind, 1) in COUNTING else make("T.RULE", params)


class Says:
    """A judge that says what a function of the facts says."""

    def __init__(self, say):
        self.judge = say


@pytest.fixture
def policy_of():
    """`policy_of(judge, ..., since=, until=, whens=)`: a policy of judges, each in a pack of its own dates."""

    def make(*judges, since=0, until=2**53 - 1, whens=None):
        compiled = []
        for number, one in enumerate(judges):
            rule = Rule(
                id=f"T.{number}",
                kind="test",
                kind_version=1,
                when=When() if whens is None else whens[number],
                params={},
                authority=Authority.HOSPITAL,
                certainty=Certainty.INTERPRETATION,
                sources=(Source(instrument="none", version="2026"),),
                title_en="a rule",
                title_zh="规则",
            )
            pack = Pack(
                id="test",
                jurisdiction="*",
                version="1",
                since=Instant(since),
                until=Instant(until),
                title_en="t",
                title_zh="t",
                rules=(rule,),
                digest="0" * 64,
                data=b"",
            )
            compiled.append(Compiled(pack, rule, one if hasattr(one, "judge") else Says(one)))
        return Policy((), "f" * 64, tuple(compiled), 0)

    return make
