"""Replies and reports: whom a stop binds, what a receipt does, and what happens when the world moves meanwhile."""

from __future__ import annotations

from itertools import permutations

import pytest

from carelink.consent.optout.reading import Reply
from carelink.consent.reasons import ReasonCode
from carelink.errors import NotFoundError
from carelink.model.moment import DAY, SECOND
from carelink.model.touchpoint import DELIVERY_RANK, fold_delivery
from carelink.ports.channel import ChannelEvent
from carelink.vault.personal import Personal
from carelink.vocabulary import ChannelKind, ContactStatus, DeliveryEvent, Effect, Outcome

PHONE = "+8613900000007"


def _event(event=DeliveryEvent.REPLIED, *, address=None, text=None, **more):
    return ChannelEvent(
        event=event,
        address=None if address is None else Personal(address),
        text=None if text is None else Personal(text),
        **more,
    )


def _reply(world, address, text="STOP", channel="sms", **more):
    return world.link.inbound(channel, [_event(address=address, text=text, **more)])[0]


def _effect(world, patient, purpose="care.appointment", channel="sms"):
    return world.link.preview(world.ask(patient, purpose=purpose, channel=channel)).effect


# -- whom a stop binds -----------------------------------------------------------------------------------------------


def test_a_stop_from_another_address_binds_the_one_written_to_as_well(world):
    """The mail was forwarded, or answered from an alias; its token says which message it answers."""
    patient = world.patient(consent=("care", "marketing"), phone=None)
    world.link.send(world.ask(patient))
    key = world.email.handed[-1].key
    result = _reply(world, "alias@example.invalid", channel="email", key=key)
    assert result.actions == ("stopped",)
    assert _effect(world, patient, channel="email") is Effect.REFUSE, "the kind of message it answers"
    assert _effect(world, patient, "care.medication", "email") is Effect.PERMIT, "other care goes on"
    assert _effect(world, patient, "marketing.service", "email") is Effect.REFUSE
    late = world.patient(consent=("marketing",), email="alias@example.invalid")
    assert _effect(world, late, "marketing.service", "email") is Effect.REFUSE, "the replying address is bound too"
    assert world.divergences() == []


def test_a_stop_answers_the_message_it_names_and_not_the_last_one(world):
    patient = world.patient()
    world.link.send(world.ask(patient, purpose="care.medication", channel="sms"))
    key = world.sms.handed[-1].key
    world.clock.advance(SECOND)
    world.link.send(world.ask(patient, channel="sms"))
    _reply(world, "+8613800000001", key=key)
    assert _effect(world, patient, "care.medication") is Effect.REFUSE
    assert _effect(world, patient, "care.appointment") is Effect.PERMIT


def test_without_a_name_it_answers_the_last_message_on_that_channel(world):
    patient = world.patient()
    world.link.send(world.ask(patient, channel="sms"))
    world.clock.advance(SECOND)
    world.link.send(world.ask(patient, purpose="care.medication", channel="sms"))
    world.clock.advance(SECOND)
    world.link.send(world.ask(patient, purpose="care.chronic", channel="email"))
    _reply(world, "+8613800000001")
    assert _effect(world, patient, "care.medication") is Effect.REFUSE
    assert _effect(world, patient, "care.appointment") is Effect.PERMIT
    assert _effect(world, patient, "care.chronic", "email") is Effect.PERMIT


def test_a_reply_on_a_family_phone_binds_everybody_on_it(world):
    """It is ambiguous whose message is answered: the last one names the kind, and the stop binds all."""
    mother, father = (world.patient(consent=("care", "marketing"), phone=PHONE) for _ in range(2))
    world.link.send(world.ask(mother, channel="sms"))
    world.clock.advance(SECOND)
    world.link.send(world.ask(father, purpose="care.medication", channel="sms"))
    _reply(world, PHONE)
    for person in (mother, father):
        assert _effect(world, person, "care.medication") is Effect.REFUSE
        assert _effect(world, person, "care.appointment") is Effect.PERMIT
        assert _effect(world, person, "marketing.service", "email") is Effect.REFUSE


