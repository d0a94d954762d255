"""Who opens personal data: denied by default, written down before it is shown, approvals for minors, emergencies that are
reviewed.
"""

from __future__ import annotations

from datetime import date
from types import SimpleNamespace

import attrs
import pytest

from carelink.audit.bodies import AccessBody, OpenedBody
from carelink.audit.entry import parse_entry
from carelink.channels.registry import registry_of
from carelink.engine.access import ROLES, SEALED
from carelink.engine.reconcile import reconcile
from carelink.errors import AccessDeniedError, ConflictError, InvalidInputError, NotFoundError
from carelink.model.access import AccessAction, Actor, DataKind, Finding, PurposeOfUse, Role
from carelink.model.ids import PersonRef
from carelink.model.moment import DAY, HOUR
from carelink.rights.person import Readable
from carelink.settings import AccessSettings
from carelink.testing.world import World


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path / "home", sqlite=True)
    made.content()
    yield made
    made.link.close()


def entries(world, kind=(OpenedBody, AccessBody)):
    with world.link.wiring.store.reader() as reader:
        bodies = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
    return [body for body in bodies if isinstance(body, kind)]


def actor(world, name="wu", roles=("compliance",), purpose="rights"):
    return world.link.as_actor(name, roles=roles, purpose=purpose)


def person_of(world, patient):
    with world.link.wiring.store.reader() as reader:
        return reader.patients([patient])[patient].person


def test_what_each_role_opens(world):
    patient = world.patient()
    found = {}
    for role in Role:
        for kind in SEALED:
            try:
                world.link.person(patient, what=kind.value, actor=actor(world, roles=(role,)))
                found[role, kind] = True
            except AccessDeniedError:
                found[role, kind] = False
    assert {pair for pair, allowed in found.items() if allowed} == {
        (Role.CLINICIAN, DataKind.IDENTITY), (Role.CLINICIAN, DataKind.CONTACT), (Role.CLINICIAN, DataKind.CONSENT),
        *((Role.COMPLIANCE, kind) for kind in SEALED),
    }  # fmt: skip
    assert found == {(role, kind): kind in ROLES[role] for role in Role for kind in SEALED}


def test_an_opening_is_an_entry_and_holds_none_of_the_data(world):
    patient = world.patient()
    found = world.link.person(patient, what="identity", actor=actor(world))
    assert found.name.value.reveal("test") == "Person 1"
    assert [each.value.reveal("test") for each in found.identifiers] == ["mrn|W-00001"]
    (body,) = entries(world)
    assert body == OpenedBody(
        subject=person_of(world, patient), what="identity", purpose="rights", by=world.link.actor("wu"),
        role=Role.COMPLIANCE,
    )  # fmt: skip
    assert world.divergences() == []


def test_only_the_part_that_was_asked_for_is_opened(world):
    patient = world.patient()
    contact = world.link.person(patient, what="contact", actor=actor(world))
    assert contact.name.state is Readable.ABSENT
    assert sorted(each.address.value.reveal("test") for each in contact.contacts) == [
        "+8613800000001", "w1@example.invalid",
    ]  # fmt: skip
    consent = world.link.person(patient, what="consent", actor=actor(world))
    assert consent.contacts == ()
    assert [each.evidence.value.reveal("test") for each in consent.consents] == ["form 1"]
    assert "Person 1" not in repr(world.link.person(patient, what="record", actor=actor(world)))


def test_the_entry_comes_before_the_data(world, monkeypatch):
    patient = world.patient()

    def reads(*_):
        assert len(entries(world)) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr("carelink.app.read_person", reads)
    with pytest.raises(KeyboardInterrupt):
        world.link.person(patient, actor=actor(world))
    assert len(entries(world)) == 1


def test_a_refused_attempt_is_an_entry(world):
    patient = world.patient()
    with pytest.raises(AccessDeniedError) as caught:
        world.link.person(patient, what="identity", actor=actor(world, roles=("operator",)))
    assert "Person" not in str(caught.value)
    (body,) = entries(world)
    assert (body.action, body.what, body.actor) == (AccessAction.DENIED, "identity", world.link.actor("wu"))
    assert world.divergences() == []


@pytest.mark.parametrize("what", ["decision", "log", "everything", ""])
def test_only_parts_of_a_record_are_opened_as_one(world, what):
    with pytest.raises(InvalidInputError):
        world.link.person(world.patient(), what=what, actor=actor(world))


def test_why_is_an_opening(world):
    patient = world.patient()
    outcome = world.link.send(world.ask(patient))
    world.link.why(outcome.ref, actor="wu")
    (body,) = entries(world)
    assert (body.what, body.purpose, body.role) == ("decision", "operations", Role.OPERATOR)
    assert body.subject == person_of(world, patient)


def test_an_export_needs_a_role_that_opens_the_log(world, tmp_path):
    for role in (Role.SERVICE, Role.CLINICIAN):
        with pytest.raises(AccessDeniedError):
            world.link.export(tmp_path / "no", actor=actor(world, roles=(role,)))
    assert not (tmp_path / "no").exists()
    world.link.export(tmp_path / "yes", actor=actor(world, roles=("auditor",), purpose="audit"))


