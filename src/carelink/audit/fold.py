"""The state that earlier entries determine: a pure fold, one entry at a time.

It keeps what lives: open reservations, touches within the longest window a cap may have, standing grants and stops,
one small mark for each request that was handed over. What is over is dropped, so memory does not grow with the log.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

import attrs

from carelink.audit.bodies import (
    ConsentEndedBody,
    ConsentGrantedBody,
    ContactChange,
    ContentBody,
    CredentialBody,
    ErasedBody,
    ErasingBody,
    GenesisBody,
    GuardianChange,
    HandoverBody,
    MergedBody,
    ModeBody,
    PackBody,
    PluginChannel,
    PluginsBody,
    PolicyBody,
    ReceiptBody,
    ReconciledBody,
    RecoveredBody,
    ReleasedBody,
    SealedBody,
    SubjectBody,
    SuppressionAddedBody,
    SuppressionCarriedBody,
    SuppressionLiftedBody,
)
from carelink.audit.decided import ClaimBody, DecisionBody
from carelink.audit.entry import Entry
from carelink.audit.kinds import ContentAction, CredentialAction, Kind
from carelink.consent.facts import Ask, GrantFact
from carelink.content.review import Review, life
from carelink.model.moment import DAY, MINUTE, Instant
from carelink.model.scope import EVERY_PLAN, Scope
from carelink.model.touchpoint import SETTLES, fold_delivery
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContentStatus,
    DataClass,
    Effect,
    GrantMethod,
    GrantState,
    LifecycleStage,
    Mode,
    Outcome,
    ProviderState,
    Purpose,
    ReservationState,
    ReviewRole,
    Standing,
    StopSource,
)

__all__ = ["RETENTION", "Content", "Credential", "LogState", "Person", "Reservation", "Stop"]

RETENTION: Final = 400 * DAY
"""How long a spent touch is kept: longer than the longest cap window, a year."""

_EPOCH: Final = Instant(0)
_SKEW: Final = 2 * MINUTE


_Few = tuple[str, ...] | set[str]
"""Pseudonyms, nearly always one or two: a set weighs four times a short tuple."""

_SEVERAL: Final = 8


def _add(table: dict[str, _Few], key: str, item: str) -> None:
    held = table.get(key, ())
    if isinstance(held, set):
        held.add(item)
    elif item not in held:
        table[key] = (*held, item) if len(held) < _SEVERAL else {*held, item}


def _remove(table: dict[str, _Few], key: str, item: str) -> None:
    held = table.get(key, ())
    left: _Few = tuple(each for each in held if each != item) if isinstance(held, tuple) else held
    if isinstance(left, set):
        left.discard(item)
    if left:
        table[key] = left
    else:
        table.pop(key, None)


@attrs.define(kw_only=True)
class Person:
    """What the log says of one pseudonym."""

    standing: Standing | None = None
    erasing: bool = False
    age: AgeBand | None = None
    stage: LifecycleStage | None = None
    contacts: dict[str, ContactChange] = attrs.field(factory=dict)
    guardians: dict[str, GuardianChange] = attrs.field(factory=dict)


@attrs.define(kw_only=True)
class Credential:
    """A credential of a member of staff: half open, cut short by `ended_at`."""

    role: ReviewRole
    since: Instant
    until: Instant | None
    ended_at: Instant | None = None


@attrs.define(kw_only=True)
class Content:
    """A template version as last registered, with its approvals, one for each approver, in the order given."""

    digest: str
    scope: Scope
    since: Instant
    until: Instant | None
    quorum: int = 1
    reviews: tuple[Review, ...] = ()
    screened: bool = False
    withdrawn: bool = False
    number_until: Instant | None = None
    data: tuple[DataClass, ...] = ()
    providers: dict[str, ProviderState] = attrs.field(factory=dict)

    @property
    def status(self) -> ContentStatus:
        """Where it stands."""
        return life(withdrawn=self.withdrawn, approvals=len(self.reviews), quorum=self.quorum, screened=self.screened)


@attrs.define(kw_only=True)
class Stop:
    """A standing suppression: of one person, or of an address under all its pseudonyms."""

    ref: str
    person: str | None
    addresses: set[str]
    scope: Scope
    source: StopSource
    since: Instant
    until: Instant | None


@attrs.define(kw_only=True)
class Reservation:
    """The slots of one permit. `refused`: its claim was refused and its release must follow. `ask`: what was asked for,
    kept while the permit is open.
    """

    id: str
    request: str
    subject: str
    recipient: str
    address: str | None
    purpose: Purpose
    channel: str
    channel_kind: ChannelKind
    reply: bool
    plan: str
    topic: str
    at: Instant
    expires: Instant
    state: ReservationState = ReservationState.HELD
    lease: Instant | None = None
    refused: bool = False
    delivery: str = ""
    ask: Ask | None = None


@attrs.define
class LogState:
    """State after some first entries of a log.

    Attributes:
        owed: reservations whose recipient opted out at the channel, with whom a stop should bind: any one of them.
    """

    size: int = 0
    latest: Instant = _EPOCH
    kept_from: Instant = _EPOCH
    packs: dict[str, PackBody] = attrs.field(factory=dict)
    policy: PolicyBody | None = None
    plugins: str = ""
    sealed: bool = False
    channels: dict[str, PluginChannel] = attrs.field(factory=dict)
    mode: Mode = Mode.SANDBOX
    content: dict[tuple[str, int], Content] = attrs.field(factory=dict)
    credentials: dict[str, dict[str, Credential]] = attrs.field(factory=dict)
    persons: dict[str, Person] = attrs.field(factory=dict)
    users: dict[str, _Few] = attrs.field(factory=dict)
    merged: dict[str, set[str]] = attrs.field(factory=dict)
    grants: dict[str, dict[str, GrantFact]] = attrs.field(factory=dict)
    stops: dict[str, Stop] = attrs.field(factory=dict)
    stops_of: dict[str, set[str]] = attrs.field(factory=dict)
    reservations: dict[str, Reservation] = attrs.field(factory=dict)
    touched: dict[str, _Few] = attrs.field(factory=dict)
    open_requests: dict[str, str] = attrs.field(factory=dict)
    spent_requests: set[bytes] = attrs.field(factory=set)
    owed: dict[str, frozenset[str]] = attrs.field(factory=dict)
    _spent: deque[tuple[Instant, str]] = attrs.field(factory=deque)

    def apply(self, entry: Entry) -> None:
        """Take one more entry in. Entries that contradict earlier ones change what they can and raise nothing."""
        self.size += 1
        if entry.at > self.latest:
            self.latest = entry.at
            self._forget(Instant(entry.at - RETENTION))
        step = _STEPS.get(entry.body.kind)
        if step is not None:
            step(self, entry.body)

    # -- questions ------------------------------------------------------------------------------------------

    def person(self, ref: str) -> Person:
        """What is known of a pseudonym; nothing for one never met."""
        return self.persons.get(ref) or Person()

    def aliases(self, ref: str) -> frozenset[str]:
        """Every pseudonym merged into this one, directly or through others."""
        if ref not in self.merged:
            return frozenset()
        found: set[str] = set()
        waiting = [ref]
        while waiting:
            fresh = self.merged.get(waiting.pop(), set()) - found - {ref}
            found |= fresh
            waiting.extend(fresh)
        return frozenset(found)

    def living_users(self, address: str) -> int:
        """How many living persons use an address."""
        users = self.users.get(address, ())
        return sum(self.person(user).standing in (None, Standing.ACTIVE) for user in users)

    def touches_of(self, refs: Iterable[str]) -> dict[str, Reservation]:
        """Reservations that count against any of these persons or addresses."""
        return {key: self.reservations[key] for ref in refs for key in self.touched.get(ref, ())}

    def stops_on(self, ref: str) -> list[Stop]:
        """Stops not lifted that name this person or address."""
        return [self.stops[key] for key in self.stops_of.get(ref, ())]

    # -- reservations ---------------------------------------------------------------------------------------

    def _index(self, row: Reservation) -> None:
        self.reservations[row.id] = row
        for ref in _bound(row):
            _add(self.touched, ref, row.id)

    def _unindex(self, row: Reservation) -> None:
        self.reservations.pop(row.id, None)
        for ref in _bound(row):
            _remove(self.touched, ref, row.id)

    def _settle(self, reservation: str, state: ReservationState) -> None:
        row = self.reservations.get(reservation)
        if row is None or row.state in (ReservationState.SPENT, ReservationState.RELEASED):
            return
        if self.open_requests.get(row.request) == reservation:
            del self.open_requests[row.request]
        if state is ReservationState.SPENT:
            self.spent_requests.add(bytes.fromhex(row.request))
            self._spent.append((row.at, row.id))
            # What a spent touch no longer needs: there are as many of them as messages in a year.
            row.request, row.expires, row.lease = "", _EPOCH, None
        else:
            self._unindex(row)
        row.state, row.ask = state, None

    def _forget(self, before: Instant) -> None:
        while self._spent and self._spent[0][0] < before:
            at, key = self._spent.popleft()
            self.kept_from = max(self.kept_from, Instant(at + 1))
            row = self.reservations.get(key)
            if row is not None:
                self._unindex(row)

    # -- stops ----------------------------------------------------------------------------------------------

    def _bind(self, ref: str, stop: str) -> None:
        self.stops_of.setdefault(ref, set()).add(stop)
        self.owed = {key: bound for key, bound in self.owed.items() if ref not in bound} if self.owed else self.owed


def _bound(row: Reservation) -> set[str]:
    """Whom and what a reservation counts against."""
    return {row.subject, row.recipient} if row.address is None else {row.subject, row.recipient, row.address}


def _genesis(state: LogState, body: GenesisBody) -> None:
    # What was touched under the log before this one cannot be known from here; its last decision may stand as far ahead
    # of the clock as a clock may be wrong.
    if body.previous is not None:
        state.kept_from = max(state.kept_from, Instant(body.created + _SKEW + 1))


def _sealed(state: LogState, _body: SealedBody) -> None:
    state.sealed = True


def _reconciled(state: LogState, _body: ReconciledBody) -> None:
    state.sealed = False


def _pack(state: LogState, body: PackBody) -> None:
    state.packs[body.digest] = body


def _policy(state: LogState, body: PolicyBody) -> None:
    state.policy = body


def _plugins(state: LogState, body: PluginsBody) -> None:
    state.plugins = body.digest
    state.channels = {channel.name: channel for plugin in body.plugins for channel in plugin.channels}


def _mode(state: LogState, body: ModeBody) -> None:
    state.mode = body.mode


def _content(state: LogState, body: ContentBody) -> None:
    key = (body.template, body.version)
    if body.action is ContentAction.REGISTERED:
        scope = Scope(body.purposes or (), body.channels or ())
        state.content[key] = Content(digest=body.digest, scope=scope, since=body.since or Instant(0), until=body.until,
                                     quorum=body.quorum or 1, data=body.data)  # fmt: skip
        return
    content = state.content.get(key)
    if content is None or content.digest != body.digest:
        return
    if body.action is ContentAction.APPROVED:
        if all(review.actor != body.by for review in content.reviews):
            content.reviews = (*content.reviews, Review(body.by, body.role or ReviewRole.CLINICAL, body.at))
    elif body.action is ContentAction.WITHDRAWN:
        content.withdrawn = True
    elif body.action is ContentAction.SCREENED:
        content.screened = True
    elif body.action is ContentAction.NUMBERED:
        content.number_until = body.number_until
    elif body.channel is not None and body.state is not None:
        content.providers[body.channel] = body.state


def _credential(state: LogState, body: CredentialBody) -> None:
    held = state.credentials.setdefault(body.actor, {})
    if body.action is CredentialAction.REGISTERED:
        held[body.credential] = Credential(role=body.role, since=body.since or Instant(0), until=body.until)
        return
    credential = held.get(body.credential)
    if credential is None:
        return
    if body.action is CredentialAction.RENEWED:
        credential.until = body.until
    else:
        credential.ended_at = body.at


def _subject(state: LogState, body: SubjectBody) -> None:
    person = state.persons.setdefault(body.subject, Person())
    person.standing = body.standing or person.standing
    person.age = body.age or person.age
    person.stage = body.stage or person.stage
    if body.guardian is not None:
        person.guardians[body.guardian.person] = body.guardian
    if (contact := body.contact) is not None:
        if contact.ended:
            person.contacts.pop(contact.address, None)
            _remove(state.users, contact.address, body.subject)
        else:
            person.contacts[contact.address] = contact
            _add(state.users, contact.address, body.subject)


def _merged(state: LogState, body: MergedBody) -> None:
    state.merged.setdefault(body.subject, set()).add(body.merged)
    state.persons.setdefault(body.merged, Person()).standing = Standing.MERGED


@lru_cache(maxsize=4096)
def _scope(purposes: tuple[str, ...], channels: tuple[str, ...], plans: tuple[str, ...]) -> Scope:
    """Scopes are few: kept once each, not once for every grant. Entries leave `plans` out where it is all of them."""
    return Scope(purposes, channels, plans or EVERY_PLAN)


def _granted(state: LogState, body: ConsentGrantedBody) -> None:
    state.grants.setdefault(body.subject, {})[body.grant] = GrantFact(
        ref=body.grant,
        scope=_scope(body.purposes, body.channels, body.plans),
        state=GrantState.GIVEN,
        by=body.by,
        since=body.since,
        until=body.until,
        separate=body.separate,
        notice=body.notice,
        method=body.method or GrantMethod.EXPLICIT,
        age=body.age,
    )


def _ended(state: LogState, body: ConsentEndedBody) -> None:
    grants = state.grants.get(body.subject, {})
    grant = grants.get(body.grant)
    if grant is not None and grant.state is GrantState.GIVEN:
        grants[body.grant] = attrs.evolve(grant, state=body.state, ended_at=body.ended_at)


def _added(state: LogState, body: SuppressionAddedBody) -> None:
    stop = Stop(
        ref=body.suppression,
        person=body.person,
        addresses=set() if body.address is None else {body.address},
        scope=_scope(body.purposes, body.channels, body.plans),
        source=body.source,
        since=body.since,
        until=body.until,
    )
    state.stops[stop.ref] = stop
    state._bind(body.person or body.address or "", stop.ref)  # noqa: SLF001  the steps are the state's own


def _carried(state: LogState, body: SuppressionCarriedBody) -> None:
    stop = state.stops.get(body.suppression)
    if stop is None:
        scope = _scope(body.purposes, body.channels, body.plans)
        stop = Stop(
            ref=body.suppression,
            person=None,
            addresses=set(),
            scope=scope,
            source=body.source,
            since=body.since,
            until=body.until,
        )
        state.stops[stop.ref] = stop
    stop.addresses.add(body.address)
    state._bind(body.address, stop.ref)  # noqa: SLF001


def _lifted(state: LogState, body: SuppressionLiftedBody) -> None:
    stop = state.stops.pop(body.suppression, None)
    if stop is None:
        return
    for ref in stop.addresses if stop.person is None else {stop.person}:
        state.stops_of[ref].discard(stop.ref)


def _decision(state: LogState, body: DecisionBody) -> None:
    if body.effect is not Effect.PERMIT or body.reservation is None or body.expires is None:
        return
    facts = body.facts
    state.open_requests[body.request] = body.reservation
    state._index(  # noqa: SLF001
        Reservation(
            id=body.reservation,
            request=body.request,
            subject=facts.subject,
            recipient=facts.recipient,
            address=facts.address,
            purpose=facts.ask.purpose,
            channel=facts.ask.channel,
            channel_kind=facts.ask.channel_kind,
            reply=facts.ask.reply,
            plan=facts.ask.plan,
            topic=facts.ask.topic,
            at=facts.at,
            expires=body.expires,
            state=ReservationState.HELD if body.lease is None else ReservationState.CLAIMED,
            lease=body.lease,
            ask=facts.ask,
        )
    )


def _claim(state: LogState, body: ClaimBody) -> None:
    row = state.reservations.get(body.reservation)
    if row is None or row.state is not ReservationState.HELD:
        return
    if body.effect is not Effect.PERMIT:
        row.refused = True
        return
    state._unindex(row)  # noqa: SLF001
    row.state, row.lease, row.at = ReservationState.CLAIMED, body.lease, body.facts.at
    row.recipient, row.address = body.facts.recipient, body.facts.address
    state._index(row)  # noqa: SLF001


def _outcome(state: LogState, body: HandoverBody | RecoveredBody) -> None:
    row = state.reservations.get(body.reservation)
    if row is not None and body.outcome is Outcome.OPTED_OUT:
        state.owed[row.id] = frozenset({row.subject, row.recipient, row.address or row.recipient})
    state._settle(body.reservation, SETTLES[body.outcome])  # noqa: SLF001


def _released(state: LogState, body: ReleasedBody) -> None:
    state._settle(body.reservation, ReservationState.RELEASED)  # noqa: SLF001


def _receipt(state: LogState, body: ReceiptBody) -> None:
    row = state.reservations.get(body.reservation)
    if row is not None:
        row.delivery = fold_delivery(row.delivery, body.event)


def _erasing(state: LogState, body: ErasingBody) -> None:
    state.persons.setdefault(body.subject, Person()).erasing = True


def _erased(state: LogState, body: ErasedBody) -> None:
    state.persons.setdefault(body.subject, Person()).standing = Standing.ERASED


_STEPS: Final[dict[Kind, Callable[[LogState, Any], None]]] = {
    Kind.GENESIS: _genesis,
    Kind.SEALED: _sealed,
    Kind.RECONCILED: _reconciled,
    Kind.PACK: _pack,
    Kind.POLICY: _policy,
    Kind.PLUGINS: _plugins,
    Kind.MODE: _mode,
    Kind.CONTENT: _content,
    Kind.CREDENTIAL: _credential,
    Kind.SUBJECT: _subject,
    Kind.MERGED: _merged,
    Kind.CONSENT_GRANTED: _granted,
    Kind.CONSENT_ENDED: _ended,
    Kind.SUPPRESSION_ADDED: _added,
    Kind.SUPPRESSION_CARRIED: _carried,
    Kind.SUPPRESSION_LIFTED: _lifted,
    Kind.DECISION: _decision,
    Kind.CLAIM: _claim,
    Kind.HANDOVER: _outcome,
    Kind.RECOVERED: _outcome,
    Kind.RELEASED: _released,
    Kind.RECEIPT: _receipt,
    Kind.ERASING: _erasing,
    Kind.ERASED: _erased,
}
