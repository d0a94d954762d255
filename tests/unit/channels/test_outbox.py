"""The outbox: whole files or none, readable by nobody else, and a look-up that stays true."""

from __future__ import annotations

import json
import os
import stat
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest

from carelink.channels.console import ConsoleChannel
from carelink.channels.outbox import OutboxChannel
from carelink.errors import ConfigurationError, InvalidInputError
from carelink.model.moment import SECOND, Instant
from carelink.ports.channel import Health, LookupResult, OutboundMessage, Prepared
from carelink.testing.fakes import FakeClock
from carelink.testing.permits import permit_for_tests
from carelink.vault.personal import Personal
from carelink.vocabulary import AddressKind, ChannelKind, Outcome, Purpose

_AT = Instant(1_800_000_000_000_000)
_KEY = "0123456789abcdef" * 2
_NOBODY = Personal("x")


class Box:
    def __init__(self, root: Path, kind: ChannelKind = ChannelKind.EMAIL) -> None:
        self.root = root
        self.clock = FakeClock(_AT)
        self.kind = kind
        self.channel = OutboxChannel(kind, {"folder": str(root)}, clock=self.clock)

    def prepared(self, body: str = "请按时复查。", key: str = _KEY) -> Prepared:
        return self.channel.prepare(_message(self.kind, body, key))

    def files(self) -> list[Path]:
        return sorted(path for path in (self.root / self.kind.value).glob("*") if path.is_file())

    def parts(self) -> list[Path]:
        return list((self.root / ".parts").glob("*"))


def _message(kind: ChannelKind, body: str = "请按时复查。", key: str = _KEY) -> OutboundMessage:
    return OutboundMessage(
        permit_for_tests(Instant(_AT + 5 * SECOND)),
        now=_AT,
        key=key,
        purpose=Purpose.CARE_APPOINTMENT,
        address=Personal("li@example.invalid" if kind is ChannelKind.EMAIL else "+8613800138000"),
        subject=Personal("复查提醒"),
        body=Personal(body),
        language="zh-CN",
    )


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path / "deep" / "outbox")


def test_a_mail_is_a_file_that_people_can_read(box: Box) -> None:
    result = box.channel.send(box.prepared())
    assert (result.outcome, result.provider_id, result.code) == (Outcome.ACCEPTED, f"{_KEY}.eml", "")
    (file,) = box.files()
    assert "请按时复查。" in file.read_text(encoding="utf-8")
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert mail["Subject"] == "复查提醒"
    assert mail["To"] == "li@example.invalid"
    assert mail.get_content().replace("\r\n", "\n") == "请按时复查。\n"  # type: ignore[attr-defined]
    assert file.read_bytes() == box.prepared().wire.reveal("test")


def test_a_long_line_is_encoded_and_still_the_same_text(box: Box) -> None:
    box.channel.send(box.prepared(body="复查" * 600))
    mail = message_from_bytes(box.files()[0].read_bytes(), policy=policy.default)
    assert mail.get_content().replace("\r\n", "\n") == "复查" * 600 + "\n"  # type: ignore[attr-defined]


def test_a_text_message_is_json(tmp_path: Path) -> None:
    box = Box(tmp_path / "o", ChannelKind.SMS)
    box.channel.send(box.prepared())
    assert json.loads(box.files()[0].read_text(encoding="utf-8")) == {
        "key": _KEY,
        "language": "zh-CN",
        "purpose": "care.appointment",
        "text": "请按时复查。",
        "to": "+8613800138000",
    }


