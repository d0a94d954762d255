"""Recovery: any backlog, look-ups outside transactions, "not found" that waits, clocks in doubt."""

from __future__ import annotations

import attrs
import pytest

from carelink.engine.parts import LEASE
from carelink.engine.recovery import GRACE
from carelink.model.moment import HOUR, MINUTE, SECOND, parse_instant
from carelink.ports.channel import LookupResult
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.testing.world import World
from carelink.vocabulary import AddressKind, ChannelKind, Effect, Outcome, ReservationState


class Killed(BaseException):
    pass


def _kill(_prepared):
    raise Killed


def _world(tmp_path, **more):
    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    mail = RecordingChannel("mail", ChannelKind.EMAIL, AddressKind.EMAIL, clock=clock, **more)
    world = World(tmp_path / "r", clock=clock, channels=[mail])
    world.content()
    return world, mail


def _killed(world, mail, moment, number=1):
    """A run that is killed at a moment of its first attempt; its request."""
    request = world.ask(world.patient())
    setattr(mail, moment, _kill)
    with pytest.raises(Killed):
        world.link.send(request)
    setattr(mail, moment, None)
    world.restart()
    return request


def test_a_claim_is_left_alone_until_its_lease_is_over(tmp_path):
    world, mail = _world(tmp_path)
    request = _killed(world, mail, "before_send")
    found = world.link.recover()
    assert (found.in_flight, found.until) == (1, world.clock.now() + LEASE)
    assert world.link.send(request).in_flight
    world.clock.advance(LEASE - 1)
    assert world.link.recover().in_flight == 1
    world.clock.advance(1)
    found = world.link.recover()
    assert (found.unknown, found.in_flight) == (1, 0)
    again = world.link.send(request)
    assert again.repeated
    assert again.receipt.outcome is Outcome.UNKNOWN
    assert mail.handed == []


@pytest.mark.parametrize(("moment", "outcome"), [("before_send", Outcome.NOT_SENT), ("after_send", Outcome.ACCEPTED)])
def test_a_channel_that_can_be_asked_settles_it(tmp_path, moment, outcome):
    world, mail = _world(tmp_path, lookup=True)
    request = _killed(world, mail, moment)
    world.clock.advance(LEASE + GRACE)
    found = world.link.recover()
    assert (found.looked_up, found.unknown) == (1, 0)
    again = world.link.send(request)
    assert again.receipt.outcome is Outcome.ACCEPTED
    assert again.repeated is (outcome is Outcome.ACCEPTED)
    assert len(mail.handed) == 1
    assert world.divergences() == []


def test_not_found_is_no_answer_while_an_attempt_may_be_under_way(tmp_path):
    """A slow attempt outlasts its lease while another process recovers and sends: the patient gets one message."""
    world, mail = _world(tmp_path, lookup=True)
    patient = world.patient()
    request = world.ask(patient)
    other = world.another()
    seen = []

    def slow(_prepared):
        if not seen:
            world.clock.advance(LEASE + 20 * SECOND)
            seen.append(other.recover())
            seen.append(other.send(request))

    mail.before_send = slow
    outcome = world.link.send(request)
    assert seen[0].in_flight == 1
    assert seen[1].in_flight
    assert outcome.receipt.outcome is Outcome.ACCEPTED
    assert len(mail.handed) == 1
    other.wiring.keys.close()


def test_where_a_repeat_is_harmless_not_found_counts_at_once(tmp_path):
    world, mail = _world(tmp_path, lookup=True)
    mail.capabilities = attrs.evolve(mail.capabilities, harmless_repeat=True)
    world.restart()
    request = _killed(world, mail, "before_send")
    world.clock.advance(LEASE)
    assert world.link.recover().looked_up == 1
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED


def test_claims_that_must_wait_do_not_hide_those_that_need_not(tmp_path, monkeypatch):
    """More claims waiting for their grace than one page holds, and behind them one that was delivered."""
    monkeypatch.setattr("carelink.engine.recovery._BATCH", 2)
    world, mail = _world(tmp_path, lookup=True)
    for _ in range(5):
        _killed(world, mail, "before_send")
    _killed(world, mail, "after_send")
    world.clock.advance(LEASE)
    found = world.link.recover()
    assert (found.looked_up, found.unknown, found.in_flight) == (1, 0, 2)
    world.clock.advance(GRACE)
    found = world.link.recover()
    assert (found.looked_up, found.in_flight) == (5, 0)
    assert world.divergences() == []


def test_any_backlog_is_settled_in_one_go(world, monkeypatch):
    monkeypatch.setattr("carelink.engine.recovery._BATCH", 10)
    requests = [world.ask(world.patient()) for _ in range(35)]
    world.link.permit_many(requests)
    world.clock.advance(HOUR)
    assert world.link.recover().expired == 35
    assert world.link.recover().expired == 0
    with world.link.wiring.store.reader() as reader:
        assert reader.open_reservations(ReservationState.HELD, limit=100) == ()
    assert world.divergences() == []


