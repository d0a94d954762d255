"""What single values may look like, in whichever format they come. A clear column holds only what passes here (P8)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final
from zoneinfo import available_timezones

from carelink.errors import InvalidInputError
from carelink.model.scope import Scope

__all__ = ["is_evidence", "is_language", "is_notice", "is_scope", "is_zone", "tidy"]

_MAX_NAME: Final = 200
_MAX_EVIDENCE: Final = 500

_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8}){0,4}", re.ASCII)
_NOTICE: Final = re.compile(r"[A-Za-z0-9_.-]{0,64}", re.ASCII)
_ZONES: Final = frozenset(available_timezones())


def is_language(text: str) -> bool:
    """Whether it has the form of a BCP 47 language tag."""
    return _LANGUAGE.fullmatch(text) is not None


def is_notice(text: str) -> bool:
    """Whether it can be a notice's version, or is empty."""
    return _NOTICE.fullmatch(text) is not None


def is_evidence(text: str) -> bool:
    """Whether it can be a reference to evidence."""
    return 0 < len(text) <= _MAX_EVIDENCE


def is_zone(text: str) -> bool:
    """Whether it is an IANA time zone."""
    return text in _ZONES


def is_scope(words: Iterable[str], part: str) -> bool:
    """Whether these are words of a scope's `purposes` or `channels`."""
    try:
        Scope(tuple(words)) if part == "purposes" else Scope((), tuple(words))
    except InvalidInputError:
        return False
    return True


def tidy(name: str) -> str:
    """A name with single blanks; empty if it is too long for one."""
    text = " ".join(name.split())
    return "" if len(text) > _MAX_NAME else text
