"""Every stage and every class of reply has exactly one outcome, and no answer is better than the wrong one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.channels.smtp.replies import Reply, Stage, judge, reply_of
from carelink.vocabulary import Outcome

_BEFORE_DOT = [stage for stage in Stage if stage is not Stage.DOT]
_HELLO = (Stage.CONNECT, Stage.BANNER, Stage.EHLO, Stage.AUTH)

_TABLE = [
    # stage, code, status, outcome
    (Stage.BANNER, 421, "4.3.2", Outcome.THROTTLED),
    (Stage.BANNER, 554, "", Outcome.ACCOUNT),
    (Stage.EHLO, 502, "", Outcome.ACCOUNT),
    (Stage.STARTTLS, 454, "", Outcome.THROTTLED),
    (Stage.STARTTLS, 501, "", Outcome.NOT_SENT),
    (Stage.AUTH, 535, "5.7.8", Outcome.ACCOUNT),
    (Stage.AUTH, 534, "5.7.9", Outcome.ACCOUNT),
    (Stage.AUTH, 454, "4.7.0", Outcome.THROTTLED),
    (Stage.MAIL, 421, "", Outcome.THROTTLED),
    (Stage.MAIL, 451, "4.3.0", Outcome.THROTTLED),
    (Stage.MAIL, 452, "4.3.1", Outcome.THROTTLED),
    (Stage.MAIL, 530, "5.7.0", Outcome.ACCOUNT),
    (Stage.MAIL, 553, "5.7.1", Outcome.ACCOUNT),
    (Stage.MAIL, 550, "5.1.8", Outcome.ACCOUNT),
    (Stage.MAIL, 552, "5.3.4", Outcome.REFUSED),
    (Stage.MAIL, 552, "", Outcome.REFUSED),
    (Stage.MAIL, 501, "", Outcome.REFUSED),
    (Stage.RCPT, 550, "5.1.1", Outcome.REFUSED),
    (Stage.RCPT, 550, "", Outcome.REFUSED),
    (Stage.RCPT, 550, "5.2.1", Outcome.REFUSED),
    (Stage.RCPT, 554, "5.7.1", Outcome.REFUSED),
    (Stage.RCPT, 450, "4.2.1", Outcome.THROTTLED),
    (Stage.RCPT, 451, "", Outcome.THROTTLED),
    (Stage.RCPT, 452, "4.5.3", Outcome.THROTTLED),
    (Stage.RCPT, 452, "4.2.2", Outcome.RECIPIENT_LIMIT),
    (Stage.RCPT, 552, "5.2.2", Outcome.RECIPIENT_LIMIT),
    (Stage.RCPT, 552, "", Outcome.RECIPIENT_LIMIT),
    (Stage.RCPT, 550, "5.2.2", Outcome.RECIPIENT_LIMIT),
    (Stage.RCPT, 530, "", Outcome.ACCOUNT),
    (Stage.DATA, 554, "5.5.1", Outcome.REFUSED),
    (Stage.DATA, 451, "", Outcome.THROTTLED),
    (Stage.DOT, 250, "2.0.0", Outcome.ACCEPTED),
    (Stage.DOT, 250, "", Outcome.ACCEPTED),
    (Stage.DOT, 421, "", Outcome.THROTTLED),
    (Stage.DOT, 451, "4.7.1", Outcome.THROTTLED),
    (Stage.DOT, 452, "4.2.2", Outcome.RECIPIENT_LIMIT),
    (Stage.DOT, 550, "5.7.1", Outcome.REFUSED),
    (Stage.DOT, 552, "5.3.4", Outcome.REFUSED),
    (Stage.DOT, 552, "5.2.2", Outcome.RECIPIENT_LIMIT),
    (Stage.DOT, 554, "", Outcome.REFUSED),
    (Stage.DOT, 354, "", Outcome.UNKNOWN),
    (Stage.DOT, 334, "", Outcome.UNKNOWN),
    (Stage.CONNECT, 500, "", Outcome.ACCOUNT),
    (Stage.TLS, 500, "", Outcome.NOT_SENT),
    (Stage.NOOP, 500, "", Outcome.NOT_SENT),
    (Stage.RSET, 500, "", Outcome.NOT_SENT),
    (Stage.DATA, 552, "", Outcome.RECIPIENT_LIMIT),
    (Stage.DATA, 552, "5.3.4", Outcome.REFUSED),
    (Stage.RCPT, 421, "4.2.2", Outcome.THROTTLED),
    (Stage.RCPT, 420, "4.2.2", Outcome.RECIPIENT_LIMIT),
    (Stage.RCPT, 422, "4.2.2", Outcome.RECIPIENT_LIMIT),
    *[(stage, code, "", Outcome.ACCOUNT) for stage in (Stage.RCPT, Stage.DOT) for code in (530, 534, 535, 538)],
    *[(Stage.RCPT, code, "", Outcome.REFUSED) for code in (529, 531, 533, 536, 537, 539)],
]


@pytest.mark.parametrize(("stage", "code", "status", "outcome"), _TABLE)
def test_the_table(stage: Stage, code: int, status: str, outcome: Outcome) -> None:
    assert judge(stage, Reply(code, status)).outcome is outcome


@pytest.mark.parametrize("stage", list(Stage))
def test_silence_is_unknown_only_where_the_server_may_hold_the_message(stage: Stage) -> None:
    assert judge(stage, None).outcome is (Outcome.UNKNOWN if stage is Stage.DOT else Outcome.NOT_SENT)


@given(
    stage=st.sampled_from(list(Stage)),
    code=st.integers(200, 599),
    rest=st.tuples(st.integers(0, 9), st.integers(0, 99)),
)
def test_every_reply_has_an_outcome_that_never_claims_too_much(stage: Stage, code: int, rest: tuple[int, int]) -> None:
    result = judge(stage, Reply(code, f"{code // 100}.{rest[0]}.{rest[1]}" if code // 100 != 3 else ""))
    assert re.fullmatch(r"[a-z0-9_.-]{1,64}", result.code)
    assert (result.outcome is Outcome.ACCEPTED) == (stage is Stage.DOT and code // 100 == 2)
    # Only a reply that is none leaves anything open, and only after the dot.
    assert (result.outcome is Outcome.UNKNOWN) == (stage is Stage.DOT and code // 100 == 3)
    if code // 100 == 4:
        assert result.outcome in (Outcome.THROTTLED, Outcome.RECIPIENT_LIMIT)
    if stage in _HELLO and code // 100 == 5:
        # The server refuses us, not this patient: the next patient would fare no better.
        assert result.outcome is Outcome.ACCOUNT


@pytest.mark.parametrize("code", [250, 354, 334, 221])
@pytest.mark.parametrize("stage", _BEFORE_DOT)
def test_a_wrong_answer_before_the_dot_is_not_sent(stage: Stage, code: int) -> None:
    assert judge(stage, Reply(code)).outcome is Outcome.NOT_SENT


def test_a_status_of_another_class_is_not_believed() -> None:
    assert reply_of(550, b"2.1.5 fine") == Reply(550, "")
    assert reply_of(550, b"5.1.1 nobody") == Reply(550, "5.1.1")
    assert reply_of(550, b"5.1.1111 nobody") == Reply(550, "")
    assert reply_of(421, b"mail.example.org 4.3.2") == Reply(421, "")


def test_only_2xx_is_done() -> None:
    assert [code for code in (199, 200, 250, 299, 300, 354, 421, 550) if Reply(code).positive] == [200, 250, 299]


def test_the_code_names_stage_reply_and_status() -> None:
    assert judge(Stage.RCPT, Reply(550, "5.1.1")).code == "rcpt_550_5.1.1"
    assert judge(Stage.DOT, Reply(250)).code == "dot_250"
    assert judge(Stage.BANNER, None).code == "banner_lost"
