"""Who and what an entry names, found in the store: by pseudonym, where it is still known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import attrs

from carelink.model.ids import AddressRef, PersonRef
from carelink.ports.rows import ContactRow, GrantRow, PatientRow, RelatedRow
from carelink.ports.store import Transaction

__all__ = ["Names"]

_PAGE: Final = 1000


@attrs.define
class Names:
    """Look-ups in one transaction."""

    tx: Transaction
    _relatives: dict[PersonRef, RelatedRow] | None = None

    def patient(self, person: str) -> PatientRow | None:
        """The patient of a pseudonym."""
        ref = PersonRef(person)
        return self.tx.patients_by_person([ref]).get(ref)

    def relative(self, person: str) -> RelatedRow | None:
        """A related person of a pseudonym. No index leads there: all are read once, when the first is asked for."""
        if self._relatives is None:
            self._relatives = {row.person: row for row in self._all_related()}
        return self._relatives.get(PersonRef(person))

    def put_relative(self, row: RelatedRow) -> None:
        """Replace a related person."""
        self.tx.put_related(row)
        if self._relatives is not None:
            self._relatives[row.person] = row

    def knows(self, person: str) -> bool:
        """Whether a pseudonym is of somebody on record."""
        return self.patient(person) is not None or self.relative(person) is not None

    def token(self, address: str) -> bytes | None:
        """The token of an address."""
        ref = AddressRef(address)
        return self.tx.address_tokens([ref]).get(ref)

    def contact(self, person: str, address: str) -> ContactRow | None:
        """A person's contact point on an address."""
        token = self.token(address)
        rows = () if token is None else self.tx.contacts_on([token]).get(token, ())
        return next((row for row in rows if row.person == person), None)

    def grant(self, person: str, grant: str) -> GrantRow | None:
        """A grant of a person."""
        patient = self.patient(person)
        rows = () if patient is None else self.tx.grants([patient.id]).get(patient.id, ())
        return next((row for row in rows if row.id == grant), None)

    def _all_related(self) -> Iterator[RelatedRow]:
        after = ""
        while page := self.tx.page_patients(after, _PAGE):
            for rows in self.tx.related([row.id for row in page]).values():
                yield from rows
            after = page[-1].id
