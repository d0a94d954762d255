"""What a patient may ask: shown, copied, corrected, restricted, refused; each answer an entry, each with a receipt."""

from __future__ import annotations

import json
import re
from datetime import date

import attrs
import pytest

from carelink.audit.bodies import RightsBody
from carelink.audit.entry import parse_entry
from carelink.consent.reasons import ReasonCode
from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.engine.rights import OWED, Correction
from carelink.errors import AccessDeniedError, CarelinkError, ConflictError, InvalidInputError
from carelink.interop.fhir import CONSENTS, PEOPLE, read_fhir, stream_fhir
from carelink.interop.fhirexport import fhir_files
from carelink.interop.records import GrantRecord, PatientRecord, Problem
from carelink.model.access import Refusal, Right
from carelink.model.moment import DAY, HOUR, parse_instant
from carelink.rights.consent_record import Controller, consent_receipt, consent_record
from carelink.rights.outcome import FieldOutcome, FieldResult
from carelink.rights.request import REFUSALS, refusal_letter
from carelink.rights.statement import record_form
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AddressKind,
    ContactStatus,
    DisclosureScope,
    GrantState,
    Purpose,
    Relation,
    Standing,
    StopSource,
)

PHONE, MAIL = "+8613812345678", "person@example.invalid"


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home", sqlite=True)
    made.content()
    yield made
    made.link.close()


@pytest.fixture
def patient(world):
    mother = RelatedInput(
        relation=Relation.SPOUSE, name=Personal("Mrs. Person"), scopes=(DisclosureScope.LOGISTICS,),
        contacts=(ContactInput(kind=AddressKind.PHONE, address=Personal("+8613900000002")),),
    )  # fmt: skip
    (done,) = world.link.register_many([
        PatientInput(
            identifiers=(("mrn", Personal("1001")), ("urn:insurer", Personal("X-7"))), name=Personal("Person One"),
            birth_date=Personal(date(1980, 5, 17)), zone="Asia/Shanghai", language="zh-CN",
            contacts=(
                ContactInput(kind=AddressKind.PHONE, address=Personal(PHONE), status=ContactStatus.VALID,
                             verified_at=parse_instant("2026-01-01T00:00:00Z")),
                ContactInput(kind=AddressKind.EMAIL, address=Personal(MAIL)),
            ),
            related=(mother,),
        )
    ])  # fmt: skip
    world.link.grant(done.patient, purposes=("care",), channels=("sms", "email"), evidence="form 7", notice="v3")
    world.link.grant(done.patient, purposes=("marketing",), channels=("sms",), evidence="form 8", separate=True)
    world.clock.advance(HOUR)
    world.link.withdraw(done.patient, purposes=("marketing",))
    world.link.stop(done.patient, purposes=("research",))
    return done.patient


def officer(world, name="Zhou", **more):
    return world.link.as_actor(name, **{"roles": ("compliance",), "purpose": "rights", **more})


def entries(world):
    with world.link.wiring.store.reader() as reader:
        bodies = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
    return [body for body in bodies if isinstance(body, RightsBody)]


def results(receipt):
    return {(field.field, field.result.value): field.count for field in receipt.fields}


HELD = {
    ("patient.identifiers", "held"): 2, ("patient.name", "held"): 1, ("patient.birth_date", "held"): 1,
    ("contact.address", "held"): 3, ("related.name", "held"): 1, ("grant.evidence", "held"): 2,
    ("log.decisions", "retained"): 0, ("log.handovers", "retained"): 0, ("log.consents", "retained"): 0,
    ("log.stops", "retained"): 0,
}  # fmt: skip


