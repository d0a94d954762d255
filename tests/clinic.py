"""A clinic's log with every way a request can end in it, made by the real engine on SQLite files and exported."""

from __future__ import annotations

import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import attrs

from carelink.audit.checkpoint import Checkpoint, sign_checkpoint
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.audit.tiles import read_entries, tile_files
from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.model.moment import HOUR, MINUTE, SECOND, parse_instant
from carelink.ports.channel import ChannelEvent
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, DeliveryEvent, Outcome, Relation

START = "2026-01-15T10:00:00+08:00"


class Killed(BaseException):
    """The process dies here."""


@attrs.define(kw_only=True)
class Clinic:
    """The export, the key it is to be judged by, and how many requests are in each final state."""

    world: World
    export: Path
    key: str
    since: bytes
    states: Counter[str]

    def signed(self, entries: Sequence[bytes], folder: Path, *history: int) -> Path:
        """A log of these entries, made and signed by whoever holds the log's key."""
        files = dict(tile_files(0, entries, lambda _: None))
        for size in (*history, len(entries)):
            root = Frontier().append_many(map(leaf_hash, entries[:size])).root()
            note = sign_checkpoint(Checkpoint(self.world.link.key.name, size, root), [self.world.link.notary.signer])
            files[f"checkpoints/{size}"] = files["checkpoint"] = note.to_bytes()
        for path, data in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        return folder

    def entries(self) -> list[bytes]:
        """The entries of the export."""
        fetch = FolderFetcher(self.export)
        size = int((self.export / "checkpoint").read_text().split("\n")[1])
        return [data for _, data in read_entries(lambda path: fetch.read(path, 1 << 24), size)]


def _channel(name: str, kind: ChannelKind, address: AddressKind, **more: object) -> RecordingChannel:
    return RecordingChannel(name, kind, address, clock=FakeClock(parse_instant(START)), **more)


def _kill(prepared: object) -> None:
    raise Killed


def build(folder: Path) -> Clinic:
    """Tell the story."""
    email = _channel("rec-email", ChannelKind.EMAIL, AddressKind.EMAIL)
    sms = _channel("rec-sms", ChannelKind.SMS, AddressKind.PHONE)
    looked = _channel("look-sms", ChannelKind.SMS, AddressKind.PHONE, lookup=True)
    slow = _channel("slow-sms", ChannelKind.SMS, AddressKind.PHONE, latency=1)
    world = World(folder / "home", sqlite=True, at=START, channels=(email, looked, slow, sms))
    for channel in (email, sms, looked, slow):
        channel._clock = world.clock
    world.email, world.sms = email, sms
    world.content()
    for number in range(2):  # of three reviewers; the third never had a credential
        world.link.credential(f"reviewer {number}", actor="registrar")
    states: Counter[str] = Counter()
    _outcomes(world, states)
    world.link.publish()
    since = (world.folder / "log" / "checkpoint").read_bytes()
    _refusals(world, states)
    _stops_and_claims(world, states)
    _broken_rows(world, states)
    _slow(world, slow, states)
    _kills(world, looked, states)
    _replies(world, states)
    _open_ends(world, states)
    head = world.link.export(folder / "export", actor="auditor")
    assert head.size > 256, "the export should need more than one bundle"
    return Clinic(world=world, export=folder / "export", key=world.link.key.text, since=since, states=+states)


def _outcomes(world: World, states: Counter[str]) -> None:
    """One request for each of the nine outcomes; the one that stops the channel comes last."""
    order = [outcome for outcome in Outcome if outcome is not Outcome.ACCOUNT] + [Outcome.ACCOUNT]
    for outcome in order:
        world.email.script = iter([outcome])
        request = world.ask(world.patient())
        assert world.link.send(request).receipt.outcome is outcome
        states[f"handed over: {outcome.value}"] += 1
        if outcome is Outcome.THROTTLED:  # it gave its slots back: the same request may be decided again
            assert world.link.send(request).receipt.outcome is Outcome.ACCEPTED
            states[f"handed over: {outcome.value}"] -= 1
            states["handed over: accepted"] += 1
        world.clock.advance(MINUTE)
    stopped = world.link.send(world.ask(world.patient()))
    assert stopped.effect.value != "permit"
    states["deferred" if stopped.effect.value == "defer" else "refused"] += 1
    with world.link.wiring.store.transaction() as tx:
        tx.put_channel_stop("rec-email", stopped=False)
    world.email.script = iter([Outcome.THROTTLED])
    world.link.send(world.ask(world.patient()))
    states["handed over: throttled"] += 1


