"""Plays a story on the real path and reports, step by step, what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import attrs

from carelink.consent.policy import Policy
from carelink.errors import CarelinkError
from carelink.model.moment import Instant
from carelink.scenario.cast import Play
from carelink.scenario.compare import Difference, compare, kinds_of
from carelink.scenario.moments import local, moment
from carelink.scenario.proof import prove
from carelink.scenario.reader import Story
from carelink.scenario.verbs import Asked, Result, asks_of, run_ask, run_verb

__all__ = ["Played", "StepReport", "play"]


@attrs.frozen(kw_only=True)
class StepReport:
    """One step that was played.

    Attributes:
        number, title, at: which step, in words, and when it began, local to the story.
        differences: what was expected and did not come.
        problem: the step could not be played at all, and why.
        policy: the policy in force then, for explaining.
    """

    number: int
    title: str
    at: str
    result: Result
    differences: tuple[Difference, ...] = ()
    problem: str = ""
    policy: Policy | None = None


@attrs.frozen(kw_only=True)
class Played:
    """What came of a story.

    Attributes:
        entries: entries of the log since the first step, by kind.
        left: messages that left, by channel.
        proof: what is wrong with the log; empty when it verifies, replays, adds up and names nobody.
    """

    story: Story
    steps: tuple[StepReport, ...]
    entries: Mapping[str, int]
    left: Mapping[str, int]
    totals: tuple[Difference, ...]
    proof: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Every expectation was met and the proof holds."""
        return not self.totals and not self.proof and not any(step.differences or step.problem for step in self.steps)


@attrs.define
class _Running:
    """A step whose rounds are not all done."""

    number: int
    step: Mapping[str, Any]
    where: str
    at: Instant
    left: int
    result: Result = attrs.field(factory=Result)
    problem: str = ""


def play(story: Story) -> Played:
    """Play a story.

    Raises:
        InvalidInputError: it cannot be set up: its cast, content or packs are wrong.
    """
    on = Play(story)
    try:
        return _play(on, story)
    finally:
        on.close()


def _play(on: Play, story: Story) -> Played:
    began = _size(on)
    handed_before = {name: len(channel.handed) for name, channel in on.channels.items()}
    running, rounds = _schedule(story)
    results: dict[str, Result] = {}
    reports: dict[int, StepReport] = {}
    for at, number, asked in rounds:
        state = running[number]
        on.clock.advance(max(0, at - on.true_time))
        _round(on, state, asked, results)
        if "name" in state.step:
            results[state.step["name"]] = state.result
        state.left -= 1
        if state.left == 0:
            reports[number] = _report(on, state)
    entries = kinds_of(_entries(on, began))
    left = Counter({name: len(c.handed) - handed_before[name] for name, c in on.channels.items()})
    return Played(
        story=story,
        steps=tuple(reports[number] for number in sorted(reports)),
        entries=dict(entries),
        left={name: count for name, count in left.items() if count},
        totals=tuple(_totals(story, entries, left)),
        proof=tuple(prove(on.link, on.personal)),
    )


def _schedule(story: Story) -> tuple[dict[int, _Running], list[tuple[Instant, int, Asked | None]]]:
    """Every round of every step in the order of time; of the file where they fall together."""
    running: dict[int, _Running] = {}
    rounds: list[tuple[Instant, int, Asked | None]] = []
    at = story.start
    for number, step in enumerate(story.steps, 1):
        where = f"step[{number}]"
        at = moment(step["at"], at, story.zone, f"{where}.at") if "at" in step else at
        asks: list[Asked | None] = [*asks_of(step, at, story.zone, where, number)] or [None]
        running[number] = _Running(number=number, step=step, where=where, at=at, left=len(asks))
        rounds += [(at if asked is None else asked.at, number, asked) for asked in asks]
    return running, sorted(rounds, key=lambda one: (one[0], one[1]))


def _round(on: Play, state: _Running, asked: Asked | None, results: Mapping[str, Result]) -> None:
    began = _size(on)
    before = {name: len(channel.handed) for name, channel in on.channels.items()}
    try:
        if asked is None:
            state.result = run_verb(on, state.step, state.where, results)
        else:
            run_ask(on, asked, state.result, state.at)
    except CarelinkError as error:
        state.problem = str(error)
    state.result.entries += _entries(on, began)
    for name, channel in on.channels.items():
        state.result.left += [(name, handed) for handed in channel.handed[before[name] :]]


def _report(on: Play, state: _Running) -> StepReport:
    title = state.step.get("title") or state.step.get("note") or next(
        name for name in state.step if name not in ("at", "name", "expect", "title")
    )  # fmt: skip
    return StepReport(
        number=state.number,
        title=title,
        at=local(state.at, on.zone),
        result=state.result,
        differences=() if state.problem else tuple(compare(on, state.step, state.result, state.where)),
        problem=state.problem,
        policy=on.link.policy(),
    )


def _totals(story: Story, entries: Counter[str], left: Counter[str]) -> list[Difference]:
    totals = story.body.get("totals", {})
    found = []
    for what, got in (("left", left), ("entries", entries)):
        for key, value in totals.get(what, {}).items():
            if got[key] != value:
                found.append(Difference(f"totals.{what}.{key}", str(value), str(got[key])))
    return found


def _size(on: Play) -> int:
    with on.link.wiring.store.reader() as reader:
        return reader.head().size


def _entries(on: Play, first: int) -> list[bytes]:
    with on.link.wiring.store.reader() as reader:
        return list(reader.entries(first, reader.head().size))
