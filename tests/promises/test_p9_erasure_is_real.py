"""P9: afterwards identity and content cannot be decrypted, whatever backup is put back; the log verifies and replays; what
was stopped stays stopped; the receipt says what remains. Each mechanism is taken away once, to see that it is needed.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from datetime import date
from pathlib import Path

import attrs
import pytest

from carelink.audit.bodies import ErasedBody, ErasingBody, SubjectBody
from carelink.audit.divergence import Summary
from carelink.audit.entry import parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.replay import replay
from carelink.audit.verify import verify
from carelink.channels.registry import registry_of
from carelink.consent.reasons import ReasonCode
from carelink.engine.erasure import Erasure
from carelink.engine.reconcile import reconcile
from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.errors import (
    CarelinkError,
    ErasedError,
    InvalidInputError,
    KeyProviderError,
    NotFoundError,
    StoreRestoredError,
)
from carelink.keys.folder import KeyFolder
from carelink.model.moment import DAY, SECOND
from carelink.ports.channel import ChannelEvent
from carelink.ports.eraser import CopyResult, EraseReport
from carelink.rights.outcome import FieldResult
from carelink.rights.receipt import ErasureReceipt
from carelink.rights.retention import REMAINS
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, DeliveryEvent, Effect, ErasurePhase, Relation

ROOT = Path(__file__).resolve().parents[2]
PHONE, MAIL = "+8613812345678", "canary@example.invalid"


def person(identifier="MRN-1", phone=PHONE, name="Canary", related=()):
    return PatientInput(
        identifiers=(("mrn", Personal(identifier)),),
        name=Personal(name),
        contacts=(
            ContactInput(kind=AddressKind.PHONE, address=Personal(phone)),
            ContactInput(
                kind=AddressKind.EMAIL, address=Personal(MAIL if phone == PHONE else f"{identifier}@e.invalid")
            ),
        ),
        related=related,
        birth_date=Personal(date(1980, 5, 17)),
        zone="Asia/Shanghai",
    )


class Ward:
    """A world on disk, a patient in it with a guardian, and yesterday's backups."""

    def __init__(self, folder, *, sqlite=True):
        self.world = World(folder / "home", sqlite=sqlite)
        self.world.content()
        mother = RelatedInput(
            relation=Relation.PARENT, name=Personal("Mother Canary"),
            contacts=(ContactInput(kind=AddressKind.PHONE, address=Personal("+8613900000002")),),
        )  # fmt: skip
        (done,) = self.link.register_many([person(related=(mother,))])
        self.patient = done.patient
        self.link.grant(self.patient, purposes=("care", "education"), channels=("sms", "email"), evidence="form 7")
        assert self.link.send(self.world.ask(self.patient)).effect is not None
        self.sealed = self.fields()

    @property
    def link(self):
        return self.world.link

    def fields(self):
        with self.link.wiring.store.reader() as reader:
            return list(reader.page_sealed(("", "", ""), 1000))

    def back_up(self):
        self.link.close()
        for part in ("data", "keys"):
            shutil.copytree(self.world.folder / part, self.world.folder / "yesterday" / part)
        self.world.restart()
        self.world.clock.advance(DAY)

    def restore(self, *parts):
        """Yesterday's data, yesterday's key store, or both, as a hospital would put them back."""
        self.link.close()
        for part in parts:
            home, old = self.world.folder / part, self.world.folder / "yesterday" / part
            for file in old.iterdir():
                if part == "data" or file.name.startswith("keys.db"):
                    for suffix in ("", "-wal", "-shm"):
                        (home / (file.name + suffix)).unlink(missing_ok=True)
                    shutil.copy(file, home / file.name)
        return self.world.restart()

    def readable(self):
        """Fields of yesterday that open today."""
        found = []
        for row in self.sealed:
            try:
                found.append(self.link.safe.reopen(row).reveal("test"))
            except (ErasedError, CarelinkError):
                continue
        return found

    def suppressed(self):
        """Whether the phone is still stopped when it is imported again."""
        (done,) = self.link.register_many([person("MRN-new")])
        ask = self.world.ask(done.patient, purpose="education.health", channel="sms")
        codes = {verdict.reason for verdict in self.link.preview(ask).decision.reasons}
        return bool(codes & {ReasonCode.SUPPRESSED, ReasonCode.OPTED_OUT})

    def audit(self):
        """The published log verifies and replays."""
        self.link.publish()
        folder = self.link.wiring.settings.log
        report = verify(FolderFetcher(folder), vkey=self.link.key.text, check_signature=KeyFolder.check_signature)
        assert report.exit_code == 0, report.lines()
        summary = Summary()
        assert [str(each) for each in replay(LogFolder(folder).entries(), PolicyJudge(), summary=summary)] == []


