"""The gate: one commit a chunk, a fixed number of statements, decision instants, membership that moves, claims."""

from __future__ import annotations

from contextlib import contextmanager

import attrs
import pytest

from carelink.consent.reasons import ReasonCode
from carelink.engine.locks import person_gate, under_locks
from carelink.engine.membership import ask
from carelink.engine.parts import LEASE, MAX_SKEW
from carelink.errors import StoreError
from carelink.model.moment import DAY, HOUR, MINUTE, SECOND
from carelink.ports.rows import Gate
from carelink.testing.fakes import RecordingChannel
from carelink.testing.world import World
from carelink.vocabulary import AddressKind, ChannelKind, ContactStatus, Effect, Mode, Outcome, ReservationState

# -- one commit, a fixed number of statements ------------------------------------------------------------------------


@contextmanager
def counted(monkeypatch):
    """SQL statements by first word, and rows given to `executemany` counted as one statement."""
    from carelink.stores.sqlite.reader import SqliteReader
    from carelink.stores.sqlite.writer import SqliteTransaction

    seen: list[str] = []
    for owner, name in ((SqliteReader, "_all"), (SqliteTransaction, "_many"), (SqliteTransaction, "_one")):
        real = getattr(owner, name)

        def counting(self, statement, *more, real=real, **named):
            seen.append(statement)
            return real(self, statement, *more, **named)

        monkeypatch.setattr(owner, name, counting)
    yield seen
    monkeypatch.undo()


@pytest.mark.parametrize("how", ["send", "permit then send", "preview"])
def test_statements_do_not_grow_with_the_batch(on_disk, monkeypatch, how):
    on_disk.content("dear", "Dear {patient_name}, room {room}")
    on_disk.link.parts.channels = {
        name: (info, attrs.evolve(capabilities, latency=1))
        for name, (info, capabilities) in on_disk.link.parts.channels.items()
    }
    counts = []
    for size in (1, 2, 40):
        patients = [on_disk.patient() for _ in range(size)]
        requests = [on_disk.ask(p, template="dear", variables={"room": "7"}) for p in patients]
        with counted(monkeypatch) as seen:
            if how == "preview":
                assert len(on_disk.link.preview_many(requests)) == size
            else:
                if how == "permit then send":
                    on_disk.link.permit_many(requests)
                outcomes = on_disk.link.send_many(requests)
                assert {outcome.receipt.outcome for outcome in outcomes} == {Outcome.ACCEPTED}
        counts.append(len(seen))
        on_disk.clock.advance(LEASE)
    assert counts[1] == counts[2], "the first run compiles the policy"
    assert counts[2] < {"send": 60, "permit then send": 110, "preview": 25}[how]


def test_a_chunk_is_one_commit_to_decide_and_one_to_settle(on_disk, monkeypatch):
    on_disk.link.parts.channels = {
        name: (info, attrs.evolve(capabilities, latency=1))
        for name, (info, capabilities) in on_disk.link.parts.channels.items()
    }
    requests = [on_disk.ask(on_disk.patient()) for _ in range(30)]
    on_disk.link.publish()
    commits = []
    store = on_disk.link.wiring.store
    real = type(store).transaction

    @contextmanager
    def counting(self):
        with real(self) as tx:
            yield tx
        commits.append(1)

    monkeypatch.setattr(type(store), "transaction", counting)
    on_disk.link.send_many(requests)
    assert len(commits) == 2


# -- the decision instant --------------------------------------------------------------------------------------------


def _gate_of(world, patient):
    with world.link.wiring.store.reader() as reader:
        return person_gate(reader.patients([patient])[patient].person)


def _push(world, gate, at):
    with world.link.wiring.store.transaction() as tx:
        tx.lock([gate])
        tx.advance([gate], at)


def _last(world, gate):
    with world.link.wiring.store.reader() as reader:
        return reader.last_instants([gate])[gate]


