"""`carelink audit prove`: writes proofs, and checks them with nothing but the proof, the key and the entry.

Two proofs: that an entry stands in the log (INDEX), and that the log extends one of its own earlier heads (`--since`).
Checking (`--check`) opens no home and no folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from carelink.audit.checkpoint import MAX_NOTE, NoteVerifier, SignedCheckpoint
from carelink.audit.entry import MAX_ENTRY, parse_entry
from carelink.audit.proof import (
    MAX_PROOF,
    ConsistencyProof,
    InclusionProof,
    open_checkpoint,
    prove_consistency,
    prove_inclusion,
)
from carelink.cli.audit_key import KEY_HELP, trusted_key
from carelink.cli.common import console
from carelink.cli.exit_codes import Exit
from carelink.errors import (
    CannotJudgeError,
    CarelinkError,
    FormatError,
    InvalidInputError,
    NotFoundError,
    TamperedError,
)
from carelink.keys.folder import KeyFolder
from carelink.model.moment import iso
from carelink.stores.logfolder import LogFolder

__all__ = ["add_prove"]

Source = Callable[[argparse.Namespace], tuple[LogFolder, NoteVerifier]]


def add_prove(verbs: argparse._SubParsersAction[argparse.ArgumentParser], *, source: Source) -> None:
    """Register the parser; `source` gives the log to prove from and its key."""
    prove = verbs.add_parser(
        "prove", help="write the proof of one entry, or (--since) that the log only grew; --check checks one offline"
    )
    prove.add_argument("index", nargs="?", type=int, help="number of the entry, from 0")
    prove.add_argument("--folder", type=Path, help="exported folder (else this home's published log)")
    prove.add_argument("--since", type=Path, metavar="FILE", help="an earlier checkpoint that the log extends")
    prove.add_argument("-o", "--output", type=Path, metavar="PROOF", help="write the proof to a file")
    prove.add_argument("--entry", type=Path, metavar="FILE", help="write the entry's bytes; with --check: read them")
    prove.add_argument("--check", type=Path, metavar="PROOF", help="check a proof; needs --key, and --entry or --since")
    prove.add_argument("--key", help=KEY_HELP)
    prove.set_defaults(run=lambda args: _check(args) if args.check is not None else _write(args, source))


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit + 1)


# -- writing --------------------------------------------------------------------------------------------------


def _write(args: argparse.Namespace, source: Source) -> int:
    if (args.index is None) is (args.since is None):
        raise InvalidInputError(
            "a proof is of one entry or of growth", hint="name INDEX, or --since FILE, and not both"
        )
    log, verifier = source(args)
    head = log.head()
    if head is None:
        raise CannotJudgeError("nothing is published yet")
    if args.since is not None:
        data = _growth(log, head, verifier, _read(args.since, MAX_NOTE))
    else:
        data, entry = _inclusion(log, head, verifier, args.index)
        if args.entry is not None:
            args.entry.write_bytes(entry)
    if args.output is not None:
        args.output.write_bytes(data)
    else:
        console.print(data.decode(), end="", markup=False)
    return Exit.OK


def _inclusion(log: LogFolder, head: SignedCheckpoint, verifier: NoteVerifier, index: int) -> tuple[bytes, bytes]:
    if not 0 <= index < head.size:
        raise NotFoundError("no published entry has this index", hint=f"the newest is {head.size - 1}")
    entry = next(iter(log.entries(index, index + 1)))[1]
    proof = prove_inclusion(index, head, log.hashes(head.size))
    proof.verify(entry, verifier)  # what does not verify here would not anywhere
    return proof.to_bytes(), entry


def _growth(log: LogFolder, head: SignedCheckpoint, verifier: NoteVerifier, since: bytes) -> bytes:
    old = open_checkpoint(since, verifier)
    if old.size > head.size:
        raise TamperedError("the log is shorter than the earlier checkpoint says: it was set back")
    proof = prove_consistency(old.size, head, log.hashes(head.size))
    proof.verify(since, verifier)
    return proof.to_bytes()


# -- checking -------------------------------------------------------------------------------------------------


def _check(args: argparse.Namespace) -> int:
    if args.key is None:
        raise InvalidInputError("checking a proof needs the log's key", hint="pass --key KEY")
    if (args.entry is None) is (args.since is None):
        raise InvalidInputError(
            "a proof is checked against one thing", hint="pass the entry with --entry, or a checkpoint with --since"
        )
    verifier = NoteVerifier(trusted_key(args.key), KeyFolder.check_signature)
    data = _read(args.check, MAX_PROOF)
    failed = ""
    try:
        if args.since is not None:
            _check_growth(ConsistencyProof.parse(data), _read(args.since, MAX_NOTE), verifier)
        else:
            _check_inclusion(InclusionProof.parse(data), _read(args.entry, MAX_ENTRY), verifier, args.index)
    except FormatError as error:
        failed = error.message
    if failed:
        raise TamperedError(f"not as it was written: {failed}")
    return Exit.OK


def _check_inclusion(proof: InclusionProof, entry: bytes, verifier: NoteVerifier, index: int | None) -> None:
    if index is not None and index != proof.index:
        raise CannotJudgeError(f"the proof is of entry {proof.index}")
    signed = proof.verify(entry, verifier)
    told = "of a form that this release does not know"
    try:
        found = parse_entry(entry)
        told = f"{found.kind}, written {iso(found.at)}"
    except CarelinkError:
        pass
    console.print(f"PROVEN  entry {proof.index} ({told}) stands in the log of {signed.size:,} entries", markup=False)
    console.print(f"        signed by {verifier.key.key_id.hex()}, SHA-256 {verifier.key.fingerprint}", markup=False)


def _check_growth(proof: ConsistencyProof, since: bytes, verifier: NoteVerifier) -> None:
    signed = proof.verify(since, verifier)
    console.print(
        f"PROVEN  the log of {signed.size:,} entries begins with the {proof.old_size:,} of the earlier checkpoint",
        markup=False,
    )
    console.print(f"        signed by {verifier.key.key_id.hex()}, SHA-256 {verifier.key.fingerprint}", markup=False)
