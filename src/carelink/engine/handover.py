"""From a committed claim to one attempt: mint the permit, open the address, render, compare with what was approved,
hand over. Nothing here decides; nothing here retries.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from carelink.content.template import PATIENT_NAME, Rendered, Template, render
from carelink.engine.gate import Decided
from carelink.engine.parts import Attempt, Parts
from carelink.errors import CarelinkError
from carelink.model.moment import Instant
from carelink.model.scope import Scope
from carelink.ports.permit import mint
from carelink.ports.rows import ReservationRow, TemplateRow
from carelink.vault.personal import Personal

__all__ = ["Tried", "exact_content", "hand_over"]


@attrs.define(kw_only=True)
class Tried:
    """A claim after its hand-over: either an attempt, or the cause why there was none."""

    decided: Decided
    reservation: ReservationRow
    attempt: Attempt | None = None
    content: Personal[bytes] | None = None
    cause: str = ""


def exact_content(row: TemplateRow) -> bool:
    """Whether the stored text is byte for byte the form whose digest was approved."""
    form = Template(
        name=row.name,
        version=row.version,
        scope=Scope(row.purposes, row.channels),
        body=row.body,
        subject=row.subject,
        language=row.language,
    )
    return form.digest == row.digest


def _render(parts: Parts, decided: Decided) -> Rendered:
    template, target = decided.template, decided.target
    assert template is not None
    assert target is not None
    values = dict(target.request.variables)
    if PATIENT_NAME in template.variables:
        envelope = decided.sealed[("patient", target.patient.id, "name")]
        name = parts.safe.open(target.patient.id, "patient", target.patient.id, "name", envelope)
        values[PATIENT_NAME] = name.reveal("render")
    return render(template.subject, template.body, values)


def _attempt(parts: Parts, tried: Tried, until: Instant) -> None:
    decided, row = tried.decided, tried.reservation
    target, template = decided.target, decided.template
    if target is None or target.contact is None or template is None or not exact_content(template):
        tried.cause = "content_changed"
        return
    try:
        envelope = decided.sealed[("contact", row.contact, "address")]
        address: Personal[str] = parts.safe.open(target.patient.id, "contact", row.contact, "address", envelope)
        rendered = _render(parts, decided)
    except (CarelinkError, KeyError):
        tried.cause = "address_unreadable"
        return
    if parts.clock.now() >= until:
        tried.cause = "lease_ran_out"
        return
    permit = mint(row.id, row.request, until)
    tried.content = Personal(rendered.to_bytes())
    tried.attempt = parts.dispatcher.attempt(
        row.channel,
        permit,
        key=attempt_key(parts, row),
        purpose=row.purpose,
        address=address,
        subject=Personal(rendered.subject) if rendered.subject else None,
        body=Personal(rendered.body),
        language=template.language,
        unsubscribe=parts.options.unsubscribe_of(attempt_key(parts, row)),
        expires=target.request.useless_after,
    )


def attempt_key(parts: Parts, row: ReservationRow) -> str:
    """Token of the attempt that leaves the machine: derived from the request's keyed hash under a key of its own, so
    that it tells a provider nothing and a repeat of the same request carries the same token.
    """
    return parts.safe.attempt_key(row.request)


def hand_over(parts: Parts, claimed: Sequence[Decided]) -> list[Tried]:
    """Make the one attempt of each claim, in order, until the lease ends; what is left has a cause."""
    owners = {item.target.patient.id for item in claimed if item.target is not None}
    parts.safe.prefetch(sorted(owners))
    results = []
    for item in claimed:
        row = item.reservation
        assert row is not None
        assert row.lease is not None
        tried = Tried(decided=item, reservation=row)
        if parts.clock.now() >= row.lease:
            tried.cause = "lease_ran_out"
        else:
            _attempt(parts, tried, row.lease)
        results.append(tried)
    return results
