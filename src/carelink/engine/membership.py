"""Who a request is about, who receives it, and at which address: settled before the gate rows are locked, and
checked again after.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

import attrs

from carelink.engine.parts import Parts
from carelink.engine.zones import local_date
from carelink.errors import CarelinkError, NotFoundError
from carelink.model.ids import PatientId, PersonRef, RequestRef
from carelink.model.moment import Instant
from carelink.model.request import Request
from carelink.ports.channel import ChannelInfo
from carelink.ports.rows import ContactRow, Gate, PatientRow, RelatedRow
from carelink.ports.store import Reader
from carelink.vault.personal import Personal
from carelink.vocabulary import AgeBand, ContactStatus, RecipientRole, Standing

__all__ = ["Target", "age_band", "gates_of", "resolve"]

_USABLE_FIRST = {
    ContactStatus.VALID: 0,
    ContactStatus.UNVERIFIED: 1,
    ContactStatus.INVALID: 2,
    ContactStatus.RECYCLED: 3,
}
_CHILD = (AgeBand.UNDER_8, AgeBand.FROM_8)
_MERGE_DEPTH = 8


@attrs.frozen(kw_only=True)
class Target:
    """A request with everything it names found.

    Attributes:
        person, recipient: pseudonyms of subject and recipient.
        aliases: pseudonyms of records merged into the subject.
        age: band at the instant of resolving; None where it cannot be known.
    """

    request: Request
    ref: RequestRef
    mac: bytes
    patient: PatientRow
    aliases: tuple[PersonRef, ...]
    related: RelatedRow | None
    role: RecipientRole
    contact: ContactRow | None
    channel: ChannelInfo
    age: AgeBand | None

    @property
    def recipient(self) -> PersonRef:
        """Pseudonym of who receives."""
        return self.patient.person if self.related is None else self.related.person

    @property
    def persons(self) -> tuple[PersonRef, ...]:
        """All pseudonyms that gates and counts concern."""
        subject = (self.patient.person, *self.aliases)
        return subject if self.related is None else (*subject, self.related.person)


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


def _follow_merges(reader: Reader, ids: Sequence[PatientId]) -> dict[PatientId, PatientRow]:
    found = dict(reader.patients(tuple(set(ids))))
    for _ in range(_MERGE_DEPTH):
        onward = {row.merged_into for row in found.values() if row.merged_into is not None}
        if not onward:
            break
        rows = reader.patients(tuple(onward))
        found = {
            asked: rows.get(row.merged_into, row) if row.merged_into is not None else row
            for asked, row in found.items()
        }
    return found


def _bands(parts: Parts, reader: Reader, rows: Sequence[PatientRow], at: Instant) -> dict[PatientId, AgeBand | None]:
    """Age bands: once an adult, always an adult; everybody younger is worked out from the sealed birth date."""
    bands: dict[PatientId, AgeBand | None] = {row.id: AgeBand.ADULT for row in rows if row.age is AgeBand.ADULT}
    young = [row for row in rows if row.id not in bands and row.age is not None]
    bands.update({row.id: None for row in rows if row.age is None})
    if not young:
        return bands
    zone = reader.tenant().zone
    envelopes = reader.sealed("patient", [row.id for row in young], ("birth_date",))
    for row in young:
        born: Personal[date] | None = None
        envelope = envelopes.get((row.id, "birth_date"))
        if envelope is not None:
            born = parts.safe.try_open(row.id, "patient", row.id, "birth_date", envelope)
        today = local_date(at, row.zone or zone)
        bands[row.id] = None if born is None else born.use(partial(age_band, today=today))
    return bands


def _choose(contacts: Sequence[ContactRow], info: ChannelInfo) -> ContactRow | None:
    fitting = [row for row in contacts if row.kind is info.address_kind]
    return min(fitting, key=lambda row: (_USABLE_FIRST[row.status], row.rank, row.id)) if fitting else None


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


def resolve(
    parts: Parts, reader: Reader, requests: Sequence[Request], at: Instant
) -> list[Target | tuple[RequestRef, CarelinkError]]:
    """Find what each request names; a request that names something unknown is answered with the error."""
    patients = _follow_merges(reader, [request.patient for request in requests])
    rows = tuple({row.id: row for row in patients.values()}.values())
    ids = [row.id for row in rows]
    related = reader.related(ids)
    aliases = reader.aliases(ids)
    contacts = reader.contacts([*ids, *(person.id for persons in related.values() for person in persons)])
    bands = _bands(parts, reader, rows, at)

    def one(request: Request, ref: RequestRef) -> Target:
        patient = patients.get(request.patient)
        if patient is None:
            raise NotFoundError("no patient has this id", hint="`find` turns an identifier into an id")
        info = parts.channels[parts.route(request.channel)][0]
        age = bands[patient.id]
        chosen = _recipient(request, age, related.get(patient.id, ()), at)
        owner = patient.id if chosen is None else chosen.id
        role = RecipientRole.SELF
        if chosen is not None:
            role = RecipientRole.GUARDIAN if chosen.acts else RecipientRole.RELATED
        return Target(
            request=request,
            ref=ref,
            mac=parts.safe.request_mac(request),
            patient=patient,
            aliases=aliases.get(patient.id, ()),
            related=chosen,
            role=role,
            contact=_choose(contacts.get(owner, ()), info),
            channel=info,
            age=age,
        )

    answers: list[Target | tuple[RequestRef, CarelinkError]] = []
    for request in requests:
        ref = parts.safe.request_ref(request.key)
        try:
            answers.append(one(request, ref))
        except CarelinkError as error:
            answers.append((ref, error))
    return answers


def gates_of(targets: Sequence[Target]) -> tuple[Gate, ...]:
    """The gate rows of these targets: subject, recipient, address; each once."""
    gates: dict[Gate, None] = {}
    for target in targets:
        for person in target.persons:
            gates[Gate("person", bytes.fromhex(person))] = None
        if target.contact is not None:
            gates[Gate("address", target.contact.token)] = None
    return tuple(gates)
