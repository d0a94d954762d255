"""`carelink why REQUEST`: every rule's verdict, the facts used, the earliest instant it would pass."""

from __future__ import annotations

import argparse

from carelink.audit.facts_form import facts_to_json
from carelink.cli.common import console, is_chinese, open_link, shown_instant
from carelink.cli.exit_codes import Exit
from carelink.consent.explain import explain
from carelink.vocabulary import Effect

__all__ = ["add", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("why", help="explain the last decision of a request key")
    parser.add_argument("request", help="request key as it was sent, or its 32-digit reference")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Explain."""
    with open_link(args) as link:
        story = link.why(args.request)
        with link.wiring.store.reader() as reader:
            zone = reader.tenant().zone
    decision, facts = story.decision, story.facts
    console.print(f"{decision.effect.value.upper()}  entry {story.index}  {shown_instant(decision.at, zone)}")
    console.print(f"policy  {decision.policy[:16]}  decided again now: {'the same' if story.agrees else 'DIFFERENT'}")
    if decision.effect is not Effect.PERMIT:
        console.print(f"would pass from  {shown_instant(decision.earliest, zone)}")
        console.print("\nReasons")
        for line in explain(decision, story.policy, lang="zh" if is_chinese(args) else "en"):
            console.print(f"  {line}", markup=False)
    console.print("\nEvery rule")
    for verdict in decision.verdicts:
        reason = verdict.reason.value if verdict.reason is not None else ""
        console.print(f"  {verdict.effect.value:<7} {verdict.rule:<34} {reason}", markup=False)
    console.print("\nFacts")
    for name, value in sorted(facts_to_json(facts).items()):
        console.print(f"  {name:<20} {value}", markup=False)
    console.print("\nWhat happened")
    for item in story.happened:
        console.print(f"  {item.index:>7}  {shown_instant(item.at, zone)}  {item.kind:<10} {item.says}", markup=False)
    return Exit.OK if story.agrees else Exit.DIVERGED
