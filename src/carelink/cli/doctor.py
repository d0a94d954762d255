"""`carelink doctor`: deploy-time checks with ids and hints."""

from __future__ import annotations

import argparse
import stat
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from carelink.app import CareLink
from carelink.audit.proof import open_checkpoint
from carelink.checks import Check, CheckResult, Severity, run_checks
from carelink.cli.common import console, open_link
from carelink.cli.exit_codes import Exit
from carelink.consent.facts import StoreState
from carelink.errors import CarelinkError
from carelink.packs.loader import bundled, load_bundled
from carelink.vocabulary import Mode

__all__ = ["add", "doctor_results", "print_results", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("doctor", help="check this deployment")
    parser.set_defaults(run=run)


def _private(path: Path) -> str:
    """A folder that others cannot enter keeps what is in it, such as the signed head copy, which is no secret."""
    if not path.exists() or sys.platform == "win32":
        return ""
    return "others can enter its folder" if stat.S_IMODE(path.stat().st_mode) & 0o077 else ""


def _apart(link: CareLink) -> str:
    chosen = link.wiring.settings
    inside = chosen.keys.resolve().is_relative_to(chosen.home.resolve())
    return "the key folder lies in the home folder: one backup would hold both" if inside else ""


def _store_state(link: CareLink) -> str:
    with link.wiring.store.reader() as reader:
        state = link.notary.state(reader)
    return "" if state is StoreState.CURRENT else f"the store is {state.value}"


def _head(link: CareLink) -> str:
    head = link.wiring.log.head()
    if head is None:
        return "nothing is published yet"
    open_checkpoint(head.to_bytes(), link.notary.verifier)
    return ""


def _routes(link: CareLink) -> str:
    missing = [name for name in link.wiring.settings.routes.values() if name not in link.channels]
    return f"no channel `{missing[0]}` is registered" if missing else ""


def _channel(link: CareLink, name: str) -> str:
    channel = link.channels[name]
    if not channel.capabilities.health:
        return ""
    health = channel.health()  # type: ignore[attr-defined]  # declared by capability, checked at registration
    return "" if health.ok else f"{health.code}: {health.hint}"


def _keys(link: CareLink) -> str:
    problems = link.wiring.keys.check().problems
    return problems[0] if problems else ("" if link.safe.ready() else "it does not answer")


def _packs(link: CareLink) -> str:
    """Bundled packs that are in force in another text than this version brings."""
    policy = link.policy()
    old = [
        pack.id
        for pack in (policy.packs if policy is not None else ())
        if pack.id in bundled() and load_bundled(pack.id).digest != pack.digest
    ]
    return f"this version brings another text of {', '.join(old)}" if old else ""


def _erasures(link: CareLink) -> str:
    count = sum(1 for _ in link.erasure.unfinished())
    return f"{count} are not" if count else ""


def _reviews(link: CareLink) -> str:
    count = len(link.access.reviews())
    return f"{count} were not" if count else ""


def _checks(link: CareLink) -> Iterator[Check]:
    chosen = link.wiring.settings
    yield Check("carelink.E001", "the store is the one the log was published from", lambda: _store_state(link),
                "run `carelink store reconcile`")  # fmt: skip
    yield Check("carelink.E002", "only the owner can read the keys", lambda: _private(chosen.keys), "chmod -R go= it")
    yield Check("carelink.E003", "the key store is sound and answers", lambda: _keys(link),
                "restore the key store from its own backup")  # fmt: skip
    yield Check("carelink.E004", "the published head is signed by this log's key", lambda: _head(link),
                "run `carelink audit verify`")  # fmt: skip
    yield Check("carelink.E005", "a policy is in force", lambda: "" if link.policy() is not None else "there is none",
                "run `carelink policy adopt`")  # fmt: skip
    yield Check("carelink.E006", "every route leads to a channel", lambda: _routes(link), "see `routes` in settings")
    for name in sorted(set(chosen.routes.values()) & set(link.channels)):
        yield Check(f"carelink.E007.{name}", f"channel {name} is healthy", partial(_channel, link, name),
                    "check its settings")  # fmt: skip
    yield Check("carelink.E008", "the wall clock moves with the monotonic clock",
                lambda: "" if link.parts.guard.read()[1] else "it jumped by more than two minutes",
                "check time synchronisation")  # fmt: skip
    yield Check("carelink.E009", "only the owner can read the outbox",
                lambda: _private(chosen.outbox), "chmod -R go= it")  # fmt: skip
    yield Check("carelink.W101", "keys lie apart from data", lambda: _apart(link),
                "pass --keys DIR to `init`, on another disk", Severity.WARNING)  # fmt: skip
    yield Check("carelink.W102", "messages may leave this machine",
                lambda: "mode is sandbox: nothing leaves" if link.mode() is Mode.SANDBOX else "",
                "`carelink mode team` or `live`", Severity.WARNING)  # fmt: skip
    yield Check("carelink.W103", "bundled packs are in force as this version brings them", lambda: _packs(link),
                "look at the changelog, then run `carelink policy adopt`", Severity.WARNING)  # fmt: skip
    yield Check("carelink.W104", "every erasure that began is done", lambda: _erasures(link),
                "wait until what is in flight is over, then run this again", Severity.WARNING)  # fmt: skip
    yield Check("carelink.W105", "every opening in an emergency was reviewed", lambda: _reviews(link),
                "see `carelink access reviews`", Severity.WARNING)  # fmt: skip


def doctor_results(link: CareLink) -> list[CheckResult]:
    """Run all checks on an open home."""
    return run_checks(_checks(link))


def print_results(results: list[CheckResult]) -> None:
    """One line a finding."""
    for result in results:
        console.print(f"{result.severity.value:<8} {result.id:<28} {result.says}", markup=False)
        if result.hint and result.severity is not Severity.OK:
            console.print(f"         {'':<28} hint: {result.hint}", markup=False)


def run(args: argparse.Namespace) -> int:
    """Check and print. A home that does not open is the one finding."""
    problem: CarelinkError | None = None
    results: list[CheckResult] = []
    try:
        with open_link(args) as link:
            results = doctor_results(link)
    except CarelinkError as error:
        problem = error
    if problem is not None:
        says = f"this home does not open: {problem.code}: {problem.message}"
        results = [CheckResult(id="carelink.E000", severity=Severity.ERROR, says=says, hint=problem.hint)]
    print_results(results)
    return Exit.COULD_NOT_RUN if any(result.severity is Severity.ERROR for result in results) else Exit.OK
