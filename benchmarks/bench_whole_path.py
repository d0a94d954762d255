"""The whole path of a request on SQLite, beside its floor.

    python benchmarks/bench_whole_path.py [--place DIR] [--rounds N] [--batches 1,1000] [--requests 400,10000] [--no-limit]

Path: `send_many` from the request to the receipt: recall, lock, facts, decision, reservation, entry, commit; claim, opening
address and name, rendering, comparing with the approved text, one attempt; settling, entry, commit. Every request is
permitted. The channel keeps messages in memory: it costs nothing, as it does nothing.
Floor: `floor_sqlite.py`, bare `sqlite3`, AES-GCM, HMAC, SHA-256 and JSON making and writing the same rows with the same commits and
syncs, and reading the fact rows once; it decides nothing.
Before any time is taken, both run once with their rows, commits and syncs counted; the counts must be equal.

Both run with the collector set as the command line sets it (`carelink.cli.main.YOUNG`).

Rounds alternate between the two, each on a fresh copy of the same store, in a folder of --place (else the system's
temporary folder). Publication of the log runs beside the path once a second at most, so it is switched off for the
comparison and measured in a line of its own. Exit code 1: counts differ, or a ratio is above the limit.
"""

from __future__ import annotations

import argparse
import gc
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import attrs
from floor_sqlite import Floor, Job
from syncs import SyncCounter

from carelink import home as homes
from carelink.app import CareLink
from carelink.channels.memory import MemoryChannel
from carelink.channels.registry import registry_of
from carelink.cli.main import YOUNG
from carelink.engine.ledger import GrantOrder
from carelink.engine.notary import Notary
from carelink.engine.registration import ContactInput, PatientInput
from carelink.model.moment import parse_instant
from carelink.model.request import Request
from carelink.model.scope import Scope
from carelink.system import SystemClock
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, ContactStatus, Outcome, RecipientRole

LIMIT = 3.0
AIM = 2.0
MORNING = parse_instant("2026-01-15T10:00:00+08:00")


class DayClock(SystemClock):
    """The machine's clock, moved to a morning: at night nobody would be contacted."""

    def __init__(self) -> None:
        self._shift = MORNING - SystemClock().now()

    def now(self):
        return super().now() + self._shift


CLOCK = DayClock()


@attrs.frozen
class Quiet:
    """A publisher that never finds publication due."""

    notary: Notary

    @property
    def restored(self):
        return self.notary.restored

    def state(self, reader):
        return self.notary.state(reader)

    def tick(self) -> None:
        pass


def wired(chosen, *parts, wire=homes._wire):
    """Every home of this process has channels in memory; nothing else is replaced."""
    kinds = (ChannelKind.EMAIL, ChannelKind.SMS)
    routes = attrs.evolve(chosen, routes={kind.value: f"memory-{kind.value}" for kind in kinds})
    return attrs.evolve(wire(chosen, *parts), registry=registry_of(map(MemoryChannel, kinds)), settings=routes)


@contextmanager
def opened(place: Path, *, publish: bool = False) -> Iterator[CareLink]:
    """The home in a folder."""
    with homes.open_home(place, clock=CLOCK) as link:
        if not publish:
            link.parts.publisher = Quiet(link.notary)
        yield link


def prepare(place: Path, count: int) -> list[Request]:
    """A home with so many patients who agreed, and a reviewed template; a request for each."""
    ids: list[str] = []
    with homes.init(place, zone="Asia/Shanghai", clock=CLOCK, synthetic=True) as link:
        for start in range(0, count, 1000):
            people = [
                PatientInput(
                    identifiers=(("mrn", Personal(f"B-{number}")),),
                    name=Personal(f"Person {number}"),
                    birth_date=Personal(date(1960, 1, 1 + number % 28)),
                    contacts=(
                        ContactInput(
                            kind=AddressKind.EMAIL,
                            address=Personal(f"b{number}@example.invalid"),
                            status=ContactStatus.VALID,
                        ),
                    ),
                )
                for number in range(start, min(count, start + 1000))
            ]
            made = [result.patient for result in link.register_many(people)]
            ids += made
            scope = Scope(("care",), ("email",))
            link.ledger.grant([GrantOrder(patient=patient, scope=scope, evidence="form", by=RecipientRole.SELF,
                                          since=None, until=None, separate=False, notice="") for patient in made])  # fmt: skip
        link.template("recheck", "Dear {patient_name}, your recheck is due on {day}.", subject="Recheck",
                      purposes=["care.appointment"], channels=["email"])  # fmt: skip
        link.approve("recheck", actor="reviewer")
        link.publish()
    return [
        Request(key=f"bench/{patient}", patient=patient, purpose="care.appointment", channel="email",
                template="recheck", variables={"day": "Monday"})
        for patient in ids
    ]  # fmt: skip


def send(link: CareLink, requests: Sequence[Request], batch: int) -> None:
    """All of it, in batches."""
    for start in range(0, len(requests), batch):
        for outcome in link.send_many(requests[start : start + batch]):
            if outcome.receipt is None or outcome.receipt.outcome is not Outcome.ACCEPTED:
                raise SystemExit("a request was not handed over: the benchmark measures nothing")


