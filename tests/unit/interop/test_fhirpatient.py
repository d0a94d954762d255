"""FHIR Patient: every shape that exports have, and what is taken from it."""

from __future__ import annotations

from datetime import date

import pytest

from carelink.model.moment import parse_instant
from carelink.vocabulary import AddressKind, ContactStatus, Relation

NOW = parse_instant("2026-01-15T10:00:00+08:00")


def _shown(pairs) -> list[tuple[str, str]]:
    return [(system, value.reveal("test")) for system, value in pairs]


@pytest.mark.parametrize(
    ("names", "name"),
    [
        ([{"family": "Koepp", "given": ["Abdul", "J."]}], "Abdul J. Koepp"),
        ([{"family": "林", "given": ["小满"]}], "林小满"),
        ([{"family": "欧阳", "given": ["静", "宜"]}], "欧阳静宜"),
        ([{"family": "买买提", "given": ["·", "吐尔逊"]}], "买买提·吐尔逊"),
        ([{"text": "Lin  Xiaoman", "family": "x", "given": ["y"]}], "Lin Xiaoman"),
        ([{"family": "Only"}], "Only"),
        ([{"given": ["Only", None]}], "Only"),
        ([{"use": "nickname", "text": "Koko"}, {"use": "official", "text": "Abdul Koepp"}], "Abdul Koepp"),
        ([{"use": "old", "text": "Before"}, {"text": "Now"}], "Now"),
        ([{"use": "anonymous", "text": "Nobody"}], None),
        ([{"use": "official", "text": "Before", "period": {"end": "2020-01-01"}}, {"text": "Now"}], "Now"),
        ([{"use": "official", "text": "Still", "period": {"end": "2030-01-01"}}, {"text": "Other"}], "Still"),
        ([{"use": "something-new", "text": "Still"}], "Still"),
        ([{"use": "official"}, {"text": "Second"}], "Second"),
        ([], None),
        (None, None),
    ],
)
def test_names(fhir, names, name: str | None) -> None:
    (record,), problems = fhir.read(fhir.patient(name=names), now=NOW)
    assert problems == []
    assert (None if record.name is None else record.name.reveal("test")) == name


def test_a_name_that_is_too_long_is_left_out(fhir) -> None:
    (record,), problems = fhir.read(fhir.patient(name=[{"text": "x" * 201}]))
    assert record.name is None
    assert problems == ["Patient.ndjson:1: bad_name in `Patient.name[0]`"]


def test_identifiers(fhir) -> None:
    def coded(code: str) -> dict[str, object]:
        return {"coding": [{"code": code}]}

    identifiers = [
        {"type": fhir.MR, "system": "https://hospital.example.invalid", "value": " M-1 "},
        {"type": fhir.MR, "value": "M-2"},
        {"system": "https://lab.example.invalid|x", "value": "L-1"},
        {"type": coded("PI"), "system": "urn:oid:1.2.3", "value": "I-1"},
        {"system": "urn:oid:2.16.156.10011.1.3", "value": "11010519491231002x"},
        {"type": coded("SS"), "system": "http://hl7.org/fhir/sid/us-ssn", "value": "999-22-1962"},
        {"type": coded("DL"), "system": "urn:oid:2.16", "value": "S99942380"},
        {"type": coded("PPN"), "system": "https://passport.example.invalid", "value": "X45815551X"},
        {"system": "https://empty.example.invalid"},
        {"value": "without a system"},
    ]
    (record,), problems = fhir.read(fhir.patient(identifier=identifiers))
    assert problems == []
    assert _shown(record.identifiers) == [
        ("fhir", "p-1"),
        ("mrn", "M-1"),
        ("mrn", "M-2"),
        ("https://lab.example.invalid/x", "L-1"),
        ("urn:oid:1.2.3", "I-1"),
        ("cn.resident-id", "11010519491231002x"),
    ]


def test_contact_points(fhir) -> None:
    telecom = [
        {"system": "phone", "value": "555-978-4581", "use": "home"},
        {"system": "email", "value": "a@example.invalid", "rank": 1,
         "extension": [fhir.own("verified", "DateTime", "2025-03-03T09:00:00+08:00")]},
        {"system": "sms", "value": "555-978-4582", "period": {"start": "2020-01-01"}},
        {"system": "phone", "value": "555-978-4583", "use": "old"},
        {"system": "phone", "value": "555-978-4584", "period": {"end": "2026-01-14"}},
        {"system": "phone", "value": "555-978-4585", "period": {"end": "2026-01-15"}},
        {"system": "fax", "value": "555-978-4586"},
        {"system": "pager", "value": "1"},
        {"system": "phone"},
    ]  # fmt: skip
    (record,), problems = fhir.read(fhir.patient(telecom=telecom), now=NOW)
    assert problems == []
    found = [(c.kind, c.address.reveal("test")[-4:], c.status, c.rank) for c in record.contacts]
    assert found == [
        (AddressKind.PHONE, "4581", ContactStatus.UNVERIFIED, 100),
        (AddressKind.EMAIL, "alid", ContactStatus.VALID, 1),
        (AddressKind.PHONE, "4582", ContactStatus.UNVERIFIED, 102),
        (AddressKind.PHONE, "4585", ContactStatus.UNVERIFIED, 105),
        (AddressKind.PHONE, "4583", ContactStatus.INVALID, 103),
        (AddressKind.PHONE, "4584", ContactStatus.INVALID, 104),
    ]
    assert record.contacts[1].verified_at == parse_instant("2025-03-03T09:00:00+08:00")


