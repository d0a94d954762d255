"""A request that nothing is wrong with: the plain facts from which fixtures of packs, and trials, start.

A known adult with separate, explicit consent who was never contacted before; a text that everybody approved and
screening found nothing in; a provider at home, under an agreement; a clinician behind it.
"""

from __future__ import annotations

from typing import Any, Final

from carelink.consent.facts import (
    Ask,
    CalendarFact,
    ChannelFact,
    ClinicianFact,
    ClockState,
    ContactFact,
    ContentFact,
    Facts,
    GrantFact,
    Known,
    ScreeningFact,
    StoreState,
    TouchHistory,
    ZoneFacts,
)
from carelink.model.ids import AddressRef, PersonRef
from carelink.model.moment import DAY, Instant
from carelink.model.scope import ANY, Scope
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    GrantState,
    Mode,
    ProviderState,
    Purpose,
    RecipientRole,
    Standing,
)

__all__ = ["CLINICIAN", "LONG", "RECIPIENT", "example_facts"]

LONG: Final = 4000 * DAY
"""How far back and ahead everything is known and valid, in microseconds: beyond the longest window of a rule."""

_SUBJECT: Final = PersonRef(f"{2:032x}")
RECIPIENT: Final = PersonRef(f"{3:032x}")
"""Somebody who is not the patient."""

CLINICIAN: Final = f"{9:032x}"
"""Pseudonym of the clinician behind the request."""


def example_facts(at: Instant, zones: ZoneFacts, **asked: Any) -> Facts:
    """The facts. `asked` changes the request; consent, text and calendars follow it."""
    asks: dict[str, Any] = {
        "purpose": Purpose.CARE_APPOINTMENT,
        "channel": "example",
        "channel_kind": ChannelKind.SMS,
        "template": "example",
        "template_version": 1,
        "clinician": CLINICIAN,
    }
    ask = Ask(**{**asks, **asked})
    before, after = Instant(at - LONG), Instant(at + LONG)
    grant = GrantFact(
        ref=f"{1:032x}",
        scope=Scope((ask.purpose.value,), (ask.channel_kind.value,)),
        state=GrantState.GIVEN,
        by=RecipientRole.SELF,
        since=before,
        separate=True,
        notice="1",
    )
    content = ContentFact(
        status=ContentStatus.APPROVED,
        purposes=(ask.purpose.value,),
        channels=(ANY,),
        digest="ab" * 32,
        approvals=6,
        since=before,
        clinical=3,
        commercial=2,
        ethics=1,
        number_until=after,
        provider=ProviderState.APPROVED,
    )
    return Facts(
        at=at,
        ask=ask,
        subject=_SUBJECT,
        recipient=_SUBJECT,
        role=RecipientRole.SELF,
        address=AddressRef(f"{4:032x}"),
        standing=Known(Standing.ACTIVE),
        recipient_standing=Known(Standing.ACTIVE),
        age=Known(AgeBand.ADULT),
        contact=Known(ContactFact(status=ContactStatus.VALID, verified_at=Instant(at - DAY))),
        guardian=Known(None),
        grants=Known((grant,)),
        stops=Known(()),
        touches=Known(TouchHistory(since=before)),
        content=Known(content),
        channel=Known(ChannelFact(local=False, usable=True, region="CN", agreement_until=after)),
        zones=Known(zones),
        mode=Known(Mode.LIVE),
        clock=Known(ClockState.TRUSTED),
        store=Known(StoreState.CURRENT),
        keys_available=Known(value=True),
        vetoes=Known(()),
        clinician=Known(ClinicianFact(since=before)),
        screening=Known(ScreeningFact(lists="ef" * 32, marks=_MARKS)),
        calendars=Known(tuple(_calendar(name, at) for name in ("CN", "US"))),
    )


_MARKS: Final = ("adv_label", "approval_number", "identity", "opt_out", "postal_address")


def _calendar(name: str, at: Instant) -> CalendarFact:
    return CalendarFact(id=name, first=at // DAY - 10, days="w" * 40, data="example")
