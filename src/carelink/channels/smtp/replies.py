"""What a reply of the server, or its absence, comes to: stage and reply to one of the closed outcomes. Pure.

Codes: RFC 5321 4.2, enhanced status RFC 3463 and 5248, AUTH RFC 4954. Why each is what it is: docs/adr/0016.
"""

from __future__ import annotations

import re
from enum import StrEnum, unique
from typing import Final

import attrs

from carelink.ports.channel import SendResult
from carelink.vocabulary import Outcome

__all__ = ["Reply", "Stage", "judge", "reply_of"]

_STATUS: Final = re.compile(rb"([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")
_ACCOUNT_CODES: Final = frozenset((530, 534, 535, 538))
_SENDER_STATUS: Final = frozenset(("5.1.7", "5.1.8"))
_TOO_LARGE: Final = frozenset(("5.3.4", "5.2.3"))
_FULL: Final = frozenset(("4.2.2", "5.2.2"))
_GOES_ON: Final = 2
_LATER: Final = 4
_NEVER: Final = 5
_CLOSING: Final = 421
_OVER_QUOTA: Final = 552


@unique
class Stage(StrEnum):
    """Where in the dialogue an attempt stands. From DOT on the server may hold the whole message."""

    CONNECT = "connect"
    BANNER = "banner"
    EHLO = "ehlo"
    TLS = "tls"
    STARTTLS = "starttls"
    AUTH = "auth"
    NOOP = "noop"
    RSET = "rset"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


_HELLO: Final = frozenset((Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.AUTH))
_TRANSPORT: Final = frozenset((Stage.TLS, Stage.STARTTLS, Stage.NOOP, Stage.RSET))
_RECIPIENT: Final = frozenset((Stage.RCPT, Stage.DATA, Stage.DOT))


@attrs.frozen
class Reply:
    """A whole reply: its code, and its enhanced status where there is one of the same class. Never its text."""

    code: int
    status: str = ""

    @property
    def positive(self) -> bool:
        """Whether the command was done."""
        return self.code // 100 == _GOES_ON


def reply_of(code: int, text: bytes) -> Reply:
    """A reply from its code and the text of its first line."""
    found = _STATUS.match(text)
    fits = found is not None and int(found[1]) == code // 100
    return Reply(code, found[0].decode() if found is not None and fits else "")


def judge(stage: Stage, reply: Reply | None) -> SendResult:
    """The outcome of an attempt that ended at a stage with a reply, or with none: the line broke or was silent."""
    if reply is None:
        lost = Outcome.UNKNOWN if stage is Stage.DOT else Outcome.NOT_SENT
        return SendResult(outcome=lost, code=f"{stage.value}_lost")
    word = f"{stage.value}_{reply.code}"
    return SendResult(outcome=_outcome(stage, reply), code=f"{word}_{reply.status}" if reply.status else word)


def _outcome(stage: Stage, reply: Reply) -> Outcome:
    kind = reply.code // 100
    if stage is Stage.DOT and kind == _GOES_ON:
        return Outcome.ACCEPTED
    if kind not in (_LATER, _NEVER):
        # Not an answer to what was asked: whoever speaks like that may have done anything.
        return Outcome.UNKNOWN if stage is Stage.DOT else Outcome.NOT_SENT
    full = reply.status in _FULL or (reply.code == _OVER_QUOTA and reply.status not in _TOO_LARGE)
    if reply.code != _CLOSING and stage in _RECIPIENT and full:
        return Outcome.RECIPIENT_LIMIT
    if kind == _LATER:
        return Outcome.THROTTLED
    if stage in _TRANSPORT:
        return Outcome.NOT_SENT
    if stage in _HELLO or reply.code in _ACCOUNT_CODES:
        return Outcome.ACCOUNT
    if stage is Stage.MAIL and (reply.status in _SENDER_STATUS or reply.status.startswith("5.7.")):
        return Outcome.ACCOUNT
    return Outcome.REFUSED
