"""From a committed claim to one attempt: mint the permit, open the address, render, compare with what was approved,
hand over. Nothing here decides; nothing here retries.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import attrs

from carelink.content.template import PATIENT_NAME, Rendered, Template
from carelink.engine.gate import Decided
from carelink.engine.parts import Attempt, Parts
from carelink.engine.reviewed import approved_form, exact_content
from carelink.engine.safe import Held
from carelink.errors import CarelinkError, InvalidInputError, PermitError
from carelink.model.moment import Instant, Micros
from carelink.ports.permit import mint
from carelink.ports.rows import ReservationRow
from carelink.vault.personal import Personal

__all__ = ["Tried", "attempt_key", "exact_content", "hand_over"]


@attrs.define(kw_only=True)
class Tried:
    """A claim after its hand-over: either an attempt, or the cause why there was none. `took` is how long it was."""

    decided: Decided
    reservation: ReservationRow
    attempt: Attempt | None = None
    content: Personal[bytes] | None = None
    cause: str = ""
    took: Micros = attrs.field(default=Micros(0))


def _text(held: Held, decided: Decided, place: tuple[str, str, str]) -> Personal[str]:
    """An opened field that holds text."""
    opened: Personal[Any] = held.open(*place, decided.sealed[place])
    if not opened.use(lambda value: isinstance(value, str)):
        raise InvalidInputError("a sealed field holds no text where there must be some")
    return opened


def _render(held: Held, decided: Decided, template: Template) -> Rendered:
    target = decided.target
    assert target is not None
    values = dict(target.request.variables)
    if PATIENT_NAME in template.variables:
        place = ("patient", target.patient.id, "name")
        values[PATIENT_NAME] = _text(held, decided, place).reveal("render")
    return template.fill(target.channel.kind, values)


def _over(parts: Parts, decided: Decided, lease: Instant) -> bool:
    """Whether the lease has run out: by the wall clock that the log knows, or by the one that never jumps. A decision
    instant may be ahead of the wall clock, and the wall clock may be stepped back; neither makes a lease longer (P3).
    """
    return parts.clock.now() >= lease or parts.clock.monotonic() >= decided.deadline


def _attempt(parts: Parts, tried: Tried, lease: Instant) -> None:
    decided, row = tried.decided, tried.reservation
    target, template = decided.target, decided.template
    form = None if template is None else approved_form(template)
    if target is None or target.contact is None or form is None:
        tried.cause = "content_changed"
        return
    try:
        held = parts.safe.held(target.patient.id)
        address = _text(held, decided, ("contact", row.contact, "address"))
        rendered = _render(held, decided, form)
    except (CarelinkError, KeyError):
        tried.cause = "address_unreadable"
        return
    left = decided.deadline - parts.clock.monotonic()
    until = Instant(min(lease, parts.clock.now() + left))
    permit, key = mint(row.id, row.request, until, decided.deadline), attempt_key(parts, row)
    try:
        tried.attempt = parts.dispatcher.attempt(
            row.channel,
            permit,
            key=key,
            purpose=row.purpose,
            address=address,
            subject=Personal(rendered.subject) if rendered.subject else None,
            body=Personal(rendered.body),
            language=form.language,
            unsubscribe=parts.options.unsubscribe_of(key),
            expires=target.request.useless_after,
        )
    except PermitError:
        tried.cause = "lease_ran_out"  # between looking at the clock and redeeming; nothing has left
        return
    tried.content = Personal(rendered.to_bytes())


def attempt_key(parts: Parts, row: ReservationRow) -> str:
    """Token of the attempt that leaves the machine: derived from the request's keyed hash under a key of its own, so
    that it tells a provider nothing and a repeat of the same request carries the same token.
    """
    return parts.safe.attempt_key(row.request)


def hand_over(parts: Parts, claimed: Sequence[Decided], results: list[Tried]) -> None:
    """Make the one attempt of each claim, in order, until the lease ends; what is left has a cause. Each result is
    in the list as soon as it is known. Where something stops the run (an interrupt from the keyboard), the claim it
    stopped has no result, because nobody knows, and those behind it were not tried.
    """
    owners = {item.target.patient.id for item in claimed if item.target is not None}
    with suppress(CarelinkError):  # each opening fails by itself then, and its claim is released
        parts.safe.prefetch(sorted(owners))
    left = list(reversed(claimed))
    try:
        while left:
            results.append(_try(parts, left.pop()))
    finally:
        results.extend(Tried(decided=item, reservation=_claim_of(item), cause="lease_ran_out") for item in left)


def _claim_of(item: Decided) -> ReservationRow:
    assert item.reservation is not None
    return item.reservation


def _try(parts: Parts, item: Decided) -> Tried:
    row = _claim_of(item)
    assert row.lease is not None
    tried = Tried(decided=item, reservation=row)
    began = parts.clock.monotonic()
    if _over(parts, item, row.lease):
        tried.cause = "lease_ran_out"
    else:
        _attempt(parts, tried, row.lease)
    tried.took = Micros(parts.clock.monotonic() - began)
    return tried
