"""What is held about one person, opened: the values are wrapped, and show only where somebody asks for them."""

from __future__ import annotations

from datetime import date
from enum import StrEnum, unique

import attrs

from carelink.model.moment import Instant
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AddressKind,
    ContactStatus,
    DisclosureScope,
    GrantMethod,
    GrantState,
    RecipientRole,
    Relation,
    Standing,
    StopSource,
)

__all__ = ["HeldConsent", "HeldContact", "HeldRelated", "HeldStop", "Person", "Readable", "Sealed", "as_text"]


@unique
class Readable(StrEnum):
    """Whether a sealed field opens."""

    OPEN = "open"
    ABSENT = "absent"
    ERASED = "erased"
    UNREADABLE = "unreadable"


@attrs.frozen(kw_only=True)
class Sealed:
    """A sealed field: its value where it opens."""

    state: Readable
    value: Personal[str] | None = None


@attrs.frozen(kw_only=True)
class HeldContact:
    """A contact point."""

    id: str
    kind: AddressKind
    address: Sealed
    status: ContactStatus
    verified_at: Instant | None


@attrs.frozen(kw_only=True)
class HeldRelated:
    """A related person and what they may be told."""

    id: str
    name: Sealed
    relation: Relation
    acts: bool
    verified: bool
    scopes: tuple[DisclosureScope, ...]
    since: Instant
    until: Instant | None
    contacts: tuple[HeldContact, ...]


@attrs.frozen(kw_only=True)
class HeldConsent:
    """A grant with its evidence."""

    id: str
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    plans: tuple[str, ...]
    by: RecipientRole
    method: GrantMethod
    since: Instant
    until: Instant | None
    separate: bool
    notice: str
    state: GrantState
    ended_at: Instant | None
    evidence: Sealed


@attrs.frozen(kw_only=True)
class HeldStop:
    """A suppression that binds the person or one of their addresses."""

    id: str
    binds: str
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    plans: tuple[str, ...]
    source: StopSource
    since: Instant
    until: Instant | None


@attrs.frozen(kw_only=True)
class Person:
    """A person's record, or the part of it that was asked for.

    Attributes:
        patient: the record's id. records: it, and those merged into it.
        identifiers: as `system|value`.
        zone, language: as registered; "" where not known.
    """

    patient: str
    records: tuple[str, ...]
    standing: Standing
    restricted: bool = False
    zone: str = ""
    language: str = ""
    identifiers: tuple[Sealed, ...] = ()
    name: Sealed = attrs.field(factory=lambda: Sealed(state=Readable.ABSENT))
    birth_date: Sealed = attrs.field(factory=lambda: Sealed(state=Readable.ABSENT))
    contacts: tuple[HeldContact, ...] = ()
    related: tuple[HeldRelated, ...] = ()
    consents: tuple[HeldConsent, ...] = ()
    stops: tuple[HeldStop, ...] = ()


def as_text(value: object) -> str:
    """A sealed value as text: dates in ISO form."""
    return value.isoformat() if isinstance(value, date) else str(value)
