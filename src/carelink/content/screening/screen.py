"""Screening a rendered message. Pass means: no listed pattern. The list never claims completeness."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from carelink.content.screening.codes import Action, Category, PurposeClass, View, action_of, class_of
from carelink.content.screening.compiled import WordLists
from carelink.content.screening.disguise import controls, disguises, links
from carelink.content.screening.findings import Finding, Screening
from carelink.content.screening.lists import Entry
from carelink.content.screening.normalise import Reading, is_latin
from carelink.vocabulary import ChannelKind, Purpose

__all__ = ["screen_rendered"]

_Read = tuple[Reading, Reading]
"""The plain and the joined reading of a part."""

_BREAKS: Final = frozenset("。!?！？;；\n")
_LINK_PARTS: Final = "link"


@attrs.frozen
class _Hit:
    """A place in a reading and the entry that stands there."""

    first: int
    last: int
    entry: Entry
    view: View


@attrs.frozen
class _Setting:
    """What the action of a finding depends on besides its category."""

    purpose: Purpose
    channel_kind: ChannelKind
    detailed: bool
    evidence: bool
    clinician: bool

    def action(self, category: Category) -> Action | None:
        action, kind = action_of(category, self.purpose, self.channel_kind), class_of(self.purpose)
        if category is Category.SENSITIVE and self.detailed and kind is PurposeClass.SERVICE and action is not None:
            return Action.ANNOTATE
        if category is Category.ABSOLUTE and self.evidence and kind is PurposeClass.COMMERCIAL:
            return Action.HOLD
        if category is Category.CLINICAL_ADVICE and self.clinician and kind is PurposeClass.SERVICE:
            return Action.ANNOTATE
        return action


def _whole(plain: str, reading: Reading, first: int, last: int, *, loose: bool) -> bool:
    """Whether a hit in Latin letters begins and ends at the edge of a word; in links, words run together."""
    if loose:
        return True
    return _whole_letters(plain, reading.plain[first], reading.plain[last - 1])


def _consumed(spans: list[tuple[int, int, bool]]) -> list[tuple[int, int]]:
    """Benign spans that stand: leftmost first, of one beginning the longest; a banned span before it wins."""
    taken: list[tuple[int, int]] = []
    edge = 0
    for first, last, harmless in sorted(spans, key=lambda span: (span[0], -span[1], not span[2])):
        if first < edge:
            continue
        edge = last
        if harmless:
            taken.append((first, last))
    return taken


def _word_hits(lists: WordLists, reading: Reading, plain: str, kind: PurposeClass, *, loose: bool) -> list[_Hit]:
    hits: list[_Hit] = []
    spans: dict[str, list[tuple[int, int, bool]]] = {one.id: [] for one in lists.lists}
    for first, last, number in lists.automaton.find(reading.text):
        word = lists.words[number]
        if not _whole(plain, reading, first, last, loose=loose):
            continue
        free = {owner for owner, classes in word.benign if kind in classes}
        for owner in free:
            spans[owner].append((first, last, True))
        for entry, view in word.entries:
            if lists.owner[entry.id] not in free:
                spans[lists.owner[entry.id]].append((first, last, False))
                hits.append(_Hit(first, last, entry, view))
    for pattern in lists.patterns:
        if pattern.guard not in reading.text:
            continue
        for found in pattern.form.finditer(reading.text):
            first, last = found.span()
            inside = plain[reading.plain[first] : reading.plain[last - 1] + 1]
            if _BREAKS.isdisjoint(inside) and _whole(plain, reading, first, last, loose=loose):
                spans[lists.owner[pattern.entry.id]].append((first, last, False))
                hits.append(_Hit(first, last, pattern.entry, View.PLAIN))
    taken = {owner: _consumed(found) for owner, found in spans.items()}
    return [hit for hit in hits if not _inside(hit, taken[lists.owner[hit.entry.id]])]


def _inside(hit: _Hit, taken: list[tuple[int, int]]) -> bool:
    """Whether a hit lies wholly inside one of these spans, which do not overlap."""
    place = bisect_left(taken, (hit.first + 1, 0)) - 1
    return place >= 0 and hit.last <= taken[place][1]


def _spelled_hits(lists: WordLists, plain: Reading, joined: Reading) -> Iterator[tuple[Reading, _Hit]]:
    """Words of which at least one character is written in Latin letters."""
    reading = lists.folder.pinyin(plain, joined)
    if reading is None:
        return
    for first, last, number in lists.pinyin.find(reading.text):
        own = reading.plain
        begins = first == 0 or own[first - 1] != own[first]
        ends = last == len(own) or own[last] != own[last - 1]
        if not begins or not ends or reading.changed.isdisjoint(range(first, last)):
            continue
        if _whole_letters(plain.text, own[first], own[last - 1]):
            for entry, view in lists.spelled[number].entries:
                yield reading, _Hit(first, last, entry, view)


def _whole_letters(plain: str, begin: int, end: int) -> bool:
    if is_latin(plain[begin]) and begin and is_latin(plain[begin - 1]):
        return False
    return not (is_latin(plain[end]) and end + 1 < len(plain) and is_latin(plain[end + 1]))


def _shallowest(lists: WordLists, hit: _Hit, reading: Reading, plain: Reading) -> View:
    """The view that a hit in the deepest usual reading is named by."""
    if hit.view is not View.PLAIN:
        return hit.view
    written = plain.text[reading.plain[hit.first] : reading.plain[hit.last - 1] + 1]
    seen = reading.text[hit.first : hit.last]
    words, bare_words = lists.written[hit.entry.id]
    if written == seen or written in words:
        return View.PLAIN
    bare = "".join(mark for mark in written if mark.isalnum() or mark == "%")
    if bare == seen or bare in bare_words:
        return View.JOINED
    return View.NUMERAL if any(mark.isdigit() for mark in bare) else View.HOMOPHONE


def _screen_part(lists: WordLists, name: str, text: str, read: _Read, setting: _Setting) -> Iterator[Finding]:
    recall = setting.purpose is Purpose.CARE_RECALL_SAFETY
    for first, last in controls(text):
        yield Finding(
            category=Category.OBFUSCATION, entry="CONTROL", action=Action.REFUSE, part=name, start=first, end=last
        )
    for first, last in disguises(text):
        action = Action.ANNOTATE if recall else Action.HOLD
        yield Finding(category=Category.OBFUSCATION, entry="DISGUISE", action=action, part=name, start=first, end=last)
    plain, joined = read
    loose = name.startswith(_LINK_PARTS)
    kind = class_of(setting.purpose)
    seen: list[tuple[Reading, _Hit]] = [
        (joined, hit) for hit in _word_hits(lists, joined, plain.text, kind, loose=loose)
    ]
    seen += _spelled_hits(lists, plain, joined)
    whole = lists.folder.unsplit(joined)
    if whole is not None:
        for hit in _word_hits(lists, whole, plain.text, kind, loose=loose):
            if not whole.changed.isdisjoint(range(hit.first, hit.last)):
                seen.append((whole, attrs.evolve(hit, view=View.SPLIT)))
    for reading, hit in seen:
        chosen = setting.action(hit.entry.category)
        if chosen is not None:
            start, end = reading.span(hit.first, hit.last)
            view = _shallowest(lists, hit, reading, plain)
            yield Finding(
                category=hit.entry.category,
                entry=hit.entry.id,
                action=chosen,
                part=name,
                start=start,
                end=end,
                view=view,
            )
    yield from _links(lists, name, plain, setting)


def _links(lists: WordLists, name: str, plain: Reading, setting: _Setting) -> Iterator[Finding]:
    """A listed host is a finding of its entry. Any other link is held in commercial texts, and noted in others."""
    for first, last, host in links(plain.text):
        start, end = plain.span(first, last)
        entry = next(
            (found for domain, found in lists.domains.items() if host == domain or host.endswith(f".{domain}")), None
        )
        if entry is not None:
            action = setting.action(entry.category)
        else:
            commercial = class_of(setting.purpose) is PurposeClass.COMMERCIAL
            action = Action.HOLD if commercial else Action.ANNOTATE
        if action is not None:
            category = Category.LINK if entry is None else entry.category
            label = "URL" if entry is None else entry.id
            yield Finding(category=category, entry=label, action=action, part=name, start=start, end=end)


def _missing(lists: WordLists, texts: list[str], institution: str, setting: _Setting) -> Iterator[Finding]:
    """Marks that a commercial message must hold anywhere in it."""
    action = setting.action(Category.STRUCTURE)
    if action is None:
        return
    for name, forms in lists.marks.items():
        if not any(form.search(text) for form in forms for text in texts):
            yield Finding(category=Category.STRUCTURE, entry=name, action=action, part="")
    if institution and not any(lists.folded(institution) in text for text in texts):
        yield Finding(category=Category.STRUCTURE, entry="INSTITUTION", action=action, part="")


def _distinct(findings: Iterator[Finding]) -> Iterator[Finding]:
    """Of one entry in one part, without what lies inside a longer finding or is found there already."""
    grouped: dict[tuple[str, str], list[Finding]] = {}
    for finding in findings:
        grouped.setdefault((finding.part, finding.entry), []).append(finding)
    for found in grouped.values():
        edge = -1
        for finding in sorted(found, key=lambda one: (one.start, -one.end)):
            if finding.end > edge:
                edge = finding.end
                yield finding


def screen_rendered(
    parts: Mapping[str, str],
    *,
    purpose: Purpose,
    channel_kind: ChannelKind,
    lists: WordLists,
    detailed: bool = False,
    evidence: bool = False,
    clinician: bool = False,
    institution: str = "",
) -> Screening:
    """Screen what a patient would read, after the variables are filled in: a variable cannot bring in a claim.

    Args:
        parts: name -> text: `body`, and where there are any `subject`, `sender`, `signature`; names that begin with
            `link` hold a link each, in which words run together.
        purpose: of the message; it decides the action of each category.
        channel_kind: on open channels (SMS, email) others may read along: SENSITIVE is about them.
        lists: the word lists in force.
        detailed: the patient agreed to detailed content on this channel.
        evidence: the sender named evidence for an absolute; it is then held, not refused (ADR 0040).
        clinician: a clinician with checked credentials answers for the text.
        institution: first name of the institution as licensed, which a commercial message must hold; empty: not asked.

    Returns:
        All findings with their places in the original parts. None found means: no listed pattern.
    """
    setting = _Setting(purpose, channel_kind, detailed, evidence, clinician)

    plain = {name: lists.folder.plain(text) for name, text in parts.items()}
    read = {name: (one, lists.folder.joined(one)) for name, one in plain.items()}

    def found() -> Iterator[Finding]:
        for name, text in parts.items():
            yield from _screen_part(lists, name, text, read[name], setting)
        yield from _missing(lists, [joined.text for _, joined in read.values()], institution, setting)

    places = {name: place for place, name in enumerate(parts)}
    findings = sorted(
        _distinct(found()), key=lambda one: (places.get(one.part, len(places)), one.start, one.end, one.entry)
    )
    return Screening(tuple(findings), lists.versions)
