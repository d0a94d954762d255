"""Reconciles a restored backup with the log that was published after it was taken: entries are taken over byte for
byte, and what they say of keys seen, caps, stops, grants, content and policy is applied again.

What a backup cannot know again: the addresses and identities of persons registered after it was taken. Their
pseudonyms keep counting; stops of addresses nobody can name any more are orphans, and a named actor must accept them
after re-importing the patients and the suppression list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from carelink.audit.bodies import (
    ConsentEndedBody,
    ConsentGrantedBody,
    ContentBody,
    HandoverBody,
    MergedBody,
    ModeBody,
    PackBody,
    PluginsBody,
    PolicyBody,
    ReceiptBody,
    RecoveredBody,
    ReleasedBody,
    SubjectBody,
    SuppressionAddedBody,
    SuppressionCarriedBody,
    SuppressionLiftedBody,
)
from carelink.audit.decided import ClaimBody, DecidedBody, DecisionBody
from carelink.audit.entry import Entry, parse_entry
from carelink.audit.kinds import ContentAction
from carelink.audit.merkle import leaf_hash
from carelink.engine.journal import Journal
from carelink.engine.notary import Notary
from carelink.engine.parts import Parts
from carelink.errors import StoreError
from carelink.model.ids import (
    AddressRef,
    ContactPointId,
    DecisionId,
    GrantId,
    PatientId,
    PersonRef,
    RequestRef,
    ReservationId,
    SuppressionId,
)
from carelink.model.moment import Instant
from carelink.model.touchpoint import SETTLES
from carelink.ports.rows import EntryRow, GrantRow, ReservationRow, StopRow
from carelink.ports.store import Transaction
from carelink.vocabulary import ContentStatus, Effect, ReservationState, Standing

__all__ = ["Reconciled", "reconcile"]

_BATCH: Final = 2000


@attrs.frozen(kw_only=True)
class Reconciled:
    """What reconciling did. `done`: sending may go on."""

    from_size: int
    to_size: int
    restored: int
    orphaned: int
    done: bool


@attrs.define
class _Applier:
    """Applies entries to the store, in log order."""

    tx: Transaction
    open: dict[ReservationId, ReservationRow] = attrs.field(factory=dict)
    fresh: set[ReservationId] = attrs.field(factory=set)
    before: dict[ReservationId, ReservationState] = attrs.field(factory=dict)
    restored: int = 0
    orphaned: int = 0

    def apply(self, entry: Entry) -> None:
        action: Callable[..., None] | None = _ACTIONS.get(type(entry.body))
        if action is not None:
            action(self, entry)

    def flush(self) -> None:
        """Write the reservations gathered. What the log leaves open stays open: recovery releases the permit in time,
        settles the claim as UNKNOWN, and says so in the log, which replays.
        """
        known = [row for row in self.open.values() if row.id not in self.fresh]
        claimed = [
            attrs.evolve(row, state=ReservationState.CLAIMED)
            for row in known
            if row.state is ReservationState.SPENT and self.before[row.id] is ReservationState.HELD
        ]
        self.tx.put_reservations(claimed)  # the backup has the permit, the log has its claim and its end
        self.tx.put_reservations(known)
        self.tx.add_reservations([row for row in self.open.values() if row.id in self.fresh])

    # -- the one path ---------------------------------------------------------------------------------------

    def decision(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, DecisionBody)
        if body.effect is not Effect.PERMIT or body.reservation is None or body.expires is None:
            return
        facts = body.facts
        patient = self.tx.patients_by_person([facts.subject]).get(facts.subject)
        address = AddressRef(facts.address or "")
        known = self.tx.address_tokens([address]).get(address)
        # A pseudonym nobody can name any more still counts: its 16 bytes stand in for the 32 of a token.
        token = known if known is not None else bytes.fromhex(address)
        self.orphaned += patient is None
        row = ReservationRow(
            id=ReservationId(body.reservation),
            request=RequestRef(body.request),
            mac=b"",
            decision=DecisionId(body.decision),
            patient=PatientId("") if patient is None else patient.id,
            contact=ContactPointId(""),
            subject=facts.subject,
            recipient=facts.recipient,
            role=facts.role,
            token=token,
            address=address,
            purpose=facts.ask.purpose,
            channel=facts.ask.channel,
            channel_kind=facts.ask.channel_kind,
            template=facts.ask.template,
            template_version=facts.ask.template_version,
            reply=facts.ask.reply,
            at=facts.at,
            state=ReservationState.CLAIMED if body.lease is not None else ReservationState.HELD,
            expires=body.expires,
            lease=body.lease,
        )
        self.open[row.id] = row
        self.fresh.add(row.id)
        self.restored += 1

    def _row(self, reservation: str) -> ReservationRow | None:
        key = ReservationId(reservation)
        if key not in self.open:
            stored = self.tx.reservations([key]).get(key)
            if stored is None:
                return None
            self.open[key], self.before[key] = stored, stored.state
        return self.open[key]

    def claim(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, ClaimBody)
        row = self._row(body.reservation)
        if row is not None and body.effect is Effect.PERMIT:
            self.open[row.id] = attrs.evolve(row, state=ReservationState.CLAIMED, lease=body.lease, at=body.facts.at)

    def settled(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, HandoverBody | RecoveredBody)
        row = self._row(body.reservation)
        if row is not None:
            self.open[row.id] = attrs.evolve(row, state=SETTLES[body.outcome], outcome=body.outcome)

    def released(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, ReleasedBody)
        row = self._row(body.reservation)
        if row is not None:
            self.open[row.id] = attrs.evolve(row, state=ReservationState.RELEASED)

    def receipt(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, ReceiptBody)
        row = self._row(body.reservation)
        if row is not None:
            self.open[row.id] = attrs.evolve(row, delivery=body.state)

    # -- consent and persons --------------------------------------------------------------------------------

    def stop(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, SuppressionAddedBody)
        token = None
        if body.address is not None:
            address = AddressRef(body.address)
            token = self.tx.address_tokens([address]).get(address)
            if token is None:
                self.orphaned += 1
                return
        self.tx.add_stops(
            [
                StopRow(
                    id=SuppressionId(body.suppression),
                    person=None if body.person is None else PersonRef(body.person),
                    token=token,
                    purposes=body.purposes,
                    channels=body.channels,
                    source=body.source,
                    since=body.since,
                    until=body.until,
                )
            ]
        )
        self.restored += 1

    def carried(self, entry: Entry) -> None:
        # The stop itself stands in the backup under its token; only the new pseudonym is lost.
        assert isinstance(entry.body, SuppressionCarriedBody)

    def lifted(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, SuppressionLiftedBody)
        self.tx.lift_stop(SuppressionId(body.suppression), body.at)

    def granted(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, ConsentGrantedBody)
        subject = PersonRef(body.subject)
        patient = self.tx.patients_by_person([subject]).get(subject)
        if patient is None:
            return  # without the grant the person is refused: safe
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
        )
        self.tx.add_grants([row])
        self.restored += 1

    def ended(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, ConsentEndedBody)
        self.tx.end_grant(GrantId(body.grant), body.state, body.ended_at)

    def subject(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, SubjectBody)
        person = PersonRef(body.subject)
        row = self.tx.patients_by_person([person]).get(person)
        if row is None:
            return
        if body.standing is not None or body.age is not None:
            self.tx.put_patient(attrs.evolve(row, standing=body.standing or row.standing, age=body.age or row.age))
        if body.contact is not None:
            for contact in self.tx.contacts([row.id]).get(row.id, ()):
                if contact.address == body.contact.address:
                    self.tx.put_contact(attrs.evolve(contact, status=body.contact.status))

    def merged(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, MergedBody)
        persons = [PersonRef(body.subject), PersonRef(body.merged)]
        rows = self.tx.patients_by_person(persons)
        if len(rows) == len(persons):
            survivor, old = rows[persons[0]], rows[persons[1]]
            self.tx.put_patient(attrs.evolve(old, standing=Standing.MERGED, merged_into=survivor.id))

    # -- what decisions depend on ---------------------------------------------------------------------------

    def pack(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, PackBody)
        self.tx.put_pack(body.digest, body.toml.encode())

    def policy(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, PolicyBody)
        self.tx.put_tenant(attrs.evolve(self.tx.tenant(), policy=body.digest, packs=body.packs))

    def plugins(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, PluginsBody)
        self.tx.put_tenant(attrs.evolve(self.tx.tenant(), plugins=body.digest))

    def mode(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, ModeBody)
        self.tx.put_tenant(attrs.evolve(self.tx.tenant(), mode=body.mode))

    def content(self, entry: Entry) -> None:
        body = entry.body
        assert isinstance(body, ContentBody)
        row = self.tx.templates([(body.template, body.version)]).get((body.template, body.version))
        if row is None:
            return  # its text is lost with the backup; unregistered content is refused
        if body.action is ContentAction.APPROVED and body.by not in row.approvers:
            row = attrs.evolve(row, status=ContentStatus.APPROVED, approvers=(*row.approvers, body.by))
        if body.action is ContentAction.WITHDRAWN:
            row = attrs.evolve(row, status=ContentStatus.WITHDRAWN)
        self.tx.put_template(row)


_ACTIONS: Final[dict[type, Callable[..., None]]] = {
    DecisionBody: _Applier.decision,
    ClaimBody: _Applier.claim,
    HandoverBody: _Applier.settled,
    RecoveredBody: _Applier.settled,
    ReleasedBody: _Applier.released,
    ReceiptBody: _Applier.receipt,
    SuppressionAddedBody: _Applier.stop,
    SuppressionCarriedBody: _Applier.carried,
    SuppressionLiftedBody: _Applier.lifted,
    ConsentGrantedBody: _Applier.granted,
    ConsentEndedBody: _Applier.ended,
    SubjectBody: _Applier.subject,
    MergedBody: _Applier.merged,
    PackBody: _Applier.pack,
    PolicyBody: _Applier.policy,
    PluginsBody: _Applier.plugins,
    ModeBody: _Applier.mode,
    ContentBody: _Applier.content,
}


def reconcile(parts: Parts, notary: Notary, *, by: str, accept_orphans: bool = False) -> Reconciled:
    """Bring a restored store up to the published log.

    Raises:
        StoreError: the store is not a prefix of the log: it is another store's, or it went on by itself after it was
            restored; only a new home can follow.
    """
    now: Instant = parts.guard.read()[0]
    head = notary.log.head()
    target = 0 if head is None else head.size
    with parts.store.transaction() as tx:
        tx.lock_global()
        size = tx.head().size
        if size > target or not _is_prefix(tx, notary, size):
            raise StoreError(
                "the store is not the log's earlier self", hint="begin a new home; its log names the old head"
            )
        applier = _Applier(tx)
        rows: list[EntryRow] = []
        for _, data in notary.log.entries(size, target):
            entry = parse_entry(data)
            body = entry.body
            request = (
                body.request if isinstance(body, DecidedBody | HandoverBody | ReleasedBody | RecoveredBody) else ""
            )
            rows.append(EntryRow(data=data, leaf=leaf_hash(data), request=request))
            applier.apply(entry)
            if len(rows) == _BATCH:
                tx.append(rows)
                rows = []
        tx.append(rows)
        applier.flush()
        tx.set_published(target)
        done = accept_orphans or applier.orphaned == 0
        if done:
            journal = Journal(parts)
            journal.reconciled(size, target, applier.restored, applier.orphaned, by, now)
            journal.write(tx, reconciling=True)
    if done:
        notary.reconciled()
        notary.publish()
    return Reconciled(from_size=size, to_size=target, restored=applier.restored, orphaned=applier.orphaned, done=done)


def _is_prefix(tx: Transaction, notary: Notary, size: int) -> bool:
    if size == 0:
        return True
    return [data for _, data in notary.log.entries(size - 1, size)] == list(tx.entries(size - 1, size))
