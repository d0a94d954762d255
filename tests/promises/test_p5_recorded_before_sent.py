"""P5: every decision is durable before a byte leaves, every hand-over has exactly one permit, nothing is rewritten."""

from __future__ import annotations

import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from carelink.audit.bodies import HandoverBody, RecoveredBody, ReleasedBody
from carelink.audit.decided import ClaimBody, DecisionBody
from carelink.audit.entry import parse_entry
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.errors import StoreError
from carelink.model.moment import HOUR, MINUTE
from carelink.testing.fakes import RecordingChannel
from carelink.testing.world import World
from carelink.vocabulary import AddressKind, ChannelKind, Effect, Outcome


class Watching(RecordingChannel):
    """A channel that looks, on a connection of its own, at what is durable when it is asked to prepare and to send."""

    def __init__(self, *given, **named):
        super().__init__(*given, **named)
        self.database, self.seen = None, []

    def prepare(self, message):
        self.look("prepare", message.permit.request)
        self.request = {**getattr(self, "request", {}), message.key: message.permit.request}
        return super().prepare(message)

    def send(self, prepared):
        self.look("send", self.request[prepared.key])
        return super().send(prepared)

    def look(self, when, request):
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            rows = db.execute("SELECT data FROM entries WHERE request = ? ORDER BY id", (request,)).fetchall()
            state = db.execute("SELECT state FROM reservations WHERE request = ?", (request,)).fetchone()
        self.seen.append((when, request, [parse_entry(data).body for (data,) in rows], state))


@pytest.fixture
def watched(tmp_path):
    channel = Watching("rec-email", ChannelKind.EMAIL, AddressKind.EMAIL, clock=None)
    world = World(tmp_path / "w", sqlite=True, channels=(channel,))
    channel._clock, channel.database = world.clock, world.settings.store
    world.email = channel
    world.content()
    yield world, channel
    world.link.close()


def log_of(world):
    with world.link.wiring.store.reader() as reader:
        return list(reader.entries(0, reader.head().size))


def test_the_decision_is_durable_before_the_channel_is_asked_for_anything(watched):
    """One, many, and permits that waited: the permit and its claim stand in the database, on another connection."""
    world, channel = watched
    world.link.send(world.ask(world.patient()))
    world.link.send_many([world.ask(world.patient()) for _ in range(20)])
    waiting = [world.ask(world.patient()) for _ in range(5)]
    world.link.permit_many(waiting)
    world.clock.advance(MINUTE)
    world.link.send_many(waiting)
    assert len(channel.handed) == 26
    assert Counter(when for when, *_ in channel.seen) == {"prepare": 26, "send": 26}
    claims = 0
    for _, request, bodies, state in channel.seen:
        assert [type(body) for body in bodies] in ([DecisionBody], [DecisionBody, ClaimBody])
        assert {body.request for body in bodies} == {request}
        assert all(body.effect is Effect.PERMIT for body in bodies)
        assert bodies[-1].lease is not None, "claimed, not only permitted"
        assert state == ("claimed",)
        claims += len(bodies) - 1
    assert claims == 2 * 5


def test_the_store_in_use_flushes_at_every_commit(watched):
    world, _ = watched
    writer = world.link.wiring.store._writer
    assert writer.execute("PRAGMA synchronous").fetchone() == (2,)
    assert writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_every_decision_is_recorded_whatever_it_says(watched):
    world, _ = watched
    asks = [world.ask(world.patient()), world.ask(world.patient(consent=())), world.ask(world.patient(email=None))]
    outcomes = world.link.send_many(asks)
    world.clock.advance(13 * HOUR)
    night = world.ask(world.patient())
    outcomes.append(world.link.send(night))
    assert [item.effect for item in outcomes] == [Effect.PERMIT, Effect.REFUSE, Effect.REFUSE, Effect.DEFER]
    recorded = {
        body.request: body.effect for body in (parse_entry(data).body for data in log_of(world))
        if isinstance(body, DecisionBody)
    }  # fmt: skip
    assert recorded == {item.ref: item.effect for item in outcomes}


@pytest.mark.parametrize("claimed", [False, True])
def test_what_cannot_be_recorded_is_not_sent(watched, monkeypatch, claimed):
    """The commit of the decision, or of the claim, fails: the channel is not asked."""
    world, channel = watched
    request = world.ask(world.patient())
    if claimed:
        world.link.permit_many([request])
    before = log_of(world)
    kind = type(world.link.wiring.store)
    real = kind.transaction

    class Failing:
        def __init__(self, inner):
            self.inner = inner

        def __enter__(self):
            tx = self.inner.__enter__()
            monkeypatch.setattr(type(tx), "append", refuse)
            return tx

        def __exit__(self, *trouble):
            return self.inner.__exit__(*trouble)

    def refuse(*_):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(kind, "transaction", lambda self: Failing(real(self)))
        with pytest.raises(StoreError):
            world.link.send(request)
    monkeypatch.undo()
    assert channel.handed == []
    assert channel.seen == []
    assert log_of(world) == before, "and nothing half of it stays"
    assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED, "the same request goes through afterwards"
    assert len(channel.handed) == 1


