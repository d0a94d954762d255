"""Bodies of all entries but decisions and claims, one class a kind. Field names and types are the form itself.

Identifiers are random pseudonyms, codes are closed or short machine words; the only free texts are a policy pack's and
the name and key of the log itself.
"""

from __future__ import annotations

from hashlib import sha256
from typing import ClassVar

import attrs

from carelink.audit.kinds import ContentAction, CredentialAction, KeyAction, Kind, ReleaseCause
from carelink.audit.schema import (
    ANY_TEXT,
    BOOLEAN,
    CHANNELS,
    CODE,
    COUNT,
    HEX64,
    INTEGER,
    NAME,
    PLANS,
    PRINTABLE,
    PURPOSES,
    REF,
    TEXT,
    Form,
    bad,
    choice,
    items,
    nested,
    pair,
    several,
    words,
)
from carelink.model.access import AccessAction, Finding, Refusal, Right, Role
from carelink.model.moment import Instant
from carelink.vocabulary import (
    AddressKind,
    AgeBand,
    ChannelKind,
    ContactStatus,
    DataClass,
    DeliveryEvent,
    DisclosureScope,
    GrantMethod,
    GrantState,
    LifecycleStage,
    Mode,
    Outcome,
    ProviderState,
    RecipientRole,
    Relation,
    ReviewRole,
    Standing,
    StopSource,
)

__all__ = [
    "AccessBody",
    "Body",
    "ConsentEndedBody",
    "ConsentGrantedBody",
    "ContactChange",
    "ContentBody",
    "CredentialBody",
    "ErasedBody",
    "ErasingBody",
    "ExportBody",
    "GenesisBody",
    "GuardianChange",
    "HandoverBody",
    "InboundBody",
    "KeyBody",
    "MergedBody",
    "ModeBody",
    "OpenedBody",
    "PackBody",
    "PluginChannel",
    "PluginEntry",
    "PluginsBody",
    "PolicyBody",
    "PreviousLog",
    "ReceiptBody",
    "ReconciledBody",
    "RecoveredBody",
    "ReleasedBody",
    "RightsBody",
    "SealedBody",
    "StoppedBody",
    "SubjectBody",
    "SuppressionAddedBody",
    "SuppressionCarriedBody",
    "SuppressionLiftedBody",
    "WitnessBody",
]


@attrs.frozen(kw_only=True)
class Body(Form):
    """A body; `kind` is the entry's kind."""

    kind: ClassVar[Kind]


@attrs.frozen(kw_only=True)
class PreviousLog(Form):
    """The log that this one goes on from: its name, and its last head, whose last entry is `sealed`."""

    origin: str = attrs.field(metadata=PRINTABLE)
    size: int = attrs.field(metadata=INTEGER)
    root: str = attrs.field(metadata=HEX64)


@attrs.frozen(kw_only=True)
class GenesisBody(Body):
    """The first entry of a log: its name, its key, the form it is in, and the log that it succeeds."""

    kind = Kind.GENESIS
    origin: str = attrs.field(metadata=PRINTABLE)
    tenant: str = attrs.field(metadata=REF)
    log_key: str = attrs.field(metadata=PRINTABLE)
    form: str = attrs.field(default="carelink-log/1", metadata=words("carelink-log/1"))
    created: Instant = attrs.field(metadata=INTEGER)
    previous: PreviousLog | None = attrs.field(default=None, metadata=nested(PreviousLog))


@attrs.frozen(kw_only=True)
class PackBody(Body):
    """A policy pack's exact text; `digest` is SHA-256 of its UTF-8 bytes."""

    kind = Kind.PACK
    id: str = attrs.field(metadata=TEXT)
    version: str = attrs.field(metadata=TEXT)
    digest: str = attrs.field(metadata=HEX64)
    toml: str = attrs.field(metadata=ANY_TEXT)

    def check(self, field: str) -> None:
        """The digest is of this text."""
        if sha256(self.toml.encode(errors="replace")).hexdigest() != self.digest:
            raise bad(f"{field}.digest", "is not of this text")


