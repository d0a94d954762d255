"""Checks of rows before they are written, the same for every store: what `carelink.ports.rows` says of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from carelink.errors import InvalidInputError
from carelink.ports.rows import (
    ContactRow,
    ErasureRow,
    GrantRow,
    RelatedRow,
    ReservationRow,
    StopRow,
    TemplateRow,
    TenantRow,
)
from carelink.vocabulary import ReservationState

__all__ = ["check_lists", "check_reservations", "check_stops"]

_Listing = TenantRow | RelatedRow | ContactRow | GrantRow | StopRow | TemplateRow | ErasureRow


def _lists(row: _Listing) -> Iterable[Sequence[str]]:
    match row:
        case TenantRow():
            return (row.packs,)
        case RelatedRow():
            return (row.scopes,)
        case ContactRow():
            return (row.zones,)
        case GrantRow() | StopRow():
            return (row.purposes, row.channels, row.plans)
        case ErasureRow():
            return (row.owners, row.copies)
        case TemplateRow():
            return (row.purposes, row.channels, row.variables, row.data, row.reviews, row.providers)


def check_lists(rows: Sequence[_Listing]) -> None:
    """Lists are of words.

    Raises:
        InvalidInputError: a word is empty or holds a comma.
    """
    for row in rows:
        for words in _lists(row):
            if not all(words) or any("," in word for word in words):
                raise InvalidInputError("a list of a row holds an empty word or a comma")


def check_stops(rows: Sequence[StopRow]) -> None:
    """A suppression binds a person or an address.

    Raises:
        InvalidInputError: it binds both or neither, or a list is malformed.
    """
    check_lists(rows)
    if any((row.person is None) is (row.token is None) for row in rows):
        raise InvalidInputError("a suppression binds either a person or an address")


def check_reservations(rows: Sequence[ReservationRow]) -> None:
    """A claim has a lease, or recovery could never settle it.

    Raises:
        InvalidInputError: one has none.
    """
    if any(row.state is ReservationState.CLAIMED and row.lease is None for row in rows):
        raise InvalidInputError("a claimed reservation has a lease")