def bodies_of(clinic):
    return [parse_entry(data).body for data in clinic.entries()]


def test_every_hand_over_has_exactly_one_permit(clinic):
    """In a log with every way a request can end: one permit, then one claim, then one end, of the same request."""
    made, claimed, ended = {}, {}, {}
    for body in bodies_of(clinic):
        if isinstance(body, DecisionBody) and body.effect is Effect.PERMIT:
            assert body.reservation not in made
            made[body.reservation] = body.request
            if body.lease is not None:
                claimed[body.reservation] = body
        elif isinstance(body, ClaimBody):
            assert made[body.reservation] == body.request
            assert body.reservation not in claimed
            assert body.reservation not in ended
            if body.effect is Effect.PERMIT:
                claimed[body.reservation] = body
        elif isinstance(body, (HandoverBody, RecoveredBody, ReleasedBody)):
            assert made[body.reservation] == body.request
            assert body.reservation not in ended
            ended[body.reservation] = body
            if isinstance(body, HandoverBody):
                claim = claimed[body.reservation]
                assert claim.facts.at <= body.attempted_at < claim.lease
                assert claim.facts.ask.channel == body.channel
            if isinstance(body, RecoveredBody):
                assert body.reservation in claimed
    assert sum(isinstance(body, HandoverBody) for body in ended.values()) >= 24
    assert len(made) - len(ended) == clinic.states["permit waiting"] + clinic.states["in flight"]


def test_what_the_channels_were_handed_is_what_the_log_says(clinic):
    """No message without an entry: the far end's own record, compared with the log."""
    world = clinic.world
    handed = [item for channel in world.channels for item in channel.handed]
    recorded = {
        body.request: body.outcome for body in bodies_of(clinic) if isinstance(body, (HandoverBody, RecoveredBody))
    }
    assert len({item.key for item in handed}) == len(handed)
    for item in handed:
        request = world.link.safe.request_of(item.key)
        assert recorded[request] in (Outcome.ACCEPTED, Outcome.AWAITING_HUMAN, Outcome.UNKNOWN)
    taken = {request for request, outcome in recorded.items()
             if outcome in (Outcome.ACCEPTED, Outcome.AWAITING_HUMAN)}  # fmt: skip
    assert taken <= {world.link.safe.request_of(item.key) for item in handed}


def test_nothing_recorded_is_ever_rewritten(tmp_path):
    """After each of a life's steps, restarts included: what was recorded before is a prefix, to the byte, of what is."""
    world = World(tmp_path / "w", sqlite=True)
    seen, published = log_of(world), {}
    patient = None

    def register():
        nonlocal patient
        patient = world.patient(consent=("care", "marketing"))

    steps = [
        world.content,
        register,
        lambda: world.link.send(world.ask(patient)),
        lambda: world.link.permit_many([world.ask(patient)]),
        lambda: world.link.stop(patient, purposes=["marketing"]),
        lambda: world.link.withdraw(patient, purposes=["care"]),
        lambda: world.link.send(world.ask(patient)),
        world.restart,
        lambda: [world.patient() for _ in range(200)],
        lambda: world.link.publish(),  # noqa: PLW0108  the link of then, not of now
        lambda: world.clock.advance(2 * HOUR),
        lambda: world.link.recover(),  # noqa: PLW0108
        lambda: world.link.lift(patient, purposes=["marketing"], channels=["*"], actor="staff"),
        lambda: world.link.died(patient),
        lambda: world.link.export(tmp_path / "export", actor="auditor"),
    ]
    for step in steps:
        step()
        now = log_of(world)
        assert now[: len(seen)] == seen
        with world.link.wiring.store.reader() as reader:
            head = reader.head()
        assert Frontier.from_bytes(head.frontier) == Frontier().append_many(map(leaf_hash, now))
        seen = now
        for path in (world.folder / "log").rglob("*"):
            name = path.relative_to(world.folder / "log").as_posix()
            if path.is_file() and name != "checkpoint":
                assert published.setdefault(name, path.read_bytes()) == path.read_bytes(), (
                    "published files are immutable"
                )
    assert len(seen) > 600
    world.link.close()
