"""What readers give: patients, grants and problems. Personal values are wrapped; a problem never holds a value."""

from __future__ import annotations

import re
from datetime import date
from enum import StrEnum, unique
from typing import Final

import attrs

from carelink.model.moment import Instant
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AddressKind,
    ContactStatus,
    DisclosureScope,
    GrantState,
    LifecycleStage,
    RecipientRole,
    Relation,
)

__all__ = [
    "ContactRecord",
    "Fault",
    "GrantRecord",
    "Identifier",
    "PatientRecord",
    "Problem",
    "RelatedRecord",
    "Source",
    "has_control",
]

Identifier = tuple[str, Personal[str]]
"""(system, value): who issued the number, and the number."""


_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


def has_control(text: str) -> bool:
    """Whether there is a control character other than tab and line ends in it, or half a surrogate pair."""
    return _CONTROL.search(text) is not None


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
    """A guardian or other related person of a patient.

    Attributes:
        verified: somebody checked that they are who they are said to be.
        acts: they may consent for the patient.
        scopes: what they may be told.
        since, until: half open.
        patient: whose, where that is not the patient the record stands in.
        key: the source's own id of this person, by which a later import finds them again.
        source: where it stands, if not in the patient's own row.
    """

    name: Personal[str]
    relation: Relation
    contacts: tuple[ContactRecord, ...] = ()
    verified: bool = False
    acts: bool = False
    scopes: tuple[DisclosureScope, ...] = ()
    since: Instant | None = None
    until: Instant | None = None
    patient: Identifier | None = None
    key: Personal[str] | None = None
    source: Source | None = None


@attrs.frozen(kw_only=True)
class PatientRecord:
    """A patient. `same_as` names the record that goes on where this one was merged into another; `replaces` names
    records that were merged into this one. `transferred`: another hospital treats them; `ended_plans` are over.
    """

    identifiers: tuple[Identifier, ...]
    name: Personal[str] | None = None
    birth_date: Personal[date] | None = None
    deceased: bool = False
    language: str = ""
    zone: str = ""
    contacts: tuple[ContactRecord, ...] = ()
    related: tuple[RelatedRecord, ...] = ()
    same_as: Identifier | None = None
    replaces: tuple[Identifier, ...] = ()
    stage: LifecycleStage | None = None
    transferred: bool = False
    ended_plans: tuple[str, ...] = ()
    source: Source


@attrs.frozen(kw_only=True)
class GrantRecord:
    """A grant, or one that was taken back.

    Attributes:
        since, until: validity, half open; `since` is when it was given.
        separate: given specifically for this processing.
        notice: version of the notice that was shown.
        evidence: where the proof lies.
        state: GIVEN, or how it ended: WITHDRAWN ends every grant of the patient that meets it and was given before
            `ended_at`, REVOKED and EXPIRED only this one.
        ended_at: when; None if the source does not say.
        refusal: nothing was ever given: the patient said no, which ends what meets it like a withdrawal.
    """

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
    refusal: bool = False
    source: Source


@unique
class Fault(StrEnum):
    """What can be wrong with a row. Stable: scripts may match on it."""

    BAD_ADDRESS = "bad_address"
    """not a phone number or an email address at all; the patient is kept without it"""
    BAD_DATE = "bad_date"
    """not a date, or not an instant with an offset"""
    BAD_IDENTIFIER = "bad_identifier"
    """an identifier is empty or malformed; the others of the row are kept"""
    BAD_NAME = "bad_name"
    """a name is empty or longer than 200 characters"""
    BAD_VALUE = "bad_value"
    """not one of the words or forms that this field takes"""
    BAD_ZONE = "bad_zone"
    """not an IANA time zone; the patient is kept without one"""
    CONTROL_CHARACTER = "control_character"
    """a NUL or another control character, which no text field has"""
    DATE_PARTIAL = "date_partial"
    """a birth date without day or month; the age counts as unknown"""
    DRAFT = "draft"
    """a consent that is only drafted or proposed: nobody has agreed to it yet"""
    DUPLICATE_ID = "duplicate_id"
    """an earlier row of this import has the same id; the earlier one counts"""
    DUPLICATE_KEY = "duplicate_key"
    """a JSON object names a key twice, so nobody can say which value is meant"""
    FILE_DAMAGED = "file_damaged"
    """the file is cut off or its compressed bytes are damaged here; what follows is lost"""
    INACTIVE = "inactive"
    """the source marks the record as no longer in use; it was imported all the same"""
    INVALID_NUMBER = "invalid_number"
    """no number plan knows this phone number; it is kept, marked invalid, and never dialled"""
    LINE_TOO_LONG = "line_too_long"
    """longer than one mebibyte"""
    MERGED = "merged"
    """a grant names a record that was merged into another; grants do not carry over (ADR 0009)"""
    MISSING = "missing"
    """a field that must be there is not"""
    MISSING_ID = "missing_id"
    """no id, so that a later import could not find the row again"""
    NO_SUCH_PATIENT = "no_such_patient"
    """nobody on record has the identifier that this row names"""
    NOT_GB18030 = "not_gb18030"
    """bytes that are no GB18030 text, in a file that is"""
    NOT_JSON = "not_json"
    """not one JSON object on one line"""
    NOT_UTF8 = "not_utf8"
    """bytes that are no UTF-8 text"""
    OTHER_MATTER = "other_matter"
    """a consent to something else than being contacted, such as a treatment"""
    REFUSED = "refused"
    """the values are well formed, but the record cannot be kept; the hint says why"""
    UNCLOSED_QUOTE = "unclosed_quote"
    """a quotation mark opens and does not close where a cell may end"""
    UNSUPPORTED = "unsupported"
    """a form whose meaning cannot be kept; taking a part of it would be a guess"""
    WRONG_COLUMNS = "wrong_columns"
    """more or fewer cells than the first line has"""
    WRONG_RESOURCE_TYPE = "wrong_resource_type"
    """another resource type than the file's name says"""
    WRONG_TYPE = "wrong_type"
    """a value of another JSON type than FHIR R4 says"""


@attrs.frozen(kw_only=True)
class Problem:
    """A row, or a part of one, that could not be used. `lost`: the row itself, not just the part, was left out.

    It names file, line, what is wrong and the field, and never a value (P8). `field` is a path of the format or a
    column's number, never text from the file.
    """

    file: str
    line: int
    code: Fault
    field: str = ""
    hint: str = ""
    lost: bool = True

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}: {self.code.value}"
        field = f" in `{self.field}`" if self.field else ""
        return f"{where}{field}{f' ({self.hint})' if self.hint else ''}"
