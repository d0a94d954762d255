"""What the fold of a log holds: persons, grants, stops, templates, permits; and how what lasts is kept in bytes.

There are as many of them as a hospital has patients. As objects each costs a kilobyte, as bytes some hundred; they
are made objects again when a decision asks for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum
from functools import lru_cache
from struct import Struct
from typing import Final, Generic, TypeVar

import attrs

from carelink.audit.bodies import ContactChange, GuardianChange
from carelink.audit.packed import Names
from carelink.consent.facts import Ask, GrantFact
from carelink.content.review import Review, life
from carelink.model.moment import Instant
from carelink.model.scope import EVERY_PLAN, Scope
from carelink.vocabulary import (
    AddressKind,
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DataClass,
    DisclosureScope,
    GrantMethod,
    GrantState,
    LifecycleStage,
    ProviderState,
    Purpose,
    RecipientRole,
    Relation,
    ReservationState,
    ReviewRole,
    Standing,
    StopSource,
)

__all__ = [
    "MAY_LIVE",
    "Content",
    "Credential",
    "Person",
    "Reservation",
    "Shelf",
    "Stop",
    "Words",
    "coded",
    "keep_grants",
    "keep_persons",
    "keep_stops",
    "scoped",
]

V = TypeVar("V")
E = TypeVar("E", bound=Enum)

_NEVER: Final = -(1 << 63)
_CONTACT: Final = Struct("<IBBqB")
_GUARDIAN: Final = Struct("<IBBqqI")
_GRANT: Final = Struct("<16sIBBqqqBIBB")
_STOP: Final = Struct("<IIBqq")
_NOBODY: Final = 0xFFFFFFFF
_LARGE: Final = 4096
_RECENT: Final = 32


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

    @property
    def bound(self) -> set[str]:
        """Whom or what it binds."""
        return self.addresses if self.person is None else {self.person}


@attrs.define(kw_only=True)
class Reservation:
    """The slots of one permit. `refused`: its claim was refused and its release must follow. `ask`: what was asked for,
    kept while the permit is open, as are `request`, `channel`, `expires` and `lease`.
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
    plan: str = ""
    topic: str = ""
    at: Instant
    expires: Instant
    state: ReservationState = ReservationState.HELD
    lease: Instant | None = None
    refused: bool = False
    delivery: str = ""
    ask: Ask | None = None

    @property
    def bound(self) -> set[str]:
        """Whom and what it counts against."""
        return {self.subject, self.recipient} if self.address is None else {self.subject, self.recipient, self.address}


class Shelf(Generic[V]):
    """Values by reference, each kept as bytes. What is taken out may be a copy: after a change it is put back.

    A value that became large stays an object: packing it again at each change would take longer each time.

    Args:
        names: numbers of references.
        pack, unpack: to bytes and back; no bytes are no value.
    """

    def __init__(self, names: Names, pack: Callable[[V], bytes], unpack: Callable[[str, bytes], V]) -> None:
        self._names, self._pack, self._unpack = names, pack, unpack
        self._rows: list[bytes] = []
        self._large: dict[int, V] = {}
        self._recent: dict[str, V] = {}

    def row(self, number: int) -> bytes:
        """The bytes under a number; none where there is nothing."""
        if number in self._large:
            return self._pack(self._large[number])
        return self._rows[number] if number < len(self._rows) else b""

    def get(self, ref: str) -> V | None:
        """The value of a reference, None where there is none."""
        recent = self._recent.get(ref)
        if recent is not None:
            return recent
        number = self._names.find(ref)
        if number is None:
            return None
        if number in self._large:
            return self._large[number]
        row = self._rows[number] if number < len(self._rows) else b""
        return self._remember(ref, self._unpack(ref, row)) if row else None

    def put(self, ref: str, value: V) -> None:
        """Keep a value."""
        number = self._names.number(ref)
        self._remember(ref, value)
        if number in self._large:
            self._large[number] = value
            return
        if number >= len(self._rows):
            self._rows += [b""] * (number + 1 - len(self._rows))
        row = self._pack(value)
        self._rows[number] = row
        if len(row) > _LARGE:
            self._rows[number], self._large[number] = b"", value

    def pop(self, ref: str) -> V | None:
        """Take a value away; None where there is none."""
        found, number = self.get(ref), self._names.find(ref)
        if found is not None and number is not None:
            self._large.pop(number, None)
            self._recent.pop(ref, None)
            self._rows[number] = b""
        return found

    def items(self) -> Iterator[tuple[str, V]]:
        """Everything kept, in the order in which references came."""
        for number, row in enumerate(self._rows):
            ref = self._names.ref(number)
            if row:
                yield ref, self._unpack(ref, row)
            elif number in self._large:
                yield ref, self._large[number]

    def _remember(self, ref: str, value: V) -> V:
        if len(self._recent) >= _RECENT:
            self._recent.clear()
        self._recent[ref] = value
        return value


