"""Homes from code: what `init` refuses, what `open` finds out, and the one that is in memory."""

from __future__ import annotations

import gc
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import carelink
from carelink import CareLink, Effect, Mode, Request
from carelink.channels.memory import MemoryChannel
from carelink.errors import (
    ConflictError,
    InvalidInputError,
    KeyCheckError,
    PluginError,
    PolicyError,
    SettingsError,
    StoreOutdatedError,
)
from carelink.keys.store import KeyStore
from carelink.model.moment import parse_instant
from carelink.stores.sqlite.store import SqliteStore
from carelink.testing.fakes import FakeClock, SeededEntropy
from carelink.vocabulary import ChannelKind

MORNING = "2026-01-15T10:00:00+08:00"


def _clock() -> FakeClock:
    return FakeClock(parse_instant(MORNING))


def _ready(link: CareLink, consent: bool = True) -> Request:
    patient = link.register(identifier="1", name="林小满", email="lin@example.invalid", birth_date=date(1968, 4, 2))
    if consent:
        link.grant(patient, purposes=["care"], channels=["email"], evidence="form 1")
    link.template("t", "Dear {patient_name}", subject="S", purposes=["care.appointment"], channels=["email", "sms"])
    link.approve("t", actor="Dr Chen")
    return Request(key="k", patient=patient, purpose="care.appointment", channel="email", template="t")


# -- in memory -------------------------------------------------------------------------------------------------------


def test_in_memory_is_the_whole_path() -> None:
    with carelink.in_memory(clock=_clock()) as link:
        request = _ready(link)
        assert link.preview(request).effect is Effect.PERMIT
        outcome = link.send(request)
        assert outcome.receipt is not None
        assert outcome.receipt.outcome == "accepted"
        channel = link.channels["memory-email"]
        assert isinstance(channel, MemoryChannel)
        (kept,) = channel.kept
        assert kept.body.reveal("test") == "Dear 林小满"
        assert kept.address.reveal("test") == "lin@example.invalid"
        assert "林" not in repr(kept)
        assert link.send(request).repeated
        assert len(channel.kept) == 1
        assert link.why("k", actor="test").agrees


def test_in_memory_leaves_nothing_and_writes_no_personal_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with carelink.in_memory(clock=_clock()) as link:
        link.send(_ready(link))
        link.publish()
        written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b'"kind":"handover"' in written
        for personal in ("林小满", "lin@example.invalid", "form 1", "1968"):
            assert personal.encode() not in written
    assert list(tmp_path.iterdir()) == []


def test_a_failed_in_memory_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for wrong, error in (
        ({"zone": "Mars"}, InvalidInputError),
        ({"region": "China"}, SettingsError),
        ({"packs": [b"x"]}, PolicyError),
        ({"channels": [object()]}, PluginError),
        ({"actor": ""}, InvalidInputError),
    ):
        with pytest.raises(error):
            carelink.in_memory(**wrong)
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_in_memory_never_leaves_the_sandbox() -> None:
    with carelink.in_memory(clock=_clock()) as link:
        assert link.mode() is Mode.SANDBOX
        with pytest.raises(ConflictError, match="stays in sandbox"):
            link.set_mode(Mode.LIVE, actor="Dr Chen", checks=1)


def test_in_memory_takes_channels_packs_and_repeats_with_a_seed() -> None:
    keys = []
    for _ in range(2):
        email = MemoryChannel(ChannelKind.EMAIL)
        with carelink.in_memory(clock=_clock(), channels=[email], entropy=SeededEntropy(7)) as link:
            link.send(_ready(link))
            assert list(link.channels) == ["memory-email"]
            keys.append(email.kept[0].key)
            with pytest.raises(InvalidInputError, match="no channel is set for `sms`"):
                link.send(
                    Request(key="s", patient=link.find("1"), purpose="care.appointment", channel="sms", template="t")
                )
    assert keys[0] == keys[1]


