"""Consent records and receipts after ISO/IEC TS 27560:2023, as projections of what is held.

Field list and which are mandatory: reference compliance.md 5.1, after the DPV guide to 27560. What the settings do not
say (who the controller is, where data lie) is left out and named under `missing`: no record is made to look complete.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from carelink.model.moment import Instant, iso
from carelink.rights.person import HeldConsent, Person
from carelink.vocabulary import GrantState

__all__ = ["Controller", "consent_receipt", "consent_record"]

_SCHEMA: Final = "https://www.iso.org/standard/80392.html"
_STATES: Final = {
    GrantState.GIVEN: "given",
    GrantState.WITHDRAWN: "withdrawn",
    GrantState.REVOKED: "revoked",
    GrantState.EXPIRED: "expired",
}
_METHOD: Final = "carelink:consent"


@attrs.frozen(kw_only=True)
class Controller:
    """Who is responsible, as the settings say (`[controller]`); "" where they do not.

    Attributes:
        name, address, contact: of the hospital; `contact` is where to write about personal data.
        jurisdiction: ISO 3166 country.
        notice: web address of the privacy notice.
        storage: where data are kept, such as a country.
        withdrawal: how consent is taken back.
        retention: for how long data are kept.
    """

    name: str = ""
    address: str = ""
    contact: str = ""
    jurisdiction: str = ""
    notice: str = ""
    storage: str = ""
    withdrawal: str = ""
    retention: str = ""


def consent_record(
    person: Person, consent: HeldConsent, controller: Controller, *, recipients: Sequence[str]
) -> dict[str, Any]:
    """One consent as a 27560 record.

    Args:
        person, consent: whose it is, and what was given.
        controller: who is responsible.
        recipients: providers that messages under it may be handed to.
    """
    processing = {
        "privacy_notice": " ".join(filter(None, (controller.notice, consent.notice))),
        "language": person.language,
        "purposes": [{"purpose": purpose, "lawful_basis": "consent"} for purpose in consent.purposes],
        "pii_information": [
            {"type": kind, "optional": kind != "identifier", "sensitive_category": kind == "health_contact"}
            for kind in ("identifier", "contact_point", "health_contact")
        ],
        "pii_controllers": ["controller"] if controller.name else [],
        "collection_method": consent.method.value,
        "processing_method": "messages by " + ", ".join(consent.channels),
        "storage_locations": controller.storage,
        "retention_period": controller.retention,
        "jurisdiction": controller.jurisdiction,
        "recipient_third_parties": list(recipients),
        "withdrawal_method": controller.withdrawal,
    }
    party = {
        "id": "controller", "name": controller.name, "address": controller.address, "contact": controller.contact,
        "type": "pii_controller",
    }  # fmt: skip
    form = {
        "schema_version": _SCHEMA,
        "record_id": consent.id,
        "pii_principal_id": person.patient,
        "pii_processing": {name: value for name, value in processing.items() if value not in ("", [])},
        "party_identification": [{name: value for name, value in party.items() if value}],
        "events": _events(person, consent),
    }
    missing = [
        *(f"pii_processing.{name}" for name, value in processing.items() if value in ("", [])),
        *(f"party_identification.{name}" for name, value in party.items() if not value),
    ]
    return {**form, "missing": missing} if missing else form


def _events(person: Person, consent: HeldConsent) -> list[dict[str, Any]]:
    until = "until withdrawn" if consent.until is None else f"until {iso(consent.until)}"
    kind = "explicit" if consent.method.value == "explicit" else consent.method.value
    given = {
        "event_time": iso(consent.since), "validity_duration": until, "entity_id": _entity(person, consent),
        "event_type": kind, "event_state": "given",
    }  # fmt: skip
    if consent.state is GrantState.GIVEN or consent.ended_at is None:
        return [given]
    ended = {
        "event_time": iso(consent.ended_at), "validity_duration": "none", "entity_id": _entity(person, consent),
        "event_type": kind, "event_state": _STATES[consent.state],
    }  # fmt: skip
    return [given, ended]


def _entity(person: Person, consent: HeldConsent) -> str:
    return person.patient if consent.by.value == "self" else f"{person.patient}:{consent.by.value}"


def consent_receipt(record: dict[str, Any], receipt: str, at: Instant) -> dict[str, Any]:
    """The receipt of a record, for the person: a receipt needs no more than an id and the schema, and carries the
    record with it.
    """
    return {
        "receipt_metadata": {"schema_version": _SCHEMA, "receipt_id": receipt, "issued_at": iso(at), "method": _METHOD},
        "consent_record": record,
    }
