"""Rows to and from SQLite: positional, in the column order of the statements. Enums by value, lists joined by commas,
tokens and hashes as hex text where they are looked up by.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeVar

from carelink.model.ids import AddressRef, PatientId
from carelink.ports.rows import (
    AccessRow,
    ContactRow,
    CredentialRow,
    ErasureRow,
    GrantRow,
    PatientRow,
    RelatedRow,
    ReservationRow,
    StopRow,
    TemplateRow,
    TenantRow,
    TouchRow,
)
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

E = TypeVar("E", bound=Enum)


def _words(vocabulary: type[E]) -> dict[Any, E]:
    return {member._value_: member for member in vocabulary}


_STANDING, _AGE, _RELATION = _words(Standing), {None: None, **_words(AgeBand)}, _words(Relation)
_SCOPE, _ADDRESS_KIND, _CONTACT = _words(DisclosureScope), _words(AddressKind), _words(ContactStatus)
_ROLE, _GRANT, _SOURCE, _MODE = _words(RecipientRole), _words(GrantState), _words(StopSource), _words(Mode)
_CONTENT, _PURPOSE, _CHANNEL = _words(ContentStatus), _words(Purpose), _words(ChannelKind)
_STATE, _OUTCOME = _words(ReservationState), {None: None, **_words(Outcome)}
_DATA, _REVIEW = _words(DataClass), _words(ReviewRole)
_METHOD, _STAGE = _words(GrantMethod), {None: None, **_words(LifecycleStage)}
_PHASE = _words(ErasurePhase)
_FLAG: dict[Any, bool] = {0: False, 1: True}
"""A flag is 0 or 1. `bool` would make a yes of whatever else a damaged file holds (P2)."""


def split(text: str) -> tuple[str, ...]:
    """A stored list."""
    return tuple(text.split(",")) if text else ()


def _value(member: Enum | None) -> Any:
    return None if member is None else member._value_


def tenant_row(r: Sequence[Any]) -> TenantRow:
    """The tenant."""
    return TenantRow(tenant=r[0], origin=r[1], zone=r[2], created=r[3], mode=_MODE[r[4]], policy=r[5],
                     packs=split(r[6]), plugins=r[7], synthetic=_FLAG[r[8]])  # fmt: skip


def tenant_values(row: TenantRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.tenant, row.origin, row.zone, row.created, row.mode._value_, row.policy, ",".join(row.packs),
            row.plugins, int(row.synthetic))  # fmt: skip


def patient_row(r: Sequence[Any]) -> PatientRow:
    """A patient."""
    return PatientRow(id=r[0], person=r[1], standing=_STANDING[r[2]], age=_AGE[r[3]], zone=r[4], language=r[5],
                      created=r[6], merged_into=r[7], stage=_STAGE[r[8]])  # fmt: skip


def patient_values(row: PatientRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.id, row.person, row.standing._value_, _value(row.age), row.zone, row.language, row.created,
            row.merged_into, _value(row.stage))  # fmt: skip


def related_row(r: Sequence[Any]) -> RelatedRow:
    """A related person."""
    return RelatedRow(id=r[0], patient=r[1], person=r[2], relation=_RELATION[r[3]], standing=_STANDING[r[4]],
                      verified=_FLAG[r[5]], acts=_FLAG[r[6]], scopes=tuple(_SCOPE[s] for s in split(r[7])), since=r[8],
                      until=r[9])  # fmt: skip


def related_values(row: RelatedRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.id, row.patient, row.person, row.relation._value_, row.standing._value_, int(row.verified),
            int(row.acts), ",".join(scope._value_ for scope in row.scopes), row.since, row.until)  # fmt: skip


def contact_row(r: Sequence[Any]) -> ContactRow:
    """A contact point."""
    return ContactRow(id=r[0], owner=r[1], person=r[2], kind=_ADDRESS_KIND[r[3]], token=bytes.fromhex(r[4]),
                      address=r[5], status=_CONTACT[r[6]], verified_at=r[7], rank=r[8], zones=split(r[9]))  # fmt: skip


def contact_values(row: ContactRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.id, row.owner, row.person, row.kind._value_, row.token.hex(), row.address, row.status._value_,
            row.verified_at, row.rank, ",".join(row.zones))  # fmt: skip


def grant_row(r: Sequence[Any]) -> GrantRow:
    """A grant."""
    return GrantRow(id=r[0], patient=r[1], purposes=split(r[2]), channels=split(r[3]), by=_ROLE[r[4]], since=r[5],
                    until=r[6], separate=_FLAG[r[7]], notice=r[8], state=_GRANT[r[9]], ended_at=r[10],
                    plans=split(r[11]), method=_METHOD[r[12]], age=_AGE[r[13]])  # fmt: skip


def grant_values(row: GrantRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.id, row.patient, ",".join(row.purposes), ",".join(row.channels), row.by._value_, row.since, row.until,
            int(row.separate), row.notice, row.state._value_, row.ended_at, ",".join(row.plans), row.method._value_,
            _value(row.age))  # fmt: skip


def stop_row(r: Sequence[Any]) -> StopRow:
    """A suppression."""
    return StopRow(id=r[0], person=r[1], token=None if r[2] is None else bytes.fromhex(r[2]), purposes=split(r[3]),
                   channels=split(r[4]), source=_SOURCE[r[5]], since=r[6], until=r[7], lifted_at=r[8],
                   plans=split(r[9]))  # fmt: skip


def stop_values(row: StopRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.id, row.person, None if row.token is None else row.token.hex(), ",".join(row.purposes),
            ",".join(row.channels), row.source._value_, row.since, row.until, row.lifted_at,
            ",".join(row.plans))  # fmt: skip


def template_row(r: Sequence[Any]) -> TemplateRow:
    """A template version."""
    return TemplateRow(name=r[0], version=r[1], status=_CONTENT[r[2]], purposes=split(r[3]), channels=split(r[4]),
                       language=r[5], subject=r[6], body=r[7], variables=split(r[8]), digest=r[9], since=r[10],
                       until=r[11], details=r[12], data=tuple(_DATA[each] for each in split(r[13])), author=r[14],
                       quorum=r[15], reviews=split(r[16]), number=r[17], number_until=r[18], providers=split(r[19]),
                       screened=r[20])  # fmt: skip


def template_values(row: TemplateRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.name, row.version, row.status._value_, ",".join(row.purposes), ",".join(row.channels), row.language,
            row.subject, row.body, ",".join(row.variables), row.digest, row.since, row.until, row.details,
            ",".join(each._value_ for each in row.data), row.author, row.quorum, ",".join(row.reviews), row.number,
            row.number_until, ",".join(row.providers), row.screened)  # fmt: skip


def credential_row(r: Sequence[Any]) -> CredentialRow:
    """A credential."""
    return CredentialRow(id=r[0], actor=r[1], role=_REVIEW[r[2]], since=r[3], until=r[4], ended_at=r[5])


def credential_values(row: CredentialRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.id, row.actor, row.role._value_, row.since, row.until, row.ended_at)


def access_row(r: Sequence[Any]) -> AccessRow:
    """An approval, or an opening in an emergency."""
    return AccessRow(id=r[0], patient=r[1], actor=r[2], emergency=_FLAG[r[3]], what=r[4], purpose=r[5], at=r[6],
                     by=r[7], until=r[8], reviewed_at=r[9], finding=r[10])  # fmt: skip


def access_values(row: AccessRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.id, row.patient, row.actor, int(row.emergency), row.what, row.purpose, row.at, row.by, row.until,
            row.reviewed_at, row.finding)  # fmt: skip


def erasure_row(r: Sequence[Any]) -> ErasureRow:
    """An erasure."""
    return ErasureRow(patient=r[0], owners=tuple(map(PatientId, split(r[1]))), phase=_PHASE[r[2]], reason=r[3],
                      by=r[4], begun=r[5], shredded_at=r[6], clean=_FLAG[r[7]], copies=split(r[8]),
                      receipt=r[9])  # fmt: skip


def erasure_values(row: ErasureRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.patient, ",".join(row.owners), row.phase._value_, row.reason, row.by, row.begun, row.shredded_at,
            int(row.clean), ",".join(row.copies), row.receipt)  # fmt: skip


def address_pair(r: Sequence[Any]) -> tuple[bytes, AddressRef]:
    """An address token and its pseudonym."""
    return bytes.fromhex(r[0]), AddressRef(r[1])


def index_pair(r: Sequence[Any]) -> tuple[tuple[int, bytes], str]:
    """A blind-index value with its key version, and the row id it leads to."""
    return (r[0], bytes.fromhex(r[1])), r[2]


def token(r: Sequence[Any]) -> bytes:
    """An address token."""
    return bytes.fromhex(r[0])


def touch_row(r: Sequence[Any]) -> TouchRow:
    """A touch."""
    return TouchRow(reservation=r[0], subject=r[1], recipient=r[2], token=bytes.fromhex(r[3]), purpose=_PURPOSE[r[4]],
                    channel_kind=_CHANNEL[r[5]], reply=_FLAG[r[6]], at=r[7], plan=r[8], topic=r[9])  # fmt: skip


def reservation_row(r: Sequence[Any]) -> ReservationRow:
    """A reservation."""
    return ReservationRow(id=r[0], request=r[1], mac=r[2], decision=r[3], patient=r[4], contact=r[5], subject=r[6],
                          recipient=r[7], role=_ROLE[r[8]], token=bytes.fromhex(r[9]), address=r[10],
                          purpose=_PURPOSE[r[11]], channel=r[12], channel_kind=_CHANNEL[r[13]], template=r[14],
                          template_version=r[15], reply=_FLAG[r[16]], at=r[17], state=_STATE[r[18]], expires=r[19],
                          lease=r[20], outcome=_OUTCOME[r[21]], delivery=r[22], provider=r[23],
                          plan=r[24], topic=r[25])  # fmt: skip


def reservation_values(row: ReservationRow) -> tuple[Any, ...]:
    """Its values, for the insert."""
    return (row.id, row.request, row.mac, row.decision, row.patient, row.contact, row.subject, row.recipient,
            row.role._value_, row.token.hex(), row.address, row.purpose._value_, row.channel, row.channel_kind._value_,
            row.template, row.template_version, int(row.reply), row.at, row.state._value_, row.expires, row.lease,
            _value(row.outcome), row.delivery, row.provider, row.plan, row.topic)  # fmt: skip


def settle_values(row: ReservationRow) -> tuple[Any, ...]:
    """Its values that may change, and its id."""
    return (row.contact, row.recipient, row.role._value_, row.token.hex(), row.address, row.at, row.state._value_,
            row.lease, _value(row.outcome), row.delivery, row.provider, row.id)  # fmt: skip
