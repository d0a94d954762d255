"""One log after another: what a successor takes over, and whether two logs are each other's end and beginning.

A log is closed by an entry `sealed` that names its successor; the successor's genesis names the closed log's last head.
Behind the genesis stand, byte for byte, the closed log's entries that say what is: policy, content, persons, consent,
stops, keys, erasures. What happened (decisions, hand-overs, reports) stays behind, so that the closed log can be put
away as a whole when its time is over.
"""

from __future__ import annotations

from typing import Final

from carelink.audit.bodies import GenesisBody, SealedBody
from carelink.audit.checkpoint import SignedCheckpoint, VerifierKey
from carelink.audit.entry import parse_entry
from carelink.audit.kinds import Kind
from carelink.errors import CarelinkError

__all__ = ["CARRIED", "broken_link", "is_carried"]

CARRIED: Final = frozenset(
    {
        Kind.PACK,
        Kind.POLICY,
        Kind.PLUGINS,
        Kind.MODE,
        Kind.CONTENT,
        Kind.CREDENTIAL,
        Kind.SUBJECT,
        Kind.MERGED,
        Kind.CONSENT_GRANTED,
        Kind.CONSENT_ENDED,
        Kind.SUPPRESSION_ADDED,
        Kind.SUPPRESSION_CARRIED,
        Kind.SUPPRESSION_LIFTED,
        Kind.KEY,
        Kind.ERASING,
        Kind.ERASED,
    }
)
"""Kinds of entries that a successor begins with."""

_MARKS: Final = tuple(f'"kind":"{kind.value}"'.encode() for kind in CARRIED)


def is_carried(data: bytes) -> bool:
    """Whether a successor takes over this entry, by its stored bytes.

    Raises:
        FormatError, CannotJudgeError: it is not in a form that this release knows.
    """
    return any(mark in data for mark in _MARKS) and parse_entry(data).kind in CARRIED


def broken_link(head: SignedCheckpoint, last: bytes, successor: SignedCheckpoint, first: bytes, *, key: str) -> str:
    """What is wrong between a closed log and its successor; "" when they are each other's end and beginning.

    Args:
        head, last: head of the closed log, and its last entry.
        successor, first: head of the later log, and its first entry.
        key: verifier key line of the later log.
    """
    try:
        end, begin = parse_entry(last).body, parse_entry(first).body
    except CarelinkError:
        return "one of the two entries cannot be read"
    if not isinstance(end, SealedBody):
        return "the earlier log is not sealed"
    if not isinstance(begin, GenesisBody) or begin.previous is None:
        return "the later log names no earlier one"
    line = VerifierKey.parse(key)
    if end.successor != line.fingerprint or line.name != successor.checkpoint.origin:
        return "the earlier log was sealed for another successor"
    previous = begin.previous
    if (previous.origin, previous.size, previous.root) != (head.checkpoint.origin, head.size, head.root.hex()):
        return "the later log goes on from another end"
    return ""