@attrs.frozen(kw_only=True)
class PolicyBody(Body):
    """A policy adopted: packs by digest, who did it, who approved, and whether it allows more than the last one."""

    kind = Kind.POLICY
    digest: str = attrs.field(metadata=HEX64)
    packs: tuple[str, ...] = attrs.field(metadata=items(HEX64))
    by: str = attrs.field(metadata=REF)
    approvers: tuple[str, ...] = attrs.field(metadata=items(REF))
    loosens: bool = attrs.field(metadata=BOOLEAN)


@attrs.frozen(kw_only=True)
class PluginChannel(Form):
    """A channel a plugin brings. `local`: what it is handed does not leave the machine. What the settings say of its
    provider: `region`, where it processes data, and `agreement_until`, the end of the agreement; left out where they
    say nothing.
    """

    name: str = attrs.field(metadata=NAME)
    kind: ChannelKind = attrs.field(metadata=choice(ChannelKind))
    local: bool = attrs.field(metadata=BOOLEAN)
    region: str | None = attrs.field(default=None, metadata=CODE)
    agreement_until: Instant | None = attrs.field(default=None, metadata=INTEGER)


@attrs.frozen(kw_only=True)
class PluginEntry(Form):
    """A plugin as found at start-up."""

    name: str = attrs.field(metadata=TEXT)
    version: str = attrs.field(metadata=TEXT)
    digest: str = attrs.field(metadata=HEX64)
    channels: tuple[PluginChannel, ...] = attrs.field(metadata=items(nested(PluginChannel)))


@attrs.frozen(kw_only=True)
class PluginsBody(Body):
    """The whole plugin set; replaces the one before."""

    kind = Kind.PLUGINS
    digest: str = attrs.field(metadata=HEX64)
    plugins: tuple[PluginEntry, ...] = attrs.field(metadata=items(nested(PluginEntry)))


@attrs.frozen(kw_only=True)
class ModeBody(Body):
    """How far the deployment may reach from now on; `checks` counts the deploy-time checks that passed."""

    kind = Kind.MODE
    mode: Mode = attrs.field(metadata=choice(Mode))
    by: str = attrs.field(metadata=REF)
    checks: int | None = attrs.field(default=None, metadata=INTEGER)


@attrs.frozen(kw_only=True)
class ContentBody(Body):
    """A template version: registered, screened, approved by one more person, withdrawn, and what changed about it.

    An approval says in which role (clinical where left out) and when; `quorum` is how many make it approved (1 where
    left out). `number` is SHA-256 of the regulator's approval number, left out where it has none any more; `state` is
    the provider's word on the template of one `channel`; `lists` and `findings` are what screening its own text came
    to.
    """

    kind = Kind.CONTENT
    action: ContentAction = attrs.field(metadata=choice(ContentAction))
    template: str = attrs.field(metadata=NAME)
    version: int = attrs.field(metadata=INTEGER)
    digest: str = attrs.field(metadata=HEX64)
    purposes: tuple[str, ...] | None = attrs.field(default=None, metadata=items(PURPOSES))
    channels: tuple[str, ...] | None = attrs.field(default=None, metadata=items(CHANNELS))
    since: Instant | None = attrs.field(default=None, metadata=INTEGER)
    until: Instant | None = attrs.field(default=None, metadata=INTEGER)
    by: str = attrs.field(metadata=REF)
    quorum: int | None = attrs.field(default=None, metadata=COUNT)
    data: tuple[DataClass, ...] = attrs.field(default=(), metadata=several(choice(DataClass)))
    role: ReviewRole | None = attrs.field(default=None, metadata=choice(ReviewRole, but=ReviewRole.CLINICAL))
    at: Instant | None = attrs.field(default=None, metadata=INTEGER)
    number: str | None = attrs.field(default=None, metadata=HEX64)
    number_until: Instant | None = attrs.field(default=None, metadata=INTEGER)
    channel: str | None = attrs.field(default=None, metadata=NAME)
    state: ProviderState | None = attrs.field(default=None, metadata=choice(ProviderState))
    lists: str | None = attrs.field(default=None, metadata=HEX64)
    findings: tuple[tuple[str, str], ...] = attrs.field(default=(), metadata=several(pair(NAME)))

    def check(self, field: str) -> None:
        """Each action says what belongs to it and nothing else."""
        self._check_registration(field)
        action = self.action
        for where, names in (
            ((ContentAction.APPROVED, ContentAction.APPROVAL_REFUSED), ("role",)),
            ((ContentAction.APPROVED,), ("at",)),
            ((ContentAction.REGISTERED,), ("quorum", "data")),
            ((ContentAction.NUMBERED,), ("number", "number_until")),
            ((ContentAction.PROVIDER,), ("channel", "state")),
            ((ContentAction.SCREENED,), ("lists", "findings")),
        ):
            for name in names:
                if action not in where and getattr(self, name) not in (None, ()):
                    raise bad(f"{field}.{name}", "does not belong to this action")
        if action is ContentAction.PROVIDER and (self.channel is None or self.state is None):
            raise bad(f"{field}.state", "and `channel` are missing")
        if action is ContentAction.SCREENED and self.lists is None:
            raise bad(f"{field}.lists", "is missing")
        if (self.number is None) is not (self.number_until is None):
            raise bad(f"{field}.number", "stands with the end of its validity")
        if self.quorum == 1:
            raise bad(f"{field}.quorum", "is 1 and not left out")

    def _check_registration(self, field: str) -> None:
        said = [bool(self.purposes), bool(self.channels), self.since is not None]
        registered = self.action is ContentAction.REGISTERED
        if self.purposes == () or self.channels == ():
            raise bad(f"{field}.purposes", "or `channels` is empty and not omitted")
        if any(item is not registered for item in said) or (self.until is not None and not registered):
            raise bad(f"{field}.purposes", "stands with its channels and instants exactly where content is registered")


