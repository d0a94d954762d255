"""`carelink rights access|copy|export|correct|restrict|refuse|erase|receipt PATIENT`: what a patient may ask."""

from __future__ import annotations

import argparse
import json

from carelink.app import CareLink
from carelink.cli.common import console, is_chinese, open_link, shown_instant, table
from carelink.cli.consent import patient_of
from carelink.cli.exit_codes import Exit
from carelink.cli.rights_answers import add_answers
from carelink.engine.erasing import concerned
from carelink.engine.erasure import REASONS, ErasureState
from carelink.model.ids import PatientId
from carelink.rights.outcome import FieldOutcome
from carelink.rights.receipt import ErasureReceipt
from carelink.rights.retention import REMAINS

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser(
        "rights", help="what a patient may ask: access, copy, correction, restriction, erasure"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    add_answers(verbs)
    eraser = verbs.add_parser("erase", help="erase a patient for good; again goes on where it was cut off")
    _patient(eraser)
    eraser.add_argument("--actor", required=True, help="who does it; kept as a keyed hash")
    eraser.add_argument("--reason", choices=REASONS, default="request", help="why (default request)")
    eraser.add_argument("--yes", action="store_true", help="do it; without this, only what would go is shown")
    eraser.add_argument("--json", action="store_true", help="the receipt as JSON")
    eraser.set_defaults(run=_erase)
    receipt = verbs.add_parser("receipt", help="the receipt of an erasure; by the patient id, which is all there is")
    _patient(receipt)
    receipt.add_argument("--json", action="store_true", help="as JSON")
    receipt.set_defaults(run=_receipt)


def _patient(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("patient", help="patient id, or identifier (SYSTEM|VALUE)")


def _erase(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        patient = patient_of(link, args.patient)
        if not args.yes:
            _would(link, patient)
            return Exit.OK
        state = link.erase(patient, actor=args.actor, reason=args.reason)
    return _show(state, args)


def _would(link: CareLink, patient: PatientId) -> None:
    with link.wiring.store.reader() as reader:
        found = concerned(reader, patient)
    console.print(f"patient            {found.patient.id}", markup=False)
    console.print(f"records            {len(found.records)}", markup=False)
    console.print(f"related persons    {len(found.related)}", markup=False)
    console.print(f"contact points     {len(found.contacts)}", markup=False)
    console.print("Nothing was changed. It cannot be undone: pass --yes to erase.")


def _receipt(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        state = link.erasure.state(patient_of(link, args.patient))
    return _show(state, args)


def _show(state: ErasureState, args: argparse.Namespace) -> int:
    receipt = state.receipt
    if receipt is None:
        console.print(f"{state.in_flight} messages to this patient are in flight, until {shown_instant(state.until)}.")
        console.print("Nothing more is sent. The rest is done when carelink is opened next, or by this command again.")
        return Exit.COULD_NOT_RUN
    if args.json:
        # Not through the console, which may fold: a line each, for programs.
        console.file.write(json.dumps(json.loads(receipt.to_text()), indent=1) + "\n")
    else:
        _print(receipt, chinese=is_chinese(args))
    return Exit.OK if receipt.complete else Exit.COULD_NOT_RUN


def _print(receipt: ErasureReceipt, *, chinese: bool) -> None:
    backups = receipt.unreadable_backups
    console.print(f"patient                 {receipt.patient}", markup=False)
    console.print(f"stopped since           {shown_instant(receipt.begun)}", markup=False)
    console.print(f"unreadable here since   {shown_instant(receipt.unreadable_live)}", markup=False)
    told = "not known: set `retention.key_backups`" if backups is None else shown_instant(backups)
    console.print(f"unreadable in backups   {told}", markup=False)
    table("fields", ("field", "outcome", "count", "rule", "until"), map(_row, receipt.fields))
    for copy in receipt.copies:
        console.print(f"copies in {copy.name}: {copy.outcome} {copy.count}", markup=False)
    console.print(f"stops that go on standing on addresses: {receipt.stops}", markup=False)
    console.print("What remains:" if not chinese else "仍保留:")
    for code in receipt.remains:
        console.print(f"  {REMAINS[code][1 if chinese else 0]}", markup=False)
    if not receipt.complete:
        console.print("Some copies elsewhere are not erased yet: run this again.")


def _row(field: FieldOutcome) -> tuple[str, ...]:
    until = "-" if field.until is None else shown_instant(field.until)[:10]
    return field.field, field.result.value, str(field.count or "-"), field.rule or "-", until
