"""Whose data were where in a stretch of time: handed to which channels, opened by whom, of which kinds. From the log
alone; persons are pseudonyms.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import Final

import attrs

from carelink.audit.bodies import HandoverBody, OpenedBody, RecoveredBody
from carelink.audit.decided import ClaimBody, DecisionBody
from carelink.audit.entry import parse_entry
from carelink.consent.facts import Facts, Known
from carelink.model.moment import Instant
from carelink.vocabulary import AgeBand, Outcome

__all__ = ["Exposure", "exposures"]

_STAYED: Final = frozenset({Outcome.NOT_SENT, Outcome.ACCOUNT})
"""Outcomes of an attempt by which nothing left."""


@attrs.define(kw_only=True)
class Exposure:
    """What concerned one person.

    Attributes:
        subject: pseudonym.
        first, last: of what follows.
        channels: hand-overs by channel. regions: where its provider was said to process.
        openings: openings by a person, by pseudonym of who opened.
        purposes: of messages. data: kinds of data in them, or opened.
        minor: under 18, or not known to be of age, when last decided about.
    """

    subject: str
    first: Instant
    last: Instant
    channels: Counter[str] = attrs.field(factory=Counter)
    regions: set[str] = attrs.field(factory=set)
    openings: Counter[str] = attrs.field(factory=Counter)
    purposes: set[str] = attrs.field(factory=set)
    data: set[str] = attrs.field(factory=set)
    minor: bool = False


@attrs.define
class _Fold:
    begin: Instant
    end: Instant
    channels: Collection[str]
    actors: Collection[str]
    found: dict[str, Exposure] = attrs.field(factory=dict)
    decided: dict[str, Facts] = attrs.field(factory=dict)

    def take(self, at: Instant, body: object) -> None:
        if isinstance(body, (DecisionBody, ClaimBody)):
            if body.reservation is not None:  # what was refused is not handed over
                self.decided[body.request] = body.facts
        elif isinstance(body, (HandoverBody, RecoveredBody)):
            facts = self.decided.pop(body.request, None)
            if facts is not None and body.outcome not in _STAYED and self._inside(at) and not self.actors:
                self._handed(at, facts)
        elif isinstance(body, OpenedBody) and self._inside(at) and self._counts(body.by):
            one = self._of(body.subject, at)
            one.openings[body.by] += 1
            one.data.add(body.what)

    def _counts(self, by: str) -> bool:
        return not self.channels and (not self.actors or by in self.actors)

    def _inside(self, at: Instant) -> bool:
        return self.begin <= at < self.end

    def _handed(self, at: Instant, facts: Facts) -> None:
        if self.channels and facts.ask.channel not in self.channels:
            return
        one = self._of(facts.subject, at)
        one.channels[facts.ask.channel] += 1
        one.purposes.add(facts.ask.purpose.value)
        one.data.add("contact")
        content = facts.content.value.data if isinstance(facts.content, Known) else ()
        one.data.update(each.value for each in (*facts.ask.data, *content))
        if isinstance(facts.channel, Known) and facts.channel.value.region:
            one.regions.add(facts.channel.value.region)
        one.minor = not (isinstance(facts.age, Known) and facts.age.value is AgeBand.ADULT)

    def _of(self, subject: str, at: Instant) -> Exposure:
        one = self.found.setdefault(subject, Exposure(subject=subject, first=at, last=at))
        one.last = max(one.last, at)
        return one


def exposures(
    entries: Iterable[tuple[int, bytes]],
    begin: Instant,
    end: Instant,
    *,
    channels: Collection[str] = (),
    actors: Collection[str] = (),
) -> dict[str, Exposure]:
    """Everybody whose data were handed over or opened in [begin, end), by pseudonym, in the order of the log.

    Args:
        entries: the log from its beginning: what a hand-over said about whom stands in the decision before it.
        begin, end: the stretch of time, half open.
        channels: only what these were handed; then openings do not count.
        actors: only what these opened, as pseudonyms; then hand-overs do not count.

    Raises:
        FormatError: an entry is not in its form.
        CannotJudgeError: an entry is of a version or kind this release does not know.
    """
    fold = _Fold(begin, end, frozenset(channels), frozenset(actors))
    for _, data in entries:
        entry = parse_entry(data)
        if entry.at >= end:
            continue
        fold.take(entry.at, entry.body)
    return fold.found
