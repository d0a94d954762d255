"""Facts: all that a decision may look at, each known, UNKNOWN or STALE.

Facts are coarse and carry no name, number, address, birth date or diagnosis, so that the log keeps them
verbatim (P8) and every decision can be derived again from them (P7). Instants are microseconds UTC.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import Final, Generic, Protocol, TypeAlias, TypeVar

import attrs

from carelink.model.ids import AddressRef, PersonRef
from carelink.model.moment import Instant
from carelink.model.scope import Scope
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DataClass,
    DisclosureScope,
    GrantMethod,
    GrantState,
    LifecycleStage,
    Mode,
    ProviderState,
    Purpose,
    RecipientRole,
    Standing,
    StopSource,
)

__all__ = [
    "Absent",
    "Ask",
    "CalendarFact",
    "ChannelFact",
    "ClinicianFact",
    "ClockState",
    "ContactFact",
    "ContentFact",
    "Fact",
    "Facts",
    "GrantFact",
    "GuardianFact",
    "Known",
    "ScreeningFact",
    "StopFact",
    "StoreState",
    "Touch",
    "TouchHistory",
    "VetoFact",
    "ZoneFact",
    "ZoneFacts",
    "absences",
    "marks_of",
    "touch_marks",
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
        plan: the care plan, programme or series it belongs to; "" for none.
        topic: what this contact is about, for kinds that keep one contact from being made twice; "" for none.
        due_from, due_until: when the plan wants it, half open.
        data: kinds of personal data that the choice of this patient read, sorted.
        clinician: pseudonym of the clinician who stands behind it; "" for none.
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
    plan: str = ""
    topic: str = ""
    due_from: Instant | None = None
    due_until: Instant | None = None
    data: tuple[DataClass, ...] = ()
    clinician: str = ""


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
        method: how it came about.
        age: the subject's age band when it was given, where that was known and not adult.
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
    method: GrantMethod = GrantMethod.EXPLICIT
    age: AgeBand | None = None


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
        plan, topic: as of the request it was made for.
    """

    at: Instant
    purpose: Purpose
    channel_kind: ChannelKind
    binds: str
    reply: bool = False
    plan: str = ""
    topic: str = ""


class _Marked(Protocol):
    @property
    def plan(self) -> str: ...
    @property
    def reply(self) -> bool: ...
    @property
    def topic(self) -> str: ...


def touch_marks(touch: _Marked) -> tuple[str, ...]:
    """What marks a touch in its written form, in order; the last key of the order of touches."""
    return marks_of(touch.plan, touch.topic, reply=touch.reply)


def marks_of(plan: str, topic: str, *, reply: bool) -> tuple[str, ...]:
    """As `touch_marks`, from the parts."""
    return tuple(filter(None, (plan and f"plan:{plan}", "reply" if reply else "", topic and f"topic:{topic}")))


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
        approvals: distinct approvers, whatever their role.
        since, until: validity, half open.
        clinical, commercial, ethics: distinct approvers in that role whose credential is valid at the decision instant.
        lapsed: distinct approvers whose credential was valid when they approved and is not now.
        number_until: end of validity of the regulator's approval number; None where there is no number.
        data: kinds of personal data that its variables carry, sorted.
        provider: where it stands with the channel's provider; None where the channel registers no templates.
    """

    status: ContentStatus
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    digest: str
    approvals: int = 0
    since: Instant
    until: Instant | None = None
    clinical: int = 0
    commercial: int = 0
    ethics: int = 0
    lapsed: int = 0
    number_until: Instant | None = None
    data: tuple[DataClass, ...] = ()
    provider: ProviderState | None = None


@attrs.frozen(kw_only=True)
class ScreeningFact:
    """What screening found in the text as it would be sent.

    Attributes:
        lists: digest of the word lists, 64 hex digits.
        findings: category and action ("refuse", "hold", "annotate") of each finding, sorted, each once.
        marks: required marks that are present, sorted: codes such as "identity" or "opt_out".
    """

    lists: str
    findings: tuple[tuple[str, str], ...] = ()
    marks: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class ClinicianFact:
    """The credential of the clinician behind the request: validity, half open."""

    since: Instant
    until: Instant | None = None


@attrs.frozen(kw_only=True)
class CalendarFact:
    """Working days of one calendar.

    Attributes:
        id: as packs name it, such as "CN".
        first: the first day given, in days since 1970-01-01.
        days: a letter a day from there on: "w" working day, "r" rest day or holiday. Short where the calendar ends.
        data: version or digest of the calendar.
    """

    id: str
    first: int
    days: str
    data: str


@attrs.frozen(kw_only=True)
class ChannelFact:
    """The channel as registered.

    Attributes:
        local: nothing it is handed leaves this machine.
        usable: registered, of the kind asked for, and not stopped for account trouble.
        allow_listed: the address is on the team's allow-list (only looked at in team mode).
        region: where its provider processes data, as an ISO 3166-1 alpha-2 code in capitals; "" where nobody said.
        agreement_until: end of the processing agreement with its provider; None where there is none.
    """

    local: bool
    usable: bool
    allow_listed: bool = False
    region: str = ""
    agreement_until: Instant | None = None


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
    stage: Fact[LifecycleStage | None] = Known(None)
    clinician: Fact[ClinicianFact | None] = Known(None)
    screening: Fact[ScreeningFact | None] = Known(None)
    calendars: Fact[tuple[CalendarFact, ...]] = Known(())


_FIELDS: Final = tuple(field.name for field in attrs.fields(Facts))


def absences(facts: Facts) -> tuple[tuple[str, Absent], ...]:
    """The facts that are UNKNOWN or STALE, by name, in the order in which `Facts` lists them."""
    return tuple((name, fact) for name in _FIELDS if isinstance(fact := getattr(facts, name), Absent))