def test_a_guardian_who_stops_is_stopped_for_the_child(world):
    from datetime import date

    from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
    from carelink.vocabulary import AddressKind, Relation

    guardian = RelatedInput(
        name=Personal("Guardian"), relation=Relation.PARENT, verified=True, acts=True,
        contacts=(ContactInput(kind=AddressKind.PHONE, address=Personal(PHONE), status=ContactStatus.VALID),),
    )  # fmt: skip
    (child,) = world.link.register_many([
        PatientInput(
            identifiers=(("mrn", Personal("C-1")),), name=Personal("Child"),
            birth_date=Personal(date(2018, 6, 1)), related=(guardian,),
        )
    ])  # fmt: skip
    world.link.grant(child.patient, purposes=["care"], channels=["sms"], evidence="f", by="guardian", separate=True)
    assert world.link.send(world.ask(child.patient, channel="sms")).receipt.outcome is Outcome.ACCEPTED
    assert world.sms.handed[-1].address == PHONE
    result = _reply(world, PHONE, "退订")
    assert len(result.suppressions) == 4, "two scopes, for the guardian and for the number"
    outcome = world.link.send(world.ask(child.patient, channel="sms"))
    assert ReasonCode.OPTED_OUT in outcome.decision.codes
    assert world.divergences() == []


def test_a_stop_whose_address_nobody_can_read_is_told_and_not_lost(world):
    result = _reply(world, "106900123400005678901234567890", "退订")
    assert result.actions == ("unplaced",)
    assert result.reply is Reply.STOP


def test_wrong_person_ends_all_to_that_address_and_nothing_else(world):
    patient = world.patient()
    result = _reply(world, "+8613800000001", "打错了")
    assert result.actions == ("stopped_all", "invalidated")
    assert _effect(world, patient) is Effect.REFUSE
    assert _effect(world, patient, channel="email") is Effect.PERMIT


def test_a_complaint_ends_the_channel(world):
    patient = world.patient(consent=("care", "marketing"))
    world.link.send(world.ask(patient))
    key = world.email.handed[-1].key
    (result,) = world.link.inbound("email", [_event(DeliveryEvent.COMPLAINED, key=key)])
    assert result.actions == ("stopped_all",)
    assert _effect(world, patient, channel="email") is Effect.REFUSE
    assert _effect(world, patient, channel="sms") is Effect.PERMIT
    assert _effect(world, patient, "marketing.service") is Effect.REFUSE


def test_a_soft_refusal_pauses_promotion_until_somebody_decides(world):
    patient = world.patient(consent=("care", "marketing"))
    world.link.send(world.ask(patient, channel="sms"))
    assert _reply(world, "+8613800000001", "短信太多了，烦死了").actions == ("paused",)
    assert _effect(world, patient, channel="sms") is Effect.PERMIT
    assert _effect(world, patient, "marketing.service") is Effect.REFUSE
    world.clock.advance(30 * DAY)
    assert _effect(world, patient, "marketing.service") is Effect.REFUSE, "nobody has read it"
    (waiting,) = world.link.replies()
    assert (waiting.patients, waiting.channel) == ((patient,), ChannelKind.SMS)
    world.link.decide_reply(waiting.id, stop=False, actor="front desk")
    assert _effect(world, patient, "marketing.service") is Effect.PERMIT
    assert world.link.replies() == []
    assert world.divergences() == []


def test_a_reply_that_was_read_as_a_stop_stops_like_a_plain_one(world):
    patient = world.patient(consent=("care", "marketing"))
    world.link.send(world.ask(patient, channel="sms"))
    _reply(world, "+8613800000001", "短信太多了，烦死了")
    (waiting,) = world.link.replies()
    stopped = world.link.decide_reply(waiting.id, stop=True, actor="front desk")
    assert len(stopped.suppressions) == 4, "two scopes, for the patient and for the number"
    assert _effect(world, patient, channel="sms") is Effect.REFUSE, "the kind of message it answers"
    assert _effect(world, patient, "care.medication", "sms") is Effect.PERMIT
    world.clock.advance(400 * DAY)
    assert _effect(world, patient, "marketing.service") is Effect.REFUSE
    with pytest.raises(NotFoundError):
        world.link.decide_reply(waiting.id, stop=False, actor="front desk")
    assert world.divergences() == []


def test_no_reply_waits_that_nobody_has_to_read(world):
    patient = world.patient(consent=("care", "marketing"))
    world.link.send(world.ask(patient, channel="sms"))
    _reply(world, "+8613800000001", "退订")
    world.link.stop(patient, purposes=["marketing"])
    assert world.link.replies() == []


