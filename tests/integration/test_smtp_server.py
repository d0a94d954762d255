"""The SMTP channel against a real server, aiosmtpd: TLS that is verified, logins, refusals, and the whole path from a
home's settings to a mail, and from a mail that comes back to a stop.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import carelink
from carelink.channels.smtp.channel import SmtpChannel
from carelink.cli.main import main
from carelink.model.moment import SECOND, Instant, parse_instant
from carelink.ports.channel import OutboundMessage, Prepared
from carelink.testing.fakes import FakeClock
from carelink.testing.permits import permit_for_tests
from carelink.testing.real_smtp import RealSmtp
from carelink.testing.smtp_peer import Do, SmtpPeer
from carelink.vault.personal import Personal
from carelink.vocabulary import Outcome, Purpose

pytestmark = pytest.mark.integration

_PASSWORD = "pass-77-canary-密码"
_PEM = serialization.Encoding.PEM
_MORNING = parse_instant("2026-01-15T10:00:00+08:00")


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """A certificate authority for one test run, a server certificate for localhost from it, and one for elsewhere."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key, self._name = ec.generate_private_key(ec.SECP256R1()), _named("test CA")
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(self._certificate("test CA", self._key.public_key(), []).public_bytes(_PEM))
        self.server = self._context([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        self.elsewhere = self._context([x509.DNSName("elsewhere.example")])

    def _context(self, names: list[x509.GeneralName]) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file = self._folder / f"server-{len(list(self._folder.iterdir()))}.pem"
        file.write_bytes(private + self._certificate("server", key.public_key(), names).public_bytes(_PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context

    def _certificate(self, subject: str, public: Any, names: list[x509.GeneralName]) -> x509.Certificate:
        start = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(_named(subject))
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(days=36500))
            .add_extension(x509.BasicConstraints(ca=not names, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return made.sign(self._key, hashes.SHA256())


class Hospital:
    """A handler: keeps what it takes, refuses by name."""

    def __init__(self) -> None:
        self.kept: list[Any] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.startswith("gone"):
            return "550 5.1.1 nobody of that name"
        if address.startswith("full"):
            return "452 4.2.2 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if b"forbidden" in envelope.content:
            return "554 5.7.1 not this text"
        self.kept.append(envelope)
        return "250 2.0.0 kept"


def _login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    good = data.login == b"clinic" and data.password == _PASSWORD.encode()
    return AuthResult(success=good, handled=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def hospital() -> Hospital:
    return Hospital()


@pytest.fixture
def secure(authority: Authority, hospital: Hospital) -> Iterator[RealSmtp]:
    """STARTTLS and a login are demanded."""
    with RealSmtp(
        hospital, tls=authority.server, require_starttls=True, auth_required=True, authenticator=_login
    ) as server:
        yield server


def _settings(server: Any, authority: Authority, **changes: Any) -> dict[str, Any]:
    table = {
        "host": "localhost",
        "port": server.port,
        "ca_file": str(authority.ca),
        "username": "clinic",
        "password": Personal(_PASSWORD),
        "sender": "clinic@example.org",
        "sender_name": "某某医院眼科",
    }
    return {key: value for key, value in {**table, **changes}.items() if value is not None}


def _prepared(
    channel: SmtpChannel, number: int = 1, address: str = "li@example.invalid", body: str = "请按时复查。"
) -> Prepared:
    return channel.prepare(
        OutboundMessage(
            permit_for_tests(Instant(_MORNING + 5 * SECOND), number),
            now=_MORNING,
            key=f"{number:032x}",
            purpose=Purpose.CARE_APPOINTMENT,
            address=Personal(address),
            subject=Personal("复查提醒"),
            body=Personal(body),
            language="zh-CN",
        )
    )


@pytest.fixture
def opened() -> Iterator[Any]:
    """Makes channels and closes them."""
    made: list[SmtpChannel] = []

    def make(settings: dict[str, Any]) -> SmtpChannel:
        made.append(SmtpChannel(settings, clock=FakeClock(_MORNING)))
        return made[-1]

    yield make
    for channel in made:
        channel.close()


def test_a_mail_over_starttls_with_a_login(
    secure: RealSmtp, authority: Authority, hospital: Hospital, opened: Any
) -> None:
    channel = opened(_settings(secure, authority))
    assert channel.health().ok
    assert hospital.kept == []
    assert [channel.send(_prepared(channel, number)).outcome for number in (1, 2)] == [Outcome.ACCEPTED] * 2
    envelope = hospital.kept[0]
    assert (envelope.mail_from, envelope.rcpt_tos) == ("clinic@example.org", ["li@example.invalid"])
    assert envelope.content == _prepared(channel).wire.reveal("test")
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert mail["Subject"] == "复查提醒"
    assert mail["From"].addresses[0].display_name == "某某医院眼科"
    assert mail.get_content().strip() == "请按时复查。"  # type: ignore[attr-defined]
    assert [len(kept.rcpt_tos) for kept in hospital.kept] == [1, 1]


def test_implicit_tls(authority: Authority, hospital: Hospital, opened: Any) -> None:
    with RealSmtp(hospital, tls=authority.server, implicit=True) as server:
        channel = opened(_settings(server, authority, tls="implicit", username=None, password=None))
        assert channel.send(_prepared(channel)).outcome is Outcome.ACCEPTED
        channel.close()


@pytest.mark.parametrize("address", ["用户@example.invalid", "li@医院.example"])
def test_international_addresses(
    secure: RealSmtp, authority: Authority, hospital: Hospital, opened: Any, address: str
) -> None:
    channel = opened(_settings(secure, authority))
    assert channel.send(_prepared(channel, address=address)).outcome is Outcome.ACCEPTED
    local, _, domain = address.partition("@")
    assert hospital.kept[0].rcpt_tos == [f"{local}@{domain.encode('idna').decode()}"]
    assert hospital.kept[0].smtp_utf8 is (not local.isascii())


@pytest.mark.parametrize(
    ("address", "body", "outcome"),
    [
        ("gone@example.invalid", "hello", Outcome.REFUSED),
        ("full@example.invalid", "hello", Outcome.RECIPIENT_LIMIT),
        ("li@example.invalid", "forbidden", Outcome.REFUSED),
    ],
)
def test_a_refusal_is_of_one_message_only(
    secure: RealSmtp, authority: Authority, hospital: Hospital, opened: Any, address: str, body: str, outcome: Outcome
) -> None:
    channel = opened(_settings(secure, authority))
    assert channel.send(_prepared(channel, 1, address, body)).outcome is outcome
    assert channel.send(_prepared(channel, 2)).outcome is Outcome.ACCEPTED
    assert len(hospital.kept) == 1


def test_a_wrong_password_is_the_accounts_trouble(
    secure: RealSmtp, authority: Authority, hospital: Hospital, opened: Any
) -> None:
    channel = opened(_settings(secure, authority, password=Personal("wrong")))
    result = channel.send(_prepared(channel))
    assert (result.outcome, result.code) == (Outcome.ACCOUNT, "auth_535_5.7.8")
    assert not channel.health().ok
    assert hospital.kept == []


def test_no_login_where_one_is_demanded(secure: RealSmtp, authority: Authority, opened: Any) -> None:
    channel = opened(_settings(secure, authority, username=None, password=None))
    assert channel.send(_prepared(channel)).outcome is Outcome.ACCOUNT


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
def test_a_certificate_from_nobody_we_trust(authority: Authority, hospital: Hospital, opened: Any, tls: str) -> None:
    with RealSmtp(hospital, tls=authority.server, implicit=tls == "implicit") as server:
        channel = opened(_settings(server, authority, tls=tls, ca_file=None))
        result = channel.send(_prepared(channel))
        assert (result.outcome, result.code) == (Outcome.NOT_SENT, "certificate_not_trusted")
        assert channel.health().code == "certificate_not_trusted"
    assert hospital.kept == []


def test_a_certificate_for_another_name(authority: Authority, hospital: Hospital, opened: Any) -> None:
    with RealSmtp(hospital, tls=authority.elsewhere) as server:
        channel = opened(_settings(server, authority))
        result = channel.send(_prepared(channel))
        assert (result.outcome, result.code) == (Outcome.NOT_SENT, "certificate_not_trusted")
    assert hospital.kept == []


def test_no_password_and_no_name_go_where_tls_is_not_offered(
    authority: Authority, hospital: Hospital, opened: Any
) -> None:
    seen: list[str] = []

    class Watched(Hospital):
        async def handle_EHLO(
            self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
        ) -> list[str]:
            seen.append(hostname)
            return responses

    with RealSmtp(Watched()) as server:
        channel = opened(_settings(server, authority))
        result = channel.send(_prepared(channel))
        assert (result.outcome, result.code) == (Outcome.NOT_SENT, "starttls_not_offered")
        assert channel.health().code == "starttls_not_offered"
    assert seen == ["example.org", "example.org"]


def test_what_was_said_before_tls_is_not_taken_for_what_is_said_under_it(authority: Authority, opened: Any) -> None:
    with SmtpPeer({"starttls": "220 go ahead\r\n250-injected\r\n250 AUTH PLAIN"}, tls=authority.server) as peer:
        channel = opened(_settings(peer, authority))
        result = channel.send(_prepared(channel))
        assert (result.outcome, result.code) == (Outcome.NOT_SENT, "starttls_injected")
        assert peer.begun == 0


# -- the whole path --------------------------------------------------------------------------------------------------


class Home:
    """A home whose mail goes to the server, worked by commands."""

    def __init__(self, folder: Path, server: Any, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.clock = FakeClock(_MORNING)
        monkeypatch.setattr("carelink.home.SystemClock", lambda: self.clock)
        monkeypatch.setattr("carelink.cli.send.wait", self.clock.advance)
        monkeypatch.setenv("CARELINK_HOME", str(folder))
        monkeypatch.setenv("SMTP_TEST_PASSWORD", _PASSWORD)
        with carelink.init(folder, zone="Asia/Shanghai", clock=self.clock) as link:
            link.template(
                "recheck",
                "Dear {patient_name}, your recheck is due.",
                subject="复查",
                purposes=["care.appointment"],
                channels=["email"],
            )
            link.approve("recheck", actor="Dr Chen")
        (folder / "ca.pem").write_bytes(authority.ca.read_bytes())
        (folder / "carelink.toml").write_text(
            f"""
[carelink]
unsubscribe = "https://care.example.org/u/{{token}}"
[routes]
email = "smtp"
[channels.smtp]
host = "localhost"
port = {server.port}
ca_file = "ca.pem"
username = "clinic"
password_env = "SMTP_TEST_PASSWORD"
sender = "clinic@example.org"
"""
        )

    def patient(self, number: int, address: str) -> None:
        with carelink.open(self.folder, clock=self.clock) as link:
            patient = link.register(
                identifier=f"MRN-{number}", name="Canary Wang", email=address, birth_date=dt.date(1970, 1, 1)
            )
            link.grant(patient, purposes=["care"], channels=["email"], evidence="form 1")

    def send(self, campaign: str) -> int:
        return main(
            [
                "send",
                "--purpose",
                "care.appointment",
                "--template",
                "recheck",
                "--channel",
                "email",
                "--campaign",
                campaign,
            ]
        )


@pytest.fixture
def home(tmp_path: Path, secure: RealSmtp, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path / "home", secure, authority, monkeypatch)
    made.patient(1, "canary@example.invalid")
    return made


def test_from_settings_to_a_mail_and_from_a_reply_to_a_stop(
    home: Home, hospital: Hospital, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    home.send("sandbox")
    assert "MODE_SANDBOX" in capsys.readouterr().out
    assert hospital.kept == []

    assert main(["mode", "team", "--actor", "Dr Chen", "--allow", "canary@example.invalid"]) == 0
    assert home.send("one") == 0
    (envelope,) = hospital.kept
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert mail.get_content().strip() == "Dear Canary Wang, your recheck is due."  # type: ignore[attr-defined]
    key = re.fullmatch(r"<([0-9a-f]{32})@example\.org>", mail["Message-ID"])[1]  # type: ignore[index]
    assert mail["List-Unsubscribe"] == f"<https://care.example.org/u/{key}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"

    home.send("one")
    assert len(hospital.kept) == 1  # nobody is contacted twice

    reply = tmp_path / "reply.eml"
    reply.write_text(
        f"From: Wang <canary@example.invalid>\nSubject: Re: x\nIn-Reply-To: {mail['Message-ID']}\n\nSTOP\n"
    )
    assert main(["inbound", str(reply), "--mail"]) == 0
    assert "stopped" in capsys.readouterr().out
    home.clock.advance(86_400 * SECOND)
    home.send("two")
    assert len(hospital.kept) == 1
    shown = capsys.readouterr()
    assert "OPTED_OUT" in shown.out
    assert main(["audit", "verify"]) in (0, 5)

    # P8: neither the person nor the password is in any file of the home, nor on the screen or in the log.
    for path in home.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"canary@example" not in data, path.name
            assert b"Canary Wang" not in data, path.name
            assert b"pass-77" not in data, path.name
    text = caplog.text + shown.out + shown.err + capsys.readouterr().out
    assert "canary" not in text
    assert "pass-77" not in text


def test_a_login_that_fails_stops_the_channel_until_it_is_resumed(
    home: Home, hospital: Hospital, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mode", "team", "--actor", "Dr Chen", "--allow", "canary@example.invalid"]) == 0
    monkeypatch.setenv("SMTP_TEST_PASSWORD", "wrong")
    home.send("one")
    assert main(["doctor"]) == 1
    monkeypatch.setenv("SMTP_TEST_PASSWORD", _PASSWORD)
    capsys.readouterr()
    home.send("two")
    assert hospital.kept == []  # the password is right again, but nobody has said so
    main(["channels", "list"])
    assert "stopped" in capsys.readouterr().out
    assert main(["channels", "resume", "smtp"]) == 0
    home.send("two")
    assert len(hospital.kept) == 1


def test_a_line_that_breaks_after_the_dot_is_unknown_and_nobody_is_written_to_again(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with SmtpPeer(tls=authority.server) as peer:
        home = Home(tmp_path / "home", peer, authority, monkeypatch)
        for number in range(3):
            home.patient(number, f"canary{number}@example.invalid")
        allowed = [word for number in range(3) for word in ("--allow", f"canary{number}@example.invalid")]
        assert main(["mode", "team", "--actor", "Dr Chen", *allowed]) == 0
        peer.script = {"dot": ["250 2.0.0 taken", Do.CLOSE]}
        for _ in range(3):
            assert home.send("one") == 0
            home.clock.advance(6 * SECOND)
        assert "unknown" in capsys.readouterr().out
        # Three people, three messages: the one whose answer was lost is neither repeated nor held back from the others.
        assert len(peer.received) == 3
        assert len({message.rcpt for message in peer.received}) == 3
