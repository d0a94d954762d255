"""`carelink audit` in process: what it prints first, and the exit codes a script relies on."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest

import carelink.cli.main as command_line
from carelink.audit.checkpoint import VerifierKey
from carelink.audit.entry import MAX_ENTRY
from carelink.cli import audit as command
from carelink.home import init
from carelink.testing.fakes import FakeClock


@pytest.fixture
def run(monkeypatch, capsys):
    """Run `carelink ...`; exit code, standard output, standard error."""
    monkeypatch.setattr(command_line, "COMMANDS", ("audit",))

    def go(*arguments):
        capsys.readouterr()
        try:
            code = command_line.main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = stop.code
        shown = capsys.readouterr()
        return int(code), shown.out, shown.err

    return go


@pytest.fixture
def no_home(monkeypatch, tmp_path):
    """Fail if anything of a deployment is opened: an auditor has none."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CARELINK_HOME", raising=False)

    def refuse(*_, **__):
        raise AssertionError("a home was opened")

    monkeypatch.setattr("carelink.cli.common.open_home", refuse)


@pytest.fixture
def copy(clinic, tmp_path):
    shutil.copytree(clinic.export, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home of its own with a few entries."""
    path = tmp_path_factory.mktemp("home") / "h"
    with init(path, zone="Asia/Shanghai", clock=FakeClock(1_770_000_000_000_000)) as link:
        for number in range(3):
            patient = link.register(identifier=f"H-{number}", name="N", email=f"h{number}@example.invalid",
                                    birth_date=date(1980, 1, 1))  # fmt: skip
            link.grant(patient, purposes=["care"], channels=["email"], evidence="form")
        key = link.key.text
    return path, key


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


# -- verify ------------------------------------------------------------------------------------------------------------


def test_a_sound_export_is_verified_on_one_screen(run, no_home, clinic):
    code, out, err = run("audit", "verify", clinic.export, "--key", clinic.key)
    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[-1] == "VERIFIED"
    assert lines[-2].startswith("limits    cannot be shown: sends made outside carelink, a second log, forks")
    words = [line.split()[0] for line in lines]
    assert words == ["origin", "key", "head", "newest", "fresh", "bytes", "tier", "limits", "VERIFIED"]
    assert VerifierKey.parse(clinic.key).fingerprint in out
    assert "trusted" not in out.lower()


def test_the_age_of_the_head_is_stated_by_the_clock_of_whoever_verifies(run, no_home, clinic, monkeypatch):
    monkeypatch.setattr(command, "SystemClock", lambda: FakeClock(clinic.world.clock.now() + 3 * 86_400 * 1_000_000))
    out = run("audit", "verify", clinic.export, "--key", clinic.key)[1]
    assert "fresh     3 days old by the clock of this machine" in out
    monkeypatch.setattr(command, "SystemClock", lambda: FakeClock(clinic.world.clock.now() - 7200 * 1_000_000))
    out = run("audit", "verify", clinic.export, "--key", clinic.key)[1]
    assert "2 hours AFTER now" in out
    monkeypatch.setattr(command, "SystemClock", lambda: FakeClock(clinic.world.clock.now()))
    assert "less than a minute old" in run("audit", "verify", clinic.export, "--key", clinic.key)[1]


def test_the_key_is_an_argument_as_text_or_as_a_file_outside(run, no_home, clinic, tmp_path):
    file = tmp_path / "log.vkey"
    file.write_text(clinic.key + "\n")
    for key in (clinic.key, file, f"@{file}"):
        assert run("audit", "verify", clinic.export, "--key", key)[0] == 0


def test_without_a_key_there_is_no_verdict(run, no_home, clinic):
    code, out, err = run("audit", "verify", clinic.export)
    assert (code, out) == (2, "")
    assert "--key" in err


def test_a_key_inside_the_folder_cannot_judge(run, no_home, clinic, copy, tmp_path):
    (copy / "log.vkey").write_text(clinic.key)
    assert run("audit", "verify", copy, "--key", copy / "log.vkey")[0] == 5
    (tmp_path / "link").symlink_to(copy / "log.vkey")
    assert run("audit", "verify", copy, "--key", tmp_path / "link")[0] == 5
    code, out, _ = run("audit", "verify", copy, "--key", clinic.key)
    assert code == 5, "a key that lies there is not used, and still says that something is wrong"
    assert "key_inside" in out
    assert out.splitlines()[-1] == "CANNOT JUDGE"


@pytest.mark.parametrize("key", ["a+b+c", "nowhere.vkey", "@nowhere.vkey"])
def test_an_unusable_key_cannot_judge(run, no_home, clinic, key):
    code, out, err = run("audit", "verify", clinic.export, "--key", key)
    assert code == 5
    assert key not in err
    assert "VERIFIED" not in out


def test_tampering_is_named_and_outranks_what_cannot_be_judged(run, no_home, clinic, copy):
    flip(copy / "tile/entries/000", 500)
    code, out, _ = run("audit", "verify", copy, "--key", clinic.key)
    assert code == 3
    assert out.splitlines()[-1] == "TAMPERED"
    assert "leaf: entry" in out
    (copy / "log.vkey").write_text(clinic.key)
    assert run("audit", "verify", copy, "--key", clinic.key)[0] == 3


def test_the_wrong_key_is_named(run, no_home, clinic, home):
    code, out, _ = run("audit", "verify", clinic.export, "--key", home[1])
    assert code == 3
    assert "checkpoint_signature" in out


def test_a_folder_that_is_none_cannot_be_judged(run, no_home, clinic, tmp_path):
    assert run("audit", "verify", tmp_path / "nowhere", "--key", clinic.key)[0] == 5


def test_a_remembered_checkpoint_is_continued_and_a_fork_leaves_its_evidence(run, no_home, clinic, tmp_path):
    kept = tmp_path / "kept"
    kept.write_bytes(clinic.since)
    code, out, _ = run("audit", "verify", clinic.export, "--key", clinic.key, "--since", kept)
    assert code == 0
    assert "tier      remembered: extends the given checkpoint" in out
    entries = clinic.entries()
    forged = clinic.signed([*entries[:5], entries[6], entries[5], *entries[7:]], tmp_path / "forged")
    notes = tmp_path / "notes"
    code, out, _ = run("audit", "verify", forged, "--key", clinic.key, "--since", kept, "--evidence", notes)
    assert code == 3
    assert "fork" in out
    assert clinic.since in notes.read_bytes()
    assert (forged / "checkpoint").read_bytes() in notes.read_bytes()
    short = clinic.signed(entries[:5], tmp_path / "short")
    code, out, _ = run("audit", "verify", short, "--key", clinic.key, "--since", kept)
    assert code == 3
    assert "rollback" in out


def test_a_checkpoint_file_that_is_not_there_could_not_run(run, no_home, clinic, tmp_path):
    assert run("audit", "verify", clinic.export, "--key", clinic.key, "--since", tmp_path / "no")[0] == 1


def test_wrong_usage(run, no_home):
    assert run("audit", "verify", "--wat")[0] == 2
    assert run("audit")[0] == 2


# -- replay ------------------------------------------------------------------------------------------------------------


def test_a_sound_log_replays(run, no_home, clinic):
    code, out, _ = run("audit", "replay", clinic.export, "--key", clinic.key)
    assert code == 0
    assert out.splitlines()[-1] == "CONSISTENT"
    assert f"requests  {sum(clinic.states.values())} in {len(clinic.states)} final states" in out
    assert "limits    cannot be shown" in out


def test_a_decision_that_does_not_follow_diverges(run, no_home, clinic, tmp_path):
    entries = clinic.entries()
    at = next(n for n, data in enumerate(entries) if b'"effect":"refuse"' in data and b'"kind":"decision"' in data)
    entry = json.loads(entries[at])
    entry["body"]["rules"] += 1
    entries[at] = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    forged = clinic.signed(entries, tmp_path / "forged")
    assert run("audit", "verify", forged, "--key", clinic.key)[0] == 0
    code, out, _ = run("audit", "replay", forged, "--key", clinic.key)
    assert code == 4
    assert f"differs   entry {at} (decision): decision: rules:" in out
    assert out.splitlines()[-1] == "DIVERGED"


def test_a_log_that_does_not_verify_is_not_replayed(run, no_home, clinic, copy):
    flip(copy / "tile/0/000", 5)
    code, out, err = run("audit", "replay", copy, "--key", clinic.key)
    assert code == 3
    assert "not replayed" in err
    assert "CONSISTENT" not in out


def test_an_entry_of_a_later_version_cannot_be_judged(run, no_home, clinic, tmp_path):
    entries = clinic.entries()
    entries[7] = entries[7].replace(b'"v":1', b'"v":2')
    code, out, err = run("audit", "replay", clinic.signed(entries, tmp_path / "later"), "--key", clinic.key)
    assert code == 5
    assert "entry_version: entry 7" in out
    assert "not replayed" in err


def test_a_folder_that_changes_between_the_two_passes_is_named(run, no_home, clinic, copy, monkeypatch):
    seen = command.verify_folder

    def then_change(folder, *given, **more):
        report = seen(folder, *given, **more)
        file = folder / "tile/entries/000"
        file.write_bytes(file.read_bytes().replace(b'"mode":"sandbox"', b'"mode":"live"   '))
        flip(file, 40)
        return report

    monkeypatch.setattr(command, "verify_folder", then_change)
    assert run("audit", "replay", copy, "--key", clinic.key)[0] == 3


# -- prove -------------------------------------------------------------------------------------------------------------


def proof_of(run, clinic, index, tmp_path):
    proof, entry = tmp_path / "e.proof", tmp_path / "e.json"
    given = ("--folder", clinic.export, "--key", clinic.key)
    assert run("audit", "prove", index, *given, "-o", proof, "--entry", entry)[0] == 0
    return proof, entry


@pytest.mark.parametrize("index", [0, 100, 255, 256, -1])
def test_a_proof_is_checked_offline_with_nothing_but_itself_the_key_and_the_entry(
    run, no_home, clinic, tmp_path, index
):
    index %= len(clinic.entries())
    proof, entry = proof_of(run, clinic, index, tmp_path)
    assert entry.read_bytes() == clinic.entries()[index]
    (tmp_path / "k").write_text(clinic.key)
    code, out, _ = run("audit", "prove", "--check", proof, "--key", f"@{tmp_path / 'k'}", "--entry", entry)
    assert code == 0
    assert out.startswith(f"PROVEN  entry {index} (")
    assert f"stands in the log of {len(clinic.entries())} entries" in out
    assert run("audit", "prove", index, "--check", proof, "--key", clinic.key, "--entry", entry)[0] == 0


def test_any_changed_byte_of_proof_or_entry_is_named(run, no_home, clinic, tmp_path):
    proof, entry = proof_of(run, clinic, 100, tmp_path)
    for file in (proof, entry):
        good = file.read_bytes()
        for at in range(0, len(good), 7):
            flip(file, at)
            code = run("audit", "prove", "--check", proof, "--key", clinic.key, "--entry", entry)[0]
            assert code == 3 or (file == proof and good[: at + 1].count(b"\n") == 0 and code == 5), (file, at)
            file.write_bytes(good)


def test_a_proof_of_another_entry_key_or_version_is_not_taken(run, no_home, clinic, home, tmp_path):
    proof, entry = proof_of(run, clinic, 100, tmp_path)
    given = ("--key", clinic.key, "--entry", entry)
    assert run("audit", "prove", 101, "--check", proof, *given)[0] == 5
    assert run("audit", "prove", "--check", proof, "--key", home[1], "--entry", entry)[0] == 3
    assert run("audit", "prove", "--check", proof, "--key", "x+y+z", "--entry", entry)[0] == 5
    later = tmp_path / "later"
    later.write_bytes(proof.read_bytes().replace(b"tlog-proof@v1", b"tlog-proof@v2"))
    assert run("audit", "prove", "--check", later, *given)[0] == 5
    entry.write_bytes(bytes(MAX_ENTRY + 10))
    assert run("audit", "prove", "--check", proof, *given)[0] == 3


def test_growth_is_proven_and_checked_offline(run, no_home, clinic, tmp_path):
    kept, proof = tmp_path / "kept", tmp_path / "growth"
    kept.write_bytes(clinic.since)
    given = ("--folder", clinic.export, "--key", clinic.key)
    assert run("audit", "prove", "--since", kept, *given, "-o", proof)[0] == 0
    code, out, _ = run("audit", "prove", "--check", proof, "--key", clinic.key, "--since", kept)
    assert code == 0
    size = int(clinic.since.split(b"\n")[1])
    assert f"PROVEN  the log of {len(clinic.entries())} entries begins with the {size} of" in out
    flip(proof, 30)
    assert run("audit", "prove", "--check", proof, "--key", clinic.key, "--since", kept)[0] == 3


def test_growth_of_a_log_that_was_rewritten_or_set_back_cannot_be_proven(run, no_home, clinic, tmp_path):
    kept = tmp_path / "kept"
    kept.write_bytes(clinic.since)
    entries = clinic.entries()
    for number, forged in enumerate(([*entries[:5], entries[6], entries[5], *entries[7:]], entries[:5])):
        folder = clinic.signed(forged, tmp_path / str(number))
        assert run("audit", "prove", "--since", kept, "--folder", folder, "--key", clinic.key)[0] == 3


def test_a_proof_from_a_tampered_folder_is_not_written(run, no_home, clinic, copy, tmp_path):
    flip(copy / "tile/0/000", 5)
    out = tmp_path / "p"
    assert run("audit", "prove", 100, "--folder", copy, "--key", clinic.key, "-o", out)[0] == 3
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("prove", "--folder", "x", "--key", "k"),
        ("prove", "1", "--since", "x", "--folder", "x", "--key", "k"),
        ("prove", "--check", "x", "--entry", "x"),
        ("prove", "--check", "x", "--key", "a+b+c"),
        ("prove", "--check", "x", "--key", "a+b+c", "--entry", "x", "--since", "x"),
        ("prove", "1", "--folder", "x"),
    ],
)
def test_wrong_usage_of_prove(run, no_home, arguments):
    assert run("audit", *arguments)[0] == 2


def test_an_index_that_is_not_there_could_not_run(run, no_home, clinic):
    code, _, err = run("audit", "prove", 100_000, "--folder", clinic.export, "--key", clinic.key)
    assert code == 1
    assert f"the newest is {len(clinic.entries()) - 1}" in err


# -- a home ------------------------------------------------------------------------------------------------------------


def test_a_home_checks_exports_and_proves_its_own_log(run, home, tmp_path):
    path, key = home
    given = ("--home", path, "audit")
    code, out, _ = run(*given, "verify")
    assert code == 0
    assert "key       taken from this home" in out
    assert "taken from this home" not in run(*given, "verify", "--key", key)[1]
    assert run(*given, "replay")[0] == 0
    target = tmp_path / "export"
    code, out, _ = run(*given, "export", target, "--actor", "Dr. Wang")
    assert code == 0
    assert key in out
    assert VerifierKey.parse(key).fingerprint in out
    assert run("audit", "verify", target, "--key", key)[0] == 0
    assert run("audit", "replay", target, "--key", key)[0] == 0
    assert key.encode() not in b"".join(file.read_bytes() for file in target.rglob("*") if file.is_file() and
                                        file.name != "4" and "entries" not in file.parts)  # fmt: skip
    assert run(*given, "export", target)[0] == 1, "nothing is overwritten"
    code, out, _ = run(*given, "prove", 2)
    assert code == 0
    assert out.startswith("c2sp.org/tlog-proof@v1\nindex 2\n")


def test_the_readme_of_an_export_is_vouched_for(run, home, tmp_path):
    path, key = home
    target = tmp_path / "export"
    assert run("--home", path, "audit", "export", target)[0] == 0
    readme = target / "README.md"
    text = readme.read_text(encoding="utf-8")
    assert "cannot be shown" not in text
    assert "Not shown" in text
    readme.write_text(text.replace("/elsewhere/log.vkey", "./log.vkey"), encoding="utf-8")
    code, out, _ = run("audit", "verify", target, "--key", key)
    assert code == 3
    assert "readme: README.md" in out


def test_no_home_is_could_not_run(run, tmp_path):
    assert run("--home", tmp_path / "none", "audit", "verify")[0] == 1


def test_a_long_log_shows_progress_to_a_terminal_only(clinic, monkeypatch):
    seen = []
    real = command.progress

    def watching(label, total):
        bar = real(label, total)
        update = bar.update

        def noted(task, **more):
            seen.append((label, more["completed"]))
            update(task, **more)

        bar.update = noted
        return bar

    monkeypatch.setattr(command, "progress", watching)
    report = command.verify_folder(clinic.export, clinic.key)
    command.replay_folder(clinic.export, size=report.size, root=report.root)
    size = len(clinic.entries())
    assert ("verify", 256) in seen
    assert seen[-1] == ("replay", size)
    assert Path(clinic.export).is_dir()
