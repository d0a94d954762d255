"""`carelink rights access|copy|export|correct|restrict|refuse PATIENT`: answers, each with its receipt."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Final

from carelink.app import CareLink
from carelink.cli.acting import acting, add_acting
from carelink.cli.common import console, open_link, shown_instant, table
from carelink.cli.consent import patient_of
from carelink.cli.exit_codes import Exit
from carelink.cli.personlines import shown_person
from carelink.engine.rights import Answer, Correction
from carelink.errors import ConflictError, InvalidInputError
from carelink.interop.fhirexport import fhir_files
from carelink.keys.private_files import create_private
from carelink.model.access import Refusal, Right
from carelink.rights.consent_record import Controller, consent_receipt, consent_record
from carelink.rights.request import RightsReceipt, refusal_letter
from carelink.rights.statement import record_form
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind

__all__ = ["add_answers"]

_README: Final = """\
# Your data · 您的个人信息

`record.json` is all that is held about you, in one file. `fhir/` holds the same as HL7 FHIR R4 (NDJSON), which other
health systems read. `consents/` has a record and a receipt after ISO/IEC TS 27560 for each consent. `receipt.json` says
what was answered, when, and what became of each field. What was sent to you is told by `carelink audit subject`.

`record.json` 为我们持有的全部内容;`fhir/` 为 HL7 FHIR R4 格式,可供其他医疗系统读取;`consents/` 为每项同意的
ISO/IEC TS 27560 记录与回执;`receipt.json` 为本次答复的回执。
"""


def add_answers(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    _verb(verbs, "access", "show all that is held, and what becomes of each field").set_defaults(run=_access)
    copy = _verb(verbs, "copy", "write all that is held as JSON")
    copy.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="file to make; only you can read it"
    )
    copy.set_defaults(run=_copy)
    export = _verb(verbs, "export", "write all that is held as JSON, FHIR R4 and consent records")
    export.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="folder to make; only you can enter"
    )
    export.set_defaults(run=_export)
    correct = _verb(verbs, "correct", "correct what is wrong, add what is missing")
    correct.add_argument("--name")
    correct.add_argument("--birth-date", type=_day, metavar="YYYY-MM-DD")
    correct.add_argument("--zone", default="", help="IANA time zone")
    correct.add_argument("--language", default="", help="BCP 47 tag")
    for action in ("add", "remove"):
        correct.add_argument(f"--{action}", action="append", default=[], metavar="KIND:ADDRESS",
                             help=f"{action} an address: phone:…, email:… or chat:…; may be given again")  # fmt: skip
    correct.set_defaults(run=_correct)
    restrict = _verb(verbs, "restrict", "store and protect only; send nothing but what is owed")
    restrict.add_argument("--lift", action="store_true", help="lift the restriction")
    restrict.set_defaults(run=_restrict)
    refuse = _verb(verbs, "refuse", "refuse a request in writing")
    refuse.add_argument("--right", choices=[each.value for each in Right], required=True, help="what was asked for")
    refuse.add_argument("--reason", choices=[each.value for each in Refusal], required=True, help="why not")
    refuse.add_argument("-o", "--output", type=Path, metavar="FILE", help="the letter; else it is printed")
    refuse.set_defaults(run=_refuse)


def _verb(verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, words: str) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=words)
    parser.add_argument("patient", help="patient id, or identifier (SYSTEM|VALUE)")
    parser.add_argument("--receipt", type=Path, metavar="FILE", help="write the receipt here, as JSON")
    add_acting(parser, purpose="rights")
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError("a day is written YYYY-MM-DD")


def _address(text: str) -> tuple[AddressKind, Personal[str]]:
    kind, colon, address = text.partition(":")
    if not colon or kind not in {each.value for each in AddressKind}:
        # The text is not repeated: it is somebody's address (P8).
        raise InvalidInputError("an address is written KIND:ADDRESS", hint="for example phone:13800138000")
    return AddressKind(kind), Personal(address)


def _done(args: argparse.Namespace, receipt: RightsReceipt) -> int:
    table(
        "fields",
        ("field", "outcome", "count", "rule", "until"),
        [
            (
                field.field,
                field.result.value,
                str(field.count or "-"),
                field.rule or "-",
                "-" if field.until is None else shown_instant(field.until)[:10],
            )
            for field in receipt.fields
        ],
    )
    console.print(f"receipt {receipt.receipt}  {receipt.right.value}  {shown_instant(receipt.at)}", markup=False)
    if args.receipt is not None:
        _write(args.receipt, receipt.to_text() + "\n")
    return Exit.OK


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read. What stands there is not overwritten."""
    create_private(path, text.encode())


