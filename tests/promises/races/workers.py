"""Processes that race: each sends, permits, stops, withdraws, lifts and grants on one SQLite file, on a clock that is a
little or much too early or too late. What they did is recounted by `recount.py`, which knows nothing of carelink.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sys
import traceback
import warnings
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import attrs

from carelink.app import CareLink, Wiring
from carelink.channels.registry import registry_of
from carelink.engine.registration import ContactInput, PatientInput
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore
from carelink.model.moment import MINUTE, SECOND, Instant, Micros, parse_instant
from carelink.model.request import Request
from carelink.packs.loader import bundled_bytes
from carelink.ports.channel import (
    Capabilities,
    ChannelEvent,
    ChannelInfo,
    LookupResult,
    OutboundMessage,
    Prepared,
    SendResult,
)
from carelink.settings import Settings
from carelink.stores.logfolder import LogFolder
from carelink.stores.sqlite.store import SqliteStore
from carelink.system import entropy
from carelink.testing.fakes import FakeClock
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, ContactStatus, DeliveryEvent, Effect, Outcome

HERE = Path(__file__).parent
START = "2026-01-15T10:00:00+08:00"
PURPOSES = ("care.appointment", "care.appointment", "care.treatment", "marketing.service", "education.health")
BORN = date(1980, 5, 17)
FAMILIES = ("care", "marketing", "education")
KINDS = ("email", "sms")
WITHIN, BEYOND = 110 * SECOND, 20 * MINUTE
"""Clocks are trusted to two minutes."""


@attrs.frozen(kw_only=True)
class Plan:
    """How large a race is.

    Attributes:
        chunk: requests that a process hands to carelink at once, as a caller with a list would.
        step: how far the world's time moves, on average, with each batch of any process.
        unruly: how often, of a thousand batches, each thing happens that is not a request.
    """

    processes: int
    batches: int
    chunk: int
    people: int
    step: int
    seed: int
    unruly: int = 300

    @property
    def attempts(self) -> int:
        return self.processes * self.batches * self.chunk


class Book:
    """A channel that writes down each hand-over, a line each, in a file of its process. Text messages can be looked up
    in the books of all processes; a repeat would be a second message.
    """

    def __init__(self, folder: Path, kind: ChannelKind) -> None:
        self.capabilities = Capabilities(latency=Micros(100), lookup=kind is ChannelKind.SMS)
        address = AddressKind.EMAIL if kind is ChannelKind.EMAIL else AddressKind.PHONE
        self.info = ChannelInfo(name=f"book-{kind.value}", kind=kind, address_kind=address, version="1", local=True)
        self._folder = folder

    def prepare(self, message: OutboundMessage) -> Prepared:
        wire = Personal(message.body.reveal("test").encode())
        return Prepared(key=message.key, wire=wire, address=message.address, expires=message.permit.lease_until)

    def send(self, prepared: Prepared) -> SendResult:
        with (self._folder / f"book.{os.getpid()}").open("a") as book:
            book.write(f"{prepared.key} {self.info.kind.value} {prepared.address.reveal('test')}\n")
        return SendResult(outcome=Outcome.ACCEPTED)

    def lookup(self, key: str, address: Personal[str], since: Instant) -> LookupResult:
        found = any(key in book.read_text() for book in self._folder.glob("book.*"))
        return LookupResult(found=found, outcome=Outcome.ACCEPTED if found else Outcome.NOT_SENT)


def _channels(folder: Path) -> list[Any]:
    return [Book(folder, ChannelKind.EMAIL), Book(folder, ChannelKind.SMS)]


def make(folder: Path, plan: Plan) -> tuple[Settings, list[str]]:
    """A deployment in which two people share each phone."""
    packs = [bundled_bytes("baseline"), (HERE / "caps.toml").read_bytes()]
    world = World(folder, sqlite=True, at=START, packs=packs, channels=_channels(folder), permit_ttl="PT10M")
    world.content()
    contacts = [
        (
            ContactInput(kind=AddressKind.EMAIL, address=Personal(f"r{n}@example.invalid"), status=ContactStatus.VALID),
            ContactInput(kind=AddressKind.PHONE, address=Personal(phone(n)), status=ContactStatus.VALID),
        )
        for n in range(plan.people)
    ]
    made = world.link.register_many(
        [
            PatientInput(identifiers=(("mrn", Personal(f"R-{n}")),), birth_date=Personal(BORN), contacts=each)
            for n, each in enumerate(contacts)
        ]
    )
    patients = [done.patient for done in made]
    for patient in patients:
        _grant(world.link, patient)
    world.link.publish()
    world.link.close()
    return world.settings, patients


def phone(number: int) -> str:
    return f"+86139{number // 2:08d}"


def _grant(link: CareLink, patient: str) -> None:
    link.grant(patient, purposes=FAMILIES, channels=KINDS, evidence="form", separate=True, notice="v1")


def opened(settings: Settings, clock: FakeClock) -> CareLink:
    key_folder = KeyFolder.open(settings.keys)
    return CareLink(
        Wiring(
            settings=settings,
            store=SqliteStore.open(settings.store),
            keys=KeyStore.open(settings.keys / "keys.db", key_folder, entropy),
            key_folder=key_folder,
            log=LogFolder(settings.log),
            registry=registry_of(_channels(settings.home)),
            clock=clock,
            entropy=entropy,
        )
    )


class Worker:
    """One process."""

    def __init__(self, number: int, plan: Plan, settings: Settings, patients: list[str], now: Any) -> None:
        self.number, self.plan, self.settings, self.patients, self.now = number, plan, settings, patients, now
        self.draw = random.Random(f"{plan.seed}/{number}")
        self.skew, self.seen, self.did = 0, now.value, Counter[str]()
        self.pending: list[Request] = []
        self.clock = FakeClock(Instant(self.seen))
        self.link = opened(settings, self.clock)

    def run(self) -> None:
        for batch in range(self.plan.batches):
            self._tell_time()
            if self.draw.randrange(1000) < self.plan.unruly:
                self._unruly()
            requests = [self._request(batch, number) for number in range(self.plan.chunk)]
            if self.draw.randrange(4) == 0:
                self._note(self.link.permit_many(requests))
                self.pending = requests
            else:
                self._note(self.link.send_many(requests))
                if self.pending and self.draw.randrange(2):
                    waiting, self.pending = self.pending, []
                    self._note(self.link.send_many(waiting), "again ")
        self.link.close()
        (self.settings.home / f"did.{self.number}.json").write_text(json.dumps(self.did))

    def _note(self, outcomes: list[Any], what: str = "") -> None:
        for outcome in outcomes:
            assert outcome.error is None, outcome.error
            self.did[f"{what}{'repeated' if outcome.repeated else outcome.effect.value}"] += 1
            if outcome.effect is not Effect.PERMIT and outcome.decision is not None:
                self.did.update(f"reason {code.value}" for code in outcome.decision.codes)

    def _request(self, batch: int, number: int) -> Request:
        """A third of the keys are asked for by every process alike."""
        shared = number % 3 == 0
        draw = random.Random(f"{self.plan.seed}/{batch}/{number}") if shared else self.draw
        key = f"shared {batch} {number}" if shared else f"own {self.number} {batch} {number}"
        return Request(
            key=key,
            patient=self.patients[draw.randrange(len(self.patients))],
            purpose=draw.choice(PURPOSES),
            channel=draw.choice(KINDS),
            template="note",
        )

    # -- time ----------------------------------------------------------------------------------------------

    def _tell_time(self) -> None:
        """Move the world's time, and this process's clock to it; one time in six step the clock too."""
        with self.now.get_lock():
            self.now.value += self.draw.randrange(2 * self.plan.step)
            now = self.now.value
        self.clock.advance(now - self.seen)
        self.seen = now
        if abs(self.skew) > WITHIN:
            self._step(self.draw.randrange(-WITHIN, WITHIN))
        elif self.draw.randrange(6) == 0:
            far = self.draw.randrange(4) == 0
            self._step(self.draw.choice((-1, 1)) * self.draw.randrange(2 * MINUTE, BEYOND) if far
                       else self.draw.randrange(-WITHIN, WITHIN))  # fmt: skip

    def _step(self, skew: int) -> None:
        self.clock.step(skew - self.skew)
        self.skew = skew
        self.did["stepped beyond two minutes" if abs(skew) > WITHIN else "stepped within two minutes"] += 1

    # -- what else happens ---------------------------------------------------------------------------------

    def _unruly(self) -> None:
        what = self.draw.choice(
            ("stop", "stop", "reply", "withdraw", "lift", "lift", "grant", "grant", "die", "restart")
        )
        who = self.draw.randrange(len(self.patients))
        patient, family = self.patients[who], self.draw.choice(FAMILIES)
        if what == "reply" and self.draw.randrange(4):
            what = "lift"  # a stop of an address stays: not too many of them
        if what == "die" and (self.number or self.did["die"] >= max(1, len(self.patients) // 20)):
            what = "grant"
        self.did[what] += 1
        if what == "stop":
            self.link.stop(patient, purposes=[family], channels=[self.draw.choice((*KINDS, "*"))])
        elif what == "reply":
            event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(phone(who)), text=Personal("STOP"))
            self.link.inbound("sms", [event])
        elif what == "withdraw":
            self.link.withdraw(patient, purposes=[family])
        elif what == "lift":
            self.link.lift(patient, purposes=["*"], channels=["*"], actor="nurse")
        elif what == "grant":
            _grant(self.link, patient)
        elif what == "die":
            self.link.died(patient)
        else:  # a new process: it takes the clock as it finds it, right or wrong
            self.link.close()
            if self.draw.randrange(3) == 0:
                self._step(self.draw.choice((-1, 1)) * self.draw.randrange(2 * MINUTE, 5 * MINUTE))
            self.link = opened(self.settings, self.clock)


def race(plan: Plan, settings: Settings, patients: list[str]) -> Counter[str]:
    """Run the processes to their end; what they did, counted."""
    now = multiprocessing.get_context("fork").Value("q", parse_instant(START) + MINUTE)
    children = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads; the children start none
        for number in range(plan.processes):
            child = os.fork()
            if not child:
                code = 1
                try:
                    Worker(number, plan, settings, list(patients), now).run()
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * plan.processes
    did = Counter[str]()
    for number in range(plan.processes):
        did.update(json.loads((settings.home / f"did.{number}.json").read_text()))
    return did


def settle(settings: Settings) -> list[bytes]:
    """When all is over: the whole log, as it was published. What was claimed and not answered is settled first."""
    clock = FakeClock(Instant(parse_instant(START) + 100 * 60 * MINUTE))
    link = opened(settings, clock)
    link.recover()
    link.publish()
    entries = [data for _, data in link.wiring.log.entries()]
    link.close()
    return entries
