"""Verdicts and decisions: the weakest effect wins, reasons come in conflict order, nothing has a truth value."""

from __future__ import annotations

from itertools import product

import pytest

from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Decision, Verdict, weakest
from carelink.vocabulary import Effect

PERMIT, DEFER, REFUSE = Effect.PERMIT, Effect.DEFER, Effect.REFUSE


def test_weakest():
    assert weakest([]) is REFUSE
    for effects in product(Effect, repeat=3):
        expected = REFUSE if REFUSE in effects else DEFER if DEFER in effects else PERMIT
        assert weakest(list(effects)) is expected


def verdict(rule, reason, effect=REFUSE):
    return Verdict(rule=rule, effect=effect, reason=reason)


def decision(*verdicts):
    return Decision(effect=REFUSE, at=0, policy="f" * 64, verdicts=verdicts)


def test_reasons_come_in_conflict_order_then_by_rule():
    made = decision(
        verdict("Z", ReasonCode.QUIET_HOURS, DEFER),
        verdict("M", None, PERMIT),
        verdict("B", ReasonCode.NO_CONSENT),
        verdict("A", ReasonCode.NO_CONSENT),
        verdict("Y", ReasonCode.SUPPRESSED),
    )
    assert [reason.rule for reason in made.reasons] == ["Y", "A", "B", "Z"]
    assert made.codes == (ReasonCode.SUPPRESSED, ReasonCode.NO_CONSENT, ReasonCode.QUIET_HOURS)


def test_the_conflict_order_is_that_of_the_list():
    # Compliance 4.2: suppression and death, then guardians, consent, content, caps, time.
    order = [
        ReasonCode.SUBJECT_DECEASED, ReasonCode.SUPPRESSED, ReasonCode.GUARDIAN_REQUIRED, ReasonCode.NO_CONSENT,
        ReasonCode.CONTENT_UNREVIEWED, ReasonCode.CAP_EXCEEDED, ReasonCode.QUIET_HOURS,
    ]  # fmt: skip
    assert sorted(order, key=lambda code: code.rank) == order
    assert [code.rank for code in ReasonCode] == list(range(len(ReasonCode)))


@pytest.mark.parametrize("thing", [verdict("A", None, PERMIT), decision()])
def test_nothing_has_a_truth_value(thing):
    with pytest.raises(TypeError, match="truth value"):
        bool(thing)
