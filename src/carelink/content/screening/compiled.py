"""Word lists made ready: one automaton for banned and benign forms alike, one for pinyin, and patterns with gaps."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import attrs

from carelink.content.screening.automaton import Automaton
from carelink.content.screening.codes import PurposeClass, View
from carelink.content.screening.findings import ListVersion
from carelink.content.screening.lists import Benign, Entry, WordList
from carelink.content.screening.normalise import ALL_STEPS, Folder, Step, is_cjk
from carelink.content.screening.tables import ALIKE, PINYIN
from carelink.errors import PolicyError

__all__ = ["GAP", "Pattern", "Word", "WordLists"]

GAP: Final = 8
"""Characters that `~` may stand for."""

_NUMBER: Final = "[零一二三四五六七八九十百千万两半几]{1,12}"
_SHORTEST: Final = 3
"""Shorter words, with a character replaced, would be ordinary words."""


@attrs.frozen
class Word:
    """What a form stands for: words of entries, and a benign phrase of some lists for some classes."""

    entries: tuple[tuple[Entry, View], ...]
    benign: tuple[tuple[str, frozenset[PurposeClass]], ...] = ()


@attrs.frozen
class Pattern:
    """A word with a number or a gap in it. `guard` is a part of it that a text must hold, which is quick to see."""

    entry: Entry
    form: re.Pattern[str]
    guard: str


def _is_pattern(word: str) -> bool:
    return "#" in word or "~" in word


class WordLists:
    """One or more lists, ready for use; nothing changes it once it is made.

    Args:
        lists: each id once. A benign phrase speaks for its own list only: adding a list can only narrow (P10).
        names: of the institution as licensed, of drugs as registered; harmless in every list and class.
        steps: of the normaliser; all of them, but for tests.

    Raises:
        PolicyError: an id stands in two lists, or a word is nothing once its separators are gone.
    """

    def __init__(
        self, lists: Iterable[WordList], steps: frozenset[Step] = ALL_STEPS, *, names: Iterable[str] = ()
    ) -> None:
        found = sorted(lists, key=lambda one: one.id)
        self.folder: Final = Folder(steps)
        self.lists: Final = tuple(found)
        self.versions: Final = tuple(ListVersion(one.id, one.version, one.digest) for one in found)
        ids = [one.id for one in found]
        ids += [entry.id for one in found for entry in one.entries]
        ids += [phrase.id for one in found for phrase in one.benign]
        if len(set(ids)) != len(ids):
            raise PolicyError("two word lists, or two entries of them, have one id")
        entries = [entry for one in found for entry in one.entries]
        self.entries: Final = {entry.id: entry for entry in entries}
        self.owner: Final = {entry.id: one.id for one in found for entry in one.entries}
        self.written: Final = {entry.id: self._written(entry) for entry in entries}
        self.domains: Final = {domain: entry for entry in entries for domain in entry.domains}
        benign = [(one.id, phrase) for one in found for phrase in one.benign]
        own = Benign(id="NAMES", words=tuple(names), classes=frozenset(PurposeClass), why="names as licensed")
        forms = self._forms(entries, [*benign, *((one.id, own) for one in found)])
        self.words: Final = tuple(forms.values())
        self.automaton: Final = Automaton(forms)
        spelled = self._spelled(entries)
        self.spelled: Final = tuple(spelled.values())
        self.pinyin: Final = Automaton(spelled)
        self.patterns: Final = tuple(
            self._pattern(entry, word) for entry in entries for word in entry.words if _is_pattern(word)
        )
        self.mark_sources: Final = {mark.id: mark.sources for one in found for mark in one.marks}
        marks: dict[str, list[str]] = {}
        for one in found:
            for mark in one.marks:
                marks.setdefault(mark.id, []).extend(mark.words)
        self.marks: Final = {name: tuple(self._regex(word) for word in words) for name, words in sorted(marks.items())}

    def _written(self, entry: Entry) -> tuple[frozenset[str], frozenset[str]]:
        """Words of an entry in the plain reading, and the same without separators: they tell which view a hit needs."""
        plain = [self.folder.plain(word).text for word in entry.words]
        bare = ["".join(mark for mark in word if mark.isalnum() or mark == "%") for word in plain]
        return frozenset(plain), frozenset(bare)

    def folded(self, word: str) -> str:
        """The deepest usual reading of a word, as texts are read.

        Raises:
            PolicyError: nothing is left of it.
        """
        form = self.folder.joined(self.folder.plain(word)).text
        if not form:
            raise PolicyError(f"the word `{word}` has neither letters nor numbers")
        return form

    def _forms(self, entries: list[Entry], benign: list[tuple[str, Benign]]) -> dict[str, Word]:
        listed: dict[str, dict[str, tuple[Entry, View]]] = {}
        for entry in entries:
            for word in entry.words:
                if not _is_pattern(word):
                    listed.setdefault(self.folded(word), {})[entry.id] = (entry, View.PLAIN)
        harmless: dict[str, dict[str, frozenset[PurposeClass]]] = {}
        for owner, phrase in benign:
            for word in phrase.words:
                known = harmless.setdefault(self.folded(word), {})
                known[owner] = known.get(owner, frozenset()) | phrase.classes
        if Step.HOMOPHONES in self.folder.steps:
            written = set(listed) | set(harmless)
            for entry in entries:
                for form in self._variants(entry):
                    if form not in written:
                        listed.setdefault(form, {}).setdefault(entry.id, (entry, View.HOMOPHONE))
        return {
            form: Word(tuple(listed.get(form, {}).values()), tuple(harmless.get(form, {}).items()))
            for form in sorted({*listed, *harmless})
        }

    def _variants(self, entry: Entry) -> Iterable[str]:
        """Listed misspellings, and those made by replacing one character."""
        for word in entry.variants:
            yield self.folded(word)
        for word in entry.words if entry.alike else ():
            if len(word) < _SHORTEST or not all(map(is_cjk, word)):
                continue
            for place, mark in enumerate(word):
                for other in ALIKE.get(mark, ""):
                    yield self.folded(word[:place] + other + word[place + 1 :])

    @staticmethod
    def _spelled(entries: list[Entry]) -> dict[str, Word]:
        listed: dict[str, list[tuple[Entry, View]]] = {}
        for entry in entries:
            for word in entry.pinyin:
                listed.setdefault("".join(PINYIN[mark] for mark in word), []).append((entry, View.PINYIN))
        return {form: Word(tuple(found)) for form, found in sorted(listed.items())}

    def _regex(self, word: str) -> re.Pattern[str]:
        parts = re.split("([#~])", word)
        joker = {"#": _NUMBER, "~": f".{{0,{GAP}}}?"}
        return re.compile("".join(joker[part] if part in joker else re.escape(self._part(part)) for part in parts))

    def _part(self, text: str) -> str:
        return self.folder.joined(self.folder.plain(text)).text

    def _pattern(self, entry: Entry, word: str) -> Pattern:
        guard = max((self._part(part) for part in re.split("[#~]", word)), key=len)
        if not guard:
            raise PolicyError(f"entry `{entry.id}`: a word has nothing but numbers and gaps")
        return Pattern(entry, self._regex(word), guard)
