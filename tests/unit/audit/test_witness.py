"""Witnesses: what they accept and refuse, what a verifier demands of them, and forks that only two of them can show."""

from __future__ import annotations

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from carelink.audit.checkpoint import (
    COSIGNATURE_V1,
    ED25519,
    Checkpoint,
    NoteVerifier,
    SignedNote,
    VerifierKey,
    parse_signed_checkpoint,
    sign_checkpoint,
    verify_cosignature,
)
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.audit.proof import prove_consistency
from carelink.audit.verify import verify
from carelink.audit.witness import Same, accept, compare, cosign, cosigners, merge
from carelink.cli.main import main
from carelink.errors import CannotJudgeError, ConflictError, FormatError, TamperedError
from carelink.home import init
from carelink.keys.folder import KeyFolder
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder

check = KeyFolder.check_signature


class Signer:
    def __init__(self, name, seed, kind=ED25519):
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = VerifierKey(name, kind, self._key.public_key().public_bytes_raw())
        self.name, self.key_id, self.sign = name, self.key.key_id, self._key.sign
        self.verifier = NoteVerifier(self.key, check)


LOG = Signer("log.example/clinic", 1)
OFFICE, PARTNER = (Signer(f"witness.example/{n}", n, COSIGNATURE_V1) for n in (2, 3))


class Tree:
    """A log of numbered leaves; `fork` says from which index on it tells another story."""

    def __init__(self, fork=10**9):
        self.leaves = [leaf_hash(b"%d%s" % (n, b"x" if n >= fork else b"")) for n in range(600)]

    def head(self, size):
        root = Frontier().append_many(self.leaves[:size]).root()
        return sign_checkpoint(Checkpoint(LOG.name, size, root), [LOG])

    def request(self, old, size):
        def subtree(level, index):
            hashes = self.leaves[index << level : (index + 1) << level]
            return Frontier().append_many(hashes).root()

        return prove_consistency(old, self.head(size), subtree).to_bytes()


GOOD = Tree()


@pytest.mark.parametrize(("old", "size"), [(0, 1), (0, 300), (1, 2), (255, 256), (256, 257), (300, 300), (17, 599)])
def test_a_head_that_extends_what_is_remembered_is_accepted(old, size):
    remembered = GOOD.head(old).to_bytes() if old else None
    assert accept(GOOD.request(old, size), remembered, LOG.verifier) == GOOD.head(size)


def test_a_rollback_is_named():
    with pytest.raises(TamperedError, match="rollback: the log was set back from 300 entries to 200"):
        accept(GOOD.request(100, 200), GOOD.head(300).to_bytes(), LOG.verifier)


def test_a_fork_is_named_at_the_same_size_and_beyond_it():
    other = Tree(fork=150)
    with pytest.raises(TamperedError, match="fork: two heads of 300 entries"):
        accept(other.request(300, 300), GOOD.head(300).to_bytes(), LOG.verifier)
    with pytest.raises(TamperedError, match="fork: the head of 400 entries does not continue the one of 300"):
        accept(other.request(300, 400), GOOD.head(300).to_bytes(), LOG.verifier)


def test_a_request_from_another_size_is_put_off_and_says_which():
    with pytest.raises(ConflictError) as caught:
        accept(GOOD.request(200, 400), GOOD.head(300).to_bytes(), LOG.verifier)
    assert "300" in caught.value.hint


def test_a_head_of_somebody_else_is_refused():
    stranger = Signer(LOG.name, 9)
    with pytest.raises(TamperedError):
        accept(GOOD.request(0, 5), None, stranger.verifier)
    with pytest.raises(FormatError):
        accept(b"old 0\n", None, LOG.verifier)


