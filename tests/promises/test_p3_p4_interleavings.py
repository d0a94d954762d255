"""P3, P4, P6 statement by statement: three workers on a store whose transactions meet at gates only, in every order in
which at most so many of them are interrupted. No window over its cap, no claim behind a stop, no message twice, and
every order is serialisable: the log replays. Mistakes put into the locking are found.
"""

from __future__ import annotations

import importlib.util
import random
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import attrs
import pytest

from carelink.app import CareLink
from carelink.consent.facts import Known, StoreState
from carelink.engine import gate, ledger
from carelink.engine.outreach import Outreach
from carelink.engine.registration import ContactInput, PatientInput
from carelink.model.moment import SECOND, Instant
from carelink.packs.loader import bundled_bytes
from carelink.ports.channel import ChannelEvent
from carelink.ports.rows import Gate
from carelink.testing.fakes import FakeClock
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, DeliveryEvent, GrantState, Outcome, ReservationState

HERE = Path(__file__).parent / "races"


def _module(name):
    spec = importlib.util.spec_from_file_location(f"races_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


recount, meeting = _module("recount"), _module("meeting")
CAPS = recount.caps_of(HERE / "caps.toml")


class Still:
    """A publisher that has nothing to publish: the states of a run come and go."""

    restored = False

    def state(self, _reader):
        return StoreState.CURRENT

    def tick(self):
        pass


class Stage:
    """One scenario: a state to begin from, and what the workers do. Each worker is a process of its own."""

    def __init__(self, folder, workers=3, ahead=()):
        packs = [bundled_bytes("baseline"), (HERE / "caps.toml").read_bytes()]
        self.world = World(folder, packs=packs, permit_ttl="PT1M")
        self.world.content()
        self.store = meeting.MeetingStore(self.world._memory._committed)
        self.links = []
        for number in range(workers):
            clock = FakeClock(Instant(self.world.clock.now() + dict(ahead).get(number, 0)))
            link = CareLink(attrs.evolve(self.world._wire(), store=self.store, clock=clock))
            link.parts.publisher = Still()
            self.links.append(link)
        for channel in self.world.channels:
            channel.before_send = channel.after_send = lambda _: self.store.turns.point()
        self.seen = Counter()

    def begin(self):
        """What the world holds now is what every run begins from."""
        self.base = self.store.state = self.world._memory._committed
        for link in self.links:
            assert link.policy() is not None  # compiled, so that every run makes the same statements

    def run(self, works, choices):
        """One schedule; what is wrong with what came of it."""
        self.store.state, self.store.held = self.base, {}
        self.world.entropy._count = 1_000_000
        for channel in self.world.channels:
            channel.handed.clear()
            channel.script = iter(self.script)
        for link in self.links:
            link._outreach = Outreach(link.parts)
        turns = meeting.Turns(
            [lambda w=w, link=link: w(link) for w, link in zip(works, self.links, strict=True)], choices
        )
        self.store.turns = turns
        turns.run()
        self.store.turns = meeting.Turns([], [])
        return turns.trace, self.faults(turns)

    script = ()

    def faults(self, turns):
        state = self.store.state
        log = recount.Log([entry.data for entry in state.entries], CAPS)
        open_now = [row for row in state.reservations.values() if row.state is not ReservationState.RELEASED]
        handed = [item.key for channel in self.world.channels for item in channel.handed]
        found = [*log.faults, *map(repr, turns.errors)]
        if len(set(handed)) < len(handed):
            found.append("a message left twice")
        if len(handed) != sum(log.handed.values()):
            found.append("what left is not what the log says")
        if {row.id for row in open_now} != set(log.touches):
            found.append("the rows are not those of the log")
        if any(row.state is ReservationState.CLAIMED for row in open_now):
            found.append("a claim was left open")
        states = Counter(row.state.value for row in state.reservations.values())
        self.seen[len(handed), *sorted(states.items())] += 1
        return found or self.divergences()

    def explore(self, works, bound, most=None):
        """Run every schedule within the bound, or so many of them drawn by a seed: how many, and the first fault."""
        count, faults = 0, []

        def run(choices):
            trace, faults[:] = self.run(works, choices)
            return trace

        for choices in meeting.schedules(run, bound, random.Random(20260115) if most else None):
            count += 1
            if faults:
                return count, (choices, list(faults))
            if count == most:
                break
        return count, None

    def divergences(self):
        self.world._memory._committed = self.store.state
        return self.world.divergences()


# -- scenarios ---------------------------------------------------------------------------------------------------------

PHONE = "+8613900000001"


def sends(request):
    return lambda link: link.send_many([request])


def send_send_stop(folder):
    """Two people on one phone, a cap of one promotional message to it, and a stop from it."""
    stage = Stage(folder)
    one, two = (stage.world.patient(consent=("marketing",), phone=PHONE, email=None) for _ in range(2))
    asks = [
        stage.world.ask(who, key=f"k{n}", purpose="marketing.service", channel="sms")
        for n, who in enumerate((one, two))
    ]
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(PHONE), text=Personal("STOP"))
    stage.begin()
    return stage, [sends(asks[0]), sends(asks[1]), lambda link: link.inbound("sms", [event])]


