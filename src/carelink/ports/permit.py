"""The single-use permit: without one nothing can be handed to a channel (P1).

Only the gate mints permits. `mint` is named in one import contract and one syntax-tree test: the gate and the
conformance kit may import it, nobody else.
"""

from __future__ import annotations

from typing import Final, NoReturn

from carelink.errors import PermitError
from carelink.model.ids import RequestRef, ReservationId
from carelink.model.moment import Instant, Micros

__all__ = ["Permit", "mint"]

_MINT: Final = object()


class Permit:
    """Leave to make one hand-over attempt before the lease ends. It does not change and cannot be copied.

    Attributes:
        reservation: the slots this permit holds.
        request: keyed hash of the request key.
        lease_until: no first byte may leave at or after this instant.
        deadline: the same end on the clock that never jumps; None where only the wall clock is known.
    """

    __slots__ = ("_left", "_token", "deadline", "lease_until", "request", "reservation")

    reservation: ReservationId
    request: RequestRef
    lease_until: Instant
    deadline: Micros | None
    _left: list[None]
    _token: object

    def __init__(
        self,
        token: object,
        reservation: ReservationId,
        request: RequestRef,
        lease_until: Instant,
        deadline: Micros | None = None,
    ) -> None:
        if token is not _MINT:
            raise PermitError("only the gate mints permits", hint="call `send`; there is no other way to a channel")
        for name, value in (
            ("reservation", reservation),
            ("request", request),
            ("lease_until", lease_until),
            ("deadline", deadline),
            ("_left", [None]),
            ("_token", token),
        ):
            object.__setattr__(self, name, value)

    def __init_subclass__(cls) -> NoReturn:
        raise PermitError("there is one kind of permit")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise PermitError("a permit does not change")

    def __delattr__(self, name: str) -> NoReturn:
        raise PermitError("a permit does not change")

    def over(self, monotonic: Micros) -> bool:
        """Whether its time has passed, by the clock that never jumps: a wall clock stepped back gains nothing."""
        return self.deadline is not None and monotonic >= self.deadline

    def redeem(self, now: Instant) -> None:
        """Use the permit up.

        Raises:
            PermitError: it was used before, its lease is over, or nobody minted it.
        """
        if getattr(self, "_token", None) is not _MINT:
            raise PermitError("only the gate mints permits", hint="call `send`; there is no other way to a channel")
        if now >= self.lease_until:
            raise PermitError("the lease of this permit is over", hint="decide again")
        try:
            self._left.pop()  # one step: of two threads that try at once, one fails
        except IndexError:
            pass
        else:
            return
        raise PermitError("a permit is good for one attempt", hint="decide again for another")

    def __reduce__(self) -> str:
        raise PermitError("a permit cannot be copied or stored")

    def __copy__(self) -> NoReturn:
        raise PermitError("a permit cannot be copied or stored")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise PermitError("a permit cannot be copied or stored")


def mint(
    reservation: ReservationId, request: RequestRef, lease_until: Instant, deadline: Micros | None = None
) -> Permit:
    """Make a permit for a reservation whose claim has been committed. For the gate only."""
    return Permit(_MINT, reservation, request, lease_until, deadline)
