"""Policies: packs composed by meet, with the floor that no deployment goes without."""

from __future__ import annotations

import hashlib
import tomllib

import attrs
import pytest

from carelink.consent.decide import decide
from carelink.consent.facts import Absent, Known
from carelink.consent.pack import parse_pack
from carelink.consent.policy import Policy
from carelink.consent.rules import COUNTING, KINDS
from carelink.errors import PolicyError
from carelink.model.moment import DAY
from carelink.packs.loader import bundled_bytes, default_policy, load_bundled
from carelink.vocabulary import Effect, LifecycleStage, Purpose

PACK = """[pack]
id = "clinic"
jurisdiction = "*"
version = "1"
valid_from = 2020-01-01
title = { en = "c", zh = "c" }
"""


def rule(kind, name="CLINIC.R", when="", version=1, **params):
    def text(value):
        return str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)

    lines = "\n".join(f"{key} = {text(value)}" for key, value in params.items())
    return f"""[[rule]]
id = "{name}"
kind = "{kind}"
kind_version = {version}
authority = "hospital"
certainty = "I"
title = {{ en = "r", zh = "r" }}
sources = [{{ instrument = "i", version = "v" }}]
[rule.when]
{when}
[rule.params]
{lines}
"""


def clinic(*rules, head=PACK):
    return parse_pack("\n".join((head, *rules)).encode())


def with_baseline(*packs):
    return Policy.compose([load_bundled("baseline"), *packs])


def test_composition():
    policy = with_baseline(clinic(rule("veto")), load_bundled("cn"))
    assert [pack.id for pack in policy.packs] == ["baseline", "clinic", "cn"]
    assert [compiled.rule.id for compiled in policy.rules] == [r.id for pack in policy.packs for r in pack.rules]
    assert all(compiled.rule in compiled.pack.rules for compiled in policy.rules)
    lines = "\n".join(f"{pack.id} {pack.version} {pack.digest}" for pack in policy.packs)
    assert policy.digest == hashlib.sha256(b"carelink/policy/v1\n" + lines.encode()).hexdigest()


def test_from_bytes():
    names = ("baseline", "cn", "hospital-default")
    assert Policy.from_bytes(bundled_bytes(name) for name in names) == default_policy()


def test_a_policy_needs_the_baseline():
    with pytest.raises(PolicyError, match="baseline"):
        Policy.compose([load_bundled("cn")])
    with pytest.raises(PolicyError, match="baseline"):
        Policy.compose([])


def test_the_baseline_need_not_come_first():
    early = clinic(rule("veto"), head=PACK.replace('"clinic"', '"a-clinic"'))
    policy = with_baseline(early)
    assert [pack.id for pack in policy.packs] == ["a-clinic", "baseline"]
    assert len(repr(policy)) < 1000  # names and digests, not every rule


def test_packs_and_rules_stand_once():
    with pytest.raises(PolicyError, match="a pack stands twice"):
        with_baseline(load_bundled("baseline"))
    with pytest.raises(PolicyError, match="a rule id stands in two packs"):
        with_baseline(clinic(rule("veto", "BASE.GATE")))


@pytest.mark.parametrize(("kind", "version"), [("frequency_cup", 1), ("veto", 2), ("allow", 1)])
def test_an_unknown_kind_or_version_is_an_error(kind, version):
    with pytest.raises(PolicyError, match=rf"clinic.*CLINIC\.R.*`{kind}` version {version}"):
        with_baseline(clinic(rule(kind, version=version)))


def test_a_malformed_parameter_names_the_rule():
    with pytest.raises(PolicyError, match=r"CLINIC\.R.*params\.max"):
        with_baseline(clinic(rule("frequency_cap", window="P1D")))


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([rule("veto")], 0),
        ([rule("frequency_cap", max=1, window="P3D")], 3),
        ([rule("minimum_gap", gap="P5D"), rule("frequency_cap", "CLINIC.S", max=1, window="P3D")], 5),
        ([rule("minimum_gap", gap="P2D"), rule("frequency_cap", "CLINIC.S", max=1, window="P3D")], 3),
        ([rule("contact", max_age="P9D"), rule("minimum_gap", "CLINIC.S", gap="P2D")], 2),
        ([rule("duplicate", within="P9D"), rule("minimum_gap", "CLINIC.S", gap="P2D")], 9),
    ],
)
def test_the_horizon_is_the_longest_look_back(rules, days):
    assert with_baseline(clinic(*rules)).horizon == days * DAY


def test_the_horizon_of_the_bundled_policy():
    assert default_policy().horizon == 365 * DAY
    assert {kind for kind, _ in COUNTING} == {"frequency_cap", "minimum_gap"}
    assert set(KINDS) >= COUNTING


