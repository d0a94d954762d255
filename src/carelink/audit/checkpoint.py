"""Checkpoints: a tree head (origin, size, root) as a signed note, in the public C2SP forms.

Sources: c2sp.org/signed-note@v1.0.0 (note, verifier keys, key ids), c2sp.org/tlog-checkpoint@v1.0.0 (the three lines),
c2sp.org/tlog-cosignature (cosignature/v1). Each form is read in its one canonical spelling only: base64 decodes and
encodes back to the same text, numbers have no leading zeros. carelink writes no extension lines and refuses them: a
log's verifiers could not check them. Signing and checking are callables of the caller; nothing here knows a curve.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final, Protocol

import attrs

from carelink.audit.merkle import HASH_SIZE, MAX_SIZE
from carelink.errors import CannotJudgeError, FormatError, TamperedError

__all__ = [
    "COSIGNATURE_V1",
    "ED25519",
    "MAX_NOTE",
    "MAX_SIGNATURES",
    "Checkpoint",
    "NoteSignature",
    "NoteVerifier",
    "SignatureCheck",
    "SignedCheckpoint",
    "SignedNote",
    "Signer",
    "VerifierKey",
    "cosignature_message",
    "decode_base64",
    "encode_base64",
    "parse_number",
    "parse_signed_checkpoint",
    "sign_checkpoint",
    "verify_cosignature",
]

ED25519: Final = 0x01
"""Signature type: Ed25519 over the note text."""

COSIGNATURE_V1: Final = 0x04
"""Signature type: Ed25519 cosignature with a time."""

MAX_SIGNATURES: Final = 64
"""More signature lines than this and a note is refused; the specification asks for at least 16."""

MAX_NOTE: Final = 256 * 1024
"""Bytes of the longest note that is read."""

_KNOWN: Final = frozenset({ED25519, COSIGNATURE_V1})
_ID_BYTES: Final = 4
_PUBLIC_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_TIME_BYTES: Final = 8
_MAX_DIGITS: Final = len(str(MAX_SIZE))
_DASH: Final = "\N{EM DASH} "

SignatureCheck = Callable[[bytes, bytes, bytes], bool]
"""`check(public_key, signature, message)`: Ed25519, 32 and 64 bytes; False for a bad signature, never raises."""


class Signer(Protocol):
    """Whoever signs for the log: key file, HSM or agent.

    `key_id` is the note key id (four bytes); `sign` returns the 64-byte Ed25519 signature of the message.
    """

    @property
    def name(self) -> str:
        """Key name: the log's origin, or the witness's name."""
        ...

    @property
    def key_id(self) -> bytes:
        """Note key id, as in `VerifierKey.key_id`."""
        ...

    def sign(self, message: bytes, /) -> bytes:
        """Ed25519 signature of the message, 64 bytes."""
        ...


def encode_base64(data: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Read standard base64 in its one canonical spelling.

    Raises:
        FormatError: other characters, missing padding, or stray bits in the last digit.
    """
    data = None
    with suppress(ValueError, Base64Error):
        data = b64decode(text, validate=True)
    if data is None or encode_base64(data) != text:
        raise FormatError("not canonical base64")
    return data


def parse_number(text: str) -> int:
    """Read a decimal without sign or leading zeros, up to 2**63 - 1.

    Raises:
        FormatError: another spelling, or too large.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS or (text[0] == "0" and text != "0"):
        raise FormatError("not a decimal number without leading zeros")
    number = int(text)
    if number > MAX_SIZE:
        raise FormatError("number out of range")
    return number


def _check_name(name: str) -> None:
    if not name or "+" in name or any(each.isspace() or each < " " for each in name):
        raise FormatError("not a key name", hint="key names hold no spaces, control characters or `+`")


@attrs.frozen(slots=True)
class VerifierKey:
    """A public key as auditors are given it: name, type and key, written `name+hex(key id)+base64(type || key)`."""

    name: str
    kind: int
    public: bytes

    def __attrs_post_init__(self) -> None:
        _check_name(self.name)
        if self.kind not in _KNOWN:
            raise CannotJudgeError("this type of verifier key is unknown", hint="use an Ed25519 key of the log")
        if len(self.public) != _PUBLIC_BYTES:
            raise FormatError("an Ed25519 public key has 32 bytes")

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256 over name, newline, type, key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_ID_BYTES]

    @property
    def text(self) -> str:
        """The verifier key line."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.kind]) + self.public)}"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the verifier key line in hex: what two people read to each other."""
        return sha256(self.text.encode()).hexdigest()

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a verifier key line; one trailing newline is allowed, for it comes from a file.

        Raises:
            FormatError: not a verifier key, or its key id is not that of its key.
            CannotJudgeError: a signature type this version does not know.
        """
        name, _, rest = text.removesuffix("\n").partition("+")
        key_id, _, code = rest.partition("+")
        blob = decode_base64(code)
        if not blob:
            raise FormatError("not a verifier key", hint="a verifier key reads name+hash+key")
        key = cls(name, blob[0], blob[1:])
        if key.key_id.hex() != key_id:
            raise FormatError("the key id of the verifier key does not fit its key")
        return key


