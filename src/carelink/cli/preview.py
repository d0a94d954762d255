"""`carelink preview`: a table of effects and reasons; records nothing."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

from carelink.app import CareLink
from carelink.cli.common import console, is_chinese, open_link, progress, shown_instant, table
from carelink.cli.exit_codes import Exit, code_of
from carelink.cli.requests import Selection, add_selection, selection
from carelink.cli.words import speaker
from carelink.consent.reasons import ReasonCode
from carelink.consent.sentences import sentence
from carelink.engine.outcome import Forecast
from carelink.errors import CarelinkError, ConflictError
from carelink.model.moment import Instant
from carelink.vocabulary import Effect

__all__ = ["ForecastTally", "add", "no_consent_hint", "print_errors", "print_forecasts", "run"]

_HINTS: Final = {ConflictError.code: "the same patients were asked for with other content; --campaign NAME asks anew"}
"""Hints in the words of the command line, where the library's own speak of keys."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("preview", help="what would be sent, and why not; records nothing")
    add_selection(parser)
    parser.set_defaults(run=run)


class ForecastTally:
    """Forecasts, counted as they come: a million of them take no more room than a few."""

    def __init__(self) -> None:
        self.total = 0
        self.effects: Counter[Effect] = Counter()
        self.before = 0
        self.errors: dict[str, tuple[int, CarelinkError]] = {}
        self.reasons: Counter[ReasonCode] = Counter()
        self.soonest: dict[ReasonCode, Instant] = {}
        self.last: Forecast | None = None

    def add(self, item: Forecast) -> None:
        """Count one."""
        self.total, self.last = self.total + 1, item
        if item.error is not None:
            self.errors[item.error.code] = (self.errors.get(item.error.code, (0, item.error))[0] + 1, item.error)
            return
        if item.handed_over_before:
            self.before += 1
            return
        self.effects[item.effect] += 1
        if item.decision is None:
            return
        for code in item.decision.codes:
            self.reasons[code] += 1
        for verdict in item.reasons:
            if verdict.reason is not None and verdict.earliest is not None:
                known = self.soonest.get(verdict.reason, verdict.earliest)
                self.soonest[verdict.reason] = min(known, verdict.earliest)

    def print(self, *, say: Callable[[str], str], lang: str, zone: str) -> None:
        """Effects, then reasons with how many requests each stands in and the earliest instant it would pass."""
        rows = [(say(effect.value), str(self.effects.get(effect, 0))) for effect in Effect]
        if self.before:
            rows.append((say("handed over before"), str(self.before)))
        if self.errors:
            rows.append((say("not decided"), str(sum(count for count, _ in self.errors.values()))))
        table(say("Preview: nothing was reserved, recorded or sent"), (say("effect"), say("requests")), rows)
        if self.reasons:
            console.print()
            ranked = sorted(self.reasons.items(), key=lambda pair: (-pair[1], pair[0].rank))
            table(
                say("Reasons (a request may have several)"),
                (say("reason"), say("requests"), say("would pass from"), say("meaning")),
                [
                    (code.value, str(count), shown_instant(self.soonest.get(code), zone), sentence(code, lang))
                    for code, count in ranked
                ],
            )
        print_errors(self.errors)
        if not self.total:
            console.print(say("nothing matches this selection: no patient fits"), markup=False)
        no_consent_hint(self.effects, self.reasons, say=say)


def print_errors(errors: dict[str, tuple[int, CarelinkError]]) -> None:
    """Requests that were wrong in themselves, by kind of error, each with its hint."""
    for code, (count, error) in sorted(errors.items()):
        hint = f" ({_HINTS.get(code, error.hint)})" if code in _HINTS or error.hint else ""
        console.print(f"not decided: {count} x {code}: {error.message}{hint}", markup=False)


def no_consent_hint(effects: Counter[Effect], reasons: Counter[ReasonCode], *, say: Callable[[str], str] = str) -> None:
    """Where nothing could be permitted and consent is missing, name the command that loads it; for how many it is
    missing is said exactly.
    """
    missing, total = reasons.get(ReasonCode.NO_CONSENT, 0), sum(effects.values())
    if effects.get(Effect.PERMIT) or not missing:
        return
    console.print()
    if missing == total:
        console.print(say("No consent is on record for these patients, so nothing can be sent."), markup=False)
    else:
        console.print(f"{say('Nothing can be sent; requests without a consent on record')}: {missing}/{total}")
    console.print(f"{say('Load it with its evidence')}: carelink consent import --csv FILE", markup=False)


def print_forecasts(forecasts: Iterable[Forecast], *, chinese: bool, zone: str) -> None:
    """The table of forecasts already made."""
    tally = ForecastTally()
    for item in forecasts:
        tally.add(item)
    lang = "zh" if chinese else "en"
    tally.print(say=speaker(argparse.Namespace(lang=lang)), lang=lang, zone=zone)


def _forecasts(link: CareLink, requests: Selection) -> Iterator[Sequence[Forecast]]:
    source = iter(requests)
    while batch := list(islice(source, link.parts.options.chunk)):
        yield link.preview_many(batch)


def run(args: argparse.Namespace) -> int:
    """Forecast and print."""
    tally = ForecastTally()
    with open_link(args) as link:
        chosen = selection(link, args)
        with progress("preview", chosen.count) as bar:
            for forecasts in _forecasts(link, chosen):
                for item in forecasts:
                    tally.add(item)
                bar.advance(bar.task_ids[0], len(forecasts))
        with link.wiring.store.reader() as reader:
            zone = reader.tenant().zone
    tally.print(say=speaker(args), lang="zh" if is_chinese(args) else "en", zone=zone)
    if tally.total == 1 and tally.last is not None and tally.last.effect is not Effect.PERMIT:
        return Exit.REFUSED if tally.last.error is None else code_of(tally.last.error)
    return Exit.OK
