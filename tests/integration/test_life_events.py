"""What happens in a life changes the next decision: a guardian replaced, a 14th and an 18th birthday, death, transfer,
the end of a pregnancy. On the real path, with real packs and a clock that is moved by hand; every log replays.
"""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from carelink.consent.reasons import ReasonCode
from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.errors import InvalidInputError
from carelink.model.moment import DAY, parse_instant, to_datetime
from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ContactStatus, Effect, Relation

P, R = Effect.PERMIT, Effect.REFUSE


@pytest.fixture
def build(tmp_path):
    """Make a world; its log must replay at the end."""
    made = []

    def one(at="2026-01-15T10:00:00+08:00", *, packs=(), **more):
        chosen = [bundled_bytes(name) for name in (*DEFAULT_PACKS, *packs)]
        world = World(tmp_path / str(len(made)), sqlite=True, at=at, packs=chosen, **more)
        world.content()
        made.append(world)
        return world

    yield one
    for world in made:
        assert world.divergences() == []
        world.link.close()


def says(world, patient, **more):
    """The effect of one more request, and every reason given."""
    outcome = world.link.send(world.ask(patient, **more))
    return outcome.effect, tuple(sorted({code.value for code in outcome.decision.codes}))


def parent(name, *, until=None):
    contact = ContactInput(
        kind=AddressKind.EMAIL, address=Personal(f"{name}@example.invalid"), status=ContactStatus.VALID
    )
    return RelatedInput(
        name=Personal(name), key=Personal(name), relation=Relation.PARENT, verified=True, acts=True, until=until,
        contacts=(contact,),
    )  # fmt: skip


def tell(world, *related, born=None, number="C-1", zone=""):
    """Register or update the child."""
    own = ContactInput(kind=AddressKind.EMAIL, address=Personal("child@example.invalid"), status=ContactStatus.VALID)
    (done,) = world.link.register_many([
        PatientInput(
            identifiers=(("mrn", Personal(number)),), name=Personal("Child"), zone=zone, related=tuple(related),
            birth_date=None if born is None else Personal(born), contacts=(own,),
        )
    ])  # fmt: skip
    assert done.error is None
    return done.patient


def child(world, born, *, purposes=("care",), zone=""):
    """Somebody under age with a mother who acts, and who gave consent."""
    patient = tell(world, parent("mother"), born=born, zone=zone)
    world.link.grant(
        patient, purposes=purposes, channels=["email"], evidence="form 1", by="guardian", separate=True, notice="v1"
    )
    return patient


def reached(world):
    return world.email.handed[-1].address


# -- the guardian ------------------------------------------------------------------------------------------------------


