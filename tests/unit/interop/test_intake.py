"""From a record to what the registration takes: a bad part costs itself, a row without an identifier is lost."""

from __future__ import annotations

import pytest

from carelink.errors import InvalidInputError
from carelink.interop.intake import take
from carelink.interop.records import ContactRecord, PatientRecord, RelatedRecord, Source
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ContactStatus, Relation

SOURCE = Source("f", 7)


def _record(*pairs: tuple[str, str], phones: tuple[str, ...] = (), **more) -> PatientRecord:
    return PatientRecord(
        identifiers=tuple((system, Personal(value)) for system, value in pairs or (("mrn", "M-1"),)),
        contacts=tuple(ContactRecord(kind=AddressKind.PHONE, address=Personal(phone)) for phone in phones),
        source=SOURCE,
        **more,
    )


def _told(record) -> list[tuple[str, bool]]:
    return [(str(problem), problem.lost) for problem in take(record, "CN").problems]


def test_a_bad_identifier_beside_a_good_one_is_left_out() -> None:
    record = _record(("mrn", "M-1"), ("cn.resident-id", "123"))
    assert _told(record) == [("f:7: bad_identifier in `identifier`", False)]
    given = take(record, "CN").given
    assert given is not None
    assert [system for system, _ in given.identifiers] == ["mrn"]


def test_a_row_whose_identifiers_are_all_bad_is_lost_once() -> None:
    record = _record(("cn.resident-id", "123"), ("cn.resident-id", "456"))
    assert take(record, "CN").given is None
    assert [lost for _, lost in _told(record)] == [True]
    assert [lost for _, lost in _told(_record(("cn.resident-id", "123")))] == [True]


def test_addresses() -> None:
    record = _record(phones=("13800138000", "12", "see daughter"))
    assert _told(record) == [
        ("f:7: invalid_number in `patient.phone`", False),
        ("f:7: bad_address in `patient.phone` (write +<country code><number>)", False),
    ]
    given = take(record, "CN").given
    assert given is not None
    assert len(given.contacts) == 2


def test_the_region_reads_numbers_without_a_country() -> None:
    assert _told(_record(phones=("13800138000",))) == []
    assert [problem.code.value for problem in take(_record(phones=("13800138000",)), "US").problems] == [
        "invalid_number"
    ]


def _related(**more) -> RelatedRecord:
    return RelatedRecord(
        name=Personal("Fang"),
        relation=Relation.PARENT,
        contacts=(
            ContactRecord(kind=AddressKind.EMAIL, address=Personal("f@example.invalid"), status=ContactStatus.VALID),
        ),
        **more,
    )


def test_a_related_person_alone_amends_a_patient_who_must_be_known() -> None:
    given = take(_related(patient=("fhir", Personal("p-1")), source=SOURCE, key=Personal("r-1")), "CN").given
    assert given is not None
    assert given.known
    assert (given.name, given.contacts, len(given.related)) == (None, (), 1)
    assert given.related[0].key is not None
    assert given.related[0].contacts[0].status is ContactStatus.VALID


def test_a_related_person_of_nobody() -> None:
    with pytest.raises(InvalidInputError):
        take(_related(), "CN")
    lost = take(_related(patient=("fhir", Personal("")), source=SOURCE), "CN")
    assert lost.given is None
    assert [problem.lost for problem in lost.problems] == [True]
