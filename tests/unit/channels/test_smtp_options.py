"""The `[channels.smtp]` table: what is wrong is named, what is secret is not, and TLS cannot be left out by accident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from carelink.channels.smtp.channel import SmtpChannel
from carelink.channels.smtp.options import Tls, read_options
from carelink.errors import ConfigurationError
from carelink.model.moment import SECOND, Instant
from carelink.testing.fakes import FakeClock
from carelink.vault.personal import Personal

_GOOD: dict[str, Any] = {"host": "mail.example.org", "sender": "clinic@example.org"}


def test_little_is_needed_and_the_rest_is_safe() -> None:
    options = read_options(_GOOD)
    assert (options.port, options.tls, options.username, options.ca_file) == (587, Tls.STARTTLS, None, None)
    assert options.bounces == options.sender
    assert options.helo == "example.org"
    assert options.timeout == 30 * SECOND


def test_implicit_tls_has_its_own_port() -> None:
    assert read_options({**_GOOD, "tls": "implicit"}).port == 465


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"host": ""}, "`host`"),
        ({"host": "mail example"}, "`host`"),
        ({"host": 7}, "`host`"),
        ({"sender": ""}, "`sender`"),
        ({"sender": "nobody"}, "`sender`"),
        ({"sender": "诊所@example.org"}, "`sender`"),
        ({"sender": "clinic@example.org\r\nBcc: x@example.org"}, "`sender`"),
        ({"sender_name": "Clinic\r\nBcc: x@example.org"}, "`sender_name`"),
        ({"reply_to": "a b@example.org"}, "`reply_to`"),
        ({"bounces": "@example.org"}, "`bounces`"),
        ({"bounces": "a-mailbox-name-of-forty-characters-or-so@example.org", "verp": True}, "`verp`"),
        ({"verp": "yes"}, "`verp`"),
        ({"port": 0}, "`port`"),
        ({"port": 70000}, "`port`"),
        ({"port": "587"}, "`port`"),
        ({"port": True}, "`port`"),
        ({"timeout": 0}, "`timeout`"),
        ({"timeout": 6000}, "`timeout`"),
        ({"timeout": 1.5}, "`timeout`"),
        ({"tls": "maybe"}, "`tls`"),
        ({"tls": "none"}, "this machine"),
        ({"tls": ["none"]}, "`tls`"),
        ({"helo": "a b"}, "`helo`"),
        ({"ca_file": "/nowhere/ca.pem"}, "`ca_file`"),
        ({"user": "x"}, "`user`"),
        ({"username": "clinic"}, "belong together"),
        ({"password": Personal("secret-77")}, "belong together"),
        ({"username": "", "password": Personal("secret-77")}, "belong together"),
        ({"username": "clinic", "password": "secret-77"}, "stands in the settings"),
    ],
)
def test_what_is_wrong_is_named_and_never_shown(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_options({**_GOOD, **change})
    text = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"
    assert named in text
    assert "secret-77" not in text
    assert "Bcc" not in text


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "127.8.8.8"])
def test_plain_text_goes_to_this_machine_only(host: str) -> None:
    assert read_options({**_GOOD, "host": host, "tls": "none"}).tls is Tls.NONE


@pytest.mark.parametrize("host", ["10.0.0.5", "mail.example.org", "0.0.0.0", "localhost.example.org", "128.0.0.1"])
def test_plain_text_goes_nowhere_else(host: str) -> None:
    with pytest.raises(ConfigurationError, match="this machine"):
        read_options({**_GOOD, "host": host, "tls": "none"})


def test_a_certificate_file_without_certificates_stops_the_start(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("not a certificate")
    with pytest.raises(ConfigurationError, match="PEM"):
        SmtpChannel({**_GOOD, "ca_file": str(file)}, clock=FakeClock(Instant(0)))


def test_nothing_secret_shows() -> None:
    settings = {**_GOOD, "username": "clinic-login", "password": Personal("secret-77")}
    channel = SmtpChannel(settings, clock=FakeClock(Instant(0)))
    options = read_options(settings)
    shown = f"{channel!r} {channel!s} {options!r} {options!s} {settings!r}"
    assert "secret-77" not in shown
    assert "clinic-login" not in f"{channel!r} {options!r}"


def test_the_ends_of_each_range() -> None:
    for change in (
        {"port": 1},
        {"port": 65535},
        {"timeout": 1},
        {"timeout": 600},
        {"bounces": "x" * 31 + "@example.org", "verp": True},
        {"bounces": "x" * 40 + "@example.org"},
    ):
        read_options({**_GOOD, **change})
    for change in ({"port": 65536}, {"timeout": 601}, {"bounces": "x" * 32 + "@example.org", "verp": True}):
        with pytest.raises(ConfigurationError):
            read_options({**_GOOD, **change})
    assert read_options(_GOOD).verp is False