def test_what_nobody_says_comes_from_the_settings(world):
    world.settings = attrs.evolve(
        world.settings,
        access=AccessSettings(actor="desk", roles=(Role.CLINICIAN,), purpose=PurposeOfUse.TREATMENT),
    )
    world.restart()
    assert world.link.as_actor() == world.link.as_actor("desk", roles=("clinician",), purpose="treatment")
    assert world.link.as_actor("x", roles=("auditor",)).purpose is PurposeOfUse.TREATMENT


def test_the_settings_say_what_a_role_opens(world):
    patient = world.patient()
    opens = {Role.OPERATOR: frozenset({DataKind.IDENTITY}), Role.CLINICIAN: frozenset()}
    world.settings = attrs.evolve(world.settings, access=AccessSettings(opens=opens))
    world.restart()
    world.link.person(patient, what="identity", actor=actor(world, roles=("operator",)))
    for roles, what in ((("operator",), "contact"), (("clinician",), "identity")):
        with pytest.raises(AccessDeniedError):
            world.link.person(patient, what=what, actor=actor(world, roles=roles))


@pytest.mark.parametrize(
    "given", [{"roles": ("boss",)}, {"purpose": "fun"}, {"who": " "}], ids=["role", "purpose", "name"]
)
def test_an_actor_has_known_roles_a_purpose_and_a_name(world, given):
    with pytest.raises(InvalidInputError):
        world.link.as_actor(**{"who": "wu", **given})


@pytest.mark.parametrize("given", [{"ref": "wu"}, {"roles": ()}])
def test_an_actor_is_a_pseudonym_with_a_role(given):
    good = {"ref": "0" * 32, "roles": (Role.SERVICE,), "purpose": PurposeOfUse.OPERATIONS}
    with pytest.raises(InvalidInputError):
        Actor(**{**good, **given})


# -- authorisers --------------------------------------------------------------------------------------------


def with_authoriser(world, allows):
    asked = []

    def answer(question):
        asked.append(question)
        return allows(question)

    helper = SimpleNamespace(name="iam", allows=answer)
    wire = world._wire
    world._wire = lambda: attrs.evolve(wire(), registry=registry_of(world.channels, authorisers=(helper,)))
    world.restart()
    return asked


def test_an_authoriser_can_refuse(world):
    patient = world.patient()
    asked = with_authoriser(world, lambda question: question.what is not DataKind.CONTACT)
    world.link.person(patient, what="identity", actor=actor(world))
    with pytest.raises(AccessDeniedError, match="iam"):
        world.link.person(patient, what="contact", actor=actor(world))
    assert [question.patient for question in asked] == [patient, patient]


@pytest.mark.parametrize("answer", [None, 1, "yes", ValueError()])
def test_only_true_agrees(world, answer):
    def allows(_):
        if isinstance(answer, Exception):
            raise answer
        return answer

    patient = world.patient()
    with_authoriser(world, allows)
    with pytest.raises(AccessDeniedError):
        world.link.person(patient, what="identity", actor=actor(world))


def test_an_authoriser_cannot_allow_what_the_table_refuses(world):
    patient = world.patient()
    asked = with_authoriser(world, lambda _: True)
    with pytest.raises(AccessDeniedError):
        world.link.person(patient, what="identity", actor=actor(world, roles=("operator",)))
    assert asked == []


# -- minors -------------------------------------------------------------------------------------------------


def child(world):
    return world.patient(birth=date(2015, 3, 1), consent=())


def test_a_minors_record_needs_an_approval_by_somebody_else(world):
    patient, doctor, chief = child(world), actor(world, "doctor", ("clinician",), "treatment"), actor(world, "chief")
    with pytest.raises(AccessDeniedError, match="minor"):
        world.link.person(patient, what="identity", actor=doctor)
    until = world.clock.now() + DAY
    approval = world.link.access.approve(
        patient, actor=doctor.ref, by=chief, until=until, purpose=PurposeOfUse.TREATMENT
    )
    assert world.link.person(patient, what="identity", actor=doctor).name.state is Readable.OPEN
    with pytest.raises(AccessDeniedError):  # it is the doctor's, and nobody else's
        world.link.person(patient, what="identity", actor=actor(world, "other", ("clinician",), "treatment"))
    world.clock.advance(DAY)
    with pytest.raises(AccessDeniedError):  # and it is over
        world.link.person(patient, what="identity", actor=doctor)
    approved = [body for body in entries(world, AccessBody) if body.action is AccessAction.APPROVED]
    assert [(body.access, body.actor, body.by, body.until) for body in approved] == [
        (approval, doctor.ref, chief.ref, until)
    ]
    assert world.divergences() == []