@pytest.fixture
def ward(tmp_path):
    made = Ward(tmp_path)
    yield made
    made.link.close()


def test_nothing_of_the_person_opens_and_nothing_sealed_is_left(ward):
    assert {"Canary", PHONE, MAIL, "Mother Canary", "form 7"} <= set(ward.readable())
    state = ward.link.erase(ward.patient, actor="officer")
    assert state.phase is ErasurePhase.DONE
    assert ward.readable() == []
    assert ward.fields() == []
    with pytest.raises(NotFoundError):
        ward.link.find("MRN-1")
    with ward.link.wiring.store.reader() as reader:
        (row,) = reader.patients([ward.patient]).values()
        assert (row.standing.value, row.zone, row.language) == ("erased", "", "")
        assert reader.contacts([ward.patient]) == {}
        assert reader.index_counts() == {}
        token = ward.link.safe.token(AddressKind.PHONE, PHONE)
        assert reader.address_refs([token]) == {}
        assert reader.touches((), [token], 0) == ()  # what the log calls by a pseudonym leads to no address any more
    ward.audit()


def test_nobody_can_be_contacted_and_the_reason_is_recorded(ward):
    ward.link.erase(ward.patient, actor="officer")
    outcome = ward.link.send(ward.world.ask(ward.patient))
    assert outcome.effect is Effect.REFUSE
    assert ReasonCode.SUBJECT_ERASED in [verdict.reason for verdict in outcome.decision.reasons]
    ward.audit()


def test_yesterdays_data_with_todays_key_store_stays_erased(ward):
    ward.back_up()
    ward.link.erase(ward.patient, actor="officer")
    link = ward.restore("data")
    assert link.notary.restored
    assert ward.fields() != []  # the rows are back, and nobody can read them
    assert ward.readable() == []
    with pytest.raises(StoreRestoredError):
        link.erase(ward.patient, actor="officer")
    done = reconcile(link.parts, link.notary, by="0" * 32)
    assert done.done
    link = ward.world.restart()  # and the erasure goes on by itself
    assert link.erasure.state(ward.patient).phase is ErasurePhase.DONE
    assert ward.fields() == []
    assert ward.suppressed()
    ward.audit()


def test_yesterdays_key_store_with_todays_data_stays_erased(ward):
    ward.back_up()
    ward.link.erase(ward.patient, actor="officer")
    wrapped = [row[0] for row in wrapped_keys(ward.world.folder / "yesterday" / "keys" / "keys.db")]
    link = ward.restore("keys")
    assert not link.notary.restored
    assert ward.readable() == []
    assert link.wiring.keys.tombstoned([ward.patient])
    link.close()
    held = b"".join(file.read_bytes() for file in (ward.world.folder / "keys").iterdir() if "keys.db" in file.name)
    assert not any(key in held for key in wrapped)
    ward.world.restart()
    assert ward.suppressed()
    ward.audit()


def wrapped_keys(path):
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        return db.execute("SELECT wrapped FROM data_keys").fetchall()


def test_yesterdays_data_and_key_store_with_todays_log_stay_erased(ward):
    ward.back_up()
    ward.link.erase(ward.patient, actor="officer")
    link = ward.restore("data", "keys")
    assert link.notary.restored
    assert ward.readable() == []
    assert reconcile(link.parts, link.notary, by="0" * 32).done
    ward.world.restart()
    assert ward.fields() == []
    assert ward.suppressed()
    ward.audit()


@pytest.mark.parametrize(
    ("parts", "mechanism"), [(("keys",), "shred_again"), (("data", "keys"), "shred_from")], ids=["mark", "log"]
)
def test_without_looking_again_an_older_key_store_would_bring_the_person_back(ward, monkeypatch, parts, mechanism):
    ward.back_up()
    ward.link.erase(ward.patient, actor="officer")
    monkeypatch.setattr(Erasure, mechanism, lambda *_: 0)
    ward.restore(*parts)
    assert "Canary" in ward.readable()


