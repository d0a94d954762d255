"""Compares what came of a step with what it expects. A difference names its place, what was expected and what came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import attrs

from carelink.audit.decided import DecidedBody
from carelink.audit.entry import parse_entry
from carelink.engine.outcome import SendOutcome
from carelink.scenario.cast import Play
from carelink.scenario.moments import local, moment
from carelink.scenario.verbs import Result

__all__ = ["Difference", "compare", "kinds_of"]


@attrs.frozen
class Difference:
    """One expectation that was not met."""

    what: str
    expected: str
    got: str


def kinds_of(entries: list[bytes]) -> Counter[str]:
    """How many entries there are of each kind."""
    return Counter(parse_entry(data).kind.value for data in entries)


def compare(play: Play, step: Mapping[str, Any], result: Result, where: str) -> list[Difference]:
    """Every expectation of a step that was not met. A request that ended in an error nobody expected is one as well."""
    expect = step.get("expect", {})
    found = [difference for key, value in expect.items() for difference in _CHECKS[key](play, value, result, where)]
    if result.killed and "killed" not in expect:
        found.append(Difference("killed", "no", "the process was killed"))
    if result.error and "error" not in expect:
        found.append(Difference("error", "none", result.error))
    return found


def _differs(what: str, expected: object, got: object) -> Iterator[Difference]:
    if expected != got:
        yield Difference(what, _shown(expected), _shown(got))


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in sorted(value.items())) or "none"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(sorted(map(str, value))) or "none"
    return "none" if value is None or value == "" else str(value)


def _effect(_: Play, value: str, result: Result, __: str) -> Iterator[Difference]:
    got = {str(outcome.effect.value) for _, outcome in result.asked}
    yield from _differs("effect", {value}, got)


def _codes(result: Result) -> set[str]:
    decisions = [outcome.decision for _, outcome in result.asked]
    return {code.value for decision in decisions if decision is not None for code in decision.codes}


def _reasons(_: Play, value: list[str], result: Result, __: str) -> Iterator[Difference]:
    yield from _differs("reasons", set(value), _codes(result))


def _among(_: Play, value: list[str], result: Result, __: str) -> Iterator[Difference]:
    got = _codes(result)
    if missing := set(value) - got:
        yield Difference("among", _shown(missing), _shown(got))


def _rules(_: Play, value: list[str], result: Result, __: str) -> Iterator[Difference]:
    got = {verdict.rule for _, outcome in result.asked for verdict in outcome.reasons}
    if missing := set(value) - got:
        yield Difference("rules", _shown(missing), _shown(got))


def _earliest(play: Play, value: Any, result: Result, where: str) -> Iterator[Difference]:
    wanted = moment(value, play.true_time, play.zone, f"{where}.expect.earliest")
    decisions = [outcome.decision for _, outcome in result.asked]
    got = {decision.earliest for decision in decisions if decision is not None}
    if got != {wanted}:
        shown = [local(one, play.zone) if one is not None else "never" for one in got]
        yield Difference("earliest", local(wanted, play.zone), _shown(shown))


def _outcome(_: Play, value: str, result: Result, __: str) -> Iterator[Difference]:
    receipts = [outcome.receipt for _, outcome in result.asked if isinstance(outcome, SendOutcome)]
    got = {"none" if one is None or one.outcome is None else one.outcome.value for one in receipts}
    yield from _differs("outcome", {value}, got)


def _role(_: Play, value: str, result: Result, __: str) -> Iterator[Difference]:
    bodies = [parse_entry(data).body for data in result.entries]
    got = {body.facts.role.value for body in bodies if isinstance(body, DecidedBody)}
    yield from _differs("role", {value}, got)


def _channel(_: Play, value: str, result: Result, __: str) -> Iterator[Difference]:
    yield from _differs("channel", {value}, {name for name, _ in result.left})


def _contains(_: Play, value: list[str], result: Result, __: str) -> Iterator[Difference]:
    for text in value:
        if not result.left or any(text not in handed.body for _, handed in result.left):
            yield Difference("contains", text, "a text without it" if result.left else "nothing left")


def _omits(_: Play, value: list[str], result: Result, __: str) -> Iterator[Difference]:
    for text in value:
        if not result.left or any(text in handed.body for _, handed in result.left):
            yield Difference("omits", f"no `{text}`", "a text with it" if result.left else "nothing left")


def _left(_: Play, value: int, result: Result, __: str) -> Iterator[Difference]:
    yield from _differs("left", value, len(result.left))


def _counts(_: Play, value: dict[str, int], result: Result, __: str) -> Iterator[Difference]:
    got: Counter[str] = Counter()
    for _label, outcome in result.asked:
        got[outcome.effect.value] += 1
        if outcome.decision is not None:
            got.update(code.value for code in outcome.decision.codes)
    yield from _differs("counts", dict(value), {key: got[key] for key in {*got, *value}})


def _repeated(_: Play, value: bool, result: Result, __: str) -> Iterator[Difference]:  # noqa: FBT001
    got = {isinstance(outcome, SendOutcome) and outcome.repeated for _, outcome in result.asked}
    yield from _differs("repeated", {value}, got)


def _released(_: Play, value: str, result: Result, __: str) -> Iterator[Difference]:
    receipts = [outcome.receipt for _, outcome in result.asked if isinstance(outcome, SendOutcome)]
    yield from _differs("released", {value}, {"" if one is None else one.released for one in receipts})


def _reply(_: Play, value: str, result: Result, __: str) -> Iterator[Difference]:
    yield from _differs("reply", {value}, {one.reply.value if one.reply is not None else "" for one in result.inbound})


def _actions(_: Play, value: list[str], result: Result, __: str) -> Iterator[Difference]:
    yield from _differs("actions", set(value), {action for one in result.inbound for action in one.actions})


def _findings(_: Play, value: list[str], result: Result, __: str) -> Iterator[Difference]:
    yield from _differs("findings", set(value), set(result.findings))


def _fails_at(_: Play, value: int, result: Result, __: str) -> Iterator[Difference]:
    yield from _differs("fails_at", value, result.fails_at)


def _state(_: Play, value: dict[str, object], result: Result, __: str) -> Iterator[Difference]:
    for key, wanted in value.items():
        yield from _differs(f"state.{key}", wanted, result.state.get(key))


def _killed(_: Play, value: bool, result: Result, __: str) -> Iterator[Difference]:  # noqa: FBT001
    yield from _differs("killed", value, result.killed)


def _error(_: Play, value: str, result: Result, __: str) -> Iterator[Difference]:
    yield from _differs("error", value, result.error)


def _entries(_: Play, value: dict[str, int], result: Result, __: str) -> Iterator[Difference]:
    got = kinds_of(result.entries)
    yield from _differs("entries", {**dict.fromkeys(got, 0), **value}, {key: got[key] for key in {*got, *value}})


_CHECKS: Final[Mapping[str, Callable[[Play, Any, Result, str], Iterator[Difference]]]] = {
    "effect": _effect,
    "reasons": _reasons,
    "among": _among,
    "rules": _rules,
    "earliest": _earliest,
    "outcome": _outcome,
    "role": _role,
    "channel": _channel,
    "contains": _contains,
    "omits": _omits,
    "left": _left,
    "counts": _counts,
    "repeated": _repeated,
    "released": _released,
    "reply": _reply,
    "actions": _actions,
    "findings": _findings,
    "fails_at": _fails_at,
    "state": _state,
    "killed": _killed,
    "error": _error,
    "entries": _entries,
}
