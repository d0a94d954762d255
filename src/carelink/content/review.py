"""Who approved a text, in which role, and whose credential counts at an instant. Pure: the gate and an auditor's replay
count with the same function.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import attrs

from carelink.errors import InvalidInputError
from carelink.model.ids import is_ref
from carelink.model.moment import Instant
from carelink.vocabulary import ContentStatus, ReviewRole, word

__all__ = ["Review", "Span", "Tally", "clinician", "life", "read_reviews", "tally", "valid"]


class Span(Protocol):
    """A credential: validity, half open; `ended_at` cuts it short."""

    @property
    def role(self) -> ReviewRole:
        """What its holder may approve."""

    @property
    def since(self) -> Instant:
        """First instant."""

    @property
    def until(self) -> Instant | None:
        """First instant after it."""

    @property
    def ended_at(self) -> Instant | None:
        """When it was ended before its time."""


@attrs.frozen
class Review:
    """One approval. `at` is None where the log, of an earlier form, does not say when it was given."""

    actor: str
    role: ReviewRole
    at: Instant | None

    def word(self) -> str:
        """As a store keeps it."""
        return f"{self.actor}:{self.role.value}:{'' if self.at is None else self.at}"


@attrs.frozen(kw_only=True)
class Tally:
    """Distinct approvers with a credential valid now, by role; `lapsed` had one when they approved, and have none."""

    clinical: int = 0
    commercial: int = 0
    ethics: int = 0
    lapsed: int = 0


def read_reviews(words: Iterable[str]) -> tuple[Review, ...]:
    """Approvals as a store keeps them, in the order given.

    Raises:
        InvalidInputError: one is in no form this version writes.
    """
    found = []
    for text in words:
        actor, _, rest = text.partition(":")
        role, _, at = rest.partition(":")
        if not is_ref(actor) or not ((at.isascii() and at.isdigit()) or not at):
            raise InvalidInputError("an approval is malformed")
        found.append(Review(actor, word(ReviewRole, role), Instant(int(at)) if at else None))
    return tuple(found)


def _end(span: Span) -> Instant | None:
    ends = [end for end in (span.until, span.ended_at) if end is not None]
    return min(ends, default=None)


def valid(span: Span, at: Instant) -> bool:
    """Whether a credential is valid at an instant."""
    end = _end(span)
    return span.since <= at and (end is None or at < end)


def tally(reviews: Sequence[Review], credentials: Mapping[str, Sequence[Span]], at: Instant) -> Tally:
    """Count approvals at an instant. An approver counts once, in the role of the first approval.

    Args:
        reviews: in the order given.
        credentials: of each approver.
        at: the decision instant.
    """
    counts = dict.fromkeys(ReviewRole, 0)
    lapsed, seen = 0, set[str]()
    for review in reviews:
        if review.actor in seen:
            continue
        seen.add(review.actor)
        spans = [span for span in credentials.get(review.actor, ()) if span.role is review.role]
        if any(valid(span, at) for span in spans):
            counts[review.role] += 1
        elif review.at is not None and any(valid(span, review.at) for span in spans):
            lapsed += 1
    return Tally(
        clinical=counts[ReviewRole.CLINICAL],
        commercial=counts[ReviewRole.COMMERCIAL],
        ethics=counts[ReviewRole.ETHICS],
        lapsed=lapsed,
    )


def clinician(spans: Iterable[Span], at: Instant) -> tuple[Instant, Instant | None] | None:
    """Validity of the clinical credential that speaks at an instant: a valid one, else the one that began last; None
    where there is none.
    """
    own = [span for span in spans if span.role is ReviewRole.CLINICAL]
    if not own:
        return None
    best = max(own, key=lambda span: (valid(span, at), span.since, _lasts(span)))
    return best.since, _end(best)


def _lasts(span: Span) -> float:
    """Its end, to compare by; one without an end lasts longest."""
    end = _end(span)
    return math.inf if end is None else end


def life(*, withdrawn: bool, approvals: int, quorum: int, screened: bool) -> ContentStatus:
    """Where a version stands. `expired` is no status: it follows from its validity when somebody asks."""
    if withdrawn:
        return ContentStatus.WITHDRAWN
    if approvals >= quorum:
        return ContentStatus.APPROVED
    if approvals:
        return ContentStatus.REVIEWED
    return ContentStatus.SCREENED if screened else ContentStatus.DRAFT
