"""What a reply means: the reply is laid out with forms of the grammar, and what it comes to follows from what is laid.

Whole-message match: words around a stop must be such as go with one (a greeting, thanks, a reason that is known), or
the stop must be said in so many words ("stop sending me these texts"). When in doubt a person reads it, and until then
nothing promotional is sent (channels.md 8, compliance.md 5.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, unique
from itertools import pairwise
from typing import Final

import attrs

from carelink.consent.optout.grammar import MARKS, Grammar, Means, ReplyScope, Tile
from carelink.consent.optout.normal import ALL_STEPS, LINE, QUERY, STOP, Step, tokens
from carelink.vocabulary import ChannelKind

__all__ = ["NOTHING_ASKED", "UNKNOWN", "Asked", "Reading", "Reply", "read_reply"]


@unique
class Reply(Enum):
    """What a reply means."""

    STOP = "stop"
    STOP_ALL = "stop_all"
    START = "start"
    HELP = "help"
    WRONG_PERSON = "wrong_person"
    REVIEW = "review"
    OTHER = "other"


@attrs.frozen
class Asked:
    """What the message asked for that a reply answers.

    Attributes:
        known: it is known which message that is.
        answers: words that it asks for as an answer, folded ("y", "n", "1").
        announced: opt-out words that it announces, folded ("r", "td").
    """

    known: bool = False
    answers: frozenset[str] = frozenset()
    announced: frozenset[str] = frozenset()


UNKNOWN: Final = Asked()
NOTHING_ASKED: Final = Asked(known=True)


@attrs.frozen
class Reading:
    """What a reply was taken for.

    Attributes:
        scope: of a stop, how much it speaks of.
        purposes: families of purposes that it names, if the scope is a purpose, or a plan.
        channels: channel kinds that it names, if the scope is one; none means the one that it came by.
        why: a closed code: `words`, `announced`, `letter`, `question`, `negated`, `quote`, `soft`, `cue`, `unread`.
    """

    reply: Reply
    scope: ReplyScope = ReplyScope.PLAIN
    purposes: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    why: str = "words"


_NAMED: Final = {
    name: f"names-{name}" for name in ("admin", "care", "education", "experience", "marketing", "referral", "research")
}
"""Families of purposes, and the slot that holds how they are named."""

_KINDS: Final = tuple(kind.value for kind in ChannelKind)
_BESIDE: Final = frozenset({Means.AROUND, Means.LINK, Means.STOP, Means.LETTER})
_COURTESY: Final = frozenset({Means.AROUND, Means.LINK})
_RANK: Final = {means: rank for rank, means in enumerate(Means)}
_ASKING: Final = frozenset("吗么嘛")
_SHORT: Final = 30
_TOO_LONG: Final = 100
_CLAUSES: Final = 20
"""Sentences of a long reply that are read by themselves."""


@attrs.define
class _Laid:
    """A way to lay a reply out: cost, tiles, and clauses that no form fits."""

    cost: tuple[int, int, int]
    tiles: tuple[Tile, ...] = ()
    unread: int = 0


def read_reply(text: str, grammar: Grammar, asked: Asked = UNKNOWN, steps: frozenset[Step] = ALL_STEPS) -> Reading:
    """What a reply means, in view of the message that it answers."""
    words = tokens(text, steps)
    while words and words[-1] in MARKS - {QUERY}:
        words = words[:-1]
    while words and words[0] in MARKS:
        words = words[1:]
    if not words:
        return Reading(Reply.OTHER)
    if len(words) > _TOO_LONG:
        return _of_letter_of_many_words(words, grammar)
    if _announced(words, grammar, asked):
        return Reading(Reply.STOP, why="announced")
    laid = _lay(words, grammar)
    said = _said(words, laid)
    reading = _judged(words, laid, grammar)
    if reading.why == "letter":
        return _of_letter(said, asked)
    loose = reading.why == "alone" and not grammar.says("core", words)
    # To a question that is open, anything may be an answer but sentences about messages and words that mean one thing.
    if reading.reply is Reply.STOP and asked.answers and (loose or said in asked.answers):
        return Reading(Reply.REVIEW, why="question")
    return attrs.evolve(reading, why="words") if reading.why == "alone" else reading


def _of_letter_of_many_words(words: tuple[str, ...], grammar: Grammar) -> Reading:
    """A long reply: a sentence or line of it that is a stop and nothing else, or a person reads it."""
    clause: list[str] = []
    looked = 0
    for word in (*words, LINE):
        if word not in (STOP, LINE):
            clause.append(word)
            continue
        if 0 < len(clause) <= _SHORT and looked < _CLAUSES:
            looked += 1
            laid = _lay(tuple(clause), grammar)
            found = None if laid.unread or grammar.anywhere(clause) else _stop(clause, laid, grammar)
            if found is not None and any(tile.form.strong or tile.form.alone for tile in _stops(laid)):
                return attrs.evolve(found, why="words")
        clause = []
    return Reading(Reply.REVIEW, why="unread") if grammar.says("soft-cue", words) else Reading(Reply.OTHER)


def _announced(words: tuple[str, ...], grammar: Grammar, asked: Asked) -> bool:
    """Whether the reply is a word that the message announced, and courtesy: "回复 STOP 4"."""
    for word in asked.announced:
        sought = tokens(word)
        for at in range(len(words) - len(sought) + 1):
            if words[at : at + len(sought)] == sought and QUERY not in words:
                rest = _without("beside-announced", (*words[:at], LINE, *words[at + len(sought) :]), grammar)
                laid = _lay(rest, grammar)
                if not laid.unread and all(tile.form.means in _BESIDE for tile in laid.tiles):
                    return True
    return False


def _without(slot: str, words: Sequence[str], grammar: Grammar) -> tuple[str, ...]:
    """The words, without those of a slot."""
    left: list[str] = []
    at = 0
    while at < len(words):
        end = grammar.longest(slot, words, at)
        left += [words[at]] if end == at else []
        at = max(end, at + 1)
    return tuple(left)


def _said(words: Sequence[str], laid: _Laid) -> str:
    """What is said besides greetings and thanks, in one piece: "回复 STOP 4" is "stop4"."""
    around = {at for tile in laid.tiles if tile.form.means is Means.AROUND for at in range(tile.start, tile.end)}
    return "".join(word for at, word in enumerate(words) if at not in around and word not in MARKS)


def _of_letter(letter: str, asked: Asked) -> Reading:
    """T, R and N are answers as well: they count where no question is open, and none was announced or it was one of
    them (channels.md 8).
    """
    if letter in asked.answers:
        return Reading(Reply.OTHER, why="question")
    if asked.answers or not asked.known:
        return Reading(Reply.REVIEW, why="question")
    return Reading(Reply.STOP, why="letter")


def _lay(words: tuple[str, ...], grammar: Grammar) -> _Laid:
    """The way to lay the reply out that leaves the fewest words unread, then with the fewest and most telling tiles.

    Words that no form fits are left clause by clause: a form does not begin or end beside them within a clause.
    """
    size = len(words)
    # Two states at each place: behind a mark, a link or the beginning (1), or behind a tile (0).
    best: list[dict[int, _Laid]] = [{} for _ in range(size + 1)]
    best[0][1] = _Laid((0, 0, 0))

    def reach(at: int, free: int, laid: _Laid) -> None:
        held = best[at].get(free)
        if held is None or laid.cost < held.cost:
            best[at][free] = laid

    tiles = grammar.tiles(words)
    joints = {at for at in range(size) if _joint(words, at, tiles[at], grammar)} | {size}
    for at in range(size):
        for free, laid in best[at].items():
            unread, count, rank = laid.cost
            if words[at] in MARKS:
                reach(at + 1, 1, laid)
                continue
            for tile in tiles[at]:
                step = (unread, count + (3 if tile.form.closing else 1), rank + _rank(tile))
                link = tile.form.means is Means.LINK
                reach(tile.end, 1 if link else 0, _Laid(step, (*laid.tiles, tile), laid.unread))
            if free:
                end = at
                while end < size and words[end] not in MARKS:
                    end += 1
                    if end in joints:
                        step = (unread + end - at, count + 1, rank)
                        reach(end, 1, _Laid(step, laid.tiles, laid.unread + 1))
    return min(best[size].values(), key=lambda laid: laid.cost)


def _joint(words: Sequence[str], at: int, tiles: Sequence[Tile], grammar: Grammar) -> bool:
    """Whether a clause that no form fits may end here: at a mark, a word that links, or a "please"."""
    if words[at] in MARKS or any(tile.form.means is Means.LINK for tile in tiles):
        return True
    return grammar.longest("joins", words, at) > at


def _rank(tile: Tile) -> int:
    """Of two ways to read the same words, the more telling one comes first; of two stops, the one that says so more
    firmly, and then the one that says how much.
    """
    form = tile.form
    doubt = 0 if form.strong else 1 if form.alone else 3 if form.closing else 2
    return 8 * _RANK[form.means] + 2 * doubt + (form.scope is ReplyScope.PLAIN)


def _judged(words: tuple[str, ...], laid: _Laid, grammar: Grammar) -> Reading:
    return _withheld(words, laid, grammar) or _stop(words, laid, grammar) or _no_stop(words, laid, grammar)


def _stops(laid: _Laid) -> list[Tile]:
    return [tile for tile in laid.tiles if tile.form.means is Means.STOP]


def _withheld(words: Sequence[str], laid: _Laid, grammar: Grammar) -> Reading | None:
    """What a reply is in which somebody says that no stop is asked for, or that it is asked for under a condition, or
    only tells of one; None if there is no such thing.
    """
    means, besides = {tile.form.means for tile in laid.tiles}, grammar.anywhere(words)
    stops = _stops(laid)
    not_wanted = any(
        tile.form.means is Means.SOFT
        and then.form.means is Means.STOP
        and then.start == tile.end
        and grammar.says("dont-want", words[tile.start : tile.end])
        for tile, then in pairwise(laid.tiles)
    )
    if Means.NEGATED in means or not_wanted:
        return Reading(Reply.OTHER, why="negated")
    if Means.NEGATED in besides:
        return Reading(Reply.REVIEW if stops else Reply.OTHER, why="negated")
    if Means.QUOTE in means or (Means.QUOTE in besides and (stops or grammar.says("soft-cue", words))):
        return Reading(Reply.REVIEW, why="quote")
    return None


def _stop(words: Sequence[str], laid: _Laid, grammar: Grammar) -> Reading | None:
    """The stop that a reply is, if it is one."""
    stops = [tile for tile in _stops(laid) if not _questioned(tile, words, grammar)]
    if any(_tempered(tile, words, grammar) for tile in stops):
        return Reading(Reply.REVIEW, why="soft")
    strong = [tile for tile in stops if tile.form.strong]
    weak = [tile for tile in stops if not tile.form.strong]
    firm = [tile for tile in weak if (tile.form.alone and _alone(tile, words)) or _closes(tile, words, laid, grammar)]
    means = {tile.form.means for tile in laid.tiles}
    if Means.START in means:
        return None
    whole = [] if laid.unread or Means.WRONG in means else [tile for tile in stops if not tile.form.closing]
    if not (strong or firm or whole):
        return None
    reading = _scoped(words, strong or firm or whole, means, grammar)
    return reading if strong else attrs.evolve(reading, why="alone")


def _no_stop(words: Sequence[str], laid: _Laid, grammar: Grammar) -> Reading:
    """What a reply is that is no stop."""
    means = {tile.form.means for tile in laid.tiles}
    wrong = [tile for tile in laid.tiles if tile.form.means is Means.WRONG]
    only = {tile.form.means for tile in laid.tiles} - _COURTESY if not laid.unread else set()
    if only == {Means.LETTER} and QUERY not in words:
        return Reading(Reply.REVIEW, why="letter")
    if wrong and not _asks(words) and (not laid.unread or any(tile.form.strong for tile in wrong)):
        return Reading(Reply.WRONG_PERSON)
    if only and only <= {Means.START, Means.HELP}:
        return Reading(Reply.START if Means.START in only else Reply.HELP)
    if Means.SOFT in means or any(tile.form.alone for tile in _stops(laid)):
        return Reading(Reply.REVIEW, why="soft")
    if grammar.says("soft-cue", words) or _sounds(words, grammar):
        return Reading(Reply.REVIEW, why="cue")
    return Reading(Reply.OTHER)


def _sounds(words: Sequence[str], grammar: Grammar) -> bool:
    """Whether a short reply that asks nothing has a word of refusing and a word of messages. No form fits it: a person
    must read it.
    """
    return (
        len(words) <= _SHORT
        and not _asks(words)
        and grammar.says("cue-verb", words)
        and grammar.says("cue-noun", words)
    )


def _asks(words: Sequence[str]) -> bool:
    return bool(words) and words[-1] == QUERY


def _questioned(tile: Tile, words: Sequence[str], grammar: Grammar) -> bool:
    """Whether the stretch is asked and is no request ("stop?", but "can you stop texting me?")."""
    said = words[tile.start : tile.end]
    asked = said[-1] in _ASKING or (tile.end < len(words) and words[tile.end] == QUERY)
    return asked and not grammar.says("request", said)


def _tempered(tile: Tile, words: Sequence[str], grammar: Grammar) -> bool:
    """Whether the clause asks for fewer messages, or later ones, rather than for none."""
    start, end = tile.start, tile.end
    while start and words[start - 1] not in MARKS:
        start -= 1
    while end < len(words) and words[end] not in MARKS:
        end += 1
    clause = words[start:end]
    return grammar.says("soft-sign", clause) or (grammar.says("nots", clause) and grammar.says("soft-with-not", clause))


def _closes(tile: Tile, words: Sequence[str], laid: _Laid, grammar: Grammar) -> bool:
    """Whether a request ends the reply, a clause of its own, behind a reason that speaks of messages or of nothing
    clinical in words that are known.
    """
    begins = tile.start > 0 and (words[tile.start - 1] in MARKS or laid.tiles[0] is not tile)
    rest = [other for other in laid.tiles if other.start >= tile.end]
    if not begins or QUERY in words[tile.end :] or any(other.form.means not in _COURTESY for other in rest):
        return False
    if sum(other.end - other.start for other in rest) < sum(1 for word in words[tile.end :] if word not in MARKS):
        return False
    reason = words[: tile.start]
    han = any("\u4e00" <= word <= "\u9fff" for word in reason)
    return not _endangered(words, laid, grammar) and (han or grammar.says("msg-cue", reason))


def _endangered(words: Sequence[str], laid: _Laid, grammar: Grammar) -> bool:
    """Whether what no form fits speaks of treatment, results or dates: then the whole may be about those."""
    laid_out = {at for tile in laid.tiles for at in range(tile.start, tile.end)}
    return grammar.says("danger", [LINE if at in laid_out else word for at, word in enumerate(words)])


def _alone(tile: Tile, words: Sequence[str]) -> bool:
    """A sentence or line of its own."""
    before = tile.start == 0 or words[tile.start - 1] in (STOP, LINE)
    return before and (tile.end == len(words) or words[tile.end] in (STOP, LINE))


def _scoped(words: Sequence[str], tiles: Sequence[Tile], means: set[Means], grammar: Grammar) -> Reading:
    """A stop, and how much of. "All" beside a kind of message is all of that kind: who wants no advertisement of any
    sort has said nothing of reminders.
    """
    said = [word for tile in tiles for word in (*words[tile.start : tile.end], STOP)]
    scopes = {tile.form.scope for tile in tiles}
    purposes = tuple(family for family, slot in _NAMED.items() if grammar.says(slot, said))
    channels = tuple(kind for kind in _KINDS if grammar.says(f"on-{kind}", said))
    channels = channels or tuple(dict.fromkeys(kind for tile in tiles for kind in tile.form.channels))
    if not purposes and (ReplyScope.ALL in scopes or (not channels and grammar.says("names-all", said))):
        return Reading(Reply.STOP_ALL, ReplyScope.ALL)
    if channels or Means.OTHERWAY in means or ReplyScope.CHANNEL in scopes:
        return Reading(Reply.STOP, ReplyScope.CHANNEL, channels=channels)
    if grammar.says("names-plan", said):
        return Reading(Reply.STOP, ReplyScope.PLAN, purposes)
    return Reading(Reply.STOP, ReplyScope.PURPOSE if purposes else ReplyScope.PLAIN, purposes)