@pytest.mark.parametrize("right", [Right.ACCESS, Right.COPY, Right.EXPORT])
def test_all_that_is_held_is_shown_with_a_receipt(world, patient, right):
    answer = world.link.rights.show(right, patient, officer(world))
    assert results(answer.receipt) == HELD
    kept = [field for field in answer.receipt.fields if field.result is FieldResult.RETAINED]
    assert all(field.rule.startswith("CN.") and field.until > world.clock.now() + 1000 * DAY for field in kept)
    (body,) = entries(world)
    assert (body.receipt, body.right, body.refusal, body.by) == (
        answer.receipt.receipt, right, None, world.link.actor("Zhou"),
    )  # fmt: skip
    text = answer.receipt.to_text()
    assert not [word for word in ("Person", PHONE, MAIL, "1001", "form 7", "Zhou") if word in text]
    assert world.divergences() == []


def test_the_copy_is_whole(world, patient):
    answer = world.link.rights.show(Right.COPY, patient, officer(world))
    form = record_form(answer.person, answer.receipt.at)
    assert form["identifiers"] == ["mrn|1001", "urn:insurer|X-7"]
    assert (form["name"], form["birth_date"], form["zone"]) == ("Person One", "1980-05-17", "Asia/Shanghai")
    assert sorted(each["address"] for each in form["contacts"]) == [PHONE, MAIL]
    (mother,) = form["related"]
    assert (mother["name"], mother["may_be_told"], mother["contacts"][0]["address"]) == (
        "Mrs. Person", ["logistics"], "+8613900000002",
    )  # fmt: skip
    assert [(each["evidence"], each["state"]) for each in form["consents"]] == [
        ("form 7", "given"), ("form 8", "withdrawn"),
    ]  # fmt: skip
    assert [each["purposes"] for each in form["stops"]] == [["research"]]
    assert json.loads(json.dumps(form)) == form
    assert "not_readable" not in json.dumps(form)


def test_only_who_may_open_the_record_answers(world, patient):
    doctor = officer(world, "Li", roles=("clinician",))
    for work in (
        lambda: world.link.rights.show(Right.ACCESS, patient, doctor),
        lambda: world.link.rights.correct(patient, Correction(zone="Europe/Berlin"), doctor),
        lambda: world.link.rights.restrict(patient, doctor),
        lambda: world.link.rights.unrestrict(patient, doctor),
        lambda: world.link.rights.refuse(Right.ACCESS, patient, Refusal.IDENTITY, doctor),
    ):
        with pytest.raises(AccessDeniedError):
            work()
    assert entries(world) == []


@pytest.mark.parametrize("right", [Right.CORRECT, Right.ERASE, Right.RESTRICT])
def test_other_rights_do_not_open_the_record(world, patient, right):
    with pytest.raises(InvalidInputError):
        world.link.rights.show(right, patient, officer(world))


def test_what_does_not_open_says_so_and_hides_nothing_else(world, patient):
    with world.link.wiring.store.transaction() as tx:
        (row,) = [row for row in tx.page_sealed(("", "", ""), 99) if (row.table, row.column) == ("patient", "name")]
        tx.add_sealed([attrs.evolve(row, envelope=row.envelope[:-1] + bytes([row.envelope[-1] ^ 1]))])
    answer = world.link.rights.show(Right.COPY, patient, officer(world))
    assert results(answer.receipt)["patient.name", "unreadable"] == 1
    form = record_form(answer.person, answer.receipt.at)
    assert form["name"] == {"not_readable": "unreadable"}
    assert form["birth_date"] == "1980-05-17"


def test_an_erased_person_is_told_what_is_left(world, patient):
    world.link.erase(patient, actor="officer")
    answer = world.link.rights.show(Right.ACCESS, patient, officer(world))
    found = results(answer.receipt)
    assert {name for name, result in found if result == "held"} == set()
    assert found["patient.name", "erased"] == 1
    assert found["log.decisions", "retained"] == 0
    assert answer.person.standing is Standing.ERASED


# -- correction ---------------------------------------------------------------------------------------------


