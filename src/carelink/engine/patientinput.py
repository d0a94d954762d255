"""What a caller says about a patient, and the canonical forms of it. Whatever is malformed is told here, for that one
patient, before anything is written for any.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import Final

import attrs

from carelink.engine.outcome import bare
from carelink.engine.safe import Safe
from carelink.engine.zones import check_zone
from carelink.errors import CarelinkError, InvalidInputError
from carelink.model.ids import PatientId
from carelink.model.moment import Instant
from carelink.vault.canonical import Canonical, canonical_address, canonical_id
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ContactStatus, DisclosureScope, LifecycleStage, Relation

__all__ = ["Address", "ContactInput", "PatientInput", "Prepared", "Registered", "RelatedInput", "prepare"]

_MAX_TEXT: Final = 200
_LANGUAGE: Final = re.compile(r"(?:[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8}){0,4})?", re.ASCII)


@attrs.frozen(kw_only=True)
class ContactInput:
    """A contact point as the caller knows it. `status` VALID means somebody verified it; INVALID that it is over."""

    kind: AddressKind
    address: Personal[str]
    status: ContactStatus = ContactStatus.UNVERIFIED
    verified_at: Instant | None = None
    rank: int = 0


@attrs.frozen(kw_only=True)
class RelatedInput:
    """A guardian or other related person as the caller knows them. `key` is the caller's own id of this person, by
    which they are found again; without one they are found by name and relation.
    """

    name: Personal[str]
    relation: Relation
    contacts: tuple[ContactInput, ...] = ()
    verified: bool = False
    acts: bool = False
    scopes: tuple[DisclosureScope, ...] = ()
    since: Instant | None = None
    until: Instant | None = None
    key: Personal[str] | None = None


@attrs.frozen(kw_only=True)
class PatientInput:
    """A patient as the caller knows them.

    Attributes:
        identifiers: (system, value) pairs, at least one; the first is the one that names the record.
        known: the patient must be on record; nobody is created.
        language: a BCP 47 tag. zone: an IANA time zone. Empty: not said.
        stage: where the patient stands with the hospital; None: not said.
    """

    identifiers: tuple[tuple[str, Personal[str]], ...]
    name: Personal[str] | None = None
    birth_date: Personal[date] | None = None
    deceased: bool = False
    language: str = ""
    zone: str = ""
    contacts: tuple[ContactInput, ...] = ()
    related: tuple[RelatedInput, ...] = ()
    known: bool = False
    stage: LifecycleStage | None = None


@attrs.frozen(kw_only=True)
class Registered:
    """What came of one input: the patient's id, or the error; whether it is new; addresses nobody could use."""

    patient: PatientId | None = None
    created: bool = False
    changed: bool = False
    unusable: int = 0
    error: CarelinkError | None = attrs.field(default=None, converter=bare)


@attrs.frozen(repr=False)
class Address:
    """A contact point with its canonical form and token."""

    kind: AddressKind
    token: bytes
    canonical: Canonical
    source: ContactInput

    @property
    def status(self) -> ContactStatus:
        """A number that no number plan knows is invalid, whoever verified it."""
        return self.source.status if self.canonical.valid else ContactStatus.INVALID


@attrs.frozen(repr=False)
class Prepared:
    """An input with its canonical forms: `system|value` of each identifier, addresses of the patient and of each
    related person.
    """

    given: PatientInput
    identifiers: tuple[str, ...]
    addresses: tuple[Address, ...]
    related: tuple[tuple[RelatedInput, tuple[Address, ...]], ...]

    @property
    def unusable(self) -> int:
        """How many of the patient's addresses no number plan knows."""
        return sum(1 for address in self.addresses if not address.canonical.valid)

    @property
    def tokens(self) -> set[bytes]:
        """Of all addresses."""
        return {a.token for group in (self.addresses, *(found for _, found in self.related)) for a in group}


def prepare(given: PatientInput, safe: Safe, region: str) -> Prepared:
    """Check an input and work its forms out.

    Raises:
        InvalidInputError: a value is malformed; the text does not say which.
    """
    if not given.identifiers:
        raise InvalidInputError("a patient needs an identifier", hint="for example the medical record number")
    if given.zone:
        check_zone(given.zone)
    if _LANGUAGE.fullmatch(given.language) is None:
        raise InvalidInputError("not a language tag", hint="for example zh-CN")
    for name in (given.name, *(person.name for person in given.related)):
        if name is not None and not 0 < len(name.reveal("check").strip()) <= _MAX_TEXT:
            raise InvalidInputError("a name is empty or too long")
    return Prepared(
        given,
        tuple(dict.fromkeys(canonical_id(system, value.reveal("register")) for system, value in given.identifiers)),
        _addresses(given.contacts, safe, region),
        tuple((person, _addresses(person.contacts, safe, region)) for person in given.related),
    )


def _addresses(contacts: Sequence[ContactInput], safe: Safe, region: str) -> tuple[Address, ...]:
    """Each address once; the first says of which status."""
    found: dict[bytes, Address] = {}
    for contact in contacts:
        form = canonical_address(contact.kind, contact.address.reveal("register"), region)
        token = safe.token(contact.kind, form.text)
        found.setdefault(token, Address(contact.kind, token, form, contact))
    return tuple(found.values())
