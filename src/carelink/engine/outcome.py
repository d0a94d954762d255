"""What the caller gets back: an outcome for `send`, a forecast for `preview`. Two types, never mixed up."""

from __future__ import annotations

from datetime import datetime
from typing import NoReturn

import attrs

from carelink.consent.verdict import Decision, Verdict
from carelink.errors import CarelinkError
from carelink.model.ids import RequestRef, ReservationId
from carelink.model.moment import to_datetime
from carelink.vocabulary import Effect, Outcome

__all__ = ["Forecast", "Receipt", "SendOutcome", "bare"]


def bare(error: CarelinkError | None) -> CarelinkError | None:
    """An error that is handed back as a value, without the frames it passed: they hold what it must not (P8)."""
    return None if error is None else error.with_traceback(None)


@attrs.frozen(kw_only=True)
class Receipt:
    """What the channel said of the one attempt, refined by later reports.

    Attributes:
        delivery: folded later reports, "" if none came.
        released: why the permit ended without an attempt, "" if there was one.
    """

    reservation: ReservationId
    outcome: Outcome | None
    delivery: str = ""
    code: str = ""
    released: str = ""


@attrs.frozen(kw_only=True)
class SendOutcome:
    """What became of one request.

    Attributes:
        ref: keyed hash of the request key; `why` takes it as well as the key.
        effect: PERMIT, DEFER or REFUSE.
        decision: the decision just made; absent when an earlier one is recalled.
        receipt: what the channel said; absent unless permitted and tried.
        repeated: the key was used before; nothing was sent now.
        in_flight: another run claimed it and its answer is not known yet.
        error: the request itself was wrong and nothing was decided.
    """

    ref: RequestRef
    effect: Effect
    decision: Decision | None = None
    receipt: Receipt | None = None
    repeated: bool = False
    in_flight: bool = False
    error: CarelinkError | None = attrs.field(default=None, converter=bare)

    @property
    def reasons(self) -> tuple[Verdict, ...]:
        """Why not, in conflict order; empty on PERMIT."""
        return self.decision.reasons if self.decision is not None else ()

    @property
    def earliest(self) -> datetime | None:
        """When, all else unchanged, it would first be permitted; UTC."""
        return _earliest(self.decision)

    def __bool__(self) -> NoReturn:
        raise TypeError("an outcome has no truth value: match on its effect")


@attrs.frozen(kw_only=True)
class Forecast:
    """What `send` would decide now. Nothing was reserved, recorded or minted."""

    effect: Effect
    decision: Decision | None
    error: CarelinkError | None = attrs.field(default=None, converter=bare)
    handed_over_before: bool = False

    @property
    def reasons(self) -> tuple[Verdict, ...]:
        """Why not, in conflict order; empty on PERMIT."""
        return self.decision.reasons if self.decision is not None else ()

    @property
    def earliest(self) -> datetime | None:
        """When, all else unchanged, it would first be permitted; UTC."""
        return _earliest(self.decision)

    def __bool__(self) -> NoReturn:
        raise TypeError("a forecast has no truth value: match on its effect")


def _earliest(decision: Decision | None) -> datetime | None:
    return None if decision is None or decision.earliest is None else to_datetime(decision.earliest)
