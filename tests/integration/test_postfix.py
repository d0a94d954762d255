"""A real Postfix that nobody here wrote: mail goes out under verified TLS, and what it bounces comes back and acts.

Started by `.ci/postfix start WORK`; `CARELINK_POSTFIX` names the file that says where it listens.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

import carelink
from carelink.audit.bodies import HandoverBody
from carelink.audit.entry import parse_entry
from carelink.channels.smtp.channel import SmtpChannel
from carelink.cli.main import main
from carelink.model.moment import DAY, SECOND, Instant, Micros, parse_instant
from carelink.ports.channel import OutboundMessage, SendResult
from carelink.system import SystemClock, wait
from carelink.testing.fakes import FakeClock
from carelink.testing.permits import permit_for_tests
from carelink.vault.personal import Personal
from carelink.vocabulary import ContactStatus, Outcome, Purpose

pytestmark = pytest.mark.peer

_MORNING = parse_instant("2026-01-15T10:00:00+08:00")


class Postfix:
    """Where it listens, and what it has delivered."""

    def __init__(self, env: Path) -> None:
        self.of = dict(line.split("=", 1) for line in env.read_text().splitlines() if "=" in line)
        self.bounces = Path(self.of["BOUNCE_MAILDIR"])

    def settings(self, **changes: Any) -> dict[str, Any]:
        table = {
            "host": "localhost",
            "port": int(self.of["PORT"]),
            "ca_file": self.of["CA"],
            "sender": self.of["SENDER"],
        }
        return {**table, **changes}

    def delivered(self, folder: str, key: str) -> list[EmailMessage]:
        """The mails in a Maildir that have the key in them, seen or not."""
        paths = [path for part in ("new", "cur") for path in (Path(self.of[folder]) / part).glob("*")]
        found = [path.read_bytes() for path in paths]
        return [message_from_bytes(data, policy=policy.default) for data in found if key.encode() in data]  # type: ignore[misc]


@pytest.fixture(scope="module")
def postfix() -> Postfix:
    name = os.environ.get("CARELINK_POSTFIX", "")
    if not Path(name).is_file():
        pytest.skip("no Postfix: run `.ci/postfix start WORK` and set CARELINK_POSTFIX=WORK/postfix.env")
    return Postfix(Path(name))


def _until(found: Callable[[], Any]) -> Any:
    """What is found, within 20 seconds: Postfix delivers in its own time."""
    clock = SystemClock()
    end = clock.monotonic() + 20 * SECOND
    while not (result := found()) and clock.monotonic() < end:
        wait(Micros(SECOND // 10))
    return result


_NUMBERS = iter(range(1, 1000))


def _send(postfix: Postfix, address: str, body: str = "请按时复查。", **changes: Any) -> tuple[str, SendResult]:
    """One mail under a key of its own."""
    number, now = next(_NUMBERS), SystemClock().now()
    key = f"{os.getpid():08x}{now & 0xFFFFFFFFFFFF:012x}{number:012x}"
    channel = SmtpChannel(postfix.settings(**changes), clock=SystemClock())
    message = OutboundMessage(
        permit_for_tests(Instant(now + 5 * SECOND), number),
        now=now,
        key=key,
        purpose=Purpose.CARE_APPOINTMENT,
        address=Personal(address),
        subject=Personal("复查提醒"),
        body=Personal(body),
    )
    result = channel.send(channel.prepare(message))
    assert channel.health().ok
    channel.close()
    return key, result


@pytest.mark.parametrize("mailbox", ["li", "用户"])
def test_a_mail_is_delivered_as_it_was_approved(postfix: Postfix, mailbox: str) -> None:
    key, result = _send(postfix, f"{mailbox}@{postfix.of['DOMAIN']}", body=".\n请按时复查。\n..é\n")
    assert result.outcome is Outcome.ACCEPTED
    (mail,) = _until(lambda: postfix.delivered("INBOX_MAILDIR", key))
    assert mail.get_content().replace("\r\n", "\n") == ".\n请按时复查。\n..é\n"
    assert mail["Subject"] == "复查提醒"
    assert "SMTPS id" in mail["Received"]  # the S at the end says that it came under TLS (RFC 3848)


@pytest.mark.parametrize(
    ("address", "outcome", "code"),
    [
        ("refused-li@hospital.test", Outcome.REFUSED, "rcpt_550_5.1.1"),
        ("later-li@hospital.test", Outcome.THROTTLED, "rcpt_450_4.2.1"),
        ("li@another.example", Outcome.REFUSED, "rcpt_554_5.7.1"),
    ],
)
def test_a_refusal(postfix: Postfix, address: str, outcome: Outcome, code: str) -> None:
    _, result = _send(postfix, address)
    assert (result.outcome, result.code) == (outcome, code)


def test_its_certificate_is_verified(postfix: Postfix) -> None:
    settings = postfix.settings()
    del settings["ca_file"]
    channel = SmtpChannel(settings, clock=SystemClock())
    assert channel.health().code == "certificate_not_trusted"


@pytest.mark.parametrize("verp", [False, True])
def test_a_bounce_names_the_key(postfix: Postfix, verp: bool) -> None:
    key, result = _send(postfix, f"nobody-li@{postfix.of['DOMAIN']}", verp=verp)
    assert result.outcome is Outcome.ACCEPTED
    (bounce,) = _until(lambda: postfix.delivered("BOUNCE_MAILDIR", key))
    channel = SmtpChannel(postfix.settings(verp=verp), clock=SystemClock())
    (event,) = channel.parse_callback({"content-type": "message/rfc822"}, bounce.as_bytes())
    assert (event.event.value, event.key, event.address) == ("bounced_hard", key, None)
    # Only headers came back: the text went out once and was not sent around again.
    assert "请按时复查" not in bounce.as_string()
    assert "text/rfc822-headers" in [part.get_content_type() for part in bounce.walk()]


def test_a_bounce_comes_back_and_the_next_message_is_refused(
    postfix: Postfix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole way by commands: send, bounce, inbound, contact invalid, refused."""
    home, clock = tmp_path / "home", FakeClock(_MORNING)
    address = f"nobody-{os.getpid()}-{SystemClock().now()}@{postfix.of['DOMAIN']}"
    monkeypatch.setattr("carelink.home.SystemClock", lambda: clock)
    monkeypatch.setenv("CARELINK_HOME", str(home))
    with carelink.init(home, zone="Asia/Shanghai", clock=clock) as link:
        link.template(
            "recheck",
            "您好 {patient_name}，请按时复查。",
            subject="复查",
            purposes=["care.appointment"],
            channels=["email"],
        )
        link.approve("recheck", actor="Dr Chen")
        patient = link.register(identifier="MRN-1", name="王小满", email=address, birth_date=dt.date(1970, 1, 1))
        link.grant(patient, purposes=["care"], channels=["email"], evidence="form 1")
    (home / "carelink.toml").write_text(
        f"""
[routes]
email = "smtp"
[channels.smtp]
host = "localhost"
port = {postfix.of["PORT"]}
ca_file = "{postfix.of["CA"]}"
sender = "{postfix.of["SENDER"]}"
"""
    )
    assert main(["mode", "team", "--actor", "Dr Chen", "--allow", address]) == 0

    def send(campaign: str) -> str:
        capsys.readouterr()
        request = ("--purpose", "care.appointment", "--template", "recheck", "--channel", "email")
        main(["send", *request, "--campaign", campaign])
        return capsys.readouterr().out

    send("one")
    with carelink.open(home, clock=clock) as link:
        with link.wiring.store.reader() as reader:
            entries = [parse_entry(data).body for data in reader.entries(0, reader.head().size)]
        assert [body.outcome.value for body in entries if isinstance(body, HandoverBody)] == ["accepted"]

    assert _until(lambda: postfix.delivered("BOUNCE_MAILDIR", address))
    clock.advance(DAY)
    assert main(["inbound", str(postfix.bounces), "--channel", "smtp"]) == 0
    assert "invalidated, receipt" in capsys.readouterr().out
    with carelink.open(home, clock=clock) as link, link.wiring.store.reader() as reader:
        (contact,) = reader.contacts([patient])[patient]
        assert contact.status is ContactStatus.INVALID

    assert "CONTACT_INVALID" in send("two")
    # Taken in once more, nothing happens: the mail is marked as seen, and its event is known.
    assert main(["inbound", str(postfix.bounces), "--channel", "smtp"]) == 0
    assert "mails read: 0" in capsys.readouterr().out
    with carelink.open(home, clock=clock) as link:
        log_key = link.key.text
    assert main(["audit", "verify", "--key", log_key]) == 0
    assert main(["audit", "replay", "--key", log_key]) == 0
