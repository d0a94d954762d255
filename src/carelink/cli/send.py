"""`carelink send`: decides and hands over; resumable. With `--jsonl -` a request a line in, a result a line out."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

from carelink.app import CareLink
from carelink.cli.common import (
    console,
    error_console,
    is_chinese,
    open_link,
    print_reasons,
    progress,
    shown_instant,
    table,
)
from carelink.cli.exit_codes import Exit, code_of
from carelink.cli.interrupt import Pause, interruptible
from carelink.cli.jsonl import send_lines
from carelink.cli.preview import no_consent_hint, print_errors
from carelink.cli.requests import add_selection, selection
from carelink.cli.words import speaker
from carelink.consent.reasons import ReasonCode
from carelink.engine.outcome import SendOutcome
from carelink.engine.recovery import Recovered
from carelink.errors import CarelinkError, InvalidInputError
from carelink.model.moment import Instant, Micros
from carelink.model.request import Request
from carelink.system import wait
from carelink.vocabulary import Effect

__all__ = ["OutcomeTally", "add", "print_outcomes", "run", "send_all"]

_BATCH: Final = 1000
_ROUNDS: Final = 3


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("send", help="decide and hand over; run it twice, nobody is contacted twice")
    add_selection(parser)
    parser.add_argument("--jsonl", metavar="FILE",
                        help="requests as JSON lines (- for standard input) instead of the options above")  # fmt: skip
    parser.set_defaults(run=run)


class OutcomeTally:
    """Outcomes, counted as they come: a million of them take no more room than a few."""

    def __init__(self) -> None:
        self.total = 0
        self.states: Counter[tuple[str, str]] = Counter()
        self.effects: Counter[Effect] = Counter()
        self.reasons: Counter[ReasonCode] = Counter()
        self.soonest: dict[ReasonCode, Instant] = {}
        self.example: dict[ReasonCode, str] = {}
        self.errors: dict[str, tuple[int, CarelinkError]] = {}
        self.last: SendOutcome | None = None

    def add(self, outcome: SendOutcome) -> None:
        """Count one."""
        self.total, self.last = self.total + 1, outcome
        self.states[_state(outcome)] += 1
        if outcome.error is not None:
            code = outcome.error.code
            self.errors[code] = (self.errors.get(code, (0, outcome.error))[0] + 1, outcome.error)
            return
        self.effects[outcome.effect] += 1
        for code in () if outcome.decision is None else outcome.decision.codes:
            self.reasons[code] += 1
            self.example.setdefault(code, outcome.ref)
        for verdict in outcome.reasons:
            if verdict.reason is not None and verdict.earliest is not None:
                known = self.soonest.get(verdict.reason, verdict.earliest)
                self.soonest[verdict.reason] = min(known, verdict.earliest)

    def print(self, *, say: Callable[[str], str] = str, zone: str = "") -> None:
        """What became of the requests, every one in exactly one line of the first table."""
        rows = [
            (f"{say(state)}: {detail}" if detail else say(state), str(count))
            for (state, detail), count in sorted(self.states.items())
        ]
        table(say("Sent"), (say("state"), say("requests")), rows)
        if self.reasons:
            console.print()
            ranked = sorted(self.reasons.items(), key=lambda pair: (-pair[1], pair[0].rank))
            table(
                say("Reasons (a request may have several)"),
                (say("reason"), say("requests"), say("would pass from"), say("for example")),
                [
                    (code.value, str(count), shown_instant(self.soonest.get(code), zone), self.example[code])
                    for code, count in ranked
                ],
            )
            first = next(iter(self.example.values()))
            console.print(f"{say('why one was refused')}: carelink why {first}", markup=False)
        print_errors(self.errors)
        if not self.total:
            console.print(say("nothing matches this selection: no patient fits"), markup=False)
        no_consent_hint(self.effects, self.reasons, say=say)


def _state(outcome: SendOutcome) -> tuple[str, str]:
    if outcome.error is not None:
        return "error", outcome.error.code
    if outcome.in_flight:
        return "in flight", ""
    if outcome.repeated and outcome.receipt is not None:
        return "sent before", ""
    if outcome.receipt is not None and outcome.receipt.outcome is not None:
        return "handed over", outcome.receipt.outcome.value
    if outcome.receipt is not None and outcome.receipt.released:
        return "released", outcome.receipt.released
    if outcome.effect is Effect.PERMIT:
        return "permit waiting", ""
    return {Effect.DEFER: "deferred", Effect.REFUSE: "refused"}[outcome.effect], ""


def print_outcomes(outcomes: Iterable[SendOutcome], *, say: Callable[[str], str] = str, zone: str = "") -> None:
    """The tables of outcomes already had."""
    tally = OutcomeTally()
    for outcome in outcomes:
        tally.add(outcome)
    tally.print(say=say, zone=zone)


def _settle_leftovers(link: CareLink) -> Recovered:
    """Claims of a killed run are in flight until their lease is over: wait for that, then settle them."""
    found = link.recover()
    for _ in range(_ROUNDS):
        if not found.in_flight or found.until is None:
            break
        error_console.print(f"{found.in_flight} hand-overs of another run are in flight; waiting for their lease")
        wait(Micros(max(0, found.until - link.parts.clock.now())))
        found = link.recover()
    return found


def send_all(
    link: CareLink,
    requests: Iterable[Request],
    tally: OutcomeTally,
    pause: Pause,
    total: Callable[[], int] | None = None,
) -> None:
    """Send a stream of requests in batches, with a progress bar, into a tally.

    Raises:
        KeyboardInterrupt: somebody asked to stop; what was claimed is settled, and counted.
    """
    source = iter(requests)
    with progress("send", total) as bar:
        task = bar.task_ids[0]

        def settled(outcome: SendOutcome) -> None:
            tally.add(outcome)
            bar.advance(task)
            pause.check()

        while batch := list(islice(source, _BATCH)):
            pause.busy = True
            link.send_many(batch, progress=settled)
            pause.busy = False
            pause.check()


def _send_selection(link: CareLink, args: argparse.Namespace, pause: Pause) -> int:
    chosen, tally = selection(link, args), OutcomeTally()
    with link.wiring.store.reader() as reader:
        zone = reader.tenant().zone
    send_all(link, chosen, tally, pause, chosen.count)
    tally.print(say=speaker(args), zone=zone)
    only = tally.last if tally.total == 1 else None
    if only is None:
        failed = sum(count for count, _ in tally.errors.values())
        return Exit.COULD_NOT_RUN if failed and failed == tally.total else Exit.OK
    if only.effect is Effect.PERMIT:
        return Exit.OK
    if only.error is not None:
        return code_of(only.error)
    if only.decision is not None:
        print_reasons(only.decision, chinese=is_chinese(args), zone=zone)
    return Exit.REFUSED


def run(args: argparse.Namespace) -> int:
    """Send."""
    named = (args.purpose, args.template, args.channel, args.var, args.where, args.campaign, args.wait,
             args.not_before, args.useless_after)  # fmt: skip
    if args.jsonl is not None and any(named):
        raise InvalidInputError("`--jsonl` takes the place of the options that select", hint="give one or the other")
    if args.jsonl is None and not (args.purpose and args.template and args.channel):
        raise InvalidInputError("name --purpose, --template and --channel", hint="or pass --jsonl FILE")
    with open_link(args) as link, interruptible() as pause:
        _settle_leftovers(link)
        if args.jsonl is not None:
            return send_lines(link, args.jsonl, pause)
        return _send_selection(link, args, pause)
