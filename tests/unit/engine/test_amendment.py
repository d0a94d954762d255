"""A record that comes again: what it corrects, what it adds, and what it can never bring back."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from carelink.cli.audit import replay_folder
from carelink.engine.patientinput import ContactInput, PatientInput, Registered, RelatedInput
from carelink.engine.registration import Registration
from carelink.errors import ConflictError, InvalidInputError, NotFoundError
from carelink.model.moment import Instant
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, AgeBand, ContactStatus, DisclosureScope, Effect, Relation, Standing

PHONE, MAIL = "+8613800138000", "lin@example.invalid"


@pytest.fixture(params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["memory", "sqlite"])
def world(request: pytest.FixtureRequest, tmp_path: Path):
    made = World(tmp_path, sqlite=request.param)
    yield made
    made.link.close()


def _contact(address: str = MAIL, status: ContactStatus = ContactStatus.UNVERIFIED, **more) -> ContactInput:
    kind = AddressKind.EMAIL if "@" in address else AddressKind.PHONE
    return ContactInput(kind=kind, address=Personal(address), status=status, **more)


def _input(*numbers: str, name: str | None = "Lin", born: date | None = date(1980, 5, 17), **more) -> PatientInput:
    return PatientInput(
        identifiers=tuple(("mrn", Personal(number)) for number in numbers or ("M-1",)),
        name=None if name is None else Personal(name),
        birth_date=None if born is None else Personal(born),
        **more,
    )


def _guardian(name: str = "Fang", *, key: str | None = "r-1", **more) -> RelatedInput:
    more.setdefault("relation", Relation.PARENT)
    return RelatedInput(name=Personal(name), key=None if key is None else Personal(key), **more)


def _one(world: World, given: PatientInput) -> Registered:
    (result,) = world.link.register_many([given])
    assert result.error is None
    return result


def _row(world: World, patient):
    with world.link.wiring.store.reader() as reader:
        return reader.patients([patient])[patient]


def _contacts(world: World, owner):
    with world.link.wiring.store.reader() as reader:
        return reader.contacts([owner]).get(owner, ())


def _related(world: World, patient):
    with world.link.wiring.store.reader() as reader:
        return reader.related([patient]).get(patient, ())


def _opened(world: World, owner, table: str, row, column: str):
    with world.link.wiring.store.reader() as reader:
        envelope = reader.sealed(table, [row], [column])[(row, column)]
    return world.link.safe.open(owner, table, row, column, envelope).reveal("test")


def _size(world: World) -> int:
    with world.link.wiring.store.reader() as reader:
        return reader.head().size


def test_the_same_record_again_changes_nothing_at_all(world: World) -> None:
    given = _input(contacts=(_contact(), _contact(PHONE)), related=(_guardian(contacts=(_contact("f@x.invalid"),)),))
    first = _one(world, given)
    assert first.created
    before = _size(world)
    again = _one(world, given)
    assert (again.patient, again.created, again.changed) == (first.patient, False, False)
    assert _size(world) == before


def test_name_birth_date_language_and_zone_are_corrected(world: World) -> None:
    patient = _one(world, _input()).patient
    changed = _input(name="Lin Xiaoman", born=date(2015, 5, 17), language="zh-CN", zone="Asia/Urumqi")
    assert _one(world, changed).changed
    row = _row(world, patient)
    assert (row.age, row.language, row.zone) == (AgeBand.FROM_8, "zh-CN", "Asia/Urumqi")
    assert _opened(world, patient, "patient", patient, "name") == "Lin Xiaoman"
    assert _opened(world, patient, "patient", patient, "birth_date") == date(2015, 5, 17)


def test_what_a_record_does_not_say_stays(world: World) -> None:
    patient = _one(world, _input(language="zh-CN", zone="Asia/Urumqi", contacts=(_contact(),))).patient
    assert not _one(world, _input(name=None, born=None)).changed
    row = _row(world, patient)
    assert (row.age, row.language, row.zone) == (AgeBand.ADULT, "zh-CN", "Asia/Urumqi")
    assert len(_contacts(world, patient)) == 1


def test_a_corrected_age_decides(world: World) -> None:
    world.content()
    patient = _one(world, _input(contacts=(_contact(),))).patient
    world.link.grant(patient, purposes=["care"], channels=["email"], evidence="form", separate=True, notice="v1")
    assert world.link.send(world.ask(patient)).effect is Effect.PERMIT
    _one(world, _input(born=date(2018, 1, 1)))
    assert world.link.send(world.ask(patient)).effect is Effect.REFUSE


def test_a_second_record_number_is_learned(world: World) -> None:
    patient = _one(world, _input("M-1")).patient
    assert _one(world, _input("M-1", "M-2")).changed
    assert world.link.find("M-2") == patient
    assert _one(world, _input("M-2")).patient == patient
    assert world.link.find("M-1") == patient


def test_death_comes_and_does_not_go(world: World) -> None:
    patient = _one(world, _input()).patient
    assert _one(world, _input(deceased=True)).changed
    assert not _one(world, _input(deceased=False)).changed
    assert _row(world, patient).standing is Standing.DECEASED


# -- addresses -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "said", "after"),
    [
        (ContactStatus.UNVERIFIED, ContactStatus.VALID, ContactStatus.VALID),
        (ContactStatus.VALID, ContactStatus.UNVERIFIED, ContactStatus.VALID),
        (ContactStatus.VALID, ContactStatus.INVALID, ContactStatus.INVALID),
        (ContactStatus.UNVERIFIED, ContactStatus.INVALID, ContactStatus.INVALID),
        (ContactStatus.INVALID, ContactStatus.VALID, ContactStatus.INVALID),
        (ContactStatus.INVALID, ContactStatus.UNVERIFIED, ContactStatus.INVALID),
        (ContactStatus.RECYCLED, ContactStatus.VALID, ContactStatus.RECYCLED),
        (ContactStatus.RECYCLED, ContactStatus.INVALID, ContactStatus.RECYCLED),
    ],
)
def test_what_an_address_is_after_it_is_said_again(world: World, before, said, after) -> None:
    patient = _one(world, _input(contacts=(_contact(status=before),))).patient
    _one(world, _input(contacts=(_contact(status=said),)))
    assert [contact.status for contact in _contacts(world, patient)] == [after]


def test_a_later_verification_counts_an_earlier_one_does_not(world: World) -> None:
    def said(at: int | None) -> PatientInput:
        moment = None if at is None else Instant(at)
        return _input(contacts=(_contact(status=ContactStatus.VALID, verified_at=moment),))

    patient = _one(world, said(5)).patient
    for at, now in ((3, 5), (9, 9), (None, 9)):
        _one(world, said(at))
        assert [contact.verified_at for contact in _contacts(world, patient)] == [now]


def test_an_address_that_is_over_is_not_written_to(world: World) -> None:
    world.content()
    patient = _one(world, _input(contacts=(_contact(),))).patient
    world.link.grant(patient, purposes=["care"], channels=["email"], evidence="form", separate=True, notice="v1")
    assert world.link.preview(world.ask(patient)).decision.effect is Effect.PERMIT
    _one(world, _input(contacts=(_contact(status=ContactStatus.INVALID),)))
    assert world.link.preview(world.ask(patient)).decision.effect is Effect.REFUSE


def test_the_order_of_preference_follows_the_source(world: World) -> None:
    patient = _one(world, _input(contacts=(_contact(rank=1), _contact("b@example.invalid", rank=2)))).patient
    assert _one(world, _input(contacts=(_contact(rank=2), _contact("b@example.invalid", rank=1)))).changed
    assert [contact.rank for contact in _contacts(world, patient)] == [1, 2]
    first = _contacts(world, patient)[0]
    assert _opened(world, patient, "contact", first.id, "address") == "b@example.invalid"


def test_a_stop_outlives_a_record_that_comes_again(world: World) -> None:
    world.content()
    patient = _one(world, _input(contacts=(_contact(),))).patient
    world.link.grant(patient, purposes=["care"], channels=["email"], evidence="form", separate=True, notice="v1")
    world.link.stop(patient, purposes=["care"])
    _one(world, _input(contacts=(_contact(status=ContactStatus.VALID), _contact(PHONE)), name="Other"))
    outcome = world.link.send(world.ask(patient))
    assert outcome.effect is Effect.REFUSE
    assert "SUPPRESSED" in str(outcome.decision.codes)


# -- related persons -------------------------------------------------------------------------------------------------


def test_a_guardian_who_comes_later(world: World) -> None:
    patient = _one(world, _input(born=date(2018, 1, 1))).patient
    given = _input(
        born=None, name=None, related=(_guardian(acts=True, verified=True, contacts=(_contact(),)),), known=True
    )
    assert _one(world, given).changed
    (row,) = _related(world, patient)
    assert (row.acts, row.verified, row.relation) == (True, True, Relation.PARENT)
    assert len(_contacts(world, row.id)) == 1
    assert not _one(world, given).changed
    assert len(_related(world, patient)) == 1


def test_a_guardian_is_known_again_by_the_sources_id(world: World) -> None:
    patient = _one(world, _input(related=(_guardian("Fang"),))).patient
    assert _one(world, _input(related=(_guardian("Fang Lin", relation=Relation.GUARDIAN),))).changed
    (row,) = _related(world, patient)
    assert row.relation is Relation.GUARDIAN
    assert _opened(world, patient, "related", row.id, "name") == "Fang Lin"


def test_a_person_of_the_same_name_with_another_id_is_another(world: World) -> None:
    patient = _one(world, _input(related=(_guardian(key="a"),))).patient
    _one(world, _input(related=(_guardian(key="b"),)))
    assert len(_related(world, patient)) == 2


def test_a_person_without_an_id_is_given_one(world: World) -> None:
    patient = _one(world, _input(related=(_guardian(key=None),))).patient
    assert _one(world, _input(related=(_guardian(key="a"),))).changed
    assert _one(world, _input(related=(_guardian("Fang Lin", key="a"),))).changed
    assert len(_related(world, patient)) == 1


def test_without_an_id_by_name_and_relation(world: World) -> None:
    patient = _one(world, _input(related=(_guardian(key=None),))).patient
    _one(world, _input(related=(_guardian(key=None, verified=True), _guardian("Wei", key=None))))
    assert sorted(row.verified for row in _related(world, patient)) == [False, True]


def test_two_persons_of_one_name_with_ids_of_their_own_stay_two(world: World) -> None:
    patient = _one(world, _input(related=(_guardian(key="a"), _guardian(key="b")))).patient
    assert not _one(world, _input(related=(_guardian(key="a"), _guardian(key="b")))).changed
    assert len(_related(world, patient)) == 2


def test_powers_are_taken_back_as_the_source_says(world: World) -> None:
    scopes = (DisclosureScope.RESULTS,)
    patient = _one(world, _input(related=(_guardian(acts=True, verified=True, scopes=scopes),))).patient
    assert _one(world, _input(related=(_guardian(until=Instant(7)),))).changed
    (row,) = _related(world, patient)
    assert (row.acts, row.verified, row.scopes, row.until) == (False, False, (), 7)


# -- who is meant ----------------------------------------------------------------------------------------------------


def test_nobody_is_made_of_an_amendment(world: World) -> None:
    (result,) = world.link.register_many([_input(known=True, related=(_guardian(),))])
    assert isinstance(result.error, NotFoundError)
    with pytest.raises(NotFoundError):
        world.link.find("M-1")


def test_records_of_one_patient_in_one_batch_are_all_taken(world: World) -> None:
    results = world.link.register_many(
        [
            _input("M-1", contacts=(_contact(),)),
            _input("M-1", "M-2", contacts=(_contact(PHONE),)),
            _input("M-2", name="C"),
        ]
    )
    assert [(r.created, r.changed, r.error) for r in results] == [
        (True, False, None), (False, True, None), (False, True, None),
    ]  # fmt: skip
    patient = results[0].patient
    assert {r.patient for r in results} == {patient}
    assert len(_contacts(world, patient)) == 2
    assert _opened(world, patient, "patient", patient, "name") == "C"


def test_an_amendment_in_the_batch_that_makes_its_patient(world: World) -> None:
    amendment = _input(name=None, born=None, related=(_guardian(),), known=True)
    results = world.link.register_many([_input(), amendment])
    assert [(r.created, r.changed, r.error) for r in results] == [(True, False, None), (False, True, None)]
    assert len(_related(world, results[0].patient)) == 1


def test_a_patient_whom_another_process_made_in_between_is_updated(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, made = Registration._known, []

    def late(self, reader, forms):
        if not made:
            made.append(None)
            made[0] = world.link.register_many([_input(name="First")])[0].patient
            return {}  # what was seen before the other one committed
        return real(self, reader, forms)

    monkeypatch.setattr(Registration, "_known", late)
    result = _one(world, _input(name="Second"))
    assert (result.patient, result.created, result.changed) == (made[0], False, True)
    assert len(list(world.link.patients())) == 1


def test_identifiers_of_two_patients_join_nobody(world: World) -> None:
    first, second = _one(world, _input("M-1")).patient, _one(world, _input("M-2")).patient
    (result,) = world.link.register_many([_input("M-1", "M-2", name="Mixed")])
    assert isinstance(result.error, ConflictError)
    assert (world.link.find("M-1"), world.link.find("M-2")) == (first, second)
    world.link.registration.merge(second, first)
    assert _one(world, _input("M-1", "M-2")).patient == first


def test_a_shared_placeholder_number_joins_nobody(world: World) -> None:
    def said(number: str, born: date) -> PatientInput:
        pairs = (("mrn", Personal(number)), ("insurance", Personal("999-99-9999")))
        return PatientInput(identifiers=pairs, name=Personal(number), birth_date=Personal(born))

    results = world.link.register_many([said("M-1", date(1980, 1, 1)), said("M-2", date(1990, 1, 1))])
    assert results[0].created
    assert isinstance(results[1].error, ConflictError)
    # The same person under a second record number has the same birth date.
    assert _one(world, said("M-3", date(1980, 1, 1))).patient == results[0].patient


@pytest.mark.parametrize(
    "bad",
    [
        _input(""),
        _input("a\nb"),
        PatientInput(identifiers=()),
        PatientInput(identifiers=(("cn.resident-id", Personal("123")),)),
        _input(name=""),
        _input(name="x" * 201),
        _input(zone="Nowhere"),
        _input(language="her daughter's"),
        _input(contacts=(_contact("not-a-number"),)),
        _input(contacts=(ContactInput(kind=AddressKind.EMAIL, address=Personal("nobody")),)),
        _input(related=(_guardian(contacts=(_contact("x"),)),)),
        _input(related=(_guardian(""),)),
    ],
)
def test_one_bad_record_costs_no_other(world: World, bad: PatientInput) -> None:
    first, second, third = world.link.register_many([_input("M-1"), bad, _input("M-2")])
    assert first.created
    assert third.created
    assert isinstance(second.error, InvalidInputError)


def test_many_look_ups_at_once(world: World) -> None:
    patient = _one(world, _input("M-1", "M-2")).patient
    found = world.link.registration.find_many(
        [("mrn", "M-1"), ("mrn", " M-2 "), ("mrn", "M-3"), ("mrn", ""), ("", "x")]
    )
    assert found == {("mrn", "M-1"): patient, ("mrn", " M-2 "): patient}


# -- merges ----------------------------------------------------------------------------------------------------------


def test_a_merge_into_a_record_that_was_merged_goes_to_its_survivor(world: World) -> None:
    a, b, c = (_one(world, _input(number)).patient for number in ("A", "B", "C"))
    world.link.registration.merge(b, c)
    world.link.registration.merge(a, b)
    assert _row(world, a).merged_into == c
    with pytest.raises(InvalidInputError, match="into itself"):
        world.link.registration.merge(c, a)


def test_the_death_of_one_record_is_the_death_of_the_person(world: World) -> None:
    old, survivor = _one(world, _input("A", deceased=True)).patient, _one(world, _input("B")).patient
    world.link.registration.merge(old, survivor)
    assert (_row(world, old).standing, _row(world, survivor).standing) == (Standing.MERGED, Standing.DECEASED)


def test_an_older_record_that_comes_again_does_not_overwrite_its_survivor(world: World) -> None:
    old, survivor = _one(world, _input("A", name="Old")).patient, _one(world, _input("B", name="New")).patient
    world.link.registration.merge(old, survivor)
    assert _one(world, _input("A", name="Older")).patient == old
    assert _opened(world, survivor, "patient", survivor, "name") == "New"
    assert _row(world, old).standing is Standing.MERGED


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_death_under_the_older_number_counts_in_whichever_row_it_stands(world: World, order: tuple[int, int]) -> None:
    old, survivor = _one(world, _input("A")).patient, _one(world, _input("B")).patient
    world.link.registration.merge(old, survivor)
    rows = (_input("A", deceased=True, zone="Asia/Urumqi"), _input("B", zone="Asia/Urumqi"))
    world.link.register_many([rows[place] for place in order])
    assert (_row(world, old).standing, _row(world, survivor).standing) == (Standing.MERGED, Standing.DECEASED)
    assert _row(world, survivor).zone == "Asia/Urumqi"


def test_every_change_is_in_the_log(world: World, tmp_path: Path) -> None:
    """Replay derives again from the entries what each decision saw: a change without its entry would differ."""
    world.content()
    mail = _contact(status=ContactStatus.VALID, verified_at=Instant(5))
    guardian = _guardian(acts=True, verified=True, contacts=(_contact("f@example.invalid"),))
    first = _input("A", born=date(2018, 1, 1), contacts=(mail,), related=(guardian,))
    patient = _one(world, first).patient
    world.link.grant(patient, purposes=["care"], channels=["email"], evidence="f", separate=True, notice="v1")
    for changed in (
        _input("A", born=date(1980, 1, 1)),
        _input("A", contacts=(_contact(status=ContactStatus.VALID, verified_at=Instant(9)),)),
        _input("A", related=(_guardian(acts=False, verified=True),)),
        _input("A", contacts=(_contact(status=ContactStatus.INVALID), _contact("c@example.invalid"))),
        _input("A", deceased=True),
    ):
        assert _one(world, changed).changed
        world.link.send(world.ask(patient))
    world.link.export(tmp_path / "export", actor="test")
    summary, first_difference = replay_folder(tmp_path / "export")
    assert (summary.exit_code, list(first_difference)) == (0, [])
    assert summary.decisions == 5
