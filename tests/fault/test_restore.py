"""A restored backup, seen from the promises: it sends nothing until it is reconciled with the log that was published from
the store it replaces; then it decides as that store would have: no key twice (P6), caps (P4) and stops (P3) hold, and the
log verifies, replays and balances (P7).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import attrs
import pytest

from carelink.app import CareLink
from carelink.audit.bodies import ReleasedBody
from carelink.audit.conservation import balance
from carelink.audit.decided import DecisionBody
from carelink.audit.divergence import Summary
from carelink.audit.entry import parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.kinds import ReleaseCause
from carelink.audit.replay import replay
from carelink.audit.verify import verify
from carelink.consent.facts import StoreState
from carelink.consent.reasons import ReasonCode
from carelink.engine.parts import Parts
from carelink.engine.reconcile import Reconciled, reconcile
from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.errors import CarelinkError, StoreError, StoreRestoredError, TamperedError
from carelink.keys.folder import KeyFolder
from carelink.model.moment import DAY, HOUR, MINUTE, SECOND, from_datetime, to_datetime
from carelink.ports.channel import ChannelEvent
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder
from carelink.testing.fakes import RecordingChannel
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, DeliveryEvent, Effect, Outcome, ProviderState, Relation

pytestmark = pytest.mark.fault

ACTOR = "0" * 32
ROOT = Path(__file__).resolve().parents[2]
PURPOSES = ("care.appointment", "marketing.service")


@attrs.define
class Ward:
    """A world on disk with backups, and what was asked in it."""

    world: World
    people: list[Any] = attrs.field(factory=list)

    @property
    def link(self) -> CareLink:
        return self.world.link

    @property
    def parts(self) -> Parts:
        return self.world.link.parts

    def _close(self) -> None:
        self.link.close()

    def back_up(self, name: str) -> None:
        """Copy everything a hospital might back up, each for itself."""
        self._close()
        place, home = self.world.folder / "backups" / name, self.world.folder
        shutil.copytree(home / "data", place / "data")
        shutil.copytree(home / "log", place / "log")
        shutil.copy(home / "keys" / "head", place / "head")
        self.world.restart()

    def restore(self, name: str, *parts: str) -> CareLink:
        """Put some of a backup back."""
        self._close()
        place, home = self.world.folder / "backups" / name, self.world.folder
        for part in parts or ("data",):
            if part == "head":
                shutil.copy(place / "head", home / "keys" / "head")
            else:
                shutil.rmtree(home / part)
                shutil.copytree(place / part, home / part)
        return self.world.restart()

    def restart(self) -> CareLink:
        self._close()
        return self.world.restart()

    def state(self) -> StoreState:
        with self.link.wiring.store.reader() as reader:
            return self.link.notary.state(reader)

    def size(self) -> int:
        with self.link.wiring.store.reader() as reader:
            return reader.head().size

    def reconcile(self, *, accept_orphans: bool = False) -> Reconciled:
        return reconcile(self.parts, self.link.notary, by=ACTOR, accept_orphans=accept_orphans)

    def reply(self, number: int, text: str = "退订") -> Any:
        event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(f"+86138{number:08d}"), text=Personal(text))
        return self.link.inbound("sms", [event])[0]

    def forecasts(self) -> dict[tuple[int, str, str], tuple[Effect, tuple[ReasonCode, ...]]]:
        """What would be decided now for everybody, for each purpose on each channel."""
        found = {}
        for number, patient in enumerate(self.people):
            for purpose in PURPOSES:
                for channel in ("email", "sms"):
                    ask = self.world.ask(
                        patient, key=f"forecast {number} {purpose} {channel}", purpose=purpose, channel=channel
                    )
                    decision = self.link.preview(ask).decision
                    assert decision is not None
                    found[number, purpose, channel] = (decision.effect, decision.codes)
        return found

    def audit(self, *, strangers: bool = False) -> dict[str, int]:
        """Verify, replay and balance the published log; its final states. `strangers`: by the readers that know nothing
        of carelink too.
        """
        self.link.publish()
        folder = self.link.wiring.settings.log
        report = verify(
            FolderFetcher(folder), vkey=self.link.key.text, check_signature=KeyFolder.check_signature, strict=True
        )
        assert report.exit_code == 0, "\n".join(report.lines())
        log, summary = LogFolder(folder), Summary()
        assert [str(divergence) for divergence in replay(log.entries(), PolicyJudge(), summary=summary)] == []
        readers = [["count_outcomes.py", str(folder)], ["carelink_verify.py", str(folder), "--key", self.link.key.text]]
        for script, *arguments in readers if strangers else ():
            command = [sys.executable, str(ROOT / "verifier" / script), *arguments]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout
        book = balance((index, parse_entry(data)) for index, data in log.entries())
        assert book.findings == ()
        return book.states


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    world = World(tmp_path / "w", sqlite=True)
    world.content()
    made = Ward(world)
    made.people = [world.patient(consent=("care", "marketing")) for _ in range(10)]
    yield made
    made.link.close()


def _child(ward: Ward, number: int) -> Any:
    guardian = RelatedInput(
        relation=Relation.PARENT,
        name=Personal("Guardian"),
        verified=True,
        acts=True,
        contacts=(
            ContactInput(kind=AddressKind.EMAIL, address=Personal(f"g{number}@example.invalid")),
            ContactInput(kind=AddressKind.PHONE, address=Personal(f"+86137{number:08d}")),
        ),
    )
    given = PatientInput(
        identifiers=(("mrn", Personal(f"C-{number}")),), birth_date=Personal(date(2017, 3, 1)), related=(guardian,)
    )
    patient = ward.link.register_many([given])[0].patient
    ward.link.grant(
        patient, purposes=["care"], channels=["email", "sms"], evidence="form", by="guardian", separate=True
    )
    return patient


def _live(ward: Ward) -> list[Any]:
    """What happens between the backup and the loss; the requests made meanwhile."""
    world, people = ward.world, ward.people
    requests = [world.ask(people[0], key="first", purpose="care.appointment")]
    requests += [
        world.ask(person, key=f"offer {number}", purpose="marketing.service", channel="sms")
        for number, person in enumerate(people[:8])
    ]
    ward.link.send_many(requests)
    for number in range(4):
        world.clock.advance(2 * MINUTE)
        requests.append(world.ask(people[9], key=f"again {number}", purpose="marketing.service", channel="sms"))
        ward.link.send(requests[-1])
    ward.reply(2)
    ward.reply(3, "stop all")
    ward.link.stop(people[3], purposes=["marketing"])
    ward.link.withdraw(people[4], purposes=["marketing"])
    ward.link.died(people[5])
    bounced = ChannelEvent(event=DeliveryEvent.BOUNCED_HARD, address=Personal("w7@example.invalid"))
    ward.link.inbound("email", [bounced])
    ward.link.lift(people[3], purposes=["marketing"], channels=["*"], actor="nurse")
    ward.link.grant(
        people[8], purposes=["care"], channels=["email"], evidence="second form", notice="v2", separate=True
    )
    held = world.ask(people[7], key="held", purpose="care.appointment")
    assert ward.link.permit_many([held])[0].effect is Effect.PERMIT
    world.clock.advance(SECOND)
    return [*requests, held]


RESTORES = {"store": ("data",), "store and log": ("data", "log"), "store and head copy": ("data", "head")}


@pytest.mark.parametrize("parts", RESTORES.values(), ids=RESTORES.keys())
def test_a_restored_backup_sends_nothing_however_long_it_goes_on(ward: Ward, parts: tuple[str, ...]) -> None:
    ward.back_up("monday")
    _live(ward)
    handed = len(ward.world.email.handed) + len(ward.world.sms.handed)
    ward.restore("monday", *parts)
    for _ in range(3):
        assert ward.state() is StoreState.RESTORED
        outcomes = ward.link.send_many([ward.world.ask(patient) for patient in ward.people])
        assert {outcome.effect for outcome in outcomes} == {Effect.REFUSE}
        assert all(ReasonCode.STORE_RESTORED in outcome.decision.codes for outcome in outcomes)
        with pytest.raises(StoreRestoredError):
            ward.link.publish()
        for _ in range(12):
            ward.world.patient()
        ward.restart()
    assert len(ward.world.email.handed) + len(ward.world.sms.handed) == handed


def test_control_a_store_that_was_not_restored_goes_on(ward: Ward) -> None:
    ward.back_up("monday")
    _live(ward)
    ward.restart()
    assert ward.state() is StoreState.CURRENT
    assert ward.link.send(ward.world.ask(ward.people[1])).effect is Effect.PERMIT
    result = ward.reconcile()
    assert (result.done, result.restored, result.moved) == (True, 0, 0)
    ward.audit()


def test_what_nobody_can_notice_from_inside(ward: Ward) -> None:
    """Store, log and head copy restored to one state: only a witness shows it (docs/explanation/limits.md)."""
    ward.back_up("monday")
    _live(ward)
    ward.restore("monday", "data", "log", "head")
    assert ward.state() is StoreState.CURRENT


def test_after_reconciling_no_key_is_sent_twice(ward: Ward) -> None:
    ward.back_up("monday")
    requests = _live(ward)
    sent = {(item.key, item.address) for item in [*ward.world.email.handed, *ward.world.sms.handed]}
    count = len(ward.world.email.handed) + len(ward.world.sms.handed)
    ward.restore("monday")
    result = ward.reconcile()
    assert result.done
    assert result.to_size > result.from_size
    assert ward.state() is StoreState.CURRENT
    again = ward.link.send_many(requests)
    after = [*ward.world.email.handed, *ward.world.sms.handed]
    new = {(item.key, item.address) for item in after} - sent
    # Only the permit that waited is used now.
    assert len(after) == count + len(new)
    assert {address for _, address in new} <= {"w8@example.invalid"}
    assert sum(outcome.repeated for outcome in again) == count
    ward.audit()


def test_after_reconciling_it_decides_as_the_lost_store_would_have(ward: Ward) -> None:
    """Caps, stops, liftings, withdrawals, grants, deaths and bounces: compared for everybody, purpose and channel."""
    before = ward.forecasts()
    ward.back_up("monday")
    _live(ward)
    lost = ward.forecasts()
    ward.restore("monday")
    assert ward.reconcile().done
    ward.world.clock.advance(0)
    found = ward.forecasts()
    assert found == lost
    assert sum(found[key] != before[key] for key in found) > 15, "little happened that could have been forgotten"
    codes = {code for _, reasons in found.values() for code in reasons}
    assert {
        ReasonCode.OPTED_OUT,
        ReasonCode.WITHDRAWN,
        ReasonCode.SUBJECT_DECEASED,
        ReasonCode.CONTACT_INVALID,
    } <= codes
    assert ReasonCode.CAP_EXCEEDED in codes
    ward.audit()


def test_content_is_that_of_the_log(ward: Ward) -> None:
    ward.world.content("leaflet")
    ward.world.content("notice", approvals=1)
    ward.back_up("monday")
    for reviewer in ("reviewer 1", "reviewer 2"):
        ward.link.approve("notice", 1, actor=reviewer)
    ward.link.adoption.retract("leaflet", 1, by=ACTOR)
    ward.world.content("new")
    ward.restore("monday")
    assert ward.reconcile().done
    person = ward.people[0]
    assert ward.link.preview(ward.world.ask(person, template="notice")).effect is Effect.PERMIT
    assert ReasonCode.CONTENT_WITHDRAWN in ward.link.preview(ward.world.ask(person, template="leaflet")).decision.codes
    # Its text is lost with the store: what nobody can read again is not sent.
    assert ReasonCode.CONTENT_UNREVIEWED in ward.link.preview(ward.world.ask(person, template="new")).decision.codes
    ward.world.content("new")
    assert ward.link.send(ward.world.ask(person, template="new")).effect is Effect.PERMIT
    ward.audit()


def test_reviews_and_credentials_are_those_of_the_log(ward: Ward) -> None:
    """What was recorded after the backup comes back from the log: who may review, who did, numbers, providers' words."""
    end = to_datetime(ward.world.clock.now() + 30 * DAY)
    ward.link.credential("A", actor="registrar")
    ward.link.credential("C", actor="registrar")
    ward.world.content("leaflet", approvals=0)
    ward.back_up("monday")
    ward.link.credential("A", until=end, actor="registrar")
    ward.link.credential("B", "commercial", actor="registrar")
    ward.link.end_credential("C", actor="registrar")
    for actor, role in (("C", "clinical"), ("A", "clinical"), ("B", "commercial")):
        ward.link.approve("leaflet", actor=actor, role=role)
    ward.link.approval_number("leaflet", number="粤(x)01号", until=end, actor="office")
    ward.link.provider_template("leaflet", channel="rec-sms", state="approved", provider_id="S1", actor="office")
    before = content_facts(ward)
    ward.restore("monday")
    assert ward.reconcile().done
    assert content_facts(ward) == before
    assert (before.approvals, before.clinical, before.commercial) == (3, 1, 1)
    assert (before.number_until, before.provider) == (from_datetime(end), ProviderState.APPROVED)
    ward.audit()


