"""Send to many with a progress line, stop half way, and go on: nobody is contacted twice.

Run it: `python examples/batch_send.py`.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import date
from itertools import count
from pathlib import Path

import carelink
from carelink import CareLink, Request
from carelink.engine.outcome import SendOutcome

PATIENTS, BORN = 80, date(1968, 4, 2)


def load(link: CareLink) -> list[Request]:
    """Patients, of whom three in four agreed, and a request for each."""
    link.template("recheck", "Your recheck is due. Reply STOP to end these reminders.", subject="Recheck",
                  purposes=["care.appointment"], channels=["email"])  # fmt: skip
    link.approve("recheck", actor="Dr Chen")
    requests = []
    for number in range(PATIENTS):
        patient = link.register(identifier=f"MRN-{number}", email=f"p{number}@example.invalid", birth_date=BORN)
        if number % 4:
            link.grant(patient, purposes=["care"], channels=["email"], evidence=f"form {number}")
        # The key names the occasion. It is what makes a second run harmless.
        requests.append(Request(key=f"recheck/2026-05/{number}", patient=patient, purpose="care.appointment",
                                channel="email", template="recheck"))  # fmt: skip
    return requests


def progress(total: int) -> Callable[[SendOutcome], None]:
    """A line on standard error that counts."""
    done = count(1)
    return lambda _: print(f"\r{next(done)} of {total}", end="", file=sys.stderr, flush=True)


def main() -> None:
    with tempfile.TemporaryDirectory() as place, carelink.init(Path(place) / "clinic", zone="Asia/Shanghai") as link:
        requests = load(link)
        link.send_many(requests[:32])  # and here the process may be killed
        outcomes = link.send_many(requests, progress=progress(len(requests)))
        print(file=sys.stderr)
        print("effects:    ", dict(Counter(outcome.effect.value for outcome in outcomes)))
        print("sent before:", sum(outcome.repeated for outcome in outcomes))
        reasons = Counter(str(verdict.reason) for outcome in outcomes for verdict in outcome.reasons)
        print("reasons:    ", dict(reasons))
        print("files:      ", len(list((Path(place) / "clinic" / "outbox" / "email").glob("*.eml"))))


if __name__ == "__main__":
    main()
