"""What in a text only serves to hide: invisible characters, controls, mixed scripts. And links, which are no words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from carelink.content.screening.normalise import is_cjk, is_ignorable
from carelink.content.screening.tables import CONFUSABLES, VISIBLE_GREEK

__all__ = ["controls", "disguises", "links"]

_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+"
)
"""Controls other than tab and line break, marks that turn the direction of writing, half surrogate pairs."""

_HIDING: Final = re.compile(
    "[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u206a-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_FORMS: Final = re.compile(
    "[\ue000-\uf8ff\U0001d400-\U0001d7ff\U0001f130-\U0001f189\U0001f200-\U0001f265\U000f0000-\U0010ffff]+"
)
"""Letters of mathematics, squared letters, private use: drawn like text, read by no filter."""

_OVERLAYS: Final = re.compile("[\u0332-\u0338\u20d2-\u20dc\u20e5-\u20eb]+")
_MARKS: Final = re.compile("[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_TWINS: Final = re.compile(
    "[" + "".join(mark for mark in CONFUSABLES if mark not in VISIBLE_GREEK and mark != "ǃ") + "]"
)
_ENTITY: Final = re.compile(r"&(?:amp;)*#(?:[0-9]{1,7}|[xX][0-9a-fA-F]{1,6});", re.ASCII)
_WORD: Final = 32
"""How far a word is looked along; a longer one made of look-alikes alone is a word of its own script."""

_EMOJI: Final = frozenset({"So", "Sk", "Sm"})

_LINK: Final = re.compile(
    r"(?:https?://|www\.)[^\s\u3000-\u9fff\uff00-\uffef]+"
    r"|(?<![a-z0-9@.-])(?:[a-z0-9-]{1,63}\.)+(?:com|cn|net|org|cc|co|io|ly|me|vip|top|xyz|shop|link|ltd|info|im|gl|so|be)"
    r"(?![a-z0-9-])(?:/[^\s\u3000-\u9fff\uff00-\uffef]*)?",
    re.ASCII | re.IGNORECASE,
)


def controls(text: str) -> Iterator[tuple[int, int]]:
    """Characters that have no use in a message and can turn it around: refused whatever else is in it."""
    for found in _CONTROL.finditer(text):
        yield found.span()


def _between_emoji(text: str, first: int, last: int) -> bool:
    """Whether these invisible characters belong to an emoji or a keycap."""
    before = text[first - 1] if first else " "
    after = text[last] if last < len(text) else " "
    held = text[first:last]
    if held == "\ufe0f":
        return unicodedata.category(before) in _EMOJI or (after == "\u20e3" and before in "0123456789#*")
    return held in {"\u200d", "\ufe0f\u200d"} and unicodedata.category(before) in _EMOJI | {"Mn"}


def _mixed(text: str, place: int) -> bool:
    """Whether a letter that looks Latin stands in a word of Latin letters, digits or Chinese characters."""
    for step in (-1, 1):
        at = place + step
        far = place + step * _WORD
        while at != far and 0 <= at < len(text) and (text[at] in CONFUSABLES or is_ignorable(text[at])):
            at += step
        if 0 <= at < len(text) and ((text[at].isascii() and text[at].isalnum()) or is_cjk(text[at])):
            return True
    return False


def disguises(text: str) -> Iterator[tuple[int, int]]:
    """Places where the text hides what it says; held for review even if nothing else is found."""
    for found in _HIDING.finditer(text):
        if not _between_emoji(text, *found.span()):
            yield found.span()
    for pattern in (_FORMS, _OVERLAYS, _ENTITY):
        for found in pattern.finditer(text):
            yield found.span()
    for found in _MARKS.finditer(text):
        base = text[found.start() - 1] if found.start() else " "
        if is_cjk(base) and _OVERLAYS.match(found.group()) is None:
            yield found.span()
    for found in _TWINS.finditer(text):
        if _mixed(text, found.start()):
            yield found.span()


def links(plain: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, host) of each link in a plain reading."""
    for found in _LINK.finditer(plain):
        host = re.sub(r"^(?:https?://)?(?:[^/@]*@)?", "", found.group()).partition("/")[0].partition(":")[0]
        yield found.start(), found.end(), host.removeprefix("www.")
