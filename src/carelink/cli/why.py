"""`carelink why REQUEST`: every rule's verdict, the facts used, the earliest instant it would pass."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator

from carelink.audit.facts_form import facts_to_json
from carelink.cli.acting import acting, add_acting
from carelink.cli.common import console, is_chinese, open_link, shown_instant
from carelink.cli.exit_codes import Exit
from carelink.cli.words import speaker
from carelink.consent.explain import explain
from carelink.consent.facts import Facts
from carelink.consent.policy import Policy
from carelink.consent.verdict import Verdict
from carelink.vocabulary import Effect

__all__ = ["add", "run"]

_LONG = 3
"""More items than this of a list fact are put one on a line."""


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("why", help="explain the last decision of a request")
    parser.add_argument(
        "request", help="request key as it was sent, or its reference of 32 hex digits as `send` shows it"
    )
    add_acting(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Explain."""
    chinese, say = is_chinese(args), speaker(args)
    with open_link(args) as link:
        story = link.why(args.request, actor=acting(link, args))
        with link.wiring.store.reader() as reader:
            zone = reader.tenant().zone
    decision, again = story.decision, say("the same" if story.agrees else "DIFFERENT")
    lines = [
        f"{say(decision.effect.value).upper()}  {say('entry')} {story.index}  {shown_instant(decision.at, zone)}",
        f"{say('policy')}  {decision.policy[:16]}  {say('decided again now')}: {again}",
    ]
    if decision.effect is not Effect.PERMIT:
        lines.append(f"{say('would pass from')}  {shown_instant(decision.earliest, zone)}")
        lines += ["", say("Reasons (a request may have several)")]
        lines += [f"  {line}" for line in explain(decision, story.policy, lang="zh" if chinese else "en")]
    lines += ["", say("Every rule")]
    lines += [_rule(verdict, story.policy, chinese=chinese, zone=zone) for verdict in decision.verdicts]
    lines += ["", say("Facts"), *_facts(story.facts)]
    lines += ["", say("What happened")]
    lines += [
        f"  {item.index:>7}  {shown_instant(item.at, zone)}  {item.kind:<10} {item.says}" for item in story.happened
    ]
    for line in lines:
        console.print(line, markup=False)
    return Exit.OK if story.agrees else Exit.DIVERGED


def _rule(verdict: Verdict, policy: Policy, *, chinese: bool, zone: str) -> str:
    """One rule's verdict: effect, id, what the rule is for, and, where it objects, why and until when."""
    title = next(((item.rule.title_zh if chinese else item.rule.title_en) for item in policy.rules
                  if item.rule.id == verdict.rule), "")  # fmt: skip
    parts = [f"  {verdict.effect.value:<7} {verdict.rule:<28} {title}"]
    if verdict.reason is not None:
        parts.append(verdict.reason.value)
    if verdict.detail:
        parts.append(", ".join(f"{name} {value}" for name, value in verdict.detail))
    if verdict.earliest is not None:
        parts.append(f"-> {shown_instant(verdict.earliest, zone)}")
    return "  ".join(part for part in parts if part).rstrip()


def _facts(facts: Facts) -> Iterator[str]:
    """Each fact as the log keeps it: instants are microseconds since 1970, persons are pseudonyms."""
    for name, value in sorted(facts_to_json(facts).items()):
        if isinstance(value, list) and len(value) > _LONG:
            yield f"  {name:<20} {len(value)}"
            for item in value:
                yield f"  {'':<20} {json.dumps(item, ensure_ascii=False)}"
        else:
            yield f"  {name:<20} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
