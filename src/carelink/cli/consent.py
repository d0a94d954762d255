"""`carelink consent import|grant|withdraw|show`: evidence reference required."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from carelink.app import CareLink
from carelink.cli.common import console, error_console, open_link, shown_instant, split, table
from carelink.cli.exit_codes import Exit
from carelink.engine.ledger import GrantOrder
from carelink.errors import CarelinkError
from carelink.interop.csvfile import read_grants_csv
from carelink.interop.records import GrantRecord
from carelink.model.ids import PatientId, is_ref
from carelink.model.moment import parse_instant, to_datetime
from carelink.model.scope import Scope
from carelink.vocabulary import GrantState

__all__ = ["add", "load_grants", "patient_of"]

_BATCH = 500
_SHOWN = 20


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("consent", help="grants and withdrawals, with their evidence")
    verbs = parser.add_subparsers(dest="verb", required=True)
    importer = verbs.add_parser("import", help="grants from CSV")
    importer.add_argument("--csv", type=Path, required=True, metavar="FILE")
    importer.set_defaults(run=_import)
    grant = verbs.add_parser("grant", help="record one grant")
    grant.add_argument("patient", help="patient id, or identifier (SYSTEM|VALUE)")
    grant.add_argument("--purposes", required=True, type=split, help="for example care,education.health")
    grant.add_argument("--channels", required=True, type=split, help="for example sms,email")
    grant.add_argument("--evidence", required=True, help="where the proof lies: form number, recording id")
    grant.add_argument("--by", default="self", choices=("self", "guardian"))
    grant.add_argument("--until", type=parse_instant)
    grant.add_argument("--separate", action="store_true", help="given specifically for this processing")
    grant.add_argument("--notice", default="", help="version of the notice that was shown")
    grant.set_defaults(run=_grant)
    withdraw = verbs.add_parser("withdraw", help="take grants back")
    withdraw.add_argument("patient")
    withdraw.add_argument("--purposes", required=True, type=split)
    withdraw.add_argument("--channels", default=("*",), type=split)
    withdraw.add_argument("--evidence", default="")
    withdraw.set_defaults(run=_withdraw)
    show = verbs.add_parser("show", help="grants and suppressions of one patient")
    show.add_argument("patient")
    show.set_defaults(run=_show)


def patient_of(link: CareLink, text: str) -> PatientId:
    """A patient by id or identifier.

    Raises:
        NotFoundError: nobody is meant.
    """
    if is_ref(text):
        return PatientId(text)
    system, bar, value = text.rpartition("|")
    return link.find(value, system=system) if bar else link.find(text)


def load_grants(link: CareLink, records: list[GrantRecord]) -> Counter[str]:
    """Record grants (and the withdrawals among them); counts of what came of each."""
    counts: Counter[str] = Counter()
    orders: list[tuple[GrantOrder, GrantRecord]] = []
    for record in records:
        system, value = record.patient
        found = link.registration.find(system, value.reveal("match"))
        if found is None:
            counts["no such patient"] += 1
            error_console.print(
                f"{record.source.file}:{record.source.line}: no patient has this identifier", markup=False
            )
            continue
        try:
            order = GrantOrder(
                patient=found,
                scope=Scope(record.purposes, record.channels),
                evidence=record.evidence.reveal("seal"),
                by=record.by,
                since=record.since,
                until=record.until,
                separate=record.separate,
                notice=record.notice,
            )
        except CarelinkError as error:
            counts["malformed"] += 1
            error_console.print(f"{record.source.file}:{record.source.line}: {error}", markup=False)
            continue
        orders.append((order, record))
    for start in range(0, len(orders), _BATCH):
        part = orders[start : start + _BATCH]
        link.ledger.grant([order for order, _ in part])
        counts["recorded"] += len(part)
        for order, record in part:
            if record.state is not GrantState.GIVEN:
                link.ledger.withdraw(order.patient, order.scope, state=record.state, at=record.ended_at)
                counts["withdrawn"] += 1
    return counts


def _import(args: argparse.Namespace) -> int:
    problems = 0
    records: list[GrantRecord] = []
    for item in read_grants_csv(args.csv):
        if isinstance(item, GrantRecord):
            records.append(item)
        else:
            problems += 1
            if problems <= _SHOWN:
                error_console.print(str(item), markup=False)
    with open_link(args) as link:
        counts = load_grants(link, records)
    if problems:
        counts["bad rows"] += problems
    table("Consent imported", ("what", "rows"), [(name, str(count)) for name, count in counts.items()])
    return Exit.OK


def _grant(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        grant = link.grant(
            patient_of(link, args.patient),
            purposes=args.purposes,
            channels=args.channels,
            evidence=args.evidence,
            by=args.by,
            until=None if args.until is None else to_datetime(args.until),
            separate=args.separate,
            notice=args.notice,
        )
    console.print(f"grant {grant} recorded", markup=False)
    return Exit.OK


def _withdraw(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        patient = patient_of(link, args.patient)
        ended = link.withdraw(patient, purposes=args.purposes, channels=args.channels, evidence=args.evidence)
    console.print(f"{len(ended)} grants ended", markup=False)
    return Exit.OK


def _show(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        patient = patient_of(link, args.patient)
        with link.wiring.store.reader() as reader:
            zone = reader.tenant().zone
            grants = reader.grants([patient]).get(patient, ())
            row = reader.patients([patient]).get(patient)
            contacts = reader.contacts([patient]).get(patient, ())
            stops = reader.stops([row.person] if row else [], [contact.token for contact in contacts])
    table("Grants", ("purposes", "channels", "by", "since", "until", "state", "ended"),
          [(",".join(g.purposes), ",".join(g.channels), g.by.value, shown_instant(g.since, zone),
            shown_instant(g.until, zone), g.state.value, shown_instant(g.ended_at, zone)) for g in grants])  # fmt: skip
    table("Suppressions", ("binds", "purposes", "channels", "source", "since", "until"),
          [("person" if s.person else "address", ",".join(s.purposes), ",".join(s.channels), s.source.value,
            shown_instant(s.since, zone), shown_instant(s.until, zone)) for s in stops])  # fmt: skip
    return Exit.OK
