"""Killed for real: a child process dies by SIGKILL at its n-th durable write or channel call, the next one runs the same
batch again, and the outbox and the log are read afterwards.

P5 and P6: nobody is contacted twice, nothing is unrecorded; UNKNOWN is at most one claim chunk, none on the outbox, which
can be looked up; everything unclaimed is sent.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from email import message_from_bytes
from functools import wraps
from pathlib import Path
from typing import Any

import attrs
import pytest

import carelink
from carelink.app import CareLink, Wiring
from carelink.audit.conservation import Balance, balance
from carelink.audit.divergence import Summary
from carelink.audit.entry import parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.audit.verify import verify
from carelink.channels.outbox import OutboxChannel
from carelink.channels.registry import registry_of
from carelink.consent.facts import StoreState
from carelink.engine.reconcile import reconcile
from carelink.errors import ConflictError, SettingsError
from carelink.home import open_home
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore
from carelink.model.moment import SECOND, Instant, Micros, parse_instant
from carelink.model.request import Request
from carelink.ports.channel import Capabilities, ChannelEvent, ChannelInfo, Prepared, SendResult
from carelink.settings import Settings
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder
from carelink.stores.sqlite.store import SqliteStore
from carelink.system import entropy
from carelink.testing.fakes import FakeClock
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, DeliveryEvent, Outcome

pytestmark = [
    pytest.mark.fault,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills need a system with fork and SIGKILL"),
]

MADE = "2026-01-15T10:00:00+08:00"
RUN = Instant(parse_instant("2026-01-15T10:30:00+08:00"))
AFTER_THE_LEASE = Instant(RUN + 6 * SECOND)


# -- dying --------------------------------------------------------------------------------------------------


class Points:
    """Counts the points passed, and dies at one of them."""

    def __init__(self, die_at: int = 0) -> None:
        self.die_at, self.names = die_at, list[str]()

    def __call__(self, name: str) -> None:
        self.names.append(name)
        if len(self.names) == self.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, call: Callable[..., Any], name: str) -> Callable[..., Any]:
        """The call with a point before and one after it."""

        @wraps(call)
        def watched(*args: Any, **named: Any) -> Any:
            self(f"before {name}")
            answer = call(*args, **named)
            self(f"after {name}")
            return answer

        return watched

    def install(self) -> None:
        """Put points around every durable write and channel call of this process. A child's affair: never undone."""
        points, connect = self, sqlite3.connect

        class Watched(sqlite3.Connection):
            def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
                if statement.lstrip().upper().startswith("COMMIT"):
                    return points.around(super().execute, "commit")(statement, *values)
                return super().execute(statement, *values)

        sqlite3.connect = lambda *args, **named: connect(*args, **{**named, "factory": Watched})
        for name in ("fsync", "link", "replace", "rename", "mkdir", "unlink"):
            setattr(os, name, self.around(getattr(os, name), name))
        for channel in (OutboxChannel, NoteBook):
            channel.send = self.around(channel.send, "send")


def in_child(work: Callable[[], None], die_at: int = 0) -> tuple[bool, list[str]]:
    """Run the work in a child process: whether it was killed, and the points it passed if it was not."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads; the child starts none
        child = os.fork()
    if not child:
        code = 1
        try:
            os.close(read)
            points = Points(die_at)
            points.install()
            work()
            data, code = "\n".join(points.names).encode(), 0
            while data:
                data = data[os.write(write, data) :]
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        names = pipe.read().decode().split("\n")
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True, []
    assert os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return False, names


# -- a deployment that outlives its processes ---------------------------------------------------------------


class NoteBook:
    """A channel that writes down whom it told, a line each, and cannot be asked afterwards."""

    info = ChannelInfo(name="notebook", kind=ChannelKind.EMAIL, address_kind=AddressKind.EMAIL, version="1", local=True)
    capabilities = Capabilities(latency=Micros(1_250_000))

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self, message: Any) -> Prepared:
        wire = Personal(message.body.reveal("test").encode())
        return Prepared(key=message.key, wire=wire, address=message.address, expires=message.permit.lease_until)

    def send(self, prepared: Prepared) -> SendResult:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, f"{prepared.address.reveal('test')}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return SendResult(outcome=Outcome.ACCEPTED)


class SlowOutbox(OutboxChannel):
    """The outbox, declared so slow that a claim takes two messages and the others' permits wait."""

    capabilities = attrs.evolve(OutboxChannel.capabilities, latency=NoteBook.capabilities.latency)


