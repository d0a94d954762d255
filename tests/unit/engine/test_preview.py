"""Preview says what `send` would, mints nothing and leaves no trace."""

from __future__ import annotations

from datetime import date

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carelink.engine.locks import person_gate
from carelink.engine.parts import MAX_SKEW
from carelink.errors import ConflictError
from carelink.model.moment import DAY, HOUR, MINUTE
from carelink.testing.world import World
from carelink.vocabulary import Effect


def _trace(world):
    """Everything preview could have changed."""
    with world.link.wiring.store.reader() as reader:
        head = reader.head()
        people = reader.page_patients("", 1000)
        gates = [gate for row in people for gate in (person_gate(row.person),)]
        return head, reader.last_instants(gates), people


def _compare(world, requests):
    """Preview, then send, and compare request by request."""
    before = _trace(world)
    handed = len(world.email.handed) + len(world.sms.handed)
    forecasts = world.link.preview_many(requests)
    assert _trace(world) == before
    assert len(world.email.handed) + len(world.sms.handed) == handed
    outcomes = world.link.send_many(requests)
    for forecast, outcome in zip(forecasts, outcomes, strict=True):
        assert forecast.effect is outcome.effect
        assert type(forecast.error) is type(outcome.error)
        if forecast.decision is not None and outcome.decision is not None:
            assert forecast.decision.codes == outcome.decision.codes
            assert forecast.decision.earliest == outcome.decision.earliest
        assert forecast.handed_over_before is (outcome.repeated and forecast.decision is None)
    return forecasts


def test_a_preview_of_many_counts_like_a_send_of_many(world):
    patient = world.patient(consent=("care", "marketing"))
    requests = [world.ask(patient, purpose="marketing.service") for _ in range(3)]
    forecasts = _compare(world, requests)
    assert [forecast.effect for forecast in forecasts] == [Effect.PERMIT, Effect.REFUSE, Effect.REFUSE]


def test_it_counts_from_chunk_to_chunk(world):
    world.link.parts.options = attrs.evolve(world.link.parts.options, chunk=2)
    patient = world.patient()
    requests = [world.ask(patient) for _ in range(5)]
    forecasts = _compare(world, requests)
    assert [forecast.effect for forecast in forecasts] == [Effect.PERMIT] * 3 + [Effect.REFUSE] * 2


def test_a_key_used_before_is_told(world):
    request = world.ask(world.patient())
    world.link.send(request)
    (forecast,) = _compare(world, [request])
    assert forecast.handed_over_before
    changed = attrs.evolve(request, template="other")
    assert isinstance(world.link.preview(changed).error, ConflictError)


def test_a_permit_that_waits_is_previewed_as_its_claim(world):
    patient = world.patient(consent=("marketing",))
    request = world.ask(patient, purpose="marketing.service")
    world.link.permit_many([request])
    (forecast,) = _compare(world, [request])
    assert forecast.effect is Effect.PERMIT
    assert not forecast.handed_over_before


@pytest.mark.parametrize("ahead", [MAX_SKEW, MAX_SKEW + 1])
def test_it_sees_the_gate_rows(world, ahead):
    patient = world.patient()
    with world.link.wiring.store.transaction() as tx:
        gate = person_gate(tx.patients([patient])[patient].person)
        tx.lock([gate])
        tx.advance([gate], world.clock.now() + ahead)
    (forecast,) = _compare(world, [world.ask(patient)])
    assert (forecast.effect is Effect.PERMIT) is (ahead == MAX_SKEW)
    assert forecast.decision.at == world.clock.now() + ahead


def test_it_takes_no_lock_and_needs_no_writer(on_disk):
    patient = on_disk.patient()
    with on_disk.link.wiring.store.transaction() as tx:
        tx.lock([])
        assert on_disk.another().preview(on_disk.ask(patient)).effect is Effect.PERMIT


@settings(max_examples=max(5, settings.default.max_examples // 4))
@given(data=st.data())
def test_preview_and_send_agree(data, tmp_path_factory):
    """Random people, wishes and hours; permits waiting; a key used before; and then both are asked."""
    world = World(tmp_path_factory.mktemp("p") / "w")
    world.content()
    world.content("draft", approvals=0)
    draw = data.draw
    people = [
        world.patient(
            consent=draw(st.sampled_from([(), ("care",), ("care", "marketing")])),
            birth=draw(st.sampled_from([date(1980, 5, 17), date(2018, 1, 1), date(2010, 1, 1), None])),
            phone=draw(st.sampled_from(["", "+8613900000007", None])),
        )
        for _ in range(3)
    ]
    if draw(st.booleans()):
        world.link.died(people[0])
    if draw(st.booleans()):
        world.link.stop(people[1], purposes=["marketing"])

    def wish():
        return world.ask(
            draw(st.sampled_from(people)),
            purpose=draw(st.sampled_from(["care.appointment", "marketing.service", "education.health"])),
            channel=draw(st.sampled_from(["email", "sms", "pigeon"])),
            template=draw(st.sampled_from(["note", "note", "draft", "nobody"])),
            wait=draw(st.booleans()),
            useless_after=draw(st.sampled_from([None, world.clock.now() + HOUR])),
        )

    world.link.permit_many([wish() for _ in range(draw(st.integers(0, 3)))])
    sent = [wish() for _ in range(draw(st.integers(0, 3)))]
    world.link.send_many(sent)
    world.clock.advance(draw(st.sampled_from([0, MINUTE, 13 * HOUR, DAY])))
    world.link.recover()
    _compare(world, [*sent, *(wish() for _ in range(6))])
    assert world.divergences() == []
    world.link.close()
