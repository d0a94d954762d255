"""Readings of a text in which disguised words show, each with a map back to the original.

A text is folded character by character, so that every folded character knows where it came from. Compatibility forms
are taken apart (NFKD), not put together: of an accented letter the mark falls away with all other marks (ADR 0039).
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from enum import StrEnum, unique
from typing import Final

import attrs

from carelink.content.screening.tables import CONFUSABLES, NUMERALS, PINYIN, RADICALS, RARE, SPLIT
from carelink.content.screening.traditional import SIMPLIFIED

__all__ = ["ALL_STEPS", "Folder", "Reading", "Step", "is_cjk", "is_ignorable", "is_latin"]


@unique
class Step(StrEnum):
    """Steps of the normaliser, in their order."""

    ENTITIES = "entities"
    COMPATIBILITY = "compatibility"
    INVISIBLE = "invisible"
    MARKS = "marks"
    KEYCAPS = "keycaps"
    CONFUSABLES = "confusables"
    RADICALS = "radicals"
    TRADITIONAL = "traditional"
    CASE = "case"
    SEPARATORS = "separators"
    HOMOPHONES = "homophones"
    NUMERALS = "numerals"
    PINYIN = "pinyin"
    SPLIT = "split"


ALL_STEPS: Final = frozenset(Step)
_ENTITY: Final = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});?", re.ASCII)
_IGNORABLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of Unicode (DerivedCoreProperties.txt): drawn as nothing."""

_SPLIT: Final = re.compile("|".join(map(re.escape, SPLIT)))
_SYLLABLES: Final = frozenset(PINYIN.values())
_LONGEST_SYLLABLE: Final = max(map(len, _SYLLABLES))
_LONGEST_RUN: Final = 60
_LETTERS: Final = re.compile("[a-z]+")
_LONG_WORD: Final = re.compile("[a-z]{5,}")
_KEPT: Final = frozenset("%‰")
"""Signs that carry meaning; all other punctuation and symbols are separators."""


def is_ignorable(mark: str) -> bool:
    """Whether a character is drawn as nothing (Default_Ignorable, or of category Cf)."""
    return _IGNORABLE.match(mark) is not None or unicodedata.category(mark) == "Cf"


def is_latin(mark: str) -> bool:
    """Whether a folded character is one of a to z."""
    return "a" <= mark <= "z"


def is_cjk(mark: str) -> bool:
    """Whether a character is a Chinese one (unified, extension A, compatibility or supplementary planes)."""
    return "\u3400" <= mark <= "\u9fff" or "\uf900" <= mark <= "\ufaff" or "\U00020000" <= mark <= "\U0003ffff"


