"""Tampering with exports made by the real path: engine, SQLite, publication, `carelink audit export` (P5, acceptance 8).

`test_tamper.py` takes trees of every shape apart; here stand the folders an auditor really receives: every file of
them, README included, every byte, every length, every entry, on disk, and read by both verifiers.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from carelink.audit.fetcher import NodeKind
from carelink.audit.findings import FindingCode, Judgement
from carelink.audit.tiles import encode_bundle, split_bundle
from carelink.audit.verify import verify
from carelink.keys.folder import KeyFolder
from carelink.packs.loader import bundled_bytes
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.testing.world import World

pytestmark = pytest.mark.fault

_spec = importlib.util.spec_from_file_location(
    "second_reader", Path(__file__).resolve().parents[2] / "verifier" / "carelink_verify.py"
)
second = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(second)


class Held:
    """An export held in memory, with one file changed at a time."""

    def __init__(self, folder, key):
        self.folder, self.key = folder, key
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }

    def read(self, path, limit):
        data = self.changed.get(path, self.files.get(path))
        return None if data is None else data[: limit + 1]

    def names(self, folder) -> Iterator[tuple[str, NodeKind]]:
        start = f"{folder}/" if folder else ""
        seen = {}
        for path in {**self.files, **self.changed}:
            if path.startswith(start) and self.changed.get(path, b"") is not None:
                name, below, _ = path[len(start) :].partition("/")
                seen[name] = NodeKind.FOLDER if below else NodeKind.FILE
        return iter(seen.items())

    def judge(self, changed, **more):
        self.changed = changed
        return verify(self, vkey=self.key, check_signature=KeyFolder.check_signature, **more)

    def named(self, path, data):
        """Whether changing this file is named, with exit code 3."""
        report = self.judge({path: data})
        told = [str(finding) for finding in report.findings]
        assert report.exit_code == 3, (path, report.lines())
        assert any(path in line for line in told), (path, told)

    def flipped(self, path, at, bit):
        data = bytearray(self.files[path])
        data[at] ^= 1 << bit
        return bytes(data)


@pytest.fixture(scope="module")
def large(clinic):
    """294 entries or so: two bundles, a hash tile above them, many earlier checkpoints."""
    held = Held(clinic.export, clinic.key)
    assert {"README.md", "checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"} <= held.files.keys()
    assert held.judge({}).judgement is Judgement.OK
    return held


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The shortest export in which somebody was contacted."""
    folder = tmp_path_factory.mktemp("small")
    world = World(folder / "w", sqlite=True, packs=[bundled_bytes("baseline")])
    world.content(approvals=1)
    world.link.publish()
    assert world.link.send(world.ask(world.patient())).receipt is not None
    world.link.export(folder / "export", actor="auditor")
    yield Held(folder / "export", world.link.key.text)
    world.link.close()


def test_the_small_export_is_sound(small):
    assert small.judge({}).judgement is Judgement.OK
    assert sum(map(len, small.files.values())) < 40_000


