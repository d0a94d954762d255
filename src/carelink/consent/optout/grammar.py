"""Slots, phrases and forms: a grammar in data, and where in a reply each of its forms ends.

A phrase is matched by the set of places it can end at, part after part, and each part is looked for once at each place,
so that no wording makes it slow: the work is bounded by words times parts. Form of the file: docs/reference/opt-out.md.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum, unique
from functools import lru_cache
from typing import Any, Final

import attrs

from carelink.consent.optout.normal import COMMA, LINE, QUERY, STOP, tokens
from carelink.errors import PolicyError
from carelink.vocabulary import ChannelKind

__all__ = ["MARKS", "Form", "Grammar", "Means", "ReplyScope", "Tile", "parse_grammar"]

MARKS: Final = frozenset({COMMA, STOP, QUERY, LINE})
_PART: Final = re.compile(r"(_|[a-z][a-z0-9-]*(?:\|[a-z][a-z0-9-]*)*)([?*+]?)", re.ASCII)
_CERTAINTY: Final = frozenset("TSKIU")


@unique
class Means(StrEnum):
    """What a stretch of a reply says; of two that fit, the one that stands first here."""

    NEGATED = "negated"
    QUOTE = "quote"
    STOP = "stop"
    START = "start"
    HELP = "help"
    WRONG = "wrong"
    LETTER = "letter"
    SOFT = "soft"
    OTHERWAY = "otherway"
    AROUND = "around"
    LINK = "link"


@unique
class ReplyScope(StrEnum):
    """How much a stop speaks of: what it answers, one plan, one kind of message, this channel, everything."""

    PLAIN = "plain"
    PLAN = "plan"
    PURPOSE = "purpose"
    CHANNEL = "channel"
    ALL = "all"


class _Text:
    """The words of one reply, and what was found of where parts end: each part is looked for once at each place."""

    __slots__ = ("found", "words")

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.found: dict[tuple[int, int], int] = {}

    def after(self, part: _Slot | _Word | _Phrase, at: int) -> int:
        """Places where the part ends that begins here, as a set of bits."""
        key = (id(part), at)
        mask = self.found.get(key)
        if mask is None:
            mask = self.found[key] = part.ends(self, at)
        return mask

    def step(self, choices: tuple[_Slot | _Word | _Phrase, ...], places: int) -> int:
        """Places where one of the parts ends that begins at one of these."""
        reached = 0
        while places:
            low = places & -places
            places ^= low
            at = low.bit_length() - 1
            for part in choices:
                reached |= self.after(part, at)
        return reached


@attrs.frozen
class _Slot:
    """Wordings, by their first token; all that stand at a place are kept."""

    heads: Mapping[str, tuple[tuple[str, ...], ...]]

    def ends(self, text: _Text, at: int) -> int:
        words, reached = text.words, 0
        if at < len(words):
            for tail in self.heads.get(words[at], ()):
                if tuple(words[at : at + len(tail)]) == tail:
                    reached |= 1 << (at + len(tail))
        return reached

    def firsts(self) -> frozenset[str]:
        return frozenset(self.heads)

    def empty(self) -> bool:
        return False


@attrs.frozen
class _Word:
    """Any one word but those that make a stretch another sentence (the slot `not-in-gap`)."""

    but: frozenset[str]

    def ends(self, text: _Text, at: int) -> int:
        return 1 << (at + 1) if at < len(text.words) and text.words[at] not in self.but else 0

    def firsts(self) -> frozenset[str] | None:
        return None

    def empty(self) -> bool:
        return False


@attrs.frozen
class _Phrase:
    """Parts in a row, each with how often it may occur."""

    parts: tuple[tuple[tuple[_Slot | _Word | _Phrase, ...], str], ...]

    def ends(self, text: _Text, at: int) -> int:
        here = 1 << at
        for choices, often in self.parts:
            edge = text.step(choices, here)
            seen = here | edge if often in ("?", "*") else edge
            while often in ("*", "+") and edge:
                edge = text.step(choices, edge) & ~seen
                seen |= edge
            here = seen
            if not here:
                break
        return here

    def firsts(self) -> frozenset[str] | None:
        """Tokens that it can begin with; None for any."""
        found: set[str] = set()
        for choices, often in self.parts:
            for part in choices:
                firsts = part.firsts()
                if firsts is None:
                    return None
                found |= firsts
            if often not in ("?", "*") and not any(part.empty() for part in choices):
                break
        return frozenset(found)

    def empty(self) -> bool:
        """Whether it matches nothing at all, too."""
        return all(often in ("?", "*") or any(part.empty() for part in choices) for choices, often in self.parts)


@attrs.frozen(kw_only=True)
class Form:
    """What a stretch means that is one of these phrases.

    Attributes:
        strong: it says so beside anything else that is in the reply.
        alone: it says so as a sentence or line of its own, beside anything else.
        closing: it says so at the end, behind a reason that nobody foresaw.
        anywhere: it counts wherever it stands, whatever is around it.
        scope: of a stop, where the words themselves say it.
        channels: channel kinds that it names.
        sources: names of the sources it rests on.
    """

    means: Means
    phrases: tuple[_Phrase, ...] = attrs.field(repr=False)
    strong: bool = False
    alone: bool = False
    closing: bool = False
    anywhere: bool = False
    scope: ReplyScope = ReplyScope.PLAIN
    channels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@attrs.frozen
class Tile:
    """A stretch of a reply, from its first word to behind its last, and the form it is of."""

    start: int
    end: int
    form: Form


@attrs.frozen(kw_only=True)
class Grammar:
    """The grammar, ready for use.

    Attributes:
        version: of its words; it stands in the log with what came of a reply.
    """

    version: str
    forms: tuple[Form, ...] = attrs.field(repr=False)
    slots: Mapping[str, _Slot] = attrs.field(repr=False)
    sources: Mapping[str, Mapping[str, str]] = attrs.field(repr=False)
    _heads: Mapping[str, tuple[tuple[Form, _Phrase], ...]] = attrs.field(repr=False, init=False)
    _any: tuple[tuple[Form, _Phrase], ...] = attrs.field(repr=False, init=False)

    def __attrs_post_init__(self) -> None:
        heads: dict[str, list[tuple[Form, _Phrase]]] = {}
        anywhere = []
        for form in self.forms:
            if form.anywhere:
                continue
            for phrase in form.phrases:
                firsts = phrase.firsts()
                if firsts is None:
                    anywhere.append((form, phrase))
                for first in firsts or ():
                    heads.setdefault(first, []).append((form, phrase))
        object.__setattr__(self, "_heads", {first: tuple(found) for first, found in heads.items()})
        object.__setattr__(self, "_any", tuple(anywhere))

    def tiles(self, words: Sequence[str]) -> list[list[Tile]]:
        """For each place, all stretches from there that are one of the forms, each once for its end and form."""
        text = _Text(words)
        return [self._from(text, at) for at in range(len(words))]

    def _from(self, text: _Text, at: int) -> list[Tile]:
        if text.words[at] in MARKS:
            return []
        found: dict[tuple[int, int], Tile] = {}
        for form, phrase in (*self._heads.get(text.words[at], ()), *self._any):
            for end in _places(text.after(phrase, at)):
                if end > at:
                    found[end, id(form)] = Tile(at, end, form)
        return list(found.values())

    def anywhere(self, words: Sequence[str]) -> frozenset[Means]:
        """What forms that count anywhere say somewhere in the words."""
        text = _Text(words)
        return frozenset(
            form.means
            for form in self.forms
            if form.anywhere and any(text.after(phrase, at) for phrase in form.phrases for at in range(len(words)))
        )

    def longest(self, slot: str, words: Sequence[str], at: int) -> int:
        """Where the longest of the slot's wordings ends that stands here; the place itself if none does."""
        return max(_places(self.slots[slot].ends(_Text(words), at)), default=at)

    def says(self, slot: str, words: Sequence[str]) -> bool:
        """Whether one of the slot's wordings stands somewhere in the words."""
        text, known = _Text(words), self.slots[slot]
        return any(known.ends(text, at) for at in range(len(words)))


