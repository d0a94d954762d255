"""`decide(facts, policy) -> Decision`: pure and total. No clock, no zone files, no I/O.

Every rule that applies is asked and every reason reported; the weakest verdict wins; a rule that raises refuses; no
rule at all refuses. The earliest instant is found by asking the same rules at the instants where one may change.
"""

from __future__ import annotations

from typing import Final

import attrs

from carelink.consent.facts import Facts
from carelink.consent.policy import Compiled, Policy
from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Decision, Verdict, weakest
from carelink.model.moment import Instant
from carelink.vocabulary import Effect

__all__ = ["MAX_CANDIDATES", "decide"]

MAX_CANDIDATES: Final = 2000
"""How many instants are tried in search of the earliest one; with more, none is named rather than a late one."""

_NO_POLICY: Final = "0" * 64
_GATE: Final = "CARELINK.GATE"


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
    verdicts = [_ask(compiled, facts, policy) for compiled in rules]
    effect = weakest([verdict.effect for verdict in verdicts])
    if effect is Effect.PERMIT:
        return Decision(effect=effect, at=facts.at, policy=policy.digest, verdicts=tuple(verdicts))
    earliest = _earliest(rules, facts, policy)
    late = facts.ask.useless_after
    if effect is Effect.DEFER and late is not None and (earliest is None or earliest >= late):
        # A DEFER is a promise to decide again; where that could only be too late, it is a refusal.
        verdicts.append(Verdict(rule=_GATE, effect=Effect.REFUSE, reason=ReasonCode.TOO_LATE))
        effect = Effect.REFUSE
    return Decision(effect=effect, at=facts.at, policy=policy.digest, verdicts=tuple(verdicts), earliest=earliest)


def _refusal(at: Instant, digest: str, reason: ReasonCode) -> Decision:
    verdict = Verdict(rule=_GATE, effect=Effect.REFUSE, reason=reason)
    return Decision(effect=Effect.REFUSE, at=at, policy=digest, verdicts=(verdict,))


def _ask(compiled: Compiled, facts: Facts, policy: Policy) -> Verdict:
    if not policy.in_force(compiled.pack, facts.at):
        return Verdict(rule=compiled.rule.id, effect=Effect.REFUSE, reason=ReasonCode.POLICY_NOT_IN_FORCE)
    try:
        verdict = compiled.judge.judge(facts)
    except Exception:  # noqa: BLE001  a rule that raises refuses (P2)
        return Verdict(rule=compiled.rule.id, effect=Effect.REFUSE, reason=ReasonCode.RULE_FAILED)
    return verdict


def _earliest(rules: list[Compiled], facts: Facts, policy: Policy) -> Instant | None:
    """The first instant after this one at which every rule permits, all else equal; None if there is none in sight."""
    candidates: set[Instant] = set()
    try:
        for compiled in rules:
            candidates.update(compiled.judge.boundaries(facts))
            candidates.update((compiled.pack.since, compiled.pack.until))
    except Exception:  # noqa: BLE001  a rule that cannot say when it changes names no instant
        return None
    later = sorted(at for at in candidates if at > facts.at)
    if len(later) > MAX_CANDIDATES:
        return None
    for at in later:
        then = attrs.evolve(facts, at=at)
        if all(_ask(compiled, then, policy).effect is Effect.PERMIT for compiled in rules):
            return at
    return None
