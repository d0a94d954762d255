"""The dispatcher: every way in which a channel can fail has its outcome, and nothing is tried twice."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
import structlog

from carelink.channels.dispatcher import Attempt, Dispatcher
from carelink.channels.registry import registry_of
from carelink.errors import ChannelError, NotFoundError, PermitError
from carelink.model.moment import SECOND, Instant
from carelink.ports.channel import Capabilities, LookupResult, Prepared, SendResult
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.testing.permits import permit_for_tests
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome, Purpose

_AT = Instant(1_800_000_000_000_000)
_KEY = "0123456789abcdef" * 2


class Rig:
    """A dispatcher over one channel whose `prepare`, `send` and `lookup` a test replaces."""

    def __init__(self) -> None:
        self.clock = FakeClock(_AT)
        self.channel: Any = RecordingChannel(
            "pigeon", ChannelKind.SMS, AddressKind.PHONE, clock=self.clock, lookup=True
        )
        self.sends = 0
        self.dispatcher = Dispatcher(registry_of([self.channel]), self.clock)

    def answers(self, answer: Callable[[], Any]) -> None:
        def send(prepared: Prepared) -> Any:
            self.sends += 1
            return answer()

        self.channel.send = send

    def attempt(self, permit: Any = None, **changes: Any) -> Attempt:
        values: dict[str, Any] = {
            "key": _KEY,
            "purpose": Purpose.CARE_APPOINTMENT,
            "address": Personal("+8613800138000"),
            "subject": None,
            "body": Personal("canary"),
            "language": "zh",
            "unsubscribe": None,
            "expires": None,
        }
        chosen = permit_for_tests(Instant(_AT + 5 * SECOND)) if permit is None else permit
        return self.dispatcher.attempt("pigeon", chosen, **{**values, **changes})


@pytest.fixture
def rig() -> Rig:
    return Rig()


def _raise(error: BaseException) -> Any:
    raise error


def test_a_good_attempt(rig: Rig) -> None:
    attempt = rig.attempt()
    assert attempt.result.outcome is Outcome.ACCEPTED
    assert attempt.wire == Personal(b"+8613800138000\ncanary")
    assert attempt.attempted_at == _AT


@pytest.mark.parametrize("outcome", list(Outcome))
def test_every_outcome_is_passed_on(rig: Rig, outcome: Outcome) -> None:
    rig.answers(lambda: SendResult(outcome=outcome, code="a_word", provider_id="x"))
    assert rig.attempt().result == SendResult(outcome=outcome, code="a_word", provider_id="x")
    assert rig.sends == 1


@pytest.mark.parametrize(
    "error", [ValueError("canary"), ChannelError("x"), PermitError("x"), OSError("x"), RecursionError()]
)
def test_an_error_of_send_is_unknown_and_not_tried_again(rig: Rig, error: Exception) -> None:
    rig.answers(lambda: _raise(error))
    assert rig.attempt().result == SendResult(outcome=Outcome.UNKNOWN, code="raised")
    assert rig.sends == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_an_interrupt_passes_through_and_the_permit_is_used_up(rig: Rig, error: BaseException) -> None:
    rig.answers(lambda: _raise(error))
    permit = permit_for_tests(Instant(_AT + 5 * SECOND))
    with pytest.raises(type(error)):
        rig.attempt(permit)
    with pytest.raises(PermitError):
        rig.attempt(permit)
    assert rig.sends == 1


@pytest.mark.parametrize(
    "answer",
    [
        None,
        True,
        "accepted",
        Outcome.ACCEPTED,
        {"outcome": "accepted"},
        SendResult(outcome="accepted"),  # type: ignore[arg-type]
        SendResult(outcome=Outcome.ACCEPTED, code="Text of the far end: canary"),
        SendResult(outcome=Outcome.ACCEPTED, code="x" * 65),
        SendResult(outcome=Outcome.ACCEPTED, code=None),  # type: ignore[arg-type]
        SendResult(outcome=Outcome.ACCEPTED, provider_id="x" * 257),
        SendResult(outcome=Outcome.ACCEPTED, provider_id=7),  # type: ignore[arg-type]
        SendResult(outcome=Outcome.THROTTLED, retry_after=-1),  # type: ignore[arg-type]
        SendResult(outcome=Outcome.THROTTLED, retry_after="soon"),  # type: ignore[arg-type]
    ],
)
def test_an_answer_that_is_none_may_stand_for_a_message_that_left(rig: Rig, answer: Any) -> None:
    rig.answers(lambda: answer)
    assert rig.attempt().result == SendResult(outcome=Outcome.UNKNOWN, code="contract")
    assert rig.sends == 1


@pytest.mark.parametrize("error", [ValueError("canary"), ChannelError("x"), RecursionError()])
def test_an_error_of_prepare_is_refused_and_nothing_is_sent(rig: Rig, error: Exception) -> None:
    rig.answers(lambda: SendResult(outcome=Outcome.ACCEPTED))
    rig.channel.prepare = lambda message: _raise(error)
    attempt = rig.attempt()
    assert attempt.result == SendResult(outcome=Outcome.REFUSED, code="prepare_failed")
    assert attempt.wire is None
    assert rig.sends == 0


@pytest.mark.parametrize(
    "answer",
    [SendResult(outcome=Outcome.THROTTLED, retry_after=0), SendResult(outcome=Outcome.ACCEPTED, provider_id="x" * 256)],  # type: ignore[arg-type]
)
def test_an_answer_at_the_edge_of_the_contract(rig: Rig, answer: SendResult) -> None:
    rig.answers(lambda: answer)
    assert rig.attempt().result == answer


def test_an_interrupt_in_prepare_passes_through(rig: Rig) -> None:
    rig.channel.prepare = lambda message: _raise(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        rig.attempt()


@pytest.mark.parametrize(
    "change",
    [
        {"key": "f" * 32},
        {"address": Personal("+8613900139000")},
        {"wire": b"not personal"},
        {"wire": None},
        {"expires": Instant(_AT + 5 * SECOND + 1)},
        {"expires": None},
    ],
)
def test_a_request_that_is_not_the_one_asked_for_is_not_sent(rig: Rig, change: dict[str, Any]) -> None:
    rig.answers(lambda: SendResult(outcome=Outcome.ACCEPTED))
    original = rig.channel.prepare
    rig.channel.prepare = lambda message: attrs.evolve(original(message), **change)
    assert rig.attempt().result == SendResult(outcome=Outcome.REFUSED, code="prepare_failed")
    assert rig.sends == 0


@pytest.mark.parametrize("prepared", [None, "wire", 7])
def test_what_is_no_request_is_not_sent(rig: Rig, prepared: Any) -> None:
    rig.answers(lambda: SendResult(outcome=Outcome.ACCEPTED))
    rig.channel.prepare = lambda message: prepared
    assert rig.attempt().result.code == "prepare_failed"
    assert rig.sends == 0


def test_a_channel_may_end_earlier_than_the_lease(rig: Rig) -> None:
    original = rig.channel.prepare
    rig.channel.prepare = lambda message: attrs.evolve(original(message), expires=Instant(_AT + 1))
    assert rig.attempt().result.outcome is Outcome.ACCEPTED


def test_a_lease_that_runs_out_in_prepare_is_not_sent(rig: Rig) -> None:
    rig.answers(lambda: SendResult(outcome=Outcome.ACCEPTED))
    original = rig.channel.prepare

    def slow(message: Any) -> Any:
        made = original(message)
        rig.clock.advance(5 * SECOND)
        return made

    rig.channel.prepare = slow
    assert rig.attempt().result == SendResult(outcome=Outcome.NOT_SENT, code="lease_over")
    assert rig.sends == 0


def test_a_lease_that_is_over_raises_before_anything(rig: Rig) -> None:
    rig.clock.advance(5 * SECOND)
    with pytest.raises(PermitError):
        rig.attempt()


def test_a_channel_nobody_registered(rig: Rig) -> None:
    with pytest.raises(NotFoundError):
        rig.dispatcher.attempt(
            "dove", permit_for_tests(Instant(_AT + 1)), key=_KEY, purpose=Purpose.SYSTEM_TEST, address=Personal("x"),
            subject=None, body=Personal("x"), language="", unsubscribe=None, expires=None,
        )  # fmt: skip


# -- lookup ----------------------------------------------------------------------------------------------------------


def _lookup(rig: Rig) -> LookupResult:
    return rig.dispatcher.lookup("pigeon", key=_KEY, address=Personal("+8613800138000"), since=_AT)


def test_lookup_passes_on_what_is_certain(rig: Rig) -> None:
    assert _lookup(rig).found is False
    rig.attempt()
    assert _lookup(rig) == LookupResult(found=True, outcome=Outcome.ACCEPTED)


@pytest.mark.parametrize(
    "answer",
    [None, True, LookupResult(found="yes"), LookupResult(found=None), LookupResult(found=True, outcome="accepted")],  # type: ignore[arg-type]
)
def test_what_lookup_cannot_tell_is_cannot_tell(rig: Rig, answer: Any) -> None:
    rig.channel.lookup = lambda key, address, since: answer
    assert _lookup(rig) == LookupResult(found=None)


def test_a_lookup_that_raises_or_is_not_declared_cannot_tell(rig: Rig) -> None:
    rig.channel.lookup = lambda key, address, since: _raise(ValueError("canary"))
    assert _lookup(rig) == LookupResult(found=None)
    rig.channel.lookup = lambda key, address, since: LookupResult(found=True)
    rig.channel.capabilities = Capabilities(lookup=False)
    assert _lookup(rig) == LookupResult(found=None)


def test_what_went_wrong_is_told_to_operators_by_kind_only(rig: Rig) -> None:
    rig.answers(lambda: _raise(ValueError("canary +8613800138000")))
    with structlog.testing.capture_logs() as told:
        rig.attempt()
        rig.channel.prepare = lambda message: _raise(KeyError("canary"))
        rig.attempt()
        rig.channel.lookup = lambda key, address, since: _raise(OSError("canary"))
        _lookup(rig)
    assert [(line["event"], line["channel"], line["code"]) for line in told] == [
        ("send_raised", "pigeon", "ValueError"),
        ("prepare_raised", "pigeon", "KeyError"),
        ("lookup_raised", "pigeon", "OSError"),
    ]
    assert "canary" not in str(told)


def test_a_log_that_cannot_be_written_changes_nothing(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.answers(lambda: _raise(ValueError("canary")))
    monkeypatch.setattr(structlog, "get_logger", lambda *_: SimpleNamespace(warning=lambda *_, **__: _raise(OSError())))
    assert rig.attempt().result == SendResult(outcome=Outcome.UNKNOWN, code="raised")
