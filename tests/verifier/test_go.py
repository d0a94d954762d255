"""Logs and proofs checked by Go's golang.org/x/mod/sumdb/{note,tlog}, which know nothing of carelink.

`verifier/go` is a small program over those two libraries. It, `carelink audit verify` and `verifier/carelink_verify.py`
must be of one mind about every export, sound or tampered with.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carelink.audit.checkpoint import COSIGNATURE_V1, Checkpoint, NoteVerifier, VerifierKey, sign_checkpoint
from carelink.audit.merkle import EMPTY_ROOT, Frontier, leaf_hash
from carelink.audit.tiles import encode_bundle, split_bundle
from carelink.audit.verify import verify
from carelink.audit.witness import cosign, merge
from carelink.cli.main import main as carelink
from carelink.keys.folder import KeyFolder
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder
from carelink.testing.world import World

pytestmark = pytest.mark.peer

ROOT = Path(__file__).resolve().parents[2]
SIZES = [1, 2, 255, 256, 257, 700]


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


second = _load(ROOT / "verifier" / "carelink_verify.py")


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The Go program: the one that .ci/run built, else built here if Go and its library are installed."""
    built = os.environ.get("CARELINK_GO_VERIFIER")
    if built is None:
        if shutil.which("go") is None or not Path("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog").is_dir():
            pytest.skip("Go with golang.org/x/mod is not here; .ci/run installs and builds with .ci/go-verifier")
        script = ["bash", ROOT / ".ci" / "go-verifier", tmp_path_factory.mktemp("go")]
        done = subprocess.run(script, check=True, capture_output=True, text=True)
        built = done.stdout.strip()
    return built


@pytest.fixture
def go(program):
    """Runs it: exit code and output."""

    def run(*arguments):
        done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    return run


@pytest.fixture
def judge(go):
    """Exit codes of carelink, of the second reader and of Go, and what was printed."""

    def run(folder, key, *, since=None, proofs="all"):
        kept = None if since is None else since.read_bytes()
        report = verify(FolderFetcher(folder), vkey=key, check_signature=KeyFolder.check_signature, since=kept)
        more = [] if since is None else [f"--since={since}"]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            other = second.main([str(folder), "--key", key, *more])
        third, told = go("-key", key, "-proofs", proofs, *more, folder)
        return (report.exit_code, other, third), "\n".join([*report.lines(), out.getvalue(), told])

    return run


@pytest.fixture(scope="module")
def seven_hundred(tmp_path_factory):
    """A real engine's log of some seven hundred entries: its world, and the entries."""
    world = World(tmp_path_factory.mktemp("seven") / "w")
    world.content()
    while (size := _size(world)) < 700:
        patients = [world.patient() for _ in range(20)]
        world.link.send_many([world.ask(patient) for patient in patients])
        assert _size(world) > size
    world.link.publish()
    yield world, [data for _, data in world.link.wiring.log.entries()]
    world.link.close()


def _size(world):
    with world.link.wiring.store.reader() as reader:
        return reader.head().size


def publish(world, entries, folder, steps):
    """The first entries, published step by step as the notary does."""
    log, notary = LogFolder(folder), world.link.notary
    for start, end in zip([0, *steps], steps, strict=False):
        log.publish(entries[start:end], start=start, end=end, signers=[notary.signer], verifier=notary.verifier,
                    at=world.clock.now())  # fmt: skip
    return world.link.key.text


@pytest.mark.parametrize("size", SIZES)
def test_go_verifies_logs_of_every_shape(judge, seven_hundred, tmp_path, size):
    world, entries = seven_hundred
    key = publish(world, entries, tmp_path / "live", [step for step in SIZES if step <= size])
    LogFolder(tmp_path / "live").export(tmp_path / "export")
    codes, told = judge(tmp_path / "export", key)
    assert codes == (0, 0, 0), told
    assert f"{size} of {size} entries proven from the tiles" in told
    assert f"{SIZES.index(size) + 1} earlier checkpoints extended" in told
    if size > 2:
        codes, told = judge(tmp_path / "live", key, since=tmp_path / "live" / "checkpoints" / "2")
        assert codes == (0, 0, 0), told


