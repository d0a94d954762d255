"""`carelink demo`: the whole story in one command, on bundled people or on data declared synthetic.

It runs on a virtual clock in a throw-away home that can never leave sandbox mode. Every step checks itself; the exit
code is 0 only if the story came out as promised.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from carelink.app import CareLink
from carelink.cli.audit import print_replay, print_report, replay_folder, verify_folder
from carelink.cli.common import console, error_console, is_chinese, print_reasons, table
from carelink.cli.consent import load_grants
from carelink.cli.exit_codes import Exit
from carelink.cli.patients import register_records
from carelink.cli.preview import print_forecasts
from carelink.cli.send import print_outcomes
from carelink.engine.outcome import SendOutcome
from carelink.home import init
from carelink.interop.fhir import read_fhir
from carelink.interop.records import GrantRecord, PatientRecord, Problem
from carelink.interop.synthetic import DEMO_DATA, enrich
from carelink.model.moment import SECOND, iso, parse_instant
from carelink.model.request import Request
from carelink.ports.channel import ChannelEvent
from carelink.system import entropy
from carelink.testing.fakes import FakeClock
from carelink.vault.personal import Personal
from carelink.vocabulary import ContactStatus, DeliveryEvent, Effect, Standing

__all__ = ["add", "run"]

_AT: Final = "2026-01-15T10:00:00+08:00"
_AT_SAMPLE: Final = "2026-01-15T10:00:00-05:00"
_REVIEWERS: Final = ("Dr Chen", "Dr Novak", "Nurse Li")
_LISTED: Final = 8


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:  # noqa: UP037
    """Register the parser."""
    parser = commands.add_parser("demo", help="the whole story on synthetic people; nothing leaves the machine")
    parser.add_argument("--fhir", type=Path, metavar="DIR", help="bulk NDJSON to run on instead")
    parser.add_argument("--synthetic", action="store_true",
                        help="the data of --fhir is synthetic: labelled grants, guardians and addresses may be added")  # fmt: skip
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the demo's home here")
    parser.set_defaults(run=run)


class _Story:
    """Numbered steps, and what did not come out as promised."""

    def __init__(self) -> None:
        self._number = 0
        self.broken: list[str] = []

    def step(self, title: str) -> None:
        self._number += 1
        console.print(f"\n[bold]{self._number}. {title}[/bold]")

    def expect(self, good: bool, what: str) -> None:  # noqa: FBT001
        console.print(f"   {'ok' if good else 'BROKEN'}: {what}", markup=False)
        if not good:
            self.broken.append(what)


def run(args: argparse.Namespace) -> int:
    """Tell the story."""
    if args.synthetic and args.fhir is None:
        error_console.print("--synthetic says something about --fhir: name the folder too")
        return Exit.USAGE
    place = Path(tempfile.mkdtemp(prefix="carelink-demo-")) if args.keep is None else args.keep
    try:
        return _tell(args, place)
    finally:
        if args.keep is None:
            shutil.rmtree(place, ignore_errors=True)


def _tell(args: argparse.Namespace, place: Path) -> int:
    story = _Story()
    at = parse_instant(_AT if args.fhir is None else _AT_SAMPLE)
    clock = FakeClock(at)
    zone, region = ("Asia/Shanghai", "CN") if args.fhir is None else ("America/New_York", "US")
    console.print(f"carelink demo, on a virtual clock at {iso(at)}. Home: a throw-away sandbox that can never go live.")
    story.step("A new home: store, keys, log, policy")
    with init(place / "home", zone=zone, region=region, synthetic=True, clock=clock, entropy=entropy) as link:
        policy = link.policy()
        packs = ", ".join(f"{pack.id} {pack.version}" for pack in policy.packs) if policy is not None else ""
        console.print(f"   mode {link.mode().value}; policy {packs}; log key fingerprint {link.key.fingerprint}")
        _load(args, link, story)
        requests = _content(link)
        _preview(args, link, story, requests)
        permitted = _send(args, link, story, requests)
        if permitted:
            _late_stop(args, link, story, clock, permitted)
        _again(link, story, requests)
        _prove(link, story, place)
    console.print()
    if story.broken:
        console.print(f"{len(story.broken)} steps did not come out as promised.")
        return Exit.COULD_NOT_RUN
    console.print("Every step came out as promised. Now yours: carelink init --zone Asia/Shanghai")
    return Exit.OK


def _load(args: argparse.Namespace, link: CareLink, story: _Story) -> None:
    story.step("Patients in" if args.fhir is None else f"Patients in, from {args.fhir.name}")
    records: list[PatientRecord] = []
    grants: list[GrantRecord] = []
    problems: list[Problem] = []
    for item in read_fhir(DEMO_DATA if args.fhir is None else args.fhir):
        if isinstance(item, PatientRecord):
            records.append(item)
        elif isinstance(item, GrantRecord):
            grants.append(item)
        else:
            problems.append(item)
    if args.synthetic:
        records, made = enrich(records)
        grants.extend(made)
        console.print("   [yellow]SYNTHETIC[/yellow] grants, guardians and @example.invalid addresses were added")
    counts = register_records(link, records)
    table("", ("patients", "count"), [(name, str(count)) for name, count in counts.items()])
    for problem in problems[:_LISTED]:
        console.print(f"   {problem}", markup=False)
    loaded = load_grants(link, grants)
    console.print(f"   grants: {dict(loaded)}", markup=False)
    story.expect(counts["created"] > 0, f"{len(records)} records read, {len(problems)} rows with problems reported")


def _content(link: CareLink) -> list[Request]:
    link.template(
        "recheck",
        "Dear {patient_name}, your six-month recheck is due on {day}. Reply STOP to end these reminders.",
        subject="Your recheck",
        purposes=["care.appointment"],
        channels=["email", "sms"],
        language="en",
    )
    link.template(
        "open-day",
        "You are invited to our open day on {day}. Reply STOP to end invitations.",
        subject="Open day",
        purposes=["marketing.event"],
        channels=["email", "sms"],
        language="en",
    )
    for name in ("recheck", "open-day"):
        for reviewer in _REVIEWERS:
            link.approve(name, actor=reviewer)
    with link.wiring.store.reader() as reader:
        rows = reader.page_patients("", 100_000)
    return [
        Request(
            key=f"demo/recheck/{row.id}",
            patient=row.id,
            purpose="care.appointment",
            channel="email",
            template="recheck",
            variables={"day": "Monday"},
        )
        for row in rows
        if row.standing is not Standing.MERGED
    ]


def _preview(args: argparse.Namespace, link: CareLink, story: _Story, requests: Sequence[Request]) -> None:
    story.step("Preview by email: nothing is reserved, recorded or sent")
    with link.wiring.store.reader() as reader:
        before, zone = reader.head().size, reader.tenant().zone
        rows = reader.page_patients("", 100_000)
        contacts = reader.contacts([row.id for row in rows])
    print_forecasts(link.preview_many(requests), chinese=is_chinese(args), zone=zone)
    console.print("\n   The same by SMS, to see the numbers:")
    by_sms = [
        Request(key=f"demo/sms/{item.patient}", patient=item.patient, purpose="care.appointment", channel="sms",
                template="recheck", variables={"day": "Monday"})
        for item in requests
    ]  # fmt: skip
    forecasts = link.preview_many(by_sms)
    invalid = sum(
        1
        for item in forecasts
        if item.decision is not None and "CONTACT_INVALID" in [c.value for c in item.decision.codes]
    )
    on_record = sum(
        1 for found in contacts.values() for contact in found
        if contact.kind.value == "phone" and contact.status is ContactStatus.INVALID
    )  # fmt: skip
    console.print(f"   invalid numbers: {invalid} requests refused CONTACT_INVALID, {on_record} numbers on record")
    with link.wiring.store.reader() as reader:
        story.expect(reader.head().size == before, "the log did not grow")


def _send(
    args: argparse.Namespace, link: CareLink, story: _Story, requests: Sequence[Request]
) -> list[tuple[Request, SendOutcome]]:
    story.step("Send: every patient decided, permitted messages handed to the outbox")
    outcomes = link.send_many(requests)
    print_outcomes(outcomes)
    permitted = [(r, o) for r, o in zip(requests, outcomes, strict=True) if o.effect is Effect.PERMIT]
    console.print(f"\n   decided {len(outcomes)}, permitted {len(permitted)}")
    refused = next((o for o in outcomes if o.decision is not None and len(o.decision.reasons) > 1), None)
    if refused is not None and refused.decision is not None:
        console.print("   one refusal, with every reason (carelink why KEY shows all rules and facts):")
        print_reasons(refused.decision, chinese=is_chinese(args))
    files = sorted((link.wiring.settings.outbox / "email").glob("*.eml"))
    story.expect(len(files) == len(permitted), f"{len(files)} files in the outbox, one for each permit")
    if args.fhir is not None and not args.synthetic:
        story.expect(not permitted, "without consent on record nothing was sent, and nothing was invented")
    return permitted


def _address(link: CareLink, request: Request) -> str:
    with link.wiring.store.reader() as reader:
        contact = next(c for c in reader.contacts([request.patient])[request.patient] if c.kind.value == "email")
        envelope = reader.sealed("contact", [contact.id], ["address"])[(contact.id, "address")]
    opened: Personal[str] = link.safe.open(request.patient, "contact", contact.id, "address", envelope)
    return opened.reveal("demo")


def _late_stop(
    args: argparse.Namespace,
    link: CareLink,
    story: _Story,
    clock: FakeClock,
    permitted: Sequence[tuple[Request, SendOutcome]],
) -> None:
    story.step("A late STOP: permits are waiting, then somebody replies")
    waiting = [
        Request(key=f"demo/second/{request.patient}", patient=request.patient, purpose="care.appointment",
                channel="email", template="recheck", variables={"day": "Tuesday"})
        for request, _ in permitted
    ]  # fmt: skip
    made = link.permit_many(waiting)
    holding = [r for r, o in zip(waiting, made, strict=True) if o.effect is Effect.PERMIT]
    console.print(f"   {len(holding)} permits waiting")
    stopper = next((r for r in holding if _own_address(link, r)), None)
    if stopper is None:
        return
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(_address(link, stopper)), text=Personal("退订"))
    (result,) = link.inbound("email", [event])
    console.print(f"   reply 退订: {', '.join(result.actions)}; permits released {len(result.released)}, in flight "
                  f"{len(result.in_flight)}")  # fmt: skip
    clock.advance(SECOND)
    outcomes = dict(zip([r.key for r in waiting], link.send_many(waiting), strict=True))
    stopped = outcomes[stopper.key]
    story.expect(stopped.effect is Effect.REFUSE, "the one who said stop was not contacted")
    if stopped.decision is not None:
        print_reasons(stopped.decision, chinese=is_chinese(args))
    others = [outcomes[r.key] for r in holding if r.key != stopper.key]
    went = sum(1 for outcome in others if outcome.receipt is not None and outcome.receipt.outcome is not None)
    console.print(f"   {went} of the other {len(others)} were handed over, each decided again at its claim")


def _own_address(link: CareLink, request: Request) -> bool:
    with link.wiring.store.reader() as reader:
        contacts = [c for c in reader.contacts([request.patient]).get(request.patient, ()) if c.kind.value == "email"]
        return bool(contacts) and len(reader.contacts_on([contacts[0].token])[contacts[0].token]) == 1


def _again(link: CareLink, story: _Story, requests: Sequence[Request]) -> None:
    story.step("The same command again: nobody is contacted twice")
    folder = link.wiring.settings.outbox / "email"
    before = len(list(folder.glob("*.eml")))
    outcomes = link.send_many(requests)
    repeated = sum(1 for outcome in outcomes if outcome.repeated)
    story.expect(len(list(folder.glob("*.eml"))) == before, f"{repeated} recalled, no new file in the outbox")


def _prove(link: CareLink, story: _Story, place: Path) -> None:
    story.step("Proof: export, verify, replay")
    link.publish()
    export = place / "export"
    link.export(export, actor="demo")
    report = verify_folder(export, link.key.text)
    print_report(report)
    story.expect(report.exit_code == Exit.OK, "the exported log verifies")
    summary, first = replay_folder(export)
    print_replay(summary, first)
    story.expect(
        summary.exit_code == Exit.OK, f"{summary.decisions + summary.claims} decisions derived again, none differs"
    )
    story.step("Tampering: one byte of a copy is changed")
    forged = place / "forged"
    shutil.copytree(export, forged)
    bundle = max((forged / "tile" / "entries").rglob("*.p/*"), default=None) or next(
        path for path in (forged / "tile" / "entries").rglob("*") if path.is_file()
    )
    data = bytearray(bundle.read_bytes())
    at = data.find(b'"effect":"refuse"')
    data[at + 10 : at + 16] = b"permit"
    bundle.write_bytes(bytes(data))
    broken = verify_folder(forged, link.key.text)
    for line in broken.lines()[-3:]:
        console.print(f"   {line}", markup=False)
    story.expect(broken.exit_code == Exit.TAMPERED, "verify names it and exits 3")
