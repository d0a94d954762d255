"""The key providers' kit on those that ship, and on providers with one seeded fault each, which it must find."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

import carelink.keys.folder  # else each inner run would import cryptography anew, whose native part stays

assert carelink.keys.folder

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.conformance]

_HERE = Path(__file__).parent

# provider: the test of the kit that finds it
_BAD = {
    "bad_other_key": "test_many_come_back_in_any_order",
    "bad_bytes": "test_a_kek_comes_back",
    "bad_text": "test_any_bytes_come_back",
    "bad_context": "test_another_context_does_not_open_it",
    "bad_epoch": "test_another_context_does_not_open_it",
    "bad_narrow": "test_any_context_is_taken",
    "bad_deterministic": "test_the_same_key_is_never_wrapped_to_the_same_bytes",
    "bad_open": "test_what_is_wrapped_holds_no_key",
    "bad_lax": "test_a_tail_or_a_head_is_refused",
    "bad_slack": "test_every_bit_of_the_last_bytes_is_refused",
    "bad_outage_of_damage": "test_every_changed_byte_is_refused",
    "bad_talkative": "test_damage_has_one_text",
    "bad_wrong_root": "test_another_roots_form_is_told_as_such",
    "bad_names": "test_versions_have_names",
    "bad_counter": "test_a_form_names_the_newest_version",
    "bad_idle": "test_a_rotation_adds_a_version_that_wraps",
    "bad_forgetful": "test_older_versions_unwrap",
    "bad_suicidal": "test_the_newest_cannot_be_destroyed",
    "bad_keeper": "test_what_a_destroyed_version_wrapped_never_opens",
    "bad_once": "test_destroying_again_is_harmless",
    "bad_printer": "test_printing_it_shows_nothing",
    "bad_pickler": "test_dumping_it_shows_nothing",
    "bad_chainer": "test_errors_come_from_nowhere",
    "bad_local": "test_tracebacks_with_variables_show_nothing",
    "bad_teller": "test_errors_show_nothing",
    "bad_logger": "test_logs_and_output_show_nothing",
    "bad_mixer": "test_threads_do_not_mix",
    "bad_raiser": "test_unwrapping_in_an_outage",
    "bad_damage_of_outage": "test_unwrapping_in_an_outage",
    "bad_empty": "test_listing_in_an_outage",
    "bad_asker": "test_naming_needs_no_far_end",
    "bad_half": "test_rotating_in_an_outage",
    "bad_sticky": "test_it_recovers_by_itself",
    "bad_deaf": "test_a_fault_is_felt",
}


def _run(pytester: pytest.Pytester, name: str, *more: str) -> pytest.RunResult:
    pytester.syspathinsert(_HERE)
    plain = ("-p", "no:randomly", "-p", "no:cacheprovider", "-rf", "-q")
    return pytester.runpytest_inprocess(f"--carelink-key-provider=seeded_keys:{name}", *plain, *more)


@pytest.mark.parametrize(
    ("name", "skipped"), [("memory", 61), ("folder_raw", 45), ("folder_passphrase", 45), ("remote", 53), ("routed", 61)]
)
def test_a_provider_that_ships_passes(pytester: pytest.Pytester, name: str, skipped: int) -> None:
    outcomes = _run(pytester, name).parseoutcomes()
    assert "failed" not in outcomes
    assert "errors" not in outcomes
    assert outcomes["passed"] >= 55
    assert outcomes["passed"] + outcomes["skipped"] >= 115
    assert outcomes["skipped"] <= skipped


@pytest.mark.parametrize(("name", "found_by"), _BAD.items())
def test_a_seeded_fault_is_found(pytester: pytest.Pytester, name: str, found_by: str) -> None:
    result = _run(pytester, name, "-k", found_by)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines([f"FAILED *::{found_by}*"])


def test_every_seeded_fault_is_listed(pytester: pytest.Pytester) -> None:
    pytester.syspathinsert(_HERE)
    seeded = importlib.import_module("seeded_keys")
    assert {name for name in vars(seeded) if name.startswith("bad_")} == set(_BAD)
