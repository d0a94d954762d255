"""The bundled people are what the generator gives, belong to nobody, and hold every hard case; enrichment says so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from datetime import date
from pathlib import Path

import phonenumbers
import pytest

from carelink.interop.demo_cast import CASES, SEED, cast
from carelink.interop.demo_fhir import demo_files
from carelink.interop.fhir import read_fhir
from carelink.interop.records import Fault, GrantRecord, PatientRecord, Problem, Source
from carelink.interop.synthetic import DEMO_DATA, LABEL, enrich
from carelink.model.moment import parse_instant
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, GrantState, RecipientRole

AT = parse_instant("2026-01-15T10:00:00+08:00")
TODAY = date(2026, 1, 15)


@pytest.fixture(scope="module")
def read() -> tuple[list[PatientRecord], list[GrantRecord], list[Problem]]:
    items = list(read_fhir(DEMO_DATA))
    return (
        [item for item in items if isinstance(item, PatientRecord)],
        [item for item in items if isinstance(item, GrantRecord)],
        [item for item in items if isinstance(item, Problem)],
    )


def _resources(name: str) -> list[dict]:
    return [json.loads(line) for line in (DEMO_DATA / name).read_text(encoding="utf-8").splitlines()]


def test_the_files_are_what_the_generator_gives() -> None:
    made = demo_files(SEED)
    assert made == {path.name: path.read_bytes() for path in DEMO_DATA.glob("*.ndjson")}
    assert demo_files(SEED + 1)["Patient.ndjson"] != made["Patient.ndjson"]


def test_the_documented_command_writes_them_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "carelink.interop.demo_fhir", str(tmp_path)]
    subprocess.run(command, check=True, timeout=60)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == demo_files()


def test_the_reader_takes_every_row(read: tuple[list[PatientRecord], list[GrantRecord], list[Problem]]) -> None:
    patients, grants, problems = read
    people = list(cast())
    assert len(patients) == len(people) == sum(case.count for case in CASES) + 1
    assert len(grants) == sum(len(person.consents) for person in people)
    assert [(problem.code, problem.lost) for problem in problems] == [(Fault.DATE_PARTIAL, False)]
    assert all(grant.evidence.reveal("test") for grant in grants)


def test_every_hard_case_is_there(read: tuple[list[PatientRecord], list[GrantRecord], list[Problem]]) -> None:
    patients, grants, _ = read
    assert sum(record.deceased for record in patients) == 3
    assert sum(record.birth_date is None for record in patients) == 3
    assert sum(not record.zone for record in patients) == 2
    children = [r for r in patients if r.birth_date is not None and r.birth_date.use(lambda d: d > date(2012, 1, 15))]
    assert Counter(len(record.related) for record in children) == {1: 5, 0: 2}
    assert Counter(person.verified for record in children for person in record.related) == {True: 4, False: 1}
    assert sum(grant.state is GrantState.WITHDRAWN for grant in grants) == 2
    assert sum(grant.until is not None and grant.until <= AT for grant in grants) == 2
    assert sum(grant.since is not None and grant.since > AT for grant in grants) == 1
    assert sum(grant.by is RecipientRole.GUARDIAN for grant in grants) == 5
    mrns = [[value for system, value in record.identifiers if system == "mrn"] for record in patients]
    assert Counter(map(len, mrns)) == {1: len(patients) - 1, 2: 1}
    assert sum(record.same_as is not None for record in patients) == 1
    chinese = [r for r in patients if r.name is not None and r.name.use(lambda text: ord(text[0]) > 0x2E7F)]
    assert 20 <= len(chinese) <= len(patients) - 20


def test_a_family_shares_phone_and_mailbox() -> None:
    family = [person for person in cast() if person.case == "family"]
    mother, *children = family
    assert {(child.guardian.phone, child.guardian.mail) for child in children if child.guardian} == {
        (mother.phone, mother.mail)
    }
    assert {child.family for child in children} == {mother.family}


def test_no_number_and_no_address_can_be_anybodys() -> None:
    found: dict[str, set[str]] = {"phone": set(), "email": set()}
    for resource in [*_resources("Patient.ndjson"), *_resources("RelatedPerson.ndjson")]:
        for item in resource.get("telecom", []):
            found[item["system"]].add(item["value"])
    assert all(address.endswith("@example.invalid") for address in found["email"])
    reserved = {text for text in found["phone"] if re.fullmatch(r"\+1 212 555 01\d\d", text)}
    # What is not in the range set aside for fiction is too short for anybody to have.
    rest = [phonenumbers.parse(text, "CN") for text in found["phone"] - reserved]
    assert len(rest) == 2
    assert not any(phonenumbers.is_possible_number(number) for number in rest)
    assert len(reserved) > 50
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(text, "CN")) for text in reserved)


def _record(number: int, *, born: date | None = date(1970, 1, 1), deceased: bool = False) -> PatientRecord:
    return PatientRecord(
        identifiers=(("mrn", Personal(f"M-{number}")),),
        birth_date=None if born is None else Personal(born),
        deceased=deceased,
        source=Source("x.ndjson", number),
    )


def test_enrichment_is_labelled_and_repeatable() -> None:
    records = [_record(number) for number in range(1, 21)]
    enriched, grants = enrich(records, TODAY)
    for record in enriched:
        (mail,) = record.contacts
        assert mail.kind is AddressKind.EMAIL
        assert re.fullmatch(r"synthetic-\d+@example\.invalid", mail.address.reveal("test"))
    assert all(grant.evidence.reveal("test").startswith(LABEL) for grant in grants)
    assert enriched == enrich(records, TODAY)[0]
    assert grants == enrich(records, TODAY)[1]
    assert all(not record.contacts for record in records), "the records given are left alone"
    # Of ten, one was never asked, one took it back, one let it end.
    assert len(grants) == 18
    assert sum(grant.state is GrantState.WITHDRAWN for grant in grants) == 2
    assert sum(grant.until is not None and grant.until < AT for grant in grants) == 2


def test_every_second_child_gets_a_guardian_and_the_dead_keep_their_grant() -> None:
    eve = date(2012, 1, 16)  # fourteen tomorrow
    records = [_record(number, born=eve) for number in range(1, 5)]
    records += [_record(5, born=date(2012, 1, 15)), _record(6, born=None), _record(12, deceased=True)]
    enriched, grants = enrich(records, TODAY)
    assert [len(record.related) for record in enriched] == [1, 0, 1, 0, 0, 0, 0]
    assert [grant.by for grant in grants[:4]] == [RecipientRole.GUARDIAN, RecipientRole.SELF] * 2
    guardian = enriched[0].related[0]
    assert guardian.name.reveal("test").startswith(LABEL)
    assert (guardian.verified, guardian.acts) == (True, True)
    assert guardian.contacts[0].address.reveal("test").endswith("@example.invalid")
    assert grants[-1].state is GrantState.GIVEN