def test_a_correction_takes_the_place_of_what_was_wrong(world, patient):
    change = Correction(
        name=Personal("Person Two"), birth_date=Personal(date(2012, 1, 1)), language="en",
        add=((AddressKind.PHONE, Personal("13700000001")),), remove=((AddressKind.EMAIL, Personal(MAIL)),),
    )  # fmt: skip
    answer = world.link.rights.correct(patient, change, officer(world))
    assert results(answer.receipt) == {
        ("patient.name", "corrected"): 0, ("patient.birth_date", "corrected"): 0, ("patient.language", "corrected"): 0,
        ("contact.address", "corrected"): 2,
    }  # fmt: skip
    # As of now it is a child's record; the officer gets it approved by somebody else.
    chief = officer(world, "chief")
    world.link.access.approve(
        patient, actor=officer(world).ref, by=chief, until=world.clock.now() + DAY, purpose=chief.purpose
    )
    form = record_form(world.link.rights.show(Right.COPY, patient, officer(world)).person, world.clock.now())
    assert (form["name"], form["birth_date"], form["language"]) == ("Person Two", "2012-01-01", "en")
    assert sorted(each["address"] for each in form["contacts"]) == ["+8613700000001", PHONE]
    assert form["identifiers"] == ["mrn|1001", "urn:insurer|X-7"]
    assert world.link.send(world.ask(patient)).effect.value != "permit"
    assert world.divergences() == []


def test_what_is_the_same_is_not_reported_as_corrected(world, patient):
    change = Correction(name=Personal("Person One"), zone="Europe/Berlin")
    answer = world.link.rights.correct(patient, change, officer(world))
    assert results(answer.receipt) == {("patient.zone", "corrected"): 0}


@pytest.mark.parametrize(
    "change",
    [
        Correction(),
        Correction(name=Personal("")),
        Correction(zone="Mars/Olympus"),
        Correction(name=Personal("X"), remove=((AddressKind.PHONE, Personal("13700000009")),)),
        Correction(name=Personal("X"), remove=((AddressKind.PHONE, Personal("+8613900000002")),)),  # the wife's
    ],
)
def test_a_correction_that_is_wrong_changes_nothing(world, patient, change):
    before = record_form(world.link.person(patient, actor=officer(world)), world.clock.now())
    with pytest.raises(CarelinkError) as caught:
        world.link.rights.correct(patient, change, officer(world))
    assert "137" not in str(caught.value)
    assert record_form(world.link.person(patient, actor=officer(world)), world.clock.now()) == before
    assert entries(world) == []


def test_who_is_erased_is_not_corrected(world, patient):
    world.link.erase(patient, actor="officer")
    with pytest.raises(ConflictError):
        world.link.rights.correct(patient, Correction(zone="Europe/Berlin"), officer(world))


# -- restriction --------------------------------------------------------------------------------------------


def test_while_restricted_only_what_is_owed_is_sent(world, patient):
    answer = world.link.rights.restrict(patient, officer(world))
    assert results(answer.receipt)["patient.name", "restricted"] == 1
    stopped = set()
    for purpose in Purpose:
        forecast = world.link.preview(world.ask(patient, purpose=purpose.value))
        if ReasonCode.SUPPRESSED in [each.reason for each in forecast.decision.reasons]:
            stopped.add(purpose)
    assert stopped == set(Purpose) - OWED
    assert world.link.send(world.ask(patient)).effect.value == "refuse"
    assert world.divergences() == []


@pytest.mark.parametrize(
    ("purpose", "opens"),
    [("treatment", False), ("operations", False), ("rights", True), ("audit", True), ("breach", True), ("emergency", True)],
)  # fmt: skip
def test_a_restricted_record_is_opened_for_few_purposes(world, patient, purpose, opens):
    world.link.rights.restrict(patient, officer(world))
    actor = officer(world, "x", purpose=purpose)
    if opens:
        assert world.link.person(patient, what="identity", actor=actor).restricted
    else:
        with pytest.raises(AccessDeniedError, match="restricted"):
            world.link.person(patient, what="identity", actor=actor)


