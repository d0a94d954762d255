"""P2, P3: while the key provider does not answer, messages are held and stops are taken."""

from __future__ import annotations

from contextlib import closing

import attrs
import pytest

from carelink.app import CareLink
from carelink.errors import DecryptError, KeyCheckError, KeyProviderError
from carelink.keys.folder import KeyFolder
from carelink.keys.store import KeyStore
from carelink.ports.channel import ChannelEvent
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent, Effect


class Moody:
    """A provider whose `unwrap` fails as it is told to."""

    def __init__(self, folder):
        self.folder, self.error = folder, None

    def unwrap(self, wrapped, context):
        if self.error is not None:
            raise self.error("no")
        return self.folder.unwrap(wrapped, context)

    def __getattr__(self, name):
        return getattr(self.folder, name)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path, sqlite=True)
    made.content()
    made.moody = Moody(KeyFolder.open(made.settings.keys))
    made.person = made.patient()
    made.link.close()
    wiring = made._wire()
    wiring.keys.close()
    made.link = CareLink(attrs.evolve(wiring, keys=KeyStore.open(made.settings.keys / "keys.db", made.moody)))
    yield made
    made.link.close()


def new_epoch_elsewhere(world):
    """All keys go under an epoch that this process has not met: it must ask the provider."""
    with closing(KeyStore.open(world.settings.keys / "keys.db", KeyFolder.open(world.settings.keys))) as other:
        other.begin_epoch()
        while other.rewrap(100):
            pass


@pytest.mark.parametrize("error", [KeyProviderError, KeyCheckError, DecryptError])
def test_a_message_is_held_and_goes_once_the_provider_is_back(world, error):
    world.moody.error = error
    new_epoch_elsewhere(world)
    outcome = world.link.send(world.ask(world.person, key="r1"))
    assert outcome.effect is Effect.DEFER
    assert {verdict.reason.value for verdict in outcome.reasons if verdict.effect is Effect.DEFER} >= {
        "KEYS_UNAVAILABLE"
    }
    assert not world.email.handed
    world.moody.error = None
    assert world.link.send(world.ask(world.person, key="r2")).effect is Effect.PERMIT
    assert len(world.email.handed) == 1
    assert not world.divergences()


@pytest.mark.parametrize("how", ["staff", "reply"])
def test_a_stop_is_taken_while_the_provider_is_away(world, how):
    """Its keys have been in this process since before; another process put them under an epoch that it has not met."""
    world.link.send(world.ask(world.person, key="r1"))
    world.moody.error = KeyProviderError
    new_epoch_elsewhere(world)
    if how == "staff":
        assert world.link.stop(world.person, purposes=["care"]).suppressions
    else:
        event = ChannelEvent(
            event=DeliveryEvent.REPLIED, address=Personal("w1@example.invalid"), text=Personal("STOP"), event_id="e1"
        )
        (result,) = world.link.inbound("rec-email", [event])
        assert result.suppressions and {"stopped"} <= set(result.actions)
    world.moody.error = None
    assert world.link.send(world.ask(world.person, key="r2")).effect is Effect.REFUSE
    assert not world.divergences()
