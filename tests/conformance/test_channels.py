"""The channel kit on every channel that ships, and on channels with one seeded fault each, which it must find."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.conformance, pytest.mark.integration]

_HERE = Path(__file__).parent
_SOURCE = _HERE.parent.parent / "src"

_GOOD = ["console", "memory", "recording", "outbox_email", "outbox_sms", "smtp", "pigeon"]

# channel: the test of the kit that finds it
_BAD = {
    "bad_resender": "test_one_attempt_is_one_message_with_the_approved_text",
    "bad_truncator": "test_one_attempt_is_one_message_with_the_approved_text",
    "bad_improver": "test_one_attempt_is_one_message_with_the_approved_text",
    "bad_hanger": "test_one_attempt_is_one_message_with_the_approved_text",
    "double_smtp": "test_one_attempt_is_one_message_with_the_approved_text",
    "bad_mixer": "test_messages_do_not_mix",
    "bad_hasty": "test_prepare_hands_over_nothing",
    "bad_networker": "test_prepare_stays_off_the_network",
    "bad_late": "test_nothing_leaves_after_the_lease",
    "bad_extender": "test_prepare_is_deterministic",
    "bad_random": "test_prepare_is_deterministic",
    "bad_silent": "test_send_answers_with_a_closed_outcome",
    "bad_unsure": "test_send_answers_with_a_closed_outcome",
    "bad_talker": "test_send_answers_with_a_closed_outcome",
    "bad_logger": "test_nothing_personal_shows",
    "bad_printer": "test_nothing_personal_shows",
    "bad_shower": "test_nothing_personal_shows",
    "bad_complainer": "test_a_refusal_shows_nothing_personal_either",
    "bad_boaster": "test_lookup_tells_what_was_handed_over_from_what_was_not",
    "bad_forgetter": "test_lookup_tells_what_was_handed_over_from_what_was_not",
    "bad_repeater": "test_a_harmless_repeat_is_one_message",
    "bad_prober": "test_health_messages_nobody",
    "bad_claimer": "test_info_and_capabilities_are_complete_and_constant",
    "bad_shifter": "test_info_and_capabilities_are_complete_and_constant",
    "bad_fragile": "test_closing_twice_is_closing_once",
}


def _run(pytester: pytest.Pytester, name: str, *more: str) -> pytest.RunResult:
    pytester.syspathinsert(_HERE)
    plain = ("-p", "no:randomly", "-p", "no:cacheprovider", "-rf")
    return pytester.runpytest_inprocess(f"--carelink-channel=seeded:{name}", *plain, *more)


@pytest.mark.parametrize("name", _GOOD)
def test_a_channel_that_ships_passes(pytester: pytest.Pytester, name: str) -> None:
    result = _run(pytester, name)
    outcomes = result.parseoutcomes()
    assert result.ret == pytest.ExitCode.OK
    assert "failed" not in outcomes
    assert "errors" not in outcomes
    assert outcomes["passed"] >= 7


@pytest.mark.parametrize(("name", "found_by"), _BAD.items())
def test_a_seeded_fault_is_found(pytester: pytest.Pytester, name: str, found_by: str) -> None:
    result = _run(pytester, name, "-k", found_by)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"FAILED *::{found_by}*"])


def test_every_seeded_fault_is_listed(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(_HERE)
    seeded = importlib.import_module("seeded")
    assert {name for name in vars(seeded) if name.startswith("bad_")} == {
        name for name in _BAD if name.startswith("bad_")
    }


_MINE = """
from carelink.channels.memory import MemoryChannel
from carelink.vocabulary import ChannelKind

def make():
    return MemoryChannel(ChannelKind.SMS)
"""


def test_the_kit_runs_from_any_folder(tmp_path: Path) -> None:
    """The command of the guide, as a plugin author types it."""
    (tmp_path / "mine.py").write_text(_MINE)
    (tmp_path / "test_own.py").write_text("def test_own():\n    assert 1 + 1 == 3\n")
    environment = {**os.environ, "PYTHONPATH": str(_SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-rp", "-p", "no:cacheprovider", "--carelink-channel=mine:make"]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "test_prepare_is_deterministic" in ran.stdout
    assert "test_own" not in ran.stdout


def test_the_kit_runs_beside_the_authors_own_tests(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_own="def test_own():\n    assert 1 + 1 == 2\n")
    result = _run(pytester, "console", "-rp", "test_own.py")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines_random(["PASSED test_own.py::test_own", "PASSED *::test_prepare_is_deterministic"])


def test_without_the_option_nothing_is_added(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_own="def test_own():\n    assert 1 + 1 == 2\n")
    pytester.runpytest_inprocess("-p", "no:randomly", "-p", "no:cacheprovider").assert_outcomes(passed=1)
