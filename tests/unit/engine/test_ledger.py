"""The consent ledger: grants, withdrawals, stops and liftings, of people who may have been merged."""

from __future__ import annotations

import pytest

from carelink.consent.reasons import ReasonCode
from carelink.engine.ledger import GrantOrder
from carelink.errors import InvalidInputError, NotFoundError
from carelink.model.moment import DAY, Instant
from carelink.model.scope import Scope
from carelink.vocabulary import Effect, GrantState, ReservationState, StopSource


def _order(patient, **more):
    given = {"patient": patient, "scope": Scope(("care",), ("email",)), "evidence": "form 1"} | more
    return GrantOrder(**given)


def _grants(world, patient):
    with world.link.wiring.store.reader() as reader:
        return reader.grants([patient]).get(patient, ())


def _entries(world):
    with world.link.wiring.store.reader() as reader:
        return reader.head().size


# -- grants ----------------------------------------------------------------------------------------------------------


def test_the_same_grant_again_changes_nothing(world):
    patient = world.patient(consent=())
    first = world.link.ledger.grant([_order(patient)])
    size = _entries(world)
    world.clock.advance(DAY)
    assert world.link.ledger.grant([_order(patient), _order(patient)]) == first * 2
    assert _entries(world) == size


@pytest.mark.parametrize(
    "change",
    [{"separate": True}, {"notice": "v2"}, {"evidence": "form 2"}, {"until": Instant(2**52)}, {"since": Instant(1)}],
)
def test_a_grant_with_other_terms_is_another_grant(world, change):
    """A corrected form or a renewal is not swallowed because its evidence is the same."""
    patient = world.patient(consent=())
    (first,) = world.link.ledger.grant([_order(patient)])
    (second,) = world.link.ledger.grant([_order(patient, **change)])
    assert first != second
    assert len(_grants(world, patient)) == 2


def test_one_unknown_patient_and_nothing_is_recorded(world):
    patient = world.patient(consent=())
    with pytest.raises(NotFoundError):
        world.link.ledger.grant([_order(patient), _order("f" * 32)])
    assert _grants(world, patient) == ()


@pytest.mark.parametrize(
    "bad",
    [{"evidence": " "}, {"evidence": "x" * 501}, {"scope": Scope(("*",), ("email",))}, {"scope": Scope((), ("email",))},
     {"scope": Scope(("care",), ())}, {"since": Instant(5), "until": Instant(5)}, {"notice": "v 1"}],
)  # fmt: skip
def test_a_grant_says_what_and_by_what_evidence(bad):
    with pytest.raises(InvalidInputError):
        _order("a" * 32, **bad)


def test_a_withdrawal_ends_every_grant_it_meets_and_no_other(world):
    patient = world.patient(consent=())
    broad, exact, other = world.link.ledger.grant([
        _order(patient),
        _order(patient, scope=Scope(("care.medication",), ("sms", "email"))),
        _order(patient, scope=Scope(("marketing",), ("email",))),
    ])  # fmt: skip
    assert set(world.link.withdraw(patient, purposes=["care.medication"], channels=["email"])) == {broad, exact}
    states = {row.id: row.state for row in _grants(world, patient)}
    assert states == {broad: GrantState.WITHDRAWN, exact: GrantState.WITHDRAWN, other: GrantState.GIVEN}
    assert world.link.withdraw(patient, purposes=["care"]) == []
    assert world.divergences() == []


def test_a_withdrawal_is_not_in_the_future(world):
    patient = world.patient()
    world.link.ledger.withdraw(patient, Scope(("care",), ("*",)), at=Instant(world.clock.now() + DAY))
    assert {row.ended_at for row in _grants(world, patient)} == {world.clock.now()}
    assert world.link.send(world.ask(patient)).decision.codes == (ReasonCode.WITHDRAWN,)


# -- stops -----------------------------------------------------------------------------------------------------------


def test_a_stop_that_would_stop_nothing_is_refused(world):
    patient = world.patient()
    care = Scope(("care",), ("*",))
    for given in (
        {"patient": patient, "scopes": []},
        {"patient": patient, "scopes": [Scope((), ("*",))]},
        {"patient": patient, "scopes": [care, Scope(("care",), ())]},
        {"scopes": [care]},
    ):
        with pytest.raises(InvalidInputError):
            world.link.ledger.stop(source=StopSource.STAFF, **given)
    with pytest.raises(NotFoundError):
        world.link.stop("f" * 32, purposes=["care"])


def test_a_stop_releases_what_waits_in_its_scope_and_only_that(world):
    patient = world.patient(consent=("care", "marketing"))
    care, more = world.ask(patient), world.ask(patient, purpose="marketing.service")
    world.link.permit_many([care, more])
    stopped = world.link.stop(patient, purposes=["marketing"], channels=["email"])
    assert len(stopped.released) == 1
    assert len(stopped.suppressions) == 1
    with world.link.wiring.store.reader() as reader:
        (left,) = reader.open_reservations(ReservationState.HELD, limit=9)
    assert left.purpose.value == "care.appointment"


def test_a_stop_names_the_claims_in_flight(world):
    patient = world.patient()
    seen = []
    world.email.before_send = lambda _: seen.append(world.link.stop(patient, purposes=["care"]))
    outcome = world.link.send(world.ask(patient))
    assert seen[0].in_flight == (outcome.receipt.reservation,)
    assert world.divergences() == []


