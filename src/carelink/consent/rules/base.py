"""What every rule kind is: parameters read strictly, a verdict from facts, and the instants at which it may change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import time
from typing import Any, Final, Protocol, TypeVar

from carelink.consent.facts import Absent, Fact, Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Verdict
from carelink.errors import InvalidInputError, PolicyError
from carelink.model.moment import Instant, Micros, parse_duration
from carelink.vocabulary import Effect

__all__ = ["Judge", "Params", "absent", "defer", "permit", "refuse"]

T = TypeVar("T")


class Judge(Protocol):
    """A rule kind with its parameters."""

    def judge(self, facts: Facts) -> Verdict:
        """The verdict on these facts. Pure. May raise: the gate then refuses."""

    def boundaries(self, facts: Facts) -> Iterable[Instant]:
        """Instants after `facts.at` at which the verdict may change, all else equal; each begins an interval that
        is closed on the left.
        """


class Params:
    """Reads a rule's parameters; what is missing, surplus or malformed is a PolicyError that names rule and key."""

    def __init__(self, rule: str, values: Mapping[str, Any], allowed: set[str]) -> None:
        self._rule, self._values = rule, values
        if surplus := sorted(set(values) - allowed):
            raise self.fail(f"`params.{surplus[0]}` is not known")

    def fail(self, what: str) -> PolicyError:
        return PolicyError(f"rule `{self._rule}`: {what}", hint="see docs/reference/pack.md")

    def number(self, key: str, default: int | None = None) -> int:
        value = self._values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.fail(f"`params.{key}` is not a number from 0")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.fail(f"`params.{key}` is not true or false")
        return value

    def word(self, key: str, words: tuple[str, ...], default: str | None = None) -> str:
        value = self._values.get(key, default)
        if value not in words:
            raise self.fail(f"`params.{key}` is none of {', '.join(words)}")
        return str(value)

    def words(self, key: str, allowed: Iterable[str], default: tuple[str, ...] | None) -> tuple[str, ...] | None:
        value = self._values.get(key)
        if value is None:
            return default
        known = set(allowed)
        if not isinstance(value, list) or not value or any(item not in known for item in value):
            raise self.fail(f"`params.{key}` is not a list of known words")
        return tuple(value)

    def length(self, key: str, *, optional: bool = False) -> Micros | None:
        value = self._values.get(key)
        if value is None and optional:
            return None
        found: Micros | None = None
        if isinstance(value, str):
            try:
                found = parse_duration(value)
            except InvalidInputError:
                found = None
        if found is None or found <= 0:
            raise self.fail(f"`params.{key}` is not a duration like P30D or PT12H")
        return found

    def clock(self, key: str) -> int:
        """Seconds after local midnight of an HH:MM time."""
        value = self._values.get(key)
        found: time | None = value if isinstance(value, time) else None
        if isinstance(value, str):
            try:
                found = time.fromisoformat(value)
            except ValueError:
                found = None
        if found is None or found.tzinfo is not None or found.second or found.microsecond:
            raise self.fail(f"`params.{key}` is not a local time like 08:00")
        return found.hour * 3600 + found.minute * 60


_ABSENT: Final = {Absent.UNKNOWN: ReasonCode.FACT_UNKNOWN, Absent.STALE: ReasonCode.FACT_STALE}


def permit(rule: str) -> Verdict:
    """The rule has nothing against it."""
    return Verdict(rule=rule, effect=Effect.PERMIT)


def refuse(rule: str, reason: ReasonCode, earliest: Instant | None = None, **detail: int) -> Verdict:
    """The rule refuses."""
    return Verdict(
        rule=rule, effect=Effect.REFUSE, reason=reason, earliest=earliest, detail=tuple(sorted(detail.items()))
    )


def defer(rule: str, reason: ReasonCode, earliest: Instant | None = None, **detail: int) -> Verdict:
    """The rule wants it decided again later."""
    return Verdict(
        rule=rule, effect=Effect.DEFER, reason=reason, earliest=earliest, detail=tuple(sorted(detail.items()))
    )


def absent(rule: str, fact: Fact[T], unknown: ReasonCode = ReasonCode.FACT_UNKNOWN) -> Verdict | None:
    """The refusal for a fact that could not be read; None when it is known."""
    if isinstance(fact, Known):
        return None
    code = _ABSENT[fact] if fact is Absent.STALE else unknown
    return refuse(rule, code)
