"""`carelink audit verify|replay|prove|export`: checks and exports the published log. The trusted key is an argument.

An auditor's machine has no home: with a folder or a proof file named, nothing of a deployment is opened.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import attrs

from carelink.audit.checkpoint import MAX_NOTE, NoteVerifier, VerifierKey
from carelink.audit.divergence import Divergence, Summary
from carelink.audit.findings import Report
from carelink.audit.judge import PolicyJudge
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.audit.replay import replay
from carelink.audit.verify import verify
from carelink.cli.acting import acting, add_acting
from carelink.cli.audit_convert import add_convert
from carelink.cli.audit_key import KEY_HELP, trusted_key
from carelink.cli.audit_list import add_list
from carelink.cli.audit_policy import add_policy_options, replay_under
from carelink.cli.audit_proofs import add_prove
from carelink.cli.audit_seal import add_range, add_seal, linked
from carelink.cli.audit_subject import add_subject
from carelink.cli.common import console, error_console, open_link, progress
from carelink.cli.exit_codes import Exit
from carelink.errors import FormatError, InvalidInputError, StoreError, TamperedError
from carelink.keys.folder import KeyFolder
from carelink.model.moment import DAY, HOUR, MINUTE, Instant
from carelink.ports.system import Clock
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder
from carelink.system import SystemClock

__all__ = ["add", "print_replay", "print_report", "replay_folder", "verify_folder"]

LIMITS: Final = (
    "limits    cannot be shown: sends made outside carelink, a second log, forks that nobody remembered a checkpoint of"
)
_LISTED: Final = 20
_OWN_KEY: Final = "key       taken from this home: it shows the log to be this home's own; an auditor passes --key"


@attrs.frozen(kw_only=True)
class _Source:
    """What is to be checked: the folder, the key to trust, and whether it is this home's own log, still at work."""

    folder: Path
    key: VerifierKey
    own: bool = False
    own_key: bool = False


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
        one.add_argument("--key", help=KEY_HELP)
        one.add_argument("--since", type=Path, metavar="FILE", help="a checkpoint kept from earlier")
        one.add_argument("--previous", type=Path, metavar="DIR", help="the closed log that this one goes on from")
        one.add_argument("--previous-key", metavar="KEY", help="the key of the closed log")
        one.add_argument(
            "--witness", action="append", default=[], metavar="KEY", help="a trusted witness's key, or its file"
        )
        one.add_argument("--require-witness", type=int, default=0, metavar="N",
                         help="so many of them must have cosigned a checkpoint of the log")  # fmt: skip
        one.add_argument("--evidence", type=Path, metavar="FILE", help="write signed notes that contradict each other")
        one.set_defaults(run=run)
        if name == "replay":
            add_policy_options(one)
    add_prove(verbs, source=_source_of_proof)
    export = verbs.add_parser("export", help="copy the published log into a self-contained folder")
    export.add_argument("folder", type=Path)
    add_acting(export, actor="export")
    export.set_defaults(run=_export)
    from carelink.cli.report.command import add_report

    add_report(verbs)
    add_subject(verbs)
    add_convert(verbs)
    add_list(verbs, source=_source_of_proof)
    add_range(verbs, source=_source_of_proof)
    add_seal(verbs)


# -- where folder and key come from ---------------------------------------------------------------------------


def _source(args: argparse.Namespace) -> _Source:
    if args.folder is not None:
        folder = Path(args.folder)
        if args.key is None:
            raise InvalidInputError(
                "verifying needs the log's key", hint="pass --key KEY, obtained another way than the folder"
            )
        return _Source(folder=folder, key=trusted_key(args.key, folder))
    with open_link(args) as link:
        try:
            link.publish()
        except StoreError as error:
            error_console.print(f"not published: {error}", markup=False)
        folder = link.wiring.settings.log
        key = link.key if args.key is None else trusted_key(args.key, folder)
    return _Source(folder=folder, key=key, own=True, own_key=args.key is None)


def _source_of_proof(args: argparse.Namespace) -> tuple[LogFolder, NoteVerifier]:
    """The log to prove from, and its key."""
    source = _source(args)
    return LogFolder(source.folder), NoteVerifier(source.key, KeyFolder.check_signature)


# -- verify ---------------------------------------------------------------------------------------------------


def verify_folder(
    folder: Path,
    key: str,
    *,
    since: bytes | None = None,
    strict: bool = True,
    witnesses: Sequence[str] = (),
    require_witness: int = 0,
) -> Report:
    """Verify a folder with a progress bar."""
    with progress("verify", None) as bar:
        task = bar.task_ids[0]
        return verify(
            FolderFetcher(folder),
            vkey=key,
            check_signature=KeyFolder.check_signature,
            since=since,
            strict=strict,
            witnesses=witnesses,
            require_witness=require_witness,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )


def print_report(report: Report, *, clock: Clock | None = None, own_key: bool = False) -> None:
    """The report on one screen, with what no report of this kind can show; the verdict comes last."""
    *lines, verdict = report.lines()
    for line in lines:
        console.print(line, markup=False)
        if line.startswith("newest") and report.latest is not None:
            console.print(_age(report.latest, (clock or SystemClock()).now()), markup=False)
    if own_key:
        console.print(_OWN_KEY, markup=False)
    if report.evidence:
        detail = f"{len(report.evidence)} signed notes contradict each other; keep them (--evidence FILE)"
        console.print(f"evidence  {detail}", markup=False)
    console.print(LIMITS, markup=False)
    console.print(verdict, markup=False)


