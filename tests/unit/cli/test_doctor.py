"""`carelink doctor`: a finding for each check, each with an id, and a hint where it is not well."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

import carelink
from carelink.channels.outbox import OutboxChannel
from carelink.ports.channel import Health

FINDING = re.compile(r"^(ok|warning|error) +(carelink\.[EW]\d{3}\S*) +(.+)$", re.MULTILINE)


def _findings(desk) -> dict[str, tuple[str, str]]:
    return {found[2]: (found[1], found[3]) for found in FINDING.finditer(desk.run("doctor").out)}


def test_a_new_home_has_no_errors(desk) -> None:
    assert desk.run("doctor").code == 0
    found = _findings(desk)
    assert {state for state, _ in found.values()} <= {"ok", "warning"}
    assert {"carelink.E001", "carelink.E007.outbox-email", "carelink.W101"} <= set(found)
    assert found["carelink.W101"][0] == "warning"
    assert found["carelink.W102"] == ("warning", "mode is sandbox: nothing leaves")


def test_keys_on_another_disk_are_no_warning(bare) -> None:
    bare.run("init", "--zone", "Asia/Shanghai", "--keys", str(bare.folder / "keys"))
    assert _findings(bare)["carelink.W101"][0] == "ok"


def test_a_home_that_does_not_open_is_the_one_finding(bare) -> None:
    answer = bare.run("doctor")
    assert answer.code == 1
    assert [found[2] for found in FINDING.finditer(answer.out)] == ["carelink.E000"]
    assert "run `carelink init`" in answer.out
    assert answer.err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_an_outbox_open_to_others_is_an_error_with_its_cure(desk) -> None:
    (desk.home / "outbox").chmod(0o750)
    answer = desk.run("doctor")
    assert answer.code == 1
    assert _findings(desk)["carelink.E009"] == ("error", "others can enter its folder")
    assert "chmod" in answer.out


def test_a_route_to_nowhere_is_an_error(desk) -> None:
    settings = desk.home / "carelink.toml"
    settings.write_text(settings.read_text(encoding="utf-8").replace('"outbox-sms"', '"nobody"'), encoding="utf-8")
    assert desk.run("doctor").code == 1
    assert _findings(desk)["carelink.E006"] == ("error", "no channel `nobody` is registered")


def test_a_channel_that_is_not_well_or_raises_is_an_error(desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OutboxChannel, "health", lambda _: Health(ok=False, code="full", hint="make room"))
    assert _findings(desk)["carelink.E007.outbox-email"] == ("error", "full: make room")

    def broken(_: object) -> Health:
        raise RuntimeError("patient 13800138000")

    monkeypatch.setattr(OutboxChannel, "health", broken)
    assert _findings(desk)["carelink.E007.outbox-email"] == ("error", "it broke: RuntimeError")


def test_a_restored_backup_is_an_error_that_names_the_cure(desk) -> None:
    store = desk.home / "data" / "carelink.db"
    desk.run("doctor")
    shutil.copy(store, desk.folder / "backup.db")
    desk.people(3)
    with carelink.open(desk.home) as link:
        link.publish()
    shutil.copy(desk.folder / "backup.db", store)
    for rest in Path(store.parent).glob("carelink.db-*"):
        rest.unlink()
    answer = desk.run("doctor")
    assert answer.code == 1
    assert "carelink store reconcile" in answer.out
    assert _findings(desk)["carelink.E001"][0] == "error"
    assert desk.run("mode", "live", "--actor", "Dr Chen").code == 1


def test_a_head_under_another_key_is_an_error(desk) -> None:
    other = desk.folder / "other"
    desk.run("init", "--zone", "Asia/Shanghai", "--home", str(other))
    shutil.copy(other / "log" / "checkpoint", desk.home / "log" / "checkpoint")
    answer = desk.run("doctor")
    assert answer.code == 1
    assert "carelink.E004" in answer.out or "E000" in answer.out
