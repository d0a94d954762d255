"""The command line in this process: `main([...])` on a home in a temporary folder, on a clock that is moved by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
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
BODY = "Dear {patient_name}, your recheck is due on {day}. Reply STOP to end these reminders.\n"
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


Run = Callable[..., Ran]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The clock of every home that is opened; nothing waits on a real one."""
    made = FakeClock(parse_instant(MORNING))
    monkeypatch.setattr("carelink.home.SystemClock", lambda: made)
    monkeypatch.setattr("carelink.cli.send.wait", made.advance)
    return made


@pytest.fixture
def run(
    clock: FakeClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run a command in an empty folder; `stdin` is bytes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CARELINK_HOME", raising=False)
    monkeypatch.delenv("CARELINK_PASSPHRASE", raising=False)

    def ran(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        code = main(arguments)
        seen = capsys.readouterr()
        assert "Traceback" not in seen.err
        return Ran(code, seen.out, seen.err)

    return ran


@pytest.fixture
def home(run: Run, tmp_path: Path) -> Path:
    """A home in ./carelink-data with a reviewed template, and nobody in it."""
    assert run("init", "--zone", "Asia/Shanghai").code == 0
    (tmp_path / "recheck.txt").write_text(BODY, encoding="utf-8")
    added = run("content", "add", "recheck", "--body", "recheck.txt", "--subject", "Recheck",
                "--purposes", "care.appointment", "--channels", "email", "--actor", "author")  # fmt: skip
    assert added.code == 0
    assert run("content", "approve", "recheck", "--actor", "Dr Chen").code == 0
    return tmp_path / "carelink-data"


def people(home: Path, count: int, *, consent: bool = True, first: int = 1) -> list[str]:
    """Register so many patients; their ids."""
    with carelink.open(home) as link:
        return [person(link, number, consent=consent) for number in range(first, first + count)]


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


def letters(home: Path) -> list[Path]:
    """What lies in the outbox."""
    return sorted((home / "outbox" / "email").glob("*.eml"))


def request(key: str, number: int, **more: object) -> str:
    """A JSON line."""
    return json.dumps(
        {"key": key, "identifier": f"MRN-{number}", "purpose": "care.appointment", "channel": "email",
         "template": "recheck", "variables": {"day": "Monday"}, **more}
    )  # fmt: skip
