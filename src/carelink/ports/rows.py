"""Rows of the store, as plain values. Clear columns hold only random ids, closed codes, instants, zone names and
the age band; everything else is a sealed field or a keyed hash (P8).

Lists are of words: none is empty, none holds a comma (a store may keep a list as one text).
"""

from __future__ import annotations

import attrs

from carelink.model.ids import (
    AddressRef,
    ContactPointId,
    CredentialId,
    DecisionId,
    GrantId,
    PatientId,
    PersonRef,
    RelatedId,
    RequestRef,
    ReservationId,
    SuppressionId,
)
from carelink.model.moment import Instant
from carelink.model.scope import EVERY_PLAN
from carelink.vocabulary import (
    AddressKind,
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DataClass,
    DisclosureScope,
    ErasurePhase,
    GrantMethod,
    GrantState,
    LifecycleStage,
    Mode,
    Outcome,
    Purpose,
    RecipientRole,
    Relation,
    ReservationState,
    ReviewRole,
    Standing,
    StopSource,
)

__all__ = [
    "AccessRow",
    "ContactRow",
    "CredentialRow",
    "EntryRow",
    "ErasureRow",
    "Gate",
    "GrantRow",
    "HeadRow",
    "IndexRow",
    "PatientRow",
    "RelatedRow",
    "ReservationRow",
    "SealedRow",
    "StopRow",
    "TemplateRow",
    "TenantRow",
    "TouchRow",
]


@attrs.frozen(cache_hash=True)
class Gate:
    """Key of a gate row. `kind` is "person" (key: pseudonym as bytes) or "address" (key: address token)."""

    kind: str
    key: bytes


@attrs.frozen(kw_only=True)
class TenantRow:
    """Global facts of the tenant; one row. `zone` is an IANA name or empty."""

    tenant: str
    origin: str
    zone: str
    created: Instant
    mode: Mode = Mode.SANDBOX
    policy: str = ""
    packs: tuple[str, ...] = ()
    plugins: str = ""
    synthetic: bool = False


@attrs.frozen(kw_only=True)
class PatientRow:
    """A patient. `person` is the pseudonym in the log; `merged_into` names the survivor."""

    id: PatientId
    person: PersonRef
    standing: Standing = Standing.ACTIVE
    age: AgeBand | None = None
    zone: str = ""
    language: str = ""
    created: Instant
    merged_into: PatientId | None = None
    stage: LifecycleStage | None = None


@attrs.frozen(kw_only=True)
class RelatedRow:
    """A guardian or other related person of one patient."""

    id: RelatedId
    patient: PatientId
    person: PersonRef
    relation: Relation
    standing: Standing = Standing.ACTIVE
    verified: bool = False
    acts: bool = False
    scopes: tuple[DisclosureScope, ...] = ()
    since: Instant
    until: Instant | None = None


@attrs.frozen(kw_only=True)
class ContactRow:
    """A contact point. `owner` is a PatientId or RelatedId; the address itself is a sealed field of this row
    (table "contact", column "address"), sealed under the patient's key (a related person's too: it was
    given for that patient's care and dies with it).

    `token` is the full-length keyed token; `address` the pseudonym in the log; `zones` every IANA zone the
    address's country prefix allows; lower `rank` is tried first.
    """

    id: ContactPointId
    owner: str
    person: PersonRef
    kind: AddressKind
    token: bytes
    address: AddressRef
    status: ContactStatus
    verified_at: Instant | None = None
    rank: int = 0
    zones: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class SealedRow:
    """One sealed field. `table`, `column` are the stable logical names bound in the envelope."""

    table: str
    row: str
    column: str
    envelope: bytes


@attrs.frozen(kw_only=True)
class IndexRow:
    """One blind-index value of a row."""

    column: str
    version: int
    value: bytes
    row: str


@attrs.frozen(kw_only=True)
class GrantRow:
    """A recorded grant. Its evidence reference is a sealed field (table "grant", column "evidence")."""

    id: GrantId
    patient: PatientId
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    by: RecipientRole
    since: Instant
    until: Instant | None = None
    separate: bool = False
    notice: str = ""
    state: GrantState = GrantState.GIVEN
    ended_at: Instant | None = None
    plans: tuple[str, ...] = EVERY_PLAN
    method: GrantMethod = GrantMethod.EXPLICIT
    age: AgeBand | None = None


@attrs.frozen(kw_only=True)
class StopRow:
    """A suppression of a person (pseudonym) or of an address (token): exactly one of the two."""

    id: SuppressionId
    person: PersonRef | None = None
    token: bytes | None = None
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    source: StopSource
    since: Instant
    until: Instant | None = None
    lifted_at: Instant | None = None
    plans: tuple[str, ...] = EVERY_PLAN


