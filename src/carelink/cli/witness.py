"""`carelink witness init|cosign|show|compare` for the second party, `request|accept` for the hospital. Files only: it
works where there is no network.

The witness lives with somebody whom the hospital's administrator does not control: another department, a partner, an
auditor. It keeps a folder with its key and, for each log, the newest head it cosigned.
"""

from __future__ import annotations

import argparse
from hashlib import sha256
from pathlib import Path
from typing import Final

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carelink.audit.checkpoint import (
    COSIGNATURE_V1,
    MAX_NOTE,
    NoteVerifier,
    VerifierKey,
    encode_base64,
    parse_signed_checkpoint,
    verify_cosignature,
)
from carelink.audit.proof import MAX_PROOF, prove_consistency
from carelink.audit.witness import Same, accept, compare, cosign
from carelink.cli.audit_key import KEY_HELP, trusted_key
from carelink.cli.common import console, error_console, open_link
from carelink.cli.exit_codes import Exit
from carelink.errors import CannotJudgeError, ConflictError, FormatError, TamperedError
from carelink.keys.folder import KeyFolder
from carelink.keys.private_files import create_private, make_private_folder, read_private
from carelink.model.moment import SECOND
from carelink.stores.durable_files import folder_lock, make_folder, replace_file
from carelink.stores.logfolder import LogFolder
from carelink.system import SystemClock, entropy

__all__ = ["add"]

_KEY: Final = "witness.key"
_NAME: Final = "name"
_SEED: Final = 32


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("witness", help="a second party remembers and cosigns the log's heads")
    verbs = parser.add_subparsers(dest="verb", required=True)
    init = verbs.add_parser("init", help="witness: make a key and a folder to remember in")
    init.add_argument("folder", type=Path)
    init.add_argument("--name", required=True, help="name of the witness's key, for example witness.example/compliance")
    init.set_defaults(run=_init)
    sign = verbs.add_parser("cosign", help="witness: check a request against what is remembered, and cosign it")
    sign.add_argument("folder", type=Path)
    sign.add_argument("request", type=Path)
    sign.add_argument("--log", required=True, metavar="KEY", help=KEY_HELP)
    sign.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    sign.add_argument(
        "--evidence", type=Path, metavar="FILE", help="where to write the notes that contradict each other"
    )
    sign.set_defaults(run=_cosign)
    show = verbs.add_parser("show", help="witness: its key, and the heads it remembers")
    show.add_argument("folder", type=Path)
    show.set_defaults(run=_show)
    against = verbs.add_parser("compare", help="hold heads that several witnesses remember against each other")
    against.add_argument("notes", nargs="+", type=Path, help="checkpoints, one from each witness")
    against.add_argument("--log", required=True, metavar="KEY", help=KEY_HELP)
    against.add_argument("--evidence", type=Path, metavar="FILE")
    against.set_defaults(run=_compare)
    ask = verbs.add_parser("request", help="hospital: write the request for a witness")
    ask.add_argument("--witness", required=True, metavar="KEY", help="the witness's key, or its file")
    ask.add_argument(
        "--from", dest="old", type=int, metavar="N", help="size the witness remembers (else what it cosigned last)"
    )
    ask.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    ask.set_defaults(run=_request)
    take = verbs.add_parser("accept", help="hospital: take a witness's answer into the published log")
    take.add_argument("answer", type=Path)
    take.add_argument("--witness", required=True, metavar="KEY", help="the witness's key, or its file")
    take.set_defaults(run=_accept)


# -- the witness's side ---------------------------------------------------------------------------------------


@attrs.frozen
class _Witness:
    """A witness's folder, opened; a `Signer`."""

    folder: Path
    name: str
    _key: Ed25519PrivateKey = attrs.field(repr=False)

    @classmethod
    def open(cls, folder: Path) -> _Witness:
        seed = read_private(folder / _KEY)
        if len(seed) != _SEED:
            raise FormatError("not a witness's key")
        return cls(
            folder, (folder / _NAME).read_text(encoding="utf-8").strip(), Ed25519PrivateKey.from_private_bytes(seed)
        )

    @property
    def key(self) -> VerifierKey:
        return VerifierKey(self.name, COSIGNATURE_V1, self._key.public_key().public_bytes_raw())

    @property
    def key_id(self) -> bytes:
        return self.key.key_id

    def sign(self, message: bytes, /) -> bytes:
        return self._key.sign(message)

    def remembered(self, origin: str) -> Path:
        return self.folder / "heads" / sha256(origin.encode()).hexdigest()