def test_lifting_a_restriction_lifts_no_other_stop(world, patient):
    world.link.rights.restrict(patient, officer(world))
    world.link.rights.restrict(patient, officer(world))  # saying it twice changes nothing
    stops = world.link.person(patient, actor=officer(world)).stops
    assert [each.source for each in stops].count(StopSource.RESTRICTION) == 1
    answer = world.link.rights.unrestrict(patient, officer(world))
    assert results(answer.receipt) == HELD
    person = world.link.person(patient, actor=officer(world))
    assert not person.restricted
    assert [each.purposes for each in person.stops] == [("research",)]
    assert world.link.send(world.ask(patient)).effect.value == "permit"
    assert [body.right for body in entries(world)] == [Right.RESTRICT, Right.RESTRICT, Right.UNRESTRICT]
    assert world.divergences() == []


def test_a_restriction_of_a_merged_record_holds_for_the_person(world, patient):
    (old,) = world.link.register_many([PatientInput(identifiers=(("mrn", Personal("0")),))])
    world.link.rights.restrict(old.patient, officer(world))
    world.link.registration.merge(old.patient, patient)
    assert world.link.person(patient, actor=officer(world)).restricted
    assert world.link.send(world.ask(patient)).effect.value == "refuse"


# -- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", Refusal)
@pytest.mark.parametrize("right", Right)
def test_a_refusal_is_written_with_its_reason_in_both_languages(world, patient, right, reason):
    answer = world.link.rights.refuse(right, patient, reason, officer(world))
    letter = refusal_letter(answer.receipt, "privacy@hospital.example")
    for words in REFUSALS[reason]:
        assert words in letter
    assert answer.receipt.receipt in letter
    assert letter.count("privacy@hospital.example") == 2
    assert json.loads(answer.receipt.to_text())["refusal"] == reason.value
    (body,) = entries(world)
    assert (body.right, body.refusal, body.receipt) == (right, reason, answer.receipt.receipt)
    assert world.divergences() == []


def test_every_reason_has_words_and_no_letter_is_without_an_address(world, patient):
    assert set(REFUSALS) == set(Refusal)
    letter = refusal_letter(world.link.rights.refuse(Right.ACCESS, patient, Refusal.OTHERS, officer(world)).receipt)
    assert "office for personal data" in letter


# -- forms for others ---------------------------------------------------------------------------------------


def test_the_fhir_export_is_read_back_as_it_was(world, patient, tmp_path):
    person = world.link.person(patient, actor=officer(world))
    for name, data in fhir_files(person).items():
        (tmp_path / name).write_bytes(data)
    found = list(read_fhir(tmp_path))
    assert [each for each in found if isinstance(each, Problem)] == []
    (record,) = [each for each in found if isinstance(each, PatientRecord)]
    ids = {(system, value.reveal("test")) for system, value in record.identifiers}
    assert {("mrn", "1001"), ("urn:insurer", "X-7")} < ids
    assert (record.name.reveal("test"), record.birth_date.reveal("test")) == ("Person One", date(1980, 5, 17))
    assert (record.zone, record.language) == ("Asia/Shanghai", "zh-CN")
    assert {(each.address.reveal("test"), each.status) for each in record.contacts} == {
        (PHONE, ContactStatus.VALID), (MAIL, ContactStatus.UNVERIFIED),
    }  # fmt: skip
    (mother,) = record.related
    assert (mother.name.reveal("test"), mother.relation, mother.scopes) == (
        "Mrs. Person", Relation.SPOUSE, (DisclosureScope.LOGISTICS,),
    )  # fmt: skip
    grants = [each for each in found if isinstance(each, GrantRecord)]
    assert [(each.purposes, set(each.channels), each.state, each.evidence.reveal("test")) for each in grants] == [
        (("care",), {"sms", "email"}, GrantState.GIVEN, "form 7"),
        (("marketing",), {"sms"}, GrantState.WITHDRAWN, "form 8"),
    ]
    assert [(each.since, each.ended_at, each.separate, each.notice) for each in grants] == [
        (each.since, each.ended_at, each.separate, each.notice) for each in person.consents
    ]


