"""The state that earlier entries determine: a pure fold, one entry at a time.

It keeps what lives: open reservations, touches within the longest window a cap may have, standing grants and stops,
one small mark for each request that was handed over. What is over is dropped. What lasts, and grows with patients and
messages, is kept in bytes (docs/adr/0032): a million entries take tens of megabytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import attrs

from carelink.audit.bodies import (
    ConsentEndedBody,
    ConsentGrantedBody,
    ContentBody,
    CredentialBody,
    ErasedBody,
    ErasingBody,
    GenesisBody,
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
from carelink.audit.holdings import (
    MAY_LIVE,
    Content,
    Credential,
    Person,
    Reservation,
    Shelf,
    Stop,
    keep_grants,
    keep_persons,
    keep_stops,
    scoped,
)
from carelink.audit.kinds import ContentAction, CredentialAction, Kind
from carelink.audit.packed import Lists, Names, PackedMap
from carelink.audit.spent import Spent
from carelink.consent.facts import GrantFact
from carelink.content.review import Review
from carelink.model.moment import DAY, MINUTE, Instant
from carelink.model.scope import Scope
from carelink.model.touchpoint import SETTLES, fold_delivery
from carelink.vocabulary import (
    Effect,
    GrantMethod,
    GrantState,
    Mode,
    Outcome,
    ReservationState,
    ReviewRole,
    Standing,
)

__all__ = ["RETENTION", "LogState"]

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


K = TypeVar("K")


def _with_names(make: Callable[[Names], K]) -> K:
    """Default of an attribute that is made with the state's own `names`."""
    return attrs.Factory(lambda state: make(state.names), takes_self=True)


@attrs.define
class LogState:
    """State after some first entries of a log.

    Attributes:
        open: reservations that are held or claimed.
        spent: those that count against caps for ever after.
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
    names: Names = attrs.field(factory=Names)
    persons: Shelf[Person] = attrs.field(default=_with_names(keep_persons))
    grants: Shelf[dict[str, GrantFact]] = attrs.field(default=_with_names(keep_grants))
    stops: Shelf[Stop] = attrs.field(default=_with_names(keep_stops))
    open: dict[str, Reservation] = attrs.field(factory=dict)
    spent: Spent = attrs.field(default=_with_names(Spent))
    open_requests: dict[str, str] = attrs.field(factory=dict)
    spent_requests: PackedMap = attrs.field(factory=PackedMap)
    owed: dict[str, frozenset[str]] = attrs.field(factory=dict)
    _users: Lists = attrs.field(factory=Lists)
    _merged: Lists = attrs.field(factory=Lists)
    _stops_of: Lists = attrs.field(factory=Lists)
    _touched: dict[str, _Few] = attrs.field(factory=dict)

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
        first = self.names.find(ref)
        if first is None or not self._merged.of(first):
            return frozenset()
        found: set[int] = set()
        waiting = [first]
        while waiting:
            fresh = {*self._merged.of(waiting.pop())} - found - {first}
            found |= fresh
            waiting.extend(fresh)
        return frozenset(map(self.names.ref, found))

    def living_users(self, address: str) -> int:
        """How many living persons use an address."""
        persons = self.persons
        return sum((persons.row(user) or b"\0")[0] in MAY_LIVE for user in self._users.of(self.names.find(address)))

    def reservation(self, key: str) -> Reservation | None:
        """A reservation that is open or counts; None for one never made, released or forgotten."""
        return self.open.get(key) or self.spent.get(key)

    def delivery(self, key: str) -> str | None:
        """What was reported of a reservation's delivery; None for one not kept."""
        row = self.open.get(key)
        return self.spent.delivery(key) if row is None else row.delivery

    def touches_of(self, refs: Iterable[str]) -> dict[str, Reservation]:
        """Reservations that count against any of these persons or addresses."""
        refs = list(refs)
        found = {row.id: row for row in self.spent.whole(self.numbers(refs))}
        return found | self.open_of(refs)

    def open_of(self, refs: Iterable[str]) -> dict[str, Reservation]:
        """Those of them that are open."""
        return {key: self.open[key] for ref in refs for key in self._touched.get(ref, ())}

    def last_touch(self, refs: Iterable[str]) -> int | None:
        """The newest instant among them."""
        refs = list(refs)
        instants = [row.at for row in self.open_of(refs).values()]
        spent = self.spent.newest(self.numbers(refs))
        return max(instants if spent is None else [*instants, spent], default=None)

    def numbers(self, refs: Iterable[str]) -> set[int]:
        """The numbers of those of the references that have one."""
        found = map(self.names.find, refs)
        return {number for number in found if number is not None}

    def stops_on(self, ref: str) -> list[Stop]:
        """Stops not lifted that name this person or address."""
        held = self._stops_of.of(self.names.find(ref))
        if not held:
            return []
        found = (self.stops.get(self.names.ref(number)) for number in held)
        return [stop for stop in found if stop is not None]

    # -- reservations ---------------------------------------------------------------------------------------

    def _index(self, row: Reservation) -> None:
        self.open[row.id] = row
        for ref in row.bound:
            _add(self._touched, ref, row.id)

    def _unindex(self, row: Reservation) -> None:
        self.open.pop(row.id, None)
        for ref in row.bound:
            _remove(self._touched, ref, row.id)

    def _settle(self, reservation: str, state: ReservationState) -> None:
        row = self.open.get(reservation)
        if row is None:
            return
        if self.open_requests.get(row.request) == reservation:
            del self.open_requests[row.request]
        self._unindex(row)
        if state is ReservationState.SPENT:
            self.spent_requests.put(bytes.fromhex(row.request))
            self.spent.add(row)

    def _forget(self, before: Instant) -> None:
        newest = self.spent.forget(before)
        if newest is not None:
            self.kept_from = max(self.kept_from, Instant(newest + 1))

    # -- stops ----------------------------------------------------------------------------------------------

    def _bind(self, ref: str, stop: str) -> None:
        self._stops_of.add(self.names.number(ref), self.names.number(stop))
        self.owed = {key: bound for key, bound in self.owed.items() if ref not in bound} if self.owed else self.owed


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
    person = state.person(body.subject)
    person.standing = body.standing or person.standing
    person.age = body.age or person.age
    person.stage = body.stage or person.stage
    if body.guardian is not None:
        person.guardians[body.guardian.person] = body.guardian
    if (contact := body.contact) is not None:
        address, user = state.names.number(contact.address), state.names.number(body.subject)
        if contact.ended:
            person.contacts.pop(contact.address, None)
            state._users.remove(address, user)  # noqa: SLF001
        else:
            person.contacts[contact.address] = contact
            state._users.add(address, user)  # noqa: SLF001
    state.persons.put(body.subject, person)


