"""The channel conformance kit, first version: what every channel must do, whatever it talks to.

Run it with `pytest --carelink-channel=package.module:Class`. The class (or factory) takes no arguments and returns a
channel ready to use against a loopback peer or a folder of its own. Part five of the plan completes the kit (faults,
callbacks, limits, mutants).
"""

from __future__ import annotations

import copy
import json
import logging
from importlib import import_module
from typing import Any

import attrs
import pytest

from carelink.channels.registry import check_channel
from carelink.model.moment import SECOND, Instant
from carelink.ports.channel import LookupResult, OutboundMessage, Prepared, SendResult
from carelink.system import SystemClock
from carelink.testing.permits import permit_for_tests
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, Outcome, Purpose

_CANARY = "canary-7f3a 请按时复查 é"
_ADDRESSES = {
    AddressKind.PHONE: "+8613800138000",
    AddressKind.EMAIL: "canary@example.invalid",
    AddressKind.CHAT: "canary-user",
}


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> Any:
    """The channel under test."""
    name = request.config.getoption("--carelink-channel")
    if name is None:
        pytest.skip("no channel was named: pass --carelink-channel=package.module:Class")
    module, _, attribute = str(name).partition(":")
    made = getattr(import_module(module), attribute)()
    yield made
    close = getattr(made, "close", None)
    if callable(close):
        close()


def _message(channel: Any, number: int = 1, lease: int = 5 * SECOND, body: str = _CANARY) -> OutboundMessage:
    now = SystemClock().now()
    return OutboundMessage(
        permit_for_tests(Instant(now + lease), number),
        now=Instant(min(now, now + lease - 1)),
        key=f"{number:032x}",
        purpose=Purpose.SYSTEM_TEST,
        address=Personal(_ADDRESSES[channel.info.address_kind]),
        subject=Personal("Recheck") if channel.capabilities.needs_subject else None,
        body=Personal(body),
        language="zh",
    )


def test_info_and_capabilities_are_complete_and_constant(channel: Any) -> None:
    """They are whole, valid, serialisable and the same each time."""
    check_channel("kit", channel)
    assert channel.info == channel.info
    assert channel.capabilities == channel.capabilities
    json.dumps(attrs.asdict(channel.capabilities))


def test_prepare_is_deterministic_and_leaves_the_text_whole(channel: Any) -> None:
    """The same message gives the same bytes under the same lease, and a prepared request is immutable."""
    now = SystemClock().now()

    def prepared() -> Prepared:
        message = OutboundMessage(
            permit_for_tests(Instant(now + 5 * SECOND)),
            now=now,
            key="a" * 32,
            purpose=Purpose.SYSTEM_TEST,
            address=Personal(_ADDRESSES[channel.info.address_kind]),
            subject=Personal("Recheck"),
            body=Personal(_CANARY),
        )
        return channel.prepare(message)  # type: ignore[no-any-return]

    first, second = prepared(), prepared()
    assert isinstance(first, Prepared)
    assert first.key == "a" * 32
    assert first.wire == second.wire
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.key = "b" * 32  # type: ignore[misc]


def test_send_answers_with_a_closed_outcome(channel: Any) -> None:
    """One attempt gives one well-formed result."""
    result = channel.send(channel.prepare(_message(channel, 2)))
    assert isinstance(result, SendResult)
    assert isinstance(result.outcome, Outcome)
    assert result.outcome is not Outcome.UNKNOWN
    assert result.provider_id is None or isinstance(result.provider_id, str)


def test_nothing_leaves_after_the_lease(channel: Any) -> None:
    """A channel that leaves the machine looks at the lease itself, at the last moment."""
    if channel.info.local:
        pytest.skip("a local channel hands over at once")
    prepared = channel.prepare(_message(channel, 3))
    late = attrs.evolve(prepared, expires=Instant(0))
    assert channel.send(late).outcome in (Outcome.NOT_SENT, Outcome.REFUSED)


def test_lookup_tells_what_was_handed_over_from_what_was_not(channel: Any) -> None:
    """`lookup` is certain in both directions, or is not declared."""
    if not channel.capabilities.lookup:
        pytest.skip("capability not declared: lookup")
    message = _message(channel, 4)
    result = channel.send(channel.prepare(message))
    address = Personal(_ADDRESSES[channel.info.address_kind])
    found = channel.lookup(f"{4:032x}", address, Instant(0))
    missing = channel.lookup("f" * 32, address, Instant(0))
    assert isinstance(found, LookupResult)
    assert found.found is (result.outcome is Outcome.ACCEPTED)
    assert missing.found is False


def test_a_harmless_repeat_is_one_message(channel: Any) -> None:
    """Where repeats are declared harmless, the second attempt of a key is accepted as the first."""
    if not channel.capabilities.harmless_repeat:
        pytest.skip("capability not declared: harmless_repeat")
    outcomes = {channel.send(channel.prepare(_message(channel, 5))).outcome for _ in range(2)}
    assert outcomes == {Outcome.ACCEPTED}


def test_nothing_personal_in_reprs_and_logs(channel: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Text and address are in no repr and no log line."""
    caplog.set_level(logging.DEBUG)
    prepared = channel.prepare(_message(channel, 6))
    result = channel.send(prepared)
    shown = "\n".join([repr(channel), str(channel), repr(prepared), repr(result), caplog.text])
    assert "canary" not in shown
    assert _ADDRESSES[channel.info.address_kind] not in shown


def test_health_messages_nobody(channel: Any) -> None:
    """`health` answers without sending."""
    if not channel.capabilities.health:
        pytest.skip("capability not declared: health")
    health = channel.health()
    assert isinstance(health.ok, bool)
    assert copy.copy(health) == health
