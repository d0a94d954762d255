"""Open, register, grant, preview, send, withdraw: the whole of it on one page.

Run it: `python examples/quickstart.py`. It works in a temporary folder, and nothing leaves the machine.
"""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path

import carelink
from carelink import Effect, Request


def main() -> None:
    with tempfile.TemporaryDirectory() as place, carelink.init(Path(place) / "clinic", zone="Asia/Shanghai") as link:
        patient = link.register(
            identifier="MRN-1001", name="林小满", email="lin@example.invalid", birth_date=date(1968, 4, 2)
        )
        link.template("recheck", "Dear {patient_name}, your recheck is due on {day}.", subject="Recheck",
                      purposes=["care.appointment"], channels=["email"])  # fmt: skip
        link.approve("recheck", actor="Dr Chen")
        request = Request(key="recheck/1001/2026-05", patient=patient, purpose="care.appointment", channel="email",
                          template="recheck", variables={"day": "Monday"})  # fmt: skip

        forecast = link.preview(request)
        print("without consent:", forecast.effect.value, [str(verdict.reason) for verdict in forecast.reasons])

        link.grant(patient, purposes=["care"], channels=["email"], evidence="registration form 2026-0117")
        print("with consent:   ", link.preview(request).effect.value)

        outcome = link.send(request)
        match outcome.effect:
            case Effect.PERMIT:
                print("handed over:    ", outcome.receipt and outcome.receipt.outcome)
                print("in the outbox:  ", len(list((Path(place) / "clinic" / "outbox" / "email").glob("*.eml"))))
            case Effect.DEFER:
                print("later, from:    ", outcome.earliest)  # at night: a promise to decide again
            case Effect.REFUSE:
                print("refused:        ", [str(verdict.reason) for verdict in outcome.reasons])

        again = link.send(request)
        print("the same again: ", "sent before" if again.repeated else again.effect.value)

        ended = link.withdraw(patient, purposes=["care"], evidence="phone call 2026-02-01")
        print("withdrawn:      ", len(ended), "grant")
        other = Request(key="recheck/1001/2026-06", patient=patient, purpose="care.appointment", channel="email",
                        template="recheck", variables={"day": "Tuesday"})  # fmt: skip
        print("after that:     ", link.send(other).effect.value)


if __name__ == "__main__":
    main()
