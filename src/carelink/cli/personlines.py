"""A person's record as lines for people: the one place where a command shows personal data, asked for by name."""

from __future__ import annotations

from collections.abc import Iterator

from carelink.cli.common import shown_instant
from carelink.rights.person import HeldContact, Person, Sealed

__all__ = ["shown_person"]


def shown_person(person: Person) -> Iterator[tuple[str, str]]:
    """(name, value) of everything that the record holds."""
    yield "patient", person.patient
    yield "standing", f"{person.standing.value}{', restricted' if person.restricted else ''}"
    for identifier in person.identifiers:
        yield "identifier", _text(identifier)
    yield from (
        (name, _text(value))
        for name, value in (("name", person.name), ("birth date", person.birth_date))
        if value.state.value != "absent"
    )
    for contact in person.contacts:
        yield "contact", _contact(contact)
    for relative in person.related:
        yield "related", f"{relative.relation.value}  {_text(relative.name)}"
        for contact in relative.contacts:
            yield "  contact", _contact(contact)
    for consent in person.consents:
        scope = f"{', '.join(consent.purposes)} by {', '.join(consent.channels)}"
        yield "consent", f"{consent.state.value}  {scope}  since {shown_instant(consent.since)}"
        yield "  evidence", _text(consent.evidence)
    for stop in person.stops:
        yield "stop", f"{stop.binds}  {', '.join(stop.purposes)} by {', '.join(stop.channels)}  {stop.source.value}"


def _text(sealed: Sealed) -> str:
    return f"({sealed.state.value})" if sealed.value is None else sealed.value.reveal("shown to a person who asked")


def _contact(contact: HeldContact) -> str:
    return f"{contact.kind.value}  {_text(contact.address)}  {contact.status.value}"
