"""What the grammar makes of the corpora: recall, false stops, scopes."""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path

import attrs

sys.path.insert(0, str(Path(__file__).resolve().parent))

import optout_corpus

from carelink.consent.optout.reading import NOTHING_ASKED, UNKNOWN, Asked, Reading, Reply, read_reply
from carelink.packs.optout_words import bundled_grammar

PARTS = ("round 1, seen", "round 1, unseen", "round 2", "round 3")
MENU = frozenset({"y", "n", "yes", "no", "1", "2", "3", "是", "否"})
STOPS = (Reply.STOP, Reply.STOP_ALL)


@attrs.frozen(kw_only=True)
class Measured:
    """Counts of one language and part. A wrong person stops all at that address, so it is a stop that was found; lines
    labelled so are in neither rate. `waiting`: of the missed, those that wait for a person, with promotion paused.
    `scoped`: stops whose scope is read as it is labelled.
    """

    stops: int
    missed: int
    waiting: int
    others: int
    false: int
    reviewed: int
    scoped: int

    @property
    def recall(self) -> float:
        return 1 - self.missed / self.stops

    @property
    def false_rate(self) -> float:
        return self.false / self.others


def asked_of(context: str) -> Asked:
    """The context of a line, as the engine would know it."""
    kind, _, words = context.partition(":")
    if kind == "announced":
        return Asked(known=True, announced=frozenset(word.casefold() for word in re.split("[,/]", words)))
    if kind == "question":
        return Asked(known=True, answers=MENU)
    assert (kind, NOTHING_ASKED.known) == ("none", True)
    return UNKNOWN


def read(reply: optout_corpus.Reply) -> Reading:
    return read_reply(reply.text, bundled_grammar(), asked_of(reply.context))


def lines(language: str, part: str) -> list[optout_corpus.Reply]:
    suffix = {"round 2": "_2", "round 3": "_3"}.get(part, "")
    names = [f"{language}_{kind}{suffix}" for kind in ("stop", "other")]
    found = [reply for name in names for reply in optout_corpus.replies(name)]
    return found if suffix else [reply for reply in found if reply.unseen == part.endswith("unseen")]


@cache
def measured(language: str, part: str) -> Measured:
    stops = others = waiting = missed = false = reviewed = scoped = 0
    for reply in lines(language, part):
        if reply.label == "wrong_person":
            continue
        reading = read(reply)
        found = reading.reply in (*STOPS, Reply.WRONG_PERSON)
        if reply.label == "stop":
            stops, missed = stops + 1, missed + (not found)
            waiting += reading.reply is Reply.REVIEW
            scoped += found and reading.scope.value == reply.scope
        else:
            others, false, reviewed = others + 1, false + found, reviewed + (reading.reply is Reply.REVIEW)
    return Measured(
        stops=stops, missed=missed, waiting=waiting, others=others, false=false, reviewed=reviewed, scoped=scoped
    )