@attrs.frozen(slots=True)
class Reading:
    """A folded text.

    Attributes:
        text: the folded characters.
        start, end: where each came from in the original: `original[start[i]:end[i]]`.
        plain: place of each in the plain reading; of the plain reading itself, its own place.
        changed: places that the step which made this reading changed; empty for the first readings.
    """

    text: str
    start: Sequence[int]
    end: Sequence[int]
    plain: Sequence[int]
    changed: frozenset[int] = frozenset()

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Place in the original of the folded characters from `first` up to, not including, `last`."""
        return self.start[first], self.end[last - 1]


class Folder:
    """The normaliser with a set of steps. Leaving one out is for tests: they show what each is for."""

    def __init__(self, steps: frozenset[Step] = ALL_STEPS) -> None:
        self.steps: Final = steps
        self._plain: dict[str, str] = {}
        self._deep: dict[str, str] = {}

    def _folded(self, mark: str) -> str:
        steps = self.steps
        if Step.INVISIBLE in steps and is_ignorable(mark):
            return ""
        text = unicodedata.normalize("NFKD", mark) if Step.COMPATIBILITY in steps else mark
        out = []
        for part in text:
            kind = unicodedata.category(part)
            if Step.MARKS in steps and kind in {"Mn", "Mc"} and _IGNORABLE.match(part) is None:
                continue
            if Step.KEYCAPS in steps and kind == "Me":
                continue
            one = CONFUSABLES.get(part, part) if Step.CONFUSABLES in steps else part
            one = RADICALS.get(one, one) if Step.RADICALS in steps else one
            one = SIMPLIFIED.get(one, one) if Step.TRADITIONAL in steps else one
            out.append(one.casefold() if Step.CASE in steps else one)
        return "".join(out)

    def _joined(self, mark: str) -> str:
        """What a plain character is in the deepest usual reading; empty for a separator."""
        steps = self.steps
        if Step.SEPARATORS in steps and mark not in _KEPT and unicodedata.category(mark)[0] in "PSZC":
            return ""
        if Step.HOMOPHONES in steps:
            mark = RARE.get(mark, mark)
        return NUMERALS.get(mark, mark) if Step.NUMERALS in steps else mark

    def _decoded(self, text: str) -> tuple[str, Sequence[int], Sequence[int]]:
        """The text with its HTML entities resolved, twice: `&amp;#26368;` is a disguise as well."""
        start: Sequence[int] = range(len(text))
        end: Sequence[int] = range(1, len(text) + 1)
        for _ in range(2):
            if Step.ENTITIES not in self.steps or "&" not in text:
                break
            marks: list[str] = []
            starts: list[int] = []
            ends: list[int] = []
            place = 0
            for found in _ENTITY.finditer(text):
                meaning = html.unescape(found.group())
                if meaning == found.group():
                    continue
                marks += [*text[place : found.start()], *meaning]
                starts += [*start[place : found.start()], *([start[found.start()]] * len(meaning))]
                ends += [*end[place : found.start()], *([end[found.end() - 1]] * len(meaning))]
                place = found.end()
            marks += text[place:]
            text, start, end = "".join(marks), [*starts, *start[place:]], [*ends, *end[place:]]
        return text, start, end

    def plain(self, text: str) -> Reading:
        """V1: entities, compatibility forms, invisible characters, marks, look-alikes, variants, case folded."""
        text, start, end = self._decoded(text)
        known = self._plain
        for mark in set(text).difference(known):
            known[mark] = self._folded(mark)
        parts = [known[mark] for mark in text]
        folded = "".join(parts)
        if len(folded) == len(parts) and "" not in parts:  # the usual case: one character each
            return Reading(folded, start, end, range(len(folded)))
        places = [place for place, part in enumerate(parts) for _ in part]
        return Reading(folded, [start[p] for p in places], [end[p] for p in places], range(len(folded)))

    def joined(self, plain: Reading) -> Reading:
        """V4: separators out, rare characters and numerals replaced. What V2 and V3 show, shows here as well."""
        known = self._deep
        for mark in set(plain.text).difference(known):
            known[mark] = self._joined(mark)
        parts = [known[mark] for mark in plain.text]
        if "" not in parts:
            return Reading("".join(parts), plain.start, plain.end, plain.plain)
        places = [place for place, part in enumerate(parts) if part]
        start, end = plain.start, plain.end
        return Reading("".join(parts), [start[p] for p in places], [end[p] for p in places], places)

    def pinyin(self, plain: Reading, joined: Reading) -> Reading | None:
        """V5: characters as syllables without tone; None where no letters of the text could be pinyin."""
        if Step.PINYIN not in self.steps or not _may_be_pinyin(plain.text, joined.text):
            return None
        out: list[str] = []
        places: list[int] = []
        written: set[int] = set()
        for place, mark in enumerate(joined.text):
            syllable = PINYIN.get(mark, mark)
            if is_latin(mark):
                written.add(len(out))
            out += syllable
            places += [place] * len(syllable)
        return _through("".join(out), places, joined, written)

    def unsplit(self, joined: Reading) -> Reading | None:
        """V6: characters that were written as their two parts, put together; None where there are none."""
        if Step.SPLIT not in self.steps or _SPLIT.search(joined.text) is None:
            return None
        out: list[str] = []
        firsts: list[int] = []
        lasts: list[int] = []
        made: set[int] = set()
        place = 0
        while place < len(joined.text):
            whole = SPLIT.get(joined.text[place : place + 2])
            width = 1 if whole is None else 2
            if whole is not None:
                made.add(len(out))
            out.append(joined.text[place] if whole is None else whole)
            firsts.append(place)
            lasts.append(place + width - 1)
            place += width
        return Reading(
            "".join(out),
            [joined.start[p] for p in firsts],
            [joined.end[p] for p in lasts],
            [joined.plain[p] for p in firsts],
            frozenset(made),
        )


def _is_pinyin(run: str) -> bool:
    """Whether letters can be cut into syllables of the table, in time proportional to their number."""
    if len(run) > _LONGEST_RUN:
        return False
    reached = {0}
    for place in range(len(run)):
        if place in reached:
            reached.update(
                place + width for width in range(1, _LONGEST_SYLLABLE + 1) if run[place : place + width] in _SYLLABLES
            )
    return len(run) in reached


def _may_be_pinyin(plain: str, joined: str) -> bool:
    """Whether there is a run of syllables: on its own once separators are gone, or as a word of some length."""
    if _LETTERS.search(joined) is None:
        return False
    return any(map(_is_pinyin, _LETTERS.findall(joined))) or any(map(_is_pinyin, _LONG_WORD.findall(plain)))


def _through(text: str, places: list[int], base: Reading, changed: set[int]) -> Reading:
    start, end, plain = base.start, base.end, base.plain
    return Reading(
        text, [start[p] for p in places], [end[p] for p in places], [plain[p] for p in places], frozenset(changed)
    )
