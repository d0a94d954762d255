"""Trial of a pack: every fixture decided under the baseline and the pack, and again with each rule taken out.

A trial decides about invented requests only; nothing it makes can be sent.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from carelink.consent.decide import decide
from carelink.consent.pack import Pack
from carelink.consent.policy import BASELINE, Policy
from carelink.packs.fixtures import Fixture, Fixtures
from carelink.vocabulary import Effect

__all__ = ["Failure", "Trial", "try_pack"]

_SILENT = "silent"


@attrs.frozen(kw_only=True)
class Failure:
    """A fixture whose rule said something else, or a rule that its fixtures do not hold.

    Attributes:
        rule: its id.
        title: of the fixture; what is wanted, where no fixture is at fault.
        expected, got: effect, and reason code where there is one.
    """

    rule: str
    title: str
    expected: str
    got: str


@attrs.frozen(kw_only=True)
class Trial:
    """What came of a pack's fixtures.

    Attributes:
        fixtures, distinct: how many there are, and how many when those that differ in numbers only count once.
        rules: how many rules the pack has.
        failures: fixtures that failed.
        unheld: rules without a fixture that refuses or defers and one that passes, and rules that could be
            deleted without any of their own fixtures failing.
    """

    pack: str
    fixtures: int
    distinct: int
    rules: int
    failures: tuple[Failure, ...]
    unheld: tuple[Failure, ...]

    @property
    def passed(self) -> bool:
        """Whether every fixture and every rule is as it should be."""
        return not (self.failures or self.unheld)


def try_pack(pack: Pack, fixtures: Fixtures, baseline: Pack) -> Trial:
    """Run the fixtures of a pack.

    Raises:
        PolicyError: the pack cannot be composed with the baseline.
    """
    rules = [rule.id for rule in pack.rules]
    policy = _compose(pack, baseline)
    failures = [failure for one in fixtures.items if (failure := _failure(one, policy, rules)) is not None]
    unheld: list[Failure] = []
    for rule in rules:
        own = [one for one in fixtures.items if one.rule == rule]
        if not any(one.expect in (Effect.REFUSE.value, Effect.DEFER.value) for one in own):
            unheld.append(Failure(rule=rule, title="a fixture that it refuses or defers", expected="one", got="none"))
        if not any(one.expect in (Effect.PERMIT.value, _SILENT) for one in own):
            unheld.append(Failure(rule=rule, title="a fixture that passes it", expected="one", got="none"))
        if own and not _held(rule, own, pack, baseline):
            unheld.append(Failure(rule=rule, title="deleting it fails a fixture of its own", expected="yes", got="no"))
    return Trial(
        pack=pack.id,
        fixtures=len(fixtures.items),
        distinct=fixtures.distinct,
        rules=len(rules),
        failures=tuple(failures),
        unheld=tuple(unheld),
    )


def _compose(pack: Pack, baseline: Pack) -> Policy:
    return Policy.compose([pack] if pack.id == BASELINE else [baseline, pack])


def _held(rule: str, own: Iterable[Fixture], pack: Pack, baseline: Pack) -> bool:
    """Whether some fixture of a rule fails once the rule is deleted. The baseline is not a policy without all of its
    rules (ADR 0021); there the rule is taken out of what was composed.
    """
    if pack.id == BASELINE:
        whole = _compose(pack, baseline)
        without = attrs.evolve(whole, rules=tuple(one for one in whole.rules if one.rule.id != rule))
    else:
        kept = tuple(one for one in pack.rules if one.id != rule)
        without = _compose(attrs.evolve(pack, rules=kept), baseline)
    return any(_failure(one, without, [rule]) is not None for one in own)


def _failure(fixture: Fixture, policy: Policy, rules: Iterable[str]) -> Failure | None:
    """What is wrong with the verdict of the fixture's own rule within the whole decision."""
    expected = fixture.expect if fixture.code is None else f"{fixture.expect} {fixture.code.value}"
    if fixture.rule not in rules:
        return Failure(rule=fixture.rule, title=fixture.title, expected=expected, got="no such rule in the pack")
    found = [verdict for verdict in decide(fixture.facts, policy).verdicts if verdict.rule == fixture.rule]
    effect = found[0].effect.value if found else _SILENT
    reason = found[0].reason if found else None
    if effect == fixture.expect and fixture.code in (None, reason):
        return None
    got = effect if reason is None else f"{effect} {reason.value}"
    return Failure(rule=fixture.rule, title=fixture.title, expected=expected, got=got)
