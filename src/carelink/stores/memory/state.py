"""What a memory store holds: plain tables of rows. A committed state is never changed, only replaced."""

from __future__ import annotations

import copy
from typing import NamedTuple, Self

import attrs

from carelink.audit.merkle import Frontier
from carelink.model.ids import (
    AddressRef,
    ContactPointId,
    CredentialId,
    GrantId,
    PatientId,
    RelatedId,
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
    Gate,
    GrantRow,
    IndexRow,
    PatientRow,
    RelatedRow,
    ReservationRow,
    StopRow,
    TemplateRow,
    TenantRow,
)

__all__ = ["Field", "Parked", "State"]


class Field(NamedTuple):
    """Place of a sealed field."""

    table: str
    row: str
    column: str


class Parked(NamedTuple):
    """A report for a key that is not known yet."""

    channel: str
    key: str
    event: str
    at: Instant


@attrs.define(kw_only=True)
class State:
    """All rows of one tenant.

    Attributes:
        gates: last instant of each gate row.
        addresses: pseudonym of each address token.
        events: (channel, event id) of provider events noted.
        entries: the log in index order; `frontier` is the right edge of the tree over it.
    """

    tenant: TenantRow | None = None
    gates: dict[Gate, Instant] = attrs.field(factory=dict)
    patients: dict[PatientId, PatientRow] = attrs.field(factory=dict)
    related: dict[RelatedId, RelatedRow] = attrs.field(factory=dict)
    contacts: dict[ContactPointId, ContactRow] = attrs.field(factory=dict)
    addresses: dict[bytes, AddressRef] = attrs.field(factory=dict)
    sealed: dict[Field, bytes] = attrs.field(factory=dict)
    index: set[IndexRow] = attrs.field(factory=set)
    grants: dict[GrantId, GrantRow] = attrs.field(factory=dict)
    stops: dict[SuppressionId, StopRow] = attrs.field(factory=dict)
    templates: dict[tuple[str, int], TemplateRow] = attrs.field(factory=dict)
    accesses: dict[str, AccessRow] = attrs.field(factory=dict)
    erasures: dict[PatientId, ErasureRow] = attrs.field(factory=dict)
    credentials: dict[CredentialId, CredentialRow] = attrs.field(factory=dict)
    reservations: dict[ReservationId, ReservationRow] = attrs.field(factory=dict)
    packs: dict[str, bytes] = attrs.field(factory=dict)
    allow_list: set[bytes] = attrs.field(factory=set)
    stopped_channels: set[str] = attrs.field(factory=set)
    events: set[tuple[str, str]] = attrs.field(factory=set)
    parked: list[Parked] = attrs.field(factory=list)
    entries: list[EntryRow] = attrs.field(factory=list)
    frontier: Frontier = attrs.field(factory=Frontier)
    published: int = 0

    def copy(self) -> Self:
        """A state that can be written while others read this one. Rows are immutable and shared."""
        fresh = copy.copy(self)
        for field in attrs.fields(State):
            value = getattr(self, field.name)
            if isinstance(value, (dict, set, list)):
                setattr(fresh, field.name, value.copy())
        return fresh
