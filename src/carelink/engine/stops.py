"""Stops: suppressions of persons and addresses, applied under the gate locks so that nothing in their scope is
claimed after they commit (P3).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from carelink.consent.optout.grammar import ReplyScope
from carelink.consent.optout.reading import Reading
from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.model.ids import AddressRef, PersonRef, ReservationId, SuppressionId
from carelink.model.moment import Instant
from carelink.model.scope import ANY, PROMOTIONAL, Scope
from carelink.ports.rows import ReservationRow, StopRow
from carelink.ports.store import Transaction
from carelink.vocabulary import ChannelKind, ReservationState, StopSource

__all__ = ["StopOrder", "Stopped", "apply_stops", "name_addresses", "opt_out_of", "plain_stop_scopes", "spoken_scopes"]


@attrs.frozen(kw_only=True)
class StopOrder:
    """Whom and what to stop: the same scopes for each person and each address named."""

    persons: tuple[PersonRef, ...] = ()
    tokens: tuple[bytes, ...] = ()
    scopes: tuple[Scope, ...]
    until: Instant | None = None


@attrs.frozen(kw_only=True)
class Stopped:
    """What a stop did.

    Attributes:
        suppressions: the new suppressions.
        released: permits that were waiting and are void now.
        in_flight: claims that were being handed over when the stop committed; each ends within its lease.
    """

    suppressions: tuple[SuppressionId, ...]
    released: tuple[ReservationId, ...] = ()
    in_flight: tuple[ReservationId, ...] = ()


def plain_stop_scopes(answered: ReservationRow | None) -> tuple[Scope, ...]:
    """What a plain STOP ends: everything promotional, on every channel; and the kind of message it answers, on the
    channel it answers. It does not end other care (ADR 0005).
    """
    scopes = [Scope(PROMOTIONAL, (ANY,))]
    if answered is not None and not scopes[0].covers(answered.purpose, answered.channel_kind):
        scopes.append(Scope((answered.purpose.value,), (answered.channel_kind.value,)))
    return tuple(scopes)


def spoken_scopes(reading: Reading, answered: ReservationRow | None, kind: ChannelKind) -> tuple[Scope, ...]:
    """What a stop in words ends. Words that name what they speak of end just that; all others are a plain stop.

    Args:
        answered: the message that it answers, if that is known.
        kind: the channel it came by.
    """
    promotional = Scope(PROMOTIONAL, (ANY,))
    if reading.scope is ReplyScope.ALL:
        # All messages of this channel kind; the same person's other channels stay open for care.
        return promotional, Scope((ANY,), (kind.value,))
    if reading.scope is ReplyScope.CHANNEL:
        return (Scope((ANY,), reading.channels or (kind.value,)),)
    if reading.scope is ReplyScope.PLAN and answered is not None and answered.plan:
        return (Scope((ANY,), (ANY,), (answered.plan,)),)
    if reading.purposes:
        everywhere = tuple(name for name in reading.purposes if name in PROMOTIONAL)
        here = tuple(name for name in reading.purposes if name not in PROMOTIONAL)
        if here and answered is not None and answered.purpose.family.value in here:
            # "Stop the reminders" speaks of those that it answers, not of every kind of care (ADR 0005).
            here = (answered.purpose.value,)
        scopes = [Scope(everywhere, (ANY,))] if everywhere else []
        return (*scopes, Scope(here, (kind.value,))) if here else tuple(scopes)
    return plain_stop_scopes(answered)


def opt_out_of(row: ReservationRow, persons: tuple[PersonRef, ...]) -> StopOrder:
    """The stop that a provider's "this recipient opted out" stands for: all on this channel kind, for the address and
    everybody on it.
    """
    return StopOrder(persons=persons, tokens=(row.token,), scopes=(Scope((ANY,), (row.channel_kind.value,)),))


def name_addresses(
    parts: Parts, tx: Transaction, journal: Journal, tokens: Sequence[bytes], now: Instant
) -> dict[bytes, AddressRef]:
    """The pseudonyms of these addresses; one that has none gets one, so that the log can speak of it. A stop that
    still stands under its token is carried to the new pseudonym with it: a stop outlives erasure (P3).

    The caller holds the gate locks of the addresses.
    """
    found = dict(tx.address_refs(tokens))
    unnamed = [token for token in dict.fromkeys(tokens) if token not in found]
    found.update({token: AddressRef(parts.ref()) for token in unnamed})
    for token in unnamed:
        tx.name_address(token, found[token])
    for stop in tx.stops((), unnamed):
        if stop.token is not None:
            journal.carried(stop, found[stop.token], now)
    return found


def _covered(scopes: Sequence[Scope], row: ReservationRow) -> bool:
    return any(scope.covers(row.purpose, row.channel_kind, row.plan) for scope in scopes)


def apply_stops(
    parts: Parts, tx: Transaction, journal: Journal, order: StopOrder, source: StopSource, now: Instant
) -> Stopped:
    """Record the stop and meet what is open in its scope: held permits are released, claims in flight reported.

    The caller holds the gate locks of every person and address in the order. On a restored backup the stop is recorded
    and meets nothing: what was open in it is over, and `store reconcile` says how (ADR 0018).
    """
    rows = [
        StopRow(
            id=SuppressionId(parts.ref()),
            person=person,
            token=token,
            purposes=scope.purposes,
            channels=scope.channels,
            source=source,
            since=now,
            until=order.until,
            plans=scope.plans,
        )
        for scope in order.scopes
        for person, token in [*((person, None) for person in order.persons), *((None, token) for token in order.tokens)]
    ]
    tx.add_stops(rows)
    addresses = tx.address_refs(order.tokens)
    for row in rows:
        journal.suppression(row, None if row.token is None else addresses.get(row.token))
    touched = () if parts.publisher.restored else tx.open_for(order.persons, order.tokens)
    met = [row for row in touched if _covered(order.scopes, row)]
    held = [row for row in met if row.state is ReservationState.HELD]
    flying = [row for row in met if row.state is ReservationState.CLAIMED]
    tx.put_reservations([attrs.evolve(row, state=ReservationState.RELEASED) for row in held])
    for permit in held:
        journal.released(permit, "stopped", now)
    stopped = Stopped(
        suppressions=tuple(row.id for row in rows),
        released=tuple(row.id for row in held),
        in_flight=tuple(row.id for row in flying),
    )
    journal.stopped(stopped.suppressions, stopped.in_flight, stopped.released, now)
    return stopped
