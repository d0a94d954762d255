"""From a reply as the far end delivers it to words and marks: named steps, each of which can be left out in a test.

Latin words and numbers are one token each; of Chinese, every character is one. Marks between sentences stay as tokens.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from enum import StrEnum, unique
from typing import Final

from carelink.content.screening.tables import CONFUSABLES
from carelink.content.screening.traditional import SIMPLIFIED

__all__ = ["ALL_STEPS", "COMMA", "LINE", "LONGEST", "QUERY", "STOP", "Step", "tokens"]

COMMA: Final = ","
STOP: Final = "."
QUERY: Final = "?"
LINE: Final = "\n"
LONGEST: Final = 1_000
"""Characters of a reply that are read. What follows is a quotation or a letter, which a person must read."""


@unique
class Step(StrEnum):
    """Steps of the normaliser, in their order."""

    QUOTED = "quoted"
    SIGN_OFF = "sign_off"
    COMPATIBILITY = "compatibility"
    CASE = "case"
    INVISIBLE = "invisible"
    ACCENTS = "accents"
    CONFUSABLES = "confusables"
    TRADITIONAL = "traditional"
    SIGNED = "signed"
    APOSTROPHES = "apostrophes"
    DOTTED = "dotted"
    MARKS = "marks"
    STRETCHED = "stretched"
    REPEATED = "repeated"
    SPELLED = "spelled"


ALL_STEPS: Final = frozenset(Step)
_QUOTED: Final = re.compile(r"(?m)^[ \t]*>.*$|^-{2,}.*(?:\n.*)*\Z")
"""Lines that quote, and all behind a line that announces the message answered."""

_SURNAMES: Final = (
    "王李张刘陈杨黄赵周吴徐孙朱胡郭林罗郑梁宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈姚卢傅钟姜崔谭廖范汪陆"
)
"""Surnames that most people in mainland China bear, but for those that begin another word of a reply."""

_SIGN_OFF: Final = re.compile(
    r"\n[ \t]*(?:[-–—~]{1,3} ?\S.{0,30}|(?:sent from|get outlook for|sent via)\b.{0,40}|(?:发自|發自|来自|來自).{0,20}"
    r"|(?:(?:best|kind|warm) )?(?:regards|wishes|rgds|yours)\b.{0,12}(?:\n.{0,40})?|(?:mr|mrs|ms|miss|dr)\.? \w{1,20}"
    rf"|[{_SURNAMES}][\u4e00-\u9fff]{{1,2}})[ \t]*\Z",
    re.IGNORECASE,
)
"""A last line that says who or what sent it."""

_SIGNED: Final = re.compile(r"\A\s*(?:【[^】\n]{0,40}】|\[[^\]\n]{0,40}\])(?=\s*\S)")
_HAN: Final = "\u4e00-\u9fff"
_DOTTED: Final = re.compile(rf"(?<![{_HAN}])(?:[{_HAN}][.·\-_*/|,、])+[{_HAN}](?![{_HAN}])")
_APOSTROPHES: Final = re.compile("(?<=[a-z])['‘’`´ʼ](?=[a-z])")
_STRETCHED: Final = re.compile(r"([a-z])\1{2,}")
_REPEATED: Final = re.compile(r"\b([a-z]{2,12}?)\1+\b")
_MOST: Final = 4
"""Times that a word counts which is said over and over."""

_HYPHEN: Final = re.compile(r"(?<=[a-z])-(?=[a-z])")
_SENTENCE: Final = frozenset(".!。！…;；｡")
_PIECE: Final = re.compile(r"[a-z]+|[0-9]+|[,.?\n]|[^\x00-\x7f]")


def _invisible(text: str) -> str:
    return "".join(mark for mark in text if unicodedata.category(mark) != "Cf")


def _accents(text: str) -> str:
    """Latin letters lose their accents; kana and Han have none to lose."""
    bare = (mark for mark in unicodedata.normalize("NFD", text) if unicodedata.category(mark) != "Mn")
    return unicodedata.normalize("NFC", "".join(bare))


def _mapped(table: dict[str, str]) -> Callable[[str], str]:
    wanted = str.maketrans(table)
    return lambda text: text.translate(wanted)


def _marks(text: str) -> str:
    """Signs become spaces, and those that part clauses one of four."""
    found = []
    for mark in _HYPHEN.sub(" ", text):
        kind = unicodedata.category(mark)[0]
        if mark in "?？":
            found.append(QUERY)
        elif mark in _SENTENCE:
            found.append(STOP)
        elif mark in ",，、:：~～—":
            found.append(COMMA)
        elif mark == LINE or kind in "LN":
            found.append(mark)
        else:
            found.append(" ")
    return "".join(found)


_TEXT: Final[tuple[tuple[Step, Callable[[str], str]], ...]] = (
    (Step.QUOTED, lambda text: _QUOTED.sub("", text)),
    (Step.SIGN_OFF, lambda text: _SIGN_OFF.sub("", text.strip())),
    (Step.COMPATIBILITY, lambda text: unicodedata.normalize("NFKC", text)),
    (Step.CASE, str.casefold),
    (Step.INVISIBLE, _invisible),
    (Step.ACCENTS, _accents),
    (Step.CONFUSABLES, _mapped({one: other for one, other in CONFUSABLES.items() if len(one) == 1})),
    (Step.TRADITIONAL, _mapped({one: other for one, other in SIMPLIFIED.items() if len(one) == 1})),
    (Step.SIGNED, lambda text: _SIGNED.sub(" ", text)),
    (Step.APOSTROPHES, lambda text: _APOSTROPHES.sub("", text)),
    (Step.DOTTED, lambda text: _DOTTED.sub(lambda found: re.sub(rf"[^{_HAN}]", "", found[0]), text)),
    (Step.MARKS, _marks),
    (Step.STRETCHED, lambda text: _STRETCHED.sub(r"\1", text)),
    (Step.REPEATED, lambda text: _REPEATED.sub(r"\1", text)),
)


def _spelled(found: list[str]) -> list[str]:
    """`s t o p` and `s.t.o.p` are one word: three single letters or more in a row, or a
    carrier's word of two.
    """
    joined: list[str] = []
    at = 0
    while at < len(found):
        run: list[str] = []
        end = at
        while end < len(found) and (_is_letter(found[end]) or (found[end] in ".," and run and _follows(found, end))):
            run += [found[end]] if _is_letter(found[end]) else []
            end += 1
        if len(run) >= 3 or "".join(run) in ("td", "tt", "rr", "nn"):  # noqa: PLR2004  two letters may be words
            joined.append("".join(run))
            at = end
        else:
            joined.append(found[at])
            at += 1
    return joined


def _is_letter(token: str) -> bool:
    return len(token) == 1 and "a" <= token <= "z"


def _follows(found: list[str], at: int) -> bool:
    return at + 1 < len(found) and _is_letter(found[at + 1])


def tokens(text: str, steps: frozenset[Step] = ALL_STEPS) -> tuple[str, ...]:
    """Words and marks of a reply. Only its first `LONGEST` characters are read."""
    text = text[:LONGEST].replace("\r\n", "\n").replace("\r", "\n")
    for step, change in _TEXT:
        if step in steps:
            text = change(text)
    found = [piece for piece in _PIECE.findall(text) if piece.isalnum() or piece in ",.?\n"]
    if Step.REPEATED in steps:
        found = [piece for at, piece in enumerate(found) if found[max(0, at - _MOST) : at] != [piece] * _MOST]
    return tuple(_spelled(found) if Step.SPELLED in steps else found)