def _refusals(world: World, states: Counter[str]) -> None:
    link = world.link
    stranger, dead = world.patient(consent=()), world.patient()
    link.died(dead)
    child, orphan = _child(world, guardian=True), _child(world, guardian=False)
    unknown_birth = world.patient(birth=None)
    for patient in (stranger, dead, orphan, unknown_birth):
        assert link.send(world.ask(patient)).effect.value == "refuse"
        states["refused"] += 1
    assert link.send(world.ask(child)).effect.value == "permit"
    states["handed over: accepted"] += 1
    often = world.patient()
    for number in range(5):
        effect = link.send(world.ask(often)).effect.value
        states["handed over: accepted" if effect == "permit" else "refused"] += 1
        assert (effect == "permit") is (number < 3), "three appointment messages a day"
    world.clock.advance(13 * HOUR)  # 23:00: quiet
    assert link.send(world.ask(world.patient())).effect.value == "defer"
    states["deferred"] += 1
    world.clock.advance(11 * HOUR)  # 10:00 on the next day


def _child(world: World, *, guardian: bool) -> str:
    number = next(world._numbers)
    related = RelatedInput(
        name=Personal("Guardian"), relation=Relation.PARENT, verified=True, acts=True,
        contacts=(ContactInput(kind=AddressKind.EMAIL, address=Personal(f"g{number}@example.invalid")),),
    )  # fmt: skip
    (done,) = world.link.register_many([
        PatientInput(
            identifiers=(("mrn", Personal(f"C-{number}")),), name=Personal("Child"),
            birth_date=Personal(date(2018, 6, 1)), related=(related,) if guardian else (),
            contacts=(ContactInput(kind=AddressKind.EMAIL, address=Personal(f"c{number}@example.invalid")),),
        )
    ])  # fmt: skip
    world.link.grant(
        done.patient, purposes=["care"], channels=["email", "sms"], evidence="form", separate=True,
        by="guardian", notice="v1",
    )  # fmt: skip
    return done.patient


def _stops_and_claims(world: World, states: Counter[str]) -> None:
    """Permits that wait, and what becomes of them: sent, stopped, refused at the claim, too late."""
    link = world.link
    sent, stopped, withdrawn, late = (world.patient() for _ in range(4))
    asks = {who: world.ask(who) for who in (sent, stopped, withdrawn, late)}
    link.permit_many(list(asks.values()))
    link.stop(stopped, purposes=["care"])
    states["released: stopped"] += 1
    link.withdraw(withdrawn, purposes=["care"])
    outcomes = link.send_many([asks[sent], asks[withdrawn]])
    assert [item.effect.value for item in outcomes] == ["permit", "refuse"]
    states["handed over: accepted"] += 1
    states["released: claim_refused"] += 1
    world.clock.advance(2 * HOUR)
    link.recover()
    states["released: expired"] += 1
    link.lift(stopped, purposes=["care"], channels=["*"], actor="staff")
    old, new = world.patient(), world.patient()
    link.stop(old, purposes=["marketing"])
    for who in (old, new):
        assert link.send(world.ask(who)).effect.value == "permit"
        states["handed over: accepted"] += 1
        if who == old:
            link.registration.merge(old, new)


def _broken_rows(world: World, states: Counter[str]) -> None:
    """Somebody edits the database behind carelink's back, between decision and hand-over."""
    link = world.link
    edited, garbled = world.patient(), world.patient()
    world.content("other", "Come and see us.")
    asks = [world.ask(edited, template="other"), world.ask(garbled)]
    link.permit_many(asks)
    with link.wiring.store.reader() as reader:
        (contact,) = [row.id for row in reader.contacts([garbled])[garbled] if row.kind is AddressKind.EMAIL]
    with sqlite3.connect(world.settings.store) as database:
        database.execute("UPDATE templates SET body = 'Buy!' WHERE name = 'other'")
        database.execute("UPDATE sealed SET envelope = x'00' WHERE tbl = 'contact' AND row = ?", (contact,))
    database.close()
    link.send_many(asks)
    states["released: content_changed"] += 1
    states["released: address_unreadable"] += 1


