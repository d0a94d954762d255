"""`decide(facts, policy) -> Decision`: pure and total. No clock, no zone files, no I/O.

Every rule that applies is asked and every reason reported; the weakest verdict wins; a rule that raises refuses; no
rule at all refuses; a fact that is UNKNOWN or STALE refuses even where no rule looked at it. The earliest instant is
found by going from the instant that the rules name to the next one, until all of them permit.
"""

from __future__ import annotations

from typing import Final

import attrs

from carelink.consent.facts import Absent, Facts, absences
from carelink.consent.policy import Compiled, Policy
from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Decision, Verdict, weakest
from carelink.model.moment import Instant
from carelink.vocabulary import Effect

__all__ = ["MAX_STEPS", "decide"]

MAX_STEPS: Final = 200
"""How many instants are tried in search of the earliest one; after that none is named rather than a late one."""

_NO_POLICY: Final = "0" * 64
_GATE: Final = "CARELINK.GATE"
_FACT: Final = "CARELINK.FACT."
_UNKNOWN: Final = {
    "age": ReasonCode.AGE_UNKNOWN,
    "contact": ReasonCode.CONTACT_MISSING,
    "content": ReasonCode.CONTENT_UNREVIEWED,
    "zones": ReasonCode.ZONE_UNKNOWN,
}


def decide(facts: Facts, policy: Policy | None) -> Decision:
    """Decide one request on these facts under this policy."""
    if policy is None:
        return _refusal(facts.at, _NO_POLICY, ReasonCode.POLICY_MISSING)
    try:
        rules = policy.applying(facts)
    except Exception:  # noqa: BLE001  total: whatever is wrong with the facts refuses
        return _refusal(facts.at, policy.digest, ReasonCode.RULE_FAILED)
    if not rules:
        return _refusal(facts.at, policy.digest, ReasonCode.POLICY_MISSING)
    verdicts = [_ask(compiled, facts) for compiled in rules]
    effect = weakest([verdict.effect for verdict in verdicts])
    missing = absences(facts)
    if missing and effect is not Effect.REFUSE:
        # P2 holds whatever the packs look at.
        verdicts += [_absent(name, fact) for name, fact in missing]
        effect = Effect.REFUSE
    if effect is Effect.PERMIT:
        return Decision(effect=effect, at=facts.at, policy=policy.digest, verdicts=tuple(verdicts))
    late = facts.ask.useless_after if effect is Effect.DEFER else None
    bound, found = _first_passing(rules, verdicts, facts, whole=late is not None)
    if late is not None and bound >= late:
        # A DEFER is a promise to decide again; where that could only be too late, it is a refusal.
        verdicts.append(Verdict(rule=_GATE, effect=Effect.REFUSE, reason=ReasonCode.TOO_LATE))
        effect, found = Effect.REFUSE, False
    return Decision(
        effect=effect,
        at=facts.at,
        policy=policy.digest,
        verdicts=tuple(verdicts),
        earliest=bound if found and not missing else None,
    )


def _refusal(at: Instant, digest: str, reason: ReasonCode) -> Decision:
    verdict = Verdict(rule=_GATE, effect=Effect.REFUSE, reason=reason)
    return Decision(effect=Effect.REFUSE, at=at, policy=digest, verdicts=(verdict,))


def _absent(name: str, fact: Absent) -> Verdict:
    reason = ReasonCode.FACT_STALE if fact is Absent.STALE else _UNKNOWN.get(name, ReasonCode.FACT_UNKNOWN)
    return Verdict(rule=_FACT + name.upper(), effect=Effect.REFUSE, reason=reason)


def _ask(compiled: Compiled, facts: Facts) -> Verdict:
    """One rule's verdict. Outside the dates of its pack it refuses, and what it says of a later instant ends there."""
    pack, rule = compiled.pack, compiled.rule.id
    if facts.at >= pack.until:
        return Verdict(rule=rule, effect=Effect.REFUSE, reason=ReasonCode.POLICY_NOT_IN_FORCE)
    if facts.at < pack.since:
        then = _ask(compiled, attrs.evolve(facts, at=pack.since))
        earliest = pack.since if then.effect is Effect.PERMIT else then.earliest
        return Verdict(rule=rule, effect=Effect.REFUSE, reason=ReasonCode.POLICY_NOT_IN_FORCE, earliest=earliest)
    try:
        verdict = compiled.judge.judge(facts)
    except Exception:  # noqa: BLE001  a rule that raises refuses (P2)
        return Verdict(rule=rule, effect=Effect.REFUSE, reason=ReasonCode.RULE_FAILED)
    if verdict.earliest is not None and verdict.earliest >= pack.until:
        return attrs.evolve(verdict, earliest=None)
    return verdict


def _first_passing(
    rules: list[Compiled], verdicts: list[Verdict], facts: Facts, *, whole: bool
) -> tuple[Instant, bool]:
    """The first instant at which every rule permits, all else equal, and True; else False and, if the `whole` search is
    wanted, an instant before which certainly none does (an outage may be over at any).
    """
    at, found = facts.at, True
    for _ in range(MAX_STEPS):
        failed = [verdict for verdict in verdicts if verdict.effect is not Effect.PERMIT]
        found = found and all(verdict.earliest is not None for verdict in failed)
        later = max([at, *(verdict.earliest for verdict in failed if verdict.earliest is not None)])
        if later == at or not (found or whole):
            return at, found
        at = later
        then = attrs.evolve(facts, at=at)
        verdicts = [_ask(compiled, then) for compiled in rules]
    return at, False
