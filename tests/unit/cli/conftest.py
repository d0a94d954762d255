"""The command line in this process: `main([...])` on a home in a temporary folder, on a clock that is moved by hand."""

from __future__ import annotations

import io
import json
import shutil
from datetime import date
from pathlib import Path

import attrs
import pytest

import carelink
from carelink.app import CareLink
from carelink.cli.main import main
from carelink.model.moment import parse_instant
from carelink.testing.fakes import FakeClock

MORNING = "2026-01-15T10:00:00+08:00"
BODY = "Dear {patient_name}, your recheck is due on {day}. Reply STOP to end these reminders."
SEND = ("--purpose", "care.appointment", "--template", "recheck", "--channel", "email", "--var", "day=Monday")


@attrs.frozen
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    def lines(self) -> list[dict[str, object]]:
        """Standard output as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


class Desk:
    """A folder of its own, a clock, and commands run in it."""

    SEND = SEND

    def __init__(
        self, folder: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.folder, self.clock = folder, clock
        self.home = folder / "carelink-data"
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def run(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """Run a command."""
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        self._capsys.readouterr()
        code = main(arguments)
        seen = self._capsys.readouterr()
        assert "Traceback" not in seen.err
        return Ran(code, seen.out, seen.err)

    def people(self, count: int, *, consent: bool = True, first: int = 1) -> list[str]:
        """Register so many patients; their ids."""
        with carelink.open(self.home) as link:
            return [person(link, number, consent=consent) for number in range(first, first + count)]

    def letters(self) -> list[Path]:
        """What lies in the outbox."""
        return sorted((self.home / "outbox" / "email").glob("*.eml"))

    @staticmethod
    def request(key: str, number: int, **more: object) -> str:
        """A JSON line."""
        return json.dumps(
            {"key": key, "identifier": f"MRN-{number}", "purpose": "care.appointment", "channel": "email",
             "template": "recheck", "variables": {"day": "Monday"}, **more}
        )  # fmt: skip

    def size(self) -> int:
        """Entries in the log."""
        with carelink.open(self.home) as link, link.wiring.store.reader() as reader:
            return reader.head().size


def person(link: CareLink, number: int, *, consent: bool = True) -> str:
    """Register MRN-<number>; the id."""
    patient = link.register(
        identifier=f"MRN-{number}",
        name=f"Person {number}",
        email=f"p{number}@example.invalid",
        birth_date=date(1970, 1, 1 + number % 28),
    )
    if consent:
        link.grant(patient, purposes=["care"], channels=["email"], evidence=f"form {number}")
    return patient


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of every home that is opened; nothing waits on a real one."""
    made = FakeClock(parse_instant(MORNING))
    monkeypatch.setattr("carelink.home.SystemClock", lambda: made)
    monkeypatch.setattr("carelink.cli.send.wait", made.advance)
    return made


@pytest.fixture
def bare(clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """An empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CARELINK_HOME", raising=False)
    monkeypatch.delenv("CARELINK_PASSPHRASE", raising=False)
    return Desk(tmp_path, clock, monkeypatch, capsys)


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a reviewed template and nobody in it; made once, copied for each test."""
    place = tmp_path_factory.mktemp("made") / "home"
    with carelink.init(place, zone="Asia/Shanghai", clock=FakeClock(parse_instant(MORNING))) as link:
        link.template("recheck", BODY, subject="Recheck", purposes=["care.appointment"], channels=["email"])
        link.approve("recheck", actor="Dr Chen")
        link.publish()
    return place


@pytest.fixture
def desk(bare: Desk, made_home: Path) -> Desk:
    """A home in ./carelink-data with a reviewed template."""
    shutil.copytree(made_home, bare.home)
    return bare
