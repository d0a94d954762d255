"""P6: one attempt a permit; "maybe delivered" has a name, counts, and is repeated only where a repeat is harmless."""

from __future__ import annotations

import pytest

from carelink.audit.bodies import HandoverBody
from carelink.audit.entry import parse_entry
from carelink.consent.reasons import ReasonCode
from carelink.errors import ConflictError
from carelink.model.moment import DAY
from carelink.vocabulary import Effect, Outcome

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