@pytest.mark.parametrize("ahead", [1, MAX_SKEW])
def test_the_decision_is_at_the_later_of_clock_and_gate_rows(world, ahead):
    patient = world.patient()
    _push(world, _gate_of(world, patient), world.clock.now() + ahead)
    outcome = world.link.send(world.ask(patient))
    assert outcome.effect is Effect.PERMIT
    assert outcome.decision.at == world.clock.now() + ahead


def test_gate_rows_further_ahead_than_two_minutes_defer(world):
    patient = world.patient()
    _push(world, _gate_of(world, patient), world.clock.now() + MAX_SKEW + 1)
    outcome = world.link.send(world.ask(patient))
    assert outcome.effect is Effect.DEFER
    assert outcome.decision.codes == (ReasonCode.CLOCK_UNTRUSTED,)
    world.clock.advance(1)
    assert world.link.send(world.ask(patient)).effect is Effect.PERMIT


@pytest.mark.parametrize("step", [3 * DAY, -3 * DAY])
def test_a_bad_clock_defers_and_leaves_no_mark(world, step):
    """When it is right again, everything goes on at once: nobody is held until the world caught up."""
    patient = world.patient()
    world.link.send(world.ask(patient))
    gate, before = _gate_of(world, patient), _last(world, _gate_of(world, patient))
    world.clock.step(step)
    deferred = world.link.send(world.ask(patient))
    assert deferred.effect is Effect.DEFER
    assert ReasonCode.CLOCK_UNTRUSTED in deferred.decision.codes
    assert _last(world, gate) == before
    world.clock.step(-step)
    assert world.link.send(world.ask(patient)).effect is Effect.PERMIT


def test_gate_rows_move_with_each_decision_and_never_back(world):
    patient = world.patient(consent=())
    gate = _gate_of(world, patient)
    world.link.send(world.ask(patient))
    first = _last(world, gate)
    assert first == world.clock.now()
    world.clock.step(-SECOND)
    world.link.send(world.ask(patient))
    assert _last(world, gate) == first


# -- membership that moves -------------------------------------------------------------------------------------------


def test_who_moves_between_look_and_lock_is_looked_for_again(world):
    """A new address of the patient is registered after the first look: its gate row is locked too, or nothing is."""
    patient = world.patient(phone=None, email=None)
    parts = world.link.parts
    store = parts.store
    real = type(store).transaction
    moved = []

    def moving(self):
        if not moved:
            moved.append(1)
            world.link.register(identifier="W-00001", email="moved@example.invalid")
        return real(self)

    patch = pytest.MonkeyPatch()
    patch.setattr(type(store), "transaction", moving)
    outcome = world.link.send(world.ask(patient))
    patch.undo()
    assert outcome.receipt.outcome is Outcome.ACCEPTED
    assert world.email.handed[0].address == "moved@example.invalid"
    with store.reader() as reader:
        token = reader.contacts([patient])[patient][0].token
        assert reader.last_instants([Gate("address", token)])[Gate("address", token)] == world.clock.now()


def test_who_keeps_moving_is_not_decided_at_all(world):
    answers = iter(range(100))
    with pytest.raises(StoreError, match="kept changing"):
        under_locks(
            world.link.wiring.store,
            lambda _reader: next(answers),
            lambda seen: (Gate("person", bytes([seen])),),
            lambda _tx, _seen, _lasts: None,
        )


# -- claims ----------------------------------------------------------------------------------------------------------


