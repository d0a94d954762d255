"""Kind `reach`: sandbox keeps on the machine, team to its list, and a channel out of order defers."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, ChannelFact, Known
from carelink.consent.reasons import ReasonCode
from carelink.vocabulary import Effect, Mode


@pytest.mark.parametrize(
    ("mode", "local", "listed", "reason"),
    [
        (Mode.SANDBOX, True, False, None),
        (Mode.SANDBOX, True, True, None),
        (Mode.SANDBOX, False, False, ReasonCode.MODE_SANDBOX),
        (Mode.SANDBOX, False, True, ReasonCode.MODE_SANDBOX),
        (Mode.TEAM, True, False, None),
        (Mode.TEAM, False, False, ReasonCode.MODE_TEAM),
        (Mode.TEAM, False, True, None),
        (Mode.LIVE, False, False, None),
        (Mode.LIVE, True, False, None),
        # A mode that nobody knows reaches no further than the narrowest.
        ("wide open", False, True, ReasonCode.MODE_SANDBOX),
    ],
)
def test_modes(judge, good, mode, local, listed, reason):
    channel = Known(ChannelFact(local=local, usable=True, allow_listed=listed))
    verdict = judge("reach", good(mode=Known(mode), channel=channel))
    assert verdict.reason is reason
    assert verdict.effect is (Effect.PERMIT if reason is None else Effect.REFUSE)


def test_a_channel_out_of_order_defers(judge, good):
    verdict = judge("reach", good(channel=Known(ChannelFact(local=False, usable=False))))
    assert (verdict.effect, verdict.reason) == (Effect.DEFER, ReasonCode.CHANNEL_UNAVAILABLE)


@pytest.mark.parametrize("name", ["mode", "channel"])
def test_unknown_refuses(judge, good, name):
    assert judge("reach", good(**{name: Absent.UNKNOWN})).reason is ReasonCode.FACT_UNKNOWN
    assert judge("reach", good(**{name: Absent.STALE})).reason is ReasonCode.FACT_STALE