def test_without_a_clock_whatever_has_an_end_is_over(fhir) -> None:
    (record,), _ = fhir.read(fhir.patient(telecom=[{"system": "phone", "value": "1", "period": {"end": "2999"}}]))
    assert record.contacts[0].status is ContactStatus.INVALID


def test_a_contact_point_without_a_system_is_told(fhir) -> None:
    (record,), problems = fhir.read(fhir.patient(telecom=[{"value": "555-978-4581"}]))
    assert record.contacts == ()
    assert problems == ["Patient.ndjson:1: missing in `Patient.telecom[0].system`"]


@pytest.mark.parametrize(
    ("given", "dead"),
    [
        ({}, False),
        ({"deceasedBoolean": False}, False),
        ({"deceasedBoolean": True}, True),
        ({"deceasedDateTime": "2025-11-02"}, True),
        ({"deceasedDateTime": "2025-11-02T10:00:00+08:00"}, True),
        ({"deceasedDateTime": "some day in May"}, True),
        ({"deceasedDateTime": ""}, False),
        ({"_deceasedDateTime": {"extension": [{"url": "x", "valueCode": "unknown"}]}}, True),
    ],
)
def test_deaths(fhir, given: dict[str, object], *, dead: bool) -> None:
    (record,), problems = fhir.read(fhir.patient(**given))
    assert problems == []
    assert record.deceased is dead


@pytest.mark.parametrize(
    ("given", "born", "problem"),
    [
        ({"birthDate": "1985-03-02"}, date(1985, 3, 2), None),
        ({"birthDate": "1985-03-02", "_birthDate": {"extension": [
            {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
             "valueDateTime": "1985-03-02T04:00:00Z"}]}}, date(1985, 3, 2), None),
        ({"_birthDate": {"extension": [{"url": "x", "valueCode": "masked"}]}}, None, None),
        ({"birthDate": "1985-03"}, None, "date_partial"),
        ({"birthDate": "1985"}, None, "date_partial"),
        ({"birthDate": "1985-13-02"}, None, "bad_date"),
        ({"birthDate": "1985-3-2"}, None, "bad_date"),
        ({"birthDate": "02.03.1985"}, None, "bad_date"),
    ],
)  # fmt: skip
def test_birth_dates(fhir, given: dict[str, object], born: date | None, problem: str | None) -> None:
    (record,), problems = fhir.read(fhir.patient(**given))
    assert (None if record.birth_date is None else record.birth_date.reveal("test")) == born
    wanted = f"Patient.ndjson:1: {problem} in `Patient.birthDate` (the age counts as unknown)"
    assert problems == ([] if problem is None else [wanted])


