"""`carelink audit report DIR --key KEY -o report.html`."""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import deque
from pathlib import Path
from typing import Final

from carelink import __version__
from carelink.audit.decided import DecidedBody
from carelink.audit.entry import parse_entry
from carelink.audit.figures import figures
from carelink.audit.merkle import leaf_hash
from carelink.cli.audit import print_report, replay_folder, verify_folder
from carelink.cli.audit_key import KEY_HELP, trusted_key
from carelink.cli.common import console, error_console
from carelink.cli.exit_codes import Exit
from carelink.cli.report.page import Evidence, page
from carelink.errors import InvalidInputError
from carelink.stores.logfolder import LogFolder

__all__ = ["add_report"]

_SHOWN: Final = 2000
"""Decisions in the table unless --rows says otherwise: about 4 MB of page."""


def add_report(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = verbs.add_parser("report", help="one HTML file about an exported folder; it checks itself in the browser")
    parser.add_argument("folder", type=Path, help="exported folder")
    parser.add_argument("--key", required=True, help=KEY_HELP)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--rows", type=int, default=_SHOWN, help="how many of the newest decisions the table holds")
    parser.set_defaults(run=_report)


def _report(args: argparse.Namespace) -> int:
    key = trusted_key(args.key, args.folder).text
    if args.output.resolve().is_relative_to(args.folder.resolve()):
        raise InvalidInputError("a report does not belong into the exported folder", hint="write it beside it")
    verified = verify_folder(args.folder, key)
    print_report(verified)
    if verified.exit_code != Exit.OK:
        error_console.print("no report: the log does not verify", markup=False)
        return verified.exit_code
    summary, first = replay_folder(args.folder, size=verified.size, root=verified.root)
    log = LogFolder(args.folder)
    leaves, shown = bytearray(), deque[tuple[int, bytes]](maxlen=max(0, args.rows))
    for index, data in log.entries():
        leaves += leaf_hash(data)
        if (b'"kind":"decision"' in data or b'"kind":"claim"' in data) and isinstance(
            parse_entry(data).body, DecidedBody
        ):
            shown.append((index, data))
    evidence = Evidence(
        key=key, checkpoint=(args.folder / "checkpoint").read_bytes(), leaves=bytes(leaves), shown=tuple(shown)
    )
    replayed = [*summary.lines(), *(f"differs   {divergence}" for divergence in first)]
    text = page(figures(log.entries()), evidence, verified=verified.lines(), replayed=replayed, version=__version__)
    _write(args.output, text)
    console.print(f"report    {args.output}", markup=False)
    return summary.exit_code


def _write(target: Path, text: str) -> None:
    """Whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=".report-")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(target)