# -- what a stop speaks of -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("退订", {("care.appointment", "sms"), ("marketing.service", "sms"), ("marketing.service", "email")}),
        ("不要再给我发广告短信了", {("marketing.service", "sms"), ("marketing.service", "email")}),
        ("stop all marketing texts", {("marketing.service", "sms"), ("marketing.service", "email")}),
        ("stop the appointment reminders", {("care.appointment", "sms")}),
        ("don't text me, email instead",
         {("care.appointment", "sms"), ("care.medication", "sms"), ("marketing.service", "sms")}),
        ("全部退订", {("care.appointment", "sms"), ("care.medication", "sms"), ("marketing.service", "sms"),
                  ("marketing.service", "email")}),
    ],
)  # fmt: skip
def test_a_stop_ends_what_its_words_name(world, text, refused):
    patient = world.patient(consent=("care", "marketing"))
    world.link.send(world.ask(patient, channel="sms"))
    assert _reply(world, "+8613800000001", text).actions[0].startswith("stopped")
    asked = [(p, c) for p in ("care.appointment", "care.medication", "marketing.service") for c in ("sms", "email")]
    assert {each for each in asked if _effect(world, patient, *each) is Effect.REFUSE} == refused
    assert world.divergences() == []


def test_a_stop_of_a_plan_ends_that_plan_alone(world):
    patient = world.patient(consent=("care",))
    world.link.send(world.ask(patient, channel="sms", plan="recheck-year"))
    _reply(world, "+8613800000001", "退订随访计划")
    assert world.link.preview(world.ask(patient, channel="sms", plan="recheck-year")).effect is Effect.REFUSE
    assert world.link.preview(world.ask(patient, channel="sms")).effect is Effect.PERMIT
    assert world.divergences() == []


@pytest.mark.parametrize(
    ("body", "text", "reply"),
    [
        ("Reply Y to confirm, N to cancel.", "N", Reply.OTHER),
        ("Reply Y to confirm, N to cancel.", "取消", Reply.REVIEW),
        ("Reply Y to confirm, N to cancel.", "T", Reply.REVIEW),
        ("Reply Y to confirm, N to cancel.", "STOP", Reply.STOP),
        ("您的复诊时间已到。拒收请回复R", "R", Reply.STOP),
        ("您的复诊时间已到。回复QX退订", "qx", Reply.STOP),
        ("您的复诊时间已到。", "N", Reply.STOP),
    ],
)
def test_one_letter_is_read_in_view_of_the_message_that_it_answers(world, body, text, reply):
    patient = world.patient(consent=("care",))
    world.content(channels=("sms",), name="asks", body=body)
    world.link.send(world.ask(patient, channel="sms", template="asks"))
    assert _reply(world, "+8613800000001", text).reply is reply


def test_one_letter_from_somebody_who_was_sent_nothing_is_for_a_person_to_read(world):
    world.patient(consent=("care",))
    assert _reply(world, "+8613800000001", "N").reply is Reply.REVIEW


def test_stops_act_before_reports_of_the_same_batch(world):
    patient = world.patient(consent=("care", "marketing"))
    request = world.ask(patient, purpose="marketing.service", channel="sms")
    world.link.permit_many([request])
    results = world.link.inbound(
        "sms",
        [_event(DeliveryEvent.DELIVERED, key="0" * 32), _event(address="+8613800000001", text="STOP")],
    )
    assert [result.actions for result in results] == [("parked",), ("stopped",)]
    assert len(results[1].released) == 1
    with world.link.wiring.store.reader() as reader:
        kinds = [data for data in reader.entries(0, reader.head().size) if b'"kind":"inbound"' in data]
    assert b'"replied"' in kinds[0]
    assert b'"delivered"' in kinds[1]


# -- an address whose pseudonym was forgotten ------------------------------------------------------------------------


def _forget(world, token):
    """What erasure leaves: the token and its stops, without the pseudonym and the person."""
    state = world.link.wiring.store._committed
    del state.addresses[token]


def _carried(world):
    with world.link.wiring.store.reader() as reader:
        entries = reader.entries(0, reader.head().size)
        return sum(b'"kind":"suppression_carried"' in data for data in entries)


