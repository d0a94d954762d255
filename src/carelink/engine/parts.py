"""What the engine works with, introduced to each other by `carelink.app`. Owns nothing, decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import attrs

from carelink.consent.facts import StoreState
from carelink.consent.optout.grammar import Grammar
from carelink.consent.policy import Policy
from carelink.engine.safe import Safe
from carelink.engine.screener import Screener
from carelink.errors import CarelinkError, InvalidInputError, NotFoundError
from carelink.model.moment import HOUR, MINUTE, SECOND, Instant, Micros
from carelink.ports.channel import Capabilities, ChannelInfo, LookupResult, SendResult
from carelink.ports.permit import Permit
from carelink.ports.store import Reader, Store
from carelink.ports.system import Clock, Entropy
from carelink.vault.personal import Personal
from carelink.vocabulary import ChannelKind, Purpose

__all__ = ["LEASE", "MAX_SKEW", "Attempt", "ClockGuard", "Dispatcher", "Options", "Parts", "Publisher"]

LEASE: Final = Micros(5 * SECOND)
"""How long a claim is good for: no first byte leaves later than this after it committed (P3)."""

MAX_SKEW: Final = Micros(2 * MINUTE)
"""More doubt than this about the time, and nothing is decided on it."""


class Attempt(Protocol):
    """What one hand-over attempt came to."""

    @property
    def result(self) -> SendResult:
        """Outcome, provider id and code."""

    @property
    def wire(self) -> Personal[bytes] | None:
        """The bytes that were to leave; None if they could not be prepared."""

    @property
    def attempted_at(self) -> Instant:
        """When the attempt began."""


class Dispatcher(Protocol):
    """Hands one message to one channel, once. Implemented by `carelink.channels.dispatcher`."""

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
        """Make the one attempt. Never raises for an outcome of the closed set."""

    def lookup(self, channel_name: str, *, key: str, address: Personal[str], since: Instant) -> LookupResult:
        """Ask the channel whether a key was handed over."""


class Publisher(Protocol):
    """Publishes the log and knows whether the store still belongs to it."""

    @property
    def restored(self) -> bool:
        """Whether the store is a restored backup that was not reconciled."""

    def state(self, reader: Reader) -> StoreState:
        """Whether sending may go on."""

    def tick(self) -> None:
        """Publish if it is due."""


@attrs.frozen(kw_only=True)
class Options:
    """Choices of the deployment.

    Attributes:
        unsubscribe: a web address with `{token}` in it, or empty.
        processors: by channel: where its provider processes data ("": nobody said), and the end of the agreement.
    """

    region: str = "CN"
    routes: Mapping[str, str] = attrs.field(factory=dict)
    permit_ttl: Micros = HOUR
    chunk: int = 1000
    unsubscribe: str = ""
    processors: Mapping[str, tuple[str, Instant | None]] = attrs.field(factory=dict)

    def unsubscribe_of(self, key: str) -> Personal[str] | None:
        """The one-click address of an attempt. Its token is the attempt's: whoever takes the click hands it back as
        the `key` of an `opted_out` event, and needs no table.
        """
        return Personal(self.unsubscribe.replace("{token}", key)) if self.unsubscribe else None


@attrs.define
class ClockGuard:
    """Tells a stepped wall clock: wall time and monotonic time must move together."""

    clock: Clock
    _wall: int = attrs.field(init=False)
    _mono: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._wall, self._mono = self.clock.now(), self.clock.monotonic()

    def read(self) -> tuple[Instant, bool]:
        """Wall time, and whether it can be relied on."""
        wall, mono = self.clock.now(), self.clock.monotonic()
        steady = abs((wall - self._wall) - (mono - self._mono)) <= MAX_SKEW
        return wall, steady

    def accept(self) -> None:
        """Take the wall clock as it stands now for right: an operator looked at it."""
        self._wall, self._mono = self.clock.now(), self.clock.monotonic()


class PolicyBook:
    """The policy in force, compiled once for each digest."""

    def __init__(self) -> None:
        self._compiled: dict[str, Policy] = {}

    def get(self, reader: Reader, digest: str, packs: tuple[str, ...]) -> Policy | None:
        """The compiled policy; None where none was adopted or a pack is missing (the gate then refuses)."""
        if digest in self._compiled:
            return self._compiled[digest]
        texts = [reader.pack(pack) for pack in packs]
        found = [data for data in texts if isinstance(data, bytes)]
        if not digest or len(found) != len(texts):
            return None
        try:
            policy = Policy.from_bytes(found)
        except CarelinkError:
            return None  # damaged bytes are no policy; `doctor` says which
        if policy.digest != digest:
            return None
        self._compiled[digest] = policy
        return policy


@attrs.define(kw_only=True)
class Parts:
    """The engine's parts."""

    store: Store
    safe: Safe
    clock: Clock
    entropy: Entropy
    dispatcher: Dispatcher
    publisher: Publisher
    channels: Mapping[str, tuple[ChannelInfo, Capabilities]]
    screener: Screener
    grammar: Callable[[], Grammar]
    options: Options = attrs.field(factory=Options)
    guard: ClockGuard = attrs.field(init=False)
    policies: PolicyBook = attrs.field(factory=PolicyBook)

    def __attrs_post_init__(self) -> None:
        self.guard = ClockGuard(self.clock)

    def ref(self) -> str:
        """A new random id, 32 hex digits."""
        return self.entropy(16).hex()

    def route(self, channel: str) -> str:
        """The channel a request means: a kind is routed by the settings, a name is itself.

        Raises:
            InvalidInputError: a kind without a route.
            NotFoundError: no such channel is registered.
        """
        name = channel
        if channel in {kind.value for kind in ChannelKind}:
            name = self.options.routes.get(channel, "")
            if not name:
                raise InvalidInputError(f"no channel is set for `{channel}`", hint=f"set `routes.{channel}`")
        if name not in self.channels:
            # The name is not repeated: in a shifted column it is somebody's address (P8).
            raise NotFoundError("no channel of this name is registered", hint="see `carelink channels list`")
        return name
