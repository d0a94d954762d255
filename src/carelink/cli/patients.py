"""`carelink patients import|event`: bulk FHIR NDJSON or CSV in, bad rows by line, the rest imported; and what happens
in a patient's life.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from carelink.app import CareLink
from carelink.cli.acting import acting, add_acting
from carelink.cli.common import console, error_console, open_link, split, table
from carelink.cli.consent import patient_of
from carelink.cli.exit_codes import Exit
from carelink.cli.importing import BATCH, Report, Reporter, parted, watched
from carelink.cli.personlines import shown_person
from carelink.engine.registration import PatientInput
from carelink.errors import CarelinkError, ConflictError, InvalidInputError, SettingsError
from carelink.interop.csvcolumns import PATIENT_FIELDS, read_map
from carelink.interop.csvfile import read_patients_csv
from carelink.interop.fhir import PEOPLE, stream_fhir
from carelink.interop.intake import refused, take, unmatched
from carelink.interop.records import GrantRecord, Identifier, PatientRecord, Problem, RelatedRecord, Source
from carelink.model.ids import PatientId
from carelink.model.moment import Instant
from carelink.model.scope import EVERY_PLAN
from carelink.settings import home_from_environment, load
from carelink.system import SystemClock
from carelink.vocabulary import LifecycleStage

__all__ = ["add", "import_records", "register_records", "run_import"]

Person = PatientRecord | RelatedRecord
_EVENTS: Final = ("died", "transferred", "ended", "returned", "stage")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("patients", help="import patients")
    verbs = parser.add_subparsers(dest="verb", required=True)
    importer = verbs.add_parser("import", help="FHIR R4 bulk NDJSON (also .gz), or CSV in UTF-8 or GB18030")
    source = importer.add_mutually_exclusive_group(required=True)
    source.add_argument("--fhir", type=Path, metavar="DIR", help="folder with Patient and RelatedPerson NDJSON")
    source.add_argument("--csv", type=Path, metavar="FILE", help="a patient a row")
    importer.add_argument("--map", type=Path, metavar="FILE", help='with --csv: TOML, "column name" = "field"')
    importer.add_argument("--check", action="store_true", help="read and report; change nothing")
    importer.set_defaults(run=run_import)
    show = verbs.add_parser("show", help="open a patient's record, or a part of it; that somebody looked is an entry")
    show.add_argument("patient", help="patient id, or identifier (SYSTEM|VALUE)")
    show.add_argument("--what", choices=("identity", "contact", "consent", "record"), default="identity")
    add_acting(show)
    show.set_defaults(run=_show)
    event = verbs.add_parser("event", help="record a death, a transfer, the end of a plan, a return, or a stage")
    event.add_argument("patient", help="patient id, or identifier (SYSTEM|VALUE)")
    event.add_argument("what", choices=_EVENTS, help="ended: a plan of care, such as a pregnancy, however it ended")
    event.add_argument("--plans", type=split, default=(), help="with ended, returned: for example pregnancy-2026")
    event.add_argument("--stage", choices=[each.value for each in LifecycleStage], help="with stage: which one")
    event.add_argument("--actor", help="with returned, which allows again: who says so")
    event.set_defaults(run=_event)


def run_import(args: argparse.Namespace) -> int:
    """Import, or only check."""
    if args.map is not None and args.csv is None:
        error_console.print("carelink: --map says something about --csv: name the file too")
        return Exit.USAGE
    report = Reporter(everything=args.check)
    if args.check:
        counts: Mapping[str, int] = _check(_read(args, SystemClock().now()), _region(args), report)
    else:
        with open_link(args) as link:
            counts = import_records(link, _read(args, link.parts.clock.now()), report)
    title = "Patients checked, nothing changed" if args.check else "Patients imported"
    table(title, ("what", "rows"), [*((name, str(count)) for name, count in counts.items()), *report.rows()])
    return report.finish()


def _show(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        found = link.person(patient_of(link, args.patient), what=args.what, actor=acting(link, args))
        for name, value in shown_person(found):
            console.print(f"{name:<20} {value}", markup=False)
    return Exit.OK


def _event(args: argparse.Namespace) -> int:
    fits = {"plans": ("ended", "returned"), "stage": ("stage",), "actor": ("returned",)}
    for option, events in fits.items():
        if getattr(args, option) and args.what not in events:
            error_console.print(f"carelink: --{option} says nothing about `{args.what}`", markup=False)
            return Exit.USAGE
    for what, option in (("ended", "plans"), ("stage", "stage"), ("returned", "actor")):
        if args.what == what and not getattr(args, option):
            error_console.print(f"carelink: `{what}` needs --{option}", markup=False)
            return Exit.USAGE
    with open_link(args) as link:
        patient = patient_of(link, args.patient)
        if args.what == "returned":
            lifted = link.returned(patient, actor=args.actor, plans=args.plans or EVERY_PLAN)
            console.print(f"{len(lifted)} suppressions lifted", markup=False)
        elif args.what in ("transferred", "ended"):
            done = (
                link.transferred(patient) if args.what == "transferred" else link.plan_ended(patient, plans=args.plans)
            )
            console.print(f"{len(done.suppressions)} suppressions added, {len(done.released)} permits released")
        else:
            link.died(patient) if args.what == "died" else link.stage(patient, args.stage)
            console.print(f"{args.what} recorded", markup=False)
    return Exit.OK


def _region(args: argparse.Namespace) -> str:
    """The country of phone numbers without a prefix: this home's, or the default where there is no home yet."""
    home = Path(args.home) if args.home is not None else home_from_environment() or Path("carelink-data")
    try:
        return load(home).region
    except SettingsError:
        console.print("There is no home here yet: phone numbers without a country code are read as Chinese ones.")
        return "CN"