def _slow(world: World, slow: RecordingChannel, states: Counter[str]) -> None:
    """A channel that promised to be quick and is not: leases run out, and everybody is reached none the less. Then a
    run is interrupted: those behind the attempt under way were not tried.
    """
    slow.takes = 6 * SECOND
    outcomes = world.link.send_many([world.ask(world.patient(), channel="slow-sms") for _ in range(5)])
    assert all(item.receipt.outcome is Outcome.ACCEPTED for item in outcomes)
    states["handed over: accepted"] += 5
    slow.takes = 0
    world.sms.before_send = _kill
    try:
        world.link.send_many([world.ask(world.patient(), channel="rec-sms") for _ in range(3)])
    except Killed:
        states["recovered: unknown"] += 1
        states["released: lease_ran_out"] += 2
    world.sms.before_send = None
    world.clock.advance(6 * SECOND)
    world.link.recover()


def _kills(world: World, looked: RecordingChannel, states: Counter[str]) -> None:
    """Killed around the attempt: a channel that can be asked tells, one that cannot leaves it unknown."""
    for channel, moment, state in (
        (world.email, "before_send", "recovered: unknown"),
        (looked, "before_send", "recovered: not_sent"),
        (looked, "after_send", "recovered: accepted"),
    ):
        setattr(channel, moment, _kill)
        try:
            world.link.send(world.ask(world.patient(), channel=channel.info.name))
        except Killed:
            states[state] += 1
        setattr(channel, moment, None)
        world.restart()
        world.clock.advance(66 * SECOND)
        world.link.recover()


def _replies(world: World, states: Counter[str]) -> None:
    link = world.link
    first, second, third = (world.patient() for _ in range(3))
    asks = [world.ask(who) for who in (first, second, third)]
    link.send_many(asks)
    states["handed over: accepted"] += 3
    keys = [item.key for item in world.email.handed[-3:]]
    addresses = [Personal(item.address) for item in world.email.handed[-3:]]
    link.inbound("rec-email", [
        ChannelEvent(event=DeliveryEvent.DELIVERED, key=keys[0], event_id="e-1", address=addresses[0]),
        ChannelEvent(event=DeliveryEvent.READ, key=keys[0], event_id="e-2", address=addresses[0]),
        ChannelEvent(event=DeliveryEvent.DELIVERED, key=keys[0], event_id="e-1", address=addresses[0]),
        ChannelEvent(event=DeliveryEvent.REPLIED, address=addresses[1], text=Personal("STOP")),
        ChannelEvent(event=DeliveryEvent.BOUNCED_HARD, key=keys[2], address=addresses[2]),
    ])  # fmt: skip
    world.clock.advance(MINUTE)
    for who in (second, third):
        assert link.send(world.ask(who)).effect.value == "refuse"
        states["refused"] += 1


def _open_ends(world: World, states: Counter[str]) -> None:
    """At the end two permits wait and one claim is in flight."""
    world.email.before_send = _kill
    try:
        world.link.send(world.ask(world.patient()))
    except Killed:
        states["in flight"] += 1
    world.email.before_send = None
    world.restart()
    world.link.permit_many([world.ask(world.patient()) for _ in range(2)])
    states["permit waiting"] += 2


def golden(folder: Path) -> str:
    """A short log with decisions of every effect, for `tests/unit/audit/golden_decisions`; the key it is signed with."""
    world = World(folder / "home", at=START)
    world.content()
    for chapter in (_refusals, _stops_and_claims, _replies):
        chapter(world, Counter())
        world.link.publish()
    world.link.export(folder / "export", actor="auditor")
    return world.link.key.text


if __name__ == "__main__":
    print(golden(Path(sys.argv[1])))  # noqa: T201
