"""Rows to test with: synthetic, each field set, each row of a kind different from the next."""

from __future__ import annotations

from typing import Any

import attrs

from carelink.audit.merkle import leaf_hash
from carelink.model.ids import (
    AddressRef,
    ContactPointId,
    CredentialId,
    DecisionId,
    GrantId,
    PatientId,
    PersonRef,
    RelatedId,
    RequestRef,
    ReservationId,
    SuppressionId,
)
from carelink.model.moment import Instant
from carelink.ports.rows import (
    AccessRow,
    ContactRow,
    CredentialRow,
    EntryRow,
    ErasureRow,
    GrantRow,
    PatientRow,
    RelatedRow,
    ReservationRow,
    StopRow,
    TemplateRow,
    TenantRow,
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
    Mode,
    Purpose,
    RecipientRole,
    Relation,
    ReservationState,
    ReviewRole,
    Standing,
    StopSource,
)

__all__ = [
    "MANY",
    "access",
    "address",
    "at",
    "contact",
    "credential",
    "entry",
    "erasure",
    "grant",
    "patient",
    "patient_id",
    "person",
    "related",
    "request",
    "reservation",
    "reservation_id",
    "stop",
    "template",
    "tenant",
    "token",
]

MANY = 3000
"""More keys than a statement may have variables in some databases."""

_START = 1_700_000_000_000_000


def at(seconds: int) -> Instant:
    """An instant, so many seconds after a fixed one."""
    return Instant(_START + seconds * 1_000_000)


def _ref(kind: int, number: int) -> str:
    return f"{kind:02x}{number:030x}"


def patient_id(number: int) -> PatientId:
    """Row id of a patient."""
    return PatientId(_ref(0xA1, number))


def person(number: int) -> PersonRef:
    """Pseudonym of a person."""
    return PersonRef(_ref(0xB2, number))


def token(number: int) -> bytes:
    """Full-length token of an address."""
    return bytes([0xC3]) + number.to_bytes(31, "big")


def address(number: int) -> AddressRef:
    """Pseudonym of an address."""
    return AddressRef(_ref(0xD4, number))


def request(number: int) -> RequestRef:
    """Keyed hash of a request key."""
    return RequestRef(_ref(0xE5, number))


def reservation_id(number: int) -> ReservationId:
    """Id of a reservation."""
    return ReservationId(_ref(0xF6, number))


def tenant(**changes: Any) -> TenantRow:
    """The tenant."""
    row = TenantRow(
        tenant=_ref(1, 1),
        origin="log.example.invalid/1",
        zone="Asia/Shanghai",
        created=at(0),
        mode=Mode.TEAM,
        policy="ab" * 32,
        packs=("cd" * 32, "ef" * 32),
        plugins="01" * 32,
        synthetic=True,
    )
    return attrs.evolve(row, **changes)


def patient(number: int, **changes: Any) -> PatientRow:
    """A patient."""
    row = PatientRow(
        id=patient_id(number),
        person=person(number),
        standing=Standing.ACTIVE,
        age=AgeBand.FROM_14,
        zone="Europe/Berlin",
        language="de",
        created=at(number),
    )
    return attrs.evolve(row, **changes)


def related(number: int, of: int, **changes: Any) -> RelatedRow:
    """A related person of a patient."""
    row = RelatedRow(
        id=RelatedId(_ref(0xA7, number)),
        patient=patient_id(of),
        person=person(10_000 + number),
        relation=Relation.PARENT,
        standing=Standing.ACTIVE,
        verified=True,
        acts=True,
        scopes=(DisclosureScope.LOGISTICS, DisclosureScope.RESULTS),
        since=at(number),
        until=at(number + 1000),
    )
    return attrs.evolve(row, **changes)


def contact(number: int, owner: int, on: int | None = None, **changes: Any) -> ContactRow:
    """A contact point of a patient, on an address of its own unless one is named."""
    place = number if on is None else on
    row = ContactRow(
        id=ContactPointId(_ref(0xA8, number)),
        owner=patient_id(owner),
        person=person(owner),
        kind=AddressKind.PHONE,
        token=token(place),
        address=address(place),
        status=ContactStatus.UNVERIFIED,
        verified_at=at(number),
        rank=number,
        zones=("America/Chicago", "America/New_York"),
    )
    return attrs.evolve(row, **changes)