@attrs.frozen
class Taken:
    """Seconds on the wall, and of the processor alone, which neighbours on the machine disturb less."""

    wall: float
    cpu: float

    @classmethod
    def of(cls, work: Callable[[], object]) -> Taken:
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        return cls(time.perf_counter() - wall, time.process_time() - cpu)


@attrs.frozen
class Counts:
    """What was really written."""

    rows: int
    commits: int
    syncs: int


def counted(db, syncs: SyncCounter, work: Callable[[], object]) -> Counts:
    """Rows, commits and syncs of some work on a connection."""
    commits = 0

    def seen(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    rows, before = db.total_changes, syncs.count
    db.set_trace_callback(seen)
    work()
    db.set_trace_callback(None)
    return Counts(db.total_changes - rows, commits, syncs.count - before)


class Bench:
    """One batch size."""

    def __init__(self, place: Path, count: int, batch: int) -> None:
        self.place, self.batch = place, batch
        self.base = place / "base"
        self.requests = prepare(self.base, count)
        self.number = 0

    def copy(self) -> Path:
        self.number += 1
        return Path(shutil.copytree(self.base, self.place / f"home-{self.number}"))

    def path(self, *, publish: bool = False) -> Taken:
        """What all requests take."""
        home = self.copy()
        with opened(home, publish=publish) as link:
            gc.collect()
            taken = Taken.of(lambda: send(link, self.requests, self.batch))
        shutil.rmtree(home)
        return taken

    def floor(self, job: Job) -> Taken:
        copy = self.place / "floor.db"
        shutil.copy(self.base / "data" / "carelink.db", copy)
        floor = Floor(copy, job)
        gc.collect()
        taken = Taken.of(lambda: floor.run(self.batch))
        floor.close()
        copy.unlink()
        return taken

    def counts(self) -> tuple[Counts, Counts, Job]:
        """What both write, counted."""
        syncs = SyncCounter()
        home = self.copy()
        with opened(home) as link:
            writer = link.wiring.store._writer
            ours = counted(writer, syncs, lambda: send(link, self.requests, self.batch))
        keys = self.base / "keys" / "keys.db"
        job = Job(self.base / "data" / "carelink.db", home / "data" / "carelink.db", keys)
        copy = self.place / "floor.db"
        shutil.copy(self.base / "data" / "carelink.db", copy)
        floor = Floor(copy, job)
        bare = counted(floor.db, syncs, lambda: floor.run(self.batch))
        floor.close()
        syncs.stop()
        copy.unlink()
        return ours, bare, job

    def run(self, rounds: int, limit: float = LIMIT) -> bool:
        """Measure and print; whether all is within the limit."""
        count = len(self.requests)
        ours, bare, job = self.counts()
        print(f"\nbatch {self.batch}: {count} requests, {rounds} rounds")
        print(f"  counted       path {ours.rows} rows, {ours.commits} commits, {ours.syncs} syncs")
        print(f"                floor {bare.rows} rows, {bare.commits} commits, {bare.syncs} syncs")
        if ours != bare:
            print("  the counts differ: this is not its floor")
            return False
        taken = [(self.path(), self.floor(job)) for _ in range(rounds)]
        path, floor = (statistics.median(side.wall for side in sides) for sides in zip(*taken, strict=True))
        cpu, bare_cpu = (statistics.median(side.cpu for side in sides) for sides in zip(*taken, strict=True))
        ratios = sorted(ours.wall / bare.wall for ours, bare in taken)
        published = statistics.median(self.path(publish=True).wall for _ in range(rounds))
        print(f"  path          {count / path:8.0f} requests/s  {path / count * 1e6:8.0f} us each (median)")
        print(f"  floor         {count / floor:8.0f} requests/s  {floor / count * 1e6:8.0f} us each (median)")
        print(
            f"  processor     path {cpu / count * 1e6:.0f} us, floor {bare_cpu / count * 1e6:.0f} us each: {cpu / bare_cpu:.2f}"
        )
        print(
            f"  ratio         {path / floor:8.2f}  (rounds {ratios[0]:.2f} to {ratios[-1]:.2f}; limit {LIMIT}, aim {AIM})"
        )
        print(
            f"  publishing    {count / published:8.0f} requests/s  {published / count * 1e6:8.0f} us each, log published as it goes"
        )
        return path / floor <= limit


def numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> int:
    parser = argparse.ArgumentParser(description="The whole path on SQLite beside its floor.")
    parser.add_argument("--place", type=Path, help="folder on the disk to measure")
    parser.add_argument(
        "--no-limit", action="store_true", help="report a ratio above the limit, but do not fail for it"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=numbers, default=[1, 1000])
    parser.add_argument("--requests", type=numbers, default=[400, 10_000])
    args = parser.parse_args()
    homes._wire = wired
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    good = True
    for batch, count in zip(args.batches, args.requests, strict=True):
        with tempfile.TemporaryDirectory(prefix="carelink-bench-", dir=args.place) as place:
            good &= Bench(Path(place), count, batch).run(args.rounds, LIMIT if not args.no_limit else 1000.0)
    print("\ndurability of both: WAL, synchronous=FULL, secure_delete=ON, BEGIN IMMEDIATE")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