def test_a_cosignature_is_merged_once_and_verifies():
    head = GOOD.head(20)
    answer = cosign(head, OFFICE, 1_800_000_000).to_bytes()
    merged, seconds = merge(head.to_bytes(), answer, OFFICE.verifier)
    assert seconds == verify_cosignature(merged.note, OFFICE.verifier) == 1_800_000_000
    assert len(merge(merged.to_bytes(), answer, OFFICE.verifier)[0].note.signatures) == 2
    LOG.verifier.open(merged.note)
    both, _ = merge(merged.to_bytes(), cosign(head, PARTNER, 1_800_000_001).to_bytes(), PARTNER.verifier)
    assert cosigners(both.note, [OFFICE.verifier, PARTNER.verifier, OFFICE.verifier]) == {
        OFFICE.name: 1_800_000_000,
        PARTNER.name: 1_800_000_001,
    }


def test_what_a_witness_did_not_sign_is_not_merged():
    head, answer = GOOD.head(20), cosign(GOOD.head(20), OFFICE, 5)
    with pytest.raises(CannotJudgeError):
        merge(GOOD.head(21).to_bytes(), answer.to_bytes(), OFFICE.verifier)
    with pytest.raises(CannotJudgeError):
        merge(head.to_bytes(), answer.to_bytes(), PARTNER.verifier)
    with pytest.raises(FormatError):
        merge(head.to_bytes(), answer.to_bytes(), LOG.verifier)
    line = answer.signatures[0]
    forged = SignedNote(answer.text, (type(line)(line.name, line.key_id, bytes(8) + line.blob[8:]),))
    with pytest.raises(TamperedError):
        merge(head.to_bytes(), forged.to_bytes(), OFFICE.verifier)


def test_two_witnesses_see_a_fork_that_neither_sees_alone():
    """Each was shown its own story from the start, so each accepted; side by side their heads contradict each other."""
    other = Tree(fork=150)
    left = accept(GOOD.request(0, 300), None, LOG.verifier)
    right = accept(other.request(0, 300), None, LOG.verifier)
    (found,) = compare([left.to_bytes(), right.to_bytes()], LOG.verifier)
    assert found.verdict is Same.FORK
    assert found.evidence == (left.to_bytes(), right.to_bytes())
    (same,) = compare([left.to_bytes(), GOOD.head(300).to_bytes()], LOG.verifier)
    assert same.verdict is Same.EQUAL
    (unlike,) = compare([left.to_bytes(), GOOD.head(200).to_bytes()], LOG.verifier)
    assert unlike.verdict is Same.OPEN


# -- on the command line, from end to end ------------------------------------------------------------------------------


@pytest.fixture
def places(tmp_path):
    home = tmp_path / "home"
    with init(home, zone="Asia/Shanghai", synthetic=True) as link:
        link.register(identifier="1", email="a@example.invalid")
        link.publish()
        key = link.key.text
    return home, key, tmp_path


def run(*words, code=0):
    assert main([str(word) for word in words]) == code, words


def round_trip(places, name, *, code=0):
    """Request, cosign, accept; the witness's key line."""
    home, key, tmp = places
    folder = tmp / name
    if not folder.exists():
        run("witness", "init", folder, "--name", f"witness.example/{name}")
    vkey = VerifierKey(
        f"witness.example/{name}", COSIGNATURE_V1,
        Ed25519PrivateKey.from_private_bytes((folder / "witness.key").read_bytes()).public_key().public_bytes_raw(),
    ).text  # fmt: skip
    run("--home", home, "witness", "request", "--witness", vkey, "-o", tmp / "request")
    run("witness", "cosign", folder, tmp / "request", "--log", key, "-o", tmp / "answer", code=code)
    if not code:
        run("--home", home, "witness", "accept", tmp / "answer", "--witness", vkey)
    return vkey


@pytest.mark.integration
def test_store_and_forward_by_files(places, capsys):
    home, key, tmp = places
    office, partner = round_trip(places, "office"), round_trip(places, "partner")
    run("--home", home, "audit", "export", tmp / "export")
    run("audit", "verify", tmp / "export", "--key", key, "--witness", office, "--require-witness", 1)
    assert "witnessed" in capsys.readouterr().out
    # Each accepted answer is an entry, so the heads the two cosigned differ: no one checkpoint has both signatures.
    both = ("--witness", office, "--witness", partner, "--require-witness", 2)
    run("audit", "verify", tmp / "export", "--key", key, *both, code=5)
    run("audit", "verify", tmp / "export", "--key", key, "--require-witness", 1, code=5)
    run("audit", "replay", tmp / "export", "--key", key)
    run("witness", "show", tmp / "office")
    assert "remembers" in capsys.readouterr().out