def _read(args: argparse.Namespace, now: Instant) -> Iterator[Person | Problem]:
    if args.csv is not None:
        columns = {} if args.map is None else read_map(args.map, PATIENT_FIELDS)
        yield from watched(args.csv, lambda moved: read_patients_csv(args.csv, columns=columns, progress=moved))
        return
    for item in watched(args.fhir, lambda moved: stream_fhir(args.fhir, PEOPLE, now=now, progress=moved)):
        if not isinstance(item, GrantRecord):
            yield item


def _check(items: Iterable[Person | Problem], region: str, report: Report) -> Mapping[str, int]:
    counts = Counter({"good": 0, "left out": 0})
    for item in items:
        if isinstance(item, Problem):
            report(item)
            counts["left out"] += item.lost
            continue
        intake = take(item, region)
        for problem in intake.problems:
            report(problem)
        counts["good" if intake.given is not None else "left out"] += 1
    return counts


def register_records(link: CareLink, records: Iterable[Person]) -> Mapping[str, int]:
    """Register what a reader found, silently; counts as in `import_records`."""
    return import_records(link, records, lambda _: None)


@attrs.define
class _Import:
    """One import: what is counted, and the merges that wait until everybody is on record."""

    link: CareLink
    report: Report
    counts: Counter[str] = attrs.field(
        factory=partial(Counter, dict.fromkeys(("created", "updated", "unchanged", "merged", "left out"), 0))
    )
    merges: list[tuple[PatientId, Identifier, Source]] = attrs.field(factory=list)
    replaced: list[tuple[Identifier, PatientId, Source]] = attrs.field(factory=list)

    def lose(self, problem: Problem) -> None:
        """A row was left out."""
        self.report(problem)
        self.counts["left out"] += problem.lost

    def register(self, batch: list[tuple[Person, PatientInput]]) -> None:
        """One batch, in one commit."""
        results = parted([given for _, given in batch], self.link.register_many)
        for (record, _), result in zip(batch, results, strict=True):
            source = record.source
            if source is None:
                continue
            error = result if isinstance(result, CarelinkError) else result.error
            if isinstance(result, CarelinkError) or result.patient is None:
                self.lose(refused(source, error or InvalidInputError("it was not taken")))
                continue
            if isinstance(record, RelatedRecord):
                self.counts["related persons"] += 1
                continue
            self._lived(record, result.patient)
            self.counts["created" if result.created else "updated" if result.changed else "unchanged"] += 1
            if record.same_as is not None:
                self.merges.append((result.patient, record.same_as, source))
            self.replaced += [(other, result.patient, source) for other in record.replaces]

    def _lived(self, record: PatientRecord, patient: PatientId) -> None:
        """What a row says of a transfer and of plans that are over; it never takes either back."""
        if record.transferred:
            self.link.transferred(patient)
        for plan in record.ended_plans:
            self.link.plan_ended(patient, plans=[plan])

    def merge(self) -> None:
        """Join the records that are one person."""
        for old, (system, value), source in self.merges:
            self._merge(old, self.link.registration.find(system, value.reveal("match")), source, "same_as")
        for (system, value), survivor, source in self.replaced:
            self._merge(self.link.registration.find(system, value.reveal("match")), survivor, source, "replaces")

    def _merge(self, old: PatientId | None, survivor: PatientId | None, source: Source, field: str) -> None:
        if old is None or survivor is None:
            self.report(unmatched(source, field, lost=False))
            return
        goes_on = self.link.registration.survivors([old, survivor])
        if goes_on[old] == goes_on[survivor]:
            return  # the same record, or joined by an earlier import
        try:
            self.link.registration.merge(old, survivor)
            self.counts["merged"] += 1
        except (InvalidInputError, ConflictError) as error:
            self.report(refused(source, error, lost=False))


def import_records(link: CareLink, items: Iterable[Person | Problem], report: Report) -> Mapping[str, int]:
    """Register records in batches, then join those that are one person. Holds one batch, and the merges.

    Returns:
        How many patients were `created`, `updated`, `unchanged` and `merged` (into another record), how many rows were
        `left out`, and how many `related persons` stood in rows of their own.
    """
    run = _Import(link, report)
    batch: list[tuple[Person, PatientInput]] = []
    for item in items:
        if isinstance(item, Problem):
            run.lose(item)
            continue
        intake = take(item, link.parts.options.region)
        for problem in intake.problems:
            run.lose(problem)
        if intake.given is not None:
            batch.append((item, intake.given))
        if len(batch) == BATCH:
            run.register(batch)
            batch = []
    if batch:
        run.register(batch)
    run.merge()
    return run.counts