def content_facts(ward: Ward) -> Any:
    """What the newest decision was told of the leaflet."""
    ward.link.send(ward.world.ask(ward.people[0], template="leaflet", channel="rec-sms"))
    ward.link.publish()
    with ward.link.wiring.store.reader() as reader:
        bodies = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
    return [body for body in bodies if isinstance(body, DecisionBody)][-1].facts.content.value


def test_approvals_of_a_lost_text_do_not_count_for_another(ward: Ward) -> None:
    ward.back_up("monday")
    ward.world.content("notice", body="The text that was reviewed.")
    ward.restore("monday")
    ward.world.content("notice", body="Another text.", approvals=0)
    assert ward.reconcile().done
    decision = ward.link.preview(ward.world.ask(ward.people[0], template="notice")).decision
    assert ReasonCode.CONTENT_UNREVIEWED in decision.codes
    ward.audit()


def test_guardians_and_merges_are_those_of_the_log(ward: Ward) -> None:
    child = _child(ward, 1)
    ward.back_up("monday")
    ward.people.append(child)
    bounced = ChannelEvent(event=DeliveryEvent.BOUNCED_HARD, address=Personal("g1@example.invalid"))
    ward.link.inbound("email", [bounced])
    ward.link.send(ward.world.ask(child, key="child", channel="sms"))
    ward.link.registration.merge(ward.people[1], ward.people[0])
    ward.reply(2)
    lost = ward.forecasts()
    ward.restore("monday")
    assert ward.reconcile().done
    assert ward.forecasts() == lost
    assert ReasonCode.CONTACT_INVALID in lost[10, "care.appointment", "email"][1]
    assert ReasonCode.OPTED_OUT in lost[0, "marketing.service", "email"][1]
    assert ward.link.send(ward.world.ask(child, key="child", channel="sms")).repeated
    ward.audit()


