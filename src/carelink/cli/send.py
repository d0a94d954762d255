"""`carelink send`: decides and hands over; resumable. With `--jsonl -` a request a line in, a result a line out."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Final

from carelink.app import CareLink
from carelink.cli.common import console, error_console, is_chinese, open_link, print_reasons, progress, table
from carelink.cli.exit_codes import Exit
from carelink.cli.preview import no_consent_hint
from carelink.cli.requests import add_selection, from_json, select
from carelink.consent.reasons import ReasonCode
from carelink.engine.outcome import SendOutcome
from carelink.engine.recovery import Recovered
from carelink.errors import CarelinkError
from carelink.model.moment import iso
from carelink.model.request import Request
from carelink.system import wait
from carelink.vocabulary import Effect

__all__ = ["add", "outcome_json", "print_outcomes", "run", "send_all"]

_BATCH: Final = 1000
_ROUNDS: Final = 3


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("send", help="decide and hand over; run it twice, nobody is contacted twice")
    add_selection(parser)
    parser.add_argument("--jsonl", metavar="FILE", help="requests as JSON lines (- for standard input)")
    parser.set_defaults(run=run)


def outcome_json(outcome: SendOutcome) -> dict[str, object]:
    """One result for the caller's program."""
    result: dict[str, object] = {"request": outcome.ref, "effect": outcome.effect.value}
    if outcome.error is not None:
        return {"request": outcome.ref, "error": outcome.error.code, "hint": outcome.error.hint}
    if outcome.decision is not None:
        result["reasons"] = [code.value for code in outcome.decision.codes]
        if outcome.decision.earliest is not None:
            result["earliest"] = iso(outcome.decision.earliest)
    if outcome.receipt is not None and outcome.receipt.outcome is not None:
        result["outcome"] = outcome.receipt.outcome.value
        if outcome.receipt.code:
            result["code"] = outcome.receipt.code
    if outcome.receipt is not None and outcome.receipt.released:
        result["released"] = outcome.receipt.released
    if outcome.repeated:
        result["repeated"] = True
    if outcome.in_flight:
        result["in_flight"] = True
    return result


def _settle_leftovers(link: CareLink) -> Recovered:
    """Claims of a killed run are in flight until their lease is over: wait for that, then settle them."""
    found = link.recover()
    for _ in range(_ROUNDS):
        if not found.in_flight or found.until is None:
            break
        error_console.print(f"{found.in_flight} hand-overs of another run are in flight; waiting for their lease")
        now = link.parts.clock.now()
        wait(type(link.parts.options.permit_ttl)(max(0, found.until - now)))
        found = link.recover()
    return found


def send_all(link: CareLink, requests: Iterable[Request], total: int | None = None) -> list[SendOutcome]:
    """Send a stream of requests in batches, with a progress bar."""
    outcomes: list[SendOutcome] = []
    source = iter(requests)
    with progress("send", total) as bar:
        task = bar.task_ids[0]
        while batch := list(islice(source, _BATCH)):
            outcomes.extend(link.send_many(batch, progress=lambda _: bar.advance(task)))
    return outcomes


def print_outcomes(outcomes: Sequence[SendOutcome]) -> None:
    """What became of the requests, every one in exactly one line of the table."""
    states: Counter[str] = Counter(_state(outcome) for outcome in outcomes)
    table("Sent", ("state", "requests"), [(name, str(count)) for name, count in sorted(states.items())])
    reasons: Counter[ReasonCode] = Counter(
        code for outcome in outcomes if outcome.decision is not None for code in outcome.decision.codes
    )
    if reasons:
        console.print()
        table("Reasons (a request may have several)", ("reason", "requests"),
              [(code.value, str(count)) for code, count in
               sorted(reasons.items(), key=lambda pair: (-pair[1], pair[0].rank))])  # fmt: skip
    effects = Counter(outcome.effect.value for outcome in outcomes)
    no_consent_hint(effects, reasons, len(outcomes))


def _state(outcome: SendOutcome) -> str:
    if outcome.error is not None:
        return f"error: {outcome.error.code}"
    if outcome.in_flight:
        return "in flight"
    if outcome.repeated:
        return "sent before"
    if outcome.receipt is not None and outcome.receipt.outcome is not None:
        return f"handed over: {outcome.receipt.outcome.value}"
    if outcome.receipt is not None and outcome.receipt.released:
        return f"released: {outcome.receipt.released}"
    if outcome.effect is Effect.PERMIT:
        return "permit waiting"
    return {Effect.DEFER: "deferred", Effect.REFUSE: "refused"}[outcome.effect]


def _lines(name: str) -> Iterator[str]:
    with nullcontext(sys.stdin) if name == "-" else Path(name).open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield line


def _run_jsonl(link: CareLink, name: str) -> int:
    """Each line stands alone: a bad one is answered on its own line, with its number, and the rest goes on."""
    numbered = enumerate(_lines(name), 1)
    single: SendOutcome | None = None
    count = failed = 0
    while batch := list(islice(numbered, _BATCH if name != "-" else 1)):
        good: list[tuple[int, Request]] = []
        answers: dict[int, dict[str, object]] = {}
        for number, line in batch:
            try:
                good.append((number, from_json(link, line)))
            except CarelinkError as error:
                answers[number] = {"line": number, "error": error.code, "message": error.message, "hint": error.hint}
                failed += 1
        try:
            outcomes = link.send_many([request for _, request in good])
        except CarelinkError as error:
            outcomes = []
            for number, _request in good:
                answers[number] = {"line": number, "error": error.code, "hint": error.hint}
        for (number, _request), outcome in zip(good, outcomes, strict=False):
            answers[number] = {"line": number, **outcome_json(outcome)}
            single = outcome
        count += len(batch)
        for number in sorted(answers):
            print(json.dumps(answers[number], ensure_ascii=False, sort_keys=True), flush=True)
    if count == 1 and single is not None and single.effect is not Effect.PERMIT:
        return Exit.REFUSED
    return Exit.COULD_NOT_RUN if count and failed == count else Exit.OK


def run(args: argparse.Namespace) -> int:
    """Send."""
    with open_link(args) as link:
        _settle_leftovers(link)
        if args.jsonl is not None:
            return _run_jsonl(link, args.jsonl)
        requests = list(select(link, args))
        outcomes = send_all(link, requests, len(requests))
        print_outcomes(outcomes)
        if len(outcomes) == 1 and outcomes[0].effect is not Effect.PERMIT:
            if outcomes[0].decision is not None:
                print_reasons(outcomes[0].decision, chinese=is_chinese(args))
            return Exit.REFUSED
    return Exit.OK