def same_key_same_key_stop(folder):
    """Two processes send the same request, and the person is stopped."""
    stage = Stage(folder)
    who = stage.world.patient()
    ask = stage.world.ask(who, key="same", purpose="care.treatment")
    stage.begin()
    return stage, [sends(ask), sends(ask), lambda link: link.stop(who, purposes=["care"])]


def claim_stop_expiry(folder):
    """A permit that waits is claimed, stopped, and found to be late by a process whose clock is 70 s ahead."""
    stage = Stage(folder, ahead=[(2, 70 * SECOND)])
    who = stage.world.patient()
    ask = stage.world.ask(who, key="waits")
    stage.world.link.permit_many([ask])
    stage.begin()
    return stage, [sends(ask), lambda link: link.stop(who, purposes=["care"]), lambda link: link.recover()]


def claim_claim_withdrawal(folder):
    """Two processes claim the same waiting permit, and the consent is withdrawn."""
    stage = Stage(folder)
    who = stage.world.patient()
    ask = stage.world.ask(who, key="waits")
    stage.world.link.permit_many([ask])
    stage.begin()
    return stage, [sends(ask), sends(ask), lambda link: link.withdraw(who, purposes=["care"])]


def merge_send_stop(folder):
    """Two records turn out to be one person: a message to the one, a stop of the other."""
    stage = Stage(folder)
    old, stays = stage.world.patient(), stage.world.patient()
    ask = stage.world.ask(stays, key="to the survivor", purpose="care.treatment")
    stage.begin()
    return stage, [
        lambda link: link.registration.merge(old, stays),
        sends(ask),
        lambda link: link.stop(old, purposes=["care"]),
    ]


def merge_send_send(folder):
    """Two records turn out to be one person, and both are sent what the person may get once."""
    stage = Stage(folder)
    old, stays = (stage.world.patient(consent=("marketing",)) for _ in range(2))
    asks = [stage.world.ask(who, key=f"k{n}", purpose="marketing.service") for n, who in enumerate((old, stays))]
    stage.begin()
    return stage, [lambda link: link.registration.merge(old, stays), sends(asks[0]), sends(asks[1])]


def opted_out_send_send(folder):
    """The far end answers that the recipient opted out, while two others are being sent to the same address."""
    stage = Stage(folder)
    stage.script = (Outcome.OPTED_OUT, Outcome.ACCEPTED, Outcome.ACCEPTED)
    people = [stage.world.patient(phone=PHONE, email=None) for _ in range(3)]
    asks = [stage.world.ask(who, key=f"k{n}", purpose="care.treatment", channel="sms") for n, who in enumerate(people)]
    stage.begin()
    return stage, [sends(ask) for ask in asks]


def register_send_stop(folder):
    """An import gives the person a better address, which another person has; a stop comes from it meanwhile."""
    stage = Stage(folder)
    stage.world.patient(consent=("marketing",), phone=PHONE, email=None)
    link, adult = stage.world.link, Personal(date(1980, 5, 17))
    guess = ContactInput(kind=AddressKind.PHONE, address=Personal("+8613900000002"))
    (made,) = link.register_many(
        [PatientInput(identifiers=(("mrn", Personal("R")),), birth_date=adult, contacts=(guess,))]
    )
    who = made.patient
    link.grant(who, purposes=["marketing"], channels=["sms"], evidence="form", separate=True, notice="v1")
    ask = stage.world.ask(who, key="k", purpose="marketing.service", channel="sms")
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(PHONE), text=Personal("STOP"))
    stage.begin()
    return stage, [
        lambda link: link.register(identifier="R", phone=PHONE),
        sends(ask),
        lambda link: link.inbound("sms", [event]),
    ]


SCENARIOS = (send_send_stop, same_key_same_key_stop, claim_stop_expiry, claim_claim_withdrawal, merge_send_stop,
             merge_send_send, opted_out_send_send, register_send_stop)  # fmt: skip
ends = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)


@ends
def test_in_every_order_without_interruption(tmp_path, scenario):
    stage, works = scenario(tmp_path / "w")
    count, fault = stage.explore(works, 0)
    assert fault is None
    assert count >= 6, "three workers, one after another"


@ends
def test_in_orders_drawn_by_a_seed(tmp_path, scenario):
    """Of those in which one worker is interrupted once, at any statement."""
    stage, works = scenario(tmp_path / "w")
    count, fault = stage.explore(works, 1, most=80)
    assert fault is None
    assert count == 80
    assert len(stage.seen) > 1, "whatever the order, the same came of it: nothing was in anybody's way"


