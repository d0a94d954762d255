"""FHIR Consent: a grant is as wide as it is written, a denial is never lost."""

from __future__ import annotations

import pytest

from carelink.model.moment import parse_instant
from carelink.vocabulary import GrantState, RecipientRole

GIVEN = parse_instant("2026-01-15T10:00:00+08:00")


def _terms(record) -> tuple[object, ...]:
    return record.purposes, record.channels, record.state, record.refusal


def test_a_permit(fhir) -> None:
    (record,), problems = fhir.read(fhir.consent())
    assert problems == []
    assert _terms(record) == (("care",), ("email",), GrantState.GIVEN, False)
    assert (record.patient[0], record.patient[1].reveal("test")) == ("fhir", "p-1")
    assert (record.since, record.until, record.ended_at) == (GIVEN, None, None)
    assert record.evidence.reveal("test") == "DocumentReference/d-1"
    assert (record.by, record.separate, record.notice) == (RecipientRole.SELF, False, "")


def test_everything_a_permit_can_say(fhir) -> None:
    extensions = [
        fhir.own("channel", "Code", "sms"),
        fhir.own("channel", "Code", "email"),
        fhir.own("by", "Code", "guardian"),
        fhir.own("separate", "Boolean", value=True),
        fhir.own("notice", "String", "2026-01.b"),
    ]
    period = {"start": "2026-02-01", "end": "2026-12-31"}
    provision = {"type": "permit", "period": period, **fhir.purposes("TREAT", "education.health")}
    (record,), problems = fhir.read(fhir.consent(extension=extensions, provision=provision), zone="Asia/Shanghai")
    assert problems == []
    assert (record.purposes, record.channels) == (("care", "education.health"), ("sms", "email"))
    assert record.since == parse_instant("2026-02-01T00:00:00+08:00")
    assert record.until == parse_instant("2027-01-01T00:00:00+08:00")
    assert (record.by, record.separate, record.notice) == (RecipientRole.GUARDIAN, True, "2026-01.b")


@pytest.mark.parametrize(("code", "word"), [("TREAT", "care"), ("HMARKT", "marketing"), ("HRESCH", "research")])
def test_reasons(fhir, code: str, word: str) -> None:
    (record,), _ = fhir.read(fhir.consent(provision={"type": "permit", **fhir.purposes(code)}))
    assert record.purposes == (word,)


def test_a_guardian_who_performed_it_gave_it(fhir) -> None:
    (record,), _ = fhir.read(fhir.consent(performer=[{"reference": "RelatedPerson/r-1"}]))
    assert record.by is RecipientRole.GUARDIAN


@pytest.mark.parametrize(
    ("source", "evidence"),
    [
        ({"sourceAttachment": {"title": "form 12", "url": "https://x.example.invalid/1"}}, "form 12"),
        ({"sourceAttachment": {"url": "https://x.example.invalid/1"}}, "https://x.example.invalid/1"),
        ({"sourceReference": {"display": "shelf 4"}}, "shelf 4"),
    ],
)
def test_where_the_evidence_lies(fhir, source: dict[str, object], evidence: str) -> None:
    (record,), _ = fhir.read(fhir.consent(**{"sourceReference": None, **source}))
    assert record.evidence.reveal("test") == evidence


def test_channels_of_a_consent_that_names_none(fhir) -> None:
    resource = fhir.consent(extension=[])
    records, problems = fhir.read(resource)
    assert records == []
    assert problems == ["Consent.ndjson:1: missing in `Consent.extension.channel` (or say which with --channels)"]
    (record,), _ = fhir.read(resource, channels=("sms",))
    assert record.channels == ("sms",)
    (named,), _ = fhir.read(fhir.consent(), channels=("sms",))
    assert named.channels == ("email",)


# -- what does not hold any more, or not yet ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["draft", "proposed"])
def test_a_draft_is_no_consent(fhir, status: str) -> None:
    records, problems = fhir.read(fhir.consent(status=status))
    assert records == []
    assert problems == ["Consent.ndjson:1: draft in `Consent.status`"]


@pytest.mark.parametrize("code", ["adr", "treatment"])
def test_a_consent_to_something_else(fhir, code: str) -> None:
    records, problems = fhir.read(fhir.consent(scope={"coding": [{"code": code}]}))
    assert records == []
    assert problems == ["Consent.ndjson:1: other_matter in `Consent.scope`"]


