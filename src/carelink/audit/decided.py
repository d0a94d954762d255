"""Bodies of decisions and claims: the facts verbatim, and what the policy in force made of them."""

from __future__ import annotations

from typing import Any, Final, Self

import attrs

from carelink.audit.bodies import Body
from carelink.audit.facts_form import facts_from_json, facts_to_json
from carelink.audit.kinds import Kind
from carelink.audit.schema import CODE, HEX64, INTEGER, REF, RULE, Codec, Form, as_object, bad, choice, items, nested
from carelink.consent.facts import Facts, Known, StoreState
from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Decision, Note, Verdict
from carelink.model.moment import Instant
from carelink.vocabulary import Effect

__all__ = ["ClaimBody", "DecidedBody", "DecisionBody"]

_EFFECT: Final = choice(Effect)["codec"]
_REASON: Final = choice(ReasonCode)["codec"]
_RULE: Final = RULE["codec"]
_INTEGER: Final = INTEGER["codec"]
_CODE: Final = CODE["codec"]
_VERDICT: Final = frozenset({"rule", "effect", "reason"})
_VERDICT_ALLOWED: Final = _VERDICT | {"earliest", "detail"}


def _write_verdict(verdict: Any, field: str) -> object:
    if not isinstance(verdict, Verdict) or verdict.reason is None or verdict.effect is Effect.PERMIT:
        raise bad(field, "holds something that is not a reason")
    found: dict[str, object] = {
        "rule": _RULE.write(verdict.rule, f"{field}.rule"),
        "effect": verdict.effect.value,
        "reason": verdict.reason.value,
    }
    if verdict.earliest is not None:
        found["earliest"] = verdict.earliest
    if verdict.detail:
        found["detail"] = _detail(dict(verdict.detail), f"{field}.detail")
    return found


def _read_verdict(value: object, field: str) -> Verdict:
    found = as_object(value, field, _VERDICT, _VERDICT_ALLOWED)
    effect = _EFFECT.read(found["effect"], f"{field}.effect")
    if effect is Effect.PERMIT:
        raise bad(f"{field}.effect", "is a permit and no reason")
    return Verdict(
        rule=_RULE.read(found["rule"], f"{field}.rule"),
        effect=effect,
        reason=_REASON.read(found["reason"], f"{field}.reason"),
        earliest=_INTEGER.read(found["earliest"], f"{field}.earliest") if "earliest" in found else None,
        detail=tuple(_detail(found["detail"], f"{field}.detail").items()) if "detail" in found else (),
    )


def _detail(value: object, field: str) -> dict[str, int]:
    if not isinstance(value, dict) or not value:
        raise bad(field, "is not an object with fields")
    return {_CODE.read(name, field): _INTEGER.read(value[name], field) for name in sorted(value)}


@attrs.frozen(kw_only=True)
class _NoteForm(Form):
    rule: str = attrs.field(metadata=RULE)
    code: str = attrs.field(metadata=CODE)


def _write_note(note: Any, field: str) -> object:
    if not isinstance(note, Note):
        raise bad(field, "holds something that is not a note")
    return _NoteForm(rule=note.rule, code=note.code).write(field)


def _read_note(value: object, field: str) -> Note:
    found: _NoteForm = _NOTE.read(value, field)
    return Note(rule=found.rule, code=found.code)


def _write_facts(facts: Any, _: str) -> object:
    return facts_to_json(facts)


_NOTE: Final = nested(_NoteForm)["codec"]
_REASONS: Final = items(Codec(_read_verdict, _write_verdict, "verdict").metadata)
_NOTES: Final = items(Codec(_read_note, _write_note, "note").metadata)
_FACTS: Final = Codec(facts_from_json, _write_facts, "facts").metadata


@attrs.frozen(kw_only=True)
class DecidedBody(Body):
    """What decisions and claims have in common.

    Attributes:
        rules: how many rules applied, those that permitted included.
        reasons: the verdicts that did not permit, in conflict order.
        lease: end of the claim, where this commit is the claim.
    """

    request: str = attrs.field(metadata=REF)
    facts: Facts = attrs.field(metadata=_FACTS)
    policy: str = attrs.field(metadata=HEX64)
    effect: Effect = attrs.field(metadata=choice(Effect))
    rules: int = attrs.field(metadata=INTEGER)
    reasons: tuple[Verdict, ...] = attrs.field(metadata=_REASONS)
    earliest: Instant | None = attrs.field(default=None, metadata=INTEGER)
    notes: tuple[Note, ...] = attrs.field(default=(), metadata=_NOTES)
    lease: Instant | None = attrs.field(default=None, metadata=INTEGER)

    @property
    def unknowing(self) -> bool:
        """Whether a restored backup refused what it does not know. That never permits, and says nothing about what had
        become of the request: the entry moved behind others when the store was reconciled (ADR 0018).
        """
        return self.effect is not Effect.PERMIT and self.facts.store == Known(StoreState.RESTORED)

    @classmethod
    def of(cls, made: Decision, /, **fields: Any) -> Self:
        """The body for what the gate just decided; `fields` are those that the decision does not hold."""
        return cls(
            policy=made.policy,
            effect=made.effect,
            rules=len(made.verdicts),
            reasons=made.reasons,
            earliest=made.earliest,
            notes=made.notes,
            **fields,
        )


@attrs.frozen(kw_only=True)
class DecisionBody(DecidedBody):
    """A decision. A permit names the reservation it holds and when it ends unclaimed."""

    kind = Kind.DECISION
    decision: str = attrs.field(metadata=REF)
    reservation: str | None = attrs.field(default=None, metadata=REF)
    expires: Instant | None = attrs.field(default=None, metadata=INTEGER)

    def check(self, field: str) -> None:
        """Exactly a permit has a reservation with an end, and nothing else can be claimed."""
        permit = self.effect is Effect.PERMIT
        if (self.reservation is not None) is not permit or (self.expires is not None) is not permit:
            raise bad(f"{field}.reservation", "and `expires` stand exactly on a permit")
        if self.lease is not None and not permit:
            raise bad(f"{field}.lease", "stands only on a permit")


@attrs.frozen(kw_only=True)
class ClaimBody(DecidedBody):
    """A held permit decided again just before its hand-over."""

    kind = Kind.CLAIM
    claim: str = attrs.field(metadata=REF)
    reservation: str = attrs.field(metadata=REF)

    def check(self, field: str) -> None:
        """Exactly a permit is a claim with a lease."""
        if (self.lease is not None) is not (self.effect is Effect.PERMIT):
            raise bad(f"{field}.lease", "stands exactly on a permit")
