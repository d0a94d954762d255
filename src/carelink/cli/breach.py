"""`carelink breach report --from --to -o DIR`: persons affected, kinds of data, times, vendors, and notices begun."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from carelink.app import CareLink
from carelink.audit.exposure import Exposure, exposures
from carelink.cli.acting import acting, add_acting
from carelink.cli.common import console, instant, open_link, progress
from carelink.cli.exit_codes import Exit
from carelink.errors import AccessDeniedError, CannotJudgeError, ConflictError, InvalidInputError
from carelink.keys.private_files import create_private
from carelink.model.access import Actor, DataKind, PurposeOfUse
from carelink.model.ids import PatientId, PersonRef
from carelink.model.moment import iso
from carelink.rights.breach import BreachSummary, notices
from carelink.rights.person import Person, Sealed
from carelink.vocabulary import AgeBand

__all__ = ["add"]

_PAGE = 1000
_COLUMNS = ("patient", "pseudonym", "first", "last", "channels", "regions", "purposes", "data", "openings", "minor")
_NAMED = ("name", "identifiers", "contacts", "guardians")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("breach", help="who is affected by a breach, and the notices that are owed")
    verbs = parser.add_subparsers(dest="verb", required=True)
    report = verbs.add_parser("report", help="persons affected, kinds of data, times, vendors; notices begun")
    report.add_argument("--from", dest="begin", type=instant, required=True, metavar="INSTANT", help="included")
    report.add_argument("--to", dest="end", type=instant, required=True, metavar="INSTANT", help="left out")
    whom = report.add_mutually_exclusive_group()
    whom.add_argument("--channel", action="append", default=[], metavar="NAME",
                      help="only what this channel was handed: its provider lost it; may repeat")  # fmt: skip
    whom.add_argument("--opened-by", action="append", default=[], metavar="NAME",
                      help="only what this person opened; may repeat")  # fmt: skip
    whom.add_argument("--everybody", action="store_true", help="everybody on record: the store and its keys were lost")
    report.add_argument("--names", action="store_true",
                        help="open who those affected are and how to reach them; each opening is an entry")  # fmt: skip
    report.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to make")
    add_acting(report, purpose=PurposeOfUse.BREACH.value)
    report.set_defaults(run=_report)


@attrs.define
class _Row:
    exposure: Exposure
    patient: PatientId | None
    person: Person | None = None


def _report(args: argparse.Namespace) -> int:
    target: Path = args.output
    if target.exists():
        raise ConflictError("there is something of this name already", hint="name another folder")
    if args.end <= args.begin:
        raise InvalidInputError("a stretch of time ends after it begins")
    with open_link(args) as link:
        actor = acting(link, args)
        link.access.check(actor, DataKind.LOG)
        found = _exposed(link, args)
        rows = [_Row(each, patient) for each, patient in _patients(link, found)]
        closed = _open(link, rows, actor) if args.names else 0
        summary = _summary(link, args, rows)
    target.mkdir(mode=0o700)
    create_private(target / "affected.csv", _sheet(rows, named=args.names).encode("utf-8-sig"))
    create_private(target / "summary.json", (json.dumps(_form(summary), indent=1) + "\n").encode())
    for name, text in notices(summary).items():
        create_private(target / name, text.encode())
    console.print(f"{summary.persons} persons affected, {summary.minors} minors or of unknown age", markup=False)
    console.print(f"data     {', '.join(summary.data) or '-'}", markup=False)
    console.print(f"vendors  {', '.join(f'{name} ({count})' for name, count in summary.channels) or '-'}", markup=False)
    if closed:
        console.print(f"{closed} could not be opened: restricted, erased, or minors without an approval", markup=False)
    console.print(f"written to {target}", markup=False)
    return Exit.OK


def _exposed(link: CareLink, args: argparse.Namespace) -> dict[str, Exposure]:
    link.publish()
    log = link.wiring.log
    head = log.head()
    if head is None:
        raise CannotJudgeError("nothing is published yet")
    with progress("read", head.size) as bar:
        entries = bar.track(log.entries(0, head.size), total=head.size)
        actors = [link.actor(name) for name in args.opened_by]
        found = exposures(entries, args.begin, args.end, channels=args.channel, actors=actors)
    if args.everybody:
        for row in link.patients():
            one = found.setdefault(row.person, Exposure(subject=row.person, first=args.begin, last=args.end))
            one.data |= {"identity", "contact", "consent"}
            one.minor = row.age is not AgeBand.ADULT
    return found


def _patients(link: CareLink, found: Mapping[str, Exposure]) -> Iterable[tuple[Exposure, PatientId | None]]:
    """Each with the record it belongs to: the one that goes on, where records were merged."""
    subjects = list(found)
    for start in range(0, len(subjects), _PAGE):
        page = [PersonRef(subject) for subject in subjects[start : start + _PAGE]]
        with link.wiring.store.reader() as reader:
            rows = reader.patients_by_person(page)
        survivors = link.registration.survivors([row.id for row in rows.values()])
        for subject in page:
            row = rows.get(subject)
            yield found[subject], None if row is None else survivors[row.id]


def _open(link: CareLink, rows: Sequence[_Row], actor: Actor) -> int:
    """Open who they are; how many could not be."""
    closed = 0
    for row in rows:
        try:
            row.person = None if row.patient is None else link.person(row.patient, actor=actor)
        except AccessDeniedError:
            row.person = None
        closed += row.person is None
    return closed


def _summary(link: CareLink, args: argparse.Namespace, rows: Sequence[_Row]) -> BreachSummary:
    channels: Counter[str] = Counter()
    for row in rows:
        channels.update(row.exposure.channels)
    people = {row.patient or row.exposure.subject for row in rows}
    controller = link.wiring.settings.controller
    return BreachSummary(
        begin=args.begin,
        end=args.end,
        made=link.parts.clock.now(),
        persons=len(people),
        minors=len({row.patient or row.exposure.subject for row in rows if row.exposure.minor}),
        records=channels.total() + sum(row.exposure.openings.total() for row in rows),
        channels=tuple(sorted(channels.items())),
        regions=tuple(sorted({region for row in rows for region in row.exposure.regions})),
        data=tuple(sorted({kind for row in rows for kind in row.exposure.data})),
        purposes=tuple(sorted({purpose for row in rows for purpose in row.exposure.purposes})),
        controller=controller.get("name", ""),
        contact=controller.get("contact", ""),
    )


def _form(summary: BreachSummary) -> dict[str, Any]:
    form = attrs.asdict(summary)
    return {**form, **{name: iso(form[name]) for name in ("begin", "end", "made")}, "channels": dict(summary.channels)}


def _sheet(rows: Sequence[_Row], *, named: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((*_COLUMNS, *_NAMED) if named else _COLUMNS)
    for row in rows:
        one = row.exposure
        line = (
            row.patient or "", one.subject, iso(one.first), iso(one.last), " ".join(sorted(one.channels)),
            " ".join(sorted(one.regions)), " ".join(sorted(one.purposes)), " ".join(sorted(one.data)),
            str(one.openings.total()), "yes" if one.minor else "no",
        )  # fmt: skip
        writer.writerow((*line, *_names(row.person)) if named else line)
    return text.getvalue()


def _names(person: Person | None) -> tuple[str, ...]:
    if person is None:
        return ("", "", "", "")
    guardians = [
        " ".join([_text(each.name), *(_text(contact.address) for contact in each.contacts)])
        for each in person.related
        if each.acts
    ]
    return (
        _text(person.name),
        " ".join(map(_text, person.identifiers)),
        " ".join(_text(contact.address) for contact in person.contacts),
        "; ".join(guardians),
    )


def _text(sealed: Sealed) -> str:
    """The value, as text that a spreadsheet does not take for a formula (OWASP, CSV injection)."""
    value = "" if sealed.value is None else sealed.value.reveal("breach notice")
    return f"'{value}" if value[:1] in ("=", "+", "-", "@") else value
