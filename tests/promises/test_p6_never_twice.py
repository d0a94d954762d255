"""P6: one attempt a permit; "maybe delivered" has a name, counts, and is repeated only where a repeat is harmless."""

from __future__ import annotations

import attrs
import pytest

from carelink.app import CareLink
from carelink.audit.bodies import HandoverBody
from carelink.audit.entry import parse_entry
from carelink.consent.reasons import ReasonCode
from carelink.engine.parts import LEASE, MAX_SKEW
from carelink.errors import ConflictError
from carelink.model.moment import DAY, SECOND, Instant, parse_instant
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.testing.world import World
from carelink.vocabulary import AddressKind, ChannelKind, Effect, Outcome

COUNTED = (Outcome.ACCEPTED, Outcome.AWAITING_HUMAN, Outcome.UNKNOWN)


def attempts(world):
    with world.link.wiring.store.reader() as reader:
        bodies = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
    return [body.outcome for body in bodies if isinstance(body, HandoverBody)]


@pytest.mark.parametrize("outcome", COUNTED)
def test_what_may_have_arrived_is_not_sent_again_whatever_happens_since(world, outcome):
    world.email.script = iter([outcome])
    request = world.ask(world.patient(), key="once")
    assert world.link.send(request).receipt.outcome is outcome
    for _ in range(3):
        again = world.link.send(request)
        assert again.repeated
        assert again.receipt.outcome is outcome
        world.clock.advance(DAY)
        world.restart()
    assert attempts(world) == [outcome]
    assert len(world.email.handed) == 1


@pytest.mark.parametrize(
    "outcome", [each for each in Outcome if each not in (*COUNTED, Outcome.OPTED_OUT, Outcome.ACCOUNT)]
)
def test_what_certainly_did_not_arrive_may_be_asked_for_again(world, outcome):
    world.email.script = iter([outcome])
    request = world.ask(world.patient(), key="again")
    assert world.link.send(request).receipt.outcome is outcome
    second = world.link.send(request)
    assert not second.repeated
    assert second.receipt.outcome is Outcome.ACCEPTED
    assert attempts(world) == [outcome, Outcome.ACCEPTED]


def test_a_channel_that_raises_leaves_unknown_and_no_second_attempt(world):
    def broken(_prepared):
        raise OSError("the link died somewhere")

    world.email.before_send = broken
    request = world.ask(world.patient(), key="raised")
    assert world.link.send(request).receipt.outcome is Outcome.UNKNOWN
    world.email.before_send = None
    assert world.link.send(request).repeated
    assert world.email.handed == []
    assert attempts(world) == [Outcome.UNKNOWN]


def test_an_unknown_counts_against_caps(world):
    world.email.script = iter([Outcome.UNKNOWN] * 3)
    patient = world.patient()
    for _ in range(3):
        assert world.link.send(world.ask(patient)).effect is Effect.PERMIT
    capped = world.link.send(world.ask(patient))
    assert ReasonCode.CAP_EXCEEDED in capped.decision.codes


def test_a_key_names_one_contact(world):
    patient = world.patient()
    assert world.link.send(world.ask(patient, key="k")).effect is Effect.PERMIT
    with pytest.raises(ConflictError):
        world.link.send(world.ask(patient, key="k", purpose="care.medication"))
    with pytest.raises(ConflictError):
        world.link.send(world.ask(world.patient(), key="k"))
    assert len(world.email.handed) == 1


@pytest.mark.parametrize("ahead", [LEASE, 30 * SECOND, 66 * SECOND, 110 * SECOND, MAX_SKEW])
def test_a_process_whose_clock_is_ahead_does_not_give_back_what_is_being_handed_over(tmp_path, ahead):
    """Two processes, each trusting its clock: what one is handing over is long overdue by the other's."""
    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    far = RecordingChannel("far", ChannelKind.EMAIL, AddressKind.EMAIL, clock=clock, lookup=True)
    world = World(tmp_path / "w", sqlite=True, channels=[far], clock=clock)
    world.content()
    request = world.ask(world.patient())
    other = CareLink(attrs.evolve(world._wire(), clock=FakeClock(Instant(clock.now() + ahead))))

    def meanwhile(_prepared):
        far.before_send = None
        assert other.recover().in_flight == 1
        assert other.send(request).in_flight

    far.before_send = meanwhile
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED
    assert len(far.handed) == len(attempts(world)) == 1
    other.close()
    assert world.divergences() == []
    world.link.close()