@attrs.frozen(slots=True)
class NoteSignature:
    """One signature line: key name, key id (four bytes) and the signature's bytes."""

    name: str
    key_id: bytes
    blob: bytes

    def line(self) -> str:
        """The line as written, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.blob)}\n"


@attrs.frozen(slots=True)
class SignedNote:
    """Text ending in a newline, and the signatures over it in the order they stand."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """The note as stored."""
        return (self.text + "\n" + "".join(each.line() for each in self.signatures)).encode()

    @classmethod
    def parse(cls, data: bytes) -> SignedNote:
        """Read a signed note.

        Raises:
            FormatError: not a signed note in canonical form.
        """
        if len(data) > MAX_NOTE:
            raise FormatError("the note is too long")
        text = _note_text(data)
        body, mark, lines = text.rpartition("\n\n")
        if not mark or not lines.endswith("\n"):
            raise FormatError("the note has no signatures")
        rows = lines[:-1].split("\n")
        if len(rows) > MAX_SIGNATURES:
            raise FormatError("the note has too many signatures")
        return cls(body + "\n", tuple(_parse_signature(row) for row in rows))


def _note_text(data: bytes) -> str:
    text = ""
    with suppress(UnicodeDecodeError):
        text = data.decode("utf-8")
    if not text or any(each < " " and each != "\n" for each in text):
        raise FormatError("a note is UTF-8 text without control characters")
    return text


def _parse_signature(row: str) -> NoteSignature:
    if not row.startswith(_DASH):
        raise FormatError("not a signature line")
    name, gap, code = row[len(_DASH) :].partition(" ")
    _check_name(name)
    blob = decode_base64(code) if gap else b""
    if len(blob) <= _ID_BYTES:
        raise FormatError("the signature is too short")
    return NoteSignature(name, blob[:_ID_BYTES], blob[_ID_BYTES:])


@attrs.frozen(slots=True)
class Checkpoint:
    """A tree head: the log's origin, its number of entries and the root hash over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read the text of a checkpoint note.

        Raises:
            FormatError: not three lines in canonical form.
        """
        origin, _, rest = text.partition("\n")
        size, _, last = rest.partition("\n")
        code, end, more = last.partition("\n")
        if not origin or not end or more:
            raise FormatError("a checkpoint has three lines: origin, size, root")
        root = decode_base64(code)
        if len(root) != HASH_SIZE:
            raise FormatError("a root hash has 32 bytes")
        return cls(origin, parse_number(size), root)


@attrs.frozen(slots=True)
class SignedCheckpoint:
    """A checkpoint and the note it came in."""

    checkpoint: Checkpoint
    note: SignedNote

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        """Root hash."""
        return self.checkpoint.root

    def to_bytes(self) -> bytes:
        """The note as stored."""
        return self.note.to_bytes()


@attrs.frozen(slots=True)
class NoteVerifier:
    """A trusted key together with the function that checks its signatures."""

    key: VerifierKey
    check: SignatureCheck

    def signatures(self, note: SignedNote) -> tuple[NoteSignature, ...]:
        """The lines that name this key; other lines are ignored, whatever their order."""
        key = self.key
        return tuple(each for each in note.signatures if each.name == key.name and each.key_id == key.key_id)

    def open(self, note: SignedNote) -> None:
        """Accept a note signed by this key.

        Raises:
            TamperedError: no line is of this key, or one that names it does not verify.
        """
        mine, message = self.signatures(note), note.text.encode()
        if not mine:
            raise TamperedError("the note is not signed by the given key")
        public = self.key.public
        if not all(len(each.blob) == _SIGNATURE_BYTES and self.check(public, each.blob, message) for each in mine):
            raise TamperedError("the signature of the given key does not verify")


def parse_signed_checkpoint(data: bytes) -> SignedCheckpoint:
    """Read a checkpoint note; signatures are not checked.

    Raises:
        FormatError: not a checkpoint in canonical form.
    """
    note = SignedNote.parse(data)
    return SignedCheckpoint(Checkpoint.parse(note.text), note)


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[Signer]) -> SignedCheckpoint:
    """Sign a tree head with each signer, in order."""
    message = checkpoint.text().encode()
    lines = tuple(NoteSignature(each.name, each.key_id, each.sign(message)) for each in signers)
    return SignedCheckpoint(checkpoint, SignedNote(checkpoint.text(), lines))


def cosignature_message(text: str, seconds: int) -> bytes:
    """What a cosignature/v1 signs: header, POSIX time, then the note text."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def verify_cosignature(note: SignedNote, verifier: NoteVerifier) -> int | None:
    """POSIX time of the newest valid cosignature/v1 of a witness; None when it has not cosigned.

    Raises:
        TamperedError: a line that names the witness's key does not verify.
    """
    times: list[int] = []
    for each in verifier.signatures(note):
        seconds = int.from_bytes(each.blob[:_TIME_BYTES], "big")
        signature = each.blob[_TIME_BYTES:]
        message = cosignature_message(note.text, seconds)
        good = len(signature) == _SIGNATURE_BYTES and seconds <= MAX_SIZE and verifier.key.kind == COSIGNATURE_V1
        if not good or not verifier.check(verifier.key.public, signature, message):
            raise TamperedError("the cosignature of the given witness does not verify")
        times.append(seconds)
    return max(times, default=None)
