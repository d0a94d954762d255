"""Counting approvals: against the plainest statement of the rule, instant by instant."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.content.review import Review, Tally, clinician, life, read_reviews, tally, valid
from carelink.errors import InvalidInputError
from carelink.vocabulary import ContentStatus, ReviewRole

ACTORS = ("a" * 32, "b" * 32, "c" * 32)


@attrs.frozen
class Span:
    role: ReviewRole
    since: int
    until: int | None = None
    ended_at: int | None = None


INSTANTS = st.integers(0, 9)
SPANS = st.builds(Span, st.sampled_from(ReviewRole), INSTANTS, st.none() | INSTANTS, st.none() | INSTANTS)
REVIEWS = st.lists(
    st.builds(Review, st.sampled_from(ACTORS), st.sampled_from(ReviewRole), st.none() | INSTANTS), max_size=6
)
HELD = st.dictionaries(st.sampled_from(ACTORS), st.lists(SPANS, max_size=3))


def days(span):
    """Every instant at which a credential is valid."""
    return {
        at
        for at in range(12)
        if span.since <= at and all(end is None or at < end for end in (span.until, span.ended_at))
    }


def _end(span):
    ends = [end for end in (span.until, span.ended_at) if end is not None]
    return min(ends, default=None)


@given(SPANS, INSTANTS)
def test_validity_is_half_open_and_an_end_cuts_it_short(span, at):
    assert valid(span, at) is (at in days(span))


@given(REVIEWS, HELD, INSTANTS)
def test_a_tally_is_what_the_rule_says(reviews, held, at):
    firsts = {review.actor: review for review in reversed(reviews)}
    counts = dict.fromkeys(ReviewRole, 0)
    lapsed = 0
    for actor, review in firsts.items():
        covered = set().union(*(days(span) for span in held.get(actor, []) if span.role is review.role), set())
        counts[review.role] += at in covered
        lapsed += at not in covered and review.at in covered
    found = tally(reviews, held, at)
    assert (found.clinical, found.commercial, found.ethics, found.lapsed) == (*counts.values(), lapsed)


@pytest.mark.parametrize(
    ("approved", "span", "tallied"),
    [
        (3, Span(ReviewRole.CLINICAL, 2, 5), (0, 1)),  # valid when it was given, not now
        (3, Span(ReviewRole.CLINICAL, 2, None, 5), (0, 1)),  # ended since
        (3, Span(ReviewRole.CLINICAL, 2, 8), (1, 0)),
        (1, Span(ReviewRole.CLINICAL, 2, 5), (0, 0)),  # never valid: nothing lapsed
        (None, Span(ReviewRole.CLINICAL, 2, 5), (0, 0)),
        (3, Span(ReviewRole.ETHICS, 2, 5), (0, 0)),
    ],
)
def test_a_lapsed_credential_is_counted_apart(approved, span, tallied):
    reviews = [Review(actor, ReviewRole.CLINICAL, approved) for actor in ACTORS[:2]]
    found = tally(reviews, {ACTORS[0]: [span], ACTORS[1]: [span]}, 7)
    assert (found.clinical, found.lapsed) == tuple(2 * each for each in tallied)


@given(st.lists(SPANS, max_size=4), INSTANTS)
def test_a_valid_clinical_credential_speaks_before_any_other(spans, at):
    own = [span for span in spans if span.role is ReviewRole.CLINICAL]
    found = clinician(spans, at)
    assert (found is None) is (not own)
    if found is not None:
        since, until = found
        now = since <= at and (until is None or at < until)
        assert now is any(at in days(span) for span in own)
        assert since in {span.since for span in own}
        # Of those that began last, the one that lasts longest.
        alike = [span for span in own if span.since == since and (at in days(span)) is now]
        assert until == max((_end(span) for span in alike), key=lambda end: (end is None, end or 0))
    assert clinician(list(reversed(spans)), at) == found


@given(REVIEWS)
def test_words_of_approvals_read_back(reviews):
    assert list(read_reviews(review.word() for review in reviews)) == reviews


@pytest.mark.parametrize(
    "word", ["", "A:clinical:1", f"{'a' * 32}:boss:1", f"{'a' * 32}:clinical:soon", f"{'a' * 32}:clinical:\u0663"]
)
def test_a_malformed_approval_is_none(word):
    with pytest.raises(InvalidInputError):
        read_reviews([word])


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"approvals": 0}, ContentStatus.DRAFT),
        ({"approvals": 0, "screened": True}, ContentStatus.SCREENED),
        ({"approvals": 1}, ContentStatus.REVIEWED),
        ({"approvals": 2}, ContentStatus.APPROVED),
        ({"approvals": 3, "withdrawn": True}, ContentStatus.WITHDRAWN),
    ],
)
def test_the_life_of_a_version(more, status):
    assert life(**{"withdrawn": False, "quorum": 2, "screened": False, **more}) is status


def test_a_tally_begins_with_nobody():
    assert attrs.astuple(Tally()) == (0, 0, 0, 0)
