"""The second reader, `verifier/carelink_verify.py`: independent, small, and of one mind with `carelink audit verify`."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import io
import random
import shutil
import sys
from pathlib import Path

import attrs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from carelink.audit.bodies import GenesisBody, HandoverBody
from carelink.audit.checkpoint import ED25519, Checkpoint, VerifierKey, sign_checkpoint
from carelink.audit.decided import DecisionBody
from carelink.audit.entry import BODIES, encode_entry
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.audit.tiles import encode_bundle, tile_files
from carelink.audit.verify import verify
from carelink.keys.folder import KeyFolder
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.vocabulary import Effect, Outcome

ROOT = Path(__file__).resolve().parents[2]
READER = ROOT / "verifier" / "carelink_verify.py"
GOLDEN = ROOT / "tests" / "unit" / "audit" / "golden_log"
KEY = "log.example/clinic+2f54bb94+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"


def _load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = _load(READER)


def read_both(folder, key=KEY, since=None):
    """Exit codes of both readers, and what the second one printed."""
    kept = None if since is None else since.read_bytes()
    first = verify(FolderFetcher(folder), vkey=key, check_signature=KeyFolder.check_signature, since=kept)
    arguments = [str(folder), "--key", key, *([] if since is None else ["--since", str(since)])]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        second = reader.main(arguments)
    return first.exit_code, second, out.getvalue()


@pytest.fixture
def copy(tmp_path):
    shutil.copytree(GOLDEN, tmp_path / "log")
    return tmp_path / "log"


def test_it_imports_the_standard_library_only_and_stays_small():
    text = READER.read_text(encoding="utf-8")
    names = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert names <= sys.stdlib_module_names
    assert len(text.splitlines()) <= 500
    assert "__import__" not in text
    assert "sys.path" not in text


def test_it_knows_every_kind_of_entry_with_its_fields():
    wanted = {}
    for kind, body in BODIES.items():
        optional = {f.name for f in attrs.fields(body) if f.default is None or f.default == ()}
        wanted[kind] = ({f.name for f in attrs.fields(body)} - optional, optional)
    told = {
        kind: tuple(set(part.split()) for part in fields.partition("/")[::2]) for kind, fields in reader.FIELDS.items()
    }
    assert told == wanted


def test_both_accept_the_golden_log():
    first, second, out = read_both(GOLDEN)
    assert (first, second) == (0, 0)
    assert "VERIFIED" in out
    assert "cannot be shown" in out


def spoil(folder, rng):
    """One random change of one file of a log."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    file = rng.choice(files)
    data = bytearray(file.read_bytes())
    at, how = rng.randrange(len(data)), rng.randrange(7)
    if how < 3:
        data[at] ^= 1 << rng.randrange(8)
    elif how == 3:
        del data[at:]
    elif how == 4:
        data[at:at] = bytes([rng.randrange(256)])
    elif how == 5:
        file.unlink()
        return file
    else:
        data = bytearray(rng.choice(files).read_bytes())
    file.write_bytes(bytes(data))
    return file


def test_both_agree_on_random_tampering(tmp_path):
    rng = random.Random(11)
    codes = []
    for number in range(120):
        folder = tmp_path / str(number)
        shutil.copytree(GOLDEN, folder)
        file = spoil(folder, rng)
        first, second, out = read_both(folder)
        assert first == second, f"{file.relative_to(folder)}: {first} and {second}\n{out}"
        codes.append(first)
        shutil.rmtree(folder)
    assert codes.count(3) > 60
    assert 0 in codes  # an earlier checkpoint adds to the evidence, its absence takes none


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_both_agree_on_every_changed_byte(copy):
    changed = 0
    for file in sorted(path for path in copy.rglob("*") if path.is_file()):
        good = file.read_bytes()
        for at in range(len(good)):
            file.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
            first, second, out = read_both(copy)
            assert first == second == 3, f"{file.name} byte {at}\n{out}"
            changed += 1
        file.write_bytes(good)
    assert changed > 4_000


def _surplus(folder):
    (folder / "tile" / "0" / "notes.txt").write_text("x")


def _surplus_tile(folder):
    shutil.copy(folder / "tile" / "0" / "000.p" / "20", folder / "tile" / "0" / "000.p" / "19")


def _link(folder):
    data = (folder / "checkpoint").read_bytes()
    (folder.parent / "elsewhere").write_bytes(data)
    (folder / "checkpoint").unlink()
    (folder / "checkpoint").symlink_to(folder.parent / "elsewhere")


def _key_inside(folder):
    (folder / "log.vkey").write_text(KEY + "\n")


def _no_checkpoint(folder):
    (folder / "checkpoint").unlink()


def _set_back(folder):
    shutil.copy(folder / "checkpoints" / "12", folder / "checkpoint")


def _other_name(folder):
    (folder / "checkpoints" / "12").rename(folder / "checkpoints" / "13")


@pytest.mark.parametrize(
    ("change", "code"),
    [(_surplus, 3), (_surplus_tile, 3), (_key_inside, 5), (_no_checkpoint, 5), (_set_back, 3), (_other_name, 3)],
)
def test_both_agree_on_other_defects(copy, change, code):
    change(copy)
    first, second, out = read_both(copy)
    assert (first, second) == (code, code), out


def test_both_stop_at_a_link_out_of_the_folder(copy):
    _link(copy)
    first, second, out = read_both(copy)
    assert first == second != 0, out


