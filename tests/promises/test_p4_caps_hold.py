"""P4: no rolling window ever holds more than its cap; caps count people and addresses across all channels.

A state machine drives a whole world at random: registrations on shared phones, sends and permits of many, stops from
people and addresses (also while messages are being handed over), withdrawals, deaths, merges, clocks that pass and
step, restarts, kills. After every step no window is over its cap, nothing was handed over later than one lease after a
stop in its scope, and no key was handed over twice; at the end the log replays without a divergence.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from carelink.consent.reasons import ReasonCode
from carelink.engine.parts import LEASE
from carelink.errors import InvalidInputError
from carelink.model.moment import DAY, HOUR, MINUTE, SECOND, parse_duration
from carelink.model.scope import Scope, covers_purpose
from carelink.ports.channel import ChannelEvent
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent, Effect, Outcome, ReservationState

PHONES = ("+8613900000001", "+8613900000002", "")
PURPOSES = ("marketing.service", "marketing.event", "care.appointment", "education.health")
FAMILIES = ("care", "marketing", "education")


class Killed(BaseException):
    """The process dies."""


PEOPLE = st.integers(0, 5)
FIRST = ((PHONES[0], FAMILIES), (PHONES[0], FAMILIES), (PHONES[1], FAMILIES), ("", FAMILIES), (PHONES[1], ("care",)))


class Machine(RuleBasedStateMachine):
    """One hospital, a few people on few phones, everything that may happen."""

    @initialize(takes=st.sampled_from([0, 300_000, 2 * SECOND]))
    def open(self, takes):
        self.folder = Path(tempfile.mkdtemp())
        self.world = World(self.folder / "w", permit_ttl="PT30M")
        self.world.content()
        self.channels = (self.world.email, self.world.sms)
        self.next, self.stops, self.seen, self.stopping, self.requests = [], [], set(), [], []
        for channel in self.channels:
            channel.takes = takes
            channel.script = iter(self.outcome, None)
            channel.before_send = self.before
        self.patients = [self.world.patient(consent=consent, phone=phone) for phone, consent in FIRST]
        self.caps = [
            (rule.rule.params["max"], parse_duration(rule.rule.params["window"]),
             tuple(rule.rule.params.get("purposes") or rule.rule.when.purposes))
            for rule in self.world.link.policy().rules
            if rule.rule.kind == "frequency_cap"
        ]  # fmt: skip
        assert self.caps

    def teardown(self):
        if hasattr(self, "world"):
            self.world.clock.advance(HOUR)
            self.world.link.recover()
            assert self.world.divergences() == []
            self.world.link.close()
            shutil.rmtree(self.folder)

    def one(self, number):
        return self.patients[number % len(self.patients)]

    # -- what happens --------------------------------------------------------------------------------------

    @rule(consent=st.sets(st.sampled_from(FAMILIES)), phone=st.sampled_from(PHONES))
    def register(self, consent, phone):
        self.patients.append(self.world.patient(consent=sorted(consent), phone=phone))

    @rule(
        people=st.lists(PEOPLE, min_size=1, max_size=5),
        purpose=st.sampled_from(PURPOSES),
        channel=st.sampled_from(["sms", "sms", "email"]),
        how=st.sampled_from(["send", "send", "permit", "permit", "kill before", "kill after"]),
        outcomes=st.lists(st.sampled_from(list(Outcome)), max_size=3),
        stopping=st.lists(PEOPLE, max_size=1),
    )
    def ask(self, people, purpose, channel, how, outcomes, stopping):
        requests = [self.world.ask(self.one(number), purpose=purpose, channel=channel) for number in people]
        self.requests = (self.requests + requests)[-8:]
        self.next, self.stopping = list(outcomes), list(stopping)
        self.run(requests, how)

    @rule(first=st.integers(0, 7), how=st.sampled_from(["send", "send", "preview"]))
    def again(self, first, how):
        """The same requests once more, as after a restart."""
        self.next, self.stopping = [], []
        self.run(self.requests[first:], how)

    def run(self, requests, how):
        handed = self.handed()
        try:
            if how == "permit":
                self.world.link.permit_many(requests)
            elif how == "preview":
                self.world.link.preview_many(requests)
                assert self.handed() == handed
            else:
                for channel in self.channels:
                    if how.startswith("kill"):
                        setattr(channel, "after_send" if how == "kill after" else "before_send", self.die)
                self.world.link.send_many(requests)
        except Killed:
            self.world.restart()
        finally:
            for channel in self.channels:
                channel.before_send, channel.after_send = self.before, None

    def outcome(self):
        return self.next.pop(0) if self.next else Outcome.ACCEPTED

    def die(self, _prepared):
        raise Killed

    def before(self, _prepared):
        """Just before a first byte: somebody may stop right now."""
        while self.stopping:
            self.stop(self.one(self.stopping.pop()), Scope(("*",), ("*",)))

    @rule(number=PEOPLE, family=st.sampled_from([*FAMILIES, "*"]), channel=st.sampled_from(["sms", "email", "*"]))
    def stop_person(self, number, family, channel):
        self.stop(self.one(number), Scope((family,), (channel,)))

    def stop(self, patient, scope):
        self.world.link.stop(patient, purposes=scope.purposes, channels=scope.channels)
        self.stops.append((self.world.clock.now(), {patient}, set(), scope))

    @rule(phone=st.sampled_from(PHONES[:2]), text=st.sampled_from(["STOP", "STOP ALL", "打错了", "T"]))
    @precondition(lambda self: len(self.seen) % 3 == 1)
    def reply(self, phone, text):
        event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(phone), text=Personal(text))
        self.world.link.inbound("sms", [event])
        self.stops.append((self.world.clock.now(), set(), {phone}, Scope(("marketing", "education"), ("sms",))))

    @rule(number=PEOPLE)
    def lift(self, number):
        patient = self.one(number)
        self.world.link.lift(patient, purposes=["*"], channels=["*"], actor="nurse")
        self.stops = [stop for stop in self.stops if patient not in stop[1]]

    @rule(number=PEOPLE, family=st.sampled_from(FAMILIES), back=st.booleans())
    def consent(self, number, family, back):
        if back:
            self.world.link.withdraw(self.one(number), purposes=[family])
        else:
            self.world.link.grant(
                self.one(number),
                purposes=[family],
                channels=["sms", "email"],
                evidence="later",
                separate=True,
                notice="v1",
            )

    @rule(number=PEOPLE)
    @precondition(lambda self: len(self.seen) % 5 == 2)
    def death(self, number):
        self.world.link.died(self.one(number))
        self.stops.append((self.world.clock.now(), {self.one(number)}, set(), Scope(("*",), ("*",))))
        self.patients.remove(self.one(number))
        self.patients.append(self.world.patient(consent=FAMILIES, phone=PHONES[0]))

    @rule(old=PEOPLE, survivor=PEOPLE)
    @precondition(lambda self: len(self.seen) % 4 == 3)
    def merge(self, old, survivor):
        old, survivor = self.one(old), self.one(survivor)
        try:
            self.world.link.registration.merge(old, survivor)
        except InvalidInputError:
            return
        for _, persons, _, _ in self.stops:
            if old in persons:
                persons.add(survivor)

    @rule(length=st.sampled_from([1, SECOND, 6 * SECOND, MINUTE, HOUR, DAY - 1, DAY, 30 * DAY]))
    def pass_time(self, length):
        self.world.clock.advance(length)

    @rule(
        length=st.sampled_from([-90 * SECOND, 90 * SECOND, 10 * MINUTE, -10 * MINUTE]),
        people=st.lists(PEOPLE, max_size=2),
    )
    def step_clock(self, length, people):
        """A time server that is wrong for one send."""
        self.next, self.stopping = [], []
        self.world.clock.step(length)
        self.world.link.send_many([self.world.ask(self.one(number), channel="sms") for number in people])
        self.stops_checked()
        self.world.clock.step(-length)

    @rule()
    def restart(self):
        self.world.restart()

    # -- what must hold ------------------------------------------------------------------------------------

    def handed(self):
        return [(channel.info.kind, item) for channel in self.channels for item in channel.handed]

    def rows(self):
        with self.world.link.wiring.store.reader() as reader:
            return [row for row in reader._reservations() if row.state is not ReservationState.RELEASED]

    @invariant()
    def no_window_is_over_its_cap(self):
        if not hasattr(self, "world"):
            return
        counted = {}
        for row in self.rows():
            for key in {("person", row.subject), ("person", row.recipient), ("address", row.token)}:
                counted.setdefault(key, []).append((row.at, row.purpose))
        for key, touches in counted.items():
            for most, window, purposes in self.caps:
                instants = sorted(at for at, purpose in touches if covers_purpose(purposes, purpose))
                for n, end in enumerate(instants):
                    inside = [at for at in instants[: n + 1] if at > end - window]
                    assert len(inside) <= most, (key[0], most, window)

    @invariant()
    def stops_checked(self):
        """Nothing left later than one lease after a stop in its scope."""
        if not hasattr(self, "world"):
            return
        for kind, item in self.handed():
            if item.key in self.seen:
                continue
            self.seen.add(item.key)
            request = self.world.link.safe.request_of(item.key)
            row = next(row for row in self.rows() if row.request == request)
            for at, persons, phones, scope in self.stops:
                if scope.covers(row.purpose, kind) and (row.patient in persons or item.address in phones):
                    assert item.at - at < LEASE

    @invariant()
    def no_key_is_handed_over_twice(self):
        if hasattr(self, "world"):
            keys = [item.key for _, item in self.handed()]
            assert len(set(keys)) == len(keys)


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=max(6, settings.default.max_examples // 6), stateful_step_count=25, deadline=None
)


# -- told one by one -------------------------------------------------------------------------------------------------


def test_the_cap_of_a_person_spans_channels(world):
    patient = world.patient(consent=("marketing",))
    first, second = (world.ask(patient, purpose="marketing.service", channel=name) for name in ("sms", "email"))
    assert world.link.send(first).effect is Effect.PERMIT
    assert ReasonCode.CAP_EXCEEDED in world.link.send(second).decision.codes


def test_the_cap_of_an_address_spans_people(world):
    people = [world.patient(consent=("marketing",), phone=PHONES[0], email=None) for _ in range(3)]
    requests = [world.ask(patient, purpose="marketing.service", channel="sms") for patient in people]
    effects = [outcome.effect for outcome in world.link.send_many(requests)]
    assert effects == [Effect.PERMIT, Effect.REFUSE, Effect.REFUSE]


def test_the_cap_of_a_recipient_counts_what_a_child_gets(world):
    """A guardian's address is counted for every child it stands for."""
    from datetime import date

    from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
    from carelink.vocabulary import AddressKind, Relation

    def child(number):
        guardian = RelatedInput(
            name=Personal("Guardian"), relation=Relation.PARENT, verified=True, acts=True,
            contacts=(ContactInput(kind=AddressKind.PHONE, address=Personal(PHONES[0])),),
        )  # fmt: skip
        (done,) = world.link.register_many([
            PatientInput(
                identifiers=(("mrn", Personal(f"C-{number}")),), birth_date=Personal(date(2018, 6, 1)), related=(guardian,)
            )
        ])  # fmt: skip
        world.link.grant(
            done.patient, purposes=["care"], channels=["sms"], evidence="f", by="guardian", separate=True, notice="v1"
        )
        return done.patient

    requests = [world.ask(child(number), channel="sms") for number in range(4)]
    effects = [outcome.effect for outcome in world.link.send_many(requests)]
    assert effects == [Effect.PERMIT] * 3 + [Effect.REFUSE]
    assert world.divergences() == []


def test_a_permit_that_waits_longer_than_the_window_still_counts_where_it_is_claimed(tmp_path):
    """Held on day one, claimed on day two: it moves into the window in which it leaves."""
    world = World(tmp_path / "w", permit_ttl="P3D")
    world.content()
    patient = world.patient(consent=("marketing",))
    waiting, fresh = (world.ask(patient, purpose="marketing.service", channel="sms") for _ in range(2))
    world.link.permit_many([waiting])
    world.clock.advance(DAY)
    assert world.link.send(fresh).effect is Effect.PERMIT
    world.clock.advance(MINUTE)
    outcome = world.link.send(waiting)
    assert ReasonCode.CAP_EXCEEDED in outcome.decision.codes
    assert len(world.sms.handed) == 1
    assert world.divergences() == []
    world.link.close()
