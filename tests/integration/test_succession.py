"""Closing a log at a period's end: the successor commits to it, replays alone, and everything recorded still binds."""

from __future__ import annotations

import shutil

import pytest

from carelink.audit.divergence import DivergenceCode
from carelink.audit.entry import parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.kinds import Kind
from carelink.audit.replay import replay
from carelink.audit.succession import CARRIED
from carelink.cli.main import main
from carelink.consent.facts import StoreState
from carelink.consent.reasons import ReasonCode
from carelink.engine.notary import Notary
from carelink.engine.reconcile import reconcile
from carelink.errors import ConflictError, StoreError
from carelink.home import init
from carelink.model.moment import DAY, to_datetime
from carelink.ports.channel import ChannelEvent
from carelink.stores.closed_logs import closed_folder
from carelink.stores.logfolder import LogFolder
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent, Effect, ProviderState

pytestmark = pytest.mark.integration


@pytest.fixture(params=[False, True], ids=["memory", "sqlite"])
def world(request, tmp_path):
    made = World(tmp_path / "w", sqlite=request.param)
    made.content()
    yield made
    made.link.close()


def reply(world, address, text="退订"):
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(address), text=Personal(text))
    return world.link.inbound("sms", [event])[0]


def succeed(world):
    done = world.link.succeed(actor="auditor")
    world.restart()
    return done


def replayed(folder):
    return list(replay(LogFolder(folder).entries(), PolicyJudge()))


def test_the_successor_commits_to_the_closed_log_and_both_replay(world):
    people = [world.patient(consent=("care", "marketing")) for _ in range(3)]
    world.link.send_many([world.ask(p) for p in people])
    done = succeed(world)
    world.clock.advance(DAY)
    outcomes = world.link.send_many([world.ask(p) for p in people])
    assert [outcome.effect for outcome in outcomes] == [Effect.PERMIT] * 3
    world.link.publish()
    log = world.link.wiring.log
    closed = closed_folder(log, done.closed)
    assert replayed(closed) == []
    assert replayed(log.path) == []
    first = parse_entry(next(iter(log.entries(0, 1)))[1])
    assert first.body.previous.root == done.closed.root.hex()
    last = parse_entry(next(iter(LogFolder(closed).entries(done.closed.size - 1)))[1])
    assert (last.kind, last.body.successor) == (Kind.SEALED, world.link.key.fingerprint)
    begun = [parse_entry(data).kind for _, data in log.entries(1, 1 + done.carried)]
    assert set(begun) <= CARRIED


def test_stops_consent_caps_and_keys_bind_across_it(world):
    patient = world.patient(consent=("care", "marketing"))
    first = world.ask(patient, key="once", channel="sms")
    assert world.link.send(first).effect is Effect.PERMIT
    reply(world, "+8613800000001")
    for number in range(2):
        world.link.send(world.ask(patient, key=f"more-{number}"))
    succeed(world)
    assert world.link.send(first).repeated
    stopped = world.link.send(world.ask(patient, purpose="marketing.event"))
    assert ReasonCode.OPTED_OUT in stopped.decision.codes
    capped = world.link.send(world.ask(patient))
    assert ReasonCode.CAP_EXCEEDED in capped.decision.codes
    world.link.withdraw(patient, purposes=["care"])
    world.link.publish()
    assert replayed(world.link.wiring.log.path) == []
    assert len(world.email.handed) + len(world.sms.handed) == 3


def test_credentials_and_reviews_go_on_in_the_successor(world):
    link = world.link
    link.credential("A", until=to_datetime(world.clock.now() + 2 * DAY), actor="registrar")
    link.credential("B", "commercial", actor="registrar")
    world.content("leaflet", approvals=0)
    link.approve("leaflet", actor="A")
    link.approve("leaflet", actor="B", role="commercial")
    link.provider_template("leaflet", channel="rec-sms", state="pending", actor="office")
    succeed(world)
    counts = []
    for _ in range(2):
        world.link.send(world.ask(world.patient(), template="leaflet", channel="sms", clinician="A"))
        with world.link.wiring.store.reader() as reader:
            entries = [parse_entry(data) for data in reader.entries(0, reader.head().size)]
        found = [entry for entry in entries if entry.kind is Kind.DECISION][-1].body.facts.content.value
        counts.append((found.approvals, found.clinical, found.commercial, found.lapsed, found.provider))
        world.clock.advance(3 * DAY)
    assert counts == [(2, 1, 1, 0, ProviderState.PENDING), (2, 0, 1, 1, ProviderState.PENDING)]
    world.link.publish()
    assert replayed(world.link.wiring.log.path) == []


def test_nothing_may_wait_while_it_is_closed(world):
    patient = world.patient()
    request = world.ask(patient)
    world.link.permit_many([request])
    with pytest.raises(ConflictError):
        world.link.succeed(actor="auditor")
    size = world.link.wiring.store
    with size.reader() as reader:
        kinds = [parse_entry(data).kind for data in reader.entries(0, reader.head().size)]
    assert Kind.SEALED not in kinds
    assert world.link.send(request).effect is Effect.PERMIT


def test_an_entry_behind_the_seal_is_found(world):
    world.patient()
    done = world.link.succeed(actor="auditor")
    entries = list(LogFolder(closed_folder(world.link.wiring.log, done.closed)).entries())
    found = list(replay([*entries, (len(entries), entries[-2][1])], PolicyJudge()))
    assert [each.code for each in found] == [DivergenceCode.AFTER_SEAL]


