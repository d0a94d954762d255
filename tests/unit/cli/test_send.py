"""`carelink send`: every patient in exactly one line, run twice nobody twice, and an end when somebody asks for one."""

from __future__ import annotations

import os
import re
import signal

import pytest

import carelink
from carelink.channels.outbox import OutboxChannel
from carelink.cli.interrupt import interruptible
from carelink.model.moment import HOUR, SECOND
from carelink.vocabulary import Mode


def test_everybody_is_in_exactly_one_line_and_permits_are_handed_over(desk) -> None:
    desk.people(3)
    desk.people(2, consent=False, first=4)
    sent = desk.run("send", *desk.SEND)
    assert sent.code == 0
    assert "handed over: accepted │ 3" in sent.out
    assert "refused               │ 2" in sent.out
    assert len(desk.letters()) == 3


def test_run_twice_nobody_is_contacted_twice(desk) -> None:
    desk.people(4)
    desk.run("send", *desk.SEND)
    first = [path.read_bytes() for path in desk.letters()]
    again = desk.run("send", *desk.SEND)
    assert "sent before │ 4" in again.out
    assert [path.read_bytes() for path in desk.letters()] == first


def test_another_campaign_contacts_again_and_other_content_says_how(desk) -> None:
    desk.people(2)
    desk.run("send", *desk.SEND)
    changed = desk.run("send", *desk.SEND[:-1], "day=Tuesday")
    assert changed.code == 1
    assert "error: input.conflict │ 2" in changed.out
    assert "--campaign NAME" in changed.out
    desk.run("send", *desk.SEND[:-1], "day=Tuesday", "--campaign", "spring")
    assert len(desk.letters()) == 4


def test_the_summary_names_a_command_that_explains_one_refusal(desk) -> None:
    desk.people(1, consent=False)
    desk.people(1, first=2)
    sent = desk.run("send", *desk.SEND)
    (command,) = re.findall(r"carelink (why [0-9a-f]{32})", sent.out)
    why = desk.run(*command.split())
    assert why.code == 0
    assert "NO_CONSENT" in why.out


def test_without_consent_it_names_the_command_that_loads_it(desk) -> None:
    desk.people(2, consent=False)
    sent = desk.run("send", *desk.SEND)
    assert sent.code == 0
    assert "carelink consent import --csv FILE" in sent.out
    assert desk.letters() == []


def test_the_one_request_refused_is_a_six_with_its_reasons(desk) -> None:
    desk.people(1, consent=False)
    sent = desk.run("send", *desk.SEND)
    assert sent.code == 6
    assert "No consent for this purpose and channel is on record." in sent.out
    assert "没有涵盖该目的与渠道的同意记录。" in desk.run("send", *desk.SEND, "--lang", "zh").out


def test_the_one_request_deferred_is_a_six(desk) -> None:
    desk.people(1)
    desk.clock.advance(13 * HOUR)
    sent = desk.run("send", *desk.SEND)
    assert sent.code == 6
    assert "2026-01-16 08:00" in sent.out or "2026-01-16T00:00:00Z" in sent.out
    desk.clock.advance(10 * HOUR)
    assert desk.run("send", *desk.SEND).code == 0
    assert len(desk.letters()) == 1


def test_nobody_fits_is_well(desk) -> None:
    answer = desk.run("send", *desk.SEND)
    assert answer.code == 0
    assert "no patient fits" in answer.out


def test_claims_of_a_killed_run_are_waited_for_and_settled(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.people(3)
    with pytest.MonkeyPatch.context() as patch:

        def killed(*_: object, **__: object) -> None:
            raise SystemExit(9)

        patch.setattr("carelink.engine.outreach.settle", killed)
        with pytest.raises(SystemExit):
            desk.run("send", *desk.SEND)
    assert len(desk.letters()) == 3
    answer = desk.run("send", *desk.SEND)
    assert "in flight; waiting for their lease" in answer.err
    assert "sent before │ 3" in answer.out
    assert len(desk.letters()) == 3


def test_jsonl_and_a_selection_do_not_mix(desk) -> None:
    answer = desk.run("send", *desk.SEND, "--jsonl", "-")
    assert answer.code == 2
    assert "give one or the other" in answer.err
    assert desk.run("send").code == 2


# -- Ctrl-C ----------------------------------------------------------------------------------------------------------


def test_one_interruption_waits_for_what_is_under_way_and_the_second_does_not(capfd) -> None:
    with interruptible() as pause:
        pause.busy = True
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            pause.check()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert "once more to stop at once" in capfd.readouterr().err


def test_an_interruption_while_nothing_is_under_way_is_at_once() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with interruptible(), pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupted_send_leaves_nothing_unknown_and_the_next_run_finishes(
    desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.people(6)
    monkeypatch.setattr("carelink.cli.send._BATCH", 2)
    whole, count = OutboxChannel.send, 0

    def send(self, prepared):
        nonlocal count
        count += 1
        if count == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(self, prepared)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OutboxChannel, "send", send)
        stopped = desk.run("send", *desk.SEND)
    assert stopped.code == 1
    assert "nothing is done twice" in stopped.err
    assert stopped.out == "", "a count of a part would be taken for the whole"
    went = len(desk.letters())
    assert 3 <= went < 6
    desk.clock.advance(10 * SECOND)
    assert desk.run("send", *desk.SEND).code == 0
    assert len(desk.letters()) == 6
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        entries = b"\n".join(reader.entries(0, reader.head().size))
    assert b'"outcome":"unknown"' not in entries
    assert entries.count(b'"kind":"handover"') == 6


# -- mode ------------------------------------------------------------------------------------------------------------


def test_mode_changes_are_recorded_and_need_an_actor(desk) -> None:
    before = desk.size()
    nameless = desk.run("mode", "live")
    assert (nameless.code, "--actor NAME" in nameless.err) == (2, True)
    assert desk.run("mode", "--allow", "a@example.invalid").code == 2
    assert desk.size() == before
    assert desk.run("mode", "team", "--actor", "Dr Chen", "--allow", "p1@example.invalid").out.endswith("mode team\n")
    assert desk.run("mode").out == "team\n"
    assert desk.run("mode", "live", "--actor", "Dr Chen").out == "mode live\n"
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        kinds = b"\n".join(reader.entries(before, reader.head().size))
    assert kinds.count(b'"kind":"mode"') == 2
    assert b"Dr Chen" not in kinds


def test_live_needs_a_clean_doctor(desk) -> None:
    (desk.home / "outbox").chmod(0o755)
    answer = desk.run("mode", "live", "--actor", "Dr Chen")
    assert answer.code == 1
    assert "carelink.E009" in answer.out
    assert "mode stays sandbox" in answer.err
    assert desk.run("mode").out == "sandbox\n"
    (desk.home / "outbox").chmod(0o700)
    assert desk.run("mode", "live", "--actor", "Dr Chen").code == 0
    (desk.home / "outbox").chmod(0o755)
    assert desk.run("mode", "sandbox", "--actor", "Dr Chen").code == 0, "narrowing is always possible"


def test_a_home_for_synthetic_data_stays_in_sandbox(bare) -> None:
    with carelink.init(bare.home, zone="Asia/Shanghai", synthetic=True) as link:
        assert link.mode() is Mode.SANDBOX
    answer = bare.run("mode", "live", "--actor", "Dr Chen")
    assert answer.code == 1
    assert "stays in sandbox" in answer.err