def _merged(state: LogState, body: MergedBody) -> None:
    state._merged.add(state.names.number(body.subject), state.names.number(body.merged))  # noqa: SLF001
    _stands(state, body.merged, Standing.MERGED)


def _stands(state: LogState, ref: str, standing: Standing) -> None:
    person = state.person(ref)
    person.standing = standing
    state.persons.put(ref, person)


def _granted(state: LogState, body: ConsentGrantedBody) -> None:
    grants = state.grants.get(body.subject) or {}
    grants[body.grant] = GrantFact(
        ref=body.grant,
        scope=scoped(body.purposes, body.channels, body.plans),
        state=GrantState.GIVEN,
        by=body.by,
        since=body.since,
        until=body.until,
        separate=body.separate,
        notice=body.notice,
        method=body.method or GrantMethod.EXPLICIT,
        age=body.age,
    )
    state.grants.put(body.subject, grants)


def _ended(state: LogState, body: ConsentEndedBody) -> None:
    grants = state.grants.get(body.subject) or {}
    grant = grants.get(body.grant)
    if grant is not None and grant.state is GrantState.GIVEN:
        grants[body.grant] = attrs.evolve(grant, state=body.state, ended_at=body.ended_at)
        state.grants.put(body.subject, grants)


def _added(state: LogState, body: SuppressionAddedBody) -> None:
    stop = Stop(
        ref=body.suppression,
        person=body.person,
        addresses=set() if body.address is None else {body.address},
        scope=scoped(body.purposes, body.channels, body.plans),
        source=body.source,
        since=body.since,
        until=body.until,
    )
    state.stops.put(stop.ref, stop)
    state._bind(body.person or body.address or "", stop.ref)  # noqa: SLF001  the steps are the state's own


def _carried(state: LogState, body: SuppressionCarriedBody) -> None:
    stop = state.stops.get(body.suppression)
    if stop is None:
        stop = Stop(
            ref=body.suppression,
            person=None,
            addresses=set(),
            scope=scoped(body.purposes, body.channels),
            source=body.source,
            since=body.since,
            until=body.until,
        )
    stop.addresses.add(body.address)
    state.stops.put(stop.ref, stop)
    state._bind(body.address, stop.ref)  # noqa: SLF001


def _lifted(state: LogState, body: SuppressionLiftedBody) -> None:
    stop = state.stops.pop(body.suppression)
    if stop is not None:
        for ref in stop.bound:
            state._stops_of.remove(state.names.number(ref), state.names.number(stop.ref))  # noqa: SLF001


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
    row = state.open.get(body.reservation)
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
    if body.outcome is Outcome.OPTED_OUT and (row := state.reservation(body.reservation)) is not None:
        state.owed[row.id] = frozenset(row.bound)
    state._settle(body.reservation, SETTLES[body.outcome])  # noqa: SLF001


def _released(state: LogState, body: ReleasedBody) -> None:
    state._settle(body.reservation, ReservationState.RELEASED)  # noqa: SLF001


def _receipt(state: LogState, body: ReceiptBody) -> None:
    delivery = state.delivery(body.reservation)
    if delivery is None:
        return
    told = fold_delivery(delivery, body.event)
    row = state.open.get(body.reservation)
    if row is None:
        state.spent.deliver(body.reservation, told)
    else:
        row.delivery = told


def _erasing(state: LogState, body: ErasingBody) -> None:
    person = state.person(body.subject)
    person.erasing = True
    state.persons.put(body.subject, person)


def _erased(state: LogState, body: ErasedBody) -> None:
    _stands(state, body.subject, Standing.ERASED)


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
