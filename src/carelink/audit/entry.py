"""Entries of the log: one canonical JSON object each, of a closed kind, with 128 random bits of salt.

`{"at":...,"body":{...},"kind":"...","salt":"...","v":1}`. The salt keeps the hash of an entry with few possible
contents from being guessed.
"""

from __future__ import annotations

import re
from base64 import b64encode
from typing import Final

import attrs

from carelink.audit import bodies, decided
from carelink.audit.bodies import Body
from carelink.audit.encoding import decode, decode_unbounded, encode
from carelink.audit.kinds import Kind
from carelink.audit.schema import INTEGER, as_object, bad
from carelink.errors import CannotJudgeError, FormatError
from carelink.model.moment import Instant

__all__ = ["BODIES", "MAX_ENTRY", "VERSION", "Entry", "encode_entry", "parse_entry", "salt_text"]

VERSION: Final = 1
"""Version of the form. Another one is neither right nor wrong: it cannot be judged here."""

MAX_ENTRY: Final = 65_535
"""Largest entry in bytes: C2SP tlog-tiles bundles give each a length of two bytes."""

BODIES: Final[dict[str, type[Body]]] = {
    form.kind.value: form
    for form in (
        bodies.GenesisBody,
        bodies.PackBody,
        bodies.PolicyBody,
        bodies.PluginsBody,
        bodies.ModeBody,
        bodies.ContentBody,
        bodies.SubjectBody,
        bodies.MergedBody,
        bodies.ConsentGrantedBody,
        bodies.ConsentEndedBody,
        bodies.SuppressionAddedBody,
        bodies.SuppressionCarriedBody,
        bodies.SuppressionLiftedBody,
        decided.DecisionBody,
        decided.ClaimBody,
        bodies.HandoverBody,
        bodies.ReleasedBody,
        bodies.RecoveredBody,
        bodies.ReceiptBody,
        bodies.StoppedBody,
        bodies.InboundBody,
        bodies.OpenedBody,
        bodies.KeyBody,
        bodies.ErasingBody,
        bodies.ErasedBody,
        bodies.ExportBody,
        bodies.ReconciledBody,
        bodies.WitnessBody,
        bodies.SealedBody,
        bodies.CredentialBody,
        bodies.AccessBody,
        bodies.RightsBody,
    )
}
"""The body of each kind."""

_SALT: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]", re.ASCII)
_SALT_BYTES: Final = 16
_FIELDS: Final = frozenset({"at", "body", "kind", "salt", "v"})
_INTEGER: Final = INTEGER["codec"]

# Outside a pack's text and the log's own name, an entry consists of these bytes and nothing else: a fast last check
# that no name, address or sentence slipped through, whatever the fields' own checks missed.
_ALPHABET: Final = b'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:+/=*-{}[]",'
_OPEN_KINDS: Final = frozenset({Kind.GENESIS, Kind.PACK})


@attrs.frozen(kw_only=True)
class Entry:
    """One entry.

    Attributes:
        at: when it was written.
        salt: 22 characters, base64url of 16 random bytes.
    """

    at: Instant
    body: Body
    salt: str

    @property
    def kind(self) -> Kind:
        """Follows from the body."""
        return self.body.kind


def salt_text(random: bytes) -> str:
    """The salt of an entry from 16 random bytes.

    Raises:
        FormatError: another number of bytes.
    """
    if len(random) != _SALT_BYTES:
        raise bad("salt", "is made of 16 random bytes")
    return b64encode(random, b"-_").decode()[:22]


def encode_entry(entry: Entry) -> bytes:
    """The bytes to store and to hash.

    Raises:
        FormatError: a field is not of its closed type, or the entry is longer than 65,535 bytes. Nothing personal
            gets through (P8).
    """
    if _SALT.fullmatch(entry.salt) is None:
        raise bad("salt", "is not 22 characters of base64url")
    if type(entry.at) is not int:
        raise bad("at", "is not an integer")
    kind = entry.body.kind
    data = encode({"at": entry.at, "body": entry.body.write(), "kind": kind.value, "salt": entry.salt, "v": VERSION})
    if len(data) > MAX_ENTRY:
        raise FormatError(f"an entry of kind `{kind.value}` is longer than {MAX_ENTRY} bytes")
    if kind not in _OPEN_KINDS and data.translate(None, _ALPHABET):
        raise FormatError(f"an entry of kind `{kind.value}` holds a character that no field of it has")
    return data


def parse_entry(data: bytes) -> Entry:
    """Read stored bytes strictly.

    Raises:
        FormatError: not the one canonical spelling, or a field is missing, surplus or not of its closed type.
        CannotJudgeError: a version or kind this release does not know.
    """
    if len(data) > MAX_ENTRY:
        raise FormatError(f"an entry is longer than {MAX_ENTRY} bytes")
    found = decode_unbounded(data)  # the fields' types bound every integer of a form that is known
    version = found.get("v")
    if type(version) is not int:
        raise bad("v", "is missing or not an integer")
    form = BODIES.get(kind) if isinstance(kind := found.get("kind"), str) else None
    if form is None or version != VERSION:
        decode(data)
    if version != VERSION:
        raise CannotJudgeError("an entry has a version this release does not know", hint="use a newer carelink")
    if found.keys() != _FIELDS:
        as_object(found, "entry", _FIELDS, _FIELDS)  # says which
    at, salt = found["at"], found["salt"]
    if not isinstance(kind, str):
        raise bad("kind", "is not text")
    if form is None:
        raise CannotJudgeError("an entry is of a kind this release does not know", hint="use a newer carelink")
    if not isinstance(salt, str) or _SALT.fullmatch(salt) is None:
        raise bad("salt", "is not 22 characters of base64url")
    return Entry(at=Instant(_INTEGER.read(at, "at")), body=form.read(found["body"], "body"), salt=salt)
