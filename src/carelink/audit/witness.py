"""A witness: a second party that remembers a log's newest head, cosigns one that extends it, and refuses any other.

Sources: c2sp.org/tlog-witness (what is asked and refused), c2sp.org/tlog-cosignature (cosignature/v1). A request is the
text form of a consistency proof: `old <size>`, hashes, empty line, checkpoint. It travels as a file, so that it works
where there is no network. The witness MUST keep what it accepts before it answers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum

import attrs

from carelink.audit.checkpoint import (
    COSIGNATURE_V1,
    NoteSignature,
    NoteVerifier,
    SignatureCheck,
    SignedCheckpoint,
    SignedNote,
    Signer,
    VerifierKey,
    cosignature_message,
    parse_signed_checkpoint,
    verify_cosignature,
)
from carelink.audit.findings import FindingCode, Findings
from carelink.audit.merkle import EMPTY_ROOT, verify_consistency
from carelink.audit.proof import ConsistencyProof, open_checkpoint
from carelink.errors import CannotJudgeError, CarelinkError, ConflictError, FormatError, TamperedError

__all__ = ["Comparison", "Same", "Witnessing", "accept", "compare", "cosign", "cosigners", "merge"]

_TIME_BYTES = 8


def accept(request: bytes, remembered: bytes | None, log: NoteVerifier) -> SignedCheckpoint:
    """The head that a witness may remember and cosign next.

    Args:
        request: the consistency proof with the new checkpoint.
        remembered: the checkpoint note this witness accepted last; None for a log it has never seen.
        log: the log's key, obtained another way.

    Raises:
        FormatError: not a request.
        ConflictError: the request starts at another size than the witness remembers; the hint names the size.
        TamperedError: not signed by the log, set back, or another history: with both notes this is evidence.
    """
    proof = ConsistencyProof.parse(request)
    head = open_checkpoint(proof.checkpoint, log)
    old = None if remembered is None else open_checkpoint(remembered, log)
    known, root = (0, EMPTY_ROOT) if old is None else (old.size, old.root)
    if head.size < known:
        raise TamperedError(f"rollback: the log was set back from {known} entries to {head.size}")
    if head.size == known and head.root != root:
        raise TamperedError(f"fork: two heads of {known} entries are signed by the log's key")
    if proof.old_size != known:
        raise ConflictError(
            f"the request starts at {proof.old_size} entries, this witness remembers {known}",
            hint=f"make the request for a witness that remembers {known} entries",
        )
    if known and not verify_consistency(known, root, head.size, head.root, proof.hashes):
        raise TamperedError(
            f"fork: the head of {head.size} entries does not continue the one of {known} remembered here"
        )
    return head


def cosign(head: SignedCheckpoint, witness: Signer, seconds: int) -> SignedNote:
    """The checkpoint with this witness's signature alone: what goes back to the log.

    Args:
        head: what `accept` gave, already kept.
        witness: its signer; `key_id` is that of a key of type cosignature/v1.
        seconds: POSIX time.
    """
    text = head.note.text
    blob = seconds.to_bytes(_TIME_BYTES, "big") + witness.sign(cosignature_message(text, seconds))
    return SignedNote(text, (NoteSignature(witness.name, witness.key_id, blob),))


def merge(published: bytes, cosigned: bytes, witness: NoteVerifier) -> tuple[SignedCheckpoint, int]:
    """A published checkpoint with the signature of a witness added, and the time of it (POSIX seconds).

    Raises:
        FormatError: one of them is not a note.
        CannotJudgeError: the witness did not sign, or signed another checkpoint.
        TamperedError: its signature does not verify.
    """
    head, answer = parse_signed_checkpoint(published), SignedNote.parse(cosigned)
    if witness.key.kind != COSIGNATURE_V1:
        raise FormatError("not the key of a witness", hint="a witness's key has type cosignature/v1")
    if answer.text != head.note.text:
        raise CannotJudgeError("the witness signed another checkpoint than the one published at this size")
    seconds = verify_cosignature(answer, witness)
    if seconds is None:
        raise CannotJudgeError("the answer is not signed by the given witness")
    others = tuple(each for each in head.note.signatures if each not in witness.signatures(head.note))
    note = SignedNote(head.note.text, (*others, *witness.signatures(answer)))
    return SignedCheckpoint(head.checkpoint, note), seconds


def cosigners(note: SignedNote, witnesses: Iterable[NoteVerifier]) -> dict[str, int]:
    """Which of these witnesses cosigned a note: name -> POSIX seconds. One witness counts once, whatever it signed.

    Raises:
        TamperedError: a line that names one of them does not verify.
    """
    found: dict[bytes, tuple[str, int]] = {}
    for witness in witnesses:
        seconds = verify_cosignature(note, witness)
        if seconds is not None:
            found[witness.key.public] = (witness.key.name, seconds)
    return dict(found.values())


@attrs.define
class Witnessing:
    """How far a verified log is cosigned by enough of the witnesses that its reader trusts.

    Attributes:
        verifiers: the trusted witnesses.
        required: how many distinct ones must have signed the same checkpoint.
        size: entries of the largest such checkpoint that the log continues; None without one.
        names: who signed it; `seconds`: the earliest of their times.
    """

    verifiers: tuple[NoteVerifier, ...]
    required: int = 0
    size: int | None = None
    names: tuple[str, ...] = ()
    seconds: int = 0

    @classmethod
    def of(cls, keys: Sequence[str], check: SignatureCheck, required: int, findings: Findings) -> Witnessing:
        """Read the keys; one that cannot be used is "cannot judge"."""
        verifiers = []
        for text in keys:
            problem = "not the key of a witness"
            try:
                key = VerifierKey.parse(text)
                if key.kind == COSIGNATURE_V1:
                    verifiers.append(NoteVerifier(key, check))
                    continue
            except CarelinkError as error:
                problem = error.message
            findings.cannot_judge(FindingCode.KEY_FORM, f"a given witness key cannot be used: {problem}")
        return cls(tuple(verifiers), required)

    def see(self, signed: SignedCheckpoint, path: str, findings: Findings) -> None:
        """Take in a checkpoint whose root the entries gave."""
        problem, found = "", dict[str, int]()
        try:
            found = cosigners(signed.note, self.verifiers)
        except TamperedError as error:
            problem = error.message
        if problem:
            findings.tampered(FindingCode.WITNESS, problem, path)
        if len(found) >= max(1, self.required) and signed.size >= (self.size or 0):
            self.size, self.names, self.seconds = signed.size, tuple(sorted(found)), min(found.values())

    def settle(self, findings: Findings) -> None:
        """Say so where too few witnesses signed."""
        if self.required and self.size is None:
            detail = f"no checkpoint of the log is cosigned by {self.required} of the given witnesses"
            findings.cannot_judge(FindingCode.WITNESS, detail, "checkpoint")


class Same(StrEnum):
    """What two remembered heads of one log are to each other."""

    EQUAL = "equal"
    FORK = "fork"
    OPEN = "open"


@attrs.frozen(kw_only=True)
class Comparison:
    """Two remembered heads held against each other. `evidence`: both notes, where they contradict each other."""

    verdict: Same
    sizes: tuple[int, int]
    evidence: tuple[bytes, ...] = ()


def compare(notes: Sequence[bytes], log: NoteVerifier) -> list[Comparison]:
    """Hold every pair of remembered heads against each other: what no single witness can see.

    Two heads of the same size must have the same root. Heads of different sizes need the log itself, or a consistency
    proof: they are OPEN.

    Raises:
        FormatError: one of them is not a checkpoint.
        TamperedError: one of them is not signed by the log.
    """
    heads = [open_checkpoint(note, log) for note in notes]
    answers = []
    for at, left in enumerate(heads):
        for right in heads[at + 1 :]:
            verdict = Same.OPEN
            if left.size == right.size:
                verdict = Same.EQUAL if left.root == right.root else Same.FORK
            evidence = (left.to_bytes(), right.to_bytes()) if verdict is Same.FORK else ()
            answers.append(Comparison(verdict=verdict, sizes=(left.size, right.size), evidence=evidence))
    return answers
