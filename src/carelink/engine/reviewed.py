"""Template rows as the gate uses them: the approved form behind a row, and what a decision is told of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from carelink.consent.facts import Absent, ContentFact, Fact, Known
from carelink.content.review import Review, read_reviews, tally
from carelink.content.template import Template, read_details
from carelink.errors import InvalidInputError
from carelink.model.moment import Instant
from carelink.model.scope import Scope
from carelink.ports.rows import CredentialRow, TemplateRow
from carelink.vocabulary import ProviderState, word

__all__ = ["approved_form", "content_fact", "exact_content", "provider_state", "reviews_of"]


@lru_cache(maxsize=256)
def approved_form(row: TemplateRow) -> Template | None:
    """The form whose digest was approved; None where the stored text is another, byte for byte. The same row is the
    same text, so a row is looked at once.
    """
    try:
        form = Template(
            name=row.name,
            version=row.version,
            scope=Scope(row.purposes, row.channels),
            body=row.body,
            subject=row.subject,
            language=row.language,
            **read_details(row.details),
        )
    except InvalidInputError:
        return None
    return form if form.digest == row.digest and form.data == row.data else None


def exact_content(row: TemplateRow) -> bool:
    """Whether the stored text is byte for byte the form whose digest was approved."""
    return approved_form(row) is not None


@lru_cache(maxsize=1024)
def reviews_of(words: tuple[str, ...]) -> tuple[Review, ...]:
    """Approvals of a row, read once.

    Raises:
        InvalidInputError: one is in no form this version writes.
    """
    return read_reviews(words)


def provider_state(row: TemplateRow, channel: str) -> ProviderState | None:
    """Where the template stands with a channel's provider; None where nothing was said of this channel.

    Raises:
        InvalidInputError: the row says what no version writes.
    """
    for each in row.providers:
        name, _, rest = each.partition(":")
        if name == channel:
            return word(ProviderState, rest.partition(":")[0])
    return None


def content_fact(
    row: TemplateRow,
    credentials: Mapping[str, Sequence[CredentialRow]],
    lost: frozenset[str],
    channel: str,
    at: Instant,
) -> Fact[ContentFact]:
    """What a decision is told of a template version on a channel at an instant.

    Args:
        row: sound.
        credentials: of its approvers.
        lost: approvers whose credentials cannot be read: then nobody knows how many approvals count (P2).
        channel: the channel's name.
        at: the decision instant.
    """
    if lost and not lost.isdisjoint(row.approvers):
        return Absent.UNKNOWN
    try:
        reviews = reviews_of(row.reviews)
        provider = provider_state(row, channel)
    except InvalidInputError:
        return Absent.UNKNOWN
    counts = tally(reviews, credentials, at)
    return Known(
        ContentFact(
            status=row.status,
            purposes=row.purposes,
            channels=row.channels,
            digest=row.digest,
            approvals=len({review.actor for review in reviews}),
            since=row.since,
            until=row.until,
            clinical=counts.clinical,
            commercial=counts.commercial,
            ethics=counts.ethics,
            lapsed=counts.lapsed,
            number_until=row.number_until,
            data=row.data,
            provider=provider,
        )
    )
