"""`send` over many requests: keys that stand twice, streams, permits that ended, leases, interrupts, progress."""

from __future__ import annotations

import attrs
import pytest

from carelink.consent.reasons import ReasonCode
from carelink.engine.parts import LEASE
from carelink.errors import ConflictError, InvalidInputError, NotFoundError
from carelink.model.moment import HOUR, MINUTE, SECOND, Instant, parse_instant
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.testing.world import World
from carelink.vocabulary import AddressKind, ChannelKind, Effect, Outcome, ReservationState


class Killed(BaseException):
    pass


def _slow_world(tmp_path, **more):
    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    slow = RecordingChannel("slow", ChannelKind.SMS, AddressKind.PHONE, clock=clock, **more)
    world = World(tmp_path / "slow", clock=clock, channels=[slow])
    world.content()
    return world, slow


# -- what may stand in a batch ---------------------------------------------------------------------------------------


def test_an_empty_batch_is_an_empty_answer(world):
    assert world.link.send_many([]) == []
    assert world.link.preview_many([]) == []
    assert world.link.permit_many([]) == []


def test_requests_may_come_as_a_stream(world):
    patients = [world.patient() for _ in range(5)]
    world.link.parts.options = attrs.evolve(world.link.parts.options, chunk=2)
    outcomes = world.link.send_many(world.ask(patient) for patient in patients)
    assert [outcome.receipt.outcome for outcome in outcomes] == [Outcome.ACCEPTED] * 5
    assert len(world.email.handed) == 5


def test_a_key_that_stands_twice_is_one_contact(world):
    first, other = world.patient(), world.patient()
    request = world.ask(first, key="k")
    again, more = world.ask(first, key="k"), world.ask(other, key="k")
    outcomes = world.link.send_many([request, again, more, world.ask(other, key="l")])
    assert [outcome.effect for outcome in outcomes] == [Effect.PERMIT, Effect.PERMIT, Effect.REFUSE, Effect.PERMIT]
    assert [outcome.repeated for outcome in outcomes] == [False, True, False, False]
    assert isinstance(outcomes[2].error, ConflictError)
    assert len(world.email.handed) == 2
    assert world.divergences() == []


def test_a_refused_key_that_stands_twice_is_decided_once(world):
    patient = world.patient(consent=())
    outcomes = world.link.send_many([world.ask(patient, key="k"), world.ask(patient, key="k")])
    assert [outcome.decision.codes for outcome in outcomes] == [outcomes[0].decision.codes] * 2
    assert len(world.link.why("k", actor="test").happened) == 1


def test_permit_and_preview_know_a_key_that_stands_twice(world):
    patient = world.patient()
    twice = [world.ask(patient, key="k"), world.ask(patient, key="k", template="other")]
    for answer in (world.link.preview_many(twice), world.link.permit_many(twice)):
        assert answer[0].effect is Effect.PERMIT
        assert isinstance(answer[1].error, ConflictError)


def test_one_bad_request_spoils_no_other(world):
    patient = world.patient()
    world.content("named", "Dear {title}")
    bad = [
        world.ask("f" * 32),
        world.ask(patient, channel="pigeon"),
        world.ask(patient, template="named"),
        world.ask(patient, template="named", variables={"title": "x", "more": "y"}),
        world.ask(patient, recipient="a" * 32),
    ]
    outcomes = world.link.send_many([*bad[:3], world.ask(patient), *bad[3:]])
    kinds = [type(outcome.error) for outcome in outcomes]
    assert kinds == [NotFoundError, NotFoundError, InvalidInputError, type(None), InvalidInputError, NotFoundError]
    assert len(world.email.handed) == 1


def test_a_template_named_like_a_phone_number_costs_only_its_own_request(world):
    """The log holds no digits that could be a number: such a request cannot be written down, and is not decided."""
    patient = world.patient()
    outcomes = world.link.send_many([world.ask(patient, template="13800138000"), world.ask(patient)])
    assert outcomes[0].effect is Effect.REFUSE
    assert outcomes[0].error is not None
    assert outcomes[1].receipt.outcome is Outcome.ACCEPTED


