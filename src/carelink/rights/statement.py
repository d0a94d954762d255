"""A person's record as an answer: the outcome of each field, and the machine-readable copy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Final

from carelink.model.moment import Instant, iso
from carelink.rights.outcome import FieldOutcome, FieldResult
from carelink.rights.person import HeldConsent, HeldContact, HeldRelated, HeldStop, Person, Readable, Sealed
from carelink.rights.retention import retained

__all__ = ["field_outcomes", "record_form"]

_FORM: Final = "carelink-record/1"
_RESULTS: Final = {
    Readable.OPEN: FieldResult.HELD,
    Readable.ERASED: FieldResult.ERASED,
    Readable.UNREADABLE: FieldResult.UNREADABLE,
}


def field_outcomes(person: Person, jurisdictions: Collection[str], at: Instant) -> tuple[FieldOutcome, ...]:
    """The outcome of each field: held, restricted, erased or unreadable; and what the log retains, with rule and date.

    Args:
        person: the whole record.
        jurisdictions: of the policy packs in force.
        at: when this is answered; the rules' periods run from the last thing recorded, which this is.
    """
    counts: Counter[tuple[str, FieldResult]] = Counter()
    for name, sealed in _sealed(person):
        result = _RESULTS.get(sealed.state)
        if result is FieldResult.HELD and person.restricted:
            result = FieldResult.RESTRICTED
        if result is not None:
            counts[name, result] += 1
    found = [FieldOutcome(field=name, result=result, count=count) for (name, result), count in sorted(counts.items())]
    return (*found, *retained(jurisdictions, at))


def _sealed(person: Person) -> Iterator[tuple[str, Sealed]]:
    for identifier in person.identifiers:
        yield "patient.identifiers", identifier
    yield "patient.name", person.name
    yield "patient.birth_date", person.birth_date
    for contact in person.contacts:
        yield "contact.address", contact.address
    for relative in person.related:
        yield "related.name", relative.name
        for contact in relative.contacts:
            yield "contact.address", contact.address
    for consent in person.consents:
        yield "grant.evidence", consent.evidence


def record_form(person: Person, at: Instant) -> dict[str, Any]:
    """The copy: all that the record holds, as JSON values. What is absent is left out; what does not open says so."""
    return _filled(
        {
            "form": _FORM,
            "at": iso(at),
            "patient": person.patient,
            "records": list(person.records),
            "standing": person.standing.value,
            "restricted": person.restricted or None,
            "identifiers": [_value(each) for each in person.identifiers],
            "name": _value(person.name),
            "birth_date": _value(person.birth_date),
            "zone": person.zone,
            "language": person.language,
            "contacts": [_contact(each) for each in person.contacts],
            "related": [_related(each) for each in person.related],
            "consents": [_consent(each) for each in person.consents],
            "stops": [_stop(each) for each in person.stops],
        }
    )


def _filled(form: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in form.items() if value not in (None, "", [])}


def _value(sealed: Sealed) -> str | dict[str, str] | None:
    if sealed.state is Readable.ABSENT:
        return None
    return {"not_readable": sealed.state.value} if sealed.value is None else sealed.value.reveal("copy for the person")


def _instant(at: Instant | None) -> str | None:
    return None if at is None else iso(at)


def _contact(contact: HeldContact) -> dict[str, Any]:
    return _filled(
        {
            "kind": contact.kind.value,
            "address": _value(contact.address),
            "status": contact.status.value,
            "verified_at": _instant(contact.verified_at),
        }
    )


def _related(person: HeldRelated) -> dict[str, Any]:
    return _filled(
        {
            "name": _value(person.name),
            "relation": person.relation.value,
            "acts": person.acts,
            "verified": person.verified,
            "may_be_told": [scope.value for scope in person.scopes],
            "since": iso(person.since),
            "until": _instant(person.until),
            "contacts": [_contact(each) for each in person.contacts],
        }
    )


def _consent(consent: HeldConsent) -> dict[str, Any]:
    return _filled(
        {
            "id": consent.id,
            "state": consent.state.value,
            "purposes": list(consent.purposes),
            "channels": list(consent.channels),
            "plans": list(consent.plans),
            "given_by": consent.by.value,
            "method": consent.method.value,
            "separate": consent.separate,
            "notice": consent.notice,
            "since": iso(consent.since),
            "until": _instant(consent.until),
            "ended_at": _instant(consent.ended_at),
            "evidence": _value(consent.evidence),
        }
    )


def _stop(stop: HeldStop) -> dict[str, Any]:
    return _filled(
        {
            "binds": stop.binds,
            "purposes": list(stop.purposes),
            "channels": list(stop.channels),
            "plans": list(stop.plans),
            "source": stop.source.value,
            "since": iso(stop.since),
            "until": _instant(stop.until),
        }
    )