def test_go_verifies_the_empty_log(judge, seven_hundred, tmp_path):
    world, _ = seven_hundred
    name = world.link.key.name
    for root, wanted in ((EMPTY_ROOT, 0), (bytes(32), 3)):
        note = sign_checkpoint(Checkpoint(name, 0, root), [world.link.notary.signer])
        (tmp_path / "checkpoint").write_bytes(note.to_bytes())
        codes, told = judge(tmp_path, world.link.key.text)
        assert codes == (wanted,) * 3, told


def test_go_verifies_an_export_with_every_end_a_request_can_have(judge, clinic, tmp_path):
    kept = tmp_path / "kept"
    kept.write_bytes(clinic.since)
    codes, told = judge(clinic.export, clinic.key, since=kept)
    assert codes == (0, 0, 0), told


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("size", [65_537, 70_000])
def test_go_verifies_logs_with_a_third_level_of_tiles(judge, tmp_path, monkeypatch, size):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    key = _load(ROOT / "benchmarks" / "synthetic_log.py").write(tmp_path / "log", size, history=(1, 65_536))
    assert (tmp_path / "log" / "tile" / "2" / "000.p" / "1").is_file()
    codes, told = judge(tmp_path / "log", key, proofs="3000")
    assert codes == (0, 0, 0), told
    codes, told = judge(tmp_path / "log", key, since=tmp_path / "log" / "checkpoints" / "65536", proofs="1")
    assert codes == (0, 0, 0), told
    place = tmp_path / "log" / "tile" / "2" / "000.p" / "1"
    place.write_bytes(bytes(32))
    codes, told = judge(tmp_path / "log", key, proofs="1")
    assert codes == (3, 3, 3), told


# -- tampering ------------------------------------------------------------------------------------------------


@pytest.fixture
def copy(clinic, tmp_path):
    """The clinic's export, to be spoiled. Go cannot know what vouches for the README: that stands in an entry."""
    shutil.copytree(clinic.export, tmp_path / "log")
    (tmp_path / "log" / "README.md").unlink()
    return tmp_path / "log"


def test_all_three_agree_on_flipped_bits(judge, copy, clinic):
    draw = random.Random(20260301)
    files = sorted(path for path in copy.rglob("*") if path.is_file())
    assert len(files) > 8
    for path in [*files, *draw.choices(files, k=24)]:
        good = bytearray(path.read_bytes())
        bad = bytearray(good)
        bad[draw.randrange(len(bad))] ^= 1 << draw.randrange(8)
        path.write_bytes(bad)
        codes, told = judge(copy, clinic.key, proofs="1")
        assert codes == (3, 3, 3), f"{path.relative_to(copy)}\n{told}"
        path.write_bytes(good)
    assert judge(copy, clinic.key)[0] == (0, 0, 0)


def test_another_spelling_of_the_same_signature_is_seen(judge, go, copy, clinic):
    """Go's own `note.Open` takes several spellings of the last digit; nobody signed them."""
    path = copy / "checkpoint"
    good = path.read_bytes()
    stem, digit = good[:-3], good[-3:-2]
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    assert good.endswith(b"=\n")
    spelled = letters[letters.index(digit) ^ 1 :][:1]
    path.write_bytes(stem + spelled + b"=\n")
    codes, told = judge(copy, clinic.key)
    assert codes == (3, 3, 3), told
    assert "not canonical base64" in told


def _entries(bundle):
    count = 256 if bundle.parent.name == "entries" else int(bundle.name)
    entries, wrong = split_bundle(bundle.read_bytes(), count)
    assert not wrong
    return entries


def _swapped(copy):
    path = copy / "tile" / "entries" / "000"
    entries = _entries(path)
    entries[20], entries[21] = entries[21], entries[20]
    path.write_bytes(encode_bundle(entries))


def _left_out(copy):
    path = copy / "tile" / "entries" / "000"
    entries = _entries(path)
    path.write_bytes(encode_bundle(entries[:9] + entries[10:] + entries[9:10]))


def _cut(copy):
    path = copy / "tile" / "0" / "000"
    path.write_bytes(path.read_bytes()[:-32])


def _cut_bundle(copy):
    path = copy / "tile" / "entries" / "000"
    path.write_bytes(path.read_bytes()[:-1])


def _longer(copy):
    path = copy / "tile" / "1" / "000.p" / "1"
    path.write_bytes(path.read_bytes() + bytes(32))


def _longer_bundle(copy):
    path = copy / "tile" / "entries" / "000"
    path.write_bytes(path.read_bytes() + encode_bundle([b"one more"]))


