"""Hand-overs as FHIR R4 Communication, one resource a line: what was sent, to whom, why, what came of it. No text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs

from carelink.audit.bodies import HandoverBody, ReceiptBody, RecoveredBody, ReleasedBody
from carelink.audit.decided import ClaimBody, DecidedBody, DecisionBody
from carelink.audit.entry import parse_entry
from carelink.consent.facts import Facts
from carelink.interop.logviews.forms import EXTENSION, fhir_instant, identifier, person
from carelink.vocabulary import ChannelKind, DeliveryEvent, Outcome, RecipientRole

__all__ = ["communications"]

_MODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationMode"
_MEDIA: Final = {
    ChannelKind.SMS: "SMSWRIT", ChannelKind.EMAIL: "EMAILWRIT", ChannelKind.CHAT: "REMWRIT", ChannelKind.TASK: "VERBAL",
}  # fmt: skip
"""Nearest v3-ParticipationMode code of each kind of channel; our reading."""

_STATUS: Final = {
    Outcome.ACCEPTED: "completed", Outcome.AWAITING_HUMAN: "in-progress", Outcome.UNKNOWN: "unknown",
}  # fmt: skip
_ARRIVED: Final = (DeliveryEvent.DELIVERED, DeliveryEvent.READ)


@attrs.define(kw_only=True)
class _Sent:
    index: int
    facts: Facts
    outcome: Outcome | None = None
    at: int = 0
    arrived: int | None = None
    state: str = ""


def _resource(origin: str, reservation: str, sent: _Sent) -> dict[str, Any]:
    facts, ask = sent.facts, sent.facts.ask
    assert sent.outcome is not None
    kind = "Patient" if facts.role is RecipientRole.SELF else "RelatedPerson"
    found: dict[str, Any] = {
        "resourceType": "Communication",
        "id": reservation,
        "identifier": [identifier(origin, "reservation", reservation)],
        "extension": [{"url": f"{EXTENSION}/log-index", "valueDecimal": sent.index}],
        "status": _STATUS.get(sent.outcome, "not-done"),
        "category": [
            {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/communication-category", "code": "notification"}
                ]
            }
        ],
        "medium": [{"coding": [{"system": _MODE, "code": _MEDIA[ask.channel_kind]}], "text": ask.channel}],
        "subject": person(origin, facts.subject, "Patient"),
        "recipient": [person(origin, facts.recipient, kind)],
        "reasonCode": [{"text": ask.purpose.value}],
        "note": [{"text": f"template {ask.template} version {ask.template_version}"}],
    }
    if found["status"] == "not-done" or sent.state:
        found["statusReason"] = {"text": sent.state or sent.outcome.value}
    if found["status"] in ("completed", "unknown"):
        found["sent"] = fhir_instant(sent.at)
    if sent.arrived is not None:
        found["received"] = fhir_instant(sent.arrived)
    return found


def communications(origin: str, entries: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    """One Communication for each attempt, as NDJSON, in the order of the attempts; later reports are folded in.

    Raises:
        FormatError, CannotJudgeError: an entry is not in a form that this release knows.
    """
    claimed: dict[str, _Sent] = {}
    tried: dict[str, _Sent] = {}
    for index, data in entries:
        body = parse_entry(data).body
        if isinstance(body, DecidedBody):
            if isinstance(body, (DecisionBody, ClaimBody)) and body.reservation is not None and body.lease is not None:
                claimed[body.reservation] = _Sent(index=index, facts=body.facts)
        elif isinstance(body, (HandoverBody, RecoveredBody)) and body.reservation in claimed:
            sent = tried[body.reservation] = claimed.pop(body.reservation)
            sent.index, sent.outcome = index, body.outcome
            sent.at = body.attempted_at if isinstance(body, HandoverBody) else sent.facts.at
        elif isinstance(body, ReleasedBody):
            claimed.pop(body.reservation, None)
        elif isinstance(body, ReceiptBody) and body.reservation in tried:
            tried[body.reservation].state = body.state
            if body.event in _ARRIVED and tried[body.reservation].arrived is None:
                tried[body.reservation].arrived = body.at
    for reservation, sent in tried.items():
        yield json.dumps(_resource(origin, reservation, sent), ensure_ascii=False) + "\n"
