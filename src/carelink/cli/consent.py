"""`carelink consent import|grant|withdraw|stop|show`: evidence reference required."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from carelink.app import CareLink
from carelink.cli.common import console, error_console, open_link, shown_instant, split, table
from carelink.cli.exit_codes import Exit
from carelink.cli.importing import Report, Reporter, batches, parted, print_problem, watched
from carelink.engine import reported as engine
from carelink.engine.ledger import GrantOrder
from carelink.errors import CarelinkError, InvalidInputError
from carelink.interop.csvcolumns import GRANT_FIELDS, read_map
from carelink.interop.csvfile import read_grants_csv
from carelink.interop.fhir import CONSENTS, stream_fhir
from carelink.interop.intake import merged, refused, unmatched
from carelink.interop.records import GrantRecord, Problem
from carelink.model.ids import PatientId, is_ref
from carelink.model.moment import parse_instant, to_datetime
from carelink.model.scope import EVERY_PLAN, Scope
from carelink.vocabulary import GrantState, StopSource

__all__ = ["add", "load_grants", "patient_of"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("consent", help="grants and withdrawals, with their evidence")
    verbs = parser.add_subparsers(dest="verb", required=True)
    importer = verbs.add_parser("import", help="grants and withdrawals from CSV or FHIR R4")
    source = importer.add_mutually_exclusive_group(required=True)
    source.add_argument("--csv", type=Path, metavar="FILE", help="a grant a row")
    source.add_argument("--fhir", type=Path, metavar="DIR", help="folder with Consent NDJSON")
    importer.add_argument("--map", type=Path, metavar="FILE", help='with --csv: TOML, "column name" = "field"')
    importer.add_argument("--channels", default=(), type=split, help="with --fhir: of a Consent that names none")
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
    grant.add_argument("--plans", default=EVERY_PLAN, type=split, help="only messages of these plans of care")
    grant.set_defaults(run=_grant)
    withdraw = verbs.add_parser("withdraw", help="take grants back")
    withdraw.add_argument("patient")
    withdraw.add_argument("--purposes", required=True, type=split)
    withdraw.add_argument("--channels", default=("*",), type=split)
    withdraw.add_argument("--evidence", default="")
    withdraw.add_argument("--plans", default=EVERY_PLAN, type=split, help="grants that meet these plans of care")
    withdraw.set_defaults(run=_withdraw)
    stop = verbs.add_parser("stop", help="suppress a patient, whatever was granted; releases what waits")
    stop.add_argument("patient", help="patient id, or identifier (SYSTEM|VALUE)")
    stop.add_argument("--purposes", required=True, type=split, help="for example marketing,education; * is all")
    stop.add_argument("--channels", default=("*",), type=split)
    stop.add_argument("--plans", default=EVERY_PLAN, type=split, help="only messages of these plans of care")
    stop.set_defaults(run=_stop)
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


def load_grants(link: CareLink, items: Iterable[GrantRecord | Problem], report: Report = print_problem) -> Counter[str]:
    """Take grants and withdrawals in, batch by batch. Repeating it changes nothing, and gives nothing back that was
    taken back (P3).

    Returns:
        How many were `recorded`, how many of these as `withdrawn`; `replaced` (the terms changed), `suppressed` (the
        patient said no), `unchanged`, `not revived` and `left out`.
    """
    counts: Counter[str] = Counter(recorded=0)
    for batch in batches(items):
        records = []
        for item in batch:
            if isinstance(item, Problem):
                report(item)
                counts["left out"] += item.lost
            else:
                records.append(item)
        for problem in _load(link, records, counts):
            report(problem)
            counts["left out"] += problem.lost
    return counts


def _load(link: CareLink, records: list[GrantRecord], counts: Counter[str]) -> Iterator[Problem]:
    names = {id(record): (record.patient[0], record.patient[1].reveal("match")) for record in records}
    found = link.registration.find_many(list(names.values()))
    survivors = link.registration.survivors(list(found.values()))
    reports: list[tuple[engine.Report, GrantRecord]] = []
    for record in records:
        patient = found.get(names[id(record)])
        if patient is None:
            yield unmatched(record.source, "patient", lost=True)
            continue
        if survivors[patient] != patient:
            if record.state is GrantState.GIVEN and not record.refusal:
                yield merged(record.source)
                continue
            patient = survivors[patient]  # whoever takes something back under an old number takes it back
        scope = Scope(record.purposes, record.channels)
        if record.refusal:
            counts["suppressed"] += _refuse(link, patient, scope)
            continue
        try:
            order = GrantOrder(
                patient=patient,
                scope=scope,
                evidence=record.evidence.reveal("seal"),
                by=record.by,
                since=record.since,
                until=record.until,
                separate=record.separate,
                notice=record.notice,
            )
            reports.append((engine.Report(order=order, state=record.state, ended_at=record.ended_at), record))
        except InvalidInputError as error:
            yield refused(record.source, error)
    taken = parted([item for item, _ in reports], engine.Reported(link.parts).take)
    for what, (_, record) in zip(taken, reports, strict=True):
        if isinstance(what, CarelinkError):
            yield refused(record.source, what)
            continue
        if what is engine.Taken.UNDATED:
            message = "the patient took back what it covers: say since when this was given"
            yield refused(record.source, InvalidInputError(message))
            continue
        counts[what.value] += 1
        counts["recorded"] += what is engine.Taken.ENDED


def _refuse(link: CareLink, patient: PatientId, scope: Scope) -> bool:
    """The patient said no: a suppression, unless there is one that says the same; whether it is new."""
    with link.wiring.store.reader() as reader:
        row = reader.patients([patient])[patient]
        stops = reader.stops([row.person], ())
    if any((stop.purposes, stop.channels) == (scope.purposes, scope.channels) for stop in stops):
        return False
    link.ledger.stop(patient=patient, scopes=[scope], source=StopSource.IMPORT)
    return True


def _import(args: argparse.Namespace) -> int:
    if args.map is not None and args.csv is None:
        error_console.print("carelink: --map says something about --csv: name the file too")
        return Exit.USAGE
    report = Reporter()
    with open_link(args) as link:
        counts = load_grants(link, _read(args, link), report)
    table(
        "Consent imported", ("what", "rows"), [*((name, str(count)) for name, count in counts.items()), *report.rows()]
    )
    return report.finish()


def _read(args: argparse.Namespace, link: CareLink) -> Iterator[GrantRecord | Problem]:
    with link.wiring.store.reader() as reader:
        zone = reader.tenant().zone
    if args.csv is not None:
        columns = {} if args.map is None else read_map(args.map, GRANT_FIELDS)
        yield from watched(
            args.csv, lambda moved: read_grants_csv(args.csv, columns=columns, zone=zone, progress=moved)
        )
        return
    source = partial(stream_fhir, args.fhir, CONSENTS, zone=zone, channels=args.channels)
    for item in watched(args.fhir, lambda moved: source(progress=moved)):
        if isinstance(item, GrantRecord | Problem):
            yield item


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
            plans=args.plans,
        )
    console.print(f"grant {grant} recorded", markup=False)
    return Exit.OK


def _withdraw(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        patient = patient_of(link, args.patient)
        ended = link.withdraw(
            patient, purposes=args.purposes, channels=args.channels, plans=args.plans, evidence=args.evidence
        )
    console.print(f"{len(ended)} grants ended", markup=False)
    return Exit.OK


def _stop(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        patient = patient_of(link, args.patient)
        done = link.stop(patient, purposes=args.purposes, channels=args.channels, plans=args.plans)
    console.print(f"{len(done.suppressions)} suppressions added, {len(done.released)} permits released", markup=False)
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
    table("Grants", ("purposes", "channels", "plans", "by", "since", "until", "state", "ended"),
          [(",".join(g.purposes), ",".join(g.channels), ",".join(g.plans), g.by.value, shown_instant(g.since, zone),
            shown_instant(g.until, zone), g.state.value, shown_instant(g.ended_at, zone)) for g in grants])  # fmt: skip
    table("Suppressions", ("binds", "purposes", "channels", "plans", "source", "since", "until"),
          [("person" if s.person else "address", ",".join(s.purposes), ",".join(s.channels), ",".join(s.plans),
            s.source.value, shown_instant(s.since, zone), shown_instant(s.until, zone)) for s in stops])  # fmt: skip
    return Exit.OK
