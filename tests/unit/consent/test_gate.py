"""Kind `gate`: whatever of clock, store and keys is in doubt stops everything."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, ClockState, Known, StoreState
from carelink.consent.reasons import ReasonCode
from carelink.errors import PolicyError
from carelink.vocabulary import Effect


@pytest.mark.parametrize(
    ("change", "effect", "reason"),
    [
        ({}, Effect.PERMIT, None),
        ({"store": Known(StoreState.RESTORED)}, Effect.REFUSE, ReasonCode.STORE_RESTORED),
        ({"store": Known(StoreState.UNPUBLISHED)}, Effect.DEFER, ReasonCode.LOG_UNPUBLISHED),
        ({"clock": Known(ClockState.UNTRUSTED)}, Effect.DEFER, ReasonCode.CLOCK_UNTRUSTED),
        ({"keys_available": Known(value=False)}, Effect.DEFER, ReasonCode.KEYS_UNAVAILABLE),
        (
            {"store": Known(StoreState.RESTORED), "clock": Known(ClockState.UNTRUSTED)},
            Effect.REFUSE,
            ReasonCode.STORE_RESTORED,
        ),
        ({"store": Absent.UNKNOWN}, Effect.REFUSE, ReasonCode.FACT_UNKNOWN),
        ({"clock": Absent.STALE}, Effect.REFUSE, ReasonCode.FACT_STALE),
        ({"keys_available": Absent.UNKNOWN}, Effect.REFUSE, ReasonCode.FACT_UNKNOWN),
    ],
)
def test_gate(judge, good, change, effect, reason):
    verdict = judge("gate", good(**change))
    assert (verdict.effect, verdict.reason, verdict.earliest) == (effect, reason, None)


@pytest.mark.parametrize(
    "kind", ["gate", "reach", "subject", "suppression", "disclosure", "time_window", "veto", "minors_marketing"]
)
def test_kinds_without_parameters_take_none(judge, good, kind):
    assert judge(kind, good()).effect is Effect.PERMIT
    with pytest.raises(PolicyError, match=r"params\.lax"):
        judge(kind, good(), lax=True)