def test_an_export_can_be_imported_elsewhere(world, patient, tmp_path):
    from carelink.cli.consent import load_grants
    from carelink.cli.importing import Reporter
    from carelink.cli.patients import import_records

    person = world.link.person(patient, actor=officer(world))
    (tmp_path / "fhir").mkdir()
    for name, data in fhir_files(person).items():
        (tmp_path / "fhir" / name).write_bytes(data)
    other = World(tmp_path / "other")
    report = Reporter(everything=True)
    import_records(other.link, stream_fhir(tmp_path / "fhir", PEOPLE), report)
    load_grants(other.link, stream_fhir(tmp_path / "fhir", CONSENTS), report)
    again = other.link.person(other.link.find("1001"), actor=officer(other))
    for field in ("name", "birth_date", "zone", "language"):
        assert record_form(again, 0).get(field) == record_form(person, 0).get(field)
    assert {each.purposes for each in again.consents} == {each.purposes for each in person.consents}
    other.link.close()


def test_an_erased_person_exports_no_values(world, patient):
    world.link.erase(patient, actor="officer")
    files = fhir_files(world.link.person(patient, actor=officer(world)))
    assert list(files) == ["Patient.ndjson"]
    assert json.loads(files["Patient.ndjson"]) == {"resourceType": "Patient", "id": patient, "active": True}


_RECORD = {"schema_version", "record_id", "pii_principal_id", "pii_processing", "party_identification", "events"}
_PROCESSING = {
    "privacy_notice", "language", "purposes", "pii_information", "pii_controllers", "storage_locations",
    "retention_period", "jurisdiction", "recipient_third_parties", "withdrawal_method",
}  # fmt: skip
CONTROLLER = Controller(
    name="Eye Hospital", address="1 Hospital Road", contact="privacy@hospital.example", jurisdiction="CN",
    notice="https://hospital.example/notice", storage="CN", withdrawal="reply TD, or write to us", retention="P3Y",
)  # fmt: skip


def test_a_consent_record_has_every_mandatory_field_of_27560(world, patient):
    person = world.link.person(patient, actor=officer(world))
    given, withdrawn = person.consents
    record = consent_record(person, given, CONTROLLER, recipients=["aliyun"])
    assert set(record) == _RECORD
    assert set(record["pii_processing"]) >= _PROCESSING
    assert set(record["party_identification"][0]) == {"id", "name", "address", "contact", "type"}
    assert record["pii_processing"]["privacy_notice"] == "https://hospital.example/notice v3"
    assert [set(event) for event in record["events"]] == [
        {"event_time", "validity_duration", "entity_id", "event_type", "event_state"}
    ]
    assert [event["event_state"] for event in consent_record(person, withdrawn, CONTROLLER, recipients=["a"])["events"]] == [
        "given", "withdrawn",
    ]  # fmt: skip
    receipt = consent_receipt(record, "f" * 32, world.clock.now())
    assert receipt["receipt_metadata"]["receipt_id"] == "f" * 32
    assert receipt["receipt_metadata"]["schema_version"] == record["schema_version"]
    assert not re.search(r"Person One|1001|form 7", json.dumps(receipt))


def test_what_the_settings_do_not_say_is_named_as_missing(world, patient):
    person = world.link.person(patient, actor=officer(world))
    record = consent_record(person, person.consents[0], Controller(), recipients=())
    assert set(record["missing"]) == {
        *(f"pii_processing.{name}" for name in
          ("pii_controllers", "storage_locations", "retention_period", "jurisdiction", "recipient_third_parties",
           "withdrawal_method")),
        *(f"party_identification.{name}" for name in ("name", "address", "contact")),
    }  # fmt: skip


def test_an_outcome_comes_back_from_its_form():
    at = parse_instant("2026-01-01T00:00:00Z")
    for outcome in (
        FieldOutcome(field="a.b", result=FieldResult.RETAINED, rule="CN.X", until=at),
        FieldOutcome(field="a.b", result=FieldResult.HELD, count=3),
    ):
        assert FieldOutcome.from_json(outcome.to_json()) == outcome
    for bad in ({}, {"field": "a", "result": "eaten"}, None, {"field": "a", "result": "held", "until": 7}):
        with pytest.raises(CarelinkError):
            FieldOutcome.from_json(bad)
