"""`carelink audit convert FOLDER --to FORM -o FILE`: the log as JSON lines, CSV or FHIR. Views, never evidence."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from carelink.audit.checkpoint import SignedCheckpoint
from carelink.cli.audit_key import KEY_HELP, trusted_key
from carelink.cli.common import console, error_console, progress
from carelink.cli.exit_codes import Exit
from carelink.errors import ConflictError, InvalidInputError
from carelink.interop.logviews.audit_event import audit_events
from carelink.interop.logviews.communication import communications
from carelink.interop.logviews.jsonl import json_lines
from carelink.interop.logviews.sheet import sheet
from carelink.stores.logfolder import LogFolder

__all__ = ["add_convert"]

Entries = Iterable[tuple[int, bytes]]
FORMS: Final[dict[str, Callable[[SignedCheckpoint, Entries], Iterator[str]]]] = {
    "jsonl": json_lines,
    "csv": lambda _head, entries: sheet(entries),
    "audit-event": lambda head, entries: audit_events(head.checkpoint.origin, entries),
    "communication": lambda head, entries: communications(head.checkpoint.origin, entries),
}


def add_convert(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = verbs.add_parser("convert", help="an exported folder as JSON lines, CSV, or FHIR R4 NDJSON")
    parser.add_argument("folder", type=Path, help="exported folder")
    parser.add_argument("--key", required=True, help=KEY_HELP)
    parser.add_argument("--to", required=True, choices=tuple(FORMS), help="audit-event: IHE BALP consent decisions")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.set_defaults(run=_convert)


def _convert(args: argparse.Namespace) -> int:
    from carelink.cli.audit import print_report, verify_folder

    target: Path = args.output
    if target.resolve().is_relative_to(args.folder.resolve()):
        raise InvalidInputError("a view does not belong into the exported folder", hint="write it beside it")
    if target.exists():
        raise ConflictError("the file exists", hint="name one that does not exist yet")
    report = verify_folder(args.folder, trusted_key(args.key, args.folder).text)
    if report.exit_code != Exit.OK:
        print_report(report)
        error_console.print("not converted: the log does not verify", markup=False)
        return report.exit_code
    log = LogFolder(args.folder)
    head = log.head()
    assert head is not None
    with progress(args.to, head.size) as bar:
        lines = FORMS[args.to](head, bar.track(log.entries(0, head.size), total=head.size))
        written = _write(target, lines)
    console.print(f"{written:,} lines of {args.to} in {target}: a view, not evidence", markup=False)
    return Exit.OK


def _write(target: Path, lines: Iterator[str]) -> int:
    """Whole or not at all; how many pieces were written."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=".convert-")
    temporary, count = Path(name), 0
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            for line in lines:
                file.write(line)
                count += 1
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    return count
