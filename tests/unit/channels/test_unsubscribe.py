"""One-click unsubscribe, from the setting to the stop; and how secrets reach a channel."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from carelink.errors import SettingsError
from carelink.ports.channel import ChannelEvent
from carelink.settings import Settings, parse
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent, Effect

_URL = "https://care.example.org/u/{token}"


def _settings(text: str, home: Path) -> Settings:
    return parse(text.encode(), home)


def test_a_click_stops_what_it_answers_and_everything_promotional(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.content()
    world.settings = attrs.evolve(world.settings, unsubscribe=_URL)
    world.restart()
    patient = world.patient(consent=("care", "marketing"))
    assert world.link.send(world.ask(patient)).effect is Effect.PERMIT
    handed = world.email.handed[-1]
    token = handed.unsubscribe.removeprefix("https://care.example.org/u/")
    assert handed.unsubscribe == f"https://care.example.org/u/{token}"
    assert token == handed.key

    click = ChannelEvent(event=DeliveryEvent.OPTED_OUT, key=token)
    assert world.link.inbound("email", [click])[0].actions == ("stopped",)
    assert world.link.preview(world.ask(patient, purpose="care.appointment")).effect is Effect.REFUSE
    assert world.link.preview(world.ask(patient, purpose="marketing.service", channel="sms")).effect is Effect.REFUSE
    # Other care goes on, and so does this care on another channel.
    assert world.link.preview(world.ask(patient, purpose="care.medication")).effect is Effect.PERMIT
    assert world.link.preview(world.ask(patient, purpose="care.appointment", channel="sms")).effect is Effect.PERMIT
    world.link.close()


def test_a_token_that_was_guessed_stops_nobody(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.content()
    patient = world.patient(consent=("care", "marketing"))
    world.link.send(world.ask(patient))
    click = ChannelEvent(event=DeliveryEvent.OPTED_OUT, key="0" * 32)
    assert world.link.inbound("email", [click])[0].actions == ("noted",)
    assert world.link.preview(world.ask(patient)).effect is Effect.PERMIT
    world.link.close()


def test_without_the_setting_there_is_no_link(tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    world.content()
    world.link.send(world.ask(world.patient()))
    assert world.email.handed[-1].unsubscribe == ""
    world.link.close()


def test_the_setting_is_read(tmp_path: Path) -> None:
    assert _settings(f'[carelink]\nunsubscribe = "{_URL}"', tmp_path).unsubscribe == _URL
    assert _settings("", tmp_path).unsubscribe == ""


@pytest.mark.parametrize(
    "url",
    [
        "http://care.example.org/u/{token}",
        "https://care.example.org/u/",
        "https://care.example.org/{token}/{token}",
        "https://care.example.org/{token}/{key}",
        "https://care.example.org/ {token}",
        "https://care.example.org/{token}>",
        "https://医院.example/{token}",
    ],
)
def test_an_address_that_is_no_one_click_address_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="unsubscribe"):
        _settings(f'[carelink]\nunsubscribe = "{url}"', tmp_path)


def test_secrets_reach_a_channel_wrapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_TEST_PASSWORD", "pass-77-canary")
    (tmp_path / "secret.txt").write_text("file-88-canary\n")
    text = '[channels.smtp]\npassword_env = "SMTP_TEST_PASSWORD"\nother_secret_file = "secret.txt"\nca_file = "ca.pem"'
    chosen = _settings(text, tmp_path)
    table = chosen.channels["smtp"]
    assert table["password"] == Personal("pass-77-canary")
    assert table["other"] == Personal("file-88-canary")
    assert table["ca_file"] == str(tmp_path / "ca.pem")
    assert "canary" not in f"{chosen!r}{table!r}"


def test_an_empty_secret_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_TEST_PASSWORD", "")
    with pytest.raises(SettingsError, match="not set"):
        _settings('[channels.smtp]\npassword_env = "SMTP_TEST_PASSWORD"', tmp_path)
