"""`carelink keys`: status, rotate, retire, check, drill."""

import shutil
import sqlite3
from contextlib import closing

import pytest

import carelink
from carelink.cli.exit_codes import Exit
from carelink.cli.main import main


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.delenv("CARELINK_PASSPHRASE", raising=False)
    place = tmp_path / "home"
    with carelink.init(place, zone="Asia/Shanghai") as link:
        for number in range(3):
            link.register(identifier=f"{number}", name="王小明", phone=f"1380013800{number}")
    return place


@pytest.fixture
def run(home, capsys):
    def call(*words):
        code = main(["--home", str(home), "keys", *map(str, words)])
        told = capsys.readouterr()
        return code, told.out + told.err

    return call


def test_a_rotation_from_status_to_retire(run):
    code, before = run("status")
    assert code == Exit.OK
    assert "generation 1" in before and "9 fields" in before
    code, told = run("rotate", "data", "--suite", "SM4-GCM")
    assert code == Exit.OK
    assert "9 fields sealed again" in told and "keys retire" in told
    code, told = run("status")
    assert "SM4-GCM" in told and "generation 2" in told and "new data keys: SM4-GCM" in told
    assert run("retire") == (Exit.OK, "3 older data keys destroyed\n")
    for what in ("root", "epoch", "index"):
        assert run("rotate", what)[0] == Exit.OK
    assert run("check") == (Exit.OK, "3 data keys, 0 of them do not open\n9 sealed fields\n")


def test_a_move_needs_a_provider_that_the_settings_name(run):
    code, told = run("rotate", "root", "--to", "elsewhere")
    assert code == Exit.COULD_NOT_RUN and "[keys.elsewhere]" in told
    code, told = run("rotate", "root", "--to", "folder")
    assert code == Exit.OK and told.startswith("0 epoch keys wrapped by folder")


def test_lazily(run):
    code, told = run("rotate", "data", "--lazy")
    assert code == Exit.OK and "0 fields sealed again" in told
    assert run("retire") == (Exit.OK, "0 older data keys destroyed\n")


def test_options_that_do_not_belong_together(run):
    assert run("rotate", "epoch", "--lazy")[0] == Exit.USAGE
    assert run("rotate", "epoch", "--to", "folder")[0] == Exit.USAGE
    assert run("rotate", "data", "--suite", "ROT13")[0] == Exit.USAGE


def test_a_check_tells_damage_by_its_exit_code(run, home):
    with closing(sqlite3.connect(home / "data" / "carelink.db")) as db, db:
        db.execute("UPDATE sealed SET envelope = substr(envelope, 1, 60) WHERE rowid = 1")
    code, told = run("check")
    assert code == Exit.TAMPERED
    assert "1 damaged" in told


def test_a_check_tells_a_missing_key(run, home):
    with closing(sqlite3.connect(home / "keys" / "keys.db")) as db, db:
        db.execute("DELETE FROM data_keys WHERE rowid = 1")
    code, told = run("check")
    assert code == Exit.COULD_NOT_RUN
    assert "3 under a key that is not in the key store" in told


def test_a_drill(run, home, tmp_path):
    shutil.copytree(home / "keys", tmp_path / "backup")
    code, told = run("drill", tmp_path / "backup")
    assert code == Exit.OK and "fields open with the backup" in told
    run("rotate", "data")
    code, told = run("drill", tmp_path / "backup")
    assert code == Exit.COULD_NOT_RUN and "Make a new one" in told
    (tmp_path / "backup" / "root.key").unlink()
    assert run("drill", tmp_path / "backup")[0] == Exit.COULD_NOT_RUN


def test_a_drill_with_another_home_s_keys(run, tmp_path):
    carelink.init(tmp_path / "other", zone="Asia/Shanghai").close()
    assert run("drill", tmp_path / "other" / "keys")[0] == Exit.USAGE
