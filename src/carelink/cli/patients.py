"""`carelink patients import`: bulk FHIR NDJSON or CSV in; bad rows by line, the rest imported."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import attrs

from carelink.app import CareLink
from carelink.cli.common import console, error_console, open_link, progress, table
from carelink.cli.exit_codes import Exit
from carelink.engine.registration import PatientInput, Registered
from carelink.errors import InvalidInputError, NotFoundError, SettingsError
from carelink.interop.csvcolumns import PATIENT_FIELDS, read_map
from carelink.interop.csvfile import read_patients_csv
from carelink.interop.fhir import read_fhir
from carelink.interop.intake import refused, take, unmatched
from carelink.interop.lines import Progress
from carelink.interop.records import GrantRecord, Identifier, PatientRecord, Problem, Source
from carelink.model.ids import PatientId
from carelink.settings import home_from_environment, load

__all__ = ["Reporter", "add", "import_records", "register_records", "run_import"]

_BATCH: Final = 500
_SHOWN: Final = 20
"""Notes of one kind that an import prints; it prints every lost row, and `--check` prints everything."""

Report = Callable[[Problem], None]


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


@attrs.define
class Reporter:
    """Prints problems, counts them, and knows whether rows were lost."""

    everything: bool = False
    lost: int = 0
    notes: Counter[str] = attrs.field(factory=Counter)

    def __call__(self, problem: Problem) -> None:
        """Take one problem in."""
        if problem.lost:
            self.lost += 1
        else:
            self.notes[problem.code.value] += 1
        if problem.lost or self.everything or self.notes[problem.code.value] <= _SHOWN:
            error_console.print(str(problem), markup=False)

    def finish(self) -> int:
        """Say what was not printed and what was lost; the exit code."""
        for code, count in sorted(self.notes.items()):
            if count > _SHOWN and not self.everything:
                error_console.print(f"{count - _SHOWN} more rows with {code}; --check lists all", markup=False)
        if self.lost:
            error_console.print(f"{self.lost} rows were left out; they are named above. All others were taken.")
        return Exit.COULD_NOT_RUN if self.lost else Exit.OK


def run_import(args: argparse.Namespace) -> int:
    """Import, or only check."""
    if args.map is not None and args.csv is None:
        error_console.print("--map says something about --csv: name the file too")
        return Exit.USAGE
    report = Reporter(everything=args.check)
    if args.check:
        counts: Mapping[str, int] = _check(_read(args), _region(args), report)
    else:
        with open_link(args) as link:
            counts = import_records(link, _read(args), report)
    shown = [(name, str(count)) for name, count in [*counts.items(), *sorted(report.notes.items())]]
    table("Patients checked, nothing changed" if args.check else "Patients imported", ("what", "rows"), shown)
    return report.finish()


def _region(args: argparse.Namespace) -> str:
    """The country of phone numbers without a prefix: this home's, or the default where there is no home yet."""
    home = Path(args.home) if args.home is not None else home_from_environment() or Path("carelink-data")
    try:
        return load(home).region
    except SettingsError:
        console.print("There is no home here yet; phone numbers without a country code are read as Chinese.")
        return "CN"


def _read(args: argparse.Namespace) -> Iterator[PatientRecord | Problem]:
    path: Path = args.fhir or args.csv
    if not path.exists():
        raise NotFoundError("there is no such file or folder")
    with progress(path.name, None) as bar:

        def moved(done: int, total: int) -> None:
            bar.update(bar.task_ids[0], completed=done, total=total)

        yield from _records(args, moved)


def _records(args: argparse.Namespace, moved: Progress) -> Iterator[PatientRecord | Problem]:
    if args.csv is not None:
        columns = {} if args.map is None else read_map(args.map, PATIENT_FIELDS)
        yield from read_patients_csv(args.csv, columns=columns, progress=moved)
        return
    for item in read_fhir(args.fhir, progress=moved):
        if not isinstance(item, GrantRecord):
            yield item


def _check(items: Iterable[PatientRecord | Problem], region: str, report: Report) -> Mapping[str, int]:
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


def register_records(link: CareLink, records: Iterable[PatientRecord]) -> Mapping[str, int]:
    """Register what a reader found, silently; counts as in `import_records`."""
    return import_records(link, records, lambda _: None)


def import_records(link: CareLink, items: Iterable[PatientRecord | Problem], report: Report) -> Mapping[str, int]:
    """Register records in batches, then join those that are one person.

    Returns:
        How many were `created`, `updated`, `unchanged`, `merged` (into another record) and `failed` (left out).
    """
    counts: Counter[str] = Counter(dict.fromkeys(("created", "updated", "unchanged", "merged", "failed"), 0))
    merges: list[tuple[PatientId, Identifier, Source]] = []
    batch: list[tuple[PatientRecord, PatientInput]] = []
    for item in items:
        if isinstance(item, Problem):
            report(item)
            counts["failed"] += item.lost
            continue
        intake = take(item, link.parts.options.region)
        for problem in intake.problems:
            report(problem)
        if intake.given is None:
            counts["failed"] += 1
            continue
        batch.append((item, intake.given))
        if len(batch) == _BATCH:
            merges += _register(link, batch, counts, report)
            batch = []
    merges += _register(link, batch, counts, report)
    _merge(link, merges, counts, report)
    return counts


def _register(
    link: CareLink, batch: list[tuple[PatientRecord, PatientInput]], counts: Counter[str], report: Report
) -> Iterator[tuple[PatientId, Identifier, Source]]:
    results = _answers(link, [given for _, given in batch])
    link.safe.forget()  # the keys of a million patients are not kept in memory
    for (record, _), result in zip(batch, results, strict=True):
        if result.patient is None:
            error = result.error or InvalidInputError("it was not taken")
            report(refused(record.source, InvalidInputError(error.message)))
            counts["failed"] += 1
            continue
        counts["created" if result.created else "updated" if result.changed else "unchanged"] += 1
        if record.same_as is not None:
            yield result.patient, record.same_as, record.source


def _answers(link: CareLink, given: list[PatientInput]) -> list[Registered]:
    """All in one commit; if the whole is refused, one by one, so that one of them does not cost the others."""
    if not given:
        return []
    try:
        return link.register_many(given)
    except InvalidInputError as error:
        if len(given) == 1:
            return [Registered(error=error)]
    return [answer for item in given for answer in _answers(link, [item])]


def _merge(
    link: CareLink, merges: list[tuple[PatientId, Identifier, Source]], counts: Counter[str], report: Report
) -> None:
    for old, (system, value), source in merges:
        survivor = link.registration.find(system, value.reveal("match"))
        if survivor is None:
            report(unmatched(source, "same_as", lost=False))
        elif survivor != old:
            try:
                link.registration.merge(old, survivor)
                counts["merged"] += 1
            except InvalidInputError as error:
                report(refused(source, error))
