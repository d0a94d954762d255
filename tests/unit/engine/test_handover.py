"""From claim to attempt: leases on two clocks, addresses and names that do not open, text that was changed."""

from __future__ import annotations

from datetime import date

import attrs
import pytest

from carelink.engine.handover import exact_content
from carelink.engine.parts import LEASE
from carelink.errors import KeyProviderError
from carelink.model.moment import MINUTE, SECOND, parse_instant
from carelink.ports.rows import SealedRow
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.testing.world import World
from carelink.vocabulary import AddressKind, ChannelKind, Effect, Outcome


@pytest.fixture
def timed(tmp_path):
    """A world whose channel notes the monotonic instant of each first byte."""
    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    sms = RecordingChannel("sms-one", ChannelKind.SMS, AddressKind.PHONE, clock=clock)
    world = World(tmp_path / "t", clock=clock, channels=[sms])
    world.content()
    yield world, sms
    world.link.close()


def _delay(world, between):
    """Do something between the claim's commit and the hand-over."""
    prefetch = world.link.safe.prefetch

    def late(owners):
        prefetch(owners)
        between()

    world.link.safe.prefetch = late


def test_a_wall_clock_stepped_back_makes_no_lease_longer(timed):
    world, sms = timed
    patient = world.patient()
    began = world.clock.monotonic()
    done = []

    def between():
        if not done:
            world.clock.advance(LEASE)
            world.clock.step(-90 * SECOND)
        done.append(len(sms.handed))

    _delay(world, between)
    outcome = world.link.send(world.ask(patient, channel="sms"))
    assert done == [0, 0]
    assert [entry.says for entry in world.link.why(outcome.ref, actor="test").happened] == [
        "permit", "lease_ran_out", "permit", "accepted",
    ]  # fmt: skip
    assert world.clock.monotonic() == began + LEASE
    assert world.divergences() == []


def test_gate_rows_ahead_of_the_clock_make_no_lease_longer(timed):
    """Another host's clock was 100 s ahead: the decision's instant is, and so is the recorded lease."""
    world, _sms = timed
    patient = world.patient()
    with world.link.wiring.store.transaction() as tx:
        row = tx.patients([patient])[patient]
        from carelink.engine.locks import person_gate

        gate = person_gate(row.person)
        tx.lock([gate])
        tx.advance([gate], world.clock.now() + 100 * SECOND)
    done = []
    _delay(world, lambda: (not done and world.clock.advance(LEASE), done.append(1)))
    outcome = world.link.send(world.ask(patient, channel="sms"))
    assert len(done) == 2, "the first claim's lease ran out; a second one was made"
    assert outcome.receipt.outcome is Outcome.ACCEPTED
    story = [entry.says for entry in world.link.why(outcome.ref, actor="test").happened]
    assert story == ["permit", "lease_ran_out", "permit", "accepted"]
    assert world.divergences() == []


def test_a_first_byte_leaves_until_just_before_the_end(timed):
    world, sms = timed
    patient = world.patient()
    _delay(world, lambda: world.clock.advance(LEASE - 1))
    assert world.link.send(world.ask(patient, channel="sms")).receipt.outcome is Outcome.ACCEPTED
    assert len(sms.handed) == 1


def test_time_that_passes_while_preparing_counts(timed):
    world, sms = timed
    prepare = sms.prepare

    def slow(message):
        world.clock.advance(LEASE)
        world.clock.step(-LEASE)
        return prepare(message)

    sms.prepare = slow
    outcome = world.link.send(world.ask(world.patient(), channel="sms"))
    assert outcome.receipt.outcome is Outcome.NOT_SENT
    assert outcome.receipt.code == "lease_over"
    assert sms.handed == []


def test_a_lease_that_ends_between_look_and_use_costs_no_other_claim(timed, monkeypatch):
    """The clock crosses the lease just before the permit is redeemed: a cause, not an exception through the batch."""
    world, sms = timed
    patients = [world.patient() for _ in range(3)]
    attempt = world.link.parts.dispatcher.attempt
    calls = []

    def crossing(*given, **named):
        calls.append(1)
        if len(calls) == 2:
            world.clock.advance(LEASE)
        return attempt(*given, **named)

    class Crossing:
        lookup = staticmethod(world.link.parts.dispatcher.lookup)

    Crossing.attempt = staticmethod(crossing)
    world.link.parts.dispatcher = Crossing()
    outcomes = world.link.send_many([world.ask(patient, channel="sms") for patient in patients])
    assert [outcome.receipt.outcome for outcome in outcomes] == [Outcome.ACCEPTED] * 3
    assert len(sms.handed) == 3
    assert world.divergences() == []