def test_without_a_tombstone_in_the_key_store_restored_data_would_be_readable(ward, monkeypatch):
    ward.back_up()
    monkeypatch.setattr(Erasure, "_shred", lambda _, row: attrs.evolve(row, phase=ErasurePhase.SHREDDED, clean=True))
    monkeypatch.setattr(Erasure, "shred_from", lambda *_: 0)
    ward.link.erase(ward.patient, actor="officer")
    ward.restore("data")
    assert "Canary" in ward.readable()


def test_what_the_person_had_stopped_outlives_them_on_their_own_addresses(ward):
    ward.link.stop(ward.patient, purposes=("care.appointment",), channels=("sms",))
    ward.link.erase(ward.patient, actor="officer")
    (done,) = ward.link.register_many([person("MRN-2")])
    codes = {}
    for purpose in ("care.appointment", "care.medication", "marketing.service"):
        for channel in ("sms", "email"):
            forecast = ward.link.preview(ward.world.ask(done.patient, purpose=purpose, channel=channel))
            codes[purpose, channel] = ReasonCode.SUPPRESSED in [each.reason for each in forecast.decision.reasons]
    # Stopping marketing never stops care: only what had been stopped is, and what is promotional.
    assert codes == {
        ("care.appointment", "sms"): True,
        ("care.appointment", "email"): False,
        ("care.medication", "sms"): False,
        ("care.medication", "email"): False,
        ("marketing.service", "sms"): True,
        ("marketing.service", "email"): True,
    }
    ward.audit()


def test_an_address_of_somebody_else_too_keeps_its_pseudonym_and_gets_no_stop(ward):
    (other,) = ward.link.register_many([person("MRN-9")])  # the same phone and mail
    state = ward.link.erase(ward.patient, actor="officer")
    assert "shared_address" in state.receipt.remains
    with ward.link.wiring.store.reader() as reader:
        token = ward.link.safe.token(AddressKind.PHONE, PHONE)
        assert token in reader.address_refs([token])
        assert reader.stops((), [token]) == ()
    ward.link.grant(other.patient, purposes=("care",), channels=("sms",), evidence="form 8")
    ward.link.send(ward.world.ask(other.patient, channel="sms"))  # the facts count who shares the phone now
    assert ward.world.divergences() == []
    forecast = ward.link.preview(ward.world.ask(other.patient, purpose="education.health", channel="sms"))
    assert ReasonCode.SUPPRESSED not in [each.reason for each in forecast.decision.reasons]
    ward.audit()


def test_a_life_event_of_the_record_is_not_left_on_the_address(ward):
    ward.link.transferred(ward.patient)
    ward.link.erase(ward.patient, actor="officer")
    (back,) = ward.link.register_many([person("MRN-2")])
    forecast = ward.link.preview(ward.world.ask(back.patient))
    assert ReasonCode.SUPPRESSED not in [each.reason for each in forecast.decision.reasons]


def test_every_record_of_the_person_goes(ward):
    (old,) = ward.link.register_many([person("MRN-old", phone="+8613700000001", name="Old Canary")])
    ward.sealed = ward.fields()
    ward.link.registration.merge(old.patient, ward.patient)
    state = ward.link.erase(old.patient, actor="officer")  # named by the record that was merged
    assert (state.patient, state.receipt.records) == (ward.patient, 2)
    assert ward.readable() == []
    assert set(ward.link.wiring.keys.tombstoned([old.patient, ward.patient])) == {old.patient, ward.patient}
    ward.audit()


def test_waiting_permits_are_void(ward):
    outcome = ward.link.permit_many([ward.world.ask(ward.patient, key="waits")])[0]
    assert outcome.effect is Effect.PERMIT
    ward.link.erase(ward.patient, actor="officer")
    with ward.link.wiring.store.reader() as reader:
        assert reader.recall([ward.link.safe.request_ref("waits")]) == {}
    ward.audit()


def test_a_message_in_flight_is_waited_for(ward, monkeypatch):
    """Until it is known what became of it: its address may be needed to ask the channel."""
    monkeypatch.setattr(type(ward.world.email), "send", _dies)
    with pytest.raises(KeyboardInterrupt):
        ward.link.send(ward.world.ask(ward.patient, key="flies"))
    monkeypatch.undo()
    state = ward.link.erase(ward.patient, actor="officer")
    assert (state.phase, state.in_flight, state.receipt) == (ErasurePhase.BEGUN, 1, None)
    assert "Canary" in ward.readable()
    ward.world.clock.advance(6 * SECOND)
    assert ward.link.erase(ward.patient, actor="officer").phase is ErasurePhase.DONE
    assert ward.readable() == []
    ward.audit()


