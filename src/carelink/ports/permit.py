"""The single-use permit: without one nothing can be handed to a channel (P1).

Only the gate mints permits. `mint` is named in one import contract and one syntax-tree test: the gate and the
conformance kit may import it, nobody else.
"""

from __future__ import annotations

from typing import Final

from carelink.errors import PermitError
from carelink.model.ids import RequestRef, ReservationId
from carelink.model.moment import Instant

__all__ = ["Permit", "mint"]

_MINT: Final = object()


class Permit:
    """Leave to make one hand-over attempt before the lease ends.

    Attributes:
        reservation: the slots this permit holds.
        request: keyed hash of the request key.
        lease_until: no first byte may leave at or after this instant.
    """

    __slots__ = ("_redeemed", "lease_until", "request", "reservation")

    def __init__(self, token: object, reservation: ReservationId, request: RequestRef, lease_until: Instant) -> None:
        if token is not _MINT:
            raise PermitError("only the gate mints permits", hint="call `send`; there is no other way to a channel")
        self.reservation = reservation
        self.request = request
        self.lease_until = lease_until
        self._redeemed = False

    def redeem(self, now: Instant) -> None:
        """Use the permit up.

        Raises:
            PermitError: it was used before, or its lease is over.
        """
        if self._redeemed:
            raise PermitError("a permit is good for one attempt", hint="decide again for another")
        if now >= self.lease_until:
            raise PermitError("the lease of this permit is over", hint="decide again")
        self._redeemed = True

    def __reduce__(self) -> str:
        raise PermitError("a permit cannot be copied or stored")

    def __copy__(self) -> Permit:
        raise PermitError("a permit cannot be copied or stored")

    def __deepcopy__(self, memo: object) -> Permit:
        raise PermitError("a permit cannot be copied or stored")


def mint(reservation: ReservationId, request: RequestRef, lease_until: Instant) -> Permit:
    """Make a permit for a reservation whose claim has been committed. For the gate only."""
    return Permit(_MINT, reservation, request, lease_until)
