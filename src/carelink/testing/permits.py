"""Permits for the conformance kit and for channel tests: the only other place that mints, and never in production."""

from __future__ import annotations

from carelink.model.ids import RequestRef, ReservationId
from carelink.model.moment import Instant
from carelink.ports.permit import Permit, mint

__all__ = ["permit_for_tests"]


def permit_for_tests(lease_until: Instant, number: int = 1) -> Permit:
    """A permit good for one attempt before the instant."""
    return mint(ReservationId(f"{number:032x}"), RequestRef(f"{number + 2**64:032x}"), lease_until)
