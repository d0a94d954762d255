"""The journal: turns what the engine did into audit entries, salted, encoded and hashed, appended with the commit."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING

import attrs

from carelink.audit.bodies import (
    AccessBody,
    Body,
    ConsentEndedBody,
    ConsentGrantedBody,
    ContactChange,
    ContentBody,
    CredentialBody,
    ErasedBody,
    ErasingBody,
    ExportBody,
    GenesisBody,
    GuardianChange,
    HandoverBody,
    InboundBody,
    KeyBody,
    MergedBody,
    ModeBody,
    OpenedBody,
    PackBody,
    PluginChannel,
    PluginEntry,
    PluginsBody,
    PolicyBody,
    PreviousLog,
    ReceiptBody,
    ReconciledBody,
    RecoveredBody,
    ReleasedBody,
    RightsBody,
    SealedBody,
    StoppedBody,
    SubjectBody,
    SuppressionAddedBody,
    SuppressionCarriedBody,
    SuppressionLiftedBody,
    WitnessBody,
)
from carelink.audit.decided import ClaimBody, DecisionBody
from carelink.audit.entry import Entry, encode_entry, salt_text
from carelink.audit.kinds import ContentAction, CredentialAction, KeyAction, ReleaseCause
from carelink.audit.merkle import leaf_hash
from carelink.consent.facts import Facts
from carelink.consent.pack import Pack
from carelink.consent.verdict import Decision
from carelink.engine.safe import Held
from carelink.errors import StoreError
from carelink.model.access import AccessAction, Actor, DataKind, Finding, Refusal, Right, Role
from carelink.model.ids import AddressRef, DecisionId, PersonRef, RequestRef, ReservationId, SuppressionId
from carelink.model.moment import Instant
from carelink.model.scope import EVERY_PLAN
from carelink.ports.rows import (
    AccessRow,
    ContactRow,
    CredentialRow,
    EntryRow,
    GrantRow,
    RelatedRow,
    ReservationRow,
    StopRow,
    TemplateRow,
)
from carelink.ports.store import Transaction
from carelink.ports.system import Entropy
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    DeliveryEvent,
    GrantMethod,
    GrantState,
    LifecycleStage,
    Mode,
    Outcome,
    ProviderState,
    ReviewRole,
    Standing,
    word,
)

if TYPE_CHECKING:
    from carelink.engine.parts import Attempt, Parts

__all__ = ["Journal", "genesis"]

_SALT = 16


def _row(body: Body, at: Instant, random: bytes, request: str = "") -> EntryRow:
    data = encode_entry(Entry(at=at, body=body, salt=salt_text(random)))
    return EntryRow(data=data, leaf=leaf_hash(data), request=request)


def genesis(
    entropy: Entropy, *, tenant: str, origin: str, log_key: str, at: Instant, previous: PreviousLog | None = None
) -> EntryRow:
    """The first entry of a log; `previous` is the sealed log that it goes on from."""
    body = GenesisBody(tenant=tenant, origin=origin, log_key=log_key, created=at, previous=previous)
    return _row(body, at, entropy(_SALT))


def _plans(plans: tuple[str, ...]) -> tuple[str, ...]:
    """Plans in the form of entries, which leaves out that it is all of them."""
    return () if plans == EVERY_PLAN else plans


class Journal:
    """Entries of one transaction, in the order they happened."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._rows: list[EntryRow] = []

    def write(self, tx: Transaction) -> None:
        """Append what was gathered. Called once, last, so that index order is commit order."""
        if self._rows:
            tx.append(self._rows)
            self._rows = []

    def _add(self, body: Body, at: Instant, request: str = "", random: bytes | None = None) -> None:
        salt = self._parts.entropy(_SALT) if random is None else random
        self._rows.append(_row(body, at, salt, request))

    # -- the one path ---------------------------------------------------------------------------------------

    def decision(
        self,
        decision_id: DecisionId,
        request: RequestRef,
        facts: Facts,
        decision: Decision,
        reservation: ReservationRow | None,
    ) -> None:
        """A request decided."""
        body = DecisionBody.of(
            decision,
            decision=decision_id,
            request=request,
            facts=facts,
            reservation=None if reservation is None else reservation.id,
            expires=None if reservation is None else reservation.expires,
            lease=None if reservation is None else reservation.lease,
        )
        self._add(body, decision.at, request)

    def claim(self, claim: str, reservation: ReservationRow, facts: Facts, decision: Decision) -> None:
        """A held permit decided again."""
        body = ClaimBody.of(
            decision,
            claim=claim,
            reservation=reservation.id,
            request=reservation.request,
            facts=facts,
            lease=reservation.lease,
        )
        self._add(body, decision.at, reservation.request)

    def handover(
        self, row: ReservationRow, attempt: Attempt, content: Personal[bytes] | None, held: Held | None
    ) -> None:
        """The one attempt of a claim, with salted commitments to what was said, under the patient's key; without the
        key there are none: what left must be written down, key or no key.
        """
        if row.outcome is None:
            raise StoreError("a hand-over without an outcome cannot be recorded")
        salt, wire = self._parts.entropy(_SALT), attempt.wire
        body = HandoverBody(
            reservation=row.id,
            request=row.request,
            channel=row.channel,
            outcome=row.outcome,
            attempted_at=attempt.attempted_at,
            content=None if held is None or content is None else content.use(lambda raw: held.commit(salt, raw)),
            wire=None if held is None or wire is None else wire.use(lambda raw: held.commit(salt, raw)),
            provider=None if row.provider is None else row.provider.hex(),
            detail=attempt.result.code or None,
        )
        self._add(body, attempt.attempted_at, row.request, salt)

    def released(self, row: ReservationRow, cause: str, at: Instant) -> None:
        """A permit ended without an attempt."""
        body = ReleasedBody(reservation=row.id, request=row.request, cause=word(ReleaseCause, cause))
        self._add(body, at, row.request)

    def recovered(self, row: ReservationRow, by: str, at: Instant) -> None:
        """A claim whose answer was lost is settled."""
        outcome = Outcome.UNKNOWN if row.outcome is None else row.outcome
        body = RecoveredBody(reservation=row.id, request=row.request, outcome=outcome, by=by)
        self._add(body, at, row.request)

    def receipt(self, row: ReservationRow, event: DeliveryEvent, state: str, happened: Instant, at: Instant) -> None:
        """A later report on a hand-over."""
        self._add(ReceiptBody(reservation=row.id, event=event, at=happened, state=state), at, row.request)

    # -- consent ----------------------------------------------------------------------------------------------

    def granted(self, row: GrantRow, subject: PersonRef, evidence: str, at: Instant) -> None:
        """A grant, with a commitment to its evidence."""
        salt = self._parts.entropy(_SALT)
        body = ConsentGrantedBody(
            grant=row.id,
            subject=subject,
            purposes=row.purposes,
            channels=row.channels,
            by=row.by,
            since=row.since,
            until=row.until,
            separate=row.separate,
            notice=row.notice,
            plans=_plans(row.plans),
            method=None if row.method is GrantMethod.EXPLICIT else row.method,
            age=row.age,
            evidence=self._parts.safe.commit(row.patient, salt, evidence.encode()),
        )
        self._add(body, at, random=salt)

    def grant_ended(
        self, row: GrantRow, subject: PersonRef, state: GrantState, ended_at: Instant, evidence: str, at: Instant
    ) -> None:
        """A grant's end."""
        salt = self._parts.entropy(_SALT)
        proof = self._parts.safe.commit(row.patient, salt, evidence.encode()) if evidence else None
        body = ConsentEndedBody(grant=row.id, subject=subject, state=state, ended_at=ended_at, evidence=proof)
        self._add(body, at, random=salt)

    def suppression(self, row: StopRow, address: AddressRef | None) -> None:
        """A stop of a person or an address."""
        body = SuppressionAddedBody(
            suppression=row.id,
            person=row.person,
            address=address,
            purposes=row.purposes,
            channels=row.channels,
            source=row.source,
            since=row.since,
            until=row.until,
            plans=_plans(row.plans),
        )
        self._add(body, row.since)

    def carried(self, row: StopRow, address: AddressRef, at: Instant) -> None:
        """A stop under a surviving token, for the address's new pseudonym."""
        body = SuppressionCarriedBody(
            suppression=row.id,
            address=address,
            purposes=row.purposes,
            channels=row.channels,
            source=row.source,
            since=row.since,
            until=row.until,
            plans=_plans(row.plans),
        )
        self._add(body, at)

    def lifted(self, suppression: SuppressionId, by: str, at: Instant) -> None:
        """The end of a stop."""
        self._add(SuppressionLiftedBody(suppression=suppression, by=by, at=at), at)

    def stopped(
        self,
        suppressions: Sequence[SuppressionId],
        in_flight: Sequence[ReservationId],
        released: Sequence[ReservationId],
        at: Instant,
    ) -> None:
        """What a stop met."""
        body = StoppedBody(suppressions=tuple(suppressions), in_flight=tuple(in_flight), released=tuple(released))
        self._add(body, at)

    def inbound(
        self,
        event: DeliveryEvent,
        channel: str,
        address: AddressRef | None,
        source: str,
        matched: bool,  # noqa: FBT001
        actions: Sequence[str],
        at: Instant,
    ) -> None:
        """Something came in, and what was done about it."""
        body = InboundBody(
            event=event, channel=channel, address=address, source=source, matched=matched, actions=tuple(actions)
        )
        self._add(body, at)

    # -- persons ----------------------------------------------------------------------------------------------

    def subject(
        self,
        person: PersonRef,
        at: Instant,
        *,
        standing: Standing | None = None,
        age: AgeBand | None = None,
        stage: LifecycleStage | None = None,
    ) -> None:
        """Coarse facts of a person."""
        self._add(SubjectBody(subject=person, standing=standing, age=age, stage=stage), at)

    def contact(self, person: PersonRef, row: ContactRow, at: Instant, *, ended: bool = False) -> None:
        """A contact point of a person, its new status, or its end."""
        change = ContactChange(
            address=row.address,
            kind=row.kind,
            status=row.status,
            verified_at=row.verified_at,
            ended=True if ended else None,
        )
        self._add(SubjectBody(subject=person, contact=change), at)

    def contact_lost(self, person: str, change: ContactChange, at: Instant) -> None:
        """A contact point the log knows and the store has lost: nobody can use it any more."""
        self._add(SubjectBody(subject=person, contact=attrs.evolve(change, ended=True)), at)

    def guardian(self, subject: PersonRef, row: RelatedRow, at: Instant) -> None:
        """A relation to a guardian or other related person."""
        change = GuardianChange(
            person=row.person,
            relation=row.relation,
            verified=row.verified,
            acts=row.acts,
            scopes=row.scopes,
            since=row.since,
            until=row.until,
        )
        self._add(SubjectBody(subject=subject, guardian=change), at)

    def merged(self, survivor: PersonRef, old: PersonRef, at: Instant) -> None:
        """Two pseudonyms are one person."""
        self._add(MergedBody(subject=survivor, merged=old), at)

    def opened(
        self, subject: PersonRef, what: DataKind, actor: Actor, role: Role, access: str | None, at: Instant
    ) -> None:
        """Personal data was opened; `access` names an opening in an emergency."""
        body = OpenedBody(
            subject=subject, what=what.value, purpose=actor.purpose.value, by=actor.ref, role=role, access=access
        )
        self._add(body, at)

    def access(self, action: AccessAction, row: AccessRow, subject: PersonRef, at: Instant) -> None:
        """Access was approved, refused or reviewed."""
        body = AccessBody(
            action=action,
            access=row.id,
            subject=subject,
            actor=row.actor,
            what=row.what,
            purpose=row.purpose,
            by=row.by or None,
            until=row.until,
            finding=word(Finding, row.finding) if row.finding else None,
        )
        self._add(body, at)

    def rights(
        self, receipt: str, right: Right, subject: PersonRef, by: str, refusal: Refusal | None, at: Instant
    ) -> None:
        """A person's request was answered."""
        self._add(RightsBody(receipt=receipt, right=right, subject=subject, by=by, refusal=refusal), at)

    def erasing(self, person: PersonRef, reason: str, by: str, at: Instant) -> None:
        """A person's erasure began."""
        self._add(ErasingBody(subject=person, reason=reason, by=by), at)

    def erased(self, person: PersonRef, kept: Sequence[str], at: Instant) -> None:
        """A person's erasure is done."""
        self._add(ErasedBody(subject=person, kept=tuple(kept)), at)

    # -- what decisions depend on -----------------------------------------------------------------------------

    def pack(self, pack: Pack, data: bytes, at: Instant) -> None:
        """A pack's exact text."""
        self._add(PackBody(id=pack.id, version=pack.version, digest=pack.digest, toml=data.decode()), at)

    def policy(
        self,
        digest: str,
        packs: Sequence[str],
        by: str,
        approvers: Sequence[str],
        *,
        loosens: bool,
        at: Instant,
    ) -> None:
        """A policy adopted."""
        body = PolicyBody(
            digest=digest, packs=tuple(packs), by=by, approvers=tuple(sorted(set(approvers))), loosens=loosens
        )
        self._add(body, at)

    def plugins(
        self,
        digest: str,
        plugins: Sequence[tuple[str, str, str, tuple[tuple[str, str, bool, str, Instant | None], ...]]],
        at: Instant,
    ) -> None:
        """The plugin set that was loaded."""
        entries = tuple(
            PluginEntry(
                name=name,
                version=version,
                digest=found,
                channels=tuple(
                    PluginChannel(
                        name=channel,
                        kind=word(ChannelKind, kind),
                        local=local,
                        region=region or None,
                        agreement_until=until,
                    )
                    for channel, kind, local, region, until in channels
                ),
            )
            for name, version, found, channels in plugins
        )
        self._add(PluginsBody(digest=digest, plugins=entries), at)

    def mode(self, mode: Mode, by: str, checks: int, at: Instant) -> None:
        """How far the deployment may reach from now on."""
        self._add(ModeBody(mode=mode, by=by, checks=checks), at)

    def reconciled(self, from_size: int, to_size: int, restored: int, orphaned: int, by: str, at: Instant) -> None:
        """A restored store was brought up to the log."""
        body = ReconciledBody(from_size=from_size, to_size=to_size, restored=restored, orphaned=orphaned, by=by)
        self._add(body, at)

    def export(self, first: int, last: int, by: str, readme: str, at: Instant) -> None:
        """Entries left in an export, with a README of this digest."""
        self._add(ExportBody(first=first, last=last, by=by, readme=readme), at)

    def sealed(self, successor: str, by: str, at: Instant) -> None:
        """The log ends here and goes on in another, named by the fingerprint of its key."""
        self._add(SealedBody(successor=successor, by=by), at)

    def witness(self, name: str, size: int, digest: str, at: Instant) -> None:
        """A witness cosigned the log at a size."""
        self._add(WitnessBody(name=name, size=size, digest=digest), at)

    def content(
        self,
        action: ContentAction,
        row: TemplateRow,
        by: str,
        at: Instant,
        *,
        role: ReviewRole | None = None,
        provider: tuple[str, ProviderState] | None = None,
        findings: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """What happened to a template version, which stands as `row` now."""
        registered, numbered = action is ContentAction.REGISTERED, action is ContentAction.NUMBERED
        body = ContentBody(
            action=action,
            template=row.name,
            version=row.version,
            digest=row.digest,
            purposes=row.purposes if registered else None,
            channels=row.channels if registered else None,
            since=row.since if registered else None,
            until=row.until if registered else None,
            by=by,
            quorum=row.quorum if registered and row.quorum > 1 else None,
            data=row.data if registered else (),
            role=None if role is ReviewRole.CLINICAL else role,
            at=at if action is ContentAction.APPROVED else None,
            number=sha256(row.number.encode()).hexdigest() if numbered and row.number else None,
            number_until=row.number_until if numbered else None,
            channel=None if provider is None else provider[0],
            state=None if provider is None else provider[1],
            lists=row.screened if action is ContentAction.SCREENED else None,
            findings=findings,
        )
        self._add(body, at)

    def key(self, action: KeyAction, name: str, version: int, at: Instant) -> None:
        """A key of the deployment came, changed or went. `name`: `root:XXXXXX`, `epoch`, `data`, `index`."""
        self._add(KeyBody(action=action, key=name, version=version), at)

    def credential(self, action: CredentialAction, row: CredentialRow, by: str, at: Instant) -> None:
        """What happened to a credential, which stands as `row` now."""
        ended = action is CredentialAction.ENDED
        body = CredentialBody(
            action=action,
            credential=row.id,
            actor=row.actor,
            role=row.role,
            since=row.since if action is CredentialAction.REGISTERED else None,
            until=None if ended else row.until,
            at=row.ended_at if ended else None,
            by=by,
        )
        self._add(body, at)