def test_the_same_key_later_is_told_what_became_of_it(world):
    request = world.ask(world.patient())
    first = world.link.send(request)
    again = world.link.send(request)
    assert again.repeated
    assert again.receipt.reservation == first.receipt.reservation
    assert again.receipt.outcome is Outcome.ACCEPTED
    with pytest.raises(ConflictError):
        world.link.send(attrs.evolve(request, template="other"))
    assert len(world.email.handed) == 1


def test_a_refused_key_is_decided_afresh(world):
    patient = world.patient(consent=())
    request = world.ask(patient)
    assert world.link.send(request).effect is Effect.REFUSE
    world.link.grant(patient, purposes=["care"], channels=["email"], evidence="form")
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED


# -- permits that wait -----------------------------------------------------------------------------------------------


def test_an_expired_permit_is_decided_again_in_the_same_call(world):
    request = world.ask(world.patient())
    world.link.permit_many([request])
    world.link.send(world.ask(world.patient()))  # recovers, and does not do so again for a lease
    world.clock.advance(HOUR + SECOND)
    world.link._outreach._recovered = world.clock.monotonic()
    outcome = world.link.send(request)
    assert outcome.effect is Effect.PERMIT
    assert outcome.receipt.outcome is Outcome.ACCEPTED
    assert not outcome.repeated
    assert world.divergences() == []


def test_a_permit_that_was_stopped_before_its_claim_is_decided_again(tmp_path):
    """The stop comes between the decision and the claim, while others are handed over."""
    world, slow = _slow_world(tmp_path, latency=SECOND, takes=SECOND)
    patients = [world.patient() for _ in range(6)]
    requests = [world.ask(patient, channel="sms") for patient in patients]
    slow.before_send = lambda _: world.link.stop(patients[5], purposes=["care"]) if len(slow.handed) == 0 else None
    outcomes = world.link.send_many(requests)
    assert [outcome.effect for outcome in outcomes] == [Effect.PERMIT] * 5 + [Effect.REFUSE]
    assert ReasonCode.SUPPRESSED in outcomes[5].decision.codes
    assert len(slow.handed) == 5
    assert world.divergences() == []


def test_a_permit_keeps_its_version_and_its_channel(tmp_path):
    """Between permit and claim a newer version is approved and the route of the kind moves."""
    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    one = RecordingChannel("mail-one", ChannelKind.EMAIL, AddressKind.EMAIL, clock=clock)
    two = RecordingChannel("mail-two", ChannelKind.EMAIL, AddressKind.EMAIL, clock=clock)
    world = World(tmp_path / "w", clock=clock, channels=[one, two])
    world.content(body="Version one.")
    routes = {"email": "mail-one"}
    world.link.parts.options = attrs.evolve(world.link.parts.options, routes=routes)
    request = world.ask(world.patient())
    world.link.permit_many([request])
    world.content(body="Version two.", version=2)
    routes["email"] = "mail-two"
    outcome = world.link.send(request)
    assert outcome.receipt.outcome is Outcome.ACCEPTED
    assert [item.body for item in one.handed] == ["Version one."]
    assert two.handed == []
    assert world.link.send(request).repeated
    assert world.divergences() == []
    world.link.close()


def test_a_permit_that_another_run_sent_is_no_conflict(world):
    """Two runs with the same request for the newest version: the second finds it sent, not changed."""
    request = world.ask(world.patient())
    world.link.permit_many([request])
    gate = world.link._outreach.gate
    from carelink.engine.membership import ask

    pending = gate.decide([ask(world.link.parts, request)], claim=0)
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED
    (late,) = gate.claim(pending)
    assert late.error is None
    assert late.earlier.state is ReservationState.SPENT


def test_a_permit_whose_channel_is_gone_says_so_and_sends_nothing(world):
    request = world.ask(world.patient())
    world.link.permit_many([request])
    channels = dict(world.link.parts.channels)
    del channels["rec-email"]
    world.link.parts.channels = channels
    (outcome,) = world.link.send_many([request])
    assert isinstance(outcome.error, NotFoundError)
    assert world.email.handed == []


