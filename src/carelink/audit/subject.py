"""What a log holds about one person: every entry that concerns them, found in one pass."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import attrs

from carelink.audit.bodies import (
    AccessBody,
    ConsentEndedBody,
    ConsentGrantedBody,
    ErasedBody,
    ErasingBody,
    HandoverBody,
    InboundBody,
    MergedBody,
    OpenedBody,
    ReceiptBody,
    RecoveredBody,
    ReleasedBody,
    RightsBody,
    StoppedBody,
    SubjectBody,
    SuppressionAddedBody,
    SuppressionCarriedBody,
    SuppressionLiftedBody,
)
from carelink.audit.decided import ClaimBody, DecidedBody, DecisionBody
from carelink.audit.entry import Entry, parse_entry

__all__ = ["Concerning", "concerning"]


@attrs.frozen(kw_only=True)
class Concerning:
    """One entry about a person. `data`: its stored bytes."""

    index: int
    data: bytes
    entry: Entry


@attrs.define
class _Trail:
    """What is known so far to be the person's: pseudonyms, addresses, stops, reservations."""

    persons: set[str]
    addresses: set[str] = attrs.field(factory=set)
    stops: set[str] = attrs.field(factory=set)
    reservations: set[str] = attrs.field(factory=set)

    def meets(self, body: object) -> bool:
        if isinstance(body, DecidedBody):
            return self._decided(body)
        if isinstance(body, SubjectBody):
            return self._subject(body)
        if isinstance(body, MergedBody):
            return bool({body.subject, body.merged} & self.persons)
        if isinstance(
            body, (ConsentGrantedBody, ConsentEndedBody, OpenedBody, ErasingBody, ErasedBody, AccessBody, RightsBody)
        ):
            return body.subject in self.persons
        if isinstance(body, (HandoverBody, ReleasedBody, RecoveredBody, ReceiptBody)):
            return body.reservation in self.reservations
        return self._stop(body)

    def _decided(self, body: DecidedBody) -> bool:
        met = bool({body.facts.subject, body.facts.recipient} & self.persons)
        if met and isinstance(body, (DecisionBody, ClaimBody)) and body.reservation is not None:
            self.reservations.add(body.reservation)
        return met

    def _subject(self, body: SubjectBody) -> bool:
        if body.subject not in self.persons:
            return False
        if body.contact is not None:
            self.addresses.add(body.contact.address)
        return True

    def _stop(self, body: object) -> bool:
        if isinstance(body, SuppressionAddedBody):
            met = body.person in self.persons or body.address in self.addresses
        elif isinstance(body, SuppressionCarriedBody):
            met = body.address in self.addresses
        elif isinstance(body, SuppressionLiftedBody):
            return body.suppression in self.stops
        elif isinstance(body, StoppedBody):
            return bool(self.stops & set(body.suppressions))
        else:
            return isinstance(body, InboundBody) and body.address in self.addresses
        if met:
            self.stops.add(body.suppression)
        return met


def concerning(entries: Iterable[tuple[int, bytes]], persons: Collection[str]) -> Iterator[Concerning]:
    """Every entry about a person, in order.

    Args:
        entries: the log's entries with their indexes, in order.
        persons: the person's pseudonyms, those of merged records included.

    Raises:
        FormatError: an entry is not in its form.
        CannotJudgeError: an entry is of a version or kind this release does not know.
    """
    trail = _Trail(set(persons))
    for index, data in entries:
        entry = parse_entry(data)
        if trail.meets(entry.body):
            yield Concerning(index=index, data=data, entry=entry)
