"""Several processes on one SQLite file: caps hold, keys are used once, nothing is lost, the log replays (P4, P5)."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from carelink.app import CareLink, Wiring
from carelink.audit.conservation import balance
from carelink.audit.divergence import Summary
from carelink.audit.entry import parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.channels.outbox import OutboxChannel
from carelink.channels.registry import registry_of
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore
from carelink.model.moment import HOUR, MINUTE, Instant, parse_instant
from carelink.model.request import Request
from carelink.settings import Settings
from carelink.stores.logfolder import LogFolder
from carelink.stores.sqlite.store import SqliteStore
from carelink.system import entropy
from carelink.testing.fakes import FakeClock
from carelink.testing.world import World
from carelink.vocabulary import ChannelKind, Effect

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system with fork"),
]

START = "2026-01-15T10:00:00+08:00"
CAP = 3
"""Appointment messages to one person in a day: HD.CAP.APPOINTMENT.1D."""


def _channel(folder: Path) -> OutboxChannel:
    return OutboxChannel(ChannelKind.EMAIL, {"folder": str(folder / "outbox")})


def _open(settings: Settings, at: int) -> CareLink:
    key_folder = KeyFolder.open(settings.keys)
    return CareLink(
        Wiring(
            settings=settings,
            store=SqliteStore.open(settings.store),
            keys=KeyStore.open(settings.keys / "keys.db", key_folder, entropy),
            key_folder=key_folder,
            log=LogFolder(settings.log),
            registry=registry_of([_channel(settings.home)]),
            clock=FakeClock(Instant(at)),
            entropy=entropy,
        )
    )


def _in_processes(count: int, work: Callable[[int], None]) -> None:
    """Run the work in so many processes at once; each must end well."""
    children = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads; the children start none
        for number in range(count):
            child = os.fork()
            if not child:
                code = 1
                try:
                    work(number)
                    code = 0
                except BaseException:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(code)
            children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * count


def _made(folder: Path, people: int) -> tuple[Settings, list[str]]:
    world = World(folder, sqlite=True, at=START, channels=[_channel(folder)])
    world.content()
    patients = [world.patient(phone=None) for _ in range(people)]
    world.link.publish()
    world.link.close()
    return world.settings, patients


@pytest.mark.parametrize(
    ("processes", "people", "tries"),
    [(4, 2, 4), pytest.param(8, 20, 40, marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_a_cap_holds_among_processes(tmp_path: Path, processes: int, people: int, tries: int) -> None:
    """Everybody asks for everybody, under keys of their own and under shared ones: never more than the cap leave."""
    settings, patients = _made(tmp_path / "w", people)
    begin = parse_instant(START) + HOUR

    def work(number: int) -> None:
        link = _open(settings, begin)  # one machine, one clock: SQLite's write-ahead log is not for networks
        for attempt in range(tries):
            requests = [
                Request(key=key, patient=patient, purpose="care.appointment", channel="email", template="note")
                for who, patient in enumerate(patients)
                for key in (f"own {number} {attempt} {who}", f"shared {attempt} {who}")
            ]
            outcomes = link.send_many(requests)
            assert all(outcome.error is None for outcome in outcomes)
        link.close()

    _in_processes(processes, work)
    link = _open(settings, begin + HOUR)
    link.publish()
    entries = [data for _, data in link.wiring.log.entries()]
    link.close()

    told = Counter(
        line.partition(": ")[2]
        for file in (settings.home / "outbox" / "email").glob("*.eml")
        for line in file.read_text().splitlines()
        if line.startswith("To: ")
    )
    assert told == {f"w{number}@example.invalid": CAP for number in range(1, people + 1)}
    book = balance(enumerate(map(parse_entry, entries)))
    assert book.findings == ()
    assert book.requests == people * tries * (processes + 1)
    assert book.states["handover:accepted"] == people * CAP
    assert sum(book.states.values()) == book.requests
    summary = Summary()
    assert [str(found) for found in replay(enumerate(entries), PolicyJudge(), summary=summary)] == []


def test_a_stop_in_one_process_is_met_by_the_others(tmp_path: Path) -> None:
    """P3 across processes: what is permitted in one is void once another's stop has committed."""
    settings, (patient,) = _made(tmp_path / "w", 1)
    begin = parse_instant(START) + HOUR
    request = Request(key="one", patient=patient, purpose="care.appointment", channel="email", template="note")
    here = _open(settings, begin)
    assert here.permit_many([request])[0].effect is Effect.PERMIT
    here.close()

    def stop(_: int) -> None:
        link = _open(settings, begin)
        link.stop(patient, purposes=["care"])
        link.close()

    _in_processes(1, stop)
    here = _open(settings, begin + MINUTE)
    assert here.send(request).effect is Effect.REFUSE
    here.close()
    assert not list((settings.home / "outbox").rglob("*.eml"))
