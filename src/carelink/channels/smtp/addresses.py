"""Mailboxes as SMTP wants them: an ASCII domain always, a local part that may need SMTPUTF8 (RFC 5321, 5890, 6531)."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

import attrs

__all__ = ["Mailbox", "mailbox_of", "one_line"]

_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_DOMAIN: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
                            r"(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*", re.ASCII)  # fmt: skip
_DEVIATIONS: Final = frozenset("ßς\u200c\u200d")
_MAX_LOCAL: Final = 64


def one_line(text: str) -> bool:
    """Whether a text may stand in a header: no control characters, no line ends of any kind, no half characters."""
    return not any(unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") for mark in text)


@attrs.frozen
class Mailbox:
    """One address. `local` is as written, `domain` the ASCII form."""

    local: str = attrs.field(repr=False)
    domain: str = attrs.field(repr=False)

    @property
    def international(self) -> bool:
        """Whether only a server that offers SMTPUTF8 can take it."""
        return not self.local.isascii()

    @property
    def path(self) -> str:
        """`local@domain`, as it stands between the angle brackets of MAIL and RCPT and in a header."""
        return f"{self.local}@{self.domain}"

    def tagged(self, tag: str) -> Mailbox:
        """The same mailbox with a tag after the recipient delimiter `+` (VERP)."""
        return Mailbox(f"{self.local}+{tag}", self.domain)


def mailbox_of(text: str) -> Mailbox | None:
    """The mailbox; None for what cannot be written without quoting or whose domain has no certain ASCII form.

    Quoted local parts are valid but no mailbox provider gives them out. The characters in which IDNA 2003 and 2008
    lead to different domains are refused: a message must not reach somebody else's domain.
    """
    local, at, name = text.rpartition("@")
    if not at or not local or not name or not one_line(text) or _DEVIATIONS & set(name):
        return None
    if len(local.encode()) > _MAX_LOCAL:
        return None
    if local.isascii():
        if _ATOM.fullmatch(local) is None:
            return None
    elif set(local) & set(' "(),:;<>@[\\]') or ".." in f".{local}.":
        return None
    domain: str | None = None
    try:
        domain = name.encode("idna").decode("ascii").lower()
    except UnicodeError:
        domain = None
    if domain is None or _DOMAIN.fullmatch(domain) is None:
        return None
    return Mailbox(local, domain)