@lru_cache(maxsize=4096)
def scoped(purposes: tuple[str, ...], channels: tuple[str, ...], plans: tuple[str, ...]) -> Scope:
    """Scopes are few: made once each, not once for every grant. Entries leave `plans` out where it is all of them."""
    return Scope(purposes, channels, plans or EVERY_PLAN)


def coded(kind: type[E]) -> tuple[tuple[E, ...], dict[E, int]]:
    """The members of a closed vocabulary, and the place of each."""
    members = tuple(kind)
    return members, {member: place for place, member in enumerate(members)}


class Words(Generic[V]):
    """Numbers values that are few: scopes, versions of a notice."""

    def __init__(self) -> None:
        self._numbers: dict[V, int] = {}
        self._values: list[V] = []

    def number(self, value: V) -> int:
        """The number of a value; a new one where it has none."""
        number = self._numbers.setdefault(value, len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number

    def value(self, number: int) -> V:
        """The value with a number."""
        return self._values[number]


_STANDINGS, _STANDING = coded(Standing)
_AGES, _AGE = coded(AgeBand)
_KINDS, _KIND = coded(AddressKind)
_STATUSES, _STATUS = coded(ContactStatus)
_RELATIONS, _RELATION = coded(Relation)
_DISCLOSURES, _DISCLOSURE = coded(DisclosureScope)
_STAGES, _STAGE = coded(LifecycleStage)
_METHODS, _METHOD = coded(GrantMethod)
_STATES, _STATE = coded(GrantState)
_ROLES, _ROLE = coded(RecipientRole)
_SOURCES, _SOURCE = coded(StopSource)
_ENDED: Final = (None, False, True)


def _instant(value: Instant | None) -> int:
    return _NEVER if value is None else value


def _until(value: int) -> Instant | None:
    return None if value == _NEVER else Instant(value)


def keep_persons(names: Names) -> Shelf[Person]:
    """A shelf of persons. The first byte of a row is the standing, 0 where nothing is known."""

    def pack(person: Person) -> bytes:
        parts = [
            bytes(
                (
                    0 if person.standing is None else 1 + _STANDING[person.standing],
                    person.erasing,
                    0 if person.age is None else 1 + _AGE[person.age],
                    0 if person.stage is None else 1 + _STAGE[person.stage],
                )
            ),
            len(person.contacts).to_bytes(4, "little"),
        ]
        parts += [
            _CONTACT.pack(
                names.number(each.address),
                _KIND[each.kind],
                _STATUS[each.status],
                _instant(each.verified_at),
                _ENDED.index(each.ended),
            )
            for each in person.contacts.values()
        ]
        parts += [
            _GUARDIAN.pack(
                names.number(each.person),
                _RELATION[each.relation],
                each.verified | each.acts << 1,
                each.since,
                _instant(each.until),
                sum(1 << _DISCLOSURE[scope] for scope in set(each.scopes)),
            )
            for each in person.guardians.values()
        ]
        return b"".join(parts)

    def unpack(_ref: str, row: bytes) -> Person:
        split = 8 + int.from_bytes(row[4:8], "little") * _CONTACT.size
        contacts, guardians = {}, {}
        for number, kind, status, verified, ended in _CONTACT.iter_unpack(row[8:split]):
            address = names.ref(number)
            contacts[address] = ContactChange(
                address=address,
                kind=_KINDS[kind],
                status=_STATUSES[status],
                verified_at=_until(verified),
                ended=_ENDED[ended],
            )
        for number, relation, flags, since, until, scopes in _GUARDIAN.iter_unpack(row[split:]):
            person = names.ref(number)
            guardians[person] = GuardianChange(
                person=person,
                relation=_RELATIONS[relation],
                verified=bool(flags & 1),
                acts=bool(flags & 2),
                scopes=tuple(scope for place, scope in enumerate(_DISCLOSURES) if scopes >> place & 1),
                since=Instant(since),
                until=_until(until),
            )
        return Person(
            standing=_STANDINGS[row[0] - 1] if row[0] else None,
            erasing=bool(row[1]),
            age=_AGES[row[2] - 1] if row[2] else None,
            stage=_STAGES[row[3] - 1] if row[3] else None,
            contacts=contacts,
            guardians=guardians,
        )

    return Shelf(names, pack, unpack)


MAY_LIVE: Final = frozenset({0, 1 + _STANDING[Standing.ACTIVE]})
"""First bytes of a person's row that do not say that a message is out of the question."""


def keep_grants(names: Names) -> Shelf[dict[str, GrantFact]]:
    """A shelf of each person's grants."""
    scopes, notices = Words[Scope](), Words[str]()

    def pack(grants: dict[str, GrantFact]) -> bytes:
        return b"".join(
            _GRANT.pack(
                bytes.fromhex(each.ref),
                scopes.number(each.scope),
                _STATE[each.state],
                _ROLE[each.by],
                each.since,
                _instant(each.until),
                _instant(each.ended_at),
                each.separate,
                notices.number(each.notice),
                _METHOD[each.method],
                0 if each.age is None else 1 + _AGE[each.age],
            )
            for each in grants.values()
        )

    def unpack(_ref: str, row: bytes) -> dict[str, GrantFact]:
        found = {}
        for raw, scope, state, by, since, until, ended, separate, notice, method, age in _GRANT.iter_unpack(row):
            ref = raw.hex()
            found[ref] = GrantFact(
                ref=ref,
                scope=scopes.value(scope),
                state=_STATES[state],
                by=_ROLES[by],
                since=Instant(since),
                until=_until(until),
                ended_at=_until(ended),
                separate=bool(separate),
                notice=notices.value(notice),
                method=_METHODS[method],
                age=_AGES[age - 1] if age else None,
            )
        return found

    return Shelf(names, pack, unpack)


def keep_stops(names: Names) -> Shelf[Stop]:
    """A shelf of stops that stand."""
    scopes = Words[Scope]()

    def pack(stop: Stop) -> bytes:
        head = _STOP.pack(
            _NOBODY if stop.person is None else names.number(stop.person),
            scopes.number(stop.scope),
            _SOURCE[stop.source],
            stop.since,
            _instant(stop.until),
        )
        return head + b"".join(names.number(each).to_bytes(4, "little") for each in sorted(stop.addresses))

    def unpack(ref: str, row: bytes) -> Stop:
        person, scope, source, since, until = _STOP.unpack_from(row)
        return Stop(
            ref=ref,
            person=None if person == _NOBODY else names.ref(person),
            addresses={names.ref(int.from_bytes(row[at : at + 4], "little")) for at in range(_STOP.size, len(row), 4)},
            scope=scopes.value(scope),
            source=_SOURCES[source],
            since=Instant(since),
            until=_until(until),
        )

    return Shelf(names, pack, unpack)