@pytest.mark.parametrize("code", ["patient-privacy", "research"])
def test_scopes_that_are_about_this(fhir, code: str) -> None:
    records, _ = fhir.read(fhir.consent(scope={"coding": [{"code": code}]}))
    assert len(records) == 1


def test_a_withdrawn_consent(fhir) -> None:
    extensions = [fhir.own("channel", "Code", "email"), fhir.own("ended", "DateTime", "2026-05-01T09:00:00Z")]
    (record,), problems = fhir.read(fhir.consent(status="inactive", extension=extensions))
    assert problems == []
    assert _terms(record) == (("care",), ("email",), GrantState.WITHDRAWN, False)
    assert record.ended_at == parse_instant("2026-05-01T09:00:00Z")


def test_an_inactive_consent_that_does_not_say_it_was_taken_back(fhir) -> None:
    (record,), _ = fhir.read(fhir.consent(status="inactive", meta={"lastUpdated": "2026-05-01T09:00:00.123+00:00"}))
    assert record.state is GrantState.EXPIRED
    assert record.ended_at == parse_instant("2026-05-01T09:00:00.123Z")


def test_a_consent_recorded_in_error(fhir) -> None:
    (record,), _ = fhir.read(fhir.consent(status="entered-in-error"))
    assert (record.state, record.ended_at) == (GrantState.REVOKED, None)


def test_a_rejected_consent_is_a_no(fhir) -> None:
    (record,), _ = fhir.read(fhir.consent(status="rejected"))
    assert _terms(record) == (("care",), ("email",), GrantState.WITHDRAWN, True)


# -- denials -----------------------------------------------------------------------------------------------------------


def test_a_denial(fhir) -> None:
    (record,), problems = fhir.read(fhir.consent(provision={"type": "deny", **fhir.purposes("HMARKT")}))
    assert problems == []
    assert _terms(record) == (("marketing",), ("email",), GrantState.WITHDRAWN, True)


def test_a_denial_that_names_no_channel_and_no_purpose_is_of_all(fhir) -> None:
    (record,), problems = fhir.read(fhir.consent(extension=[], provision={"type": "deny"}), channels=("sms",))
    assert problems == []
    assert (record.purposes, record.channels) == (("*",), ("*",))


def test_a_denial_that_is_narrower_than_can_be_kept_is_taken_whole(fhir) -> None:
    provision = {"type": "deny", "actor": [{}], **fhir.purposes("HMARKT")}
    (record,), problems = fhir.read(fhir.consent(provision=provision))
    assert record.refusal
    assert problems == ["Consent.ndjson:1: unsupported in `Consent.provision.actor` (the deny was taken whole)"]


@pytest.mark.parametrize("key", ["actor", "action", "securityLabel", "class", "code", "dataPeriod", "data"])
def test_a_permit_that_is_narrower_than_can_be_kept_is_refused(fhir, key: str) -> None:
    records, problems = fhir.read(fhir.consent(provision={"type": "permit", key: [{}], **fhir.purposes("TREAT")}))
    assert records == []
    assert problems == [
        f"Consent.ndjson:1: unsupported in `Consent.provision.{key}` (the grant would be wider than it)"
    ]


def test_a_part_that_denies_is_taken_off_what_is_permitted(fhir) -> None:
    provision = {"type": "permit", **fhir.purposes("TREAT", "HMARKT"),
                 "provision": [{"type": "deny", **fhir.purposes("HMARKT")}]}  # fmt: skip
    (no, yes), problems = fhir.read(fhir.consent(provision=provision))
    assert problems == []
    assert _terms(no) == (("marketing",), ("email",), GrantState.WITHDRAWN, True)
    assert _terms(yes) == (("care",), ("email",), GrantState.GIVEN, False)


def test_a_denied_part_of_a_permitted_family_refuses_the_permit_and_keeps_the_denial(fhir) -> None:
    provision = {"type": "permit", **fhir.purposes("TREAT"),
                 "provision": [{"type": "deny", **fhir.purposes("care.chronic")}]}  # fmt: skip
    (no,), problems = fhir.read(fhir.consent(provision=provision))
    assert no.refusal
    assert no.purposes == ("care.chronic",)
    assert problems == [
        "Consent.ndjson:1: unsupported in `Consent.provision` (a part of a family is denied: permit the others by name)"
    ]