def test_it_can_be_done_again(world):
    patient = world.patient()
    for _ in range(3):
        assert world.link.send(world.ask(patient)).effect is Effect.PERMIT
        succeed(world)
        world.clock.advance(DAY)
    assert len(list(world.link.wiring.log.path.with_name("log-closed").iterdir())) == 3
    world.link.publish()
    assert replayed(world.link.wiring.log.path) == []


def test_cut_off_before_the_closed_log_was_put_away(tmp_path):
    """Killed between the commit and the move: the next open finishes it."""
    world = World(tmp_path / "w", sqlite=True)
    world.content()
    patient = world.patient()

    def killed():
        raise KeyboardInterrupt

    world.link.notary.put_away = killed
    with pytest.raises(KeyboardInterrupt):
        world.link.succeed(actor="auditor")
    closed = closed_folder(world.link.wiring.log, world.link.wiring.log.head())
    world.restart()
    assert closed.is_dir()
    assert world.link.send(world.ask(patient)).effect is Effect.PERMIT
    world.link.close()


def test_cut_off_between_the_last_head_and_the_commit(tmp_path, monkeypatch):
    """Killed before the commit: the log has a seal that the store never saw. Reconciling voids it, and sending goes on."""
    world = World(tmp_path / "w", sqlite=True)
    world.content()
    patient = world.patient()
    honest = Notary.publish_from

    def killed(self, reader):
        honest(self, reader)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Notary, "publish_from", killed)
        with pytest.raises(KeyboardInterrupt):
            world.link.succeed(actor="auditor")
    world.restart()
    with world.link.wiring.store.reader() as reader:
        assert world.link.notary.state(reader) is StoreState.RESTORED
    reconcile(world.link.parts, world.link.notary, by=world.link.actor("auditor"))
    assert world.link.send(world.ask(patient)).effect is Effect.PERMIT
    world.link.publish()
    assert replayed(world.link.wiring.log.path) == []
    done = world.link.succeed(actor="auditor")
    assert replayed(closed_folder(world.link.wiring.log, done.closed)) == []
    world.link.close()


def test_a_backup_from_before_it_does_not_send(tmp_path):
    """The old store beside the successor's log: it is not the store that the log was published from."""
    world = World(tmp_path / "w", sqlite=True)
    world.content()
    patient = world.patient()
    world.link.publish()
    world.link.wiring.store.close()
    world.link.wiring.keys.close()
    shutil.copy(world.settings.store, tmp_path / "backup")
    world.link = type(world.link)(world._wire())
    succeed(world)
    world.link.wiring.store.close()
    world.link.wiring.keys.close()
    shutil.copy(tmp_path / "backup", world.settings.store)
    world.link = type(world.link)(world._wire())
    with world.link.wiring.store.reader() as reader:
        assert world.link.notary.state(reader) is StoreState.RESTORED
    assert world.link.send(world.ask(patient)).effect is Effect.REFUSE
    with pytest.raises(StoreError) as caught:
        reconcile(world.link.parts, world.link.notary, by=world.link.actor("operator"))
    assert "another log" in str(caught.value)
    assert world.email.handed == []
    world.link.close()


def test_on_the_command_line(tmp_path, capsys):
    home = tmp_path / "home"
    with init(home, zone="Asia/Shanghai", synthetic=True) as link:
        link.register(identifier="1", email="a@example.invalid")
        old = link.key.text
    words = ["--home", str(home)]
    assert main([*words, "audit", "seal", "--actor", "auditor"]) == 0
    closed = next((home / "log-closed").iterdir())
    assert main([*words, "audit", "export", str(tmp_path / "export")]) == 0
    new = next(line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.startswith("log key"))
    verify = ["audit", "verify", str(tmp_path / "export"), "--key", new, "--previous"]
    assert main([*verify, str(closed), "--previous-key", old]) == 0
    assert "goes on from" in capsys.readouterr().out
    assert main([*verify, str(closed), "--previous-key", new]) == 3
    assert main([*verify, str(tmp_path / "export"), "--previous-key", new]) == 3
    assert main([*verify, str(closed)]) == 2
    assert main(["audit", "replay", str(tmp_path / "export"), "--key", new]) == 0
    assert main(["audit", "replay", str(closed), "--key", old]) == 0


def test_a_range_with_its_proofs(tmp_path):
    home = tmp_path / "home"
    with init(home, zone="Asia/Shanghai", synthetic=True) as link:
        for number in range(5):
            link.register(identifier=str(number), email=f"p{number}@example.invalid")
        link.publish()
    words = ["--home", str(home), "audit", "range"]
    assert main([*words, "2", "6", "-o", str(tmp_path / "part")]) == 0
    assert sorted(int(path.stem) for path in (tmp_path / "part" / "proofs").glob("*.proof")) == [2, 3, 4, 5, 6]
    assert main([*words, "2", "6", "-o", str(tmp_path / "part")]) == 1
    assert main([*words, "6", "2", "-o", str(tmp_path / "x")]) == 2
    assert main([*words, "0", "99999", "-o", str(tmp_path / "x")]) == 1
    assert not (tmp_path / "x").exists()