@pytest.mark.parametrize("how", ["import", "reply", "staff"])
def test_a_stop_under_a_surviving_token_is_carried_to_the_new_pseudonym(world, how):
    from carelink.model.scope import Scope
    from carelink.vocabulary import AddressKind, StopSource

    _reply(world, PHONE, "STOP ALL")
    token = world.link.safe.token(AddressKind.PHONE, PHONE)
    _forget(world, token)
    if how == "reply":
        _reply(world, PHONE, "STOP")
    if how == "staff":
        world.link.ledger.stop(tokens=[token], scopes=[Scope(("care",), ("email",))], source=StopSource.STAFF)
    patient = world.patient(consent=("care", "marketing"), phone=PHONE)
    assert _carried(world) == 2, "the two scopes of STOP ALL, once each"
    outcome = world.link.send(world.ask(patient, channel="sms"))
    assert ReasonCode.OPTED_OUT in outcome.decision.codes
    assert world.divergences() == []


# -- receipts --------------------------------------------------------------------------------------------------------


def test_a_receipt_that_meets_a_settlement_is_not_lost(world):
    """The provider's report arrives while the attempt is still under way: the row it saw has moved by the time."""
    patient = world.patient()
    inside = world.link._inbound
    real = inside._match
    request = world.ask(patient)
    results = []

    def report(prepared):
        results.append(world.link.inbound("email", [_event(DeliveryEvent.DELIVERED, key=prepared.key)])[0])

    world.email.before_send = report
    world.link.send(request)
    world.email.before_send = None
    assert results[0].actions == ("receipt",)
    assert world.link.send(request).receipt.delivery == "delivered"
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED
    assert real is not None
    assert world.divergences() == []


def test_the_row_a_receipt_refines_is_read_under_its_lock(world):
    """Between look and lock another run settles the claim."""
    patient, request = None, None
    patient = world.patient()
    request = world.ask(patient)
    keys = []

    class Killed(BaseException):
        pass

    def die(prepared):
        keys.append(prepared.key)
        raise Killed

    world.email.after_send = die
    with pytest.raises(Killed):
        world.link.send(request)
    world.email.after_send = None
    world.clock.advance(5 * SECOND)
    store = world.link.wiring.store
    real = type(store).transaction
    once = []

    def settled_first(self):
        if not once:
            once.append(1)
            assert world.link.recover().unknown == 1
        return real(self)

    patch = pytest.MonkeyPatch()
    patch.setattr(type(store), "transaction", settled_first)
    (result,) = world.link.inbound("email", [_event(DeliveryEvent.DELIVERED, key=keys[0])])
    patch.undo()
    assert result.actions == ("receipt",)
    again = world.link.send(request)
    assert (again.receipt.outcome, again.receipt.delivery) == (Outcome.UNKNOWN, "delivered")


LADDER = sorted(DELIVERY_RANK, key=lambda event: DELIVERY_RANK[event])


@pytest.mark.parametrize("order", list(permutations(["sent", "delivered", "failed", "read"])))
def test_the_delivery_state_never_falls(world, order):
    request = world.ask(world.patient())
    world.link.send(request)
    key = world.email.handed[-1].key
    ranks = []
    for word in order:
        world.link.inbound("email", [_event(DeliveryEvent(word), key=key)])
        state = world.link.send(request).receipt.delivery
        ranks.append(DELIVERY_RANK[DeliveryEvent(state)])
    assert ranks == sorted(ranks)
    assert state == "read"
    assert world.divergences() == []


def test_the_ladder_is_one_whatever_the_order():
    for size in range(1, 4):
        for events in permutations(LADDER, size):
            state = ""
            for event in events:
                state = fold_delivery(state, event)
            assert state == max(events, key=lambda event: DELIVERY_RANK[event]).value
    assert len(set(DELIVERY_RANK.values())) == len(DELIVERY_RANK)
    assert fold_delivery("sent", DeliveryEvent.REPLIED) == "sent"


def test_a_bounce_marks_everybody_on_the_address(world):
    mother, father = (world.patient(email="family@example.invalid") for _ in range(2))
    (result,) = world.link.inbound("email", [_event(DeliveryEvent.BOUNCED_HARD, address="family@example.invalid")])
    assert "invalidated" in result.actions
    for person in (mother, father):
        outcome = world.link.send(world.ask(person))
        assert ReasonCode.CONTACT_INVALID in outcome.decision.codes
    assert world.divergences() == []
