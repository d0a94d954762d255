"""Kind `time_window`: the caller's own window, half open."""

from __future__ import annotations

import pytest

from carelink.consent.reasons import ReasonCode
from carelink.testing.strategies import NOW
from carelink.vocabulary import Effect


@pytest.mark.parametrize(
    ("early", "late", "effect", "reason"),
    [
        (None, None, Effect.PERMIT, None),
        (NOW, None, Effect.PERMIT, None),
        (NOW + 1, None, Effect.DEFER, ReasonCode.TOO_EARLY),
        (None, NOW + 1, Effect.PERMIT, None),
        (None, NOW, Effect.REFUSE, ReasonCode.TOO_LATE),
        (NOW + 1, NOW + 2, Effect.DEFER, ReasonCode.TOO_EARLY),
        (NOW + 2, NOW + 2, Effect.REFUSE, ReasonCode.TOO_LATE),
        (NOW + 3, NOW + 2, Effect.REFUSE, ReasonCode.TOO_LATE),
        (NOW - 3, NOW - 2, Effect.REFUSE, ReasonCode.TOO_LATE),
        (NOW - 3, NOW + 2, Effect.PERMIT, None),
    ],
)
def test_time_window(judge, good, early, late, effect, reason):
    verdict = judge("time_window", good(not_before=early, useless_after=late))
    assert (verdict.effect, verdict.reason) == (effect, reason)
    assert verdict.earliest == (early if effect is Effect.DEFER else None)
