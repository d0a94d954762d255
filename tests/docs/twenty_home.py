"""The made-up home on which the commands of docs/how-to/twenty-questions.md run."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import carelink
from carelink import Request
from carelink.app import CareLink
from carelink.model.moment import DAY, MINUTE, to_datetime
from carelink.ports.channel import ChannelEvent
from carelink.testing.fakes import FakeClock
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent


def build(home: Path, clock: FakeClock) -> str:
    """Make the home; the log's key."""
    with carelink.init(home, zone="Asia/Shanghai", clock=clock) as link:
        _content(link)
        _people(link)
        _day(link, clock)
        link.publish()
        return link.key.text


def _content(link: CareLink) -> None:
    link.template("recheck", "Dear {patient_name}, your recheck is due on {day}.", subject="Recheck",
                  purposes=["care.appointment"], channels=["email"], author="Ms Wang")  # fmt: skip
    link.template("open-day", "City Hospital invites you on {day}. Reply STOP to end these.", subject="Open day",
                  purposes=["marketing.event"], channels=["email"], author="Ms Wang")  # fmt: skip
    for name, roles in (("recheck", ("clinical",)), ("open-day", ("clinical", "commercial", "commercial"))):
        for number, role in enumerate(roles):
            link.approve(name, actor=f"Dr {number}", role=role)
    link.approval_number("open-day", number="AD-2026-014", until=to_datetime(link.parts.clock.now() + 20 * DAY),
                         actor="Ms Wang")  # fmt: skip


def _person(link: CareLink, number: int, born: date | None, *, email: str = "", stop: bool = False) -> str:
    patient = link.register(identifier=f"MRN-{number}", name=f"Person {number}", birth_date=born,
                            email=email or f"p{number}@example.invalid")  # fmt: skip
    for purpose in ("care", "marketing"):
        link.grant(patient, purposes=[purpose], channels=["email"], evidence=f"form {number}/{purpose}",
                   separate=True, notice="v3")  # fmt: skip
    if stop:
        link.stop(patient, purposes=["marketing"], source="reply")
    return patient


def _people(link: CareLink) -> None:
    born = date(1968, 4, 2)
    _person(link, 1001, born)
    _person(link, 1002, born)
    _person(link, 1003, born, stop=True)
    _person(link, 1004, date(2010, 6, 1))
    _person(link, 1005, None)
    _person(link, 1006, date(2008, 1, 16))  # turns 18 on the second day
    for number in (1007, 1008, 1009):
        _person(link, number, born, email="family@example.invalid")
    _person(link, 1010, born)


def ask(link: CareLink, key: str, number: int, **more: object) -> Request:
    """A request with what most have in common."""
    wanted: dict[str, object] = {"purpose": "care.appointment", "template": "recheck", "variables": {"day": "Monday"}}
    return Request(key=key, patient=link.find(f"MRN-{number}"), channel="email", **(wanted | more))  # type: ignore[arg-type]


def _day(link: CareLink, clock: FakeClock) -> None:
    event = {"purpose": "marketing.event", "template": "open-day"}
    link.send(ask(link, "recheck/1001", 1001, data=["appointment"]))
    link.withdraw(link.find("MRN-1001"), purposes=["care"], evidence="phone call")
    waiting = ask(link, "recheck/1002", 1002)
    link.permit_many([waiting])
    clock.advance(5 * MINUTE)
    link.withdraw(link.find("MRN-1002"), purposes=["care"])
    link.send_many([waiting])
    link.send(ask(link, "open-day/1003", 1003, **event))
    link.send(ask(link, "recheck/1003", 1003))
    link.send_many([ask(link, f"open-day/{number}", number, automated=True, **event) for number in (1004, 1005, 1010)])
    for number in (1007, 1008, 1009):
        link.send(ask(link, f"recheck/{number}", number))
    link.send(ask(link, "recheck/1007/again", 1007))
    link.inbound("email", [
        ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal("p1010@example.invalid"), text=Personal("打错了")),
    ])  # fmt: skip
    link.send(ask(link, "recheck/1010", 1010))
    clock.advance(DAY)
    link.send(ask(link, "open-day/1006", 1006, **event))
