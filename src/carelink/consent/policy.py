"""A policy: packs composed by meet. All rules of all packs hold; adding a pack can only narrow (P10)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import attrs

from carelink.consent.facts import Facts
from carelink.consent.pack import Pack, Rule, When, parse_pack
from carelink.consent.rules import COUNTING, KINDS
from carelink.consent.rules.base import Judge
from carelink.consent.rules.working_days import WorkingDays
from carelink.errors import PolicyError
from carelink.model.moment import Micros, parse_duration

__all__ = ["BASELINE", "Compiled", "Policy"]

BASELINE: Final = "baseline"
"""Id of the pack without which there is no policy: what every deployment refuses."""

_FLOOR: Final = ("gate", "reach", "subject", "contact", "suppression", "content", "time_window", "veto")
_ALSO: Final = ("grant", "guardian", "disclosure")

_LOOKING_BACK: Final = COUNTING | {("duplicate", 1)}


@attrs.frozen
class Compiled:
    """A rule, its pack, and its kind with parameters read."""

    pack: Pack
    rule: Rule
    judge: Judge


@attrs.frozen
class Policy:
    """Composed packs.

    Attributes:
        packs: ascending by id.
        digest: SHA-256 over the sorted lines `id version digest`, 64 hex digits.
        rules: compiled, in the order of packs and of rules within them.
        horizon: the longest history that a rule looks back on.
        calendars: ids of the calendars that a rule asks for.
    """

    packs: tuple[Pack, ...]
    digest: str
    rules: tuple[Compiled, ...] = attrs.field(repr=False)
    horizon: Micros
    calendars: tuple[str, ...] = ()
    _applying: dict[tuple[object, ...], list[Compiled]] = attrs.field(factory=dict, init=False, eq=False, repr=False)

    @classmethod
    def from_bytes(cls, packs: Iterable[bytes]) -> Policy:
        """Read and compose.

        Raises:
            PolicyError: as for `parse_pack` and `compose`.
        """
        return cls.compose([parse_pack(data) for data in packs])

    @classmethod
    def compose(cls, packs: Iterable[Pack]) -> Policy:
        """Compose packs.

        Raises:
            PolicyError: the baseline is missing or lacks a rule that no deployment goes without, a pack or rule id
                stands twice, a rule kind or its version is unknown, or a parameter is malformed.
        """
        chosen = tuple(sorted(packs, key=lambda pack: pack.id))
        ids = [pack.id for pack in chosen]
        if BASELINE not in ids:
            raise PolicyError(
                "a policy contains the pack `baseline`", hint="add it: every deployment refuses what it refuses"
            )
        if len(set(ids)) != len(ids):
            raise PolicyError("a pack stands twice in the policy")
        _check_floor(next(pack for pack in chosen if pack.id == BASELINE))
        rules = [_compile(pack, rule) for pack in chosen for rule in pack.rules]
        names = [compiled.rule.id for compiled in rules]
        if len(set(names)) != len(names):
            raise PolicyError("a rule id stands in two packs")
        lines = "\n".join(f"{pack.id} {pack.version} {pack.digest}" for pack in chosen)
        digest = hashlib.sha256(b"carelink/policy/v1\n" + lines.encode()).hexdigest()
        return cls(chosen, digest, tuple(rules), _horizon(rules), _calendars(rules))

    def applying(self, facts: Facts) -> list[Compiled]:
        """The rules that speak of this request. They follow from a few closed words: each choice is made once."""
        ask = facts.ask
        key = (ask.purpose, ask.channel_kind, facts.role, ask.automated, bool(ask.plan), facts.stage)
        found = self._applying.get(key)
        if found is None:
            found = [compiled for compiled in self.rules if compiled.rule.when.applies(facts)]
            self._applying[key] = found
        return found


def _check_floor(baseline: Pack) -> None:
    """A pack that only calls itself the baseline would turn the gate off; no number of approvers can want that."""
    whole = {rule.kind for rule in baseline.rules if rule.when == When()}
    lacking = [kind for kind in _FLOOR if kind not in whole]
    lacking += [kind for kind in _ALSO if kind not in {rule.kind for rule in baseline.rules}]
    if lacking:
        raise PolicyError(
            f"the pack `{BASELINE}` has no rule of kind `{lacking[0]}` for every request",
            hint="use the bundled baseline; rules of your own go into a pack of your own",
        )


def _compile(pack: Pack, rule: Rule) -> Compiled:
    kind = (rule.kind, rule.kind_version)
    make = KINDS.get(kind)
    if make is None:
        raise PolicyError(
            f"pack `{pack.id}`, rule `{rule.id}`: kind `{rule.kind}` version {rule.kind_version} is not known",
            hint="a newer carelink may know it",
        )
    params = dict(rule.params)
    judge = make(rule.id, params, rule.when.purposes) if kind in COUNTING else make(rule.id, params)
    return Compiled(pack, rule, judge)


def _calendars(rules: list[Compiled]) -> tuple[str, ...]:
    return tuple(sorted({rule.judge.calendar for rule in rules if isinstance(rule.judge, WorkingDays)}))


def _horizon(rules: list[Compiled]) -> Micros:
    lengths = [
        parse_duration(compiled.rule.params[key])
        for compiled in rules
        for key in ("window", "gap", "within")
        if (compiled.rule.kind, compiled.rule.kind_version) in _LOOKING_BACK and key in compiled.rule.params
    ]
    return Micros(max(lengths, default=Micros(0)))