def test_a_changed_byte_of_any_file_is_named(small, large):
    """Every 60th byte of the small one and some of the large one, by seed; the slow test takes every byte."""
    draw = random.Random(20260115)
    for path, data in small.files.items():
        for at in range(draw.randrange(60), len(data), 60):
            small.named(path, small.flipped(path, at, draw.randrange(8)))
    for path, data in large.files.items():
        for _ in range(1 + len(data) // 8000):
            large.named(path, large.flipped(path, draw.randrange(len(data)), draw.randrange(8)))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_changed_byte_of_every_file_is_named(small):
    draw = random.Random(3)
    for path, data in small.files.items():
        for at in range(len(data)):
            small.named(path, small.flipped(path, at, draw.randrange(8)))


def test_a_file_cut_at_any_length_is_named(small, large):
    draw = random.Random(4)
    for held, share in ((small, 100), (large, 20_000)):
        for path, data in held.files.items():
            for length in {0, 1, len(data) - 1, *(draw.randrange(len(data)) for _ in range(len(data) // share))}:
                held.named(path, data[:length])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_file_cut_at_every_length_is_named(small):
    for path, data in small.files.items():
        for length in range(len(data)):
            small.named(path, data[:length])


def test_bytes_added_to_any_file_are_named(large):
    for path, data in large.files.items():
        large.named(path, data + b"\n")
        if not path.startswith("checkpoints/"):
            large.named(path, data + b"\0")
            large.named(path, data + b"x" * 70_000)


def bundles(held):
    """(path, first index, entries) of each bundle."""
    for path, base in (("tile/entries/000", 0), *((p, 256) for p in held.files if p.startswith("tile/entries/001"))):
        width = 256 if base == 0 else int(path.rpartition("/")[2])
        yield path, base, split_bundle(held.files[path], width)[0]


def changes(entries, at):
    yield "removed", at, [*entries[:at], *entries[at + 1 :]]
    yield "duplicated", at + 1, [*entries[: at + 1], *entries[at:]]
    if at + 1 < len(entries):
        yield "swapped", at, [*entries[:at], entries[at + 1], entries[at], *entries[at + 2 :]]
    yield "replaced by another", at, [*entries[:at], entries[at - 1], *entries[at + 1 :]]
    yield "re-salted", at, [*entries[:at], salted(entries[at]), *entries[at + 1 :]]


def salted(data):
    entry = json.loads(data)
    entry["salt"] = "A" * 22
    return json.dumps(entry, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def test_an_entry_removed_duplicated_swapped_replaced_or_appended_is_named(large):
    """Every 30th entry, and the first and last of each bundle; the first finding in the bundle is that entry."""
    for path, base, entries in bundles(large):
        for at in sorted({0, len(entries) - 1, *range(0, len(entries), 30)}):
            for what, first, changed in changes(entries, at):
                report = large.judge({path: encode_bundle(changed)})
                assert report.exit_code == 3, (what, at)
                found = [finding.index for finding in report.findings if finding.path == path]
                assert found[0] == base + first, (what, base + at, report.lines())
        appended = large.judge({path: encode_bundle([*entries, entries[-1]])})
        assert appended.exit_code == 3
        assert [each.index for each in appended.findings if each.path == path] == [base + len(entries)]


def test_a_bundle_or_tile_exchanged_for_another_file_is_named(large):
    names = sorted(large.files)
    draw = random.Random(9)
    for _ in range(25):
        one, other = draw.sample(names, 2)
        if large.files[one] != large.files[other]:
            report = large.judge({one: large.files[other], other: large.files[one]})
            assert report.exit_code == 3, (one, other)


def test_a_removed_file_is_named(large):
    for path in large.files:
        report = large.judge({path: None})
        if path.startswith("tile/"):
            assert report.exit_code == 3
            assert any(path in str(finding) for finding in report.findings)
        elif path == "checkpoint":
            assert report.exit_code == 5, "without a head there is nothing to go by"
        else:  # an earlier checkpoint or the README add something; their absence takes nothing
            assert report.exit_code == 0


def test_a_checkpoint_set_back_inside_the_export_is_named(large):
    for path in [name for name in large.files if name.startswith("checkpoints/")]:
        if large.files[path] == large.files["checkpoint"]:
            continue
        report = large.judge({"checkpoint": large.files[path]})
        assert report.exit_code == 3
        codes = {finding.code for finding in report.findings}
        assert FindingCode.ROLLBACK in codes
        assert len(report.evidence) == 2


def test_a_forked_tree_signed_by_the_same_key_is_named_where_a_checkpoint_remembers(clinic, tmp_path):
    entries = clinic.entries()
    history = int(clinic.since.split(b"\n")[1])
    for number, forged in enumerate(
        (
            [*entries[:20], *entries[21:]],
            [*entries[:20], salted(entries[20]), *entries[21:]],
            [*entries[:20], entries[21], entries[20], *entries[22:]],
        )
    ):
        folder = clinic.signed(forged, tmp_path / str(number))
        seen = {"vkey": clinic.key, "check_signature": KeyFolder.check_signature}
        alone = verify(FolderFetcher(folder), **seen)
        assert alone.judgement is Judgement.OK, "the log alone cannot show it, however well it is signed"
        report = verify(FolderFetcher(folder), since=clinic.since, **seen)
        assert report.exit_code == 3
        assert {finding.code for finding in report.findings} == {FindingCode.FORK}
        assert report.evidence == (clinic.since, (folder / "checkpoint").read_bytes())
        (folder / "checkpoints" / str(history)).write_bytes(clinic.since)  # left in the folder it shows as well
        assert verify(FolderFetcher(folder), **seen).exit_code == 3


# -- on disk -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def disk(clinic, tmp_path):
    shutil.copytree(clinic.export, tmp_path / "e")
    return tmp_path / "e"


def both(folder, key):
    """Exit codes of `audit verify` and of the second reader, and the findings of the first."""
    report = verify(FolderFetcher(folder), vkey=key, check_signature=KeyFolder.check_signature)
    with contextlib.redirect_stdout(io.StringIO()):
        code = second.main([str(folder), "--key", key])
    return report.exit_code, code, report


def test_both_readers_accept_the_real_exports(clinic, small):
    assert both(clinic.export, clinic.key)[:2] == (0, 0)
    assert both(small.folder, small.key)[:2] == (0, 0)


def test_both_readers_name_a_changed_file(disk, clinic):
    names = [path for path in disk.rglob("*") if path.is_file()]
    for path in sorted(names, key=lambda path: path.parent.name == "checkpoints")[:10]:
        good = path.read_bytes()
        path.write_bytes(good[:-2] + bytes([good[-2] ^ 4]) + good[-1:])
        assert both(disk, clinic.key)[:2] == (3, 3), path
        path.write_bytes(good)


def test_links_and_devices_are_named_and_not_followed(disk, clinic, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("checkpoint", "README.md", "tile/0/000", "tile/entries/000", "tile/1", "tile/entries", "checkpoints"):
        kept = outside / name.replace("/", "_")
        shutil.move(disk / name, kept)
        (disk / name).symlink_to(kept)
        code, other, report = both(disk, clinic.key)
        assert code != 0, name
        assert other != 0, name
        assert name == "checkpoint" or code == 3, (name, report.lines())
        (disk / name).unlink()
        shutil.move(kept, disk / name)
    assert both(disk, clinic.key)[:2] == (0, 0)
    (disk / "tile" / "0" / "001.p" / "pipe").touch()
    (disk / "tile" / "0" / "001.p" / "pipe").unlink()
    os.mkfifo(disk / "tile" / "0" / "001.p" / "pipe")
    assert both(disk, clinic.key)[0] == 3


def test_a_file_of_any_size_is_read_to_its_limit_only(disk, clinic):
    """A sparse file of a terabyte in place of a file of each kind: named at once, not read to its end."""
    for name in ("README.md", "checkpoint", f"checkpoints/{clinic.since.split()[1].decode()}", "tile/0/000",
                 "tile/entries/000"):  # fmt: skip
        path = disk / name
        good = path.read_bytes()
        os.truncate(path, 1 << 40)
        code, _, report = both(disk, clinic.key)
        assert code == 3, report.lines()
        path.write_bytes(good)


@pytest.mark.parametrize(
    "name", ["notes.txt", "tile/0/.x", "checkpoints/1", "tile/entries/002", "README.md.bak", "t/a"]
)
def test_a_file_that_was_added_is_named(disk, clinic, name):
    (disk / name).parent.mkdir(exist_ok=True)
    (disk / name).write_bytes(b"something")
    code, other, report = both(disk, clinic.key)
    assert (code, other) == (3, 3)
    assert any(name.split("/")[0] in finding.path for finding in report.findings)