def test_time_does_not_run_backwards_over_a_restore(ward: Ward) -> None:
    ward.back_up("monday")
    ward.world.clock.advance(HOUR)
    ward.link.send(ward.world.ask(ward.people[0]))
    ward.restore("monday")
    assert ward.reconcile().done
    ward.world.clock.step(-HOUR)
    ward.restart()
    outcome = ward.link.send(ward.world.ask(ward.people[0]))
    assert ReasonCode.CLOCK_UNTRUSTED in outcome.decision.codes
    assert ward.link.send(ward.world.ask(ward.people[1])).effect is Effect.PERMIT


# -- a backup that went on ----------------------------------------------------------------------------------


def test_what_a_backup_takes_in_before_it_is_reconciled_stays(ward: Ward) -> None:
    """Stops, registrations, grants and withdrawals go on while sending does not; they move behind the log's entries."""
    held = ward.world.ask(ward.people[6], key="held before", purpose="marketing.service", channel="sms")
    ward.link.permit_many([held])
    ward.back_up("monday")
    ward.link.send_many([held])
    ward.world.clock.advance(HOUR)
    requests = _live(ward)
    ward.link.withdraw(ward.people[8], purposes=["marketing"])
    ward.world.clock.advance(MINUTE)
    ward.restore("monday")

    ward.link.send_many([*requests, held])
    ward.reply(1)
    ward.reply(7)
    ward.link.stop(ward.people[7], purposes=["care"])  # the log holds a permit in its scope, and the backup none
    ward.link.withdraw(ward.people[8], purposes=["marketing"])
    newcomer = ward.world.patient(consent=("care", "marketing"))
    ward.world.content("later")
    own = [data for _, data in _unpublished(ward)]
    ward.restart()
    ward.reply(9)
    ward.restart()
    assert ward.state() is StoreState.RESTORED

    result = ward.reconcile()
    assert result.done
    assert result.moved > len(own) > 10
    with ward.link.wiring.store.reader() as reader:
        behind = list(reader.entries(result.to_size, reader.head().size))
    assert [data for data in behind if data in set(own)] == own, "an entry was changed, or lost"
    forecasts = ward.forecasts()
    for number, purpose in ((0, "marketing.service"), (6, "marketing.service"), (7, "care.appointment")):
        assert {ReasonCode.OPTED_OUT, ReasonCode.SUPPRESSED} & {*forecasts[number, purpose, "sms"][1]}
    assert ReasonCode.WITHDRAWN in forecasts[8, "marketing.service", "sms"][1]
    assert ward.link.send(ward.world.ask(newcomer, template="later")).effect is Effect.PERMIT
    count = len(ward.world.email.handed) + len(ward.world.sms.handed)
    again = ward.link.send_many([*requests, held])
    assert len(ward.world.email.handed) + len(ward.world.sms.handed) == count
    assert sum(outcome.repeated for outcome in again) == count - 1  # the newcomer's note is none of them
    states = ward.audit(strangers=True)
    assert "permit_open" not in states
    stopped = [body for body in _bodies(ward) if isinstance(body, ReleasedBody) and body.cause is ReleaseCause.STOPPED]
    assert len(stopped) == 1, "the permit that waited when a stop came to the backup"
    ward.restart()
    assert ward.state() is StoreState.CURRENT


