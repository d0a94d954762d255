"""Reservation and delivery states, each as one table.

Rules of this file: everything that may change a state stands here; nothing here knows why it changes.
"""

from __future__ import annotations

from typing import Final

from carelink.vocabulary import DeliveryEvent, Outcome, ReservationState

__all__ = ["COUNTS", "DELIVERY_RANK", "SETTLES", "TRANSITIONS", "fold_delivery"]

TRANSITIONS: Final[dict[ReservationState, frozenset[ReservationState]]] = {
    ReservationState.HELD: frozenset({ReservationState.CLAIMED, ReservationState.RELEASED}),
    ReservationState.CLAIMED: frozenset({ReservationState.SPENT, ReservationState.RELEASED}),
    ReservationState.SPENT: frozenset(),
    ReservationState.RELEASED: frozenset(),
}
"""Allowed changes; a reservation may also be born CLAIMED. SPENT and RELEASED are final."""

COUNTS: Final = frozenset({ReservationState.HELD, ReservationState.CLAIMED, ReservationState.SPENT})
"""States that count against caps."""

SETTLES: Final[dict[Outcome, ReservationState]] = {
    Outcome.ACCEPTED: ReservationState.SPENT,
    Outcome.AWAITING_HUMAN: ReservationState.SPENT,
    Outcome.UNKNOWN: ReservationState.SPENT,
    Outcome.REFUSED: ReservationState.RELEASED,
    Outcome.OPTED_OUT: ReservationState.RELEASED,
    Outcome.RECIPIENT_LIMIT: ReservationState.RELEASED,
    Outcome.THROTTLED: ReservationState.RELEASED,
    Outcome.NOT_SENT: ReservationState.RELEASED,
    Outcome.ACCOUNT: ReservationState.RELEASED,
}
"""What an outcome does to the slots: maybe-delivered counts as delivered, certainly-not gives the slots back."""

DELIVERY_RANK: Final[dict[DeliveryEvent, int]] = {
    DeliveryEvent.UNKNOWN: 0,
    DeliveryEvent.ACCEPTED: 1,
    DeliveryEvent.DEFERRED: 2,
    DeliveryEvent.SENT: 3,
    DeliveryEvent.BOUNCED_SOFT: 4,
    DeliveryEvent.BLOCKED: 5,
    DeliveryEvent.FAILED: 6,
    DeliveryEvent.BOUNCED_HARD: 7,
    DeliveryEvent.DELIVERED: 8,
    DeliveryEvent.READ: 9,
}
"""Delivery reports arrive early, late, twice and out of order; the folded state only ever climbs this ladder. No two
stand on one rung, so that the same reports in any order come to the same state.
"""


def fold_delivery(state: str, event: DeliveryEvent) -> str:
    """The folded delivery state after one more report ("" is none yet). Events off the ladder leave it alone."""
    if event not in DELIVERY_RANK:
        return state
    if state == "":
        return event.value
    return event.value if DELIVERY_RANK[event] > DELIVERY_RANK[DeliveryEvent(state)] else state