@ends
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_in_every_order_with_one_interruption_and_many_with_two(tmp_path, scenario):
    stage, works = scenario(tmp_path / "w")
    count, fault = stage.explore(works, 1)
    assert fault is None
    more, fault = stage.explore(works, 2, most=6000)
    assert fault is None
    sys.stdout.write(f"{scenario.__name__}: all {count} orders with at most one interruption, {more} with at most two;"
                     f" messages and reservations at the end: {dict(stage.seen)}\n")  # fmt: skip


# -- would it notice? --------------------------------------------------------------------------------------------------


def membership_is_not_read_again(monkeypatch, _stage):
    def under_locks(store, look, gates, work):
        with store.reader() as reader:
            seen = look(reader)
        with store.transaction() as tx:
            return work(tx, seen, tx.lock(gates(seen)))

    monkeypatch.setattr(gate, "under_locks", under_locks)


def a_claim_trusts_what_it_saw_before(monkeypatch, stage):
    """It goes by the permit as it was when the work began, not by the row under the lock."""
    before = {row.request: row for row in stage.base.reservations.values()}
    whole = gate.Gatekeeper._claim_in

    class Before:
        def __init__(self, tx):
            self.tx = tx

        def recall(self, refs):
            return {ref: before[ref] for ref in refs if ref in before}

        def __getattr__(self, name):
            return getattr(self.tx, name)

    monkeypatch.setattr(
        gate.Gatekeeper, "_claim_in", lambda self, tx, *more: whole(self, Before(tx), *more)
    )  # fmt: skip


def facts_are_older_than_the_lock(_monkeypatch, stage):
    """Locked and counted in one: what is counted is what was there before the lock was waited for."""
    stage.store.stale = True


def locks_exclude_nobody(_monkeypatch, stage):
    stage.store.deaf = True


def a_claim_trusts_the_consent_it_was_permitted_on(monkeypatch, _stage):
    facts = gate.ChunkFacts.facts

    def old(self, target, *, leave_out=None):
        found = facts(self, target, leave_out=leave_out)
        given = [attrs.evolve(grant, state=GrantState.GIVEN, ended_at=None) for grant in found.grants.value]
        return found if leave_out is None else attrs.evolve(found, grants=Known(tuple(given)))

    monkeypatch.setattr(gate.ChunkFacts, "facts", old)


def a_stop_takes_no_locks(monkeypatch, _stage):
    def under_locks(store, look, _gates, work):
        with store.transaction() as tx:
            return work(tx, look(tx), {})

    monkeypatch.setattr(ledger, "under_locks", under_locks)


@pytest.mark.parametrize(
    ("mistake", "scenario", "says"),
    [
        (facts_are_older_than_the_lock, merge_send_send, "RACE.PROMOTION.PERSON: 2 > 1"),
        (facts_are_older_than_the_lock, opted_out_send_send, "permits what"),
        (locks_exclude_nobody, merge_send_send, "RACE.PROMOTION.ADDRESS: 2 > 1"),
        (locks_exclude_nobody, same_key_same_key_stop, "permits what"),
        (locks_exclude_nobody, claim_claim_withdrawal, "no grant covers"),
        (membership_is_not_read_again, merge_send_stop, "permits what"),
        (membership_is_not_read_again, merge_send_send, "RACE.PROMOTION.PERSON: 2 > 1"),
        (a_claim_trusts_what_it_saw_before, claim_stop_expiry, "open expected, not open recorded"),
        (a_claim_trusts_the_consent_it_was_permitted_on, claim_claim_withdrawal, "no grant covers"),
        (a_stop_takes_no_locks, merge_send_stop, "permits what"),
        (a_stop_takes_no_locks, claim_stop_expiry, "from released to claimed"),
    ],
)
def test_a_mistake_in_the_locking_is_found(tmp_path, monkeypatch, mistake, scenario, says):
    stage, works = scenario(tmp_path / "w")
    mistake(monkeypatch, stage)
    count, fault = stage.explore(works, 1)
    assert fault is not None, f"{count} schedules, and nothing was noticed"
    assert any(says in line for line in fault[1]), fault


def test_workers_that_wait_for_each_other_are_found(tmp_path):
    """Two gates, taken one by one in either order: the scheduler says so and ends."""
    stage, _ = same_key_same_key_stop(tmp_path / "w")
    gates = [Gate("person", bytes([n]) * 16) for n in (1, 2)]

    def take(order):
        def work(link):
            with link.wiring.store.transaction() as tx:
                for gate in order:
                    tx.lock([gate])

        return work

    with pytest.raises(meeting.Deadlock):
        stage.explore([take(gates), take(gates[::-1]), lambda _: None], 1)