def test_language_and_zone(fhir) -> None:
    spoken = [
        {"language": {"coding": [{"code": "en-US"}]}},
        {"language": {"coding": [{"code": "zh-CN"}]}, "preferred": True},
    ]
    zone = {"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "Asia/Urumqi"}
    (record,), problems = fhir.read(fhir.patient(communication=spoken, extension=[zone]))
    assert problems == []
    assert (record.language, record.zone) == ("zh-CN", "Asia/Urumqi")


def test_a_clear_column_takes_no_free_text(fhir) -> None:
    spoken = [{"language": {"coding": [{"code": "ask her daughter Wei"}]}}]
    zone = {"url": "http://hl7.org/fhir/StructureDefinition/timezone", "valueCode": "near Shanghai"}
    (record,), problems = fhir.read(fhir.patient(communication=spoken, extension=[zone]))
    assert (record.language, record.zone) == ("", "")
    assert problems == [
        "Patient.ndjson:1: bad_value in `Patient.communication[0].language` (a language tag such as zh-CN)",
        "Patient.ndjson:1: bad_zone in `Patient.extension.timezone` (for example Asia/Shanghai)",
    ]


def test_links(fhir) -> None:
    link = [
        {"type": "replaced-by", "other": {"reference": "https://x.example.invalid/fhir/Patient/p-2/_history/3"}},
        {"type": "replaces", "other": {"reference": "Patient/p-0"}},
        {"type": "replaces", "other": {"reference": "urn:uuid:0a0b"}},
        {"type": "seealso", "other": {"reference": "Patient/p-9"}},
    ]
    (record,), problems = fhir.read(fhir.patient(link=link, active=False))
    assert problems == []
    assert _shown([record.same_as]) == [("fhir", "p-2")]
    assert _shown(record.replaces) == [("fhir", "p-0"), ("fhir", "0a0b")]


def test_a_link_by_identifier(fhir) -> None:
    other = {"identifier": {"type": fhir.MR, "value": "M-7"}}
    (record,), _ = fhir.read(fhir.patient(link=[{"type": "replaced-by", "other": other}]))
    assert _shown([record.same_as]) == [("mrn", "M-7")]


def test_an_inactive_record_is_taken_and_told(fhir) -> None:
    records, problems = fhir.read(fhir.patient(active=False))
    assert len(records) == 1
    assert problems == ["Patient.ndjson:1: inactive in `Patient.active`"]


def test_persons_in_patient_contact(fhir) -> None:
    contact = [
        {"relationship": fhir.coded("GUARD", "MTH"), "name": {"family": "林", "given": ["芳"]},
         "telecom": [{"system": "phone", "value": "555-978-4581"}], "extension": [
             fhir.own("verified", "Boolean", value=True), fhir.own("scope", "Code", "results")]},
        {"relationship": fhir.coded("FTH"), "name": {"text": "Lin Wei"}, "period": {"end": "2025-12"}},
        {"relationship": fhir.coded("C"), "name": {"text": "Emergency"}},
        {"name": {"text": "Unsaid"}},
        {"relationship": fhir.coded("E"), "name": {"text": "Employer"}},
        {"relationship": fhir.coded("I"), "organization": {"reference": "Organization/1"}},
        {"relationship": fhir.coded("GUARD"), "telecom": [{"system": "phone", "value": "1"}]},
        {"relationship": fhir.coded("MTH"), "name": {"use": "official"}},
    ]  # fmt: skip
    (record,), problems = fhir.read(fhir.patient(contact=contact))
    found = [(p.name.reveal("test"), p.relation, p.acts, p.verified) for p in record.related]
    assert found == [
        ("林芳", Relation.GUARDIAN, True, True),
        ("Lin Wei", Relation.PARENT, False, False),
        ("Emergency", Relation.OTHER, False, False),
        ("Unsaid", Relation.OTHER, False, False),
    ]
    assert [scope.value for scope in record.related[0].scopes] == ["results"]
    assert len(record.related[0].contacts) == 1
    assert record.related[1].until == parse_instant("2026-01-01T00:00:00Z")
    assert problems == [
        "Patient.ndjson:1: missing in `Patient.contact[6].name` (the guardian was left out)",
        "Patient.ndjson:1: missing in `Patient.contact[7].name` (the person was left out)",
    ]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"birthDate": 19850302}, "Patient.birthDate"),
        ({"active": "yes"}, "Patient.active"),
        ({"deceasedBoolean": "true"}, "Patient.deceasedBoolean"),
        ({"deceasedDateTime": 2025}, "Patient.deceasedDateTime"),
        ({"name": {"family": "x"}}, "Patient.name"),
        ({"name": [{"family": ["x"]}]}, "Patient.name[0].family"),
        ({"name": [{"given": "x"}]}, "Patient.name[0].given"),
        ({"name": ["x"]}, "Patient.name[0]"),
        ({"telecom": "555"}, "Patient.telecom"),
        ({"telecom": [{"system": "phone", "value": 555}]}, "Patient.telecom[0].value"),
        ({"telecom": [{"system": "phone", "value": "1", "rank": "first"}]}, "Patient.telecom[0].rank"),
        ({"identifier": [{"value": 7}]}, "Patient.identifier[0].value"),
        ({"identifier": [{"value": "x", "type": "MR"}]}, "Patient.identifier[0].type"),
        ({"link": [{"type": "replaced-by", "other": "p-2"}]}, "Patient.link[0].other"),
        ({"communication": [{"language": "en"}]}, "Patient.communication[0].language"),
        ({"contact": {"name": {}}}, "Patient.contact"),
        ({"extension": {}}, "Patient.extension"),
    ],
)
def test_values_of_the_wrong_type_cost_the_row(fhir, more: dict[str, object], field: str) -> None:
    records, problems = fhir.read(fhir.patient(**more), fhir.patient(id="p-2"))
    assert [record.source.line for record in records] == [2]
    assert problems == [f"Patient.ndjson:1: wrong_type in `{field}`"]


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        (None, "missing in `Patient.link[0].other.reference`"),
        ("Practitioner/7", "bad_value in `Patient.link[0].other.reference` (write Patient/<id>)"),
        ("#p1", "bad_value in `Patient.link[0].other.reference` (write Patient/<id>)"),
        ("Patient/", "bad_value in `Patient.link[0].other.reference` (write Patient/<id>)"),
    ],
)
def test_references_that_name_no_patient(fhir, reference: str | None, says: str) -> None:
    records, problems = fhir.read(fhir.patient(link=[{"type": "replaced-by", "other": {"reference": reference}}]))
    assert records == []
    assert problems == [f"Patient.ndjson:1: {says}"]
