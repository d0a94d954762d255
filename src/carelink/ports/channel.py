"""The channel contract: one class, three required members, optional ones declared by capability.

A channel hands over one message to one recipient, once. It never retries, never splits or alters text, never
raises for an outcome of the closed set, and cannot be given anything that was not made from a permit (P1).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import attrs

from carelink.model.moment import Instant, Micros
from carelink.ports.permit import Permit
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, DeliveryEvent, Outcome, Purpose

__all__ = [
    "CONTRACT_VERSION",
    "Capabilities",
    "Channel",
    "ChannelEvent",
    "ChannelInfo",
    "Health",
    "LookupResult",
    "OutboundMessage",
    "Prepared",
    "SendResult",
]

CONTRACT_VERSION = 1


@attrs.frozen(kw_only=True)
class ChannelInfo:
    """Who a channel is.

    Attributes:
        name: unique, lower case, `[a-z0-9-]{1,32}`.
        kind: what it is to a patient; consent and caps speak of kinds.
        address_kind: the addresses it understands.
        version: version of the plugin.
        local: nothing it is handed leaves this machine. Only local channels work in sandbox mode.
        contract: version of this contract the channel was written for.
    """

    name: str
    kind: ChannelKind
    address_kind: AddressKind
    version: str
    local: bool = False
    contract: int = CONTRACT_VERSION


@attrs.frozen(kw_only=True)
class Capabilities:
    """What a channel can do beyond sending. Undeclared means it cannot.

    Attributes:
        lookup: `lookup` can tell for certain whether a key was handed over.
        callbacks: `parse_callback` turns provider callbacks into events.
        poll: `poll` fetches events.
        cancel: `cancel` recalls a hand-over that waits for a person.
        health: `health` checks credentials without messaging anyone.
        harmless_repeat: the far end proves that repeating a key is harmless.
        needs_subject: a subject line is sent.
        max_length: longest text in characters; 0 is no limit known.
        latency: typical length of one attempt; claim chunks are sized by it.
    """

    lookup: bool = False
    callbacks: bool = False
    poll: bool = False
    cancel: bool = False
    health: bool = False
    harmless_repeat: bool = False
    needs_subject: bool = False
    max_length: int = 0
    latency: Micros = Micros(100_000)  # noqa: RUF009  a NewType is its argument


class OutboundMessage:
    """One rendered message for one address, made from a permit.

    Attributes:
        at: when the message was made; its date, where the far end wants one.
        key: token of this attempt, 32 hex digits, derived from the request key; safe to send to a provider.
        purpose: why the patient is contacted.
        address: where to, in the canonical form of the channel's address kind.
        subject: subject line, where the template has one.
        body: the exact approved text with its variables filled in.
        language: BCP 47 tag of the text.
        unsubscribe: one-click unsubscribe address, where the deployment has one.
        expires: the far end should not deliver after this instant.
    """

    __slots__ = ("address", "at", "body", "expires", "key", "language", "permit", "purpose", "subject", "unsubscribe")

    def __init__(
        self,
        permit: Permit,
        *,
        now: Instant,
        key: str,
        purpose: Purpose,
        address: Personal[str],
        body: Personal[str],
        subject: Personal[str] | None = None,
        language: str = "und",
        unsubscribe: Personal[str] | None = None,
        expires: Instant | None = None,
    ) -> None:
        permit.redeem(now)
        self.permit = permit
        self.at = now
        self.key = key
        self.purpose = purpose
        self.address = address
        self.body = body
        self.subject = subject
        self.language = language
        self.unsubscribe = unsubscribe
        self.expires = expires

    def __repr__(self) -> str:
        return f"OutboundMessage(key={self.key!r}, purpose={self.purpose.value!r})"


@attrs.frozen(kw_only=True)
class Prepared:
    """An immutable wire request, made before anything leaves.

    Attributes:
        key: token of the attempt.
        wire: the exact bytes that will leave (or their fixed part), committed to in the log.
        expires: end of the lease; `send` MUST NOT put the first byte on the wire at or after it.
    """

    key: str
    wire: Personal[bytes]
    address: Personal[str]
    expires: Instant


@attrs.frozen(kw_only=True)
class SendResult:
    """What one attempt came to.

    Attributes:
        provider_id: the far end's own id; kept only as a keyed hash.
        code: short machine word `[a-z0-9_.-]{1,64}`, never text from the far end.
        retry_after: for THROTTLED and RECIPIENT_LIMIT.
    """

    outcome: Outcome
    provider_id: str | None = attrs.field(default=None, repr=False)
    code: str = ""
    retry_after: Micros | None = None


@attrs.frozen(kw_only=True)
class LookupResult:
    """Answer to "was this key handed over?". `found` None means: cannot tell."""

    found: bool | None
    outcome: Outcome = Outcome.UNKNOWN
    provider_id: str | None = attrs.field(default=None, repr=False)


@attrs.frozen(kw_only=True)
class ChannelEvent:
    """Something a far end reports: a delivery report, a reply, an opt-out.

    Attributes:
        key: our token, where the far end echoes it.
        event_id: the far end's id of the event, for telling repeats.
        address: whom it concerns, or who replied.
        text: what was replied.
        at: when it happened, if the far end says so with a zone.
    """

    event: DeliveryEvent
    key: str | None = attrs.field(default=None, repr=False)
    provider_id: str | None = attrs.field(default=None, repr=False)
    event_id: str | None = attrs.field(default=None, repr=False)
    address: Personal[str] | None = None
    text: Personal[str] | None = None
    at: Instant | None = None


@attrs.frozen(kw_only=True)
class Health:
    """Read-only probe of a channel. `code` is a machine word, `hint` a sentence without secrets."""

    ok: bool
    code: str = ""
    hint: str = ""


@runtime_checkable
class Channel(Protocol):
    """What a plugin author writes.

    `prepare` MUST be free of network traffic and MUST NOT alter the text. `send` MUST make exactly one attempt
    and return one of the closed outcomes; UNKNOWN whenever bytes may have reached the peer and no answer
    settled it, NOT_SENT only when certainly none did. Any exception is taken as UNKNOWN.

    Optional members, called only when declared in `capabilities`:
    `lookup(key: str, address: Personal[str], since: Instant) -> LookupResult`,
    `parse_callback(headers: Mapping[str, str], body: bytes) -> tuple[ChannelEvent, ...]`,
    `poll(cursor: str) -> tuple[tuple[ChannelEvent, ...], str]`, `cancel(key: str) -> bool`,
    `health() -> Health`, `close() -> None`.
    """

    @property
    def info(self) -> ChannelInfo:
        """Who the channel is. Constant."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do. Constant."""

    def prepare(self, message: OutboundMessage) -> Prepared:
        """Turn a message into the exact bytes to send."""

    def send(self, prepared: Prepared) -> SendResult:
        """Make the one attempt."""


ChannelSettings = Mapping[str, Any]
"""The `[channels.<name>]` table of the settings file; secrets are read from files or the environment."""