@attrs.frozen(kw_only=True)
class CredentialBody(Body):
    """A credential of a member of staff: what `actor` may approve as, from when until when. A renewal moves `until`; an
    end says from when it is none (`at`).
    """

    kind = Kind.CREDENTIAL
    action: CredentialAction = attrs.field(metadata=choice(CredentialAction))
    credential: str = attrs.field(metadata=REF)
    actor: str = attrs.field(metadata=REF)
    role: ReviewRole = attrs.field(metadata=choice(ReviewRole))
    since: Instant | None = attrs.field(default=None, metadata=INTEGER)
    until: Instant | None = attrs.field(default=None, metadata=INTEGER)
    at: Instant | None = attrs.field(default=None, metadata=INTEGER)
    by: str = attrs.field(metadata=REF)

    def check(self, field: str) -> None:
        """A registration says since when; an end says when, and has no validity of its own."""
        if (self.since is not None) is not (self.action is CredentialAction.REGISTERED):
            raise bad(f"{field}.since", "stands exactly where a credential is registered")
        ended = self.action is CredentialAction.ENDED
        if (self.at is not None) is not ended or (ended and self.until is not None):
            raise bad(f"{field}.at", "stands exactly where a credential ended")


@attrs.frozen(kw_only=True)
class ContactChange(Form):
    """What is now known of a contact point; `ended`: the person no longer uses it."""

    address: str = attrs.field(metadata=REF)
    kind: AddressKind = attrs.field(metadata=choice(AddressKind))
    status: ContactStatus = attrs.field(metadata=choice(ContactStatus))
    verified_at: Instant | None = attrs.field(default=None, metadata=INTEGER)
    ended: bool | None = attrs.field(default=None, metadata=BOOLEAN)


@attrs.frozen(kw_only=True)
class GuardianChange(Form):
    """What is now known of the relation to a guardian or another related person."""

    person: str = attrs.field(metadata=REF)
    relation: Relation = attrs.field(metadata=choice(Relation))
    verified: bool = attrs.field(metadata=BOOLEAN)
    acts: bool = attrs.field(metadata=BOOLEAN)
    scopes: tuple[DisclosureScope, ...] = attrs.field(metadata=items(choice(DisclosureScope)))
    since: Instant = attrs.field(metadata=INTEGER)
    until: Instant | None = attrs.field(default=None, metadata=INTEGER)


@attrs.frozen(kw_only=True)
class SubjectBody(Body):
    """Coarse facts of a person that changed. A related person is a subject of its own."""

    kind = Kind.SUBJECT
    subject: str = attrs.field(metadata=REF)
    standing: Standing | None = attrs.field(default=None, metadata=choice(Standing))
    age: AgeBand | None = attrs.field(default=None, metadata=choice(AgeBand))
    contact: ContactChange | None = attrs.field(default=None, metadata=nested(ContactChange))
    guardian: GuardianChange | None = attrs.field(default=None, metadata=nested(GuardianChange))
    stage: LifecycleStage | None = attrs.field(default=None, metadata=choice(LifecycleStage))


