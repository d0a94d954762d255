"""Kind `subject`: the dead, the erased and merged records are not contacted."""

from __future__ import annotations

import pytest

from carelink.consent.facts import Absent, Known
from carelink.consent.reasons import ReasonCode
from carelink.vocabulary import Effect, Standing


@pytest.mark.parametrize(
    ("standing", "reason"),
    [
        (Known(Standing.ACTIVE), None),
        (Known(Standing.DECEASED), ReasonCode.SUBJECT_DECEASED),
        (Known(Standing.MERGED), ReasonCode.SUBJECT_MERGED),
        (Known(Standing.ERASED), ReasonCode.SUBJECT_ERASED),
        (Absent.UNKNOWN, ReasonCode.FACT_UNKNOWN),
        (Absent.STALE, ReasonCode.FACT_STALE),
    ],
)
def test_subject(judge, good, standing, reason):
    verdict = judge("subject", good(standing=standing))
    assert verdict.reason is reason
    assert verdict.effect is (Effect.PERMIT if reason is None else Effect.REFUSE)


@pytest.mark.parametrize("standing", [Standing.DECEASED, Standing.MERGED, Standing.ERASED])
def test_recipient(judge, good, standing):
    verdict = judge("subject", good(recipient_standing=Known(standing)))
    assert (verdict.effect, verdict.reason) == (Effect.REFUSE, ReasonCode.RECIPIENT_UNAVAILABLE)


def test_recipient_unknown(judge, good):
    assert judge("subject", good(recipient_standing=Absent.UNKNOWN)).reason is ReasonCode.FACT_UNKNOWN
