"""What the settings say of a channel's provider stands in the log, so that replay finds the same facts (P7)."""

from __future__ import annotations

import attrs
import pytest

from carelink.audit.bodies import PluginsBody
from carelink.audit.entry import parse_entry
from carelink.model.moment import DAY

CN = {"rec-email": ("CN", 1_900_000_000_000_000), "rec-sms": ("", None)}


def _said(world):
    with world.link.wiring.store.reader() as reader:
        bodies = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
    (*_, last) = [body for body in bodies if isinstance(body, PluginsBody)]
    return {one.name: (one.region, one.agreement_until) for plugin in last.plugins for one in plugin.channels}


def _with(world, processors):
    world.settings = attrs.evolve(world.settings, processors=processors)
    world.restart()


def test_a_home_that_names_its_providers_replays_without_a_divergence(world):
    patient = world.patient()
    world.link.send(world.ask(patient))
    assert _said(world) == {"rec-email": (None, None), "rec-sms": (None, None)}
    _with(world, CN)
    world.link.send(world.ask(patient))
    assert _said(world) == {"rec-email": ("CN", 1_900_000_000_000_000), "rec-sms": (None, None)}
    assert world.divergences() == []


def test_a_change_of_the_providers_is_an_entry_and_the_same_settings_are_none(world):
    def size():
        with world.link.wiring.store.reader() as reader:
            return reader.head().size

    _with(world, CN)
    before = size()
    _with(world, CN)
    assert size() == before
    _with(world, CN | {"rec-email": ("CN", 1_900_000_000_000_000 + DAY)})
    assert size() == before + 1
    _with(world, {})
    assert size() == before + 2
    assert _said(world) == {"rec-email": (None, None), "rec-sms": (None, None)}


@pytest.mark.parametrize("held", [{}, {"rec-email": ("US", None)}])
def test_a_process_that_holds_other_settings_than_the_log_is_found(world, held):
    """It goes on with what it was started with, while another process recorded newer settings."""
    patient = world.patient()
    _with(world, held)
    old = world.link
    world.settings = attrs.evolve(world.settings, processors=CN)
    newer = world.another()
    old.send(world.ask(patient))
    newer.wiring.keys.close()
    assert any("channel.region" in each or "channel.agreement_until" in each for each in world.divergences())