def test_rules_that_speak_of_a_request(good):
    policy = with_baseline(clinic(rule("veto", when='purposes = ["marketing"]')))
    names = [compiled.rule.id for compiled in policy.applying(good())]
    assert "CLINIC.R" not in names
    assert "BASE.GATE" in names
    marketing = good(purpose=Purpose.MARKETING_EVENT)
    assert "CLINIC.R" in [compiled.rule.id for compiled in policy.applying(marketing)]


@pytest.mark.parametrize(
    ("when", "plan", "speaks"),
    [
        ("plan = true", "walk-21", True),
        ("plan = true", "", False),
        ("plan = false", "walk-21", False),
        ("plan = false", "", True),
        ("", "walk-21", True),
        ("", "", True),
    ],
)
def test_a_rule_for_plans_speaks_of_plans_alone(good, when, plan, speaks):
    policy = with_baseline(clinic(rule("veto", when=when)))
    seen = good()
    seen = attrs.evolve(seen, ask=attrs.evolve(seen.ask, plan=plan))
    assert ("CLINIC.R" in [compiled.rule.id for compiled in policy.applying(seen)]) is speaks


@pytest.mark.parametrize(
    ("stage", "speaks"),
    [
        (Known(LifecycleStage.LOYAL), True),
        (Known(LifecycleStage.CHURN_RISK), False),
        (Known(None), False),
        # Who knows: the rule narrows, so it speaks.
        (Absent.UNKNOWN, True),
        (Absent.STALE, True),
    ],
)
def test_a_rule_for_a_stage_speaks_of_it_and_of_a_stage_that_is_not_known(good, stage, speaks):
    seen = good(stage=stage)
    policy = with_baseline(clinic(rule("veto", when='stages = ["loyal"]')))
    assert ("CLINIC.R" in [compiled.rule.id for compiled in policy.applying(seen)]) is speaks
    everywhere = with_baseline(clinic(rule("veto")))
    assert "CLINIC.R" in [compiled.rule.id for compiled in everywhere.applying(seen)]


def test_what_a_policy_has_judged_leaves_no_trace_in_it(good):
    used, fresh = default_policy(), Policy.from_bytes(pack.data for pack in default_policy().packs)
    used.applying(good())
    assert used == fresh
    assert repr(used) == repr(fresh)
    assert attrs.evolve(used, rules=()).applying(good()) == []


def test_a_cap_counts_what_its_rule_speaks_of_unless_it_says_otherwise(good):
    narrow = with_baseline(clinic(rule("frequency_cap", when='purposes = ["care"]', max=1, window="P1D")))
    judge = next(compiled.judge for compiled in narrow.rules if compiled.rule.id == "CLINIC.R")
    assert judge.counted.purposes == ("care",)


# -- the floor -------------------------------------------------------------------------------------------------------


def baseline_without(kind):
    text = bundled_bytes("baseline").decode()
    head, *rules = text.split("[[rule]]")
    kept = [one for one in rules if f'kind = "{kind}"' not in one]
    assert len(kept) < len(rules)
    return parse_pack("[[rule]]".join([head, *kept]).encode())


KINDS_OF_THE_FLOOR = [rule["kind"] for rule in tomllib.loads(bundled_bytes("baseline").decode())["rule"]]


def test_the_baseline_has_eleven_kinds():
    assert len(set(KINDS_OF_THE_FLOOR)) == 11


@pytest.mark.parametrize("kind", KINDS_OF_THE_FLOOR)
def test_a_baseline_without_one_of_its_kinds_is_none(kind):
    with pytest.raises(PolicyError, match=f"no rule of kind `{kind}`"):
        Policy.compose([baseline_without(kind)])


@pytest.mark.parametrize("kind", [kind for kind in KINDS_OF_THE_FLOOR if kind not in {"grant", "guardian"}])
def test_a_baseline_that_looks_away_now_and_then_is_none(kind):
    text = bundled_bytes("baseline").decode().split("[[rule]]")
    place = next(number for number, one in enumerate(text) if f'kind = "{kind}"' in one)
    narrowed, _, params = text[place].partition("[rule.params]")
    text[place] = narrowed + '[rule.when]\npurposes = ["care"]\n' + (f"[rule.params]{params}" if params else "")
    pack = parse_pack("[[rule]]".join(text).encode())
    if kind == "disclosure":
        assert Policy.compose([pack]).packs == (pack,)
        return
    with pytest.raises(PolicyError, match=f"no rule of kind `{kind}` for every request"):
        Policy.compose([pack])


def test_a_longer_baseline_will_do(good):
    pack = parse_pack(bundled_bytes("baseline") + rule("veto", "BASE.MORE").encode())
    assert decide(good(), Policy.compose([pack])).effect is Effect.PERMIT