@attrs.frozen(kw_only=True)
class AccessRow:
    """An approval to look at a patient's data, or an opening in an emergency, which has to be reviewed.

    Attributes:
        actor: pseudonym of who may look, or looked. by: who approved, or reviewed.
        until: end of an approval. reviewed_at, finding: of the review.
    """

    id: str
    patient: PatientId
    actor: str
    emergency: bool
    what: str
    purpose: str
    at: Instant
    by: str = ""
    until: Instant | None = None
    reviewed_at: Instant | None = None
    finding: str = ""


@attrs.frozen(kw_only=True)
class ErasureRow:
    """How far a patient's erasure is. Whoever finds one that is not done goes on with it.

    Attributes:
        owners: whose keys go: the record, and those merged into it.
        reason: a code. by: pseudonym of who asked for it.
        shredded_at: when the first of the keys was destroyed.
        clean: the key store's write-ahead log was emptied since.
        copies: what became of copies elsewhere, as name, outcome and count joined by colons.
        receipt: the receipt in its JSON form, "" until the erasure is done.
    """

    patient: PatientId
    owners: tuple[PatientId, ...]
    phase: ErasurePhase
    reason: str
    by: str
    begun: Instant
    shredded_at: Instant | None = None
    clean: bool = False
    copies: tuple[str, ...] = ()
    receipt: str = ""


@attrs.frozen(kw_only=True)
class CredentialRow:
    """A credential of a member of staff: what `actor`, a pseudonym, may approve as. Its validity is half open, and
    `ended_at` cuts it short.
    """

    id: CredentialId
    actor: str
    role: ReviewRole
    since: Instant
    until: Instant | None = None
    ended_at: Instant | None = None


@attrs.frozen(kw_only=True, cache_hash=True)
class TemplateRow:
    """A template version. `body` and `subject` may hold `{name}` variables; `digest` is of the approved form.

    Attributes:
        details: the rest of the approved form as one JSON text (types, texts by channel, citations, by-line, data);
            "" for none.
        data: kinds of personal data its variables carry.
        author: pseudonym of who registered it, who cannot approve it.
        quorum: how many distinct approvers make it approved.
        reviews: an approval each, in the order given: pseudonym, role and instant, joined by colons.
        number, number_until: the regulator's approval number and the end of its validity.
        providers: where it stands with a channel's provider: channel, state and provider's id, joined by colons.
        screened: digest of the word lists its own text was screened with; "" where it was not.
    """

    name: str
    version: int
    status: ContentStatus
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    language: str
    subject: str
    body: str
    variables: tuple[str, ...]
    digest: str
    since: Instant
    until: Instant | None = None
    details: str = ""
    data: tuple[DataClass, ...] = ()
    author: str = ""
    quorum: int = 1
    reviews: tuple[str, ...] = ()
    number: str = ""
    number_until: Instant | None = None
    providers: tuple[str, ...] = ()
    screened: str = ""

    @property
    def approvers(self) -> tuple[str, ...]:
        """Pseudonyms of who approved, in the order of their approvals."""
        return tuple(dict.fromkeys(review.partition(":")[0] for review in self.reviews))


@attrs.frozen(kw_only=True)
class ReservationRow:
    """The slots one permit holds, and what became of it.

    `mac` is a keyed hash over the content of the request: the same key with other content is a conflict. It is empty
    where the row was rebuilt from the log, which does not hold it.
    `at` is the decision instant, and the claim instant once claimed: a touch counts from it.
    A claimed one has a lease.
    """

    id: ReservationId
    request: RequestRef
    mac: bytes
    decision: DecisionId
    patient: PatientId
    contact: ContactPointId
    subject: PersonRef
    recipient: PersonRef
    role: RecipientRole
    token: bytes
    address: AddressRef
    purpose: Purpose
    channel: str
    channel_kind: ChannelKind
    template: str
    template_version: int
    reply: bool
    at: Instant
    state: ReservationState
    expires: Instant
    lease: Instant | None = None
    outcome: Outcome | None = None
    delivery: str = ""
    provider: bytes | None = None
    plan: str = ""
    topic: str = ""


@attrs.frozen(kw_only=True)
class TouchRow:
    """What a cap needs of a reservation that counts (held, claimed or spent)."""

    reservation: ReservationId
    subject: PersonRef
    recipient: PersonRef
    token: bytes
    purpose: Purpose
    channel_kind: ChannelKind
    reply: bool
    at: Instant
    plan: str = ""
    topic: str = ""


@attrs.frozen(kw_only=True)
class EntryRow:
    """An audit entry to append. `leaf` is its leaf hash; `request`, "" for none, is a look-up column, not evidence."""

    data: bytes
    leaf: bytes
    request: str = ""


@attrs.frozen(kw_only=True)
class HeadRow:
    """Head of the integrated log: size, serialised frontier, and how much of it is published."""

    size: int
    frontier: bytes
    published: int