@attrs.frozen(kw_only=True)
class MergedBody(Body):
    """Two pseudonyms are one person; `subject` is the one that goes on."""

    kind = Kind.MERGED
    subject: str = attrs.field(metadata=REF)
    merged: str = attrs.field(metadata=REF)


@attrs.frozen(kw_only=True)
class ConsentGrantedBody(Body):
    """A grant; `evidence` commits to the reference of its proof, `age` is the subject's band when it was given. Without
    `plans` it is for messages of every plan and of none; without `method` it was given explicitly.
    """

    kind = Kind.CONSENT_GRANTED
    grant: str = attrs.field(metadata=REF)
    subject: str = attrs.field(metadata=REF)
    purposes: tuple[str, ...] = attrs.field(metadata=items(PURPOSES))
    channels: tuple[str, ...] = attrs.field(metadata=items(CHANNELS))
    by: RecipientRole = attrs.field(metadata=choice(RecipientRole))
    since: Instant = attrs.field(metadata=INTEGER)
    until: Instant | None = attrs.field(default=None, metadata=INTEGER)
    separate: bool = attrs.field(metadata=BOOLEAN)
    notice: str = attrs.field(metadata=TEXT)
    evidence: str = attrs.field(metadata=HEX64)
    plans: tuple[str, ...] = attrs.field(default=(), metadata=several(PLANS))
    method: GrantMethod | None = attrs.field(default=None, metadata=choice(GrantMethod, but=GrantMethod.EXPLICIT))
    age: AgeBand | None = attrs.field(default=None, metadata=choice(AgeBand))


@attrs.frozen(kw_only=True)
class ConsentEndedBody(Body):
    """A grant's end."""

    kind = Kind.CONSENT_ENDED
    grant: str = attrs.field(metadata=REF)
    subject: str = attrs.field(metadata=REF)
    state: GrantState = attrs.field(metadata=choice(GrantState))
    ended_at: Instant = attrs.field(metadata=INTEGER)
    evidence: str | None = attrs.field(default=None, metadata=HEX64)

    def check(self, field: str) -> None:
        """A grant does not end as given."""
        if self.state is GrantState.GIVEN:
            raise bad(f"{field}.state", "does not end a grant")


@attrs.frozen(kw_only=True)
class SuppressionAddedBody(Body):
    """A stop of a person or of an address; without `plans`, of messages of every plan and of none."""

    kind = Kind.SUPPRESSION_ADDED
    suppression: str = attrs.field(metadata=REF)
    person: str | None = attrs.field(default=None, metadata=REF)
    address: str | None = attrs.field(default=None, metadata=REF)
    purposes: tuple[str, ...] = attrs.field(metadata=items(PURPOSES))
    channels: tuple[str, ...] = attrs.field(metadata=items(CHANNELS))
    source: StopSource = attrs.field(metadata=choice(StopSource))
    since: Instant = attrs.field(metadata=INTEGER)
    until: Instant | None = attrs.field(default=None, metadata=INTEGER)
    plans: tuple[str, ...] = attrs.field(default=(), metadata=several(PLANS))

    def check(self, field: str) -> None:
        """Exactly one of person and address."""
        if (self.person is None) is (self.address is None):
            raise bad(f"{field}.person", "or `address`, exactly one of them, is bound")


@attrs.frozen(kw_only=True)
class SuppressionCarriedBody(Body):
    """A stop that stands under an address's token, now known in the log by a new pseudonym."""

    kind = Kind.SUPPRESSION_CARRIED
    suppression: str = attrs.field(metadata=REF)
    address: str = attrs.field(metadata=REF)
    purposes: tuple[str, ...] = attrs.field(metadata=items(PURPOSES))
    channels: tuple[str, ...] = attrs.field(metadata=items(CHANNELS))
    source: StopSource = attrs.field(metadata=choice(StopSource))
    since: Instant = attrs.field(metadata=INTEGER)
    until: Instant | None = attrs.field(default=None, metadata=INTEGER)
    plans: tuple[str, ...] = attrs.field(default=(), metadata=several(PLANS))


