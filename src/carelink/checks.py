"""Deploy-time checks: each has an id, a finding in one sentence, and a hint. `carelink doctor` runs them all."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum, unique

import attrs

from carelink.errors import CarelinkError

__all__ = ["Check", "CheckResult", "Severity", "run_checks"]


@unique
class Severity(Enum):
    """ERROR keeps a deployment out of live mode; WARNING does not."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen(kw_only=True)
class CheckResult:
    """One finding. `id` is stable: `carelink.E001`."""

    id: str
    severity: Severity
    says: str
    hint: str = ""


@attrs.frozen
class Check:
    """A check: its id, what it looks at, and the question. The question returns a complaint, or "" when all is well;
    raising is a complaint too.
    """

    id: str
    looks_at: str
    ask: Callable[[], str]
    hint: str = ""
    severity: Severity = Severity.ERROR


def run_checks(checks: Iterable[Check]) -> list[CheckResult]:
    """Run every check; one that breaks is a finding, not an end."""
    results = []
    for check in checks:
        try:
            complaint = check.ask()
        except CarelinkError as error:
            complaint = f"{error.code}: {error.message}"
        except OSError as error:
            complaint = f"the system refused: {error.strerror or type(error).__name__}"
        except Exception as error:  # noqa: BLE001  a plugin's probe may raise anything; its text may hold anything
            complaint = f"it broke: {type(error).__name__}"
        if complaint:
            results.append(CheckResult(id=check.id, severity=check.severity, says=complaint, hint=check.hint))
        else:
            results.append(CheckResult(id=check.id, severity=Severity.OK, says=check.looks_at))
    return results