def grant(number: int, of: int, **changes: Any) -> GrantRow:
    """A grant."""
    row = GrantRow(
        id=GrantId(_ref(0xA9, number)),
        patient=patient_id(of),
        purposes=("care", "marketing.service"),
        channels=("sms", "email"),
        by=RecipientRole.GUARDIAN,
        since=at(number),
        until=at(number + 1000),
        separate=True,
        notice="v1.2",
    )
    return attrs.evolve(row, **changes)


def stop(number: int, *, of: int | None = None, on: int | None = None, **changes: Any) -> StopRow:
    """A suppression of a person or of an address."""
    row = StopRow(
        id=SuppressionId(_ref(0xAA, number)),
        person=None if of is None else person(of),
        token=None if on is None else token(on),
        purposes=("marketing", "education"),
        channels=("*",),
        source=StopSource.COMPLAINT,
        since=at(number),
        until=at(number + 1000),
    )
    return attrs.evolve(row, **changes)


def template(name: str = "recheck", version: int = 1, **changes: Any) -> TemplateRow:
    """A template version."""
    row = TemplateRow(
        name=name,
        version=version,
        status=ContentStatus.APPROVED,
        purposes=("care",),
        channels=("sms", "email"),
        language="zh",
        subject="复查提醒",
        body="您好 {patient_name}, see you on {date}.\n",
        variables=("patient_name", "date"),
        digest="5f" * 32,
        since=at(1),
        until=at(9),
        details='{"byline":"眼科, ward 3"}',
        data=(DataClass.APPOINTMENT, DataClass.DIAGNOSIS),
        author=_ref(2, 9),
        quorum=2,
        reviews=(f"{_ref(2, 1)}:clinical:7", f"{_ref(2, 2)}:commercial:"),
        number="粤(x)医广【2026】第01-02号",
        number_until=at(8),
        providers=("outbox-sms:approved:SMS_1",),
        screened="6f" * 32,
    )
    return attrs.evolve(row, **changes)


def access(number: int, of: int, **changes: Any) -> AccessRow:
    """An opening in an emergency."""
    row = AccessRow(
        id=_ref(0xAC, number), patient=patient_id(of), actor=_ref(0xAD, number), emergency=True, what="identity",
        purpose="emergency", at=at(number),
    )  # fmt: skip
    return attrs.evolve(row, **changes)


def erasure(of: int, **changes: Any) -> ErasureRow:
    """An erasure of a patient."""
    row = ErasureRow(
        patient=patient_id(of), owners=(patient_id(of),), phase=ErasurePhase.BEGUN, reason="request", by="0" * 32,
        begun=at(1),
    )  # fmt: skip
    return attrs.evolve(row, **changes)


def credential(number: int, of: int, **changes: Any) -> CredentialRow:
    """A credential of a member of staff."""
    row = CredentialRow(
        id=CredentialId(_ref(0xAC, number)),
        actor=_ref(2, of),
        role=ReviewRole.COMMERCIAL,
        since=at(number),
        until=at(number + 1000),
        ended_at=at(number + 10),
    )
    return attrs.evolve(row, **changes)


def reservation(number: int, **changes: Any) -> ReservationRow:
    """A held reservation of a request of its own; subject, recipient and address have its number."""
    row = ReservationRow(
        id=reservation_id(number),
        request=request(number),
        mac=bytes([number % 256]) * 32,
        decision=DecisionId(_ref(0xAB, number)),
        patient=patient_id(number),
        contact=ContactPointId(_ref(0xA8, number)),
        subject=person(number),
        recipient=person(number),
        role=RecipientRole.SELF,
        token=token(number),
        address=address(number),
        purpose=Purpose.CARE_APPOINTMENT,
        channel="outbox-sms",
        channel_kind=ChannelKind.SMS,
        template="recheck",
        template_version=3,
        reply=True,
        at=at(number),
        state=ReservationState.HELD,
        expires=at(number + 3600),
        lease=None,
    )
    return attrs.evolve(row, **changes)


def entry(number: int, asked: int | None = None) -> EntryRow:
    """An audit entry. Its bytes are no text: a store keeps bytes and reads nothing into them."""
    data = bytes([0, 255, 10, 13]) + number.to_bytes(4, "big") + "条目 \u0000".encode()
    return EntryRow(data=data, leaf=leaf_hash(data), request="" if asked is None else request(asked))
