"""What readers give: patients, grants and problems. Personal values are wrapped; a problem never holds a value."""

from __future__ import annotations

from datetime import date

import attrs

from carelink.model.moment import Instant
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AddressKind,
    ContactStatus,
    DisclosureScope,
    GrantState,
    RecipientRole,
    Relation,
)

__all__ = ["ContactRecord", "GrantRecord", "Identifier", "PatientRecord", "Problem", "RelatedRecord", "Source"]

Identifier = tuple[str, Personal[str]]
"""(system, value): who issued the number, and the number."""


@attrs.frozen
class Source:
    """Where a record stands: file name and physical line, from 1."""

    file: str
    line: int


@attrs.frozen(kw_only=True)
class ContactRecord:
    """An address as the source gives it. Lower rank is preferred."""

    kind: AddressKind
    address: Personal[str]
    status: ContactStatus = ContactStatus.UNVERIFIED
    verified_at: Instant | None = None
    rank: int = 0


@attrs.frozen(kw_only=True)
class RelatedRecord:
    """A guardian or other related person of a patient."""

    name: Personal[str]
    relation: Relation
    contacts: tuple[ContactRecord, ...] = ()
    verified: bool = False
    acts: bool = False
    scopes: tuple[DisclosureScope, ...] = ()
    since: Instant | None = None
    until: Instant | None = None


@attrs.frozen(kw_only=True)
class PatientRecord:
    """A patient. `same_as` names the record that goes on where this one was merged into another."""

    identifiers: tuple[Identifier, ...]
    name: Personal[str] | None = None
    birth_date: Personal[date] | None = None
    deceased: bool = False
    language: str = ""
    zone: str = ""
    contacts: tuple[ContactRecord, ...] = ()
    related: tuple[RelatedRecord, ...] = ()
    same_as: Identifier | None = None
    source: Source


@attrs.frozen(kw_only=True)
class GrantRecord:
    """A grant, or one that was taken back (`state`, `ended_at`)."""

    patient: Identifier
    purposes: tuple[str, ...]
    channels: tuple[str, ...]
    by: RecipientRole = RecipientRole.SELF
    since: Instant | None = None
    until: Instant | None = None
    separate: bool = False
    notice: str = ""
    evidence: Personal[str]
    state: GrantState = GrantState.GIVEN
    ended_at: Instant | None = None
    source: Source


@attrs.frozen(kw_only=True)
class Problem:
    """A row, or a part of one, that could not be used. `lost`: the row itself, not just the part, was left out."""

    file: str
    line: int
    code: str
    field: str = ""
    hint: str = ""
    lost: bool = True

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: {self.code}"
        field = f" in `{self.field}`" if self.field else ""
        return f"{where}{field}{f' ({self.hint})' if self.hint else ''}"