# -- what does not open ----------------------------------------------------------------------------------------------


def _swap(world, patient, table, row, column, envelope):
    with world.link.wiring.store.transaction() as tx:
        tx.add_sealed([SealedRow(table=table, row=row, column=column, envelope=envelope)])


def _mail(world, patient):
    with world.link.wiring.store.reader() as reader:
        return next(row for row in reader.contacts([patient])[patient] if row.kind is AddressKind.EMAIL)


@pytest.mark.parametrize("value", [b"bytes", 7, date(2000, 1, 1), None, True])
def test_an_address_of_another_type_is_not_handed_over(world, value):
    patient = world.patient()
    row = _mail(world, patient)
    sealed = world.link.safe.seal(patient, "contact", row.id, "address", value)
    _swap(world, patient, "contact", row.id, "address", sealed.envelope)
    outcome = world.link.send(world.ask(patient))
    assert outcome.receipt.released == "address_unreadable"
    assert world.email.handed == []


@pytest.mark.parametrize("name", [None, 7, "missing"])
def test_a_name_that_is_none_is_not_filled_in(world, name):
    world.content("dear", "Dear {patient_name}")
    patient, other = world.patient(), world.patient()
    good = world.link.safe.seal(patient, "patient", patient, "name", name).envelope
    envelope = b"" if name == "missing" else good
    _swap(world, patient, "patient", patient, "name", envelope)
    outcomes = world.link.send_many([world.ask(patient, template="dear"), world.ask(other, template="dear")])
    assert outcomes[0].receipt.released == "address_unreadable"
    assert outcomes[1].receipt.outcome is Outcome.ACCEPTED
    assert [item.body for item in world.email.handed] == ["Dear Person 2"]


def test_keys_that_go_away_after_the_claim_release_it(world):
    """The provider fails between commit and hand-over: released, nothing sent, and the next call tries again."""
    patient = world.patient()
    keys = world.link.wiring.keys

    def gone(*_):
        raise KeyProviderError("the provider does not answer")

    world.link.safe.prefetch = gone
    patch = pytest.MonkeyPatch()
    patch.setattr(type(keys), "one", gone)
    request = world.ask(patient)
    outcome = world.link.send(request)
    assert outcome.receipt.released == "address_unreadable"
    patch.undo()
    del world.link.safe.prefetch
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED


def test_keys_that_go_away_after_the_attempt_lose_the_commitment_and_not_the_record(world):
    patient = world.patient()
    patch = pytest.MonkeyPatch()

    def gone(*_):
        patch.setattr(type(world.link.wiring.keys), "one", lambda *_: (_ for _ in ()).throw(KeyProviderError("gone")))

    world.email.after_send = gone
    outcome = world.link.send(world.ask(patient))
    patch.undo()
    assert outcome.receipt.outcome is Outcome.ACCEPTED
    assert world.link.why(outcome.ref, actor="test").happened[-1].says == "accepted"


@pytest.mark.parametrize(
    "change",
    [{"body": "Other."}, {"subject": "Other"}, {"language": "fr"}, {"purposes": ("care", "research")}, {"body": "{"},
     {"channels": ("email", "pigeon")}, {"purposes": ()}],
)  # fmt: skip
def test_content_is_exact_or_not_at_all(world, change):
    with world.link.wiring.store.reader() as reader:
        row = reader.templates([("note", 1)])[("note", 1)]
    assert exact_content(row)
    assert not exact_content(attrs.evolve(row, **change))


def test_what_left_and_when_is_recorded(world):
    patient = world.patient()
    world.clock.advance(MINUTE)
    outcome = world.link.send(world.ask(patient))
    assert outcome.effect is Effect.PERMIT
    (item,) = world.email.handed
    assert item.at == world.link.why(outcome.ref, actor="test").happened[-1].at == world.clock.now()