def _bodies(ward: Ward) -> list[Any]:
    return [parse_entry(data).body for _, data in ward.link.wiring.log.entries()]


def _unpublished(ward: Ward) -> list[tuple[int, bytes]]:
    with ward.link.wiring.store.reader() as reader:
        head = reader.head()
        return list(enumerate(reader.entries(head.published, head.size), head.published))


def test_a_backup_that_sent_by_itself_is_another_history(ward: Ward) -> None:
    """With log and head copy out of sight it could not know; once they are back, nothing is glossed over."""
    ward.back_up("monday")
    _live(ward)
    ward.back_up("friday")
    ward.restore("monday", "data", "log", "head")
    ward.link.send(ward.world.ask(ward.people[0], key="sent in ignorance"))
    ward.link.close()
    shutil.rmtree(ward.world.folder / "log")
    shutil.copytree(ward.world.folder / "backups" / "friday" / "log", ward.world.folder / "log")
    shutil.copy(ward.world.folder / "backups" / "friday" / "head", ward.world.folder / "keys" / "head")
    ward.world.restart()
    assert ward.state() is StoreState.RESTORED
    before = ward.size()
    with pytest.raises(StoreError) as caught:
        ward.reconcile()
    assert "two histories" in str(caught.value)
    assert ward.size() == before
    assert ward.state() is StoreState.RESTORED


