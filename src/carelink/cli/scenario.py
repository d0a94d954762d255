"""`carelink scenario`: plays stories of a compliance officer on the real path, and compares."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from carelink.cli.common import console, is_chinese
from carelink.cli.exit_codes import Exit
from carelink.consent.explain import explain_all
from carelink.engine.outcome import Forecast, SendOutcome
from carelink.errors import InvalidInputError
from carelink.scenario.bundled import bundled_scenarios
from carelink.scenario.reader import Story, read_story
from carelink.scenario.runner import Played, StepReport, play
from carelink.scenario.vocabulary import schema

__all__ = ["add"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    parser = commands.add_parser("scenario", help="play stories of patients on a virtual clock, and compare")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    run = verbs.add_parser("run", help="play stories; needs no home and reaches nobody")
    run.add_argument("files", nargs="*", metavar="FILE", help="stories in TOML or YAML")
    run.add_argument("--bundled", action="store_true", help="the worked scenarios that come with carelink")
    run.add_argument(
        "--explain", action="store_true", help="for every decision, what each rule says; a failed one with its source"
    )
    run.add_argument("--quiet", action="store_true", help="one line a story, unless something differs")
    run.add_argument("--json", action="store_true", help="one JSON object a story")
    run.set_defaults(run=_run)
    form = verbs.add_parser("schema", help="the JSON schema of stories, for editors")
    form.set_defaults(run=_schema)


def _schema(args: argparse.Namespace) -> int:
    del args
    print(json.dumps(schema(), indent=2, ensure_ascii=False))
    return Exit.OK


def _stories(args: argparse.Namespace) -> list[Story]:
    found = [read_story(Path(name)) for name in args.files]
    if args.bundled:
        found += bundled_scenarios()
    if not found:
        raise InvalidInputError("no story to play", hint="name a FILE, or --bundled")
    return found


def _run(args: argparse.Namespace) -> int:
    passed = True
    for story in _stories(args):
        played = play(story)
        passed &= played.passed
        if args.json:
            print(json.dumps(_object(played), ensure_ascii=False))
        else:
            _print(played, explained=args.explain, quiet=args.quiet, chinese=is_chinese(args))
    return Exit.OK if passed else Exit.REFUSED


def _print(played: Played, *, explained: bool, quiet: bool, chinese: bool) -> None:
    mark = "PASSED" if played.passed else "FAILED"
    console.print(f"{mark}  {played.story.id}  {played.story.title}", style="bold", markup=False)
    if not (quiet and played.passed):
        for step in played.steps:
            _step(step, explained=explained, chinese=chinese)
        for difference in played.totals:
            console.print(f"   {difference.what}: expected {difference.expected}, got {difference.got}", style="red",
                          markup=False)  # fmt: skip
    for line in played.proof:
        console.print(f"   proof: {line}", style="red", markup=False)
    if not quiet:
        entries = ", ".join(f"{kind} {number}" for kind, number in sorted(played.entries.items()))
        left = ", ".join(f"{channel} {number}" for channel, number in sorted(played.left.items())) or "none"
        console.print(f"   messages that left: {left}\n   entries: {entries}", markup=False)
        if not played.proof:
            console.print("   the log verifies, replays, adds up and names nobody", markup=False)


def _step(step: StepReport, *, explained: bool, chinese: bool) -> None:
    good = not step.differences and not step.problem
    head = f"{'ok' if good else 'XX'} {step.number:>3}. {step.at}  {step.title}"
    console.print(head, style=None if good else "bold red", markup=False)
    if (came := _came(step)) and (explained or not good or len(step.result.asked) <= 1):
        console.print(f"        {came}", markup=False)
    if step.problem:
        console.print(f"        could not be played: {step.problem}", style="red", markup=False)
    for difference in step.differences:
        console.print(f"        {difference.what:<9} - expected {difference.expected}", style="green", markup=False)
        console.print(f"        {'':<9} + got      {difference.got}", style="red", markup=False)
    if explained:
        _explain(step, chinese=chinese)


def _codes(outcome: SendOutcome | Forecast) -> tuple[str, ...]:
    return () if outcome.decision is None else tuple(code.value for code in outcome.decision.codes)


def _came(step: StepReport) -> str:
    """What came of a step, on one line."""
    result = step.result
    parts: list[str] = []
    if len(result.asked) == 1:
        ((_, outcome),) = result.asked
        parts.append(" ".join((outcome.effect.value, *_codes(outcome))))
    elif result.asked:
        effects = sorted({outcome.effect.value for _, outcome in result.asked})
        parts += [f"{effect} {sum(o.effect.value == effect for _, o in result.asked)}" for effect in effects]
    parts += [f"left by {name}" for name in sorted({name for name, _ in result.left})]
    parts += [
        f"taken for {one.reply.value if one.reply else one.event.value}: {', '.join(one.actions)}"
        for one in result.inbound
    ]
    parts += [f"found {reason}" for reason in result.findings]
    parts += [] if result.fails_at is None else [f"verification names entry {result.fails_at}"]
    return "; ".join(parts)


def _explain(step: StepReport, *, chinese: bool) -> None:
    for label, outcome in step.result.asked:
        if outcome.decision is None:
            continue
        if len(step.result.asked) > 1:
            console.print(f"          {label}: {outcome.effect.value}", markup=False)
        for line in explain_all(outcome.decision, step.policy, "zh" if chinese else "en"):
            console.print(f"          {line}", markup=False)


def _object(played: Played) -> dict[str, object]:
    return {
        "id": played.story.id,
        "passed": played.passed,
        "left": dict(played.left),
        "entries": dict(played.entries),
        "totals": [{"what": one.what, "expected": one.expected, "got": one.got} for one in played.totals],
        "proof": list(played.proof),
        "steps": [
            {
                "number": step.number,
                "title": step.title,
                "at": step.at,
                "asked": [
                    {"who": label, "effect": outcome.effect.value, "reasons": list(_codes(outcome))}
                    for label, outcome in step.result.asked
                ],
                "problem": step.problem,
                "differences": [
                    {"what": one.what, "expected": one.expected, "got": one.got} for one in step.differences
                ],
            }
            for step in played.steps
        ],
    }  # fmt: skip
