"""P7 after a restored backup: what `store reconcile` takes over and settles stands in the log, and the log replays."""

from __future__ import annotations

import shutil
from collections import Counter

import pytest

from carelink.audit.divergence import Summary
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.engine.reconcile import reconcile
from carelink.model.moment import HOUR, MINUTE, SECOND
from carelink.testing.world import World
from carelink.vocabulary import Effect, Outcome


class Killed(BaseException):
    pass


def kill(prepared):
    raise Killed


def replayed(world):
    """Divergences and final states of the whole log."""
    summary = Summary()
    with world.link.wiring.store.reader() as reader:
        entries = list(reader.entries(0, reader.head().size))
    found = list(replay(enumerate(entries), PolicyJudge(), summary=summary))
    return [str(each) for each in found], Counter(summary.states)


@pytest.fixture
def restored(tmp_path):
    """A backup holds three permits; after it was taken one is sent, one stopped, a fourth permitted, a fifth in flight."""
    world = World(tmp_path / "w", sqlite=True)
    world.content()
    people = [world.patient() for _ in range(6)]
    asks = [world.ask(person) for person in people]
    world.link.permit_many(asks[:3])
    world.link.publish()
    world.link.wiring.store.close()
    data = world.settings.store.parent
    shutil.copytree(data, tmp_path / "backup")
    link = world.restart()
    link.send(asks[0])
    link.stop(people[1], purposes=["care"])
    link.permit_many([asks[3]])
    world.email.before_send = kill
    with pytest.raises(Killed):
        link.send(asks[4])
    world.email.before_send = None
    link = world.restart()
    link.publish()
    link.wiring.store.close()
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "backup", data)
    world.restart()
    yield world, asks
    world.link.close()


def test_a_restored_store_sends_nothing_until_it_is_reconciled(restored):
    world, asks = restored
    before = len(world.email.handed)
    assert world.link.send(asks[5]).effect is Effect.REFUSE
    assert world.link.preview(asks[5]).effect is Effect.REFUSE
    assert len(world.email.handed) == before


def test_a_reconciled_log_replays_and_nobody_is_contacted_twice(restored):
    world, asks = restored
    link = world.link
    assert reconcile(link.parts, link.notary, by=link.actor("operator"), accept_orphans=True).done
    handed = Counter(item.address for item in world.email.handed)
    world.clock.advance(6 * SECOND)
    outcomes = link.send_many(asks)
    assert [item.effect for item in outcomes] == [Effect.PERMIT, Effect.REFUSE, *[Effect.PERMIT] * 4]
    assert [item.repeated for item in outcomes] == [True, False, False, False, True, False]
    assert outcomes[4].receipt.outcome is Outcome.UNKNOWN, (
        "in flight when the store was lost: maybe delivered, never again"
    )
    again = Counter(item.address for item in world.email.handed)
    assert sum(again.values()) == sum(handed.values()) + 3
    assert max(again.values()) == 1
    divergences, states = replayed(world)
    assert divergences == []
    assert states == {"handover:accepted": 4, "recovered:unknown": 1, "refused": 1}


def test_permits_that_nobody_claims_after_it_are_released_in_the_log(restored):
    world, _ = restored
    link = world.link
    reconcile(link.parts, link.notary, by=link.actor("operator"), accept_orphans=True)
    world.clock.advance(HOUR + MINUTE)
    link.recover()
    divergences, states = replayed(world)
    assert divergences == []
    assert states == {
        "handover:accepted": 1, "released:stopped": 1, "released:expired": 2, "recovered:unknown": 1,
    }  # fmt: skip
