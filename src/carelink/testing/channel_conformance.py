"""The channel conformance kit, first version: what every channel must do, whatever it talks to.

Run it with `pytest --carelink-channel=package.module:Name`. The name is a class or a function without arguments that
gives a channel, ready to use against a loopback peer or a folder of its own, or a `ChannelCase` that also tells what
the far end holds. It is called anew for every test. Part five of the plan completes the kit (faults on the line,
callbacks, limits).
"""

from __future__ import annotations

import copy
import json
import logging
import re
import socket
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import attrs
import pytest

from carelink.channels.registry import check_channel
from carelink.model.moment import SECOND, Instant
from carelink.ports.channel import Health, LookupResult, OutboundMessage, Prepared, SendResult
from carelink.system import SystemClock
from carelink.testing.channel_case import ChannelCase
from carelink.testing.permits import permit_for_tests
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, Outcome, Purpose

_CANARY = "canary-7f3a"
_TEXT = f"{_CANARY} 请按时复查。\n.\n..é ＡＢＣ  'a' & <b> 100% {{x}}\n" + f"{_CANARY} " * 30
_ADDRESSES = {
    AddressKind.PHONE: "+8613800138000",
    AddressKind.EMAIL: "canary-7f3a@example.invalid",
    AddressKind.CHAT: "canary-7f3a-user",
}
_CODE = re.compile(r"[a-z0-9_.-]{0,64}", re.ASCII)
_TAKEN = (Outcome.ACCEPTED, Outcome.AWAITING_HUMAN)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Iterator[ChannelCase]:
    """The channel under test, made anew."""
    name = request.config.getoption("--carelink-channel")
    if name is None:
        pytest.skip("no channel was named: pass --carelink-channel=package.module:Name")
    module, _, attribute = str(name).partition(":")
    made = getattr(import_module(module), attribute)()
    whole = made if isinstance(made, ChannelCase) else ChannelCase(channel=made)
    yield whole
    _close(whole.channel)
    if whole.finish is not None:
        whole.finish()


@pytest.fixture
def channel(case: ChannelCase) -> Any:
    """The channel alone."""
    return case.channel


def _close(channel: Any) -> None:
    close = getattr(channel, "close", None)
    if callable(close):
        close()


def _message(
    channel: Any, number: int = 1, *, lease: int = 5 * SECOND, body: str = _TEXT, at: int | None = None
) -> OutboundMessage:
    now = SystemClock().now() if at is None else Instant(at)
    return OutboundMessage(
        permit_for_tests(Instant(now + lease), number),
        now=now,
        key=f"{number:032x}",
        purpose=Purpose.SYSTEM_TEST,
        address=Personal(_ADDRESSES[channel.info.address_kind]),
        subject=Personal(f"{_CANARY} 复查提醒"),
        body=Personal(body),
        language="zh",
    )


def _plain(text: str) -> str:
    """A text as any far end shows it: line ends do not count, nor whether the last line has one."""
    return text.replace("\r\n", "\n").removesuffix("\n")


def _received(case: ChannelCase) -> list[str]:
    if case.received is None:
        pytest.skip("the far end cannot be looked at: give a ChannelCase with `received`")
    return [_plain(text) for text in case.received()]


def test_info_and_capabilities_are_complete_and_constant(channel: Any) -> None:
    """They are whole, valid, serialisable and the same each time."""
    check_channel("kit", channel)
    assert channel.info == channel.info
    assert channel.capabilities == channel.capabilities
    json.dumps(attrs.asdict(channel.capabilities))


def test_prepare_is_deterministic(channel: Any) -> None:
    """The same message gives the same request, which does not change afterwards and is bound to its permit."""
    now = SystemClock().now()
    first, second = (channel.prepare(_message(channel, 10, at=now)) for _ in range(2))
    assert isinstance(first, Prepared)
    assert first == second
    assert first.key == f"{10:032x}"
    assert first.expires == now + 5 * SECOND
    assert first.address == Personal(_ADDRESSES[channel.info.address_kind])
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        first.key = "b" * 32  # type: ignore[misc]


