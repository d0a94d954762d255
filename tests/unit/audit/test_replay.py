"""Replay finds every planted contradiction, and nothing in a sound log."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import attrs
import pytest

from carelink.audit.bodies import (
    ConsentEndedBody,
    HandoverBody,
    MergedBody,
    ModeBody,
    PolicyBody,
    ReceiptBody,
    RecoveredBody,
    ReleasedBody,
    StoppedBody,
    SubjectBody,
    SuppressionAddedBody,
)  # fmt: skip
from carelink.audit.conservation import balance
from carelink.audit.decided import ClaimBody, DecisionBody
from carelink.audit.divergence import DivergenceCode, Summary
from carelink.audit.entry import parse_entry
from carelink.audit.kinds import ReleaseCause
from carelink.audit.replay import replay
from carelink.consent.facts import Absent, ContactFact, Known, StopFact
from carelink.consent.reasons import ReasonCode
from carelink.consent.verdict import Decision, Verdict
from carelink.errors import PolicyError
from carelink.model.scope import Scope
from carelink.vocabulary import (
    AgeBand,
    ContactStatus,
    DeliveryEvent,
    Effect,
    GrantState,
    Mode,
    Outcome,
    Standing,
    StopSource,
)  # fmt: skip

_spec = importlib.util.spec_from_file_location("audit_samples", Path(__file__).parent / "samples.py")
s = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(s)

REQUEST, RESERVATION, STOP = s.ref(20), s.ref(21), s.ref(22)
AT = s.T0 + 100 * s.SECOND
C = DivergenceCode


class CapOfTwo:
    """Permits unless a stop covers the message or two touches stand in the history: small, but a real function of
    the facts."""

    def policy(self, packs):
        if any(b"future" in pack for pack in packs):
            raise PolicyError("unknown rule kind")
        return s.POLICY

    def decide(self, facts, policy):
        stops = facts.stops.value if isinstance(facts.stops, Known) else None
        count = len(facts.touches.value.items)
        if stops is None:
            verdict = Verdict(rule="T.STOP", effect=Effect.REFUSE, reason=ReasonCode.FACT_UNKNOWN)
        elif any(stop.scope.covers(facts.ask.purpose, facts.ask.channel_kind) for stop in stops):
            verdict = Verdict(rule="T.STOP", effect=Effect.REFUSE, reason=ReasonCode.SUPPRESSED)
        elif count >= 2:
            verdict = Verdict(
                rule="T.CAP", effect=Effect.REFUSE, reason=ReasonCode.CAP_EXCEEDED, detail=(("count", count),)
            )
        else:
            verdict = Verdict(rule="T.CAP", effect=Effect.PERMIT)
        return Decision(effect=verdict.effect, at=facts.at, policy=policy or "0" * 64, verdicts=(verdict,))


def decision(facts=None, request=REQUEST, reservation=RESERVATION, lease=None, **changes):
    facts = s.facts() if facts is None else facts
    made = CapOfTwo().decide(facts, s.POLICY)
    permit = made.effect is Effect.PERMIT
    body = DecisionBody.of(
        made,
        decision=s.ref(30),
        request=request,
        facts=facts,
        reservation=reservation if permit else None,
        expires=facts.at + 600 * s.SECOND if permit else None,
        lease=lease,
    )
    return attrs.evolve(body, **changes)


def claim(facts=None, lease=5, reservation=RESERVATION, request=REQUEST):
    facts = s.facts(AT + s.SECOND) if facts is None else facts
    made = CapOfTwo().decide(facts, s.POLICY)
    end = facts.at + lease * s.SECOND if made.effect is Effect.PERMIT else None
    return ClaimBody.of(made, claim=s.ref(31), reservation=reservation, request=request, facts=facts, lease=end)


def handover(outcome=Outcome.ACCEPTED, at=AT + 2 * s.SECOND, **changes):
    body = HandoverBody(
        reservation=RESERVATION, request=REQUEST, channel="outbox", outcome=outcome, attempted_at=at, content=s.DIGEST
    )
    return attrs.evolve(body, **changes)


def released(cause, reservation=RESERVATION):
    return ReleasedBody(reservation=reservation, request=REQUEST, cause=cause)


def suppression(person=None, address=None, purposes=("*",)):
    return SuppressionAddedBody(
        suppression=STOP, person=person, address=address, purposes=purposes, channels=("*",), source=StopSource.REPLY,
        since=AT,
    )  # fmt: skip


def stop_fact(binds):
    return StopFact(ref=STOP, binds=binds, scope=Scope(("*",)), source=StopSource.REPLY, since=AT)


def run(*bodies, ground=None):
    summary = Summary()
    log = s.encoded([*(s.ground() if ground is None else ground), *bodies])
    return list(replay(log, CapOfTwo(), summary=summary)), summary


def codes(*bodies):
    return {divergence.code for divergence in run(*bodies)[0]}


def fields(*bodies):
    return {divergence.field for divergence in run(*bodies)[0]}


def test_a_sound_log_has_no_divergence():
    stop = (suppression(person=s.PATIENT), StoppedBody(suppressions=(STOP,), in_flight=(), released=()))
    after = s.facts(AT + 9 * s.SECOND, [s.touch(AT + s.SECOND)], stops=Known((stop_fact("subject"),)))
    receipt = ReceiptBody(
        reservation=RESERVATION, event=DeliveryEvent.DELIVERED, at=AT + 4 * s.SECOND, state="delivered"
    )
    found, summary = run(decision(), claim(), handover(), receipt, *stop, decision(after, request=s.ref(40)))
    assert found == []
    assert (summary.decisions, summary.claims, summary.different, summary.exit_code) == (2, 1, 0, 0)
    assert summary.states == {"handover:accepted": 1, "refused": 1}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"effect": Effect.DEFER, "reservation": None, "expires": None}, "effect"),
        ({"rules": 7}, "rules"),
        ({"earliest": AT + 1}, "earliest"),
        ({"policy": "0" * 64}, "policy"),
        ({"reasons": (Verdict(rule="X", effect=Effect.REFUSE, reason=ReasonCode.SUPPRESSED),)}, "reasons"),
    ],
)
def test_a_changed_result_is_found(change, field):
    assert field in fields(decision(**change))
    assert C.DECISION in codes(decision(**change))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"mode": Known(Mode.SANDBOX)}, "facts.mode"),
        ({"standing": Known(Standing.DECEASED)}, "facts.standing"),
        ({"recipient_standing": Known(Standing.ERASED)}, "facts.recipient_standing"),
        ({"age": Known(AgeBand.FROM_8)}, "facts.age"),
        ({"contact": Known(ContactFact(status=ContactStatus.INVALID))}, "facts.contact.status"),
        ({"contact": Known(ContactFact(status=ContactStatus.VALID, persons=2))}, "facts.contact.persons"),
        ({"contact": Known(ContactFact(status=ContactStatus.VALID, verified_at=5))}, "facts.contact.verified_at"),
        ({"grants": Known(())}, "facts.grants"),
        ({"stops": Known((stop_fact("subject"),))}, "facts.stops"),
        ({"touches": [s.touch(AT - 1)]}, "facts.touches"),
        ({"content": Known(attrs.evolve(s.facts().content.value, approvals=2))}, "facts.content.approvals"),
        ({"content": Known(attrs.evolve(s.facts().content.value, digest="0" * 64))}, "facts.content.digest"),
        ({"content": Known(attrs.evolve(s.facts().content.value, purposes=("*",)))}, "facts.content.purposes"),
        ({"channel": Known(attrs.evolve(s.facts().channel.value, local=False))}, "facts.channel.local"),
        ({"ask": attrs.evolve(s.facts().ask, channel="other")}, "facts.channel.usable"),
        ({"ask": attrs.evolve(s.facts().ask, template="other")}, "facts.content"),
        ({"recipient": s.ref(9)}, "facts.role"),
    ],
)
def test_a_fact_that_earlier_entries_contradict_is_found(change, field):
    assert field in fields(decision(s.facts(**change)))


def test_an_ended_grant_recorded_as_given_is_found():
    end = ConsentEndedBody(grant=s.GRANT, subject=s.PATIENT, state=GrantState.WITHDRAWN, ended_at=AT)
    assert fields(end, decision()) == {"facts.grants.state"}


def test_a_touch_left_out_of_the_history_is_found_for_any_state_that_counts():
    second = decision(s.facts(AT + 9 * s.SECOND), request=s.ref(40), reservation=s.ref(41))
    assert fields(decision(), second) == {"facts.touches"}
    assert fields(decision(), claim(), handover(), second) == {"facts.touches"}
    assert fields(decision(), claim(), handover(Outcome.REFUSED), second) == set()
    assert fields(decision(), released(ReleaseCause.EXPIRED), second) == set()


def test_a_stop_of_a_merged_record_binds_the_survivor():
    entries = (suppression(person=s.ref(50)), MergedBody(subject=s.PATIENT, merged=s.ref(50)))
    assert C.STOP_IGNORED in codes(*entries, decision())
    assert codes(*entries, decision(s.facts(stops=Known((stop_fact("subject"),))))) == set()


@pytest.mark.parametrize("scope", [{"person": s.PATIENT}, {"address": s.ADDRESS}])
def test_a_permit_or_claim_after_a_stop_in_scope_is_found(scope):
    assert C.STOP_IGNORED in codes(suppression(**scope), decision())
    assert C.STOP_IGNORED in codes(decision(), suppression(**scope), claim())
    other = suppression(**scope, purposes=("marketing",))
    assert C.STOP_IGNORED not in codes(decision(), other, claim())


def test_a_stop_that_leaves_a_permit_open_is_found():
    stop = (suppression(person=s.PATIENT), StoppedBody(suppressions=(STOP,), in_flight=(), released=()))
    assert codes(decision(), *stop) == {C.STOP_LEFT_OPEN}
    assert codes(decision(), claim(), *stop) == {C.STOP_LEFT_OPEN}
    met = (suppression(person=s.PATIENT), StoppedBody(suppressions=(STOP,), in_flight=(RESERVATION,), released=()))
    assert codes(decision(), claim(), *met, handover()) == set()
    freed = StoppedBody(suppressions=(STOP,), in_flight=(), released=(RESERVATION,))
    assert codes(decision(), suppression(person=s.PATIENT), released(ReleaseCause.STOPPED), freed) == set()


@pytest.mark.parametrize(
    ("bodies", "code"),
    [
        ((handover(),), C.NO_PERMIT),
        ((decision(), handover()), C.WRONG_STATE),
        ((decision(), claim(), handover(), handover()), C.NO_PERMIT),
        ((decision(), claim(), handover(), released(ReleaseCause.LEASE_RAN_OUT)), C.NO_PERMIT),
        ((decision(), claim(), released(ReleaseCause.EXPIRED)), C.WRONG_STATE),
        ((decision(), claim(), handover(at=AT + 7 * s.SECOND)), C.LEASE),
        ((decision(), claim(), handover(at=AT - 200 * s.SECOND)), C.LEASE),
        ((decision(), claim(lease=6)), C.LEASE),
        ((decision(lease=AT + 9 * s.SECOND),), C.LEASE),
        ((decision(), claim(), handover(channel="other")), C.CHANNEL_MIXED),
        ((decision(), claim(), handover(request=s.ref(77))), C.REQUEST_MIXED),
        ((decision(), claim(request=s.ref(77))), C.REQUEST_MIXED),
        ((decision(), claim(s.facts(AT + 600 * s.SECOND))), C.EXPIRED),
        ((decision(), claim(), claim()), C.WRONG_STATE),
        ((decision(), decision(request=s.ref(40))), C.RESERVATION_REUSED),
        ((decision(), decision(reservation=s.ref(41))), C.REQUEST_HELD),
        ((decision(), claim(), handover(), decision(reservation=s.ref(41))), C.REQUEST_SPENT),
        ((released(ReleaseCause.CLAIM_REFUSED),), C.NO_PERMIT),
        ((decision(), released(ReleaseCause.CLAIM_REFUSED)), C.CLAIM_NOT_RELEASED),
        (
            (decision(), RecoveredBody(reservation=RESERVATION, request=REQUEST, outcome=Outcome.UNKNOWN, by="lookup")),
            C.WRONG_STATE,
        ),
        (
            (decision(), claim(), handover(), ReceiptBody(
                reservation=RESERVATION, event=DeliveryEvent.BOUNCED_HARD, at=AT, state="delivered")),
            C.RECEIPT_STATE,
        ),
        ((PolicyBody(digest=s.POLICY, packs=(s.PACK, "0" * 64), by=s.STAFF, approvers=(), loosens=False),), C.POLICY),
        ((PolicyBody(digest="0" * 64, packs=(s.PACK,), by=s.STAFF, approvers=(), loosens=False),), C.POLICY),
        ((PolicyBody(digest=s.POLICY, packs=(), by=s.STAFF, approvers=(), loosens=False),), C.APPROVAL),
        (
            (PolicyBody(digest=s.POLICY, packs=(), by=s.STAFF, approvers=(s.STAFF, s.STAFF), loosens=True),),
            C.APPROVAL,
        ),
    ],
)  # fmt: skip
def test_a_broken_rule_of_the_path_is_found(bodies, code):
    assert code in codes(*bodies)


def test_a_refused_claim_must_be_released():
    stop = (suppression(person=s.PATIENT),)
    refused = claim(s.facts(AT + s.SECOND, stops=Known((stop_fact("subject"),))))
    assert codes(decision(), *stop, refused) == {C.CLAIM_NOT_RELEASED}
    assert codes(decision(), *stop, refused, released(ReleaseCause.CLAIM_REFUSED)) == set()


def test_a_released_request_may_be_permitted_again():
    again = decision(s.facts(AT + 9 * s.SECOND), reservation=s.ref(41))
    assert codes(decision(), released(ReleaseCause.EXPIRED), again) == set()


def test_an_unknown_fact_is_taken_as_recorded_and_counted():
    found, summary = run(decision(s.facts(stops=Absent.UNKNOWN)))
    assert found == []
    assert summary.absent == {"stops": 1}


def test_a_policy_this_release_cannot_read_is_not_judged():
    ground = s.ground()
    text = "future = 1\n"
    digest = s.sha256(text.encode()).hexdigest()
    ground[0] = attrs.evolve(ground[0], toml=text, digest=digest)
    ground[1] = attrs.evolve(ground[1], packs=(digest,))
    found, summary = run(decision(), ground=ground)
    assert (found, summary.not_judged, summary.exit_code) == ([], 1, 5)


def test_a_mode_change_binds_the_decisions_after_it():
    assert fields(decision(), ModeBody(mode=Mode.TEAM, by=s.STAFF), claim()) == {"facts.mode"}


def test_a_shared_address_counts_its_living_users():
    contact = s.ground()[6].contact
    other = SubjectBody(subject=s.ref(60), standing=Standing.ACTIVE, contact=contact)
    gone = SubjectBody(subject=s.ref(60), standing=Standing.DECEASED)
    assert fields(other, decision()) == {"facts.contact.persons"}
    assert fields(other, gone, decision()) == set()


def test_every_request_is_in_exactly_one_final_state():
    def book(*bodies):
        return balance((index, parse_entry(data)) for index, data in s.encoded([*s.ground(), *bodies]))

    assert book(decision()).states == {"permit_open": 1}
    assert book(decision(), claim()).states == {"claim_open": 1}
    assert book(decision(), claim(), handover()).states == {"handover:accepted": 1}
    assert book(decision(), released(ReleaseCause.EXPIRED)).states == {"released:expired": 1}
    refused = decision(s.facts(stops=Known((stop_fact("subject"),))), request=s.ref(40))
    both = book(decision(), claim(), handover(Outcome.UNKNOWN), refused)
    assert both.states == {"handover:unknown": 1, "refused": 1}
    assert sum(both.states.values()) == both.requests == 2
    assert both.findings == ()
    twice = book(decision(), claim(), handover(), handover(), decision(reservation=s.ref(41)))
    assert [finding.got for finding in twice.findings] == ["handover:accepted", "permit_open"]