def test_a_claim_is_refused_for_what_changed_meanwhile(world):
    """Policy, mode, content, grants, addresses: the permit waits, the world moves, the claim sees it."""
    link = world.link
    world.content("short-lived")

    def withdraw_content(_patient):
        link.adoption.retract("short-lived", 1, by=link.actor("editor"))

    def invalid(patient):
        with link.wiring.store.transaction() as tx:
            for row in tx.contacts([patient])[patient]:
                tx.put_contact(attrs.evolve(row, status=ContactStatus.INVALID))

    def no_policy(_patient):
        link.parts.policies._compiled.clear()
        with link.wiring.store.transaction() as tx:
            tx.put_tenant(attrs.evolve(tx.tenant(), policy="", packs=()))

    cases = (
        (lambda patient: link.withdraw(patient, purposes=["care"]), ReasonCode.WITHDRAWN),
        (lambda patient: link.stop(patient, purposes=["*"]), ReasonCode.SUPPRESSED),
        (link.died, ReasonCode.SUBJECT_DECEASED),
        (invalid, ReasonCode.CONTACT_INVALID),
        (withdraw_content, ReasonCode.CONTENT_WITHDRAWN),
        (no_policy, ReasonCode.POLICY_MISSING),
    )
    for change, reason in cases:
        patient = world.patient()
        request = world.ask(patient, template="short-lived" if change is withdraw_content else "note")
        assert link.permit_many([request])[0].effect is Effect.PERMIT
        change(patient)
        outcome = link.send(request)
        assert outcome.effect is Effect.REFUSE
        assert reason in outcome.decision.codes
    assert world.email.handed == []


def test_a_mode_that_narrows_refuses_the_claim(tmp_path):
    from carelink.model.moment import parse_instant
    from carelink.testing.fakes import FakeClock

    clock = FakeClock(parse_instant("2026-01-15T10:00:00+08:00"))
    far = RecordingChannel("far", ChannelKind.EMAIL, AddressKind.EMAIL, clock=clock, local=False)
    world = World(tmp_path / "m", clock=clock, channels=[far])
    world.content()
    request = world.ask(world.patient())

    def mode(mode):
        with world.link.wiring.store.transaction() as tx:
            tx.put_tenant(attrs.evolve(tx.tenant(), mode=mode, synthetic=False))

    mode(Mode.LIVE)
    assert world.link.permit_many([request])[0].effect is Effect.PERMIT
    mode(Mode.SANDBOX)
    outcome = world.link.send(request)
    assert outcome.decision.codes == (ReasonCode.MODE_SANDBOX,)
    assert far.handed == []


def test_a_claim_goes_to_the_address_that_holds_now(world):
    """The number bounced while the permit waited; the patient's other one is used, and counted."""
    patient = world.patient(phone=None)
    world.link.registration.register([_second_mail(world)])
    request = world.ask(patient)
    world.link.permit_many([request])
    with world.link.wiring.store.transaction() as tx:
        row = next(row for row in tx.contacts([patient])[patient] if row.rank == 0)
        tx.put_contact(attrs.evolve(row, status=ContactStatus.INVALID))
    outcome = world.link.send(request)
    assert outcome.receipt.outcome is Outcome.ACCEPTED
    assert world.email.handed[0].address == "second@example.invalid"


def _second_mail(world):
    from carelink.engine.registration import ContactInput, PatientInput
    from carelink.vault.personal import Personal

    return PatientInput(
        identifiers=(("mrn", Personal("W-00001")),),
        contacts=(ContactInput(kind=AddressKind.EMAIL, address=Personal("second@example.invalid"), rank=5),),
    )


def test_its_own_reservation_is_left_out_and_all_others_count(world):
    """Three a day: the third permit is claimed although three are held; a fourth is not."""
    patient = world.patient()
    requests = [world.ask(patient) for _ in range(4)]
    effects = [outcome.effect for outcome in world.link.permit_many(requests)]
    assert effects == [Effect.PERMIT] * 3 + [Effect.REFUSE]
    outcomes = world.link.send_many(requests)
    assert [outcome.effect for outcome in outcomes] == [Effect.PERMIT] * 3 + [Effect.REFUSE]
    assert len(world.email.handed) == 3


def test_a_permit_of_a_merged_record_is_claimed_for_the_survivor(world):
    old, survivor = world.patient(), world.patient(consent=())
    request = world.ask(old)
    world.link.permit_many([request])
    world.link.registration.merge(old, survivor)
    outcome = world.link.send(request)
    assert outcome.effect is Effect.REFUSE, "the survivor gave no consent"
    assert world.email.handed == []