def _places(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        mask ^= low
        yield low.bit_length() - 1


@lru_cache(maxsize=8)
def parse_grammar(data: bytes) -> Grammar:
    """Read a grammar file.

    Raises:
        PolicyError: it is malformed, names a slot or source that it has not, or has a wording without words.
    """
    try:
        made = _parsed(tomllib.loads(data.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError):
        made = None
    if made is None:
        raise PolicyError("an opt-out grammar is malformed", hint="see docs/reference/opt-out.md")
    return made


def _parsed(table: dict[str, Any]) -> Grammar:
    slots = {name: _slot(name, wordings) for name, wordings in table["slot"].items()}
    known: dict[str, _Slot | _Word | _Phrase] = {**slots, "_": _Word(MARKS | slots["not-in-gap"].firsts())}
    for name, text in table.get("phrase", {}).items():
        known[name] = _phrase(text, known)
    sources = table["source"]
    for name, source in sources.items():
        if (
            not {"instrument", "version", "article", "certainty"} <= source.keys()
            or source["certainty"] not in _CERTAINTY
        ):
            raise PolicyError(f"source `{name}` of an opt-out grammar lacks instrument, version, article or certainty")
    forms = []
    for form in table["form"]:
        unknown = set(form["sources"]) - set(sources)
        if unknown or not form["sources"]:
            raise PolicyError("a form of an opt-out grammar names no source, or one that is not there")
        forms.append(
            Form(
                means=Means(form["means"]),
                phrases=tuple(_phrase(text, known) for text in form["say"]),
                strong=bool(form.get("strong", False)),
                alone=bool(form.get("alone", False)),
                closing=bool(form.get("closing", False)),
                anywhere=bool(form.get("anywhere", False)),
                scope=ReplyScope(form.get("scope", "plain")),
                channels=tuple(ChannelKind(kind).value for kind in form.get("channels", ())),
                sources=tuple(form["sources"]),
            )
        )
    return Grammar(version=table["grammar"]["version"], forms=tuple(forms), slots=slots, sources=sources)


def _slot(name: str, wordings: Sequence[str]) -> _Slot:
    heads: dict[str, dict[tuple[str, ...], None]] = {}
    for wording in wordings:
        words = tokens(wording)
        if not words or MARKS & set(words):
            raise PolicyError(f"slot `{name}` of an opt-out grammar has a wording that is no words")
        heads.setdefault(words[0], {})[words] = None
    return _Slot({head: tuple(found) for head, found in heads.items()})


def _phrase(text: str, known: Mapping[str, _Slot | _Word | _Phrase]) -> _Phrase:
    parts = []
    for word in text.split():
        match = _PART.fullmatch(word)
        names = () if match is None else match[1].split("|")
        if match is None or not all(name in known for name in names):
            raise PolicyError(f"an opt-out grammar names `{word}`, which it has not")
        parts.append((tuple(known[name] for name in names), match[2]))
    return _Phrase(tuple(parts))