@attrs.frozen(kw_only=True)
class SuppressionLiftedBody(Body):
    """The end of a stop."""

    kind = Kind.SUPPRESSION_LIFTED
    suppression: str = attrs.field(metadata=REF)
    by: str = attrs.field(metadata=REF)
    at: Instant = attrs.field(metadata=INTEGER)


@attrs.frozen(kw_only=True)
class HandoverBody(Body):
    """The one attempt of a claim. `content`, `wire`, `provider`: keyed commitments; `detail`: a machine word."""

    kind = Kind.HANDOVER
    reservation: str = attrs.field(metadata=REF)
    request: str = attrs.field(metadata=REF)
    channel: str = attrs.field(metadata=NAME)
    outcome: Outcome = attrs.field(metadata=choice(Outcome))
    attempted_at: Instant = attrs.field(metadata=INTEGER)
    content: str | None = attrs.field(default=None, metadata=HEX64)
    wire: str | None = attrs.field(default=None, metadata=HEX64)
    provider: str | None = attrs.field(default=None, metadata=HEX64)
    detail: str | None = attrs.field(default=None, metadata=CODE)


@attrs.frozen(kw_only=True)
class ReleasedBody(Body):
    """The end of a permit without an attempt."""

    kind = Kind.RELEASED
    reservation: str = attrs.field(metadata=REF)
    request: str = attrs.field(metadata=REF)
    cause: ReleaseCause = attrs.field(metadata=choice(ReleaseCause))


@attrs.frozen(kw_only=True)
class RecoveredBody(Body):
    """The end of a claim whose answer was lost: looked up, or given up at the deadline as unknown."""

    kind = Kind.RECOVERED
    reservation: str = attrs.field(metadata=REF)
    request: str = attrs.field(metadata=REF)
    outcome: Outcome = attrs.field(metadata=choice(Outcome))
    by: str = attrs.field(metadata=words("lookup", "deadline"))

    def check(self, field: str) -> None:
        """What nobody could look up is unknown."""
        if self.by == "deadline" and self.outcome is not Outcome.UNKNOWN:
            raise bad(f"{field}.outcome", "is not unknown though nobody could look it up")


@attrs.frozen(kw_only=True)
class ReceiptBody(Body):
    """A later report on a hand-over; `state` is the folded delivery state after it."""

    kind = Kind.RECEIPT
    reservation: str = attrs.field(metadata=REF)
    event: DeliveryEvent = attrs.field(metadata=choice(DeliveryEvent))
    at: Instant = attrs.field(metadata=INTEGER)
    state: str = attrs.field(metadata=words("", *(event.value for event in DeliveryEvent)))


@attrs.frozen(kw_only=True)
class StoppedBody(Body):
    """What a stop met: claims in flight, and permits it released."""

    kind = Kind.STOPPED
    suppressions: tuple[str, ...] = attrs.field(metadata=items(REF))
    in_flight: tuple[str, ...] = attrs.field(metadata=items(REF))
    released: tuple[str, ...] = attrs.field(metadata=items(REF))


@attrs.frozen(kw_only=True)
class InboundBody(Body):
    """A message or report that came in, and what was done about it."""

    kind = Kind.INBOUND
    event: DeliveryEvent = attrs.field(metadata=choice(DeliveryEvent))
    channel: str = attrs.field(metadata=NAME)
    address: str | None = attrs.field(default=None, metadata=REF)
    source: str = attrs.field(metadata=CODE)
    matched: bool = attrs.field(metadata=BOOLEAN)
    actions: tuple[str, ...] = attrs.field(metadata=items(CODE))


@attrs.frozen(kw_only=True)
class OpenedBody(Body):
    """Personal data was opened by a person, in a role. `access` names an opening in an emergency, to be reviewed."""

    kind = Kind.OPENED
    subject: str = attrs.field(metadata=REF)
    what: str = attrs.field(metadata=CODE)
    purpose: str = attrs.field(metadata=CODE)
    by: str = attrs.field(metadata=REF)
    role: Role | None = attrs.field(default=None, metadata=choice(Role))
    access: str | None = attrs.field(default=None, metadata=REF)


