"""What every rule kind is: parameters read strictly; a verdict from facts that says when time alone would cure it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import time
from functools import lru_cache
from typing import Any, Final, Protocol

from carelink.consent.facts import Absent, Fact, Facts, Known
from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Verdict
from carelink.errors import InvalidInputError, PolicyError
from carelink.model.moment import DAY, SECOND, Instant, Micros, parse_duration
from carelink.vocabulary import Effect

__all__ = ["MAX_LENGTH", "MAX_NUMBER", "Judge", "Params", "absent", "defer", "permit", "refuse"]

MAX_LENGTH: Final = Micros(3660 * DAY)
"""Longest duration in a pack: ten years. Instants computed from it stay within what the log can hold."""

MAX_NUMBER: Final = 1_000_000
"""Largest number in a pack."""

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}", re.ASCII)
_CLOCK: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)


class Judge(Protocol):
    """A rule kind with its parameters."""

    def judge(self, facts: Facts) -> Verdict:
        """The verdict on these facts. Pure. May raise: the gate then refuses.

        `earliest` of a verdict that does not permit is the first instant after `facts.at` at which this rule alone
        would permit, all else equal; absent where there is none, or none that the facts show.
        """


class Params:
    """Reads a rule's parameters; what is missing, surplus or malformed is a PolicyError that names rule and key."""

    def __init__(self, rule: str, values: Mapping[str, Any], allowed: set[str]) -> None:
        self._rule, self._values = rule, values
        if surplus := sorted(set(values) - allowed):
            raise self.fail(f"`params.{surplus[0]}` is not known")

    def fail(self, what: str) -> PolicyError:
        """The error to raise for this rule."""
        return PolicyError(f"rule `{self._rule}`: {what}", hint="see docs/reference/pack.md")

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number from 0 to `MAX_NUMBER`."""
        value = self._values.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
            raise self.fail(f"`params.{key}` is not a number from 0 to {MAX_NUMBER}")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self.fail(f"`params.{key}` is not true or false")
        return value

    def word(self, key: str, words: tuple[str, ...], default: str | None = None) -> str:
        """One of a few words."""
        value = self._values.get(key, default)
        if value not in words:
            raise self.fail(f"`params.{key}` is none of {', '.join(words)}")
        return str(value)

    def words(self, key: str, allowed: Iterable[str], default: tuple[str, ...]) -> tuple[str, ...]:
        """A list of known words, not empty; the default where the key is left out."""
        value = self._values.get(key)
        if value is None:
            return default
        known = tuple(allowed)
        if not isinstance(value, list) or not value or any(item not in known for item in value):
            raise self.fail(f"`params.{key}` is not a list of known words")
        return tuple(value)

    def codes(self, key: str, *, one: bool = False) -> tuple[str, ...]:
        """A list of codes, or with `one` a single one; empty where the key is left out."""
        value = self._values.get(key)
        if value is None:
            return ()
        found = [value] if one else value
        if not isinstance(found, list) or not all(isinstance(item, str) and _CODE.fullmatch(item) for item in found):
            raise self.fail(f"`params.{key}` is not {'a code' if one else 'a list of codes'}")
        if not found or len(set(found)) != len(found):
            raise self.fail(f"`params.{key}` is empty or names a code twice")
        return tuple(found)

    def length(self, key: str) -> Micros:
        """A duration of whole seconds, at most `MAX_LENGTH`."""
        value = self._values.get(key)
        found: Micros | None = None
        if isinstance(value, str):
            try:
                found = parse_duration(value)
            except InvalidInputError:
                found = None
        if found is None or not SECOND <= found <= MAX_LENGTH:
            raise self.fail(f"`params.{key}` is not a duration like P30D or PT12H of at most ten years")
        return found

    def length_if_any(self, key: str) -> Micros | None:
        """As `length`; None where the key is left out."""
        return self.length(key) if key in self._values else None

    def clock(self, key: str) -> int:
        """Seconds after local midnight of an HH:MM time, written as text or as TOML's local time."""
        value = self._values.get(key)
        text = value.isoformat("auto").removesuffix(":00") if isinstance(value, time) else value
        found = _CLOCK.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            raise self.fail(f"`params.{key}` is not a local time like 08:00")
        return int(found[1]) * 3600 + int(found[2]) * 60


@lru_cache(maxsize=4096)
def permit(rule: str) -> Verdict:
    """The rule has nothing against it. Most verdicts are this one, and it cannot change: each rule has one."""
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


def absent(rule: str, fact: Fact[object], unknown: ReasonCode = ReasonCode.FACT_UNKNOWN) -> Verdict | None:
    """The refusal for a fact that could not be read; None when it is known."""
    if isinstance(fact, Known):
        return None
    return refuse(rule, unknown if fact is Absent.UNKNOWN else ReasonCode.FACT_STALE)
