"""Facts: all that a decision may look at, each known, UNKNOWN or STALE.

Facts are coarse and carry no name, number, address, birth date or diagnosis, so that the log keeps them
verbatim (P8) and every decision can be derived again from them (P7). Instants are microseconds UTC.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import Final, Generic, TypeAlias, TypeVar

import attrs

from carelink.model.ids import AddressRef, PersonRef
from carelink.model.moment import Instant
from carelink.model.scope import Scope
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DisclosureScope,
    GrantState,
    Mode,
    Purpose,
    RecipientRole,
    Standing,
    StopSource,
)

__all__ = [
    "Absent",
    "Ask",
    "ChannelFact",
    "ClockState",
    "ContactFact",
    "ContentFact",
    "Fact",
    "Facts",
    "GrantFact",
    "GuardianFact",
    "Known",
    "StopFact",
    "StoreState",
    "Touch",
    "TouchHistory",
    "VetoFact",
    "ZoneFact",
    "ZoneFacts",
    "absences",
]

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@attrs.frozen
class Known(Generic[T_co]):
    """A fact that was read, whole and in time."""

    value: T_co


@unique
class Absent(Enum):
    """A fact that could not be read: never known, or known but too old to rely on. Both never permit (P2)."""

    UNKNOWN = "UNKNOWN"
    STALE = "STALE"


Fact: TypeAlias = Known[T] | Absent


@unique
class ClockState(Enum):
    """Whether the decision instant can be relied on (two minutes of doubt are one too many)."""

    TRUSTED = "trusted"
    UNTRUSTED = "untrusted"


@unique
class StoreState(Enum):
    """Whether the store is the one the log was published from, and the log keeps up."""

    CURRENT = "current"
    RESTORED = "restored"
    UNPUBLISHED = "unpublished"


@attrs.frozen(kw_only=True)
class Ask:
    """What was asked for.

    Attributes:
        disclosure: what the message tells, when the recipient is a related person and not the patient.
        automated: the patient was selected by a program, not by a person.
        reply: it answers the patient's own message.
        wait: over a cap, DEFER instead of REFUSE.
        not_before, useless_after: the caller's own window, half open.
    """

    purpose: Purpose
    channel: str
    channel_kind: ChannelKind
    template: str
    template_version: int
    disclosure: DisclosureScope | None = None
    automated: bool = False
    reply: bool = False
    wait: bool = False
    not_before: Instant | None = None
    useless_after: Instant | None = None


@attrs.frozen(kw_only=True)
class ContactFact:
    """The chosen contact point.

    Attributes:
        verified_at: when somebody last confirmed that the address reaches the person.
        persons: how many living persons of this tenant use the address.
    """

    status: ContactStatus
    verified_at: Instant | None = None
    persons: int = 1


@attrs.frozen(kw_only=True)
class GuardianFact:
    """The related person who acts for, or hears about, the patient.

    Attributes:
        verified: somebody checked the relation against a document.
        acts: may consent and receive in the patient's place.
        scopes: what the person may be told.
        since, until: validity, half open.
    """

    verified: bool
    acts: bool
    scopes: tuple[DisclosureScope, ...] = ()
    since: Instant
    until: Instant | None = None


@attrs.frozen(kw_only=True)
class GrantFact:
    """One recorded grant of the subject, in the state it has at the decision instant.

    Attributes:
        by: who gave it.
        since, until: validity, half open.
        ended_at: when it was withdrawn or revoked.
        separate: it was given specifically for this processing (PIPL 29).
        notice: version of the notice that was shown.
    """

    ref: str
    scope: Scope
    state: GrantState
    by: RecipientRole
    since: Instant
    until: Instant | None = None
    ended_at: Instant | None = None
    separate: bool = False
    notice: str = ""


@attrs.frozen(kw_only=True)
class StopFact:
    """One recorded suppression that binds subject, recipient or address.

    Attributes:
        binds: "subject", "recipient" or "address".
        since: the clock of whoever recorded it; it binds from its commit, even where the decision's clock is behind.
        until: end of a temporary suppression.
    """

    ref: str
    binds: str
    scope: Scope
    source: StopSource
    since: Instant
    until: Instant | None = None


@attrs.frozen
class Touch:
    """One counted touchpoint (a reservation held, claimed or spent).

    Attributes:
        at: the instant it counts from.
        purpose, channel_kind: what it was.
        binds: which of subject ("s"), recipient ("r"), address ("a") of *this* request it counts against,
            as a string of those letters in that order.
        reply: it answered the patient's own message.
    """

    at: Instant
    purpose: Purpose
    channel_kind: ChannelKind
    binds: str
    reply: bool = False


@attrs.frozen(kw_only=True)
class TouchHistory:
    """All counted touchpoints since an instant. A cap whose window begins earlier finds the fact UNKNOWN."""

    since: Instant
    items: tuple[Touch, ...] = ()


@attrs.frozen(kw_only=True)
class ContentFact:
    """The template version asked for.

    Attributes:
        digest: SHA-256 of the approved form, 64 hex digits.
        approvals: distinct approvers.
        since, until: validity, half open.
    """

    status: ContentStatus
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    digest: str
    approvals: int = 0
    since: Instant
    until: Instant | None = None


@attrs.frozen(kw_only=True)
class ChannelFact:
    """The channel as registered.

    Attributes:
        local: nothing it is handed leaves this machine.
        usable: registered, of the kind asked for, and not stopped for account trouble.
        allow_listed: the address is on the team's allow-list (only looked at in team mode).
    """

    local: bool
    usable: bool
    allow_listed: bool = False


@attrs.frozen
class ZoneFact:
    """Offsets from UTC of one candidate zone over the horizon: (from instant, offset in seconds), ascending.
    The first pair's instant is at or before the decision instant.
    """

    offsets: tuple[tuple[Instant, int], ...]


@attrs.frozen(kw_only=True)
class ZoneFacts:
    """Every zone the recipient may be in.

    Attributes:
        source: "patient", "address" or "tenant".
        until: end of the horizon for which offsets are given.
        data: digest or version of the zone data.
    """

    source: str
    until: Instant
    data: str
    candidates: tuple[ZoneFact, ...]


@attrs.frozen
class VetoFact:
    """A plugin's refusal, recorded so that replay needs no plugin."""

    plugin: str
    code: str


@attrs.frozen(kw_only=True)
class Facts:
    """Everything one decision saw."""

    at: Instant
    ask: Ask
    subject: PersonRef
    recipient: PersonRef
    role: RecipientRole
    address: AddressRef | None
    standing: Fact[Standing]
    recipient_standing: Fact[Standing]
    age: Fact[AgeBand]
    contact: Fact[ContactFact]
    guardian: Fact[GuardianFact | None]
    grants: Fact[tuple[GrantFact, ...]]
    stops: Fact[tuple[StopFact, ...]]
    touches: Fact[TouchHistory]
    content: Fact[ContentFact]
    channel: Fact[ChannelFact]
    zones: Fact[ZoneFacts]
    mode: Fact[Mode]
    clock: Fact[ClockState]
    store: Fact[StoreState]
    keys_available: Fact[bool]
    vetoes: Fact[tuple[VetoFact, ...]]


_FACTS: Final = tuple(field.name for field in attrs.fields(Facts) if str(field.type).startswith("Fact["))


def absences(facts: Facts) -> tuple[tuple[str, Absent], ...]:
    """The facts that are UNKNOWN or STALE, by name, in the order in which `Facts` lists them."""
    return tuple((name, fact) for name in _FACTS if isinstance(fact := getattr(facts, name), Absent))
