"""Every bundled pack is in good order, every rule is held by fixtures of its own, and there are enough of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs
import pytest

from carelink.consent.pack import MAX_PACK, Rule, When
from carelink.consent.policy import BASELINE, Policy
from carelink.errors import PolicyError
from carelink.packs.fixtures import bundled_fixtures, parse_fixtures
from carelink.packs.lint import lint_pack
from carelink.packs.loader import bundled, bundled_bytes, load_bundled
from carelink.packs.trial import try_pack
from carelink.vocabulary import RecipientRole

LEAST = {"us": 40, "eu": 40, "uk": 40, "ca": 40}
CHINA = ("cn", "cn-advertising", "cn-processors")


def fixtures(name):
    data = bundled_fixtures(name)
    assert data is not None, f"{name} has no fixtures"
    return parse_fixtures(data)


@pytest.mark.parametrize("name", bundled())
def test_fixtures_hold_and_no_rule_can_be_deleted_unseen(name):
    trial = try_pack(load_bundled(name), fixtures(name), load_bundled(BASELINE))
    assert trial.failures == ()
    assert trial.unheld == ()
    assert trial.distinct >= LEAST.get(name, 1)


def test_the_rules_of_china_are_tried_on_many_requests():
    assert sum(fixtures(name).distinct for name in CHINA) >= 150


@pytest.mark.parametrize("name", sorted(set(bundled()) - {BASELINE}))
def test_every_word_and_number_of_a_rule_is_held(name):
    pack, baseline, tried = load_bundled(name), load_bundled(BASELINE), 0
    for rule in pack.rules:
        own = attrs.evolve(fixtures(name), items=tuple(one for one in fixtures(name).items if one.rule == rule.id))
        for says, mutant in mutants(rule):
            try:
                trial = try_pack(attrs.evolve(pack, rules=(mutant,)), own, baseline)
            except PolicyError:
                continue  # not a rule any more
            tried += 1
            assert trial.failures, f"{rule.id} {says}: no fixture notices"
    assert tried


@pytest.mark.parametrize("name", bundled())
def test_packs_are_in_good_order(name):
    assert lint_pack(bundled_bytes(name), name) == ()
    assert len(bundled_bytes(name)) <= MAX_PACK
    assert fixtures(name).pack == load_bundled(name).id == name


def test_all_of_them_can_be_adopted_together():
    policy = Policy.compose([load_bundled(name) for name in bundled()])
    assert len(policy.rules) == sum(len(load_bundled(name).rules) for name in bundled())


# -- every small change of a rule: a purpose less, another number, a flag turned -------------------------------------


def mutants(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """(what was changed, the rule so changed)."""
    for says, when in _whens(rule.when):
        yield says, attrs.evolve(rule, when=when)
    for key, value in rule.params.items():
        if rule.params.get("max") == 0 and key == "window":
            continue  # a cap of none has no window that anybody could notice
        for says, other in _values(value):
            yield f"{key} {says}", attrs.evolve(rule, params={**rule.params, key: other})


def _whens(when: When) -> Iterator[tuple[str, When]]:
    for name, whole in (("purposes", ("*",)), ("channels", ("*",)), ("roles", tuple(RecipientRole)), ("stages", ())):
        words = getattr(when, name)
        if words == whole:
            continue
        yield f"all {name}", attrs.evolve(when, **{name: whole})
        if len(words) > 1:
            for word in words:
                yield f"without {word}", attrs.evolve(when, **{name: tuple(one for one in words if one != word)})
    for name in ("automated", "plan"):
        if getattr(when, name) is not None:
            yield f"any {name}", attrs.evolve(when, **{name: None})


def _values(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, bool):
        yield f"is {not value}", not value
    elif isinstance(value, int):
        yield "one more", value + 1
        yield "one less", value - 1
    elif isinstance(value, list):
        for word in value:
            yield f"without {word}", [one for one in value if one != word]
    elif isinstance(value, str) and re.fullmatch("P.*[0-9].*", value):
        number = int(re.findall("[0-9]+", value)[0])
        yield "twice", value.replace(str(number), str(2 * number))
        yield "half", "PT12H" if value == "P1D" else value.replace(str(number), str(number // 2))
    elif isinstance(value, str) and re.fullmatch("[0-9]{2}:00", value):
        yield "later", f"{int(value[:2]) + 1:02d}:00"
        yield "earlier", f"{int(value[:2]) - 1:02d}:00"