@attrs.define(kw_only=True)
class Deployment:
    """A home on disk, and what is known of it from outside.

    Attributes:
        channel: makes the channel in use; each process makes its own.
        requests: the batch that is sent again and again.
        permitted: addresses of those who may be contacted.
        claim: how many messages a claim takes at most.
    """

    folder: Path
    channel: Callable[[Path], Any]
    settings: Settings
    requests: list[Request]
    permitted: set[str]
    refused: int
    claim: int

    def copy(self, folder: Path) -> Deployment:
        """The same deployment at another place."""
        shutil.copytree(self.folder, folder)
        return attrs.evolve(self, folder=folder, settings=_settings(folder, self.settings.routes["email"]))

    def open(self, at: int) -> CareLink:
        """Open it as a new process does."""
        key_folder = KeyFolder.open(self.settings.keys)
        return CareLink(
            Wiring(
                settings=self.settings,
                store=SqliteStore.open(self.settings.store),
                keys=KeyStore.open(self.settings.keys / "keys.db", key_folder, entropy),
                key_folder=key_folder,
                log=LogFolder(self.settings.log),
                registry=registry_of([self.channel(self.folder)]),
                clock=FakeClock(Instant(at)),
                entropy=entropy,
            )
        )

    def run(self, at: int = RUN) -> list[Any]:
        """One run of the batch, from opening to closing."""
        link = self.open(at)
        link.parts.options = attrs.evolve(link.parts.options, chunk=4)
        link.recover()
        outcomes = link.send_many(self.requests)
        link.publish()
        link.close()
        return outcomes

    def told(self) -> list[str]:
        """Addresses of all messages that left, each as often as it left."""
        book = self.folder / "notebook"
        if book.exists():
            return book.read_text().split()
        files = sorted((self.folder / "outbox" / "email").glob("*.eml"))
        return [str(message_from_bytes(file.read_bytes())["To"]) for file in files]

    def key(self) -> str:
        """The log's key as an auditor would have it."""
        link = self.open(AFTER_THE_LEASE)
        link.close()
        return link.key.text

    def audit(self) -> Balance:
        """Verify and replay the published log; its balance."""
        report = verify(
            FolderFetcher(self.settings.log), vkey=self.key(), check_signature=KeyFolder.check_signature, strict=True
        )
        assert report.exit_code == 0, "\n".join(report.lines())
        log, summary = LogFolder(self.settings.log), Summary()
        assert [str(divergence) for divergence in replay(log.entries(), PolicyJudge(), summary=summary)] == []
        assert summary.exit_code == 0
        return balance((index, parse_entry(data)) for index, data in log.entries())


def _settings(folder: Path, channel: str) -> Settings:
    return Settings(
        home=folder,
        store=folder / "data" / "carelink.db",
        keys=folder / "keys",
        log=folder / "log",
        outbox=folder / "outbox",
        routes={"email": channel},
        permit_ttl=Micros(3600 * SECOND),
    )


def deploy(
    folder: Path, channel: Callable[[Path], Any], *, people: int = 6, refused: int = 1, claim: int = 4
) -> Deployment:
    """A new deployment with people who may be contacted, and some who gave no consent."""
    made = channel(folder)
    world = World(folder, sqlite=True, at=MADE, channels=[made])
    world.content()
    patients = [world.patient(phone=None) for _ in range(people)]
    strangers = [world.patient(phone=None, consent=()) for _ in range(refused)]
    mixed = [*patients[:2], *strangers, *patients[2:]]
    requests = [world.ask(patient, key=f"recheck {number}") for number, patient in enumerate(mixed)]
    world.link.publish()
    world.link.close()
    return Deployment(
        folder=folder,
        channel=channel,
        settings=_settings(folder, made.info.name),
        requests=requests,
        permitted={f"w{number}@example.invalid" for number in range(1, people + 1)},
        refused=refused,
        claim=claim,
    )


# -- a batch killed at every point --------------------------------------------------------------------------

