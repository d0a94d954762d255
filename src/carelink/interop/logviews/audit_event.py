"""Decisions as FHIR R4 AuditEvent on the IHE BALP profile for consent decisions, one resource a line.

Sources: https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.AuthZconsent (BALP 1.1.4): DCM 110113,
subtype AuthZ-Consent, action E; outcome 0 for a permit, else a failure with the why in `outcomeDesc`; agents client,
user, organisation, authorizer; entities patient and consent. Persons are the log's pseudonyms, as identifiers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from carelink.audit.decided import DecidedBody
from carelink.audit.entry import parse_entry
from carelink.audit.merkle import leaf_hash
from carelink.consent.facts import Known
from carelink.consent.sentences import SENTENCES
from carelink.interop.logviews.forms import EXTENSION, fhir_instant, identifier, person
from carelink.vocabulary import Effect, Family, GrantState

__all__ = ["PROFILE", "audit_events"]

PROFILE: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.AuthZconsent"
_DICOM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_PURPOSE_OF_USE: Final = {
    Family.CARE: "TREAT", Family.PUBLIC_HEALTH: "PUBHLTH", Family.EDUCATION: "PATADMIN", Family.EXPERIENCE: "HQUALIMP",
    Family.MARKETING: "HMARKT", Family.REFERRAL: "HMARKT", Family.RESEARCH: "HRESCH", Family.ADMIN: "HPAYMT",
    Family.SYSTEM: "PATRQT",
}  # fmt: skip
"""Nearest v3-ActReason code of each family of purposes; our reading, not part of the profile."""

_FAILED: Final = {Effect.PERMIT: "0", Effect.DEFER: "4", Effect.REFUSE: "8"}


def _agent(kind: tuple[str, str], who: dict[str, Any], *, requestor: bool, **more: Any) -> dict[str, Any]:
    return {"type": {"coding": [{"system": kind[0], "code": kind[1]}]}, "who": who, "requestor": requestor, **more}


def _event(origin: str, index: int, data: bytes, body: DecidedBody, at: int) -> dict[str, Any]:
    facts, ask = body.facts, body.facts.ask
    why = " ".join(dict.fromkeys(SENTENCES[v.reason][0] for v in body.reasons if v.reason is not None))
    use = [{"coding": [{"system": _REASON, "code": _PURPOSE_OF_USE[ask.purpose.family]}], "text": ask.purpose.value}]
    service = {"identifier": identifier(origin, "service", "carelink"), "display": "carelink"}
    grants = facts.grants.value if isinstance(facts.grants, Known) else ()
    used = [grant.ref for grant in grants if grant.state is GrantState.GIVEN] or [grant.ref for grant in grants]
    consents = [{"identifier": identifier(origin, "grant", ref), "type": "Consent"} for ref in used] or [
        {"display": "no consent on record"}
    ]
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": leaf_hash(data).hex(),
        "meta": {"profile": [PROFILE]},
        "extension": [
            {"url": f"{EXTENSION}/log-origin", "valueString": origin},
            {"url": f"{EXTENSION}/log-index", "valueDecimal": index},
            {"url": f"{EXTENSION}/leaf-hash", "valueString": leaf_hash(data).hex()},
        ],
        "type": {"system": _DICOM, "code": "110113", "display": "Security Alert"},
        "subtype": [{"system": "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType", "code": "AuthZ-Consent"}],
        "action": "E",
        "recorded": fhir_instant(at),
        "outcome": _FAILED[body.effect],
        "purposeOfEvent": use,
        "agent": [
            _agent((_DICOM, "110150"), service, requestor=False, network={"address": "localhost", "type": "1"}),
            _agent(
                ("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"),
                person(origin, facts.recipient),
                requestor=True,
                purposeOfUse=use,
            ),
            _agent(
                ("http://terminology.hl7.org/CodeSystem/v3-RoleClass", "PROV"),
                {"identifier": identifier(origin, "tenant", origin), "type": "Organization"},
                requestor=False,
            ),
            _agent(
                ("http://terminology.hl7.org/CodeSystem/extra-security-role-type", "authserver"),
                service,
                requestor=False,
            ),
        ],
        "source": {
            "observer": service,
            "type": [{"system": "http://terminology.hl7.org/CodeSystem/security-source-type", "code": "6"}],
        },
        "entity": [
            {
                "what": person(origin, facts.subject, "Patient"),
                "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-entity-type", "code": "1"},
                "role": {"system": "http://terminology.hl7.org/CodeSystem/object-role", "code": "1"},
            },
            *(
                {"what": what, "type": {"system": "http://hl7.org/fhir/resource-types", "code": "Consent"}}
                for what in consents
            ),
        ],
    }
    if body.effect is not Effect.PERMIT:
        event["outcomeDesc"] = why
    return event


def audit_events(origin: str, entries: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    """One AuditEvent for each decision and claim, as NDJSON.

    Raises:
        FormatError, CannotJudgeError: an entry is not in a form that this release knows.
    """
    for index, data in entries:
        entry = parse_entry(data)
        if isinstance(entry.body, DecidedBody):
            yield json.dumps(_event(origin, index, data, entry.body, entry.at), ensure_ascii=False) + "\n"