def _no_tile(copy):
    (copy / "tile" / "0" / "000").unlink()


def _no_bundle(copy):
    (copy / "tile" / "entries" / "000").unlink()


def _set_back(copy):
    (copy / "checkpoint").write_bytes(min((copy / "checkpoints").iterdir(), key=lambda p: int(p.name)).read_bytes())


def _renamed(copy):
    path = min((copy / "checkpoints").iterdir(), key=lambda p: int(p.name))
    path.rename(path.with_name(str(int(path.name) + 1)))


def _stranger(copy):
    (copy / "tile" / "0" / "005").write_bytes(bytes(8192))


def _odd_name(copy):
    (copy / "tile" / "0" / "0").write_bytes(b"x")


def _no_checkpoint(copy):
    (copy / "checkpoint").unlink()


@pytest.mark.parametrize(
    ("change", "code"),
    [(_swapped, 3), (_left_out, 3), (_cut, 3), (_cut_bundle, 3), (_longer, 3), (_longer_bundle, 3), (_no_tile, 3),
     (_no_bundle, 3), (_set_back, 3), (_renamed, 3), (_stranger, 3), (_odd_name, 3), (_no_checkpoint, 5)],
)  # fmt: skip
def test_all_three_agree_on_what_was_done_to_a_folder(judge, copy, clinic, change, code):
    change(copy)
    codes, told = judge(copy, clinic.key, proofs="1")
    assert codes == (code,) * 3, told


def test_all_three_see_a_link_and_a_key_in_the_folder(judge, go, copy, clinic):
    place = copy / "tile" / "0" / "000"
    place.rename(copy.parent / "elsewhere")
    place.symlink_to(copy.parent / "elsewhere")
    codes, told = judge(copy, clinic.key, proofs="1")
    assert codes == (3, 3, 3), told
    place.unlink()
    (copy.parent / "elsewhere").rename(place)
    (copy / "log.vkey").write_text(clinic.key + "\n")
    codes, told = judge(copy, clinic.key, proofs="1")
    assert codes == (5, 5, 5), told
    assert go("-key", f"@{copy / 'log.vkey'}", copy)[0] == 5
    (copy / "log.vkey").rename(copy.parent / "log.vkey")
    assert go("-key", f"@{copy.parent / 'log.vkey'}", copy)[0] == 0


def test_all_three_see_a_fork_a_rollback_and_what_nobody_remembers(judge, clinic, tmp_path):
    """The key's holder tells another story: seen exactly by whoever remembers a checkpoint of the first one."""
    entries = clinic.entries()
    salt = entries[50].index(b'"salt":"') + 8
    other = list(entries)
    other[50] = entries[50][:salt] + b"A" * 22 + entries[50][salt + 22 :]
    assert other[50] != entries[50]
    old, late = tmp_path / "at40", tmp_path / "at60"
    for size, path in ((40, old), (60, late)):
        path.write_bytes((clinic.signed(entries[:size], tmp_path / f"log{size}") / "checkpoint").read_bytes())
    forked = clinic.signed(other, tmp_path / "forked")
    assert judge(forked, clinic.key)[0] == (0, 0, 0)
    assert judge(forked, clinic.key, since=old)[0] == (0, 0, 0)
    codes, told = judge(forked, clinic.key, since=late)
    assert codes == (3, 3, 3), told
    codes, told = judge(tmp_path / "log40", clinic.key, since=late)
    assert codes == (3, 3, 3), told
    (forked / "checkpoints" / "60").write_bytes(late.read_bytes())
    codes, told = judge(forked, clinic.key)
    assert codes == (3, 3, 3), told


def test_a_key_that_cannot_be_used_is_not_tampering(go, clinic):
    other = VerifierKey(clinic.world.link.key.name, 1, bytes(range(32)))
    assert go("-key", "nonsense", clinic.export)[0] == 5
    assert go("-key", other.text, clinic.export)[0] == 3
    assert go(clinic.export)[0] == 2
    assert go("-key", clinic.key)[0] == 2
    assert go("-key", clinic.key, clinic.export / "nowhere")[0] == 5


# -- proofs ---------------------------------------------------------------------------------------------------


