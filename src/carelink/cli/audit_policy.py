"""`carelink audit replay --policy NEW.toml`: what another policy would have decided; the gate on a change of policy."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from carelink.audit.counterfactual import Answer, counterfactual
from carelink.audit.judge import PolicyJudge
from carelink.cli.common import console, error_console, progress
from carelink.cli.exit_codes import Exit
from carelink.packs.loader import bundled, bundled_bytes
from carelink.stores.logfolder import LogFolder

__all__ = ["add_policy_options", "answer_of", "gate", "replay_under"]

_LISTED = 10


def add_policy_options(parser: argparse.ArgumentParser) -> None:
    """What names another policy, for `audit replay` and `policy diff`."""
    parser.add_argument("--policy", action="append", default=[], metavar="PACK",
                        help="a pack that takes the place of the recorded one with its id, or is added")  # fmt: skip
    parser.add_argument("--drop", action="append", default=[], metavar="ID", help="a pack that is left out")


def _packs(names: Sequence[str]) -> list[bytes]:
    return [bundled_bytes(name) if name in bundled() else Path(name).read_bytes() for name in names]


def answer_of(folder: Path, packs: Sequence[str], drop: Sequence[str], *, size: int | None = None) -> Answer:
    """Decide a whole log again under other packs, with a progress bar.

    Raises:
        PolicyError: a pack is malformed.
        FormatError, CannotJudgeError: an entry is not in a form that this release knows.
    """
    log = LogFolder(folder)
    head = log.head()
    last = size if size is not None else 0 if head is None else head.size
    with progress("replay under the other policy", last) as bar:
        task = bar.task_ids[0]
        return counterfactual(
            log.entries(0, last),
            PolicyJudge(),
            _packs(packs),
            drop=drop,
            progress=lambda done: bar.update(task, completed=done),
        )


def replay_under(args: argparse.Namespace, folder: Path, *, size: int) -> None:
    """Print what the other policy would have decided."""
    answer = answer_of(folder, args.policy, args.drop, size=size)
    console.print()
    console.print(f"under     {', '.join([*args.policy, *(f'without {name}' for name in args.drop)])}", markup=False)
    for line in answer.lines():
        console.print(line, markup=False)
    for item in answer.fed_blocked[:_LISTED]:
        console.print(f"refused   entry {item.index}: {', '.join(item.rules)}", markup=False)
    for allowed in answer.fed_allowed[:_LISTED]:
        console.print(
            f"allowed   entry {allowed.index}: {allowed.was.value} by {', '.join(allowed.rules)}", markup=False
        )


def gate(answer: Answer, named: Sequence[str]) -> int:
    """Whether a change of policy may go on: every recorded refusal that it would allow was made by rules it names."""
    known = set(named)
    either = {item.index: item for item in (*answer.naive_allowed, *answer.fed_allowed)}
    surprising = [item for _, item in sorted(either.items()) if not set(item.rules) <= known]
    for item in surprising[:_LISTED]:
        missing = sorted(set(item.rules) - known)
        console.print(f"allowed   entry {item.index}: {item.was.value} by {', '.join(missing)}", markup=False)
    if surprising:
        error_console.print(
            f"the change would have allowed {len(surprising):,} recorded refusals or deferrals that it does not name "
            "(name the rules it means with --allows RULE)",
            markup=False,
        )
        return Exit.REFUSED
    return Exit.OK
