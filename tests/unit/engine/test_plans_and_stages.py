"""Plans, topics and stages go the whole path: from the request and the ledger into facts, log, replay and a rebuilt store."""

from __future__ import annotations

from datetime import date

import pytest

from carelink.audit.entry import parse_entry
from carelink.audit.kinds import Kind
from carelink.consent.reasons import ReasonCode
from carelink.errors import InvalidInputError
from carelink.vocabulary import AgeBand, Effect, GrantMethod, LifecycleStage


def _entries(world, kind):
    with world.link.wiring.store.reader() as reader:
        found = [parse_entry(data) for data in reader.entries(0, reader.head().size)]
    return [entry.body for entry in found if entry.body.kind is kind]


def _bare(world):
    """A patient without any grant."""
    return world.patient(consent=())


def test_a_stop_of_one_plan_leaves_the_others(world):
    patient = world.patient()
    world.link.stop(patient, purposes=["care"], plans=["walk-21"])
    inside = world.link.send(world.ask(patient, plan="walk-21"))
    other = world.link.send(world.ask(patient, plan="recheck-year"))
    without = world.link.send(world.ask(patient))
    assert ReasonCode.SUPPRESSED in inside.decision.codes
    assert (other.effect, without.effect) == (Effect.PERMIT, Effect.PERMIT)


def test_a_grant_for_a_plan_carries_only_its_messages(world):
    patient = _bare(world)
    world.link.grant(patient, purposes=["care"], channels=["email"], plans=["walk-21"], evidence="form 7")
    assert world.link.send(world.ask(patient, plan="walk-21")).effect is Effect.PERMIT
    assert ReasonCode.NO_CONSENT in world.link.send(world.ask(patient)).decision.codes


def test_a_stop_of_a_plan_releases_the_permits_of_that_plan_only(world):
    patient = world.patient()
    inside, outside = world.ask(patient, plan="walk-21"), world.ask(patient)
    world.link.permit_many([inside, outside])
    stopped = world.link.stop(patient, purposes=["*"], plans=["walk-21"])
    assert len(stopped.released) == 1
    assert [item.effect for item in world.link.send_many([inside, outside])] == [Effect.REFUSE, Effect.PERMIT]


def test_plan_topic_stage_and_method_are_in_the_entries(world):
    patient = _bare(world)
    world.link.stage(patient, "treatment")
    world.link.grant(patient, purposes=["care"], channels=["email"], evidence="form 7", method="incentivised")
    world.link.send(world.ask(patient, plan="walk-21", topic="day-one", data=["diagnosis", "appointment"]))
    world.link.send(world.ask(patient, plan="walk-21", topic="day-two"))
    first, second = _entries(world, Kind.DECISION)[-2:]
    assert (first.facts.ask.plan, first.facts.ask.topic) == ("walk-21", "day-one")
    assert first.facts.ask.data == ("appointment", "diagnosis")
    assert first.facts.stage.value is LifecycleStage.TREATMENT
    assert first.facts.grants.value[-1].method in (GrantMethod.INCENTIVISED, GrantMethod.EXPLICIT)
    assert {grant.method for grant in first.facts.grants.value} >= {GrantMethod.INCENTIVISED}
    assert [(touch.plan, touch.topic) for touch in second.facts.touches.value.items] == [("walk-21", "day-one")]


def test_a_childs_grant_keeps_the_age_it_was_given_at(world):
    child = world.patient(birth=date(2015, 1, 1))
    world.link.grant(child, purposes=["education"], channels=["email"], evidence="form 8", by="guardian")
    grown = world.patient(consent=())
    world.link.grant(grown, purposes=["education"], channels=["email"], evidence="form 9")
    bodies = _entries(world, Kind.CONSENT_GRANTED)
    assert bodies[-2].age in (AgeBand.FROM_8, AgeBand.UNDER_8)
    assert bodies[-1].age is None


@pytest.mark.parametrize("name", ["Walk", "7days", "walk_21", "w" * 33, "walk 21"])
def test_a_plan_has_a_plain_name(world, name):
    with pytest.raises(InvalidInputError):
        world.ask(world.patient(), plan=name)
    with pytest.raises(InvalidInputError):
        world.link.stop(world.patient(), purposes=["*"], plans=[name])


def test_the_same_key_for_another_plan_is_a_conflict(world):
    patient = world.patient()
    world.link.send(world.ask(patient, key="one", plan="walk-21"))
    other = world.link.send_many([world.ask(patient, key="one", plan="recheck-year")])[0]
    assert other.error is not None and other.error.code == "input.conflict"
