"""`carelink policy test|lint`: do the fixtures of a pack hold, and is the pack in good order."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from carelink.cli.common import console, table
from carelink.cli.exit_codes import Exit
from carelink.consent.pack import parse_pack
from carelink.consent.policy import BASELINE
from carelink.errors import PolicyError
from carelink.packs.fixtures import Fixtures, bundled_fixtures, parse_fixtures
from carelink.packs.lint import lint_pack
from carelink.packs.loader import bundled, bundled_bytes, load_bundled
from carelink.packs.trial import Trial, try_pack

__all__ = ["add"]

_PACKS = "bundled packs, or TOML files (a file's fixtures stand beside it as NAME.fixtures.toml); left out: all bundled"


def add(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parsers."""
    test = verbs.add_parser("test", help="run the fixtures of packs: what each rule must refuse and pass")
    test.add_argument("packs", nargs="*", metavar="PACK", help=_PACKS)
    test.add_argument("--fixtures", type=Path, metavar="FILE", help="the fixtures of the one pack named")
    test.add_argument("--json", action="store_true", help="one JSON object")
    test.set_defaults(run=_test)
    lint = verbs.add_parser("lint", help="sources, dates, certainty and titles of packs")
    lint.add_argument("packs", nargs="*", metavar="PACK", help="bundled packs, or TOML files; left out: all bundled")
    lint.add_argument("--json", action="store_true", help="one JSON object")
    lint.set_defaults(run=_lint)


def _bytes(name: str) -> bytes:
    return bundled_bytes(name) if name in bundled() else Path(name).read_bytes()


def _fixtures(name: str, file: Path | None) -> Fixtures:
    """The fixtures of a pack.

    Raises:
        PolicyError: there are none, or they are another pack's.
    """
    if file is not None:
        return parse_fixtures(file.read_bytes())
    if name in bundled():
        data = bundled_fixtures(name)
        if data is None:
            raise PolicyError(f"`{name}` has no fixtures")
        return parse_fixtures(data)
    beside = Path(name).with_suffix(".fixtures.toml")
    if not beside.is_file():
        raise PolicyError(f"`{name}` has no fixtures", hint=f"write {beside.name} beside it, or pass --fixtures FILE")
    return parse_fixtures(beside.read_bytes())


def _test(args: argparse.Namespace) -> int:
    names = args.packs or list(bundled())
    if args.fixtures is not None and len(names) != 1:
        console.print("--fixtures belongs to one pack")
        return Exit.USAGE
    baseline = load_bundled(BASELINE)
    trials = []
    for name in names:
        pack, fixtures = parse_pack(_bytes(name)), _fixtures(name, args.fixtures)
        if fixtures.pack != pack.id:
            raise PolicyError(f"these fixtures are of pack `{fixtures.pack}`, not of `{pack.id}`")
        trials.append(try_pack(pack, fixtures, baseline))
    if args.json:
        console.print(json.dumps({"packs": [_trial(trial) for trial in trials]}, ensure_ascii=False), markup=False)
    else:
        _print(trials)
    return Exit.OK if all(trial.passed for trial in trials) else Exit.REFUSED


def _trial(trial: Trial) -> dict[str, object]:
    return {
        "pack": trial.pack,
        "rules": trial.rules,
        "fixtures": trial.fixtures,
        "distinct": trial.distinct,
        "failures": [
            {"rule": one.rule, "title": one.title, "expected": one.expected, "got": one.got}
            for one in (*trial.failures, *trial.unheld)
        ],
    }


def _print(trials: list[Trial]) -> None:
    rows = [
        (one.pack, str(one.rules), str(one.fixtures), str(one.distinct), str(len(one.failures)), str(len(one.unheld)))
        for one in trials
    ]
    table("", ("pack", "rules", "fixtures", "distinct", "failed", "rules not held"), rows)
    for trial in trials:
        for one in (*trial.failures, *trial.unheld):
            console.print(
                f"{trial.pack}  {one.rule}  {one.title}: expected {one.expected}, got {one.got}", markup=False
            )


def _lint(args: argparse.Namespace) -> int:
    names = args.packs or list(bundled())
    found = [complaint for name in names for complaint in lint_pack(_bytes(name), name)]
    if args.json:
        rows = [{"pack": one.pack, "rule": one.rule, "says": one.says} for one in found]
        console.print(json.dumps({"complaints": rows}, ensure_ascii=False), markup=False)
    else:
        for one in found:
            console.print(f"{one.pack}  {one.rule or '-'}  {one.says}", markup=False)
        console.print(f"{len(names)} packs, {len(found)} complaints")
    return Exit.REFUSED if found else Exit.OK