def test_claims_of_a_large_chunk_take_linear_time(world):
    """The shape, not the seconds: what one claim leaves out is found by its own keys."""
    patients = [world.patient() for _ in range(40)]
    requests = [world.ask(patient) for patient in patients]
    world.link.permit_many(requests)
    gate = world.link._outreach.gate
    pending = gate.decide([ask(world.link.parts, request) for request in requests], claim=0)
    looked = []
    from carelink.engine.factreader import ChunkFacts

    real = ChunkFacts.uncount

    def counting(self, row):
        before = {key: id(rows) for key, rows in self.touches.items()}
        real(self, row)
        looked.append(sum(id(self.touches[key]) != old for key, old in before.items()))

    patch = pytest.MonkeyPatch()
    patch.setattr(ChunkFacts, "uncount", counting)
    claimed = gate.claim(pending)
    patch.undo()
    assert {item.reservation.state for item in claimed} == {ReservationState.CLAIMED}
    assert max(looked) <= 3


# -- caps ------------------------------------------------------------------------------------------------------------


def test_a_shared_phone_shares_its_cap_to_the_microsecond(world):
    """Two patients, one number, one marketing message a day: the second waits exactly a day."""
    mother, father = (world.patient(consent=("marketing",), phone="+8613900000007") for _ in range(2))
    first = world.ask(mother, purpose="marketing.service", channel="sms")
    second = world.ask(father, purpose="marketing.service", channel="sms")
    assert world.link.send(first).effect is Effect.PERMIT
    world.clock.advance(DAY - 1)
    refused = world.link.send(second)
    assert ReasonCode.CAP_EXCEEDED in refused.decision.codes
    assert refused.decision.earliest == world.clock.now() + 1
    world.clock.advance(1)
    assert world.link.send(second).effect is Effect.PERMIT


def test_held_permits_count_and_released_ones_do_not(world):
    patient = world.patient(consent=("marketing",))
    first, second = (world.ask(patient, purpose="marketing.service", channel="sms") for _ in range(2))
    world.link.permit_many([first])
    assert world.link.send(second).effect is Effect.REFUSE
    world.clock.advance(HOUR)
    world.link.recover()
    assert world.link.send(second).effect is Effect.PERMIT


@pytest.mark.parametrize("outcome", [Outcome.THROTTLED, Outcome.REFUSED, Outcome.NOT_SENT, Outcome.RECIPIENT_LIMIT])
def test_what_certainly_did_not_arrive_gives_its_slot_back(world, outcome):
    patient = world.patient(consent=("marketing",))
    requests = [world.ask(patient, purpose="marketing.service", channel="sms") for _ in range(2)]
    world.sms.script = iter([outcome])
    assert world.link.send(requests[0]).receipt.outcome is outcome
    assert world.link.send(requests[1]).receipt.outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.AWAITING_HUMAN])
def test_what_may_arrive_counts(world, outcome):
    patient = world.patient(consent=("marketing",))
    requests = [world.ask(patient, purpose="marketing.service", channel="sms") for _ in range(2)]
    world.sms.script = iter([outcome])
    assert world.link.send(requests[0]).receipt.outcome is outcome
    assert world.link.send(requests[1]).effect is Effect.REFUSE


def test_requests_of_one_batch_count_against_each_other(world):
    patient = world.patient(consent=("marketing",))
    requests = [world.ask(patient, purpose="marketing.service", channel=channel) for channel in ("sms", "email", "sms")]
    outcomes = world.link.send_many(requests)
    assert [outcome.effect for outcome in outcomes] == [Effect.PERMIT, Effect.REFUSE, Effect.REFUSE]


def test_touches_of_a_merged_record_count(world):
    old, survivor = (world.patient(consent=("marketing",)) for _ in range(2))
    assert world.link.send(world.ask(old, purpose="marketing.service", channel="sms")).effect is Effect.PERMIT
    world.link.registration.merge(old, survivor)
    world.clock.advance(MINUTE)
    outcome = world.link.send(world.ask(survivor, purpose="marketing.service", channel="sms"))
    assert ReasonCode.CAP_EXCEEDED in outcome.decision.codes
    assert world.divergences() == []
