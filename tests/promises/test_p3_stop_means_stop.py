"""P3: once a stop commits, no claim in its scope commits and no first byte leaves later than one lease."""

from __future__ import annotations

from pathlib import Path

import pytest

from carelink.consent.reasons import ReasonCode
from carelink.engine.parts import LEASE
from carelink.model.moment import SECOND
from carelink.ports.channel import ChannelEvent
from carelink.testing.fakes import RecordingChannel
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, DeliveryEvent, Effect


def _reply(world, address, text="退订"):
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(address), text=Personal(text))
    return world.link.inbound("sms", [event])[0]


def test_a_stop_voids_waiting_permits_and_later_requests(world):
    patient = world.patient(consent=("care", "marketing"))
    request = world.ask(patient, purpose="marketing.service", channel="sms")
    assert world.link.permit_many([request])[0].effect is Effect.PERMIT
    result = _reply(world, "+8613800000001")
    assert len(result.released) == 1
    world.clock.advance(SECOND)
    outcome = world.link.send(request)
    assert outcome.effect is Effect.REFUSE
    assert ReasonCode.OPTED_OUT in outcome.decision.codes
    assert world.sms.handed == []


def test_stopping_marketing_does_not_stop_care(world):
    patient = world.patient(consent=("care", "marketing"))
    _reply(world, "+8613800000001")
    assert world.link.send(world.ask(patient, purpose="care.appointment", channel="sms")).effect is Effect.PERMIT


def test_a_stop_in_answer_to_a_care_message_stops_that_care_on_that_channel_only(world):
    patient = world.patient()
    assert world.link.send(world.ask(patient, channel="sms")).effect is Effect.PERMIT
    _reply(world, "+8613800000001", "TD")
    assert world.link.send(world.ask(patient, channel="sms")).effect is Effect.REFUSE
    assert world.link.send(world.ask(patient, channel="sms", purpose="care.medication")).effect is Effect.PERMIT
    assert world.link.send(world.ask(patient, channel="email")).effect is Effect.PERMIT


def test_a_stop_binds_everybody_on_the_address_and_each_person_elsewhere(world):
    mother = world.patient(consent=("care", "marketing"), phone="+8613900000007")
    father = world.patient(consent=("care", "marketing"), phone="+8613900000007")
    _reply(world, "+8613900000007")
    for person in (mother, father):
        for channel in ("sms", "email"):
            outcome = world.link.send(world.ask(person, purpose="marketing.service", channel=channel))
            assert ReasonCode.OPTED_OUT in outcome.decision.codes


def test_a_stop_from_an_unknown_address_waits_for_whoever_gets_it(world):
    _reply(world, "+8613700000000")
    late = world.patient(consent=("care", "marketing"), phone="+8613700000000")
    outcome = world.link.send(world.ask(late, purpose="marketing.service", channel="sms"))
    assert ReasonCode.OPTED_OUT in outcome.decision.codes


def test_an_opt_in_lifts_only_its_own_person(world):
    mother = world.patient(consent=("marketing",), phone="+8613900000007")
    _reply(world, "+8613900000007")
    assert world.link.lift(mother, purposes=["*"], channels=["*"], actor="nurse")
    outcome = world.link.send(world.ask(mother, purpose="marketing.service", channel="sms"))
    assert ReasonCode.OPTED_OUT in outcome.decision.codes  # the address itself is still stopped
    assert world.link.preview(world.ask(mother, purpose="marketing.service", channel="email")).effect is Effect.PERMIT


def test_withdrawal_and_death_end_waiting_permits_at_the_claim(world):
    gone, dead = world.patient(), world.patient()
    requests = [world.ask(gone), world.ask(dead)]
    assert [outcome.effect for outcome in world.link.permit_many(requests)] == [Effect.PERMIT] * 2
    world.link.withdraw(gone, purposes=["care"])
    world.link.died(dead)
    outcomes = world.link.send_many(requests)
    assert [outcome.effect for outcome in outcomes] == [Effect.REFUSE] * 2
    assert ReasonCode.WITHDRAWN in outcomes[0].decision.codes
    assert ReasonCode.SUBJECT_DECEASED in outcomes[1].decision.codes
    assert world.email.handed == []


def test_the_same_event_twice_acts_once(world):
    world.patient()
    event = ChannelEvent(
        event=DeliveryEvent.REPLIED, address=Personal("+8613800000001"), text=Personal("STOP"), event_id="e-1"
    )
    assert world.link.inbound("sms", [event])[0].actions == ("stopped",)
    assert world.link.inbound("sms", [event])[0].actions == ("repeated",)


def _slow_world(folder: Path, people: int, takes: int):
    world = World(folder)
    slow = RecordingChannel("slow", ChannelKind.SMS, AddressKind.PHONE, clock=world.clock, latency=takes, takes=takes)
    world.link.close()
    world = World(folder.with_name("second"), channels=[slow])
    slow._clock = world.clock
    world.content()
    patients = [world.patient(consent=("marketing",)) for _ in range(people)]
    return world, slow, patients


@pytest.mark.parametrize("people", [60, pytest.param(1000, marks=pytest.mark.slow)])
def test_permits_waiting_behind_a_slow_channel_meet_a_stop(tmp_path, people):
    """SMTP-like latency, stops arriving between attempts: nobody stopped is handed anything later than one lease."""
    world, slow, patients = _slow_world(tmp_path / "first", people, takes=200_000)
    requests = [world.ask(p, purpose="marketing.service", channel="sms") for p in patients]
    assert {outcome.effect for outcome in world.link.permit_many(requests)} == {Effect.PERMIT}
    stopped_at: dict[str, int] = {}
    order = iter(range(people - 1, -1, -1))

    def stop_someone(_prepared):
        if len(slow.handed) % 5 == 4:
            number = next(order) + 1
            address = f"+86138{number:08d}"
            result = _reply_to(world, "slow", address)
            stopped_at[address] = world.clock.now()
            assert len(result.in_flight) <= 13

    slow.before_send = stop_someone
    world.link.send_many(requests)
    assert stopped_at
    for item in slow.handed:
        if item.address in stopped_at:
            assert item.at < stopped_at[item.address] + LEASE
    late = [item for item in slow.handed if item.address in stopped_at and item.at > stopped_at[item.address]]
    assert len(slow.handed) < people
    assert len(late) <= len(stopped_at)
    world.link.close()


def _reply_to(world, channel, address):
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(address), text=Personal("STOP"))
    return world.link.inbound(channel, [event])[0]
