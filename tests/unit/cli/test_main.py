"""The root of the command line: exit codes, and nothing but sentences on standard error."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

import carelink
from carelink.cli.exit_codes import Exit, code_of
from carelink.cli.main import COMMANDS, main
from carelink.errors import CannotJudgeError, DecryptError, DivergedError, InvalidInputError, StoreError

SETTINGS = "carelink.toml"


def test_help_and_version_are_well(bare) -> None:
    helped = bare.run("--help")
    assert helped.code == 0
    assert all(f"    {name}" in helped.out for name in COMMANDS)
    assert bare.run("send", "--help").code == 0
    assert bare.run("--version").out == f"carelink {carelink.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sned",),
        ("send", "--purpos", "care"),
        ("mode", "--verbos"),
        ("--lang", "fr", "mode"),
        ("mode", "production"),
        ("preview", "--not-before", "tomorrow"),
        ("preview", "--not-before", "2026-01-15T10:00:00"),
        ("content", "add", "x"),
    ],
)
def test_wrong_usage_is_two_and_says_why(bare, arguments: tuple[str, ...]) -> None:
    answer = bare.run(*arguments)
    assert answer.code == Exit.USAGE
    assert answer.err.strip()
    assert answer.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("mode",),
        ("preview", "--purpose", "care", "--template", "t", "--channel", "email"),
        ("send", "--jsonl", "-"),
        ("why", "x"),
        ("content", "show", "x"),
        ("content", "approve", "x", "--actor", "A"),
    ],
)
def test_a_missing_home_is_told_with_the_next_command(bare, arguments: tuple[str, ...]) -> None:
    answer = bare.run(*arguments)
    assert answer.code == Exit.COULD_NOT_RUN
    assert answer.err == (
        "carelink: configuration.settings: there is no carelink home here "
        "(run `carelink init`, or name one with --home)\n"
    )
    assert answer.out == ""


def test_another_homes_keys_are_refused(desk) -> None:
    assert desk.run("init", "--zone", "Asia/Shanghai", "--home", "other").code == 0
    shutil.rmtree(desk.home / "keys")
    shutil.copytree(desk.folder / "other" / "keys", desk.home / "keys")
    answer = desk.run("preview", *desk.SEND)
    assert answer.code == Exit.COULD_NOT_RUN
    assert "keys.wrong_root" in answer.err
    assert "check `paths.keys`" in answer.err


def test_a_key_store_under_another_root_is_refused(desk) -> None:
    assert desk.run("init", "--zone", "Asia/Shanghai", "--home", "other").code == 0
    shutil.copy(desk.folder / "other" / "keys" / "root.key", desk.home / "keys" / "root.key")
    answer = desk.run("mode")
    assert (answer.code, "keys.wrong_root" in answer.err) == (Exit.COULD_NOT_RUN, True)


def test_missing_keys_and_a_missing_store_are_told_apart(desk) -> None:
    (desk.home / "keys").rename(desk.home / "elsewhere")
    assert "keys.provider_unavailable" in desk.run("mode").err
    (desk.home / "elsewhere").rename(desk.home / "keys")
    (desk.home / "data" / "carelink.db").unlink()
    answer = desk.run("mode")
    assert "the data store of this home is missing" in answer.err
    assert "restore it from a backup" in answer.err


def test_an_outdated_schema_names_the_command_that_migrates(desk) -> None:
    db = sqlite3.connect(desk.home / "data" / "carelink.db")
    table = db.execute("SELECT name FROM sqlite_master WHERE name LIKE '%version%'").fetchone()[0]
    db.execute(f"UPDATE {table} SET version_num = '0000'")
    db.commit()
    db.close()
    answer = desk.run("mode")
    assert answer.code == Exit.COULD_NOT_RUN
    assert "store.outdated" in answer.err
    assert "run `carelink store migrate`" in answer.err


def test_a_file_that_is_no_database_is_told(desk) -> None:
    (desk.home / "data" / "carelink.db").write_bytes(b"not a database, but long enough to look like one" * 40)
    answer = desk.run("mode")
    assert answer.code == Exit.COULD_NOT_RUN
    assert "store.failed" in answer.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[carelink\n", "not TOML"),
        ("[carelinc]\n", "unknown table `[carelinc]`"),
        ("[paths]\nstor = 'x'\n", "unknown setting `stor`"),
        ("[paths]\nstore = 3\n", "`paths.store` is not a text"),
        ("[carelink]\npublish_lag = true\n", "positive number"),
        ("[carelink]\npermit_ttl = 'P400D'\n", "up to a week"),
        ("[channels.x]\nsecret_env = 'CARELINK_NOT_SET'\n", "not set"),
        ("[channels.x]\npass_secret_file = 'nowhere'\n", "cannot be read"),
        ("[plugins]\nallow = 'x'\n", "not a list"),
    ],
)
def test_malformed_settings_are_named(desk, text: str, says: str) -> None:
    (desk.home / SETTINGS).write_text(text, encoding="utf-8")
    answer = desk.run("mode")
    assert answer.code == Exit.COULD_NOT_RUN
    assert says in answer.err


def test_a_bug_is_one_line_without_values(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> int:
        raise ValueError("Lin Xiaoman, 13800138000")

    monkeypatch.setattr("carelink.cli.mode.open_link", broken)
    answer = desk.run("mode")
    assert answer.code == Exit.COULD_NOT_RUN
    assert answer.err.startswith("carelink: unexpected ValueError at test_main.py:")
    assert "Lin" not in answer.err
    assert "138" not in answer.err


def test_ctrl_c_says_that_the_command_may_be_run_again(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("carelink.cli.mode.open_link", interrupted)
    answer = desk.run("mode")
    assert answer.code == Exit.COULD_NOT_RUN
    assert "nothing is done twice" in answer.err


@pytest.mark.parametrize(
    ("error", "code"),
    [(InvalidInputError("x"), 2), (DecryptError("x"), 3), (DivergedError("x"), 4), (CannotJudgeError("x"), 5),
     (StoreError("x"), 1)],
)  # fmt: skip
def test_errors_have_exit_codes(error, code: int) -> None:
    assert code_of(error) == code


def test_a_path_the_system_refuses_is_named_without_its_folders(desk) -> None:
    answer = desk.run("send", "--jsonl", str(desk.folder / "deep" / "requests.jsonl"))
    assert answer.code == Exit.COULD_NOT_RUN
    assert "`requests.jsonl`" in answer.err
    assert "deep" not in answer.err


class _Gone:
    """A standard output whose reader is gone."""

    encoding = "utf-8"

    def write(self, _: str) -> int:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def flush(self) -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize("arguments", [("doctor",), ("send", "--jsonl", "-"), ("content", "show", "recheck")])
def test_a_reader_that_went_away_ends_the_command_quietly(
    desk, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    desk.people(1)
    (desk.folder / "one.jsonl").write_text(desk.request("k", 1) + "\n", encoding="utf-8")
    capsys.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", _Gone())
        code = main(["one.jsonl" if item == "-" else item for item in arguments])
    assert code == Exit.COULD_NOT_RUN
    assert capsys.readouterr().err == ""


@pytest.mark.integration
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_head_closes_the_pipe_of_a_real_process(desk) -> None:
    command = f"{sys.executable} -m carelink.cli.main doctor | head -c 1"
    ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stderr == ""
