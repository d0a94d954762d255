"""The safe: keyed hashes that tell contents apart, keys that are gone the moment anybody destroys them."""

from __future__ import annotations

import attrs
import pytest

from carelink.errors import DecryptError, ErasedError, KeyMissingError, KeyProviderError, StoreError
from carelink.model.request import Request
from carelink.vocabulary import AddressKind

PATIENT = "a" * 32


def _request(**more):
    return Request(
        **{"key": "k", "patient": PATIENT, "purpose": "care.appointment", "channel": "sms", "template": "t"} | more
    )


@pytest.mark.parametrize(
    "change",
    [
        {"patient": "b" * 32}, {"purpose": "care.medication"}, {"channel": "email"}, {"template": "u"}, {"version": 1},
        {"variables": {"a": "b"}}, {"recipient": "c" * 32}, {"disclosure": "results"}, {"automated": True},
        {"reply": True}, {"not_before": 1}, {"useless_after": 1}, {"clinician": "Dr. Chen"},
    ],
)  # fmt: skip
def test_what_is_asked_for_is_told_apart(world, change):
    safe = world.link.safe
    assert safe.request_mac(_request()) == safe.request_mac(_request())
    assert safe.request_mac(_request(**change)) != safe.request_mac(_request())
    assert safe.request_ref("k") == safe.request_ref("k") != safe.request_ref("l")


def test_how_long_to_wait_is_no_content(world):
    """The same key may be asked again with another patience."""
    assert world.link.safe.request_mac(_request(wait=True)) == world.link.safe.request_mac(_request())


def test_every_field_of_a_request_is_content_or_named_here():
    told = {"patient", "purpose", "channel", "template", "version", "variables", "recipient", "disclosure", "automated",
            "reply", "not_before", "useless_after", "plan", "topic", "due_from", "due_until", "data",
            "clinician"}  # fmt: skip
    assert {field.name for field in attrs.fields(Request)} - told == {"key", "wait"}


def test_tokens_belong_to_one_tenant_and_one_kind(world, tmp_path):
    from carelink.testing.world import World

    other = World(tmp_path / "other", seed=2)
    one, two = world.link.safe, other.link.safe
    assert one.token(AddressKind.EMAIL, "x") != one.token(AddressKind.PHONE, "x")
    assert one.token(AddressKind.EMAIL, "x") != two.token(AddressKind.EMAIL, "x")
    assert one.request_ref("k") != two.request_ref("k")
    assert one.actor_ref("Dr Chen") != two.actor_ref("Dr Chen")
    assert one.request_of(one.attempt_key(one.request_ref("k"))) == one.request_ref("k")
    assert two.request_of(one.attempt_key(one.request_ref("k"))) != one.request_ref("k")
    assert one.request_of("no token") is None
    other.link.close()


def test_a_key_another_process_destroyed_opens_nothing_here(world):
    """Also where this process has used it a moment ago."""
    patient = world.patient()
    with world.link.wiring.store.reader() as reader:
        envelope = reader.sealed("patient", [patient], ("name",))[(patient, "name")]
    safe = world.link.safe
    assert safe.open(patient, "patient", patient, "name", envelope).reveal("test") == "Person 1"
    other = world.another()
    other.wiring.keys.shred(patient, world.clock.now(), "test")
    other.wiring.keys.close()
    with pytest.raises(ErasedError):
        safe.open(patient, "patient", patient, "name", envelope)
    with pytest.raises(ErasedError):
        safe.seal(patient, "patient", patient, "name", "x")
    with pytest.raises(ErasedError):
        safe.commit(patient, b"salt", b"data")
    assert safe.try_open(patient, "patient", patient, "name", envelope) is None
    outcome = world.link.send(world.ask(patient))
    assert outcome.receipt.released == "address_unreadable"
    assert world.email.handed == []


def test_keys_are_read_once_for_a_batch(world, monkeypatch):
    patients = [world.patient() for _ in range(20)]
    world.restart()
    keys = world.link.wiring.keys
    real, reads = type(keys)._unwrapped, []

    def counting(self, rows):
        reads.append(len(rows))
        return real(self, rows)

    monkeypatch.setattr(type(keys), "_unwrapped", counting)
    world.link.send_many([world.ask(patient) for patient in patients])
    assert reads == [20]


def test_new_keys_are_at_hand_at_once(world, monkeypatch):
    keys = world.link.wiring.keys
    monkeypatch.setattr(type(keys), "_unwrapped", lambda *_: pytest.fail("a new key was read back"))
    world.link.safe.new_owners([PATIENT])
    assert world.link.safe.seal(PATIENT, "t", "r", "c", "x").envelope


@pytest.mark.parametrize("envelope", [b"", b"\x01", None, "text", 7])
def test_what_is_no_envelope_does_not_open(world, envelope):
    patient = world.patient()
    with pytest.raises(DecryptError):
        world.link.safe.open(patient, "patient", patient, "name", envelope)
    assert world.link.safe.try_open(patient, "patient", patient, "name", envelope) is None


def test_an_owner_without_a_key_is_told(world):
    with pytest.raises(KeyMissingError):
        world.link.safe.require("f" * 32)


@pytest.mark.parametrize("error", [KeyProviderError("gone"), StoreError("gone"), KeyMissingError("gone")])
def test_it_knows_when_keys_cannot_be_had(world, monkeypatch, error):
    assert world.link.safe.ready()

    def gone(*_):
        raise error

    monkeypatch.setattr(type(world.link.wiring.keys), "secret", gone)
    assert not world.link.safe.ready()