@attrs.frozen(kw_only=True)
class AccessBody(Body):
    """Access to a person's data was approved until an instant, refused, or reviewed. `actor` is who is to look, or
    looked; `by` is who approved or reviewed.
    """

    kind = Kind.ACCESS
    action: AccessAction = attrs.field(metadata=choice(AccessAction))
    access: str = attrs.field(metadata=REF)
    subject: str = attrs.field(metadata=REF)
    actor: str = attrs.field(metadata=REF)
    what: str = attrs.field(metadata=CODE)
    purpose: str = attrs.field(metadata=CODE)
    by: str | None = attrs.field(default=None, metadata=REF)
    until: Instant | None = attrs.field(default=None, metadata=INTEGER)
    finding: Finding | None = attrs.field(default=None, metadata=choice(Finding))

    def check(self, field: str) -> None:
        """An approval ends, and a review found something; both are by somebody."""
        needs = {
            AccessAction.APPROVED: (True, True, False),
            AccessAction.DENIED: (False, False, False),
            AccessAction.REVIEWED: (True, False, True),
        }
        given = (self.by is not None, self.until is not None, self.finding is not None)
        if given != needs[self.action]:
            raise bad(field, "has not what its action needs")


@attrs.frozen(kw_only=True)
class RightsBody(Body):
    """A person's request was answered; `receipt` is the id of its receipt. With `refusal` it was refused, and why."""

    kind = Kind.RIGHTS
    receipt: str = attrs.field(metadata=REF)
    right: Right = attrs.field(metadata=choice(Right))
    subject: str = attrs.field(metadata=REF)
    by: str = attrs.field(metadata=REF)
    refusal: Refusal | None = attrs.field(default=None, metadata=choice(Refusal))


@attrs.frozen(kw_only=True)
class KeyBody(Body):
    """A key of the deployment came, changed or went."""

    kind = Kind.KEY
    action: KeyAction = attrs.field(metadata=choice(KeyAction))
    key: str = attrs.field(metadata=CODE)
    version: int = attrs.field(metadata=INTEGER)


@attrs.frozen(kw_only=True)
class ErasingBody(Body):
    """A person's erasure began; `by` is who did it."""

    kind = Kind.ERASING
    subject: str = attrs.field(metadata=REF)
    reason: str = attrs.field(metadata=CODE)
    by: str | None = attrs.field(default=None, metadata=REF)


@attrs.frozen(kw_only=True)
class ErasedBody(Body):
    """A person's erasure is done; `kept` says which coarse facts stay."""

    kind = Kind.ERASED
    subject: str = attrs.field(metadata=REF)
    kept: tuple[str, ...] = attrs.field(metadata=items(CODE))


@attrs.frozen(kw_only=True)
class ExportBody(Body):
    """Entries first..last, this one being the last, were exported; `readme` is SHA-256 of the folder's README."""

    kind = Kind.EXPORT
    first: int = attrs.field(metadata=INTEGER)
    last: int = attrs.field(metadata=INTEGER)
    by: str = attrs.field(metadata=REF)
    readme: str | None = attrs.field(default=None, metadata=HEX64)


@attrs.frozen(kw_only=True)
class ReconciledBody(Body):
    """A restored store was brought up to the log again."""

    kind = Kind.RECONCILED
    from_size: int = attrs.field(metadata=INTEGER)
    to_size: int = attrs.field(metadata=INTEGER)
    restored: int = attrs.field(metadata=INTEGER)
    orphaned: int = attrs.field(metadata=INTEGER)
    by: str = attrs.field(metadata=REF)


@attrs.frozen(kw_only=True)
class WitnessBody(Body):
    """A witness cosigned the log at a size."""

    kind = Kind.WITNESS
    name: str = attrs.field(metadata=TEXT)
    size: int = attrs.field(metadata=INTEGER)
    digest: str = attrs.field(metadata=HEX64)


@attrs.frozen(kw_only=True)
class SealedBody(Body):
    """The end of a log; `successor` is SHA-256 of the next key line. Only `reconciled` may follow, which voids it."""

    kind = Kind.SEALED
    successor: str = attrs.field(metadata=HEX64)
    by: str = attrs.field(metadata=REF)
