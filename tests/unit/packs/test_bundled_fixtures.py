"""Every bundled pack is in good order, every rule is held by fixtures of its own, and there are enough of them."""

from __future__ import annotations

import pytest

from carelink.consent.pack import MAX_PACK
from carelink.consent.policy import BASELINE, Policy
from carelink.packs.fixtures import bundled_fixtures, parse_fixtures
from carelink.packs.lint import lint_pack
from carelink.packs.loader import bundled, bundled_bytes, load_bundled
from carelink.packs.trial import try_pack

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


@pytest.mark.parametrize("name", bundled())
def test_packs_are_in_good_order(name):
    assert lint_pack(bundled_bytes(name), name) == ()
    assert len(bundled_bytes(name)) <= MAX_PACK
    assert fixtures(name).pack == load_bundled(name).id == name


def test_all_of_them_can_be_adopted_together():
    policy = Policy.compose([load_bundled(name) for name in bundled()])
    assert len(policy.rules) == sum(len(load_bundled(name).rules) for name in bundled())