@pytest.mark.parametrize(
    ("purposes", "channels", "lifted"),
    [
        (["*"], ["*"], True),
        (["*"], ["sms"], True),
        (["care"], ["sms"], True),
        (["care", "marketing"], ["*"], True),
        (["care.medication"], ["sms"], True),
        (["care.medication"], ["email"], False),
        (["care.appointment"], ["*"], False),
        (["marketing"], ["*"], False),
    ],
)
def test_a_lift_takes_what_lies_within_it(world, purposes, channels, lifted):
    """A family covers its members, `*` covers all; a lift never cuts a stop in two."""
    patient = world.patient()
    world.link.stop(patient, purposes=["care.medication"], channels=["sms"])
    assert bool(world.link.lift(patient, purposes=purposes, channels=channels, actor="nurse")) is lifted
    effect = world.link.preview(world.ask(patient, purpose="care.medication", channel="sms")).effect
    assert (effect is Effect.PERMIT) is lifted
    assert world.divergences() == []


def test_a_stop_of_all_is_lifted_by_a_lift_of_all_only(world):
    patient = world.patient()
    world.link.stop(patient, purposes=["*"])
    assert world.link.lift(patient, purposes=["care", "marketing"], channels=["*"], actor="nurse") == []
    assert len(world.link.lift(patient, purposes=["*"], channels=["*"], actor="nurse")) == 1


# -- people who were merged ------------------------------------------------------------------------------------------


@pytest.fixture
def merged(world):
    """(world, the number that was merged away, the survivor)."""
    old, survivor = world.patient(consent=()), world.patient(consent=())
    world.link.registration.merge(old, survivor)
    return world, old, survivor


def test_a_grant_under_the_old_number_is_the_survivors(merged):
    world, old, survivor = merged
    world.link.grant(old, purposes=["care"], channels=["email"], evidence="form", notice="v1", separate=True)
    assert len(_grants(world, survivor)) == 1
    for patient in (old, survivor):
        assert world.link.send(world.ask(patient)).effect is Effect.PERMIT
    assert world.divergences() == []


def test_a_withdrawal_under_the_old_number_ends_the_survivors_grants(merged):
    world, old, survivor = merged
    world.link.grant(survivor, purposes=["care"], channels=["email"], evidence="form")
    assert len(world.link.withdraw(old, purposes=["care"])) == 1
    assert world.link.send(world.ask(survivor)).decision.codes == (ReasonCode.WITHDRAWN,)


def test_a_stop_under_either_number_binds_and_is_lifted_under_either(merged):
    world, old, survivor = merged
    world.link.grant(survivor, purposes=["care"], channels=["email"], evidence="form")
    for stopping, lifting in ((old, survivor), (survivor, old)):
        world.link.stop(stopping, purposes=["care"])
        assert world.link.preview(world.ask(survivor)).decision.codes == (ReasonCode.SUPPRESSED,)
        assert len(world.link.lift(lifting, purposes=["care"], channels=["*"], actor="nurse")) == 1
        assert world.link.preview(world.ask(survivor)).effect is Effect.PERMIT


def test_a_stop_from_before_the_merge_is_lifted_under_the_survivor(world):
    old, survivor = world.patient(), world.patient()
    world.link.stop(old, purposes=["care"])
    world.link.registration.merge(old, survivor)
    assert world.link.preview(world.ask(survivor)).decision.codes == (ReasonCode.SUPPRESSED,)
    assert len(world.link.lift(survivor, purposes=["care"], channels=["*"], actor="nurse")) == 1
    assert world.link.send(world.ask(survivor)).effect is Effect.PERMIT
    assert world.divergences() == []


def test_a_death_under_the_old_number_is_the_survivors(merged):
    world, old, survivor = merged
    world.link.grant(survivor, purposes=["care"], channels=["email"], evidence="form")
    world.link.died(old)
    for patient in (old, survivor):
        assert ReasonCode.SUBJECT_DECEASED in world.link.send(world.ask(patient)).decision.codes
    assert world.divergences() == []


def test_a_death_reported_again_for_the_old_record_is_the_survivors(merged):
    from carelink.engine.registration import PatientInput
    from carelink.vault.personal import Personal

    world, _old, survivor = merged
    world.link.grant(survivor, purposes=["care"], channels=["email"], evidence="form")
    (result,) = world.link.register_many([
        PatientInput(identifiers=(("mrn", Personal("W-00001")),), deceased=True)
    ])  # fmt: skip
    assert result.error is None
    assert ReasonCode.SUBJECT_DECEASED in world.link.send(world.ask(survivor)).decision.codes
    assert world.divergences() == []


def test_merges_that_cannot_be(world):
    a, b, c, d = (world.patient() for _ in range(4))
    merge = world.link.registration.merge
    merge(a, b)
    size = _entries(world)
    merge(a, b)
    assert _entries(world) == size, "again changes nothing"
    for old, survivor in ((a, a), (b, a), (a, c)):
        with pytest.raises(InvalidInputError):
            merge(old, survivor)
    with pytest.raises(NotFoundError):
        merge(d, "f" * 32)
    merge(b, c)
    merge(d, a)
    with world.link.wiring.store.reader() as reader:
        rows = reader.patients([a, b, c, d])
        assert set(reader.aliases([c])[c]) == {rows[p].person for p in (a, b, d)}
    assert world.divergences() == []


@pytest.mark.parametrize("dead", ["old", "survivor"])
def test_a_death_on_either_record_is_the_persons(world, dead):
    old, survivor = world.patient(), world.patient()
    world.link.died(old if dead == "old" else survivor)
    world.link.registration.merge(old, survivor)
    assert ReasonCode.SUBJECT_DECEASED in world.link.send(world.ask(survivor)).decision.codes
