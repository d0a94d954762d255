"""The SMTP channel against a peer that answers, hangs up or keeps silent at every stage: each has its one outcome, and
whatever happens nothing is sent a second time.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from carelink.channels.smtp.channel import SmtpChannel
from carelink.model.moment import SECOND, Instant
from carelink.ports.channel import OutboundMessage, Prepared, SendResult
from carelink.testing.fakes import FakeClock
from carelink.testing.permits import permit_for_tests
from carelink.testing.smtp_peer import Do, SmtpPeer
from carelink.vault.personal import Personal
from carelink.vocabulary import Outcome, Purpose

pytestmark = pytest.mark.integration

_LONG = ("x" * 76 + "\n") * 100_000
"""Longer than the buffers on the way, so that a break within the text is seen before its end."""

_LOGIN: dict[str, Any] = {"username": "clinic", "password": Personal("pass-77-canary")}


class Bench:
    """A channel, its peer and its clock."""

    def __init__(self, peer: SmtpPeer, **settings: Any) -> None:
        self.peer = peer
        self.clock = FakeClock(Instant(1_800_000_000_000_000))
        table = {"host": "127.0.0.1", "port": peer.port, "tls": "none", "sender": "clinic@example.org", "timeout": 20}
        self.channel = SmtpChannel({**table, **settings}, clock=self.clock)
        self._count = 0

    def prepared(
        self, address: str = "li@example.invalid", body: str = "Your recheck is due.", lease: int = 5 * SECOND
    ) -> Prepared:
        self._count += 1
        now = self.clock.now()
        message = OutboundMessage(
            permit_for_tests(Instant(now + lease), self._count),
            now=now,
            key=f"{self._count:032x}",
            purpose=Purpose.CARE_APPOINTMENT,
            address=Personal(address),
            subject=Personal("Recheck"),
            body=Personal(body),
        )
        return self.channel.prepare(message)

    def send(self, **changes: Any) -> SendResult:
        return self.channel.send(self.prepared(**changes))


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    """Makes benches and cleans up after them."""
    made: list[Bench] = []

    def make(script: dict[str, Any] | None = None, *, peer: dict[str, Any] | None = None, **settings: Any) -> Bench:
        started = SmtpPeer(script, **(peer or {}))
        started.__enter__()
        made.append(Bench(started, **settings))
        return made[-1]

    yield make
    for each in made:
        each.channel.close()
        each.peer.__exit__(None, None, None)


# What the peer does at a stage -> what the attempt came to, and how many whole messages the peer holds.
_ANSWERS = [
    ("banner", "421 4.3.2 closing", Outcome.THROTTLED, "banner_421_4.3.2"),
    ("banner", "554 no service for you", Outcome.ACCOUNT, "banner_554"),
    ("banner", "what is this", Outcome.NOT_SENT, "banner_lost"),
    ("ehlo", "502 5.5.1 no", Outcome.ACCOUNT, "ehlo_502_5.5.1"),
    ("ehlo", "421 busy", Outcome.THROTTLED, "ehlo_421"),
    ("auth", "535 5.7.8 wrong", Outcome.ACCOUNT, "auth_535_5.7.8"),
    ("auth", "454 4.7.0 later", Outcome.THROTTLED, "auth_454_4.7.0"),
    ("mail", "421 4.7.0 too many", Outcome.THROTTLED, "mail_421_4.7.0"),
    ("mail", "451 4.3.0 later", Outcome.THROTTLED, "mail_451_4.3.0"),
    ("mail", "550 5.7.1 not your address", Outcome.ACCOUNT, "mail_550_5.7.1"),
    ("mail", "501 5.5.4 syntax", Outcome.REFUSED, "mail_501_5.5.4"),
    ("rcpt", "550 5.1.1 nobody", Outcome.REFUSED, "rcpt_550_5.1.1"),
    ("rcpt", "550-5.1.1 nobody\r\n550 5.1.1 really", Outcome.REFUSED, "rcpt_550_5.1.1"),
    ("rcpt", "450 4.2.1 later", Outcome.THROTTLED, "rcpt_450_4.2.1"),
    ("rcpt", "452 4.2.2 full", Outcome.RECIPIENT_LIMIT, "rcpt_452_4.2.2"),
    ("rcpt", "552 5.2.2 full", Outcome.RECIPIENT_LIMIT, "rcpt_552_5.2.2"),
    ("rcpt", "354 what", Outcome.NOT_SENT, "rcpt_354"),
    ("data", "451 4.3.0 later", Outcome.THROTTLED, "data_451_4.3.0"),
    ("data", "554 5.5.1 no", Outcome.REFUSED, "data_554_5.5.1"),
    ("data", "250 eh", Outcome.NOT_SENT, "data_250"),
    ("dot", "250 2.0.0 taken", Outcome.ACCEPTED, "dot_250_2.0.0"),
    ("dot", "550 5.7.1 content", Outcome.REFUSED, "dot_550_5.7.1"),
    ("dot", "451 4.7.1 greylisted", Outcome.THROTTLED, "dot_451_4.7.1"),
    ("dot", "421 4.3.2 closing", Outcome.THROTTLED, "dot_421_4.3.2"),
    ("dot", "354 what", Outcome.UNKNOWN, "dot_354"),
    ("dot", "OK", Outcome.UNKNOWN, "dot_lost"),
    ("dot", "250-2.0.0 one\r\n550 5.0.0 two", Outcome.UNKNOWN, "dot_lost"),
]


@pytest.mark.parametrize(("stage", "says", "outcome", "code"), _ANSWERS)
def test_an_answer_at_each_stage(
    bench: Callable[..., Bench], stage: str, says: str, outcome: Outcome, code: str
) -> None:
    it = bench({stage: says}, **_LOGIN)
    result = it.send()
    assert (result.outcome, result.code) == (outcome, code)
    assert it.peer.connections == 1
    assert len(it.peer.received) == (1 if stage == "dot" else 0)
    assert it.peer.begun == (1 if stage == "dot" else 0)


_BREAKS = [
    (stage, do, Outcome.UNKNOWN if stage == "dot" else Outcome.NOT_SENT)
    for stage in ("banner", "ehlo", "auth", "mail", "rcpt", "data", "body", "dot")
    for do in (Do.CLOSE, Do.RESET, Do.PART)
]


@pytest.mark.parametrize(("stage", "do", "outcome"), _BREAKS)
def test_the_line_breaks_at_each_stage(bench: Callable[..., Bench], stage: str, do: Do, outcome: Outcome) -> None:
    it = bench({stage: do}, **_LOGIN)
    result = it.send(body=_LONG if stage == "body" else "Your recheck is due.")
    assert result.outcome is outcome
    assert it.peer.connections == 1
    assert it.peer.begun == (1 if stage in ("body", "dot") else 0)
    assert len(it.peer.received) == (1 if stage == "dot" else 0)


@pytest.mark.parametrize(
    ("stage", "outcome"), [("banner", Outcome.NOT_SENT), ("rcpt", Outcome.NOT_SENT), ("data", Outcome.NOT_SENT)]
)
def test_silence_ends_with_the_lease(bench: Callable[..., Bench], stage: str, outcome: Outcome) -> None:
    it = bench({stage: Do.SILENT}, timeout=600)
    result = it.send(lease=SECOND // 2)
    assert (result.outcome, result.code) == (outcome, f"{stage}_lost")
    assert it.peer.received == []


def test_silence_after_the_dot_is_unknown_and_nothing_is_repeated(bench: Callable[..., Bench]) -> None:
    it = bench({"dot": [Do.SILENT]}, timeout=1)
    assert it.send().outcome is Outcome.UNKNOWN
    assert (it.peer.begun, len(it.peer.received), it.peer.connections) == (1, 1, 1)
    # The next message goes over a connection of its own: no late answer can be taken for its own.
    assert it.send().outcome is Outcome.ACCEPTED
    assert (it.peer.begun, len(it.peer.received), it.peer.connections) == (2, 2, 2)


def test_an_early_refusal_within_the_text_is_an_answer_and_the_dot_is_not_sent(bench: Callable[..., Bench]) -> None:
    it = bench({"body": "421 4.3.2 shutting down"})
    waited = threading.Event()
    it.peer.on["body"] = waited.set
    # The peer answers as soon as text arrives; only a text longer than the buffers is still under way then.
    result = it.send(body=_LONG)
    assert waited.is_set()
    assert result.outcome in (Outcome.THROTTLED, Outcome.NOT_SENT)
    assert it.peer.received == []


def test_nobody_listens(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.peer.__exit__(None, None, None)
    result = it.send()
    assert (result.outcome, result.code) == (Outcome.NOT_SENT, "connect_lost")
    assert not it.channel.health().ok


# -- the lease -------------------------------------------------------------------------------------------------------


def test_no_connection_is_made_after_the_lease(bench: Callable[..., Bench]) -> None:
    it = bench()
    prepared = it.prepared()
    it.clock.advance(5 * SECOND)
    result = it.channel.send(prepared)
    assert (result.outcome, result.code) == (Outcome.NOT_SENT, "lease_over")
    assert it.peer.connections == 0


@pytest.mark.parametrize("stage", ["banner", "ehlo", "mail", "rcpt", "data"])
def test_no_byte_of_the_message_leaves_after_the_lease(bench: Callable[..., Bench], stage: str) -> None:
    it = bench()
    it.peer.on[stage] = lambda: it.clock.advance(5 * SECOND)
    result = it.send()
    assert result.outcome is Outcome.NOT_SENT
    assert it.peer.received == []
    later = {
        "banner": ["MAIL", "RCPT", "DATA"],
        "ehlo": ["MAIL", "RCPT", "DATA"],
        "mail": ["RCPT", "DATA"],
        "rcpt": ["DATA"],
    }
    said = [line.split(" ")[0].split(":")[0] for line in it.peer.commands]
    assert not set(said) & set(later.get(stage, []))


def test_a_wall_clock_that_reaches_the_end_of_the_lease_ends_the_attempt(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.peer.on["data"] = lambda: it.clock.step(5 * SECOND)
    result = it.send()
    assert (result.outcome, result.code) == (Outcome.NOT_SENT, "lease_over")
    assert it.peer.received == []


def test_one_microsecond_before_the_end_of_the_lease_it_leaves(bench: Callable[..., Bench]) -> None:
    it = bench()
    # Only the wall clock is stepped, and only just before the text: one microsecond is too short for any network.
    it.peer.on["data"] = lambda: it.clock.step(5 * SECOND - 1)
    assert it.send().outcome is Outcome.ACCEPTED
    assert len(it.peer.received) == 1


# -- connections that are used again ---------------------------------------------------------------------------------


def test_many_messages_go_over_one_connection_each_in_a_transaction_of_its_own(bench: Callable[..., Bench]) -> None:
    it = bench(**_LOGIN)
    assert [it.send().outcome for _ in range(5)] == [Outcome.ACCEPTED] * 5
    assert it.peer.connections == 1
    assert [line for line in it.peer.commands if line.startswith("RSET")] == ["RSET"] * 4
    assert len([line for line in it.peer.commands if line.startswith("RCPT")]) == 5
    assert len({message.mail for message in it.peer.received}) == 5  # ENVID differs


def test_a_refused_message_does_not_spoil_the_next(bench: Callable[..., Bench]) -> None:
    it = bench({"rcpt": ["550 5.1.1 nobody"], "dot": ["550 5.7.1 no"]})
    assert [it.send().outcome for _ in range(3)] == [Outcome.REFUSED, Outcome.REFUSED, Outcome.ACCEPTED]
    assert it.peer.connections == 1


def test_a_connection_that_died_while_idle_is_replaced_before_anything_is_said(bench: Callable[..., Bench]) -> None:
    it = bench()
    assert it.send().outcome is Outcome.ACCEPTED
    it.peer.hang_up()
    assert it.send().outcome is Outcome.ACCEPTED
    assert (it.peer.connections, it.peer.begun, len(it.peer.received)) == (2, 2, 2)


@pytest.mark.parametrize("says", ["421 4.4.2 idle too long", "500 what", Do.CLOSE, Do.PART])
def test_a_connection_that_does_not_answer_to_rset_is_replaced(bench: Callable[..., Bench], says: Any) -> None:
    it = bench({"rset": [says]})
    assert [it.send().outcome for _ in range(2)] == [Outcome.ACCEPTED] * 2
    assert (it.peer.connections, len(it.peer.received)) == (2, 2)


def test_a_second_connection_that_fails_too_is_not_sent(bench: Callable[..., Bench]) -> None:
    it = bench({"banner": ["220 ready", Do.CLOSE]})
    assert it.send().outcome is Outcome.ACCEPTED
    it.peer.hang_up()
    assert it.send().outcome is Outcome.NOT_SENT
    assert len(it.peer.received) == 1


def test_an_answer_nobody_asked_for_is_never_taken_for_the_answer_to_the_next_message(
    bench: Callable[..., Bench],
) -> None:
    # Two answers to one dot: the second would say "taken" for a message that is refused.
    it = bench({"dot": ["250 2.0.0 taken\r\n250 2.0.0 taken again", "550 5.7.1 no"]})
    assert it.send().outcome is Outcome.ACCEPTED
    assert it.send().outcome is Outcome.REFUSED
    assert it.peer.connections == 2


def test_a_late_second_answer_is_not_taken_for_the_answer_to_the_next_message(bench: Callable[..., Bench]) -> None:
    it = bench({"dot": ["250 2.0.0 taken", "550 5.7.1 no"]})
    assert it.send().outcome is Outcome.ACCEPTED
    it.peer.interject("250 2.0.0 taken again")
    assert it.send().outcome is Outcome.REFUSED
    assert it.peer.connections == 2


def test_an_answer_that_comes_before_its_question_ends_the_attempt(bench: Callable[..., Bench]) -> None:
    it = bench({"mail": "250 2.1.0 fine\r\n250 2.1.5 and so is whoever comes next", "rcpt": "550 5.1.1 nobody"})
    assert it.send().outcome is Outcome.NOT_SENT
    assert it.peer.begun == 0


@pytest.mark.parametrize(
    "script",
    [
        {"mail": ["421 4.7.0 too many"]},
        {"rcpt": ["421 4.3.2 closing"]},
        {"dot": ["421 4.3.2 closing"]},
        {"rcpt": ["354 what"]},
    ],
)
def test_after_a_goodbye_or_nonsense_the_next_message_has_a_connection_of_its_own(
    bench: Callable[..., Bench], script: dict[str, Any]
) -> None:
    it = bench(script)
    assert it.send().outcome in (Outcome.THROTTLED, Outcome.NOT_SENT)
    assert it.send().outcome is Outcome.ACCEPTED
    assert it.peer.connections == 2


def test_a_slow_answer_after_the_dot_is_waited_for_beyond_the_lease(bench: Callable[..., Bench]) -> None:
    it = bench(timeout=30)
    it.peer.on["dot"] = lambda: threading.Event().wait(1.3)
    assert it.send(lease=SECOND).outcome is Outcome.ACCEPTED


def test_an_early_second_answer_within_a_dialogue_ends_it(bench: Callable[..., Bench]) -> None:
    it = bench({"data": "354 go on\r\n250 2.0.0 taken before it was given"})
    result = it.send()
    assert result.outcome is Outcome.NOT_SENT
    assert it.peer.received == []


def test_an_interrupt_in_the_middle_leaves_no_connection_to_confuse(bench: Callable[..., Bench]) -> None:
    it = bench()

    reached = threading.Event()
    it.peer.on["data"] = reached.set
    original = it.clock.now

    def now() -> Instant:
        if reached.is_set():
            raise KeyboardInterrupt
        return original()

    it.clock.now = now  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        it.send()
    assert it.peer.received == []
    assert it.channel._link is None
    it.clock.now = original  # type: ignore[method-assign]
    assert it.send().outcome is Outcome.ACCEPTED
    assert it.peer.connections == 2


# -- what stands on the wire -----------------------------------------------------------------------------------------


def test_what_arrives_is_what_was_committed_dots_included(bench: Callable[..., Bench]) -> None:
    it = bench()
    prepared = it.prepared(body=".\n..\n.hidden\nplain\n")
    assert it.channel.send(prepared).outcome is Outcome.ACCEPTED
    assert it.peer.received[0].content == prepared.wire.reveal("test")


def test_envelope(bench: Callable[..., Bench]) -> None:
    it = bench()
    it.send()
    size = len(it.peer.received[0].content)
    assert it.peer.received[0].mail == f"MAIL FROM:<clinic@example.org> SIZE={size} RET=HDRS ENVID={1:032x}"
    assert it.peer.received[0].rcpt == "RCPT TO:<li@example.invalid> NOTIFY=FAILURE,DELAY"


def test_envelope_of_a_server_without_extensions(bench: Callable[..., Bench]) -> None:
    it = bench(peer={"extensions": ()}, bounces="bounces@example.org", verp=True)
    it.send()
    assert it.peer.received[0].mail == f"MAIL FROM:<bounces+{1:032x}@example.org>"
    assert it.peer.received[0].rcpt == "RCPT TO:<li@example.invalid>"


def test_an_international_mailbox_goes_only_where_smtputf8_is_offered(bench: Callable[..., Bench]) -> None:
    it = bench()
    assert it.send(address="用户@example.invalid").outcome is Outcome.ACCEPTED
    assert "BODY=8BITMIME SMTPUTF8" in it.peer.received[0].mail
    assert it.peer.received[0].rcpt.startswith("RCPT TO:<用户@example.invalid>")
    without = bench(peer={"extensions": ("8BITMIME", "DSN")})
    result = without.send(address="用户@example.invalid")
    assert (result.outcome, result.code) == (Outcome.REFUSED, "smtputf8_not_offered")
    assert not [line for line in without.peer.commands if line.startswith("MAIL")]
    # An international domain needs nothing: it has an ASCII form.
    assert without.send(address="li@医院.example").outcome is Outcome.ACCEPTED


def test_a_message_over_the_servers_size_is_refused_before_it_leaves(bench: Callable[..., Bench]) -> None:
    it = bench(peer={"extensions": ("SIZE 1000",)})
    result = it.send(body="x\n" * 2000)
    assert (result.outcome, result.code) == (Outcome.REFUSED, "too_large")
    assert it.peer.begun == 0
    assert it.send().outcome is Outcome.ACCEPTED


def test_login_by_plain_or_login_and_never_without_an_offer(bench: Callable[..., Bench]) -> None:
    plain = bench(**_LOGIN)
    assert plain.send().outcome is Outcome.ACCEPTED
    secret = base64.b64encode(b"\0clinic\0pass-77-canary").decode()
    assert f"AUTH PLAIN {secret}" in plain.peer.commands
    login = bench(peer={"extensions": ("AUTH LOGIN",)}, **_LOGIN)
    assert login.send().outcome is Outcome.ACCEPTED
    assert [base64.b64decode(line) for line in login.peer.commands[2:4]] == [b"clinic", b"pass-77-canary"]
    none = bench(peer={"extensions": ()}, **_LOGIN)
    result = none.send()
    assert (result.outcome, result.code) == (Outcome.ACCOUNT, "auth_not_offered")
    assert none.peer.begun == 0


def test_a_refused_login_is_not_tried_again_for_those_claimed_together(bench: Callable[..., Bench]) -> None:
    it = bench({"auth": ["535 5.7.8 wrong"]}, **_LOGIN)
    claimed = [it.prepared() for _ in range(12)]
    assert {it.channel.send(prepared).code for prepared in claimed} == {"auth_535_5.7.8"}
    assert it.peer.connections == 1
    it.clock.advance(5 * SECOND)
    assert it.send().outcome is Outcome.ACCEPTED
    assert it.peer.connections == 2


def test_the_password_and_the_patient_are_in_no_log_repr_or_result(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(0)
    shown = []
    for script in (
        {},
        {"auth": "535 5.7.8 pass-77-canary"},
        {"rcpt": "550 5.1.1 <canary@example.invalid> nobody"},
        {"dot": Do.CLOSE},
    ):
        it = bench(script, **_LOGIN)
        prepared = it.prepared(address="canary@example.invalid", body="canary text")
        result = it.channel.send(prepared)
        shown += [repr(result), repr(prepared), repr(it.channel), repr(it.channel.health()), repr(vars(it.channel))]
    out = capsys.readouterr()
    assert "canary" not in "\n".join([*shown, caplog.text, out.out, out.err])


# -- health ----------------------------------------------------------------------------------------------------------


def test_health_names_nobody(bench: Callable[..., Bench]) -> None:
    it = bench(**_LOGIN)
    assert it.channel.health().ok
    assert {line.split(" ")[0] for line in it.peer.commands} == {"EHLO", "ehlo", "AUTH", "NOOP", "QUIT"} - {"EHLO"}
    assert it.peer.begun == 0


@pytest.mark.parametrize(
    ("script", "settings", "code"),
    [
        ({"auth": "535 5.7.8 no"}, _LOGIN, "auth_535_5.7.8"),
        ({"banner": "421 4.3.2 later"}, {}, "banner_421_4.3.2"),
        ({"noop": Do.CLOSE}, {}, "noop_lost"),
        ({"noop": "500 5.5.1 what"}, {}, "noop_500_5.5.1"),
        ({"banner": Do.CLOSE}, {}, "banner_lost"),
    ],
)
def test_health_says_what_is_wrong(
    bench: Callable[..., Bench], script: dict[str, Any], settings: dict[str, Any], code: str
) -> None:
    health = bench(script, **settings).channel.health()
    assert (health.ok, health.code) == (False, code)
    assert health.hint