def test_go_accepts_the_proofs_that_carelink_writes(go, clinic, tmp_path):
    proof, data, since = tmp_path / "proof", tmp_path / "entry", tmp_path / "since"
    last = len(clinic.entries()) - 1
    for index in (0, 1, 255, 256, last):
        arguments = ["--folder", clinic.export, "--key", clinic.key, "-o", proof, "--entry", data]
        assert carelink(["audit", "prove", str(index), *map(str, arguments)]) == 0
        code, told = go("-key", clinic.key, "-proof", proof, "-entry", data)
        assert code == 0, told
        assert f"entry {index} stands in the log of {last + 1} entries" in told
        data.write_bytes(clinic.entries()[(index + 1) % last])
        assert go("-key", clinic.key, "-proof", proof, "-entry", data)[0] == 3
    since.write_bytes(clinic.since)
    arguments = ["--folder", clinic.export, "--key", clinic.key, "-o", proof, "--since", since]
    assert carelink(["audit", "prove", *map(str, arguments)]) == 0
    code, told = go("-key", clinic.key, "-proof", proof, "-since", since)
    assert code == 0, told
    since.write_bytes((clinic.export / "checkpoint").read_bytes())
    assert go("-key", clinic.key, "-proof", proof, "-since", since)[0] == 3


def test_go_and_carelink_agree_on_every_spoiled_proof(go, clinic, tmp_path, capsys):
    proof, data = tmp_path / "proof", tmp_path / "entry"
    arguments = ["--folder", clinic.export, "--key", clinic.key, "-o", proof, "--entry", data]
    assert carelink(["audit", "prove", "100", *map(str, arguments)]) == 0
    good, draw = proof.read_bytes(), random.Random(5)
    for at in range(0, len(good), 9):
        bad = bytearray(good)
        bad[at] ^= 1 << draw.randrange(8)
        proof.write_bytes(bad)
        ours = carelink(["audit", "prove", "--check", str(proof), "--entry", str(data), "--key", clinic.key])
        theirs, told = go("-key", clinic.key, "-proof", proof, "-entry", data)
        assert ours in (3, 5), (at, bytes(bad))
        assert theirs in (3, 5), (at, told)
    capsys.readouterr()


# -- witnesses ------------------------------------------------------------------------------------------------


class Witness:
    """Somebody who cosigns."""

    def __init__(self, name, seed):
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = VerifierKey(name, COSIGNATURE_V1, self._key.public_key().public_bytes_raw())
        self.name, self.key_id, self.sign = name, self.key.key_id, self._key.sign

    def cosign(self, path):
        """Add a cosignature to a published checkpoint."""
        head = LogFolder(path.parent).head()
        answer = cosign(head, self, 1_800_000_000)
        signed, _ = merge(path.read_bytes(), answer.to_bytes(), NoteVerifier(self.key, KeyFolder.check_signature))
        path.write_bytes(signed.to_bytes())


def test_go_counts_witnesses_as_carelink_does(go, copy, clinic):
    first, other = Witness("witness.example/one", 1), Witness("witness.example/two", 2)
    path = copy / "checkpoint"
    first.cosign(path)

    def codes(count):
        keys = [first.key.text, other.key.text]
        report = verify(FolderFetcher(copy), vkey=clinic.key, check_signature=KeyFolder.check_signature,
                        witnesses=keys, require_witness=count)  # fmt: skip
        options = [option for key in keys for option in ("-witness", key)]
        return report.exit_code, go("-key", clinic.key, *options, "-require-witness", count, copy)[0]

    assert codes(1) == (0, 0)
    assert codes(2) == (5, 5)
    other.cosign(path)
    assert codes(2) == (0, 0)
    lines = path.read_bytes().splitlines(keepends=True)
    cosigned = lines[-1].split(b" ")[-1]
    path.write_bytes(b"".join(lines).replace(cosigned, cosigned[:20] + b"AAAA" + cosigned[24:]))
    assert codes(1) == (3, 3)


def test_the_tree_of_go_is_the_tree_of_carelink(seven_hundred, go, tmp_path):
    """One entry more or less in the tree than the checkpoint says is another root, in both."""
    world, entries = seven_hundred
    key = publish(world, entries, tmp_path, [300])
    for size in (299, 301):
        root = Frontier().append_many(map(leaf_hash, entries[:size])).root()
        note = sign_checkpoint(Checkpoint(world.link.key.name, 300, root), [world.link.notary.signer])
        (tmp_path / "checkpoint").write_bytes(note.to_bytes())
        assert go("-key", key, tmp_path)[0] == 3
