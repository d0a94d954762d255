"""`carelink init`: all or nothing, over nothing, in sandbox mode, with a zone."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

import carelink
from carelink.cli.main import main
from carelink.errors import StoreError


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_home_is_in_sandbox_and_opens(bare) -> None:
    made = bare.run("init", "--zone", "Asia/Shanghai")
    assert made.code == 0
    assert "sandbox: nothing leaves this machine" in made.out
    assert "Keep the log key elsewhere" in made.out
    assert "Next: carelink patients import" in made.out
    assert bare.run("mode").out == "sandbox\n"
    assert {path.name for path in bare.home.iterdir()} == {"carelink.toml", "data", "keys", "log", "outbox"}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_only_its_owner_may_enter_it(bare) -> None:
    bare.run("init", "--zone", "Asia/Shanghai")
    for folder in (bare.home, bare.home / "data", bare.home / "keys", bare.home / "outbox"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder.name
    for file in ("data/carelink.db", "keys/root.key", "keys/signing.key", "keys/keys.db"):
        assert stat.S_IMODE((bare.home / file).stat().st_mode) == 0o600, file


def test_it_overwrites_nothing(bare) -> None:
    bare.run("init", "--zone", "Asia/Shanghai")
    before = _files(bare.home)
    again = bare.run("init", "--zone", "Europe/Paris")
    assert again.code == 1
    assert "there is a carelink home here already" in again.err
    assert _files(bare.home) == before


@pytest.mark.parametrize("part", ["data/carelink.db", "keys/root.key", "log/checkpoint"])
def test_a_part_of_a_home_is_not_built_over(bare, part: str) -> None:
    (bare.home / part).parent.mkdir(parents=True)
    (bare.home / part).write_bytes(b"somebody's")
    answer = bare.run("init", "--zone", "Asia/Shanghai")
    assert answer.code == 1
    assert "interrupted" in answer.err
    assert _files(bare.home) == {part: b"somebody's"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "pass --zone"),
        (("--zone", " "), "pass --zone"),
        (("--zone", "Mars/Olympus"), "not an IANA time zone"),
        (("--zone", "../etc/passwd"), "not an IANA time zone"),
        (("--zone", "Asia/Shanghai", "--region", "China"), "two-letter country code"),
        (("--zone", "Asia/Shanghai", "--actor", " "), "named actor"),
        (("--zone", "Asia/Shanghai", "--pack", "missing.toml"), "missing.toml"),
        (("--zone", "Asia/Shanghai", "--pack", "bad.toml"), "policy"),
    ],
)
def test_a_failed_init_leaves_nothing_behind(bare, arguments: tuple[str, ...], says: str) -> None:
    (bare.folder / "bad.toml").write_text("id = 3\n", encoding="utf-8")
    answer = bare.run("init", *arguments)
    assert answer.code in (1, 2)
    assert says in answer.err
    assert not bare.home.exists()


def test_an_init_that_breaks_late_is_undone(bare) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    (bare.folder / "carelink-data").mkdir()
    (bare.home / "mine.txt").write_text("kept", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("carelink.home.create_file", broken)
        assert bare.run("init", "--zone", "Asia/Shanghai").code == 1
    assert _files(bare.home) == {"mine.txt": b"kept"}
    assert bare.run("init", "--zone", "Asia/Shanghai").code == 0


def test_the_zone_is_asked_for_where_somebody_can_answer(bare, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("builtins.input", lambda prompt: asked.append(prompt) or " Asia/Tokyo ")
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": staticmethod(lambda: True)})())
    assert main(["init"]) == 0
    assert asked == ["Time zone of the hospital (for example Asia/Shanghai): "]
    with carelink.open(bare.home) as link, link.wiring.store.reader() as reader:
        assert reader.tenant().zone == "Asia/Tokyo"


def test_keys_may_lie_elsewhere_and_quotes_in_a_path_are_no_trouble(bare) -> None:
    place = bare.folder / 'other "disk"' / "keys"
    assert bare.run("init", "--zone", "Asia/Shanghai", "--keys", str(place)).code == 0
    assert (place / "root.key").is_file()
    assert not (bare.home / "keys").exists()
    assert bare.run("mode").code == 0


def test_the_home_may_be_named_before_or_after_the_command_or_by_the_environment(
    bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bare.run("--home", "a", "init", "--zone", "Asia/Shanghai").code == 0
    assert bare.run("init", "--zone", "Asia/Shanghai", "--home=b").code == 0
    monkeypatch.setenv("CARELINK_HOME", "c")
    assert bare.run("init", "--zone", "Asia/Shanghai").code == 0
    assert sorted(path.name for path in bare.folder.iterdir()) == ["a", "b", "c"]
    assert bare.run("mode", "--home", "a").out == "sandbox\n"


def test_a_passphrase_from_the_environment_protects_the_root_key(bare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CARELINK_PASSPHRASE", "correct horse")
    assert bare.run("init", "--zone", "Asia/Shanghai").code == 0
    assert len((bare.home / "keys" / "root.key").read_bytes()) == 89
    assert bare.run("mode").code == 0
    monkeypatch.setenv("CARELINK_PASSPHRASE", "wrong horse")
    answer = bare.run("mode")
    assert answer.code == 1
    assert "the passphrase does not open the root key" in answer.err
    assert "horse" not in answer.err
