"""The dispatcher: one claimed permit, one message, one channel, one attempt. The only caller of `prepare` and `send`.

Trouble is mapped to the closed outcomes: what fails before anything can leave is REFUSED or NOT_SENT, what fails after
that is UNKNOWN, because nobody knows. What stops the whole process (an interrupt from the keyboard) is not trouble of
the channel and passes through: the claim stays in flight, and recovery settles it.
"""

from __future__ import annotations

import re
from typing import Any, Final

import attrs

from carelink.channels.registry import Registry
from carelink.errors import NotFoundError
from carelink.model.moment import Instant
from carelink.ports.channel import Channel, LookupResult, OutboundMessage, Prepared, SendResult
from carelink.ports.permit import Permit
from carelink.ports.system import Clock
from carelink.telemetry import logger
from carelink.vault.personal import Personal
from carelink.vocabulary import Outcome, Purpose

__all__ = ["Attempt", "Dispatcher"]

_CODE: Final = re.compile(r"[a-z0-9_.-]{0,64}", re.ASCII)
_MAX_ID: Final = 256


@attrs.frozen(kw_only=True)
class Attempt:
    """One attempt. `wire` is what was to leave, None if it could not be prepared."""

    result: SendResult
    wire: Personal[bytes] | None
    attempted_at: Instant


@attrs.frozen
class Dispatcher:
    """Hands over to the channels of a registry."""

    registry: Registry
    clock: Clock

    def attempt(
        self,
        channel_name: str,
        permit: Permit,
        *,
        key: str,
        purpose: Purpose,
        address: Personal[str],
        subject: Personal[str] | None,
        body: Personal[str],
        language: str,
        unsubscribe: Personal[str] | None,
        expires: Instant | None,
    ) -> Attempt:
        """Make the one attempt a permit is good for. Never raises for an outcome of the closed set.

        Raises:
            NotFoundError: no channel has this name.
            PermitError: the permit was used before or its lease is over.
        """
        channel = self._channel(channel_name)
        now = self.clock.now()
        message = OutboundMessage(
            permit,
            now=now,
            key=key,
            purpose=purpose,
            address=address,
            subject=subject,
            body=body,
            language=language,
            unsubscribe=unsubscribe,
            expires=expires,
        )
        prepared: Any = None
        try:
            prepared = channel.prepare(message)
        except Exception as error:  # noqa: BLE001  nothing has left: refused, whatever it was
            _tell("prepare_raised", channel_name, error)
        if not _bound(prepared, key, address, permit):
            return Attempt(
                result=SendResult(outcome=Outcome.REFUSED, code="prepare_failed"), wire=None, attempted_at=now
            )
        if self.clock.now() >= permit.lease_until or permit.over(self.clock.monotonic()):
            result = SendResult(outcome=Outcome.NOT_SENT, code="lease_over")
            return Attempt(result=result, wire=prepared.wire, attempted_at=now)
        answer: Any = None
        try:
            answer = channel.send(prepared)
        except Exception as error:  # noqa: BLE001  bytes may have left: unknown
            _tell("send_raised", channel_name, error)
            answer = SendResult(outcome=Outcome.UNKNOWN, code="raised")
        return Attempt(result=_checked(answer), wire=prepared.wire, attempted_at=now)

    def lookup(self, channel_name: str, *, key: str, address: Personal[str], since: Instant) -> LookupResult:
        """Ask the channel whether a key was handed over; what it cannot tell, or raises, is "cannot tell"."""
        channel: Any = self._channel(channel_name)
        if not channel.capabilities.lookup:
            return LookupResult(found=None)
        answer: Any = None
        try:
            answer = channel.lookup(key, address, since)
        except Exception as error:  # noqa: BLE001
            _tell("lookup_raised", channel_name, error)
        good = (
            isinstance(answer, LookupResult) and answer.found in (True, False) and isinstance(answer.outcome, Outcome)
        )
        return answer if good else LookupResult(found=None)

    def _channel(self, name: str) -> Channel:
        if name not in self.registry.channels:
            raise NotFoundError(f"no channel `{name}` is registered")
        return self.registry.channels[name]


def _tell(event: str, channel: str, error: Exception) -> None:
    """For operators: which channel, what kind of error. Its text may hold anything."""
    logger().warning(event, channel=channel, code=type(error).__name__)


def _bound(prepared: Any, key: str, address: Personal[str], permit: Permit) -> bool:
    """Whether it is a request for this key and this address, within the lease of this permit."""
    if not isinstance(prepared, Prepared):
        return False
    wire: object = prepared.wire
    expires: object = prepared.expires
    inside = isinstance(expires, int) and expires <= permit.lease_until
    return prepared.key == key and prepared.address == address and isinstance(wire, Personal) and inside


def _checked(answer: object) -> SendResult:
    """The answer, if it keeps the contract; a malformed one may stand for a message that left: unknown."""
    if isinstance(answer, SendResult):
        outcome: object = answer.outcome
        code: object = answer.code
        provider: object = answer.provider_id
        later: object = answer.retry_after
        good = isinstance(outcome, Outcome) and isinstance(code, str) and _CODE.fullmatch(code) is not None
        good = good and (later is None or (isinstance(later, int) and later >= 0))
        if good and (provider is None or (isinstance(provider, str) and len(provider) <= _MAX_ID)):
            return answer
    return SendResult(outcome=Outcome.UNKNOWN, code="contract")