def test_the_message_that_waits_follows_a_change_of_guardian(build):
    world = build()
    patient = child(world, date(2018, 6, 1))
    assert says(world, patient) == (P, ())
    assert reached(world) == "mother@example.invalid"
    waiting = world.ask(patient)
    (permitted,) = world.link.permit_many([waiting])
    assert permitted.effect is P
    world.clock.advance(DAY // 24 // 60)
    now = world.clock.now()
    tell(world, parent("mother", until=now))
    handed = len(world.email.handed)
    # Nobody acts for the child: the child alone would receive, for whom nobody may have consented.
    assert says(world, patient) == (R, ("GUARDIAN_REQUIRED", "NO_CONSENT"))
    (claimed,) = world.link.send_many([waiting])
    assert (claimed.effect, claimed.decision.codes) == (
        R,
        (ReasonCode.GUARDIAN_REQUIRED, ReasonCode.NO_CONSENT),
    )
    assert len(world.email.handed) == handed, "nothing went to whoever no longer acts, nor to the child"
    tell(world, parent("father"))
    assert says(world, patient) == (P, ())
    assert reached(world) == "father@example.invalid"


# -- birthdays ---------------------------------------------------------------------------------------------------------

LEAP = date(2012, 2, 29)


@pytest.mark.parametrize(
    ("born", "zone", "midnight"),
    [
        (date(2012, 5, 4), "Asia/Shanghai", "2026-05-04T00:00:00+08:00"),
        (LEAP, "Asia/Shanghai", "2026-03-01T00:00:00+08:00"),
        (date(2012, 5, 4), "America/Los_Angeles", "2026-05-04T00:00:00-07:00"),
        (LEAP, "Pacific/Kiritimati", "2026-03-01T00:00:00+14:00"),
    ],
)
def test_at_14_a_guardians_consent_does_not_carry_on(build, born, zone, midnight):
    turn = parse_instant(midnight)
    before = build(to_datetime(turn - DAY).astimezone(ZoneInfo("UTC")).isoformat())
    patient = child(before, born, zone=zone)
    safe = {"purpose": "care.recall_safety"}  # asks for no consent, and has no quiet hours: age alone moves it
    before.clock.advance(DAY - 1)
    assert before.clock.now() == turn - 1
    asked = before.link.preview(before.ask(patient)).decision.codes
    assert ReasonCode.RECONFIRM_REQUIRED not in asked, "the last microsecond of thirteen"
    assert says(before, patient, **safe) == (P, ())
    assert reached(before) == "mother@example.invalid"
    before.clock.advance(1)
    asked = before.link.preview(before.ask(patient)).decision.codes
    assert {ReasonCode.RECONFIRM_REQUIRED, ReasonCode.NO_CONSENT} <= set(asked), "the first instant of fourteen"
    assert says(before, patient, **safe) == (P, ())
    assert reached(before) == "child@example.invalid"
    before.clock.advance(DAY // 2)
    before.link.grant(patient, purposes=["care"], channels=["email"], evidence="form 2", separate=True, notice="v1")
    asked = before.link.preview(before.ask(patient)).decision.codes
    assert not {ReasonCode.RECONFIRM_REQUIRED, ReasonCode.NO_CONSENT} & set(asked), "they confirmed it themselves"


def test_the_whole_decision_around_a_14th_birthday(build):
    world = build("2026-05-03T10:00:00+08:00")
    patient = child(world, date(2012, 5, 4))
    assert says(world, patient) == (P, ())
    world.clock.advance(DAY)
    assert says(world, patient) == (R, ("NO_CONSENT", "RECONFIRM_REQUIRED"))
    world.link.grant(patient, purposes=["care"], channels=["email"], evidence="form 2", separate=True, notice="v1")
    assert says(world, patient) == (P, ())
    assert reached(world) == "child@example.invalid"


@pytest.mark.parametrize(
    ("born", "eve"),
    [(date(2008, 5, 4), "2026-05-03T10:00:00+08:00"), (date(2008, 2, 29), "2026-02-28T10:00:00+08:00")],
)
def test_at_18_what_was_agreed_to_before_is_confirmed(build, born, eve):
    world = build(eve)
    patient = tell(world, born=born)
    for purpose in ("education", "care"):
        world.link.grant(patient, purposes=[purpose], channels=["email"], evidence="form 1", separate=True, notice="v1")
    teaching = {"purpose": "education.health"}
    assert says(world, patient, **teaching) == (P, ())
    world.clock.advance(DAY)
    assert says(world, patient, **teaching) == (R, ("RECONFIRM_REQUIRED",))
    assert says(world, patient) == (P, ()), "care that they agreed to at 17 goes on"
    world.link.grant(patient, purposes=["education"], channels=["email"], evidence="form 2", separate=True, notice="v1")
    assert says(world, patient, **teaching) == (P, ())


def test_where_the_law_of_another_country_asks_for_a_guardian_up_to_18(build):
    world = build("2026-05-03T10:00:00+08:00", packs=("eu",))
    patient = tell(world, parent("mother"), born=date(2008, 5, 4))
    before = set(world.link.preview(world.ask(patient, purpose="marketing.service")).decision.codes)
    world.clock.advance(DAY)
    after = set(world.link.preview(world.ask(patient, purpose="marketing.service")).decision.codes)
    assert ReasonCode.GUARDIAN_REQUIRED in before
    assert ReasonCode.GUARDIAN_REQUIRED not in after


# -- death -------------------------------------------------------------------------------------------------------------


def test_death_between_permit_and_claim(build):
    world = build()
    patient = world.patient()
    assert says(world, patient) == (P, ())
    waiting = world.ask(patient)
    (permitted,) = world.link.permit_many([waiting])
    assert permitted.effect is P
    world.link.died(patient)
    handed = len(world.email.handed)
    assert says(world, patient) == (R, ("SUBJECT_DECEASED",))
    (claimed,) = world.link.send_many([waiting])
    assert (claimed.effect, claimed.decision.codes) == (R, (ReasonCode.SUBJECT_DECEASED,))
    assert len(world.email.handed) == handed
    assert "claim_refused" in [entry.says for entry in world.link.why(waiting.key, actor="test").happened]


# -- transfer and the end of a pregnancy -------------------------------------------------------------------------------


def test_a_transfer_ends_what_only_the_treating_hospital_says(build):
    world = build()
    patient = world.patient(consent=("care", "education", "admin"))
    waiting = world.ask(patient)
    assert says(world, patient) == (P, ())
    world.link.permit_many([waiting])
    done = world.link.transferred(patient)
    assert (len(done.suppressions), len(done.released)) == (1, 1)
    assert says(world, patient) == (R, ("SUPPRESSED",))
    assert says(world, patient, purpose="education.health") == (R, ("SUPPRESSED",))
    (claimed,) = world.link.send_many([waiting])
    assert (claimed.effect, claimed.decision.codes) == (R, (ReasonCode.SUPPRESSED,))
    assert says(world, patient, purpose="admin.billing") == (P, ()), "a bill is owed all the same"
    assert says(world, patient, purpose="care.recall_safety") == (P, ())
    assert world.link.transferred(patient).suppressions == (), "said twice"
    world.restart()
    assert says(world, patient) == (R, ("SUPPRESSED",))
    world.link.stop(patient, purposes=["education"], source="reply")
    assert len(world.link.returned(patient, actor="Ms Li")) == 1
    assert says(world, patient) == (P, ())
    assert says(world, patient, purpose="education.health") == (R, ("OPTED_OUT",)), "what they asked for stays"


def test_the_end_of_a_pregnancy_ends_its_plan_and_no_other(build):
    world = build()
    patient = world.patient(consent=("care", "education"))
    of_it = {"plan": "p-0417"}
    waiting = world.ask(patient, **of_it)
    assert says(world, patient, **of_it) == (P, ())
    world.link.permit_many([waiting])
    assert len(world.link.plan_ended(patient, plans=["p-0417"]).released) == 1
    assert says(world, patient, **of_it) == (R, ("SUPPRESSED",))
    assert says(world, patient, purpose="education.health", **of_it) == (R, ("SUPPRESSED",))
    (claimed,) = world.link.send_many([waiting])
    assert (claimed.effect, claimed.decision.codes) == (R, (ReasonCode.SUPPRESSED,))
    assert says(world, patient, plan="recheck-year") == (P, ())
    assert says(world, patient, plan="p-0533") == (P, ()), "the next one"
    world.link.grant(
        patient, purposes=["care"], channels=["email"], evidence="form 9", separate=True, notice="v2", plans=["p-0417"]
    )
    world.clock.advance(DAY)
    assert says(world, patient, **of_it) == (R, ("SUPPRESSED",)), "no grant lifts it"


def test_a_return_to_the_hospital_does_not_bring_an_ended_plan_back(build):
    world = build()
    patient = world.patient()
    world.link.plan_ended(patient, plans=["p-0417"])
    world.link.transferred(patient)
    assert len(world.link.returned(patient, actor="Ms Li")) == 1
    assert says(world, patient) == (P, ())
    assert says(world, patient, plan="p-0417") == (R, ("SUPPRESSED",))
    world.link.transferred(patient)
    assert len(world.link.returned(patient, plans=["p-0417"], actor="Ms Li")) == 1
    assert says(world, patient) == (R, ("SUPPRESSED",)), "still with the other hospital"
    assert len(world.link.returned(patient, actor="Ms Li")) == 1
    assert says(world, patient, plan="p-0417") == (P, ())


@pytest.mark.parametrize("plans", [[], ["*"], ["p-0417", "*"]])
def test_the_end_of_a_plan_names_it(build, plans):
    world = build()
    with pytest.raises(InvalidInputError):
        world.link.plan_ended(world.patient(), plans=plans)
