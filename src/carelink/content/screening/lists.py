"""A word list: TOML in, entries with their sources and samples out. What is not understood is an error (as in packs).

Form: `docs/reference/screening.md`.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

import attrs

from carelink.content.screening.codes import Category, PurposeClass
from carelink.content.screening.tables import PINYIN
from carelink.errors import PolicyError
from carelink.vocabulary import Certainty

__all__ = ["Benign", "Entry", "Mark", "Source", "WordList", "parse_list"]

_ID: Final = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}", re.ASCII)
_LIST_ID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOST: Final = 1_000_000
_MOST_WORDS: Final = 100_000


@attrs.frozen
class Source:
    """A place in a rule: instrument, date of its version, article, and how sure we are of it."""

    instrument: str
    version: str
    article: str
    certainty: Certainty


@attrs.frozen(kw_only=True)
class Entry:
    """Words of one meaning.

    Attributes:
        id: unique in all lists that are used together.
        category: what it is about.
        words: each as it is written; `#` stands for a number, `~` for up to eight characters of one sentence.
        variants: misspellings that sound or look like a word.
        pinyin: words that are also looked for in Latin letters.
        domains: host names, in links.
        alike: whether words of three characters and more are also found with one look-alike character.
        sources: of the rule.
        added: date of the entry.
        positive, evasion, benign: a sample that is found, one that is found in spite of a trick, one that is not.
    """

    id: str
    category: Category
    words: tuple[str, ...]
    variants: tuple[str, ...]
    pinyin: tuple[str, ...]
    domains: tuple[str, ...]
    alike: bool
    sources: tuple[Source, ...]
    added: str
    positive: str
    evasion: str
    benign: str


@attrs.frozen(kw_only=True)
class Benign:
    """Phrases that hold a listed word and are harmless, for some classes of purposes."""

    id: str
    words: tuple[str, ...]
    classes: frozenset[PurposeClass]
    why: str


@attrs.frozen(kw_only=True)
class Mark:
    """Something a commercial text must hold: any one of its words."""

    id: str
    words: tuple[str, ...]
    sources: tuple[Source, ...]


@attrs.frozen(kw_only=True)
class WordList:
    """One versioned list."""

    id: str
    version: str
    title_en: str
    title_zh: str
    entries: tuple[Entry, ...]
    benign: tuple[Benign, ...]
    marks: tuple[Mark, ...]
    digest: str


class _Table:
    """A TOML table that is read key by key; what is left at the end is an error."""

    def __init__(self, where: str, data: object) -> None:
        if not isinstance(data, dict):
            raise PolicyError(f"{where} is not a table")
        self.where = where
        self._left: dict[str, Any] = dict(data)

    def text(self, key: str, form: re.Pattern[str] | None = None) -> str:
        value = self._left.pop(key, None)
        if not isinstance(value, str) or not value.strip() or (form is not None and form.fullmatch(value) is None):
            raise PolicyError(f"{self.where}: `{key}` is missing or malformed")
        return value

    def texts(self, key: str, *, needed: bool = True) -> tuple[str, ...]:
        value = self._left.pop(key, [])
        good = isinstance(value, list) and all(isinstance(item, str) and item.strip() for item in value)
        if not good or (needed and not value) or len(set(value)) != len(value):
            raise PolicyError(f"{self.where}: `{key}` is not a list of different texts")
        return tuple(value)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._left.pop(key, default)
        if not isinstance(value, bool):
            raise PolicyError(f"{self.where}: `{key}` is not true or false")
        return value

    def tables(self, key: str) -> list[object]:
        value = self._left.pop(key, [])
        if not isinstance(value, list):
            raise PolicyError(f"{self.where}: `{key}` is not a list of tables")
        return value

    def table(self, key: str, *, needed: bool = True) -> _Table:
        return _Table(f"{self.where}: `{key}`", self._left.pop(key, None if needed else {}))

    def items(self) -> list[tuple[str, object]]:
        found, self._left = list(self._left.items()), {}
        return found

    def done(self) -> None:
        if self._left:
            raise PolicyError(f"{self.where}: `{min(self._left)}` is not a key of it")


def _certainty(table: _Table) -> Certainty:
    text = table.text("certainty")
    for one in Certainty:
        if one.value == text:
            return one
    raise PolicyError(f"{table.where}: `certainty` is none of {', '.join(one.value for one in Certainty)}")


def _source(name: str, data: object) -> Source:
    table = _Table(f"source `{name}`", data)
    source = Source(table.text("instrument"), table.text("version"), table.text("article"), _certainty(table))
    table.done()
    return source


def _sources(table: _Table, known: Mapping[str, Source]) -> tuple[Source, ...]:
    names = table.texts("sources")
    for name in names:
        if name not in known:
            raise PolicyError(f"{table.where}: no source is called `{name}`")
    return tuple(known[name] for name in names)


def _entry(data: object, known: Mapping[str, Source]) -> Entry:
    table = _Table("an entry", data)
    name = table.text("id", _ID)
    table.where = f"entry `{name}`"
    category = table.text("category")
    if category not in set(Category):
        raise PolicyError(f"{table.where}: `{category[:40]}` is not a category")
    entry = Entry(
        id=name,
        category=Category(category),
        words=table.texts("words", needed=False),
        variants=table.texts("variants", needed=False),
        pinyin=table.texts("pinyin", needed=False),
        domains=table.texts("domains", needed=False),
        alike=table.flag("alike", default=True),
        sources=_sources(table, known),
        added=table.text("added", _DAY),
        positive=table.text("positive"),
        evasion=table.text("evasion"),
        benign=table.text("benign"),
    )
    table.done()
    if not entry.words and not entry.domains:
        raise PolicyError(f"{table.where}: it has neither words nor domains")
    for word in entry.pinyin:
        if word not in entry.words or any(mark not in PINYIN for mark in word):
            raise PolicyError(f"{table.where}: a word of `pinyin` is not in `words`, or a syllable of it is not known")
    return entry


def _benign(data: object) -> Benign:
    table = _Table("a benign phrase", data)
    name = table.text("id", _ID)
    table.where = f"benign `{name}`"
    words, classes, why = table.texts("words"), table.texts("classes"), table.text("why")
    table.done()
    if not set(classes) <= {one.value for one in PurposeClass}:
        raise PolicyError(f"{table.where}: `classes` are of {', '.join(PurposeClass)}")
    return Benign(id=name, words=words, classes=frozenset(map(PurposeClass, classes)), why=why)


def _mark(data: object, known: Mapping[str, Source]) -> Mark:
    table = _Table("a mark", data)
    mark = Mark(id=table.text("id", _ID), words=table.texts("words"), sources=_sources(table, known))
    table.done()
    return mark


def _toml(data: bytes) -> object:
    if len(data) > _MOST:
        raise PolicyError(f"a word list has at most {_MOST} bytes")
    found: object = None
    try:
        found = tomllib.loads(data.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        found = None
    if found is None:
        raise PolicyError("a word list is not TOML in UTF-8")
    return found


def parse_list(data: bytes) -> WordList:
    """A word list from its bytes.

    Raises:
        PolicyError: it is no word list; the message names the entry and the key.
    """
    root = _Table("the word list", _toml(data))
    head = root.table("list")
    title = head.table("title")
    known = {name: _source(name, found) for name, found in root.table("source", needed=False).items()}
    made = WordList(
        id=head.text("id", _LIST_ID),
        version=head.text("version"),
        title_en=title.text("en"),
        title_zh=title.text("zh"),
        entries=tuple(_entry(one, known) for one in root.tables("entry")),
        benign=tuple(_benign(one) for one in root.tables("benign")),
        marks=tuple(_mark(one, known) for one in root.tables("mark")),
        digest=hashlib.sha256(data).hexdigest(),
    )
    for table in (root, head, title):
        table.done()
    ids = [one.id for one in made.entries] + [one.id for one in made.benign]
    for name in ids:
        if ids.count(name) > 1:
            raise PolicyError(f"`{name}` is in the word list twice")
    if sum(len(one.words) + len(one.variants) for one in made.entries) > _MOST_WORDS:
        raise PolicyError(f"a word list has at most {_MOST_WORDS} words")
    return made