CHANNELS: dict[str, tuple[Callable[[Path], Any], int]] = {
    "outbox": (lambda folder: OutboxChannel(ChannelKind.EMAIL, {"folder": str(folder / "outbox")}), 4),
    "slow-outbox": (lambda folder: SlowOutbox(ChannelKind.EMAIL, {"folder": str(folder / "outbox")}), 2),
    "notebook": (lambda folder: NoteBook(folder / "notebook"), 2),
}


@pytest.fixture(scope="module", params=list(CHANNELS))
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    channel, claim = CHANNELS[request.param]
    return deploy(tmp_path_factory.mktemp("deployed") / "home", channel, claim=claim)


@pytest.fixture(scope="module")
def points(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The points that a run passes which nobody kills."""
    whole = deployment.copy(tmp_path_factory.mktemp("whole") / "home")
    killed, names = in_child(whole.run)
    assert not killed
    assert sorted(whole.told()) == sorted(whole.permitted)
    return names


def _kill_and_go_on(deployment: Deployment, folder: Path, die_at: int) -> None:
    it = deployment.copy(folder / "home")
    killed, _ = in_child(it.run, die_at)
    assert killed
    told_before = Counter(it.told())
    assert not told_before or max(told_before.values()) == 1

    outcomes = it.run(AFTER_THE_LEASE)
    told, states = Counter(it.told()), it.audit()
    lost = states.states.get("recovered:unknown", 0)
    can_be_looked_up = not (it.folder / "notebook").exists() and it.channel(it.folder).capabilities.lookup

    assert set(told) <= it.permitted, "somebody was contacted who may not be"
    assert max(told.values()) == 1, "somebody was contacted twice"
    assert lost <= (0 if can_be_looked_up else it.claim), "more is unknown than one claim chunk"
    assert len(it.permitted - set(told)) <= lost, "something that is not unknown was never sent"
    assert states.findings == ()
    sent = sum(count for state, count in states.states.items() if state.endswith(":accepted"))
    assert sent + lost == len(it.permitted)
    assert len(told) - lost <= sent <= len(told), "a message left that the log does not know"
    assert states.states["refused"] == it.refused
    assert states.requests == len(it.requests) == len(outcomes)

    again = it.run(AFTER_THE_LEASE + SECOND)
    assert Counter(it.told()) == told
    assert sum(outcome.repeated for outcome in again) == len(it.permitted)


def test_a_run_passes_every_kind_of_point(points: list[str]) -> None:
    kinds = {name.partition(" ")[2] for name in points}
    assert {"commit", "send", "fsync", "link", "replace"} <= kinds
    assert len(points) > 40


@pytest.mark.parametrize("tenth", [1, 4, 8])
def test_killed_somewhere(deployment: Deployment, points: list[str], tmp_path: Path, tenth: int) -> None:
    _kill_and_go_on(deployment, tmp_path, max(1, len(points) * tenth // 10))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_every_point(deployment: Deployment, points: list[str], tmp_path: Path) -> None:
    for die_at in range(1, len(points) + 1):
        folder = tmp_path / str(die_at)
        folder.mkdir()
        try:
            _kill_and_go_on(deployment, folder, die_at)
        except AssertionError as error:
            raise AssertionError(f"killed at point {die_at}: {points[die_at - 1]}") from error
        shutil.rmtree(folder)


# -- a home killed while it is made -------------------------------------------------------------------------


def _init(home: Path, at: int = RUN) -> CareLink:
    return carelink.init(home, zone="Asia/Shanghai", clock=FakeClock(Instant(at)))


@pytest.fixture(scope="module")
def init_points(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    home = tmp_path_factory.mktemp("init") / "home"
    killed, names = in_child(lambda: _init(home).close())
    assert not killed
    return names


def _kill_init(folder: Path, die_at: int) -> None:
    """Whatever is left is a whole home, or none at all and says what to do."""
    home = folder / "home"
    killed, _ = in_child(lambda: _init(home).close(), die_at)
    assert killed
    if not (home / "carelink.toml").exists():
        with pytest.raises(SettingsError):
            open_home(home)
        # A file that was still being written beside its place is nothing yet: the next run writes it anew.
        left = [path for path in home.rglob("*") if path.is_file() and not path.name.endswith(".new")]
        if left:
            with pytest.raises(ConflictError) as caught:
                _init(home)
            assert "interrupted `carelink init`" in caught.value.hint
            shutil.rmtree(home, ignore_errors=True)
        _init(home).close()
        assert not list(home.rglob("*.new"))
    with open_home(home, clock=FakeClock(AFTER_THE_LEASE)) as link:
        assert link.policy() is not None
        with link.wiring.store.reader() as reader:
            assert link.notary.state(reader) is StoreState.CURRENT
        link.publish()
        key, log = link.key.text, link.wiring.settings.log
    report = verify(FolderFetcher(log), vkey=key, check_signature=KeyFolder.check_signature, strict=True)
    assert report.exit_code == 0


@pytest.mark.parametrize("fifth", [1, 3, 5])
def test_killed_while_a_home_is_made(init_points: list[str], tmp_path: Path, fifth: int) -> None:
    _kill_init(tmp_path, max(1, len(init_points) * fifth // 5))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_every_point_of_making_a_home(init_points: list[str], tmp_path: Path) -> None:
    for die_at in range(1, len(init_points) + 1):
        (tmp_path / str(die_at)).mkdir()
        _kill_init(tmp_path / str(die_at), die_at)


# -- a stop killed while it is taken in ---------------------------------------------------------------------


def _stop(it: Deployment, at: int = RUN) -> None:
    link = it.open(at)
    event = ChannelEvent(event=DeliveryEvent.OPTED_OUT, address=Personal(min(it.permitted)), event_id="opt-out 1")
    link.inbound("email", [event])
    link.publish()
    link.close()


def test_a_stop_that_is_killed_and_delivered_again_stops_once(tmp_path: Path) -> None:
    channel, claim = CHANNELS["outbox"]
    made = deploy(tmp_path / "made", channel, claim=claim)
    whole = made.copy(tmp_path / "whole")
    killed, names = in_child(lambda: _stop(whole))
    assert not killed
    for die_at in sorted({1, len(names) // 2, *(n for n, name in enumerate(names, 1) if name.endswith("commit"))}):
        it = made.copy(tmp_path / str(die_at))
        assert in_child(lambda it=it: _stop(it), die_at)[0]
        _stop(it, AFTER_THE_LEASE)
        link = it.open(AFTER_THE_LEASE)
        with link.wiring.store.reader() as reader:
            row = link.find("W-00001")
            person = reader.patients([row])[row].person
            token = next(contact.token for contact in reader.contacts([row])[row])
            stops = reader.stops([person], [token])
        link.close()
        assert len(stops) == 2, "one of the person, one of the address"
        assert it.audit().findings == ()


# -- reconciling, killed ------------------------------------------------------------------------------------


def _reconcile(it: Deployment, at: int) -> None:
    link = it.open(at)
    result = reconcile(link.parts, link.notary, by="0" * 32)
    assert result.done
    link.close()


def test_reconciling_that_is_killed_is_done_again(tmp_path: Path) -> None:
    """A backup from before the batch, reconciled: killed at any commit or file, then done again; nobody hears twice."""
    channel, claim = CHANNELS["outbox"]
    made = deploy(tmp_path / "made", channel, claim=claim)
    lost = made.copy(tmp_path / "lost")
    lost.run()
    shutil.rmtree(lost.folder / "data")
    shutil.copytree(made.folder / "data", lost.folder / "data")
    whole = lost.copy(tmp_path / "whole")
    killed, names = in_child(lambda: _reconcile(whole, AFTER_THE_LEASE))
    assert not killed
    for die_at in sorted({1, len(names) // 3, *(n for n, name in enumerate(names, 1) if name.endswith("commit"))}):
        it = lost.copy(tmp_path / str(die_at))
        assert in_child(lambda it=it: _reconcile(it, AFTER_THE_LEASE), die_at)[0]
        _reconcile(it, AFTER_THE_LEASE + SECOND)
        outcomes = it.run(AFTER_THE_LEASE + 2 * SECOND)
        assert sum(outcome.repeated for outcome in outcomes) == len(it.permitted)
        assert sorted(it.told()) == sorted(it.permitted)
        assert it.audit().findings == ()
