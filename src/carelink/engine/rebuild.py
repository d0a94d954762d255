"""What entries say, applied to a store again: keys seen, caps, stops, grants, standing, content, policy, gate instants.

Applied in log order, each entry does to the rows what its own transaction did. What an entry does not hold cannot come
back: names, addresses and texts. Whoever needs one of them is refused, which is safe; a touch or a stop of somebody the
store cannot name any more is an orphan, and a person has to look at it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatchmethod
from hashlib import sha256

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
    GuardianChange,
    MergedBody,
    ModeBody,
    OpenedBody,
    PackBody,
    PluginsBody,
    PolicyBody,
    SubjectBody,
    SuppressionAddedBody,
    SuppressionLiftedBody,
)
from carelink.audit.decided import DecidedBody
from carelink.audit.kinds import ContentAction, CredentialAction
from carelink.content.review import Review, life
from carelink.engine.erasing import begin_again
from carelink.engine.rebuild_names import Names
from carelink.engine.rebuild_path import RebuiltPath
from carelink.model.access import AccessAction
from carelink.model.ids import CredentialId, GrantId, PersonRef, SuppressionId
from carelink.model.moment import Instant
from carelink.model.scope import EVERY_PLAN
from carelink.ports.rows import AccessRow, CredentialRow, GrantRow, PatientRow, StopRow, TemplateRow
from carelink.ports.store import Transaction
from carelink.vocabulary import ContentStatus, GrantMethod, GrantState, ReviewRole, Standing

__all__ = ["Rebuild"]


@attrs.define
class Rebuild:
    """Applies entries to the store of one transaction.

    Attributes:
        now: when it is applied.
        path: reservations and gate instants.
    """

    tx: Transaction
    now: Instant
    names: Names = attrs.field(init=False)
    path: RebuiltPath = attrs.field(init=False)
    _restored: int = attrs.field(default=0, init=False)
    _orphaned: int = attrs.field(default=0, init=False)
    _lost: dict[tuple[str, str], ContactChange] = attrs.field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        self.names = Names(self.tx)
        self.path = RebuiltPath(self.tx, self.names)

    @singledispatchmethod
    def apply(self, body: Body) -> None:
        """Do what an entry says, to a store that did not know it."""
        self.path.apply(body)

    def rewind(self, body: Body) -> None:
        """Undo what applying a later entry again would find done: a grant ends at its first end in log order, and an
        approver counts with the first approval in log order.
        """
        if isinstance(body, ConsentEndedBody) and (row := self.names.grant(body.subject, body.grant)) is not None:
            self.tx.put_grant(attrs.evolve(row, state=GrantState.GIVEN, ended_at=None))
        if isinstance(body, ContentBody) and body.action is ContentAction.APPROVED:
            key = (body.template, body.version)
            template = self.tx.templates([key]).get(key)
            if template is not None:
                left = tuple(each for each in template.reviews if each.partition(":")[0] != body.by)
                self.tx.put_template(attrs.evolve(template, reviews=left))

    def again(self, body: Body) -> None:
        """Do what an entry of the store's own says once more, after others that now come before it. What it added is
        there already.
        """
        if not isinstance(body, (DecidedBody, ConsentGrantedBody, SuppressionAddedBody)):
            self.apply(body)

    @property
    def restored(self) -> int:
        """Permits, grants and stops that the store had not."""
        return self._restored + self.path.restored

    @property
    def orphaned(self) -> int:
        """Permits and stops of persons or addresses that the store cannot name."""
        return self._orphaned + self.path.orphaned

    def lost(self) -> Iterable[tuple[str, ContactChange]]:
        """(person, last change) of each contact point that the log knows and the store has lost."""
        for (person, address), change in self._lost.items():
            if self.names.contact(person, address) is None:
                yield person, change

    # -- consent --------------------------------------------------------------------------------------------

    @apply.register
    def _granted(self, body: ConsentGrantedBody) -> None:
        patient = self.names.patient(body.subject)
        if patient is None:
            return
        row = GrantRow(
            id=GrantId(body.grant),
            patient=patient.id,
            purposes=body.purposes,
            channels=body.channels,
            by=body.by,
            since=body.since,
            until=body.until,
            separate=body.separate,
            notice=body.notice,
            plans=body.plans or EVERY_PLAN,
            method=body.method or GrantMethod.EXPLICIT,
            age=body.age,
        )
        self.tx.add_grants([row])
        self._restored += 1

    @apply.register
    def _ended(self, body: ConsentEndedBody) -> None:
        self.tx.end_grant(GrantId(body.grant), body.state, body.ended_at)

    @apply.register
    def _stop(self, body: SuppressionAddedBody) -> None:
        token = None if body.address is None else self.names.token(body.address)
        named = token is not None if body.person is None else self.names.knows(body.person)
        self._orphaned += not named
        if body.person is None and token is None:
            return
        row = StopRow(
            id=SuppressionId(body.suppression),
            person=None if body.person is None else PersonRef(body.person),
            token=token,
            purposes=body.purposes,
            channels=body.channels,
            source=body.source,
            since=body.since,
            until=body.until,
            plans=body.plans or EVERY_PLAN,
        )
        self.tx.add_stops([row])
        self._restored += 1

    @apply.register
    def _lifted(self, body: SuppressionLiftedBody) -> None:
        self.tx.lift_stop(SuppressionId(body.suppression), body.at)

    # -- persons --------------------------------------------------------------------------------------------

    @apply.register
    def _subject(self, body: SubjectBody) -> None:
        patient = self.names.patient(body.subject)
        if body.standing is not None or body.age is not None:
            self._stand(body, patient)
        if body.guardian is not None and patient is not None:
            self._relate(patient, body.guardian)
        if body.contact is not None:
            self._reach(body.subject, body.contact)

    def _stand(self, body: SubjectBody, patient: PatientRow | None) -> None:
        if patient is not None:
            standing, age = body.standing or patient.standing, body.age or patient.age
            self.tx.put_patient(attrs.evolve(patient, standing=standing, age=age))
        elif body.standing is not None and (relative := self.names.relative(body.subject)) is not None:
            self.names.put_relative(attrs.evolve(relative, standing=body.standing))

    def _relate(self, patient: PatientRow, change: GuardianChange) -> None:
        rows = self.tx.related([patient.id]).get(patient.id, ())
        row = next((row for row in rows if row.person == change.person), None)
        if row is not None:
            self.names.put_relative(
                attrs.evolve(
                    row,
                    relation=change.relation,
                    verified=change.verified,
                    acts=change.acts,
                    scopes=change.scopes,
                    since=change.since,
                    until=change.until,
                )
            )

    def _reach(self, person: str, change: ContactChange) -> None:
        row = self.names.contact(person, change.address)
        if change.ended:
            self._lost.pop((person, change.address), None)
            if row is not None:
                self.tx.delete_contact(row.id)
        elif row is not None:
            self.tx.put_contact(attrs.evolve(row, status=change.status, verified_at=change.verified_at))
        else:
            self._lost[person, change.address] = change

    @apply.register
    def _merged(self, body: MergedBody) -> None:
        survivor, old = self.names.patient(body.subject), self.names.patient(body.merged)
        if survivor is not None and old is not None:
            self.tx.put_patient(attrs.evolve(old, standing=Standing.MERGED, merged_into=survivor.id))

    @apply.register
    def _opened(self, body: OpenedBody) -> None:
        patient = self.names.patient(body.subject)
        if body.access is not None and patient is not None:  # an opening in an emergency: to be reviewed
            self.tx.put_access(
                AccessRow(
                    id=body.access, patient=patient.id, actor=body.by, emergency=True, what=body.what,
                    purpose=body.purpose, at=self.now,
                )
            )  # fmt: skip

    @apply.register
    def _access(self, body: AccessBody) -> None:
        patient = self.names.patient(body.subject)
        known = self.tx.access(body.access)
        if body.action is AccessAction.REVIEWED and known is not None and body.finding is not None:
            self.tx.put_access(attrs.evolve(known, by=body.by or "", reviewed_at=self.now, finding=body.finding.value))
        elif body.action is AccessAction.APPROVED and patient is not None:
            self.tx.put_access(
                AccessRow(
                    id=body.access, patient=patient.id, actor=body.actor, emergency=False, what=body.what,
                    purpose=body.purpose, at=self.now, by=body.by or "", until=body.until,
                )
            )  # fmt: skip

    @apply.register(ErasingBody)
    @apply.register(ErasedBody)
    def _erased(self, body: ErasingBody | ErasedBody) -> None:
        patient = self.names.patient(body.subject)
        if patient is None:
            return
        self.tx.put_patient(attrs.evolve(patient, standing=Standing.ERASED))
        if isinstance(body, ErasingBody):
            begin_again(self.tx, patient, body.reason, body.by or "", self.now)

    # -- what decisions depend on ---------------------------------------------------------------------------

    @apply.register
    def _pack(self, body: PackBody) -> None:
        self.tx.put_pack(body.digest, body.toml.encode())

    @apply.register
    def _policy(self, body: PolicyBody) -> None:
        self.tx.put_tenant(attrs.evolve(self.tx.tenant(), policy=body.digest, packs=body.packs))

    @apply.register
    def _plugins(self, body: PluginsBody) -> None:
        self.tx.put_tenant(attrs.evolve(self.tx.tenant(), plugins=body.digest))

    @apply.register
    def _mode(self, body: ModeBody) -> None:
        self.tx.put_tenant(attrs.evolve(self.tx.tenant(), mode=body.mode))

    @apply.register
    def _content(self, body: ContentBody) -> None:
        key = (body.template, body.version)
        row = self.tx.templates([key]).get(key)
        # Another text under the same version must not get approvals that were given to the one that is lost.
        if row is None or row.digest != body.digest:
            return
        row = _content(row, body)
        withdrawn = row.status is ContentStatus.WITHDRAWN or body.action is ContentAction.WITHDRAWN
        status = life(withdrawn=withdrawn, approvals=len(row.approvers), quorum=row.quorum, screened=bool(row.screened))
        self.tx.put_template(attrs.evolve(row, status=status))

    @apply.register
    def _credential(self, body: CredentialBody) -> None:
        if body.action is CredentialAction.REGISTERED:
            row = CredentialRow(
                id=CredentialId(body.credential),
                actor=body.actor,
                role=body.role,
                since=body.since or Instant(0),
                until=body.until,
            )
            self.tx.put_credential(row)
            return
        held = self.tx.credentials([body.actor]).get(body.actor, ())
        for row in held:
            if row.id == body.credential:
                if body.action is CredentialAction.RENEWED:
                    self.tx.put_credential(attrs.evolve(row, until=body.until))
                else:
                    self.tx.put_credential(attrs.evolve(row, ended_at=body.at))


def _content(row: TemplateRow, body: ContentBody) -> TemplateRow:
    """The row after an entry, its status apart. A number's text and a provider's id are not in the log: what the store
    kept of them stays, and else the number's digest and no id stand there.
    """
    if body.action is ContentAction.REGISTERED:  # a text registered once more begins anew
        return attrs.evolve(
            row, status=ContentStatus.DRAFT, since=body.since or Instant(0), until=body.until, author=body.by,
            quorum=body.quorum or 1, reviews=(), number="", number_until=None, providers=(), screened="",
        )  # fmt: skip
    if body.action is ContentAction.APPROVED and body.by not in row.approvers:
        review = Review(body.by, body.role or ReviewRole.CLINICAL, body.at)
        return attrs.evolve(row, reviews=(*row.reviews, review.word()))
    if body.action is ContentAction.SCREENED:
        return attrs.evolve(row, screened=body.lists or "")
    if body.action is ContentAction.NUMBERED:
        same = body.number == (sha256(row.number.encode()).hexdigest() if row.number else None)
        return attrs.evolve(row, number=row.number if same else body.number or "", number_until=body.number_until)
    if body.action is ContentAction.PROVIDER and body.channel is not None and body.state is not None:
        kept = [each for each in row.providers if each.partition(":")[0] != body.channel]
        known = next((each for each in row.providers if each not in kept), "::")
        word = f"{body.channel}:{body.state.value}:{known.split(':', 2)[2]}"
        return attrs.evolve(row, providers=tuple(sorted((*kept, word))))
    return row
