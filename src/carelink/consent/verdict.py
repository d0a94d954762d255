"""What one rule says (a verdict) and what the gate says (a decision). Neither has a truth value."""

from __future__ import annotations

from typing import Final, NoReturn

import attrs

from carelink.consent.reasons import ReasonCode
from carelink.model.moment import Instant
from carelink.vocabulary import Effect

__all__ = ["Decision", "Note", "Verdict", "weakest"]

_WEAKEST_FIRST: Final = (Effect.REFUSE, Effect.DEFER, Effect.PERMIT)


def weakest(effects: list[Effect]) -> Effect:
    """The weakest of the effects; REFUSE if there are none, since nobody permitted."""
    return next((effect for effect in _WEAKEST_FIRST if effect in effects), Effect.REFUSE)


@attrs.frozen(kw_only=True)
class Verdict:
    """One rule's effect.

    Attributes:
        rule: id of the rule in its pack, for example `HD.CAP.MARKETING.30D`.
        effect: what this rule alone says.
        reason: why not; absent exactly when the effect is PERMIT.
        earliest: from this instant this rule alone would permit, if time alone can cure it.
        detail: small integers that explain the reason (`count`, `max`, ...), sorted by name.
    """

    rule: str
    effect: Effect
    reason: ReasonCode | None = None
    earliest: Instant | None = None
    detail: tuple[tuple[str, int], ...] = ()

    def __bool__(self) -> NoReturn:
        raise TypeError("a verdict has no truth value: compare its effect")


def _reason(verdict: Verdict) -> ReasonCode:
    assert verdict.reason is not None
    return verdict.reason


def _place(verdict: Verdict) -> tuple[int, str]:
    return _reason(verdict).rank, verdict.rule


@attrs.frozen(kw_only=True)
class Note:
    """An annotation: a rule wishes to have said something. Not an effect."""

    rule: str
    code: str


@attrs.frozen(kw_only=True)
class Decision:
    """The gate's answer: the weakest verdict, with every verdict that led to it.

    Attributes:
        effect: PERMIT, DEFER or REFUSE.
        at: decision instant.
        policy: digest (64 hex digits) of the policy it was decided under.
        verdicts: one for each rule that applied, in the order of the policy.
        earliest: the first instant at which, all else unchanged, the effect would be PERMIT; absent on
            PERMIT and where time alone does not cure it within the horizon of the facts.
        notes: annotations.
    """

    effect: Effect
    at: Instant
    policy: str
    verdicts: tuple[Verdict, ...]
    earliest: Instant | None = None
    notes: tuple[Note, ...] = ()

    @property
    def reasons(self) -> tuple[Verdict, ...]:
        """The verdicts that did not permit, in conflict order (then by rule id)."""
        return tuple(sorted((v for v in self.verdicts if v.reason is not None), key=_place))

    @property
    def codes(self) -> tuple[ReasonCode, ...]:
        """Reason codes in conflict order, each once."""
        return tuple(dict.fromkeys(map(_reason, self.reasons)))

    def __bool__(self) -> NoReturn:
        raise TypeError("a decision has no truth value: match on its effect")
