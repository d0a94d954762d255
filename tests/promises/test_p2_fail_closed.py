"""P2: a fact that is missing, stale, corrupt, undecryptable or late never permits. Each case has a control."""

from __future__ import annotations

from datetime import date

import attrs
import pytest

from carelink.consent.reasons import ReasonCode
from carelink.model.moment import MINUTE
from carelink.ports.rows import SealedRow
from carelink.testing.fakes import RecordingChannel
from carelink.testing.world import World
from carelink.vocabulary import AddressKind, ChannelKind, ContactStatus, Effect, Mode


def _effect(world, **more):
    patient = more.pop("patient", None) or world.patient()
    return world.link.send(world.ask(patient, **more))


def test_control_everything_known_permits(world):
    assert _effect(world).effect is Effect.PERMIT


def test_unknown_template_refuses(world):
    outcome = _effect(world, template="nobody-wrote-this")
    assert ReasonCode.CONTENT_UNREVIEWED in outcome.decision.codes
    assert world.email.handed == []


def test_draft_template_refuses(world):
    world.content("draft", approvals=0)
    assert ReasonCode.CONTENT_UNREVIEWED in _effect(world, template="draft").decision.codes


def test_no_contact_point_refuses(world):
    assert ReasonCode.CONTACT_MISSING in _effect(world, patient=world.patient(email=None)).decision.codes


def test_invalid_contact_point_refuses(world):
    patient = world.patient()
    with world.link.wiring.store.transaction() as tx:
        row = next(c for c in tx.contacts([patient])[patient] if c.kind.value == "email")
        tx.put_contact(attrs.evolve(row, status=ContactStatus.INVALID))
    assert ReasonCode.CONTACT_INVALID in _effect(world, patient=patient).decision.codes


def test_unreadable_birth_date_of_a_minor_is_an_unknown_age(world, tmp_path):
    child = world.patient(birth=date(2015, 1, 1))
    with world.link.wiring.store.transaction() as tx:
        envelope = tx.sealed("patient", [child], ["birth_date"])[(child, "birth_date")]
        broken = envelope[:-1] + bytes([envelope[-1] ^ 1])
        tx.add_sealed([SealedRow(table="patient", row=child, column="birth_date", envelope=broken)])
    outcome = _effect(world, patient=child, purpose="marketing.service")
    assert ReasonCode.AGE_UNKNOWN in outcome.decision.codes


def test_undecryptable_address_is_never_handed_over(world):
    patient = world.patient()
    with world.link.wiring.store.transaction() as tx:
        contacts = tx.contacts([patient])[patient]
        for row in contacts:
            envelope = tx.sealed("contact", [row.id], ["address"])[(row.id, "address")]
            broken = envelope[:40] + bytes([envelope[40] ^ 8]) + envelope[41:]
            tx.add_sealed([SealedRow(table="contact", row=row.id, column="address", envelope=broken)])
    outcome = _effect(world, patient=patient)
    assert outcome.receipt.released == "address_unreadable"
    assert world.email.handed == []


def test_text_changed_after_approval_is_never_handed_over(world):
    patient = world.patient()
    with world.link.wiring.store.transaction() as tx:
        row = tx.templates([("note", 1)])[("note", 1)]
        tx.put_template(attrs.evolve(row, body="Something nobody approved."))
    outcome = _effect(world, patient=patient)
    assert outcome.receipt.released == "content_changed"
    assert world.email.handed == []


def test_no_policy_refuses(world):
    patient = world.patient()
    with world.link.wiring.store.transaction() as tx:
        tx.put_tenant(attrs.evolve(tx.tenant(), policy="", packs=()))
    outcome = _effect(world, patient=patient)
    assert outcome.decision.codes == (ReasonCode.POLICY_MISSING,)


def test_a_changed_pack_is_no_policy(world):
    patient = world.patient()
    world.link.parts.policies._compiled.clear()
    with world.link.wiring.store.transaction() as tx:
        digest = tx.tenant().packs[0]
        tx.put_pack(digest, tx.pack(digest) + b"\n# looser\n")
    assert _effect(world, patient=patient).decision.codes == (ReasonCode.POLICY_MISSING,)


def test_a_wall_clock_that_steps_defers(world):
    patient = world.patient()
    world.clock.step(3 * MINUTE)
    outcome = _effect(world, patient=patient)
    assert outcome.effect is Effect.DEFER
    assert ReasonCode.CLOCK_UNTRUSTED in outcome.decision.codes


def test_a_wall_clock_behind_the_gate_rows_defers(world):
    patient = world.patient()
    assert _effect(world, patient=patient).effect is Effect.PERMIT
    world.clock.step(-3 * MINUTE)
    world.link.parts.guard.accept()
    outcome = _effect(world, patient=patient)
    assert outcome.effect is Effect.DEFER
    assert ReasonCode.CLOCK_UNTRUSTED in outcome.decision.codes


def test_no_zone_anywhere_refuses(tmp_path):
    world = World(tmp_path / "z", zone="")
    world.content()
    patient = world.patient(phone=None)
    outcome = world.link.send(world.ask(patient))
    assert ReasonCode.ZONE_UNKNOWN in outcome.decision.codes
    world.link.close()


def test_a_message_that_can_only_come_too_late_is_refused(world):
    patient = world.patient()
    outcome = _effect(world, patient=patient, useless_after=world.clock.now())
    assert outcome.effect is Effect.REFUSE
    assert ReasonCode.TOO_LATE in outcome.decision.codes


def test_unreachable_keys_defer(world, monkeypatch):
    patient = world.patient()
    monkeypatch.setattr(world.link.safe, "ready", lambda: False)
    outcome = _effect(world, patient=patient)
    assert outcome.effect is Effect.DEFER
    assert ReasonCode.KEYS_UNAVAILABLE in outcome.decision.codes


@pytest.mark.parametrize("mode", ["sandbox", "team"])
def test_a_channel_that_leaves_the_machine_needs_a_wider_mode(tmp_path, mode):
    world = World(tmp_path / "m")
    far = RecordingChannel("far", ChannelKind.EMAIL, AddressKind.EMAIL, clock=world.clock, local=False)
    world.link.close()
    world = World(tmp_path / "n", channels=[far])
    far._clock = world.clock
    world.content()
    patient = world.patient()
    with world.link.wiring.store.transaction() as tx:
        tx.put_tenant(attrs.evolve(tx.tenant(), mode=Mode(mode)))
    outcome = world.link.send(world.ask(patient))
    assert outcome.effect is Effect.REFUSE
    assert far.handed == []
    world.link.allow("w1@example.invalid")
    again = world.link.send(world.ask(patient))
    assert (again.effect is Effect.PERMIT) is (mode == "team")
    world.link.close()
