"""`carelink policy`: which packs are in force, whose rules they hold, and another set put in force."""

from __future__ import annotations

import pytest

from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes, default_policy

CLINIC = """[pack]
id = "clinic"
jurisdiction = "*"
version = "1"
valid_from = 2020-01-01
title = { en = "Clinic", zh = "本院" }

[[rule]]
id = "CLINIC.QUIET"
kind = "quiet_hours"
authority = "hospital"
certainty = "I"
title = { en = "in the morning only", zh = "仅限上午" }
sources = [{ instrument = "minutes", version = "2026-01-12", article = "4" }]
[rule.params]
allowed_from = "09:00"
allowed_to = "09:30"
"""
ADOPT = ("policy", "adopt", *DEFAULT_PACKS, "clinic.toml", "--actor", "Dr Chen")


@pytest.fixture
def clinic(desk):
    path = desk.folder / "clinic.toml"
    path.write_text(CLINIC, encoding="utf-8")
    return path


def test_what_is_in_force(desk) -> None:
    shown = desk.run("policy", "list")
    assert shown.code == 0
    assert default_policy().digest[:16] in shown.out
    assert all(name in shown.out for name in DEFAULT_PACKS)


def test_the_rules_of_a_pack_with_their_sources(desk) -> None:
    shown = desk.run("policy", "show", "cn")
    assert shown.code == 0
    assert "CN.PIPL.29" in shown.out
    assert "未成年人网络保护条例 (2023-10-16) 24(3)" in shown.out
    assert "以健康信息营销须单独同意" in desk.run("--lang", "zh", "policy", "show", "cn").out
    assert desk.run("policy", "show", "clinic").code == 1


def test_a_pack_more_takes_one_actor_and_narrows_at_once(desk, clinic) -> None:
    desk.people(1)
    ask = ("preview", *desk.SEND)
    assert "permit │ 1" in desk.run(*ask).out
    adopted = desk.run(*ADOPT)
    assert adopted.code == 0
    assert "baseline, clinic, cn, hospital-default" in adopted.out
    assert "defer │ 1" in desk.run(*ask).out.replace("defer  ", "defer ")
    assert "in the morning only" in desk.run("policy", "show", "clinic").out


def test_a_pack_less_takes_two_approvers(desk, clinic) -> None:
    assert desk.run(*ADOPT).code == 0
    back = ("policy", "adopt", *DEFAULT_PACKS, "--actor", "Dr Chen")
    refused = desk.run(*back, "--approver", "Dr Wu", "--approver", "Dr Wu")
    assert refused.code == 1
    assert "two named approvers" in refused.err
    assert "clinic" in desk.run("policy", "list").out
    assert desk.run(*back, "--approver", "Dr Wu", "--approver", "Li Na").code == 0
    assert "clinic" not in desk.run("policy", "list").out


@pytest.mark.parametrize(
    "text", [b"\xff", b"x = 1", CLINIC.replace("09:30", "25:00").encode(), CLINIC.replace('"I"', '"?"').encode()]
)
def test_a_file_that_is_no_pack_is_named_and_nothing_changes(desk, clinic, text) -> None:
    clinic.write_bytes(text)
    failed = desk.run(*ADOPT)
    assert failed.code == 1
    assert "clinic.toml" in failed.err or "CLINIC.QUIET" in failed.err
    assert default_policy().digest[:16] in desk.run("policy", "list").out


def test_a_pack_that_only_calls_itself_the_baseline_is_refused(desk, clinic) -> None:
    clinic.write_text(CLINIC.replace('"clinic"', '"baseline"'), encoding="utf-8")
    failed = desk.run("policy", "adopt", "clinic.toml", "--actor", "A", "--approver", "B", "--approver", "C")
    assert failed.code == 1
    assert "no rule of kind `gate`" in failed.err


def test_a_file_that_is_not_there_is_named(desk) -> None:
    failed = desk.run(*ADOPT)
    assert failed.code == 1
    assert "clinic.toml" in failed.err


def test_bundled_packs_go_by_their_names(desk) -> None:
    # A bundled name wins over a file of the same name, so that nobody adopts a look-alike from the current folder.
    (desk.folder / "cn").write_bytes(b"x = 1")
    assert desk.run(*ADOPT[:-3], "--actor", "Dr Chen").code == 0
    assert bundled_bytes("cn")