def test_who_has_come_of_age_needs_none(world):
    patient = world.patient(birth=date(2008, 1, 16), consent=())  # turns 18 tomorrow
    doctor = actor(world, "doctor", ("clinician",), "treatment")
    with pytest.raises(AccessDeniedError):
        world.link.person(patient, what="identity", actor=doctor)
    world.clock.advance(DAY)
    world.link.person(patient, what="identity", actor=doctor)


def test_nobody_approves_for_themselves_nor_without_the_role_nor_for_ever(world):
    patient, chief, now = child(world), actor(world, "chief"), world.clock.now()
    clinician = actor(world, "head", ("clinician",), "treatment")
    for by, of, until, error in (
        (chief, chief.ref, now + DAY, AccessDeniedError),
        (clinician, "0" * 32, now + DAY, AccessDeniedError),
        (chief, "0" * 32, now, InvalidInputError),
        (chief, "0" * 32, now + 90 * DAY + 1, InvalidInputError),
    ):
        with pytest.raises(error):
            world.link.access.approve(patient, actor=of, by=by, until=until, purpose=PurposeOfUse.TREATMENT)
    assert entries(world) == []


# -- emergencies --------------------------------------------------------------------------------------------


def test_an_emergency_opens_and_has_to_be_reviewed(world):
    patient, night = child(world), actor(world, "night", ("operator",), "emergency")
    assert world.link.person(patient, what="contact", actor=night).contacts != ()
    (row,) = world.link.access.reviews()
    assert (row.patient, row.actor, row.what) == (patient, night.ref, "contact")
    (body,) = entries(world)
    assert (body.access, body.purpose) == (row.id, "emergency")
    chief = actor(world, "chief")
    with pytest.raises(AccessDeniedError):
        world.link.access.review(row.id, Finding.JUSTIFIED, by=actor(world, "night"))
    with pytest.raises(AccessDeniedError):
        world.link.access.review(row.id, Finding.JUSTIFIED, by=actor(world, "x", ("clinician",)))
    world.link.access.review(row.id, Finding.UNJUSTIFIED, by=chief)
    assert world.link.access.reviews() == ()
    with pytest.raises(ConflictError):
        world.link.access.review(row.id, Finding.JUSTIFIED, by=chief)
    reviewed = entries(world, AccessBody)[-1]
    assert (reviewed.action, reviewed.access, reviewed.finding) == (AccessAction.REVIEWED, row.id, Finding.UNJUSTIFIED)
    assert world.divergences() == []


def test_what_is_no_emergency_has_no_review(world):
    patient, chief = child(world), actor(world, "chief")
    approval = world.link.access.approve(
        patient, actor="0" * 32, by=chief, until=world.clock.now() + DAY, purpose=PurposeOfUse.TREATMENT
    )
    for access in (approval, "f" * 32):
        with pytest.raises(NotFoundError):
            world.link.access.review(access, Finding.JUSTIFIED, by=chief)


@pytest.mark.parametrize("role", ["auditor", "service"])
def test_who_treats_nobody_has_no_emergencies(world, role):
    patient = world.patient()
    with pytest.raises(AccessDeniedError):
        world.link.person(patient, what="contact", actor=actor(world, roles=(role,), purpose="emergency"))
    assert world.link.access.reviews() == ()


def test_an_authoriser_can_refuse_an_emergency_too(world):
    patient = world.patient()
    with_authoriser(world, lambda _: False)
    with pytest.raises(AccessDeniedError):
        world.link.person(patient, what="contact", actor=actor(world, roles=("operator",), purpose="emergency"))


def test_a_restored_store_gets_approvals_and_open_reviews_back_from_the_log(world, tmp_path):
    import shutil

    patient = child(world)
    world.link.close()
    shutil.copytree(world.folder / "data", tmp_path / "yesterday")
    world.restart()
    night, doctor, chief = (
        actor(world, "night", ("operator",), "emergency"), actor(world, "doctor", ("clinician",), "treatment"),
        actor(world, "chief"),
    )  # fmt: skip
    for what in ("contact", "identity"):
        world.link.person(patient, what=what, actor=night)
    first, second = world.link.access.reviews()
    world.link.access.review(first.id, Finding.JUSTIFIED, by=chief)
    world.link.access.approve(
        patient, actor=doctor.ref, by=chief, until=world.clock.now() + HOUR, purpose=PurposeOfUse.TREATMENT
    )
    world.link.close()
    shutil.rmtree(world.folder / "data")
    shutil.copytree(tmp_path / "yesterday", world.folder / "data")
    world.restart()
    assert world.link.access.reviews() == ()
    assert reconcile(world.link.parts, world.link.notary, by="0" * 32).done
    assert [row.id for row in world.link.access.reviews()] == [second.id]
    world.link.person(patient, what="identity", actor=doctor)
    assert world.divergences() == []


def test_a_pseudonym_that_the_store_does_not_know_can_still_be_asked_about(world):
    world.link.access.open_person(actor(world), DataKind.DECISION, PersonRef("a" * 32))
    (body,) = entries(world)
    assert body.subject == "a" * 32
