"""How a program in another language sends: it starts `carelink send --jsonl -`, writes a line, reads a line.

Nothing here but `prepare` uses Python's carelink: the client needs pipes and JSON, which Java and .NET have.
Run it: `python examples/jsonl_client.py`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

import carelink


class Client:
    """A process that stays open: opening a home takes longer than a decision."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-m", "carelink.cli.main", "--home", str(home), "send", "--jsonl", "-"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")

    def send(self, request: dict[str, object]) -> dict[str, object]:
        """One line out, one line in. A line that is no request is answered with its `error`; the next one goes on."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> int:
        """Closing standard input ends the process; its exit code."""
        self._process.communicate(timeout=60)
        return self._process.returncode


def prepare(home: Path) -> None:
    """What a hospital did before: a home, a patient, a grant, a reviewed text."""
    with carelink.init(home, zone="Asia/Shanghai") as link:
        patient = link.register(identifier="MRN-1", email="p1@example.invalid", birth_date=date(1968, 4, 2))
        link.grant(patient, purposes=["care"], channels=["email"], evidence="form 1")
        link.template("recheck", "Your recheck is due.", purposes=["care.appointment"], channels=["email"])
        link.approve("recheck", actor="Dr Chen")


if __name__ == "__main__":
    ask = {"identifier": "MRN-1", "purpose": "care.appointment", "channel": "email", "template": "recheck"}
    with tempfile.TemporaryDirectory() as place:
        prepare(Path(place) / "clinic")
        client = Client(Path(place) / "clinic")
        for request in ({"key": "a"}, {"key": "a"}, {"key": "b", "identifier": "MRN-2"}, {"key": 3}):
            print(client.send({**ask, **request}))
        print("exit code", client.close())
