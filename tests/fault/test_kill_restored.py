"""Killed, and the disk lost with it: at every durable write and channel call the process dies, an older backup of the
store is put back, reconciled with the log, and the batch is run again. And the list of those points is complete: what
Python and SQLite report of themselves in a dry run is held against it.

P5, P6: what was published is neither repeated nor lost. What had not been published when the disk was lost is known to
nobody; a channel that proves a repeat harmless repeats nothing even then.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sqlite3
import sys
from collections import Counter
from pathlib import Path

import pytest

from carelink.audit.entry import parse_entry
from carelink.consent.facts import StoreState
from carelink.engine.reconcile import reconcile
from carelink.model.ids import PatientId
from carelink.model.moment import SECOND
from carelink.ports.channel import ChannelEvent
from carelink.stores.logfolder import LogFolder
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent, Effect

_spec = importlib.util.spec_from_file_location("kills", Path(__file__).parent / "test_kill.py")
kills = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = kills
_spec.loader.exec_module(kills)

pytestmark = kills.pytestmark


def run(it, at=kills.RUN):
    """One run of the batch, which publishes after each chunk."""
    link = it.open(at)
    link.parts.options = kills.attrs.evolve(link.parts.options, chunk=2)
    link.notary.interval = 0
    link.recover()
    outcomes = link.send_many(it.requests)
    link.close()
    return outcomes


@pytest.fixture(scope="module", params=list(kills.CHANNELS))
def made(request, tmp_path_factory):
    channel, claim = kills.CHANNELS[request.param]
    return kills.deploy(tmp_path_factory.mktemp("deployed") / "home", channel, claim=claim)


@pytest.fixture(scope="module")
def points(made, tmp_path_factory):
    whole = made.copy(tmp_path_factory.mktemp("whole") / "home")
    killed, names = kills.in_child(lambda: run(whole))
    assert not killed
    assert sorted(whole.told()) == sorted(whole.permitted)
    return names


def published(it, folder):
    """Addresses of those for whom a claim stood in the published log, whatever came of it. Keys and rows are looked up in
    a copy: whoever opens and closes the home itself publishes what was not yet.
    """
    link = it.copy(folder).open(kills.RUN)
    refs = {link.safe.request_ref(request.key): request.patient for request in it.requests}
    with link.wiring.store.reader() as reader:
        tokens = {
            row.token: PatientId(row.owner) for rows in reader.contacts(list(refs.values())).values() for row in rows
        }
    addresses = {tokens[link.safe.token(kills.AddressKind.EMAIL, text)]: text for text in it.permitted
                 if link.safe.token(kills.AddressKind.EMAIL, text) in tokens}  # fmt: skip
    link.close()
    found = set()
    for _, data in LogFolder(it.settings.log).entries():
        body = parse_entry(data).body
        if getattr(body, "lease", None) is not None and body.effect is Effect.PERMIT:
            found.add(addresses[refs[body.request]])
    return found


def kill_and_restore(made, folder, die_at):
    """What left before and after; whether the backup was seen to be one."""
    it = made.copy(folder / "home")
    killed, _ = kills.in_child(lambda: run(it), die_at)
    assert killed
    known = published(it, folder / "copy")
    shutil.rmtree(it.folder / "data")
    shutil.copytree(made.folder / "data", it.folder / "data")

    link = it.open(kills.AFTER_THE_LEASE)
    with link.wiring.store.reader() as reader:
        restored = link.notary.state(reader) is StoreState.RESTORED
    if restored:
        assert {outcome.effect for outcome in link.send_many(it.requests)} == {Effect.REFUSE}, "it sent before it knew"
        assert reconcile(link.parts, link.notary, by="0" * 32).done
    link.close()
    assert restored or not known, "a backup older than the log was taken for the store"

    before = Counter(it.told())
    run(it, kills.AFTER_THE_LEASE + SECOND)
    told, book = Counter(it.told()), it.audit()
    lost = book.states.get("recovered:unknown", 0)
    harmless = it.channel(it.folder).capabilities.lookup
    twice = {address for address, count in told.items() if count > 1}
    assert set(told) <= it.permitted
    assert max(told.values()) <= 2
    assert not twice & known, "somebody was contacted twice whose claim was in the log"
    assert not (harmless and twice), "a channel that can prove a repeat harmless repeated"
    assert twice <= set(before)
    assert lost <= (0 if harmless else it.claim)
    assert len(it.permitted - set(told)) <= lost, "something that is not unknown was never sent"
    assert book.findings == ()
    assert Counter(it.told()) == told
    again = run(it, kills.AFTER_THE_LEASE + 2 * SECOND)
    assert sum(outcome.repeated for outcome in again) == len(it.permitted)
    assert Counter(it.told()) == told
    return restored, bool(twice)


def test_a_run_publishes_as_it_goes(points):
    kinds = Counter(name.partition(" ")[2] for name in points)
    assert kinds["replace"] >= 2 * 3, "three chunks, each published"
    assert {"commit", "send", "fsync", "replace"} <= set(kinds)


@pytest.mark.parametrize("tenth", [2, 5, 9])
def test_killed_somewhere_and_restored(made, points, tmp_path, tenth):
    kill_and_restore(made, tmp_path, max(1, len(points) * tenth // 10))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_killed_at_every_point_and_restored(made, points, tmp_path):
    ends = Counter()
    for die_at in range(1, len(points) + 1):
        folder = tmp_path / str(die_at)
        folder.mkdir()
        try:
            ends[kill_and_restore(made, folder, die_at)] += 1
        except AssertionError as error:
            raise AssertionError(f"killed at point {die_at}: {points[die_at - 1]}") from error
        shutil.rmtree(folder)
    assert {restored for restored, _ in ends} == {True, False}
    assert any(twice for _, twice in ends) is (made.settings.routes["email"] == "notebook"), "what the limit looks like"
    counts = dict(Counter(points))
    sys.stdout.write(
        f"{made.settings.routes['email']}: {len(points)} points, (restored, somebody twice): {dict(ends)}\n{counts}\n"
    )


# -- is the list of points complete? -----------------------------------------------------------------------------------

AUDITED = {"os.link": ("link",), "os.rename": ("rename", "replace"), "os.mkdir": ("mkdir",), "os.remove": ("unlink",)}
WRITES = ("INSERT", "UPDATE", "DELETE", "REPLACE", "CREATE", "ALTER", "DROP")


def witnessed(it, work, report):
    """Run the work in a child, and write down in order what the points say and what Python and SQLite themselves say."""

    def watched():
        seen = []
        connect = sqlite3.connect  # with the points around it already

        def traced(*args, **named):
            db = connect(*args, **named)
            number = len(seen)
            db.set_trace_callback(lambda text: seen.append(("sql", f"{number} {text.split(None, 1)[0].upper()}")))
            return db

        sqlite3.connect = traced
        for name in ("fsync", "link", "replace", "rename", "mkdir", "unlink"):
            call = getattr(os, name)

            def noted(*args, name=name, call=call, **named):
                path = Path(f"/proc/self/fd/{args[0]}").readlink() if name == "fsync" else ""
                seen.append(("point", f"{name} {path}"))
                return call(*args, **named)

            setattr(os, name, noted)

        def hook(event, args):
            if event in AUDITED:
                seen.append(("audit", event))
            elif event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
                seen.append(("write", args[0]))

        sys.addaudithook(hook)
        work(it)
        report.write_text(json.dumps(seen))

    killed, names = kills.in_child(watched)
    assert not killed
    return [tuple(item) for item in json.loads(report.read_text())], names


def unlisted(seen, names):
    """Durable writes of a run that have no crash point before them."""
    faults, open_in, last = [], {}, ""
    for kind, what in seen:
        if kind == "point":
            last = what.partition(" ")[0]
        elif kind == "audit" and last not in AUDITED[what]:
            faults.append(f"{what} without a point")
        elif kind == "sql":
            number, word = what.split()
            if word == "BEGIN":
                open_in[number] = True
            elif word in ("COMMIT", "ROLLBACK"):
                open_in[number] = False
            elif word in WRITES and not open_in.get(number):
                faults.append(f"{word} commits by itself")
    commits = sum(kind == "sql" and what.endswith(" COMMIT") for kind, what in seen)
    if commits != names.count("before commit"):
        faults.append(f"{commits} commits, {names.count('before commit')} points")
    synced = {what.partition(" ")[2] for kind, what in seen if kind == "point" and what.startswith("fsync")}
    for kind, what in seen:
        if kind == "write" and not what.endswith((".db", "-wal", "-shm", ".json", "lock")) and what not in synced:
            faults.append(f"{Path(what).name} is written and never flushed")
    return faults


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks Linux which file a descriptor is")
def test_every_durable_write_is_a_point(made, points, tmp_path):
    it = made.copy(tmp_path / "home")
    seen, names = witnessed(it, run, tmp_path / "seen.json")
    assert unlisted(seen, names) == []
    assert Counter(names) == Counter(points), "the dry run passes the same points"
    sends = len(it.permitted)
    assert names.count("before send") == names.count("after send") == sends
    assert names.count("before commit") >= 3 * 2, "each chunk has its decision and its settling"
    assert len([1 for kind, _ in seen if kind == "sql"]) > 100
    assert len([1 for kind, _ in seen if kind == "audit"]) > 10


# -- everything else that is written down ------------------------------------------------------------------------------


def _one(it, link):
    return link.find("W-00001")


def _merge(it, link):
    link.registration.merge(_one(it, link), link.find("W-00002"))


def _register(it, link):
    link.register(identifier="W-00001", name="Person 1", phone="+8613800009999")
    link.register(identifier="N-1", name="Newcomer", email="newcomer@example.invalid")


def _content(it, link):
    link.template("second", "Another text.", purposes=["care"], channels=["email"])
    link.approve("second", 1, actor="reviewer")


def _grant(it, link):
    link.grant(link.find("W-00007"), purposes=["care"], channels=["email"], evidence="form", separate=True, notice="v1")


def _reply(it, link):
    event = ChannelEvent(
        event=DeliveryEvent.REPLIED, address=Personal("w1@example.invalid"), text=Personal("STOP ALL"), event_id="e"
    )
    link.inbound("email", [event])


def _send_and_hear(it, link):
    link.send_many(it.requests)
    keys = [link.safe.attempt_key(link.safe.request_ref(request.key)) for request in it.requests]
    link.inbound("email", [ChannelEvent(event=DeliveryEvent.DELIVERED, key=key, event_id=key) for key in keys])


def _export(it, link):
    link.export(it.folder / f"export-{len(list(it.folder.glob('export-*')))}", actor="auditor")


EVERYBODY = {f"w{number}@example.invalid": 1 for number in range(1, 7)}
WITHOUT_ONE = {address: 1 for address in EVERYBODY if not address.startswith("w1@")}
FLOWS = {  # what is done, and who has been told after the batch that follows
    "permits that wait": (lambda it, link: link.permit_many(it.requests), EVERYBODY),
    "registering": (_register, EVERYBODY),
    "a grant": (_grant, EVERYBODY | {"w7@example.invalid": 1}),
    "a withdrawal": (lambda it, link: link.withdraw(_one(it, link), purposes=["care"]), WITHOUT_ONE),
    "a stop": (lambda it, link: link.stop(_one(it, link), purposes=["*"]), WITHOUT_ONE),
    "a reply": (_reply, WITHOUT_ONE),
    "a death": (lambda it, link: link.died(_one(it, link)), WITHOUT_ONE),
    "a merge": (_merge, WITHOUT_ONE | {"w2@example.invalid": 2}),
    "content": (_content, EVERYBODY),
    "reports": (_send_and_hear, EVERYBODY),
    "an export": (_export, EVERYBODY),
}


@pytest.fixture(scope="module")
def outbox(tmp_path_factory):
    channel, claim = kills.CHANNELS["outbox"]
    return kills.deploy(tmp_path_factory.mktemp("flows") / "home", channel, claim=claim)


def _flow(name, it, at=kills.RUN):
    link = it.open(at)
    FLOWS[name][0](it, link)
    link.publish()
    link.close()


def _people(it):
    link = it.open(kills.AFTER_THE_LEASE)
    found = len(list(link.patients()))
    link.close()
    return found


def _kill_and_do_again(name, outbox, folder, die_at):
    it = outbox.copy(folder)
    assert kills.in_child(lambda: _flow(name, it), die_at)[0]
    _flow(name, it, kills.AFTER_THE_LEASE)
    run(it, kills.AFTER_THE_LEASE + SECOND)
    assert Counter(it.told()) == FLOWS[name][1]
    assert _people(it) == (8 if name == "registering" else 6 if name == "a merge" else 7)
    assert it.audit().findings == ()
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", FLOWS)
def test_whatever_is_written_down_is_done_again_after_a_kill(outbox, tmp_path, name):
    """Killed before and after its last commit, and at its first write; every write of it is a point."""
    it = outbox.copy(tmp_path / "whole")
    seen, names = witnessed(it, lambda it: _flow(name, it), tmp_path / "seen.json")
    assert unlisted(seen, names) == []
    commits = [place for place, point in enumerate(names, 1) if point.endswith("commit")]
    for die_at in sorted({1, *commits[-4:-2]}):
        _kill_and_do_again(name, outbox, tmp_path / "killed", die_at)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", FLOWS)
def test_whatever_is_written_down_is_done_again_after_a_kill_at_every_point(outbox, tmp_path, name):
    it = outbox.copy(tmp_path / "whole")
    killed, names = kills.in_child(lambda: _flow(name, it))
    assert not killed
    for die_at in range(1, len(names) + 1):
        try:
            _kill_and_do_again(name, outbox, tmp_path / "killed", die_at)
        except AssertionError as error:
            raise AssertionError(f"killed at point {die_at}: {names[die_at - 1]}") from error
    sys.stdout.write(f"{name}: {len(names)} points\n")


def test_a_write_without_a_point_is_found(made, tmp_path):
    def careless(it):
        (it.folder / "new").mkdir()
        (it.folder / "new" / "note.txt").write_text("not flushed")
        db = sqlite3.connect(it.folder / "new" / "other.sqlite", isolation_level=None)
        db.execute("CREATE TABLE t (x)")
        db.close()

    it = made.copy(tmp_path / "home")
    seen, names = witnessed(it, careless, tmp_path / "seen.json")
    assert unlisted(seen, names) == ["CREATE commits by itself", "note.txt is written and never flushed"]
    blind = [item for item in seen if item[0] != "point"]
    assert "os.mkdir without a point" in unlisted(blind, names)