def test_a_frame_of_parts(fhir) -> None:
    parts = [{"type": "permit", **fhir.purposes("TREAT")}, {"type": "deny", **fhir.purposes("HMARKT")},
             {"type": "permit", **fhir.purposes("HRESCH"), "period": {"end": "2026-06"}}]  # fmt: skip
    records, problems = fhir.read(fhir.consent(provision={"provision": parts}))
    assert problems == []
    assert [(record.purposes, record.refusal) for record in records] == [
        (("marketing",), True), (("care",), False), (("research",), False),
    ]  # fmt: skip
    assert records[2].until == parse_instant("2026-07-01T00:00:00Z")


def test_permission_for_everything_but_is_only_the_but(fhir) -> None:
    provision = {"type": "permit", "provision": [{"type": "deny", **fhir.purposes("HMARKT")}]}
    (record,), problems = fhir.read(fhir.consent(provision=provision))
    assert record.refusal
    assert problems == [
        "Consent.ndjson:1: unsupported in `Consent.provision` (there is no consent to everything; what it denies was taken)"
    ]


def test_what_an_inactive_consent_denied_is_nobodys_business(fhir) -> None:
    records, problems = fhir.read(
        fhir.consent(status="inactive", provision={"type": "deny", **fhir.purposes("HMARKT")})
    )
    assert (records, problems) == ([], [])


@pytest.mark.parametrize(("code", "refusal"), [("OPTIN", False), ("OPTOUT", True)])
def test_the_policy_rule_gives_the_root_its_type(fhir, code: str, *, refusal: bool) -> None:
    (record,), _ = fhir.read(fhir.consent(policyRule={"coding": [{"code": code}]}, provision=fhir.purposes("TREAT")))
    assert record.refusal is refusal


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"provision": {"purpose": []}},
         "missing in `Consent.provision.type` (permit or deny, or a policyRule OPTIN or OPTOUT)"),
        ({"provision": {"type": "allow"}},
         "bad_value in `Consent.provision.type` (permit or deny, or a policyRule OPTIN or OPTOUT)"),
        ({"provision": {"provision": [{}]}},
         "missing in `Consent.provision.provision[0].type` (permit or deny, or a policyRule OPTIN or OPTOUT)"),
        ({"provision": {"provision": [{"type": "permit", "provision": [{"type": "deny"}]}]}},
         "unsupported in `Consent.provision.provision.provision`"),
        ({"provision": {"type": "permit"}},
         "missing in `Consent.provision.purpose` (there is no consent to everything)"),
        ({"provision": {"type": "permit", "purpose": [{"system": "https://other.invalid", "code": "care"}]}},
         "bad_value in `Consent.provision.purpose[0]` (see docs/reference/fhir.md)"),
        ({"provision": []}, "wrong_type in `Consent.provision`"),
        ({"status": None}, "missing in `Consent.status`"),
        ({"status": "fine"}, "bad_value in `Consent.status`"),
        ({"patient": None}, "missing in `Consent.patient.reference`"),
        ({"sourceReference": None}, "missing in `Consent.source` (a grant needs a reference to its evidence)"),
        ({"sourceReference": {"reference": "x" * 501}}, "bad_value in `Consent.source` (at most 500 characters)"),
        ({"dateTime": "some day"}, "bad_date in `Consent.dateTime`"),
        ({"extension": [{"url": "https://carelink.invalid/fhir/channel", "valueCode": "fax"}]},
         "bad_value in `Consent.extension.channel` (sms, email, chat or task)"),
    ],
)  # fmt: skip
def test_what_costs_the_row(fhir, more: dict[str, object], says: str) -> None:
    resource = fhir.consent()
    resource.update(more)
    records, problems = fhir.read(resource, fhir.consent(id="c-2"))
    assert [record.source.line for record in records] == [2]
    assert problems == [f"Consent.ndjson:1: {says}"]


def test_a_period_that_ends_before_it_begins(fhir) -> None:
    provision = {"type": "permit", "period": {"start": "2026-02-01", "end": "2026-01-01"}, **fhir.purposes("TREAT")}
    records, problems = fhir.read(fhir.consent(provision=provision))
    assert records == []
    assert problems == ["Consent.ndjson:1: bad_date in `Consent.provision.period` (it ends before it begins)"]