# -- a log that is not all there ----------------------------------------------------------------------------


def test_a_log_older_than_its_head_copy_is_restored_first(ward: Ward) -> None:
    ward.back_up("monday")
    requests = _live(ward)
    ward.back_up("friday")
    ward.restore("monday", "data", "log")
    for _ in range(40):
        ward.world.patient()
    ward.restart()
    assert ward.size() > _head(ward)
    with pytest.raises(StoreRestoredError) as caught:
        ward.reconcile()
    assert "restore the log first" in caught.value.hint
    assert ward.state() is StoreState.RESTORED
    ward.restore("friday", "log")
    assert ward.reconcile().done
    handed = len(ward.world.email.handed) + len(ward.world.sms.handed)
    assert sum(outcome.repeated for outcome in ward.link.send_many(requests)) == handed
    ward.audit()


def _head(ward: Ward) -> int:
    head = ward.link.wiring.log.head()
    return 0 if head is None else head.size


@pytest.mark.parametrize("what", ["gone", "older"])
def test_a_current_store_publishes_again_what_the_log_has_lost(ward: Ward, what: str) -> None:
    ward.back_up("monday")
    _live(ward)
    ward.link.close()
    shutil.rmtree(ward.world.folder / "log")
    if what == "older":
        shutil.copytree(ward.world.folder / "backups" / "monday" / "log", ward.world.folder / "log")
    ward.world.restart()
    assert ward.state() is StoreState.CURRENT
    assert ward.link.send(ward.world.ask(ward.people[1])).effect is Effect.PERMIT
    ward.audit()


def test_a_head_copy_that_is_behind_is_no_alarm(ward: Ward) -> None:
    """A kill between the publication and the copy leaves it behind."""
    ward.back_up("monday")
    _live(ward)
    ward.restore("monday", "head")
    assert ward.state() is StoreState.CURRENT


def test_a_head_copy_of_another_history_is_an_alarm(ward: Ward) -> None:
    ward.back_up("monday")
    _live(ward)
    ward.back_up("friday")
    ward.restore("monday", "data", "log", "head")
    ward.world.patient()
    ward.link.publish()
    ward.back_up("other")
    ward.restore("friday", "data", "log")
    shutil.copy(ward.world.folder / "backups" / "other" / "head", ward.world.folder / "keys" / "head")
    ward.restart()
    assert ward.state() is StoreState.RESTORED
    with pytest.raises(TamperedError):
        ward.reconcile()