def _dies(*_):
    raise KeyboardInterrupt


def test_the_receipt_says_what_became_of_everything(ward):
    ward.world.settings = attrs.evolve(ward.world.settings, key_backups=30 * DAY)
    ward.world.restart()
    begun = ward.world.clock.now()
    receipt = ward.link.erase(ward.patient, actor="officer", reason="withdrawal").receipt
    assert receipt.unreadable_live == begun
    assert receipt.unreadable_backups == begun + 30 * DAY
    erased = {each.field: each.count for each in receipt.fields if each.result is FieldResult.ERASED}
    assert erased == {
        "patient.identifiers": 1, "patient.name": 1, "patient.birth_date": 1, "contact.address": 3, "related.name": 1, "grant.evidence": 1,
    }  # fmt: skip
    kept = {each.field: (each.rule, each.until) for each in receipt.fields if each.result is FieldResult.RETAINED}
    assert set(kept) == {"log.decisions", "log.handovers", "log.consents", "log.stops"}
    assert all(rule.startswith("CN.") and until > begun + 3 * 365 * DAY for rule, until in kept.values())
    assert {"pseudonym", "decisions", "address_tokens"} <= set(receipt.remains) <= set(REMAINS)
    assert "shared_address" not in receipt.remains
    assert receipt.stops == 2
    assert ErasureReceipt.of(receipt.to_text()) == receipt
    text = json.dumps(receipt.to_text())
    assert not [word for word in ("Canary", PHONE, MAIL, "MRN-1", "form 7", "officer") if word in text]
    assert ward.link.erase(ward.patient, actor="somebody").receipt == receipt  # again is harmless
    assert ward.link.erasure.state(ward.patient).receipt == receipt


def test_without_a_backup_period_the_second_date_is_not_made_up(ward):
    assert ward.link.erase(ward.patient, actor="officer").receipt.unreadable_backups is None


@pytest.mark.parametrize("reason", ["", "because", "REQUEST"])
def test_a_reason_is_one_of_the_list(ward, reason):
    with pytest.raises(InvalidInputError):
        ward.link.erase(ward.patient, actor="officer", reason=reason)
    assert "Canary" in ward.readable()


class Index:
    """A search index of the hospital's."""

    def __init__(self, name="search-index", *results):
        self.name, self.results, self.asked = name, list(results), []

    def erase(self, order):
        self.asked.append(
            (
                tuple(order.records),
                [value.reveal("index") for value in order.identifiers],
                sorted(value.reveal("index") for value in order.addresses),
            )
        )
        result = self.results.pop(0) if self.results else CopyResult.ERASED
        if isinstance(result, Exception):
            raise result
        return result if not isinstance(result, CopyResult) else EraseReport(result=result, count=2)


def with_erasers(ward, *erasers):
    ward.link.close()
    world = ward.world
    wire = world._wire
    world._wire = lambda: attrs.evolve(wire(), registry=registry_of(world.channels, erasers=erasers))
    world.restart()


def test_copies_elsewhere_are_erased_while_the_person_can_still_be_found_in_them(ward):
    index = Index()
    with_erasers(ward, index)
    receipt = ward.link.erase(ward.patient, actor="officer").receipt
    assert index.asked == [((ward.patient,), ["mrn|MRN-1"], [PHONE, "+8613900000002", MAIL])]
    assert [(copy.name, copy.outcome, copy.count) for copy in receipt.copies] == [("search-index", "erased", 2)]
    assert receipt.complete
    ward.link.erase(ward.patient, actor="officer")
    assert len(index.asked) == 1


@pytest.mark.parametrize("trouble", [ValueError("Canary"), CopyResult.PENDING, "nonsense", None])
def test_an_eraser_in_trouble_holds_up_nothing_and_is_asked_again(ward, trouble):
    index, other = Index("warehouse", trouble), Index("zebra", CopyResult.NOTHING)
    with_erasers(ward, index, other)
    receipt = ward.link.erase(ward.patient, actor="officer").receipt
    assert ward.readable() == []
    assert not receipt.complete
    assert "Canary" not in receipt.to_text()
    again = ward.link.erase(ward.patient, actor="officer").receipt
    assert again.complete
    assert index.asked[1] == ((ward.patient,), [], [])  # nobody knows more by now
    assert len(other.asked) == 1
    assert ward.link.erasure.state(ward.patient).receipt == again


