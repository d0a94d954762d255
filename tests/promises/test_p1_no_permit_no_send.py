"""P1: the only thing a channel can be handed is made from a single-use permit, and only the gate mints permits."""

from __future__ import annotations

import ast
import copy
import pickle
from pathlib import Path

import pytest

import carelink
from carelink.errors import PermitError
from carelink.model.moment import Instant
from carelink.ports.channel import OutboundMessage
from carelink.ports.permit import Permit
from carelink.testing.permits import permit_for_tests
from carelink.vault.personal import Personal
from carelink.vocabulary import Effect, Outcome, Purpose

SOURCE = Path(carelink.__file__).parent
MINTERS = {"ports/permit.py", "engine/handover.py", "testing/permits.py"}
SENDERS = {"channels/dispatcher.py"}


def _message(permit: Permit, now: int = 0) -> OutboundMessage:
    return OutboundMessage(
        permit, now=Instant(now), key="0" * 32, purpose=Purpose.SYSTEM_TEST, address=Personal("a"), body=Personal("b")
    )


def test_a_permit_cannot_be_made_by_hand():
    with pytest.raises(PermitError):
        Permit(object(), "r", "q", Instant(10))  # type: ignore[arg-type]


def test_a_message_needs_a_permit_and_uses_it_up():
    permit = permit_for_tests(Instant(10))
    _message(permit)
    with pytest.raises(PermitError):
        _message(permit)


def test_a_permit_ends_with_its_lease():
    with pytest.raises(PermitError):
        _message(permit_for_tests(Instant(10)), now=10)
    _message(permit_for_tests(Instant(10)), now=9)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_permit_cannot_be_multiplied(how):
    with pytest.raises(PermitError):
        how(permit_for_tests(Instant(10)))


def _calls(tree: ast.AST) -> set[str]:
    return {
        node.func.attr for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }


def test_only_the_gate_mints_and_only_the_dispatcher_reaches_a_channel():
    minters, senders = set(), set()
    for file in sorted(SOURCE.rglob("*.py")):
        name = file.relative_to(SOURCE).as_posix()
        tree = ast.parse(file.read_text(encoding="utf-8"))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if "mint" in names or "_MINT" in names:
            minters.add(name)
        receivers = {
            node.func.value.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("send", "prepare")
            and isinstance(node.func.value, ast.Name)
        }
        if "channel" in receivers:
            senders.add(name)
    assert minters == MINTERS
    assert {name for name in senders if not name.startswith("testing/")} == SENDERS


def test_a_refused_request_reaches_no_channel(world):
    stranger = world.patient(consent=())
    outcome = world.link.send(world.ask(stranger))
    assert outcome.effect is Effect.REFUSE
    assert world.email.handed == []


def test_a_permitted_request_reaches_its_channel_once(world):
    patient = world.patient()
    outcome = world.link.send(world.ask(patient))
    assert outcome.effect is Effect.PERMIT
    assert outcome.receipt.outcome is Outcome.ACCEPTED
    assert len(world.email.handed) == 1


def test_preview_reaches_no_channel_and_leaves_no_trace(world):
    patient = world.patient()
    with world.link.wiring.store.reader() as reader:
        before = reader.head()
    assert world.link.preview(world.ask(patient)).effect is Effect.PERMIT
    with world.link.wiring.store.reader() as reader:
        assert reader.head() == before
    assert world.email.handed == []


def test_decisions_outcomes_and_forecasts_have_no_truth_value(world):
    patient = world.patient()
    request = world.ask(patient)
    for value in (world.link.preview(request), world.link.send(request)):
        with pytest.raises(TypeError):
            bool(value)
