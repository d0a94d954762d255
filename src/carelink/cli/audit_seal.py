"""`carelink audit seal|range`: close the log and begin its successor; a range of entries, each with its proof."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

from carelink.audit.checkpoint import NoteVerifier, SignedCheckpoint, VerifierKey
from carelink.audit.findings import Report
from carelink.audit.proof import open_checkpoint, prove_inclusion
from carelink.audit.succession import broken_link
from carelink.cli.audit_key import KEY_HELP
from carelink.cli.common import console, open_link
from carelink.cli.exit_codes import Exit
from carelink.errors import CannotJudgeError, ConflictError, InvalidInputError, NotFoundError
from carelink.stores.closed_logs import closed_folder
from carelink.stores.durable_files import make_folder
from carelink.stores.logfolder import LogFolder

__all__ = ["add_range", "add_seal", "linked", "write_proofs"]

Source = Callable[[argparse.Namespace], tuple[LogFolder, NoteVerifier]]


def add_seal(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register `seal`."""
    seal = verbs.add_parser("seal", help="close the log at a period's end and begin its successor")
    seal.add_argument("--actor", required=True, help="who closes it; kept as a pseudonym")
    seal.set_defaults(run=_seal)


def add_range(verbs: argparse._SubParsersAction[argparse.ArgumentParser], *, source: Source) -> None:
    """Register `range`; `source` gives the log and its key."""
    part = verbs.add_parser("range", help="write entries FIRST..LAST, each with its proof, into a folder")
    part.add_argument("first", type=int)
    part.add_argument("last", type=int)
    part.add_argument("--folder", type=Path, help="exported folder (else this home's published log)")
    part.add_argument("--key", help=KEY_HELP)
    part.add_argument("-o", "--output", type=Path, required=True, metavar="DIR", help="folder to make")
    part.set_defaults(run=lambda args: _range(args, source))


def _seal(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        old, log = link.key, link.wiring.log
        done = link.succeed(actor=args.actor)
        console.print(f"closed     {done.closed.size:,} entries of {old.name}", markup=False)
        console.print(f"kept in    {closed_folder(log, done.closed)}", markup=False)
        console.print(f"key        {old.text}", markup=False)
    with open_link(args) as link:
        link.publish()
        console.print(f"goes on    with {done.carried + 1:,} entries as {link.key.name}", markup=False)
        console.print(f"key        {link.key.text}", markup=False)
    console.print("Give the new key line to whoever verifies, the way the old one was given.")
    return Exit.OK


def _range(args: argparse.Namespace, source: Source) -> int:
    log, verifier = source(args)
    head = log.head()
    if head is None:
        raise CannotJudgeError("nothing is published yet")
    open_checkpoint(head.to_bytes(), verifier)
    if not 0 <= args.first <= args.last:
        raise InvalidInputError("a range goes from FIRST to LAST", hint="numbers count from 0; LAST is included")
    if args.last >= head.size:
        raise NotFoundError("no published entry has this index", hint=f"the newest is {head.size - 1}")
    count = write_proofs(args.output, log, head, log.entries(args.first, args.last + 1))
    console.print(f"{count:,} entries, each with its proof, in {args.output}", markup=False)
    console.print("check them with: python carelink_verify.py FOLDER --key KEY", markup=False)
    return Exit.OK


def write_proofs(target: Path, log: LogFolder, head: SignedCheckpoint, entries: Iterable[tuple[int, bytes]]) -> int:
    """Write `proofs/N.entry` and `proofs/N.proof` for each entry into a new folder; how many there are.

    Raises:
        ConflictError: the folder exists and is not empty.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ConflictError("the folder exists", hint="name one that does not exist yet")
    place, hashes, count = target / "proofs", log.hashes(head.size), 0
    make_folder(place)
    for index, data in entries:
        (place / f"{index}.entry").write_bytes(data)
        (place / f"{index}.proof").write_bytes(prove_inclusion(index, head, hashes).to_bytes())
        count += 1
    return count


def linked(folder: Path, key: VerifierKey, earlier: Path, report: Report) -> tuple[str, int]:
    """What stands between a verified earlier log and this one, and the exit code it means.

    Args:
        folder, key: the later log, verified.
        earlier: the earlier log.
        report: the verification of the earlier log.
    """
    if report.exit_code != Exit.OK:
        return "previous  the earlier log does not verify", report.exit_code
    old, new = LogFolder(earlier), LogFolder(folder)
    head, later = old.head(), new.head()
    if head is None or later is None or not head.size or not later.size:
        return "previous  one of the logs is empty", Exit.CANNOT_JUDGE
    last = next(iter(old.entries(head.size - 1, head.size)))[1]
    first = next(iter(new.entries(0, 1)))[1]
    problem = broken_link(head, last, later, first, key=key.text)
    if problem:
        return f"previous  {problem}", Exit.TAMPERED
    return f"previous  goes on from {head.size:,} entries of {head.checkpoint.origin}, verified and sealed", Exit.OK