def _init(args: argparse.Namespace) -> int:
    VerifierKey(args.name, COSIGNATURE_V1, bytes(_SEED))  # a malformed name is refused before anything is written
    make_private_folder(args.folder)
    create_private(args.folder / _KEY, entropy(_SEED))
    create_private(args.folder / _NAME, f"{args.name}\n".encode())
    console.print(f"witness key  {_Witness.open(args.folder).key.text}", markup=False)
    console.print("Give this line to whoever verifies, and to the hospital. The key itself never leaves the folder.")
    return Exit.OK


def _cosign(args: argparse.Namespace) -> int:
    witness = _Witness.open(args.folder)
    log = NoteVerifier(trusted_key(args.log), KeyFolder.check_signature)
    request = _read(args.request, MAX_PROOF)
    make_folder(args.folder / "heads")
    with folder_lock(args.folder / "heads"):
        place = witness.remembered(log.key.name)
        old = _read(place, MAX_NOTE) if place.exists() else None
        head, problem = None, ""
        try:
            head = accept(request, old, log)
        except TamperedError as error:
            problem = error.message
        if head is None:
            _keep_evidence(args.evidence, [old or b"", request])
            raise TamperedError(problem, hint="both notes are evidence: keep them (--evidence FILE)")
        replace_file(place, head.to_bytes())  # remembered first, answered after
    seconds = SystemClock().now() // SECOND
    args.output.write_bytes(cosign(head, witness, seconds).to_bytes())
    console.print(f"cosigned  {head.size:,} entries of {log.key.name}", markup=False)
    return Exit.OK


def _show(args: argparse.Namespace) -> int:
    witness = _Witness.open(args.folder)
    console.print(f"witness key  {witness.key.text}", markup=False)
    heads = args.folder / "heads"
    for path in sorted(heads.iterdir()) if heads.is_dir() else ():
        if len(path.name) == sha256().digest_size * 2:
            head = parse_signed_checkpoint(_read(path, MAX_NOTE))
            root = encode_base64(head.root)
            console.print(
                f"remembers    {head.size:,} entries of {head.checkpoint.origin}, {root}: {path}", markup=False
            )
    return Exit.OK


def _compare(args: argparse.Namespace) -> int:
    log = NoteVerifier(trusted_key(args.log), KeyFolder.check_signature)
    worst = Exit.OK
    for found in compare([_read(path, MAX_NOTE) for path in args.notes], log):
        left, right = found.sizes
        if found.verdict is Same.FORK:
            console.print(f"FORK    two heads of {left:,} entries, both signed by the log's key", markup=False)
            _keep_evidence(args.evidence, found.evidence)
            worst = Exit.TAMPERED
        elif found.verdict is Same.EQUAL:
            console.print(f"same    {left:,} entries", markup=False)
        else:
            text = f"open    {left:,} and {right:,} entries: `audit verify --since` shows whether one extends the other"
            console.print(text, markup=False)
            worst = Exit.CANNOT_JUDGE if worst is Exit.OK else worst
    return worst


def _keep_evidence(path: Path | None, notes: object) -> None:
    if path is not None and isinstance(notes, (list, tuple)):
        path.write_bytes(b"\n".join(notes))
        error_console.print(f"evidence written to {path}", markup=False)


# -- the hospital's side --------------------------------------------------------------------------------------


def _request(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        witness = _witness_key(args.witness)
        link.publish()
        log = link.wiring.log
        head = log.head()
        if head is None:
            raise CannotJudgeError("nothing is published yet")
        old = _last_cosigned(log, witness) if args.old is None else args.old
        if old > head.size:
            raise ConflictError(f"the log has {head.size} entries, not {old}")
        args.output.write_bytes(prove_consistency(old, head, log.hashes(head.size)).to_bytes())
    console.print(f"request   from {old:,} to {head.size:,} entries; carry {args.output} to the witness", markup=False)
    return Exit.OK


def _accept(args: argparse.Namespace) -> int:
    with open_link(args) as link:
        signed = link.cosigned(_read(args.answer, MAX_NOTE), _witness_key(args.witness).key.text)
    console.print(f"accepted  {signed.size:,} entries are witnessed", markup=False)
    return Exit.OK


def _witness_key(text: str) -> NoteVerifier:
    return NoteVerifier(trusted_key(text), KeyFolder.check_signature)


def _last_cosigned(log: LogFolder, witness: NoteVerifier) -> int:
    """The largest published checkpoint that this witness cosigned; 0 without one."""
    for size in sorted((int(name) for name, _ in log.fetcher.names("checkpoints") if name.isdigit()), reverse=True):
        signed = log.earlier(size)
        if signed is not None and verify_cosignature(signed.note, witness) is not None:
            return size
    return 0


def _read(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit + 1)