def _age(latest: Instant, now: Instant) -> str:
    """How fresh the head is, by the clock of whoever verifies."""
    gap = abs(now - latest)
    length = next(
        (f"{gap // unit:,} {name}{'' if gap // unit == 1 else 's'}"
         for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")) if gap >= unit),
        "less than a minute",
    )  # fmt: skip
    if latest > now:
        return f"fresh     that is {length} AFTER now by the clock of this machine: one of the clocks is wrong"
    return f"fresh     {length} old by the clock of this machine; what was recorded since is not in it"


def _verified(args: argparse.Namespace, source: _Source) -> Report:
    since = None if args.since is None else _read_note(args.since)
    report = verify_folder(
        source.folder,
        source.key.text,
        since=since,
        strict=not source.own,
        witnesses=[trusted_key(text, source.folder).text for text in args.witness],
        require_witness=args.require_witness,
    )
    if args.evidence is not None and report.evidence:
        args.evidence.write_bytes(b"\n".join(report.evidence))
    return report


def _read_note(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_NOTE + 1)


def _verify(args: argparse.Namespace) -> int:
    source = _source(args)
    report = _verified(args, source)
    print_report(report, own_key=source.own_key)
    if report.exit_code != Exit.OK or args.previous is None:
        return report.exit_code
    return _previous(args, source)


def _previous(args: argparse.Namespace, source: _Source) -> int:
    """Whether the closed log verifies, and this one goes on from its end."""
    if args.previous_key is None:
        raise InvalidInputError("the closed log has a key of its own", hint="pass --previous-key KEY")
    before = verify_folder(args.previous, trusted_key(args.previous_key, args.previous).text)
    text, code = linked(source.folder, source.key, args.previous, before)
    for line in before.lines():
        if line.startswith("found"):
            console.print(line, markup=False)
    console.print(text, markup=False)
    return code


# -- replay ---------------------------------------------------------------------------------------------------


def _checked(entries: Iterator[tuple[int, bytes]], root: bytes | None) -> Iterator[tuple[int, bytes]]:
    """The entries as they come; at the end they must be those that were verified."""
    edge, leaves = Frontier(), list[bytes]()
    for index, data in entries:
        leaves.append(leaf_hash(data))
        if len(leaves) == 256:  # noqa: PLR2004  a tile at a time
            edge, leaves = edge.append_many(leaves), []
        yield index, data
    if root is not None and edge.append_many(leaves).root() != root:
        raise TamperedError("the folder changed while it was replayed")


def replay_folder(
    folder: Path, *, size: int | None = None, root: bytes | None = None
) -> tuple[Summary, list[Divergence]]:
    """Replay a folder with a progress bar; the summary and the first divergences.

    Args:
        folder: the log.
        size: entries to replay; all that the head covers if left out.
        root: the root that was verified at this size.

    Raises:
        TamperedError: the entries are not those under the root.
        FormatError, CannotJudgeError: an entry is not in a form that this release knows.
    """
    log = LogFolder(folder)
    head = log.head()
    if size is None:
        size = 0 if head is None else head.size
    with progress("replay", size) as bar:
        task = bar.task_ids[0]
        summary = Summary()
        first: list[Divergence] = []
        found = replay(
            _checked(log.entries(0, size), root),
            PolicyJudge(),
            progress=lambda done: bar.update(task, completed=done),
            summary=summary,
        )
        for divergence in found:
            if len(first) < _LISTED:
                first.append(divergence)
        return summary, first


def print_replay(summary: Summary, first: list[Divergence]) -> None:
    """The summary and the first divergences; the verdict comes last."""
    *lines, verdict = summary.lines()
    for line in lines:
        console.print(line, markup=False)
    for divergence in first:
        console.print(f"differs   {divergence}", markup=False)
    more = sum(summary.divergences.values()) - len(first)
    if more > 0:
        console.print(f"differs   and {more:,} more", markup=False)
    console.print(verdict, markup=False)


def _replay(args: argparse.Namespace) -> int:
    source = _source(args)
    report = _verified(args, source)
    if report.exit_code != Exit.OK:
        print_report(report, own_key=source.own_key)
        error_console.print("not replayed: the log does not verify", markup=False)
        return report.exit_code
    changed = False
    summary, first = Summary(), list[Divergence]()
    try:
        summary, first = replay_folder(source.folder, size=report.size, root=report.root)
    except FormatError:
        changed = True  # every entry was in its form a moment ago
    if changed:
        raise TamperedError("the folder changed while it was replayed")
    for line in report.lines()[:-1]:
        console.print(line, markup=False)
    console.print(LIMITS, markup=False)
    print_replay(summary, first)
    if summary.exit_code == Exit.OK and (args.policy or args.drop):
        replay_under(args, source.folder, size=report.size or 0)
    return summary.exit_code


# -- export ---------------------------------------------------------------------------------------------------


def _export(args: argparse.Namespace) -> int:
    with open_link(args) as link, progress("export", None) as bar:
        task = bar.task_ids[0]
        head = link.export(
            args.folder,
            actor=acting(link, args),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        key = link.key
    console.print(f"exported     {head.size:,} entries to {args.folder}", markup=False)
    console.print(f"log key      {key.text}", markup=False)
    console.print(f"fingerprint  {key.fingerprint}", markup=False)
    console.print("The key is not in the folder: give it to the auditor another way.")
    return Exit.OK