def test_a_stop_by_reply_after_the_erasure_still_binds_the_address(ward):
    ward.link.erase(ward.patient, actor="officer")
    event = ChannelEvent(event=DeliveryEvent.REPLIED, address=Personal(PHONE), text=Personal("退订"))
    assert ward.link.inbound("sms", [event])
    assert ward.suppressed()
    ward.audit()


def test_memory_and_sqlite_do_the_same(tmp_path):
    texts = []
    for number, kind in enumerate((True, False)):
        ward = Ward(tmp_path / str(number), sqlite=kind)
        receipt = ward.link.erase(ward.patient, actor="officer").receipt
        assert ward.readable() == []
        assert ward.world.divergences() == []
        texts.append(attrs.evolve(receipt, patient="", by="").to_text())
        ward.link.close()
    assert texts[0] == texts[1]


def test_nothing_sealed_is_left_in_the_files(ward):
    """Not in a free page, not in the write-ahead log: `secure_delete`, and the checkpoint at closing."""
    envelopes = [row.envelope for row in ward.sealed]
    folder = ward.world.folder

    def left():
        held = b"".join(file.read_bytes() for part in ("data", "keys") for file in (folder / part).rglob("*.db*"))
        return [envelope for envelope in envelopes if envelope in held]

    ward.link.close()
    assert left() == envelopes
    ward.world.restart()
    ward.link.erase(ward.patient, actor="officer")
    ward.link.close()
    assert left() == []
    ward.world.restart()


def test_with_the_keys_out_of_reach_erasers_wait_and_nothing_is_sent(ward, monkeypatch):
    index = Index()
    with_erasers(ward, index)

    def unreachable(*_):
        raise KeyProviderError("the key provider does not answer")

    monkeypatch.setattr(ward.link.safe, "open", unreachable)
    with pytest.raises(KeyProviderError):
        ward.link.erase(ward.patient, actor="officer")
    assert ward.link.erasure.state(ward.patient).phase is ErasurePhase.BEGUN
    assert ward.link.erasure.resume() == 0
    assert index.asked == []
    monkeypatch.undo()
    assert ward.link.send(ward.world.ask(ward.patient)).effect is Effect.REFUSE
    assert ward.link.erasure.resume() == 1
    assert ward.readable() == []
    assert index.asked[0][1] == ["mrn|MRN-1"]
    ward.audit()


def test_an_erased_record_takes_nothing_new(ward):
    ward.link.erase(ward.patient, actor="officer")
    with pytest.raises(CarelinkError):
        ward.link.grant(ward.patient, purposes=("care",), channels=("sms",), evidence="form 9")
    assert ward.fields() == []
    (again,) = ward.link.register_many([person()])  # the same number, name and phone: somebody new
    assert again.created and again.patient != ward.patient
    assert ward.link.rotation.check().sound
    ward.audit()


def test_a_closed_log_takes_the_erasure_along(ward):
    ward.link.erase(ward.patient, actor="officer")
    ward.link.succeed(actor="officer")
    ward.world.restart()
    assert ward.link.send(ward.world.ask(ward.patient)).effect is Effect.REFUSE
    assert ward.suppressed()
    ward.audit()


def test_a_restored_store_whose_log_is_damaged_still_opens_and_takes_stops(ward):
    ward.back_up()
    ward.link.erase(ward.patient, actor="officer")
    ward.restore("data").close()
    for bundle in (ward.world.folder / "log" / "tile" / "entries").rglob("*"):
        if bundle.is_file():
            bundle.chmod(0o600)
            bundle.write_bytes(bundle.read_bytes()[:-3])
    link = ward.world.restart()
    assert link.notary.restored
    assert ward.readable() == []  # today's key store knows by itself
    assert link.stop(ward.patient, purposes=("marketing",)).suppressions


def test_the_log_says_who_began_it_and_what_remains(ward):
    receipt = ward.link.erase(ward.patient, actor="officer", reason="withdrawal").receipt
    with ward.link.wiring.store.reader() as reader:
        person = reader.patients([ward.patient])[ward.patient].person
        bodies = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
    found = [body for body in bodies if isinstance(body, (ErasingBody, ErasedBody))]
    assert found == [
        ErasingBody(subject=person, reason="withdrawal", by=ward.link.actor("officer")),
        ErasedBody(subject=person, kept=receipt.remains),
    ]
    told = [body.contact for body in bodies if isinstance(body, SubjectBody) and body.contact is not None]
    assert len({change.address for change in told if change.ended}) == 3  # nobody can be reached there by this record