def test_the_remembered_checkpoint_must_be_continued(copy, tmp_path):
    kept = tmp_path / "kept"
    shutil.copy(copy / "checkpoints" / "12", kept)
    assert read_both(copy, since=kept)[:2] == (0, 0)
    kept.write_bytes(b"nothing of the kind")
    assert read_both(copy, since=kept)[:2] == (5, 5)


def test_a_key_that_lies_in_the_folder_is_not_taken(copy):
    _key_inside(copy)
    with contextlib.redirect_stdout(io.StringIO()):
        assert reader.main([str(copy), "--key", f"@{copy / 'log.vkey'}"]) == 5
        assert reader.main([str(copy), "--key", "nonsense"]) == 5


class Forger:
    """Somebody who holds the log's key and signs whatever entries he likes."""

    def __init__(self, folder):
        self.folder, self.origin = folder, "log.example/clinic"
        self._key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        public = self._key.public_key().public_bytes_raw()
        self.vkey = VerifierKey(self.origin, ED25519, public)
        self.name, self.key_id, self.sign = self.origin, self.vkey.key_id, self._key.sign

    def publish(self, entries):
        shutil.rmtree(self.folder, ignore_errors=True)
        for path, data in tile_files(0, entries, lambda _path: None):
            place = self.folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        root = Frontier().append_many([leaf_hash(entry) for entry in entries]).root()
        signed = sign_checkpoint(Checkpoint(self.origin, len(entries), root), [self])
        (self.folder / "checkpoint").write_bytes(signed.to_bytes())
        return read_both(self.folder, self.vkey.text)


def _genesis(forger):
    samples = _load(GOLDEN.parent / "samples.py")
    body = GenesisBody(origin=forger.origin, tenant="0" * 32, log_key=forger.vkey.text, created=1)
    return encode_entry(samples.entry(body)), samples


def test_what_the_key_holder_forges_is_read_alike(tmp_path):
    forger = Forger(tmp_path / "forged")
    genesis, samples = _genesis(forger)
    good = [genesis, *(encode_entry(samples.entry(body)) for body in samples.ground())]
    assert forger.publish(good)[:2] == (0, 0)
    last = good[-1]
    salt = last.index(b'"salt":"')
    forgeries = {
        "unsorted keys": (last.replace(b'{"at":', b'{"x":1,"at":'), 3),
        "white space": (last.replace(b'{"at":', b'{ "at":'), 3),
        "float": (last.replace(b'"at":1795500000000000', b'"at":1795500000000000.5'), 3),
        "null": (last.replace(b'"separate":false', b'"separate":null'), 3),
        "other version": (last.replace(b'"v":1}', b'"v":2}'), 5),
        "other kind": (last.replace(b"consent_granted", b"consent_dreamed"), 5),
        "a name in it": (last.replace(b'"notice":"n-1"', b'"notice":"Lin Xiaoman"'), 3),
        "field missing": (last.replace(b'"notice":"n-1",', b""), 3),
        "salt cut": (last[: salt + 8] + last[salt + 9 :], 3),
        "two genesis entries": (genesis, 3),
    }
    for name, (data, code) in forgeries.items():
        first, second, out = forger.publish([*good[:-1], data])
        assert (first, second) == (code, code), f"{name}: {out}"


def test_conservation_is_counted_and_its_breaks_are_named(tmp_path):
    forger = Forger(tmp_path / "forged")
    genesis, s = _genesis(forger)
    at = s.T0 + 100 * s.SECOND
    decided = DecisionBody(
        request=s.ref(20), facts=s.facts(), policy=s.POLICY, effect=Effect.PERMIT, rules=1, reasons=(),
        lease=at + 5 * s.SECOND, decision=s.ref(30), reservation=s.ref(21), expires=at + 60 * s.SECOND,
    )  # fmt: skip
    sent = HandoverBody(
        reservation=s.ref(21), request=s.ref(20), channel="outbox", outcome=Outcome.ACCEPTED, attempted_at=at + 1
    )
    ground = [genesis, *(encode_entry(s.entry(body)) for body in s.ground())]

    def code(*bodies):
        return forger.publish([*ground, *(encode_entry(s.entry(body)) for body in bodies)])[1:]

    assert code(decided, sent)[0] == 0
    assert "handover: accepted" in code(decided, sent)[1]
    assert code(sent)[0] == 4
    assert code(decided, sent, sent)[0] == 4
    assert code(decided, sent, decided)[0] == 4
    assert code(decided, attrs.evolve(sent, request=s.ref(22)))[0] == 4
    assert code(decided, attrs.evolve(sent, attempted_at=at + 5 * s.SECOND))[0] == 4


@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=80), bit=st.integers(0, 511))
def test_its_ed25519_agrees_with_openssl(seed, message, bit):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert reader.ed25519(public, signature, message)
    bad = bytearray(signature)
    bad[bit // 8] ^= 1 << bit % 8
    assert not reader.ed25519(public, bytes(bad), message)
    assert not reader.ed25519(public, signature, message + b"x")


def test_bundles_are_read_alike():
    entries = [b"a", b"", b"c" * 300]
    assert reader.bundle(encode_bundle(entries), 3) == (entries, "")
    assert reader.bundle(encode_bundle(entries), 2)[1]
    assert reader.bundle(encode_bundle(entries)[:-1], 3)[1]
