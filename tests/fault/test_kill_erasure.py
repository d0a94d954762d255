"""Killed for real in the middle of an erasure, at every durable write of it: the next open completes what had begun. What
had not begun left no trace. Afterwards nothing of the person opens, and the log verifies and replays (P9).
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

import carelink
from carelink.audit.divergence import Summary
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.audit.verify import verify
from carelink.engine.erasure import Erasure
from carelink.errors import CarelinkError
from carelink.home import open_home
from carelink.keys.folder import KeyFolder
from carelink.model.moment import DAY, parse_instant
from carelink.ports.eraser import CopyResult, EraseReport
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder
from carelink.testing.fakes import FakeClock
from carelink.vocabulary import AddressKind, ErasurePhase

_spec = importlib.util.spec_from_file_location("kills", Path(__file__).parent / "test_kill.py")
kills = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = kills
_spec.loader.exec_module(kills)

pytestmark = kills.pytestmark

AT = parse_instant("2026-01-15T10:00:00+08:00")
PHONE = "+8613812345678"


def opened(home, later=0):
    return open_home(home, clock=FakeClock(AT + later))


class Asked:
    """A copy elsewhere, as a file: removed once, and asked as often as it must be."""

    name = "warehouse"

    def __init__(self, path):
        self.path = path

    def erase(self, order):
        found = self.path.exists()
        self.path.unlink(missing_ok=True)
        return EraseReport(result=CopyResult.ERASED if found else CopyResult.NOTHING, count=int(found))


def erase(home, patient):
    with opened(home) as link:
        link.erasure.erasers = (Asked(home / "copy"),)
        link.erase(patient, actor="officer")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A home with a patient, and with another whose permit waits; the patient's id, and what is sealed."""
    home = tmp_path_factory.mktemp("made") / "home"
    with carelink.init(home, zone="Asia/Shanghai", clock=FakeClock(AT)) as link:
        patient = link.register(identifier="MRN-1", name="Canary", phone=PHONE, email="canary@example.invalid")
        old = link.register(identifier="MRN-0", name="Old Canary")
        link.registration.merge(old, patient)
        link.grant(patient, purposes=("care",), channels=("sms",), evidence="form 7")
        with link.wiring.store.reader() as reader:
            sealed = reader.page_sealed(("", "", ""), 100)
    (home / "copy").write_text("Canary")
    return home, patient, sealed


def opens(link, sealed):
    found = []
    for row in sealed:
        try:
            found.append(link.safe.reopen(row).reveal("test"))
        except CarelinkError:
            continue
    return found


def audit(link):
    link.publish()
    folder = link.wiring.settings.log
    report = verify(FolderFetcher(folder), vkey=link.key.text, check_signature=KeyFolder.check_signature)
    assert report.exit_code == 0, report.lines()
    assert [str(each) for each in replay(LogFolder(folder).entries(), PolicyJudge(), summary=Summary())] == []


@pytest.fixture(scope="module")
def points(made, tmp_path_factory):
    home, patient, _ = made
    whole = shutil.copytree(home, tmp_path_factory.mktemp("whole") / "home")
    killed, names = kills.in_child(lambda: erase(whole, patient))
    assert not killed
    return names


def test_there_are_points_between_all_steps(points):
    # Four commits of the data store, one of the key store for each of the two records, and the publication.
    assert sum(name == "before commit" for name in points) >= 6
    assert any("fsync" in name for name in points)


def test_a_killed_erasure_completes_on_the_next_open(made, points, tmp_path):
    home, patient, sealed = made
    seen = set()
    for number, name in enumerate(points, start=1):
        copy = shutil.copytree(home, tmp_path / str(number))
        killed, _ = kills.in_child(lambda copy=copy, at=number: erase(copy, patient), die_at=number)
        assert killed, name
        with opened(copy, DAY) as link:
            with link.wiring.store.reader() as reader:
                row = reader.erasures([patient]).get(patient)
                left = reader.page_sealed(("", "", ""), 100)
                token = link.safe.token(AddressKind.PHONE, PHONE)
                stops = reader.stops((), [token])
            if row is None:  # it had not begun
                assert len(left) == len(sealed)
                assert "Canary" in opens(link, sealed)
            else:
                assert row.phase is ErasurePhase.DONE, name
                assert left == ()
                assert opens(link, sealed) == []
                assert len(link.wiring.keys.tombstoned(row.owners)) == len(row.owners) == 2
                assert stops, "the stop is there whatever became of the rest"
                assert link.erasure.state(patient).receipt is not None
            audit(link)
            seen.add(row is not None)
        shutil.rmtree(copy)
    assert seen == {True, False}


def test_without_going_on_a_killed_erasure_would_stay_half_done(made, points, tmp_path, monkeypatch):
    home, patient, _ = made
    last = max(number for number, name in enumerate(points, start=1) if name == "before commit")
    first = [number for number, name in enumerate(points, start=1) if name == "after commit"]
    monkeypatch.setattr(Erasure, "resume", lambda _: 0)
    half = []
    for number in (number for number in first if number < last):
        copy = shutil.copytree(home, tmp_path / str(number))
        kills.in_child(lambda copy=copy, at=number: erase(copy, patient), die_at=number)
        with opened(copy, DAY) as link, link.wiring.store.reader() as reader:
            row = reader.erasures([patient]).get(patient)
            half.append(row is not None and row.phase is not ErasurePhase.DONE)
        shutil.rmtree(copy)
    assert any(half)
