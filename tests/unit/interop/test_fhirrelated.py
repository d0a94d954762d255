"""FHIR RelatedPerson."""

from __future__ import annotations

import pytest

from carelink.model.moment import parse_instant
from carelink.vocabulary import ContactStatus, DisclosureScope, Relation


def test_every_field(fhir) -> None:
    resource = fhir.related(
        relationship=fhir.coded("MTH"),
        telecom=[{"system": "email", "value": "fang@example.invalid"}],
        period={"start": "2020-01-01", "end": "2030-12-31"},
        extension=[
            fhir.own("acts", "Boolean", value=True),
            fhir.own("verified", "Boolean", value=True),
            fhir.own("scope", "Code", "logistics"),
            fhir.own("scope", "Code", "results"),
        ],
    )
    (record,), problems = fhir.read(resource, zone="Asia/Shanghai")
    assert problems == []
    assert record.patient is not None
    assert (record.patient[0], record.patient[1].reveal("test")) == ("fhir", "p-1")
    assert (record.relation, record.acts, record.verified) == (Relation.PARENT, True, True)
    assert record.scopes == (DisclosureScope.LOGISTICS, DisclosureScope.RESULTS)
    assert record.since == parse_instant("2020-01-01T00:00:00+08:00")
    assert record.until == parse_instant("2031-01-01T00:00:00+08:00")
    assert record.contacts[0].status is ContactStatus.UNVERIFIED
    assert record.key is not None
    assert record.key.reveal("test") == "RelatedPerson/r-1"
    assert (record.source.file, record.source.line) == ("RelatedPerson.ndjson", 1)


@pytest.mark.parametrize(
    ("codes", "relation", "acts"),
    [
        (["GUARD"], Relation.GUARDIAN, True),
        (["MTH", "GUARD"], Relation.GUARDIAN, True),
        (["FTH"], Relation.PARENT, False),
        (["WIFE"], Relation.SPOUSE, False),
        (["DAU"], Relation.CHILD, False),
        (["BRO"], Relation.SIBLING, False),
        (["FRND"], Relation.OTHER, False),
        ([], Relation.OTHER, False),
    ],
)
def test_relations_and_who_may_act(fhir, codes: list[str], relation: Relation, *, acts: bool) -> None:
    (record,), _ = fhir.read(fhir.related(relationship=fhir.coded(*codes)))
    assert (record.relation, record.acts, record.verified) == (relation, acts, False)


def test_one_that_is_no_longer_active_has_no_power(fhir) -> None:
    extensions = [fhir.own("verified", "Boolean", value=True), fhir.own("scope", "Code", "results")]
    resource = fhir.related(active=False, relationship=fhir.coded("GUARD"), extension=extensions)
    (record,), _ = fhir.read(resource)
    assert (record.acts, record.verified, record.scopes) == (False, False, ())


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"patient": None}, "missing in `RelatedPerson.patient.reference`"),
        ({"patient": {}}, "missing in `RelatedPerson.patient.reference`"),
        ({"patient": {"reference": "Group/1"}}, "bad_value in `RelatedPerson.patient.reference` (write Patient/<id>)"),
        ({"patient": "Patient/p-1"}, "wrong_type in `RelatedPerson.patient`"),
        ({"name": []}, "missing in `RelatedPerson.name`"),
        ({"id": ""}, "missing_id in `RelatedPerson.id`"),
        ({"period": {"start": "soon"}}, "bad_date in `RelatedPerson.period.start`"),
        ({"extension": [{"url": "https://carelink.invalid/fhir/scope", "valueCode": "everything"}]},
         "bad_value in `RelatedPerson.extension.scope`"),
        ({"extension": [{"url": "https://carelink.invalid/fhir/acts", "valueBoolean": "yes"}]},
         "wrong_type in `RelatedPerson.extension[0].valueBoolean`"),
    ],
)  # fmt: skip
def test_what_costs_the_row(fhir, more: dict[str, object], says: str) -> None:
    records, problems = fhir.read(fhir.related(**more), fhir.related(id="r-2"))
    assert [record.source.line for record in records] == [2]
    assert problems == [f"RelatedPerson.ndjson:1: {says}"]