@pytest.mark.parametrize("where", [40, -40])
def test_a_changed_log_is_not_taken_over(ward: Ward, where: int) -> None:
    ward.back_up("monday")
    _live(ward)
    ward.restore("monday")
    bundle = max((ward.world.folder / "log" / "tile" / "entries").rglob("*"), key=lambda path: path.stat().st_size)
    data = bytearray(bundle.read_bytes())
    place = data.index(b'"suppression_added"') if where > 0 else len(data) + where
    data[place + 2] ^= 1
    bundle.write_bytes(data)
    before = ward.size()
    with pytest.raises(CarelinkError):
        ward.reconcile()
    assert ward.size() == before
    assert ward.state() is StoreState.RESTORED


# -- what cannot come back ----------------------------------------------------------------------------------


def test_stops_of_people_the_backup_cannot_name_wait_for_a_person_to_look(ward: Ward) -> None:
    ward.back_up("monday")
    late = ward.world.patient(consent=("marketing",))
    ward.link.send(ward.world.ask(late, key="late", purpose="marketing.service", channel="sms"))
    ward.reply(11)
    ward.restore("monday")
    before = ward.size()
    refused = ward.reconcile()
    assert not refused.done
    assert refused.orphaned >= 3, "a permit, the stop of a person, the stop of an address"
    assert ward.size() == before
    ward.restart()
    assert ward.state() is StoreState.RESTORED
    done = ward.reconcile(accept_orphans=True)
    assert (done.done, done.orphaned) == (True, refused.orphaned)
    assert ward.state() is StoreState.CURRENT
    ward.audit()
    again = ward.link.register(identifier="W-00011", name="Person 11", phone="+8613800000011")
    ward.link.grant(again, purposes=["marketing"], channels=["sms"], evidence="form", separate=True, notice="v1")
    # The key is known to be used, whoever it was for.
    assert ward.link.send(ward.world.ask(again, key="late", purpose="marketing.service", channel="sms")).repeated
    ward.audit()


def test_an_address_registered_after_the_backup_is_no_longer_counted_as_in_use(ward: Ward) -> None:
    """A second person on a known phone is lost: the log says so, and facts of the first agree with it again."""
    ward.back_up("monday")
    ward.world.patient(phone="+8613800000001", consent=())
    ward.restore("monday")
    assert ward.reconcile().done
    assert ward.link.send(ward.world.ask(ward.people[0], channel="sms")).effect is Effect.PERMIT
    ward.audit()


# -- claims without an answer at the end of the log ---------------------------------------------------------


class _Killed(BaseException):
    """Stands for the death of the process."""


@pytest.mark.parametrize("stop", [False, True], ids=["", "stopped meanwhile"])
@pytest.mark.parametrize(("lookup", "after"), [(True, True), (True, False), (False, True)])
def test_a_claim_nobody_settled_is_looked_up_or_unknown(tmp_path: Path, lookup: bool, after: bool, stop: bool) -> None:
    world = World(tmp_path / "w", sqlite=True)
    channel = RecordingChannel("far", ChannelKind.EMAIL, AddressKind.EMAIL, clock=world.clock, lookup=lookup)
    world.link.close()
    world = World(tmp_path / "v", sqlite=True, channels=[channel])
    channel._clock = world.clock
    world.content()
    ward = Ward(world, [world.patient()])
    ward.back_up("monday")

    def die(_: object) -> None:
        raise _Killed

    setattr(channel, "after_send" if after else "before_send", die)
    request = world.ask(ward.people[0], key="flying")
    with pytest.raises(_Killed):
        ward.link.send(request)
    ward.link.publish()
    channel.after_send = channel.before_send = None
    ward.restore("monday")
    if stop:
        ward.link.stop(ward.people[0], purposes=["care"])
        with pytest.raises(StoreError) as caught:
            ward.reconcile()
        assert "in flight" in str(caught.value)
        world.clock.advance(4 * MINUTE)
    assert ward.reconcile().done
    world.clock.advance(4 * MINUTE)
    outcome = ward.link.send(request)
    if after or not lookup:
        assert len(channel.handed) == 1
        assert outcome.repeated
        assert outcome.receipt.outcome is (Outcome.ACCEPTED if lookup else Outcome.UNKNOWN)
    else:
        assert len(channel.handed) == (0 if stop else 1)
        assert outcome.effect is (Effect.REFUSE if stop else Effect.PERMIT)
    ward.audit()
    ward.link.close()
