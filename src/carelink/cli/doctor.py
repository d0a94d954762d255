"""`carelink doctor`: deploy-time checks with ids and hints."""

from __future__ import annotations

import argparse
import stat
from collections.abc import Iterator
from pathlib import Path

from carelink.app import CareLink
from carelink.audit.proof import open_checkpoint
from carelink.checks import Check, CheckResult, Severity, run_checks
from carelink.cli.common import console, open_link
from carelink.cli.exit_codes import Exit
from carelink.consent.facts import StoreState
from carelink.vocabulary import Mode

__all__ = ["add", "doctor_results", "print_results", "run"]


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("doctor", help="check this deployment")
    parser.set_defaults(run=run)


def _private(path: Path) -> str:
    loose = [p for p in [path, *path.rglob("*")] if stat.S_IMODE(p.stat().st_mode) & 0o077]
    return f"{len(loose)} of its files can be read by others" if loose else ""


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


def _checks(link: CareLink) -> Iterator[Check]:
    chosen = link.wiring.settings
    yield Check("carelink.E001", "the store is the one the log was published from", lambda: _store_state(link),
                "run `carelink store reconcile`")  # fmt: skip
    yield Check("carelink.E002", "only the owner can read the keys", lambda: _private(chosen.keys), "chmod -R go= it")
    yield Check("carelink.E003", "the key store answers", lambda: "" if link.safe.ready() else "it does not",
                "check the key provider")  # fmt: skip
    yield Check("carelink.E004", "the published head is signed by this log's key", lambda: _head(link),
                "run `carelink audit verify`")  # fmt: skip
    yield Check("carelink.E005", "a policy is in force", lambda: "" if link.policy() is not None else "there is none",
                "run `carelink policy adopt`")  # fmt: skip
    yield Check("carelink.E006", "every route leads to a channel", lambda: _routes(link), "see `routes` in settings")
    for name in sorted(set(chosen.routes.values()) & set(link.channels)):
        yield Check(f"carelink.E007.{name}", f"channel {name} is healthy", lambda name=name: _channel(link, name),
                    "check its settings")  # fmt: skip
    yield Check("carelink.E008", "the wall clock moves with the monotonic clock",
                lambda: "" if link.parts.guard.read()[1] else "it jumped by more than two minutes",
                "check time synchronisation")  # fmt: skip
    yield Check("carelink.W101", "keys lie apart from data", lambda: _apart(link),
                "pass --keys DIR to `init`, on another disk", Severity.WARNING)  # fmt: skip
    yield Check("carelink.W102", "messages leave this machine",
                lambda: "mode is sandbox: nothing leaves" if link.mode() is Mode.SANDBOX else "",
                "`carelink mode team` or `live`", Severity.WARNING)  # fmt: skip


def doctor_results(link: CareLink) -> list[CheckResult]:
    """Run all checks on an open home."""
    return run_checks(_checks(link))


def print_results(results: list[CheckResult]) -> None:
    """One line a finding."""
    for result in results:
        console.print(f"{result.severity.value:<8} {result.id:<28} {result.says}")
        if result.hint and result.severity is not Severity.OK:
            console.print(f"         {'':<28} hint: {result.hint}")


def run(args: argparse.Namespace) -> int:
    """Check and print."""
    with open_link(args) as link:
        results = doctor_results(link)
    print_results(results)
    return Exit.COULD_NOT_RUN if any(result.severity is Severity.ERROR for result in results) else Exit.OK