def test_permits_end_at_their_instant(world):
    request = world.ask(world.patient(), useless_after=world.clock.now() + MINUTE)
    world.link.permit_many([request])
    world.clock.advance(MINUTE - 1)
    assert world.link.recover().expired == 0
    world.clock.advance(1)
    assert world.link.recover().expired == 1


def test_a_permit_that_ends_early_is_found_behind_many_that_do_not(world, monkeypatch):
    monkeypatch.setattr("carelink.engine.recovery._BATCH", 3)
    world.link.permit_many([world.ask(world.patient()) for _ in range(5)])
    world.clock.advance(1)
    world.link.permit_many([world.ask(world.patient(), useless_after=world.clock.now() + MINUTE)])
    world.clock.advance(MINUTE)
    assert world.link.recover().expired == 1


def test_a_look_up_never_runs_inside_a_transaction(on_disk):
    """The channel sees the store unlocked: another connection can write while it is asked."""
    clock = on_disk.clock
    mail = RecordingChannel("mail", ChannelKind.EMAIL, AddressKind.EMAIL, clock=clock, lookup=True)
    on_disk.channels = (mail,)
    on_disk.link.wiring.store.close()
    on_disk.settings = attrs.evolve(on_disk.settings, routes={"email": "mail"})
    on_disk.restart()
    _killed(on_disk, mail, "after_send")
    clock.advance(LEASE)
    wrote = []

    def lookup(key, address, since):
        other = on_disk.another()
        wrote.append(other.register(identifier="meanwhile", name="Somebody Else"))
        other.close()
        return LookupResult(found=True, outcome=Outcome.ACCEPTED)

    mail.lookup = lookup
    assert on_disk.link.recover().looked_up == 1
    assert len(wrote) == 1


def test_a_look_up_that_fails_or_lies_is_unknown(tmp_path):
    for number, answer in enumerate((RuntimeError("no"), "yes", None, LookupResult(found=None))):
        world, mail = _world(tmp_path / str(number), lookup=True)
        request = _killed(world, mail, "before_send")
        world.clock.advance(LEASE + GRACE)

        def lookup(key, address, since, answer=answer):
            if isinstance(answer, Exception):
                raise answer
            return answer

        mail.lookup = lookup
        assert world.link.recover().unknown == 1
        assert world.link.send(request).receipt.outcome is Outcome.UNKNOWN


def test_an_address_that_does_not_open_cannot_be_asked_about(tmp_path):
    world, mail = _world(tmp_path, lookup=True)
    _killed(world, mail, "before_send")
    world.clock.advance(LEASE + GRACE)
    with world.link.wiring.store.reader() as reader:
        owner = reader.open_reservations(ReservationState.CLAIMED, limit=1)[0].patient
    world.link.wiring.keys.shred(owner, world.clock.now(), "test")
    assert world.link.recover().unknown == 1


def test_a_claim_of_a_record_that_was_merged_meanwhile_is_still_asked_about(tmp_path):
    """The permit was for the old record, the claim went to the survivor's address."""
    world, mail = _world(tmp_path, lookup=True)
    old, survivor = world.patient(), world.patient()
    request = world.ask(old)
    world.link.permit_many([request])
    world.link.registration.merge(old, survivor)
    mail.after_send = _kill
    with pytest.raises(Killed):
        world.link.send(request)
    mail.after_send = None
    world.restart()
    world.clock.advance(LEASE)
    assert world.link.recover().looked_up == 1
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED
    assert [item.address for item in mail.handed] == ["w2@example.invalid"]
    assert world.divergences() == []


def test_nothing_is_settled_on_a_clock_in_doubt(tmp_path):
    """A jump forward would end claims that another process is handing over."""
    world, mail = _world(tmp_path)
    _killed(world, mail, "before_send")
    world.link.permit_many([world.ask(world.patient())])
    world.clock.step(2 * HOUR)
    found = world.link.recover()
    assert (found.unknown, found.expired, found.in_flight) == (0, 0, 1)
    world.clock.step(-2 * HOUR)
    world.clock.advance(2 * HOUR)
    found = world.link.recover()
    assert (found.unknown, found.expired, found.in_flight) == (1, 1, 0)


def test_an_answer_that_comes_after_recovery_changes_nothing_but_a_stop(tmp_path):
    """UNKNOWN stays UNKNOWN; but "this recipient opted out" is a stop whenever it comes."""
    world, mail = _world(tmp_path)
    patient = world.patient()
    request = world.ask(patient)
    other = world.another()

    def slow(_prepared):
        world.clock.advance(LEASE + SECOND)
        assert other.recover().unknown == 1

    mail.before_send = slow
    mail.script = iter([Outcome.OPTED_OUT])
    outcome = world.link.send(request)
    assert outcome.receipt.outcome is Outcome.UNKNOWN
    assert world.link.send(world.ask(patient)).effect is Effect.REFUSE
    assert world.divergences() == []
    other.wiring.keys.close()