def test_prepare_stays_off_the_network(channel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked up, connected to or sent before `send`."""
    used: list[str] = []

    def no_network(*_: Any, **__: Any) -> Any:
        used.append("network")
        raise OSError("no network in prepare")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    channel.prepare(_message(channel, 11))
    assert used == []


def test_prepare_hands_over_nothing(case: ChannelCase) -> None:
    """A request that is prepared and never sent reaches nobody."""
    case.channel.prepare(_message(case.channel, 12))
    assert _received(case) == []


def test_send_answers_with_a_closed_outcome(channel: Any) -> None:
    """One attempt gives one well-formed result; no word of it comes from the message."""
    result = channel.send(channel.prepare(_message(channel, 2)))
    assert isinstance(result, SendResult)
    assert isinstance(result.outcome, Outcome)
    assert result.outcome is not Outcome.UNKNOWN
    assert isinstance(result.code, str)
    assert _CODE.fullmatch(result.code) is not None
    assert result.provider_id is None or isinstance(result.provider_id, str)
    assert result.retry_after is None or result.retry_after >= 0


def test_one_attempt_is_one_message_with_the_approved_text(case: ChannelCase) -> None:
    """What arrives is what was approved: once, whole, unaltered."""
    result = case.channel.send(case.channel.prepare(_message(case.channel, 3)))
    expected = [_plain(_TEXT)] if result.outcome in _TAKEN else []
    assert _received(case) == expected


def test_messages_do_not_mix(case: ChannelCase) -> None:
    """Each of several messages arrives once, with its own text."""
    texts = [f"{_CANARY} message {number}" for number in range(5)]
    prepared = [case.channel.prepare(_message(case.channel, 20 + n, body=text)) for n, text in enumerate(texts)]
    taken = [text for text, each in zip(texts, prepared, strict=True) if case.channel.send(each).outcome in _TAKEN]
    assert sorted(_received(case)) == sorted(taken)


def test_nothing_leaves_after_the_lease(case: ChannelCase) -> None:
    """A channel that leaves the machine looks at the lease itself, at the last moment."""
    if case.channel.info.local:
        pytest.skip("a local channel hands over at once")
    late = attrs.evolve(case.channel.prepare(_message(case.channel, 4)), expires=Instant(0))
    assert case.channel.send(late).outcome in (Outcome.NOT_SENT, Outcome.REFUSED)
    if case.received is not None:
        assert list(case.received()) == []


def test_lookup_tells_what_was_handed_over_from_what_was_not(channel: Any) -> None:
    """`lookup` is certain in both directions, or is not declared."""
    if not channel.capabilities.lookup:
        pytest.skip("capability not declared: lookup")
    address = Personal(_ADDRESSES[channel.info.address_kind])
    before = channel.lookup(f"{5:032x}", address, Instant(0))
    result = channel.send(channel.prepare(_message(channel, 5)))
    found = channel.lookup(f"{5:032x}", address, Instant(0))
    missing = channel.lookup("f" * 32, address, Instant(0))
    assert isinstance(found, LookupResult)
    assert before.found is False
    assert found.found is (result.outcome in _TAKEN)
    assert missing.found is False


def test_a_harmless_repeat_is_one_message(case: ChannelCase) -> None:
    """Where repeats are declared harmless, the second attempt of a key is accepted as the first and adds nothing."""
    if not case.channel.capabilities.harmless_repeat:
        pytest.skip("capability not declared: harmless_repeat")
    outcomes = {case.channel.send(case.channel.prepare(_message(case.channel, 6))).outcome for _ in range(2)}
    assert outcomes == {Outcome.ACCEPTED}
    if case.received is not None:
        assert len(case.received()) == 1


def test_nothing_personal_shows(
    channel: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Text and address are in no repr, no result, no log line, and on no screen."""
    caplog.set_level(logging.DEBUG)
    prepared = channel.prepare(_message(channel, 7))
    result = channel.send(prepared)
    screen = capfd.readouterr()
    shown = [repr(channel), str(channel), repr(prepared), repr(result), caplog.text, screen.out, screen.err]
    _hides("\n".join(shown), channel)


def test_a_refusal_shows_nothing_personal_either(channel: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A message that cannot be prepared may be refused with an error, but not with one that tells whom and what."""
    caplog.set_level(logging.DEBUG)
    message = _message(channel, 8, body=f"{_CANARY} \ud800 half a character")
    message.subject = Personal(f"{_CANARY}\nBcc: {_CANARY}@example.invalid")
    told = ""
    try:
        channel.prepare(message)
    except Exception as error:  # noqa: BLE001  any error is a refusal; what counts is what it holds
        linked: BaseException | None = error
        while linked is not None:
            told += f"{linked!r} {linked} {linked.args!r} {getattr(linked, 'object', '')!r}\n"
            linked = linked.__cause__ or linked.__context__
    _hides(told + caplog.text, channel)


def _hides(text: str, channel: Any) -> None:
    assert _CANARY not in text
    assert _ADDRESSES[channel.info.address_kind] not in text


def test_health_messages_nobody(case: ChannelCase) -> None:
    """`health` answers without sending."""
    if not case.channel.capabilities.health:
        pytest.skip("capability not declared: health")
    channel: Any = case.channel
    health = channel.health()
    assert isinstance(health, Health)
    assert copy.copy(health) == health
    assert health.ok or health.code
    if case.received is not None:
        assert list(case.received()) == []


def test_closing_twice_is_closing_once(channel: Any) -> None:
    """A channel may be closed before it was used, and more than once."""
    _close(channel)
    _close(channel)