def test_nobody_else_can_read_it(box: Box) -> None:
    previous = os.umask(0)
    try:
        box.channel.send(box.prepared())
    finally:
        os.umask(previous)
    for folder in (box.root, box.root / "email", box.root / ".parts"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(box.files()[0].stat().st_mode) == 0o600
    assert box.channel.health().ok
    box.root.chmod(0o755)
    assert (box.channel.health().ok, box.channel.health().code) == (False, "not_private")


def test_a_repeat_changes_nothing(box: Box) -> None:
    box.channel.send(box.prepared("first"))
    before = box.files()[0].read_bytes()
    result = box.channel.send(box.prepared("second"))
    assert (result.outcome, result.code) == (Outcome.ACCEPTED, "repeated")
    assert [file.read_bytes() for file in box.files()] == [before]
    assert box.parts() == []


def test_lookup_knows_what_is_there(box: Box) -> None:
    assert box.channel.lookup(_KEY, _NOBODY, Instant(0)) == LookupResult(found=False, outcome=Outcome.NOT_SENT)
    box.channel.send(box.prepared())
    assert box.channel.lookup(_KEY, _NOBODY, Instant(0)) == LookupResult(found=True, outcome=Outcome.ACCEPTED)
    assert box.channel.lookup("f" * 32, _NOBODY, Instant(0)).found is False


class _Killed(BaseException):
    pass


def _dies(*_: Any, **__: Any) -> None:
    raise _Killed


@pytest.mark.parametrize("step", ["fsync", "link"])
def test_a_kill_before_the_link_leaves_nothing_handed_over(
    box: Box, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    box.channel.send(box.prepared(key="a" * 32))  # the folders are there
    with monkeypatch.context() as patch:
        patch.setattr(os, step, _dies)
        patch.setattr(Path, "unlink", lambda *_, **__: None)  # a killed process cleans up nothing
        with pytest.raises(_Killed):
            box.channel.send(box.prepared())
    assert len(box.files()) == 1
    assert box.channel.lookup(_KEY, _NOBODY, Instant(0)).found is False
    # The look-up took away what was left of this key, and of no other.
    assert not [part for part in box.parts() if _KEY in part.name]


def test_a_kill_after_the_link_is_found(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.channel.send(box.prepared(key="a" * 32))
    real = os.link

    def link(*arguments: Any, **more: Any) -> None:
        real(*arguments, **more)
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "link", link)
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(_Killed):
            box.channel.send(box.prepared())
    whole = (box.root / "email" / f"{_KEY}.eml").read_bytes()
    assert whole == box.prepared().wire.reveal("test")
    assert box.channel.lookup(_KEY, _NOBODY, Instant(0)).found is True
    assert (box.root / "email" / f"{_KEY}.eml").read_bytes() == whole


def test_what_was_looked_up_as_missing_cannot_appear_later(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stalled before its link comes back after somebody else was told "not handed over"."""
    real = os.link
    other = Box(box.root)

    def link(*arguments: Any, **more: Any) -> None:
        assert other.channel.lookup(_KEY, _NOBODY, Instant(0)).found is False
        real(*arguments, **more)

    monkeypatch.setattr(os, "link", link)
    result = box.channel.send(box.prepared())
    assert (result.outcome, result.code) == (Outcome.NOT_SENT, "not_linked")
    assert box.files() == []
    assert other.channel.lookup(_KEY, _NOBODY, Instant(0)).found is False


def test_two_writers_of_one_key_never_touch_the_same_file(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.link
    other = Box(box.root)
    inner: list[str] = []

    def link(*arguments: Any, **more: Any) -> None:
        monkeypatch.setattr(os, "link", real)
        inner.append(other.channel.send(other.prepared("the other's text")).code)
        real(*arguments, **more)

    monkeypatch.setattr(os, "link", link)
    result = box.channel.send(box.prepared("my text"))
    assert (result.outcome, result.code, inner) == (Outcome.ACCEPTED, "repeated", [""])
    assert b"the other's text" in box.files()[0].read_bytes()
    assert len(box.files()) == 1


def test_no_file_appears_after_the_lease(box: Box) -> None:
    prepared = box.prepared()
    box.clock.advance(5 * SECOND)
    result = box.channel.send(prepared)
    assert (result.outcome, result.code) == (Outcome.NOT_SENT, "lease_over")
    assert box.files() == box.parts() == []


def _fails(*_: Any, **__: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_disk_is_not_sent_and_leaves_nothing(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.channel.send(box.prepared(key="a" * 32))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", _fails)
        result = box.channel.send(box.prepared())
    assert (result.outcome, result.code) == (Outcome.NOT_SENT, "not_writable")
    assert box.parts() == []
    assert box.channel.lookup(_KEY, _NOBODY, Instant(0)).found is False


def test_a_link_that_may_not_be_durable_is_unknown(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.channel.send(box.prepared(key="a" * 32))
    calls = iter([os.fsync, _fails])
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: next(calls)(descriptor))  # noqa: PLW0108  another one each time
        result = box.channel.send(box.prepared())
    assert (result.outcome, result.code) == (Outcome.UNKNOWN, "not_synced")


def test_a_folder_that_cannot_be_looked_into_cannot_tell(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    box.channel.send(box.prepared())
    monkeypatch.setattr(os, "scandir", _fails)
    assert box.channel.lookup(_KEY, _NOBODY, Instant(0)) == LookupResult(found=None)


def test_new_folders_are_durable_in_their_parents(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    real = os.open

    def watch(path: Any, flags: int, *more: Any) -> int:
        if Path(path).is_dir():
            synced.append(Path(path).name)
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", watch)
    assert box.channel.health() == Health(ok=True)
    assert synced == ["deep", "outbox", "outbox"]


def test_what_they_say_of_themselves() -> None:
    mail, text = (OutboxChannel(kind, {"folder": "x"}) for kind in (ChannelKind.EMAIL, ChannelKind.SMS))
    assert (mail.info.name, mail.info.address_kind, mail.info.local) == ("outbox-email", AddressKind.EMAIL, True)
    assert (text.info.name, text.info.address_kind, text.info.local) == ("outbox-sms", AddressKind.PHONE, True)
    assert mail.capabilities == text.capabilities
    assert mail.capabilities.lookup
    assert mail.capabilities.harmless_repeat
    assert mail.capabilities.health


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "outbox").write_text("a file")
    box = Box(tmp_path / "outbox")
    assert box.channel.send(box.prepared()).outcome is Outcome.NOT_SENT
    assert (box.channel.health().ok, box.channel.health().code) == (False, "not_writable")
    assert box.channel.lookup(_KEY, _NOBODY, Instant(0)).found is False


@pytest.mark.parametrize("settings", [{}, {"folder": ""}, {"folder": 7}])
def test_a_folder_must_be_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="folder"):
        OutboxChannel(ChannelKind.SMS, settings, clock=FakeClock(_AT))


@pytest.mark.parametrize("kind", [ChannelKind.EMAIL, ChannelKind.SMS])
def test_half_a_character_is_refused_without_showing_the_text(tmp_path: Path, kind: ChannelKind) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Box(tmp_path / "o", kind).prepared("canary \ud800")
    assert "canary" not in f"{caught.value!r}{caught.value.__context__!r}"


# -- the console -----------------------------------------------------------------------------------------------------


def test_the_console_masks_unless_it_is_told_to_show(capsys: pytest.CaptureFixture[str]) -> None:
    masked = ConsoleChannel(ChannelKind.SMS, {})
    assert masked.send(masked.prepare(_message(ChannelKind.SMS))).outcome is Outcome.ACCEPTED
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "sms care.appointment 6 characters\n")
    open_ = ConsoleChannel(ChannelKind.SMS, {"show": True})
    open_.send(open_.prepare(_message(ChannelKind.SMS)))
    assert capsys.readouterr().err == "sms care.appointment to +8613800138000: 请按时复查。\n"


def test_a_screen_without_chinese_shows_question_marks(tmp_path: Path) -> None:
    with (tmp_path / "screen").open("w", encoding="ascii") as screen:
        channel = ConsoleChannel(ChannelKind.SMS, {"show": True}, screen)
        assert channel.send(channel.prepare(_message(ChannelKind.SMS))).outcome is Outcome.ACCEPTED
    assert (tmp_path / "screen").read_text() == "sms care.appointment to +8613800138000: ??????\n"


def test_a_screen_that_is_gone_is_unknown(tmp_path: Path) -> None:
    screen = (tmp_path / "screen").open("w", encoding="utf-8")
    channel = ConsoleChannel(ChannelKind.SMS, {}, screen)
    prepared = channel.prepare(_message(ChannelKind.SMS))
    screen.close()
    assert channel.send(prepared).outcome is Outcome.UNKNOWN