def test_a_memory_channel_keeps_a_repeat_once_and_can_be_asked() -> None:
    channel = MemoryChannel(ChannelKind.SMS)
    with carelink.in_memory(clock=_clock(), channels=[channel]) as link:
        request = _ready(link)
        link.grant(request.patient, purposes=["care"], channels=["sms"], evidence="form 2")
        link.register(identifier="1", phone="+8613800138000")
        link.send(Request(key="s", patient=request.patient, purpose="care.appointment", channel="sms", template="t"))
    (kept,) = channel.kept
    assert channel.lookup(kept.key, kept.address, parse_instant(MORNING)).found is True
    assert channel.lookup("0" * 32, kept.address, parse_instant(MORNING)).found is False


# -- on disk ---------------------------------------------------------------------------------------------------------


def test_a_home_survives_its_process(tmp_path: Path) -> None:
    clock = _clock()
    with carelink.init(tmp_path / "h", zone="Asia/Shanghai", clock=clock) as link:
        request = _ready(link)
        link.send(request)
    with carelink.open(tmp_path / "h", clock=clock) as link:
        assert link.find("1") == request.patient
        assert link.send(request).repeated


def test_a_home_may_be_moved(tmp_path: Path) -> None:
    with carelink.init(tmp_path / "h", zone="Asia/Shanghai", clock=_clock()) as link:
        request = _ready(link)
    (tmp_path / "h").rename(tmp_path / "moved")
    with carelink.open(tmp_path / "moved", clock=_clock()) as link:
        assert link.send(request).effect is Effect.PERMIT
    assert len(list((tmp_path / "moved" / "outbox" / "email").glob("*.eml"))) == 1


def test_another_tenants_keys_open_nothing(tmp_path: Path) -> None:
    for name in "ab":
        carelink.init(tmp_path / name, zone="Asia/Shanghai", clock=_clock()).close()
    shutil.rmtree(tmp_path / "a" / "keys")
    shutil.copytree(tmp_path / "b" / "keys", tmp_path / "a" / "keys")
    with pytest.raises(KeyCheckError, match="not the one this store was made with"):
        carelink.open(tmp_path / "a", clock=_clock())


def test_an_open_that_fails_lets_go_of_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carelink.init(tmp_path / "h", zone="Asia/Shanghai", clock=_clock()).close()
    closed: list[str] = []
    for kind in (KeyStore, SqliteStore):

        def close(self: object, kind: type = kind, whole: Callable[..., None] = kind.close) -> None:
            closed.append(kind.__name__)
            whole(self)

        monkeypatch.setattr(kind, "close", close)

    def broken(*_: object, **__: object) -> None:
        raise PluginError("plugin `x` cannot be imported")

    monkeypatch.setattr("carelink.home.load_registry", broken)
    with pytest.raises(PluginError):
        carelink.open(tmp_path / "h", clock=_clock())
    assert sorted(closed) == ["KeyStore", "SqliteStore"]


def test_an_outdated_store_is_told_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    carelink.init(tmp_path / "h", zone="Asia/Shanghai", clock=_clock()).close()
    monkeypatch.setattr("carelink.stores.sqlite.store.HEAD", "r9999")
    with pytest.raises(StoreOutdatedError, match="store"):
        carelink.open(tmp_path / "h", clock=_clock())


def test_unknown_names_of_the_package_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no attribute `opne`"):
        carelink.opne  # noqa: B018
    assert set(carelink.__all__) <= set(dir(carelink)) | {"CareLink", "in_memory", "init", "open"}
    for name in carelink.__all__:
        assert getattr(carelink, name) is not None


# -- requests and outcomes speak of datetimes ------------------------------------------------------------------------


def test_a_request_takes_datetimes_and_an_outcome_gives_one() -> None:
    begins = datetime(2026, 1, 15, 12, tzinfo=UTC)
    with carelink.in_memory(clock=_clock()) as link:
        ready = _ready(link)
        request = Request(key="w", patient=ready.patient, purpose="care.appointment", channel="email", template="t",
                          not_before=begins, useless_after=begins + timedelta(hours=6))  # fmt: skip
        outcome = link.send(request)
        assert outcome.effect is Effect.DEFER
        assert outcome.earliest == begins
        assert link.preview(request).earliest == begins
    bare = begins.replace(tzinfo=None)
    with pytest.raises(InvalidInputError, match="without a zone"):
        Request(key="w", patient="0" * 32, purpose="care.appointment", channel="email", template="t", not_before=bare)