@pytest.mark.integration
def test_two_witnesses_of_the_same_head(places):
    home, key, tmp = places
    keys = {}
    for name in ("office", "partner"):
        run("witness", "init", tmp / name, "--name", f"witness.example/{name}")
        seed = Ed25519PrivateKey.from_private_bytes((tmp / name / "witness.key").read_bytes())
        keys[name] = VerifierKey(f"witness.example/{name}", COSIGNATURE_V1, seed.public_key().public_bytes_raw()).text
    run("--home", home, "witness", "request", "--witness", keys["office"], "-o", tmp / "request")
    for name in keys:
        run("witness", "cosign", tmp / name, tmp / "request", "--log", key, "-o", tmp / f"{name}.answer")
    for name, vkey in keys.items():
        run("--home", home, "witness", "accept", tmp / f"{name}.answer", "--witness", vkey)
    run("--home", home, "audit", "export", tmp / "export")
    both = [word for vkey in keys.values() for word in ("--witness", vkey)]
    run("audit", "verify", tmp / "export", "--key", key, *both, "--require-witness", 2)
    heads = [next((tmp / name / "heads").glob("?" * 64)) for name in keys]
    run("witness", "compare", *heads, "--log", key)


@pytest.mark.integration
def test_a_log_set_back_is_refused_by_its_witness_and_by_who_verifies(places, capsys):
    """The whole machine restored from a backup, log and key folder and all: only the witness shows it."""
    home, key, tmp = places
    shutil.copytree(home, tmp / "backup")
    office = round_trip(places, "office")
    round_trip(places, "office")
    assert isinstance(office, str)
    shutil.rmtree(home)
    shutil.copytree(tmp / "backup", home)
    folder = tmp / "office"
    run("--home", home, "witness", "request", "--witness", office, "--from", 1, "-o", tmp / "request")
    capsys.readouterr()
    evidence = tmp / "evidence"
    run("witness", "cosign", folder, tmp / "request", "--log", key, "-o", tmp / "no", "--evidence", evidence, code=3)
    assert "rollback" in capsys.readouterr().err
    assert not (tmp / "no").exists()
    remembered = next((folder / "heads").glob("?" * 64))
    assert remembered.read_bytes() in evidence.read_bytes()
    # An auditor who was given the witness's head sees it too.
    run("--home", home, "audit", "export", tmp / "export")
    run("audit", "verify", tmp / "export", "--key", key, "--since", remembered, code=3)


@pytest.mark.integration
def test_a_changed_cosignature_is_named(places):
    home, key, tmp = places
    office = round_trip(places, "office")
    run("--home", home, "audit", "export", tmp / "export")
    log = LogFolder(tmp / "export")
    size = next(
        int(name) for name, _ in log.fetcher.names("checkpoints") if len(log.earlier(int(name)).note.signatures) == 2
    )
    path = tmp / "export" / "checkpoints" / str(size)
    note = parse_signed_checkpoint(path.read_bytes()).note
    last = note.signatures[-1]
    blob = last.blob[:20] + bytes([last.blob[20] ^ 1]) + last.blob[21:]
    spoiled = SignedNote(note.text, (note.signatures[0], type(last)(last.name, last.key_id, blob)))
    path.write_bytes(spoiled.to_bytes())
    report = verify(
        FolderFetcher(tmp / "export"), vkey=key, check_signature=check, witnesses=[office], require_witness=1
    )
    assert report.exit_code == 3
    assert {finding.code for finding in report.findings} >= {"witness"}


@pytest.mark.integration
def test_an_unusable_witness_key_cannot_judge(places):
    home, key, tmp = places
    run("--home", home, "audit", "export", tmp / "export")
    for bad in (key, "nonsense"):
        report = verify(FolderFetcher(tmp / "export"), vkey=key, check_signature=check, witnesses=[bad])
        assert report.exit_code == 5
