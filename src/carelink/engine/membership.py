"""Who a request is about, who receives it, and at which address: settled before the gate rows are locked, and
checked again after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any, Final

import attrs

from carelink.engine.locks import address_gate, person_gate
from carelink.engine.parts import Parts
from carelink.engine.soundness import salvage, sound, sound_only, tenant_of
from carelink.engine.zones import local_date
from carelink.errors import CarelinkError, NotFoundError, StoreError
from carelink.model.ids import PatientId, PersonRef, RequestRef, is_ref
from carelink.model.moment import Instant, Micros
from carelink.model.request import Request
from carelink.ports.channel import ChannelInfo
from carelink.ports.rows import ContactRow, Gate, PatientRow, RelatedRow
from carelink.ports.store import Reader
from carelink.vault.personal import Personal
from carelink.vocabulary import AgeBand, ContactStatus, RecipientRole, Standing

__all__ = ["Asked", "Finder", "Found", "Target", "age_band", "ask", "childhoods", "follow_merges", "gates_of"]

_USABLE_FIRST: Final = {
    ContactStatus.VALID: 0,
    ContactStatus.UNVERIFIED: 1,
    ContactStatus.INVALID: 2,
    ContactStatus.RECYCLED: 3,
}
_CHILD: Final = (AgeBand.UNDER_8, AgeBand.FROM_8)
_MERGE_DEPTH: Final = 8


@attrs.frozen(kw_only=True, repr=False)
class Asked:
    """A request with its keyed hashes, made once. A claim pins the version and the channel that were permitted."""

    request: Request
    ref: RequestRef
    mac: bytes
    channel: str
    version: int

    def pinned(self, channel: str, version: int) -> Asked:
        """The same request on the channel and the version it was permitted for, whatever is newest by now."""
        return Asked(request=self.request, ref=self.ref, mac=self.mac, channel=channel, version=version)


def ask(parts: Parts, request: Request) -> Asked:
    """A request with its keyed hashes."""
    return Asked(
        request=request,
        ref=parts.safe.request_ref(request.key),
        mac=parts.safe.request_mac(request),
        channel=request.channel,
        version=request.version,
    )


@attrs.frozen(kw_only=True)
class Target:
    """A request with everything it names found.

    Attributes:
        version: template version asked for; 0 is the newest.
        standing: None where the patient's row is damaged.
        aliases: pseudonyms of records merged into the subject; None where they cannot be read.
        related: the related person who receives; None for the patient.
        related_known: whether the related persons could be read.
        age: band at the instant of resolving; None where it cannot be known.
        gates: gate rows of subject, recipient and address.
    """

    request: Request
    ref: RequestRef
    mac: bytes
    version: int
    patient: PatientRow
    standing: Standing | None
    aliases: tuple[PersonRef, ...] | None
    related: RelatedRow | None
    related_known: bool
    role: RecipientRole
    contact: ContactRow | None
    channel: ChannelInfo
    age: AgeBand | None
    gates: tuple[Gate, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        gates = [person_gate(person) for person in self.persons]
        if self.contact is not None:
            gates.append(address_gate(self.contact.token))
        object.__setattr__(self, "gates", tuple(gates))

    @property
    def recipient(self) -> PersonRef:
        """Pseudonym of who receives."""
        return self.patient.person if self.related is None else self.related.person

    @property
    def persons(self) -> tuple[PersonRef, ...]:
        """All pseudonyms that gates and counts concern."""
        subject = (self.patient.person, *(self.aliases or ()))
        return subject if self.related is None else (*subject, self.related.person)


Found = Target | tuple[RequestRef, CarelinkError]
"""A target, or the error of a request that names something unknown."""


def age_band(born: date, today: date) -> AgeBand:
    """The coarse age on a day. Someone born on 29 February has the birthday on 1 March in other years
    (Civil Code practice: an age is full once its last day is over).
    """
    years = today.year - born.year - ((today.month, today.day) < (born.month, born.day))
    if years < 8:  # noqa: PLR2004  Civil Code 20
        return AgeBand.UNDER_8
    if years < 14:  # noqa: PLR2004  PIPL 31
        return AgeBand.FROM_8
    if years < 18:  # noqa: PLR2004  Civil Code 17
        return AgeBand.FROM_14
    return AgeBand.ADULT


def follow_merges(reader: Reader, ids: Sequence[PatientId]) -> dict[PatientId, PatientRow]:
    """The surviving record of each id; an unknown one is left out."""
    return _survivors(reader, ids)[0]


def _survivors(reader: Reader, ids: Sequence[PatientId]) -> tuple[dict[PatientId, PatientRow], frozenset[PatientId]]:
    """Surviving records by the id asked for, and the ids whose rows cannot be read."""
    found, lost = salvage(reader.patients, tuple(dict.fromkeys(ids)))
    for _ in range(_MERGE_DEPTH):
        onward = {row.merged_into for row in found.values() if row.merged_into is not None}
        if not onward:
            break
        rows, gone = salvage(reader.patients, tuple(onward))
        lost |= {asked for asked, row in found.items() if row.merged_into in gone}
        found = {
            asked: rows.get(row.merged_into, row) if row.merged_into is not None else row
            for asked, row in found.items()
        }
    return found, lost


@attrs.frozen(kw_only=True)
class _People:
    """Rows that say who is concerned. Two readings are compared as they are."""

    patients: dict[PatientId, PatientRow]
    lost: frozenset[PatientId]
    related: dict[PatientId, tuple[RelatedRow, ...]]
    unrelated: frozenset[PatientId]
    aliases: dict[PatientId, tuple[PersonRef, ...]]
    nameless: frozenset[PatientId]
    contacts: dict[str, tuple[ContactRow, ...]]
    births: Mapping[tuple[str, str], bytes]
    zone: str


def _read(reader: Reader, asked: Sequence[Asked]) -> _People:
    patients, lost = _survivors(reader, [item.request.patient for item in asked])
    rows = {row.id: row for row in patients.values()}
    ids = list(rows)
    related, unrelated = salvage(reader.related, ids)
    aliases, nameless = salvage(reader.aliases, ids)
    owners = [*ids, *(person.id for persons in related.values() for person in persons)]
    contacts, _ = salvage(reader.contacts, owners)
    young = [row.id for row in rows.values() if row.age is not AgeBand.ADULT and row.age is not None]
    return _People(
        patients=patients,
        lost=lost,
        related=related,
        unrelated=unrelated,
        aliases=aliases,
        nameless=nameless,
        contacts=contacts,
        births=reader.sealed("patient", young, ("birth_date",)) if young else {},
        zone=tenant_of(reader).zone,
    )


def _band(
    parts: Parts, row: PatientRow, births: Mapping[tuple[str, str], bytes], zone: str, at: Instant
) -> AgeBand | None:
    """Once an adult, always an adult; everybody younger is worked out from the sealed birth date."""
    if row.age is AgeBand.ADULT or row.age is None:
        return row.age
    born: Personal[Any] | None = None
    envelope = births.get((row.id, "birth_date"))
    if envelope is not None:
        born = parts.safe.try_open(row.id, "patient", row.id, "birth_date", envelope)
    if born is None or not born.use(lambda value: type(value) is date):
        return None
    return born.use(partial(age_band, today=local_date(at, row.zone or zone)))


def childhoods(
    parts: Parts, reader: Reader, rows: Sequence[PatientRow]
) -> Callable[[PatientRow, Instant], AgeBand | None]:
    """The age band of each of these patients at an instant; None for adults, and where it cannot be known."""
    young = [row.id for row in rows if row.age is not AgeBand.ADULT and row.age is not None]
    births = reader.sealed("patient", young, ("birth_date",)) if young else {}
    zone = tenant_of(reader).zone if young else ""

    def at_instant(row: PatientRow, at: Instant) -> AgeBand | None:
        band = _band(parts, row, births, zone, at)
        return None if band is AgeBand.ADULT else band

    return at_instant


def _choose(contacts: Sequence[ContactRow], info: ChannelInfo) -> ContactRow | None:
    fitting = [row for row in contacts if row.kind is info.address_kind]
    if len(fitting) > 1:
        fitting.sort(key=lambda row: (_USABLE_FIRST[row.status], row.rank, row.id))
    return fitting[0] if fitting else None


def _guardian(rows: Sequence[RelatedRow], at: Instant) -> RelatedRow | None:
    for row in rows:
        in_force = row.since <= at and (row.until is None or at < row.until)
        if row.acts and row.verified and in_force and row.standing is Standing.ACTIVE:
            return row
    return None


def _recipient(request: Request, age: AgeBand | None, rows: Sequence[RelatedRow], at: Instant) -> RelatedRow | None:
    if request.recipient is not None:
        for row in rows:
            if row.id == request.recipient:
                return row
        raise NotFoundError("the recipient is not a related person of this patient")
    return _guardian(rows, at) if age in _CHILD else None


def _well(rows: Sequence[ContactRow]) -> tuple[ContactRow, ...]:
    return tuple(row for row in sound_only(rows) if is_ref(row.address) and is_ref(row.person))


@attrs.define
class Finder:
    """Finds what some requests name, as often as it is asked; what did not change is not worked out again.

    Attributes:
        mono: when the last look began, on the clock that never jumps: facts of this look are as old as that.
    """

    parts: Parts
    asked: Sequence[Asked]
    at: Instant = attrs.field(init=False)
    mono: Micros = attrs.field(init=False)
    _people: _People | None = attrs.field(default=None, init=False)
    _found: list[Found] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.at = self.parts.guard.read()[0]
        self.mono = self.parts.clock.monotonic()

    def __call__(self, reader: Reader) -> list[Found]:
        """A target, or an error, for each request, in order."""
        self.mono = self.parts.clock.monotonic()
        people = _read(reader, self.asked)
        if people != self._people:
            whole = {row.id: row for row in people.patients.values() if sound(row)}
            bands = {row.id: _band(self.parts, row, people.births, people.zone, self.at) for row in whole.values()}
            self._found = [self._one(item, people, bands) for item in self.asked]
            self._people = people
        return self._found

    def _one(self, item: Asked, people: _People, bands: Mapping[PatientId, AgeBand | None]) -> Found:
        try:
            return self._target(item, people, bands)
        except CarelinkError as error:
            return item.ref, error

    def _target(self, item: Asked, people: _People, bands: Mapping[PatientId, AgeBand | None]) -> Target:
        request = item.request
        patient = people.patients.get(request.patient)
        if request.patient in people.lost or (patient is not None and not is_ref(patient.person)):
            raise StoreError("the record of this patient is damaged", hint="run `carelink doctor`")
        if patient is None:
            raise NotFoundError("no patient has this id", hint="`find` turns an identifier into an id")
        info = self.parts.channels[self.parts.route(item.channel)][0]
        age = bands.get(patient.id)
        relations = people.related.get(patient.id, ())
        well = sound_only(relations)
        chosen = _recipient(request, age, well, self.at)
        owner = patient.id if chosen is None else chosen.id
        role = RecipientRole.SELF
        if chosen is not None:
            role = RecipientRole.GUARDIAN if chosen.acts else RecipientRole.RELATED
        return Target(
            request=request,
            ref=item.ref,
            mac=item.mac,
            version=item.version,
            patient=patient,
            standing=patient.standing if patient.id in bands else None,
            aliases=None if patient.id in people.nameless else people.aliases.get(patient.id, ()),
            related=chosen,
            related_known=patient.id not in people.unrelated and len(well) == len(relations),
            role=role,
            contact=_choose(_well(people.contacts.get(owner, ())), info),
            channel=info,
            age=age,
        )


def gates_of(found: Sequence[Found]) -> tuple[Gate, ...]:
    """The gate rows of the targets among these, each once."""
    gates: dict[Gate, None] = {}
    for target in found:
        if isinstance(target, Target):
            gates.update(dict.fromkeys(target.gates))
    return tuple(gates)
