"""`carelink audit verify|replay|prove|export`: checks and exports the published log. The trusted key is an argument."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from carelink.audit.checkpoint import NoteVerifier, VerifierKey
from carelink.audit.divergence import Divergence, Summary
from carelink.audit.findings import Report
from carelink.audit.judge import PolicyJudge
from carelink.audit.proof import InclusionProof, prove_inclusion
from carelink.audit.replay import replay
from carelink.audit.verify import verify
from carelink.cli.common import console, error_console, open_link, progress
from carelink.cli.exit_codes import Exit
from carelink.errors import InvalidInputError, NotFoundError
from carelink.keys.folder import KeyFolder
from carelink.stores.folder_fetcher import FolderFetcher, read_trusted_key
from carelink.stores.logfolder import LogFolder

__all__ = ["add", "print_replay", "print_report", "replay_folder", "verify_folder"]

_LIMITS = (
    "limits    sends made outside carelink, a second log, and forks that nobody remembered a checkpoint of cannot be "
    "shown"
)
_LISTED = 20


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("audit", help="verify, replay, prove, export the log")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for name, run, text in (
        ("verify", _verify, "is every entry as signed, and none missing up to the checkpoint?"),
        ("replay", _replay, "does every decision follow from its facts, its policy and the entries before it?"),
    ):
        one = verbs.add_parser(name, help=text)
        one.add_argument("folder", nargs="?", type=Path, help="exported folder (else this home's published log)")
        one.add_argument("--key", help="the log's key as text, or @FILE outside the folder")
        one.add_argument("--since", type=Path, metavar="FILE", help="a checkpoint kept from earlier")
        one.set_defaults(run=run)
    prove = verbs.add_parser("prove", help="write the inclusion proof of one entry, or check one with --check")
    prove.add_argument("index", type=int)
    prove.add_argument("-o", "--output", type=Path)
    prove.add_argument("--check", type=Path, metavar="PROOF")
    prove.add_argument("--key", help="the log's key as text, or @FILE")
    prove.set_defaults(run=_prove)
    export = verbs.add_parser("export", help="copy the published log into a self-contained folder")
    export.add_argument("folder", type=Path)
    export.add_argument("--actor", default="export")
    export.set_defaults(run=_export)


def _key(args: argparse.Namespace, folder: Path | None) -> str:
    """The trusted key: the argument; for this home's own log, the key folder's."""
    if args.key is None:
        if folder is not None:
            raise InvalidInputError("verifying needs the log's key", hint="pass --key KEY, obtained elsewhere")
        with open_link(args) as link:
            return link.key.text
    text = str(args.key)
    if text.startswith("@"):
        return read_trusted_key(Path(text[1:]), folder if folder is not None else Path()).text
    return text


def _folder(args: argparse.Namespace) -> Path:
    if args.folder is not None:
        return Path(args.folder)
    with open_link(args) as link:
        link.publish()
        return link.wiring.settings.log


def verify_folder(folder: Path, key: str, *, since: bytes | None = None, strict: bool = True) -> Report:
    """Verify a folder with a progress bar."""
    with progress("verify", None) as bar:
        task = bar.task_ids[0]
        return verify(
            FolderFetcher(folder),
            vkey=key,
            check_signature=KeyFolder.check_signature,
            since=since,
            strict=strict,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def print_report(report: Report) -> None:
    """The report, and what no report of this kind can show."""
    for line in report.lines():
        console.print(line, markup=False)
    console.print(_LIMITS, markup=False)


def replay_folder(folder: Path) -> tuple[Summary, list[Divergence]]:
    """Replay a folder with a progress bar; the summary and the first divergences."""
    log = LogFolder(folder)
    head = log.head()
    with progress("replay", None if head is None else head.size) as bar:
        task = bar.task_ids[0]
        summary = Summary()
        first: list[Divergence] = []
        found = replay(
            log.entries(), PolicyJudge(), progress=lambda done: bar.update(task, completed=done), summary=summary
        )
        for divergence in found:
            if len(first) < _LISTED:
                first.append(divergence)
        return summary, first


def print_replay(summary: Summary, first: list[Divergence]) -> None:
    """The summary, and the first divergences."""
    for line in summary.lines():
        console.print(line, markup=False)
    for divergence in first:
        console.print(f"differs   {divergence}", markup=False)


def _verify(args: argparse.Namespace) -> int:
    folder = _folder(args)
    since = args.since.read_bytes() if args.since is not None else None
    report = verify_folder(folder, _key(args, args.folder), since=since, strict=args.folder is not None)
    print_report(report)
    return report.exit_code


def _replay(args: argparse.Namespace) -> int:
    folder = _folder(args)
    report = verify_folder(folder, _key(args, args.folder), strict=args.folder is not None)
    if report.exit_code != Exit.OK:
        print_report(report)
        error_console.print("not replayed: the log does not verify", markup=False)
        return report.exit_code
    summary, first = replay_folder(folder)
    print_replay(summary, first)
    return summary.exit_code


def _prove(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        link.publish()
        log = link.wiring.log
        head = log.head()
        if head is None or not 0 <= args.index < head.size:
            raise NotFoundError("no published entry has this index")
        entry = next(iter(log.entries(args.index, args.index + 1)))[1]
        if args.check is not None:
            key = VerifierKey.parse(args.key) if args.key else link.key
            signed = InclusionProof.parse(args.check.read_bytes()).verify(
                entry, NoteVerifier(key, KeyFolder.check_signature)
            )
            console.print(f"entry {args.index} stands in the log of {signed.size:,} entries", markup=False)
            return Exit.OK
        data = prove_inclusion(args.index, head, log.hashes(head.size)).to_bytes()
    if args.output is not None:
        args.output.write_bytes(data)
    else:
        console.print(data.decode(), end="", markup=False)
    return Exit.OK


def _export(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        head = link.export(args.folder, actor=args.actor)
        console.print(f"exported     {head.size:,} entries to {args.folder}", markup=False)
        console.print(f"log key      {link.key.text}", markup=False)
        console.print(f"fingerprint  {link.key.fingerprint}", markup=False)
    console.print("The key is not in the folder: give it to the auditor another way.")
    return Exit.OK


def entries_of(folder: Path) -> Iterator[tuple[int, bytes]]:
    """Entries of a folder, streamed."""
    return LogFolder(folder).entries()
