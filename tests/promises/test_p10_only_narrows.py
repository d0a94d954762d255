"""P10: packs only narrow; taking one away, or putting other text in its place, needs two named approvers and an entry."""

from __future__ import annotations

import pytest

from carelink.audit.bodies import PolicyBody
from carelink.audit.entry import parse_entry
from carelink.consent.pack import parse_pack
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes
from carelink.vocabulary import Effect

HOUSE = """
[pack]
id = "house"
jurisdiction = "*"
version = "{version}"
valid_from = 2020-01-01
title = {{ en = "House rules", zh = "院规" }}

[[rule]]
id = "HOUSE.CAP"
kind = "frequency_cap"
authority = "hospital"
certainty = "I"
title = {{ en = "cap", zh = "上限" }}
sources = [{{ instrument = "house rules", version = "2026-01-01", article = "1" }}]
[rule.params]
max = {maximum}
window = "P1D"
"""
BUNDLED = [bundled_bytes(name) for name in DEFAULT_PACKS]


def house(maximum, version="1"):
    return HOUSE.format(maximum=maximum, version=version).encode()


def policies(world):
    with world.link.wiring.store.reader() as reader:
        bodies = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
    return [body for body in bodies if isinstance(body, PolicyBody)]


def test_a_pack_that_is_added_narrows_at_once_and_needs_nobody_else(world):
    patient = world.patient()
    request = world.ask(patient)
    assert world.link.preview(request).effect is Effect.PERMIT
    world.link.adopt([*BUNDLED, house(0)], actor="office")
    outcome = world.link.send(request)
    assert outcome.effect is Effect.REFUSE
    assert ReasonCode.CAP_EXCEEDED in outcome.decision.codes
    assert policies(world)[-1].loosens is False


@pytest.mark.parametrize("changed", [BUNDLED, [*BUNDLED, house(9, "2")], [*BUNDLED[:-1], house(0)]],
                         ids=["dropped", "replaced", "another dropped"])  # fmt: skip
@pytest.mark.parametrize("approvers", [(), ("chen",), ("chen", "chen")], ids=["nobody", "one", "the same one twice"])
def test_a_pack_in_force_does_not_go_without_two_persons(world, changed, approvers):
    world.link.adopt([*BUNDLED, house(0)], actor="office")
    before = len(policies(world))
    with pytest.raises(PolicyError):
        world.link.adopt(changed, actor="office", approvers=approvers)
    assert len(policies(world)) == before
    assert world.link.preview(world.ask(world.patient())).effect is Effect.REFUSE


def test_with_two_approvers_it_goes_and_the_log_says_who(world):
    world.link.adopt([*BUNDLED, house(0)], actor="office")
    world.link.adopt(BUNDLED, actor="office", approvers=("chen", "novak"))
    last = policies(world)[-1]
    assert last.loosens is True
    assert len(set(last.approvers)) == 2
    assert world.link.send(world.ask(world.patient())).effect is Effect.PERMIT


def test_a_permit_that_waits_meets_the_narrower_policy_at_its_claim(world):
    request = world.ask(world.patient())
    assert world.link.permit_many([request])[0].effect is Effect.PERMIT
    world.link.adopt([*BUNDLED, house(0)], actor="office")
    assert world.link.send(request).effect is Effect.REFUSE
    assert world.email.handed == []


def test_no_pack_can_say_that_something_is_allowed():
    text = house(1).decode().replace('kind = "frequency_cap"', 'kind = "frequency_cap"\neffect = "permit"')
    with pytest.raises(PolicyError):
        parse_pack(text.encode())