def _free(path: Path) -> None:
    """Told before anything is opened: an answer that cannot be written must not be recorded as given."""
    if path.exists():
        raise ConflictError("there is something of this name already", hint="name another file or folder")


def _show(link: CareLink, args: argparse.Namespace, right: Right) -> Answer:
    return link.rights.show(right, patient_of(link, args.patient), acting(link, args))


def _access(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        answer = _show(link, args, Right.ACCESS)
    assert answer.person is not None
    for name, value in shown_person(answer.person):
        console.print(f"{name:<20} {value}", markup=False)
    return _done(args, answer.receipt)


def _copy(args: argparse.Namespace) -> int:
    _free(args.output)
    with open_link(args) as link:
        answer = _show(link, args, Right.COPY)
    assert answer.person is not None
    _write(args.output, _json(record_form(answer.person, answer.receipt.at)))
    return _done(args, answer.receipt)


def _json(form: Mapping[str, object]) -> str:
    return json.dumps(form, ensure_ascii=False, indent=1) + "\n"


def _export(args: argparse.Namespace) -> int:
    target: Path = args.output
    _free(target)
    with open_link(args) as link:
        answer = _show(link, args, Right.EXPORT)
        chosen, person, receipt = link.wiring.settings, answer.person, answer.receipt
        assert person is not None
        records = {
            consent.id: consent_record(
                person, consent, Controller(**chosen.controller), recipients=sorted(chosen.processors)
            )
            for consent in person.consents
        }
        receipts = {consent: consent_receipt(form, link.parts.ref(), receipt.at) for consent, form in records.items()}
    files = {
        "README.md": _README,
        "record.json": _json(record_form(person, receipt.at)),
        "receipt.json": receipt.to_text() + "\n",
        **{f"fhir/{name}": data.decode() for name, data in fhir_files(person).items()},
        **{f"consents/{consent}.record.json": _json(form) for consent, form in records.items()},
        **{f"consents/{consent}.receipt.json": _json(form) for consent, form in receipts.items()},
    }
    for folder in (target, target / "fhir", target / "consents"):
        folder.mkdir(mode=0o700)
    for name, text in files.items():
        _write(target / name, text)
    return _done(args, receipt)


def _correct(args: argparse.Namespace) -> int:
    change = Correction(
        name=None if args.name is None else Personal(args.name),
        birth_date=None if args.birth_date is None else Personal(args.birth_date),
        zone=args.zone,
        language=args.language,
        add=tuple(map(_address, args.add)),
        remove=tuple(map(_address, args.remove)),
    )
    with open_link(args) as link:
        answer = link.rights.correct(patient_of(link, args.patient), change, acting(link, args))
    return _done(args, answer.receipt)


def _restrict(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        work = link.rights.unrestrict if args.lift else link.rights.restrict
        answer = work(patient_of(link, args.patient), acting(link, args))
    return _done(args, answer.receipt)


def _refuse(args: argparse.Namespace) -> int:
    if args.output is not None:
        _free(args.output)
    with open_link(args) as link:
        answer = link.rights.refuse(
            Right(args.right), patient_of(link, args.patient), Refusal(args.reason), acting(link, args)
        )
        contact = link.wiring.settings.controller.get("contact", "")
    letter = refusal_letter(answer.receipt, contact)
    if args.output is None:
        console.file.write(letter)
    else:
        _write(args.output, letter)
    return _done(args, answer.receipt)