# -- leases ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes", [3 * SECOND, 6 * SECOND])
def test_a_channel_slower_than_it_says_reaches_everybody(tmp_path, takes):
    """It declares a tenth of a second. Claims shrink to what it takes; nothing leaves after its lease."""
    world, slow = _slow_world(tmp_path, latency=100_000, takes=takes)
    requests = [world.ask(world.patient(), channel="sms") for _ in range(30)]
    outcomes = world.link.send_many(requests)
    assert [outcome.receipt.outcome for outcome in outcomes] == [Outcome.ACCEPTED] * 30
    assert len({item.key for item in slow.handed}) == len(slow.handed) == 30
    assert world.divergences() == []


def test_a_channel_that_is_always_late_is_given_up(tmp_path):
    """Time is lost before every attempt, so that no claim is ever used: three rounds, then the caller is told."""
    world, slow = _slow_world(tmp_path)
    request = world.ask(world.patient(), channel="sms")
    prefetch = world.link.safe.prefetch

    def late(owners):
        world.clock.advance(LEASE)
        prefetch(owners)

    world.link.safe.prefetch = late
    outcome = world.link.send(request)
    assert outcome.effect is Effect.PERMIT
    assert outcome.receipt.released == "lease_ran_out"
    assert outcome.receipt.outcome is None
    assert slow.handed == []
    del world.link.safe.prefetch
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED


def test_an_interrupt_leaves_one_claim_in_doubt_and_no_other(tmp_path):
    """What was handed over is recorded, what was not tried is released; only the attempt under way is unknown."""
    world, slow = _slow_world(tmp_path)
    requests = [world.ask(world.patient(), channel="sms") for _ in range(5)]

    def interrupt(_prepared):
        if len(slow.handed) == 2:
            raise Killed

    slow.before_send = interrupt
    with pytest.raises(Killed):
        world.link.send_many(requests)
    slow.before_send = None
    world.clock.advance(LEASE)
    found = world.link.recover()
    assert (found.unknown, found.looked_up) == (1, 0)
    outcomes = world.link.send_many(requests)
    assert [outcome.receipt.outcome for outcome in outcomes] == [
        Outcome.ACCEPTED, Outcome.ACCEPTED, Outcome.UNKNOWN, Outcome.ACCEPTED, Outcome.ACCEPTED,
    ]  # fmt: skip
    assert len(slow.handed) == 4
    assert world.divergences() == []


# -- progress --------------------------------------------------------------------------------------------------------


def test_progress_hears_of_each_request_once_and_early(tmp_path):
    world, slow = _slow_world(tmp_path, latency=SECOND, takes=SECOND)
    dead = world.patient()
    world.link.died(dead)
    patients = [*(world.patient() for _ in range(6)), dead]
    requests = [world.ask(patient, channel="sms", key=f"k{n}") for n, patient in enumerate(patients)]
    heard = []
    outcomes = world.link.send_many([*requests, requests[0]], progress=lambda _: heard.append(len(slow.handed)))
    assert len(heard) == len(outcomes) == 8
    assert heard[0] < 6, "it is told before the whole chunk is through"


def test_progress_that_raises_stops_the_run_and_loses_nothing(tmp_path):
    world, slow = _slow_world(tmp_path, latency=SECOND, takes=SECOND)
    requests = [world.ask(world.patient(), channel="sms") for _ in range(6)]

    def broken(_outcome):
        raise RuntimeError("a progress bar fell over")

    with pytest.raises(RuntimeError):
        world.link.send_many(requests, progress=broken)
    assert 0 < len(slow.handed) < 6
    world.clock.advance(MINUTE)
    outcomes = world.link.send_many(requests)
    assert {outcome.receipt.outcome for outcome in outcomes} == {Outcome.ACCEPTED}
    assert len({item.key for item in slow.handed}) == len(slow.handed) == 6
    assert world.divergences() == []


def test_a_wish_for_later_waits_for_its_instant(world):
    patient = world.patient()
    at = Instant(world.clock.now() + HOUR)
    request = world.ask(patient, not_before=at)
    outcome = world.link.send(request)
    assert outcome.effect is Effect.DEFER
    assert outcome.decision.earliest == at
    world.clock.advance(HOUR - 1)
    assert world.link.send(request).effect is Effect.DEFER
    world.clock.advance(1)
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED
