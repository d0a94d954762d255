"""Proofs as small text files that are checked offline: one entry is in the log; one log extends another.

Sources: c2sp.org/tlog-proof (inclusion); for consistency the same layout as the request of c2sp.org/tlog-witness:
`old <size>`, the hashes one a line, an empty line, the newer checkpoint verbatim.
"""

from __future__ import annotations

from typing import Final

import attrs

from carelink.audit.checkpoint import (
    NoteVerifier,
    SignedCheckpoint,
    decode_base64,
    encode_base64,
    parse_number,
    parse_signed_checkpoint,
)
from carelink.audit.merkle import (
    HASH_SIZE,
    HashReader,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    verify_consistency,
    verify_inclusion,
)
from carelink.errors import CannotJudgeError, FormatError, TamperedError

__all__ = [
    "MAX_PROOF",
    "ConsistencyProof",
    "InclusionProof",
    "open_checkpoint",
    "prove_consistency",
    "prove_inclusion",
]

MAX_PROOF: Final = 512 * 1024
"""Bytes of the longest proof that is read."""

_MAGIC: Final = "c2sp.org/tlog-proof@v1"
_MAX_HASHES: Final = 126


def open_checkpoint(data: bytes, verifier: NoteVerifier) -> SignedCheckpoint:
    """Read a checkpoint and accept it: signed by the given key, origin equal to the key's name.

    Raises:
        FormatError: not a checkpoint in canonical form.
        TamperedError: not signed by the key, or of another log.
    """
    signed = parse_signed_checkpoint(data)
    verifier.open(signed.note)
    if signed.checkpoint.origin != verifier.key.name:
        raise TamperedError("the checkpoint is of another log than the given key")
    return signed


@attrs.frozen(slots=True)
class InclusionProof:
    """That an entry stands at an index of a log.

    Attributes:
        index: of the entry, from 0.
        hashes: audit path, the leaf's sibling first.
        checkpoint: the signed note, verbatim.
        extra: bytes of an application, not authenticated; carelink writes none.
    """

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def to_bytes(self) -> bytes:
        """The text file."""
        extra = "" if self.extra is None else f"extra {encode_base64(self.extra)}\n"
        return f"{_MAGIC}\n{extra}index {self.index}\n{_lines(self.hashes)}\n".encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> InclusionProof:
        """Read a proof file; nothing is checked but its form.

        Raises:
            FormatError: not a proof in canonical form.
            CannotJudgeError: a proof form of another version.
        """
        lines, checkpoint = _parts(data)
        if lines[0] != _MAGIC:
            if lines[0].startswith("c2sp.org/tlog-proof@"):
                raise CannotJudgeError("the proof is of a version this program does not know")
            raise FormatError("not a proof")
        rows, extra = lines[1:], None
        if rows and rows[0].startswith("extra "):
            extra = decode_base64(rows.pop(0).removeprefix("extra "))
        if not rows or not rows[0].startswith("index "):
            raise FormatError("the proof names no index")
        index = parse_number(rows[0].removeprefix("index "))
        return cls(index, _hashes(rows[1:]), checkpoint, extra)

    def verify(self, entry: bytes, verifier: NoteVerifier) -> SignedCheckpoint:
        """Check that exactly these entry bytes stand at the index of the log the key belongs to.

        Returns:
            The checkpoint that covers it.

        Raises:
            FormatError: the checkpoint is malformed.
            TamperedError: the checkpoint or the path does not verify.
        """
        signed = open_checkpoint(self.checkpoint, verifier)
        if not verify_inclusion(leaf_hash(entry), self.index, signed.size, self.hashes, signed.root):
            raise TamperedError("the proof does not show this entry at its index")
        return signed


@attrs.frozen(slots=True)
class ConsistencyProof:
    """That a log of `old_size` entries is a prefix of a later one; `checkpoint` is the later signed note."""

    old_size: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def to_bytes(self) -> bytes:
        """The text file."""
        return f"old {self.old_size}\n{_lines(self.hashes)}\n".encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> ConsistencyProof:
        """Read a proof file; nothing is checked but its form.

        Raises:
            FormatError: not a proof in canonical form.
        """
        lines, checkpoint = _parts(data)
        if not lines[0].startswith("old "):
            raise FormatError("not a consistency proof")
        return cls(parse_number(lines[0].removeprefix("old ")), _hashes(lines[1:]), checkpoint)

    def verify(self, old: bytes, verifier: NoteVerifier) -> SignedCheckpoint:
        """Check that the log of the older checkpoint note was only appended to.

        Returns:
            The later checkpoint.

        Raises:
            FormatError: a checkpoint is malformed.
            TamperedError: a checkpoint or the proof does not verify: with both notes this is evidence of a fork.
        """
        before, after = open_checkpoint(old, verifier), open_checkpoint(self.checkpoint, verifier)
        same = before.size == self.old_size
        if not same or not verify_consistency(before.size, before.root, after.size, after.root, self.hashes):
            raise TamperedError("the proof does not show the newer log to extend the older one")
        return after


def prove_inclusion(index: int, signed: SignedCheckpoint, hash_at: HashReader) -> InclusionProof:
    """Build the proof for an entry under a checkpoint.

    Raises:
        InvalidInputError: the checkpoint covers no such entry.
    """
    return InclusionProof(index, inclusion_proof(index, signed.size, hash_at), signed.to_bytes())


def prove_consistency(old_size: int, signed: SignedCheckpoint, hash_at: HashReader) -> ConsistencyProof:
    """Build the proof that the log extends its own state of `old_size`.

    Raises:
        InvalidInputError: the checkpoint is smaller than that.
    """
    return ConsistencyProof(old_size, consistency_proof(old_size, signed.size, hash_at), signed.to_bytes())


def _lines(hashes: tuple[bytes, ...]) -> str:
    return "".join(f"{encode_base64(each)}\n" for each in hashes)


def _parts(data: bytes) -> tuple[list[str], bytes]:
    head, mark, checkpoint = data[: MAX_PROOF + 1].partition(b"\n\n")
    if not mark or len(data) > MAX_PROOF or not head.isascii():
        raise FormatError("not a proof")
    return head.decode("ascii").split("\n"), checkpoint


def _hashes(rows: list[str]) -> tuple[bytes, ...]:
    if len(rows) > _MAX_HASHES:
        raise FormatError("the proof has too many hashes")
    hashes = tuple(decode_base64(row) for row in rows)
    if any(len(each) != HASH_SIZE for each in hashes):
        raise FormatError("a hash has 32 bytes")
    return hashes
