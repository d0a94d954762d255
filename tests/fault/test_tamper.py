"""Whatever is done to an exported log, the verifier names it, ends, and never raises (P5, P7)."""

import base64
import json
import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from carelink.audit import checkpoint as forms
from carelink.audit.fetcher import NodeKind
from carelink.audit.findings import MAX_LISTED, FindingCode, Judgement, Report
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.audit.tiles import TileName, encode_bundle, split_bundle, tile_files
from carelink.audit.verify import verify
from carelink.errors import StoreError
from carelink.model.moment import Instant
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.logfolder import LogFolder

pytestmark = pytest.mark.fault

ORIGIN = "log.example/clinic"
Files = dict[str, bytes]


def check(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


class Signer:
    def __init__(self, name: str = ORIGIN, seed: int = 1) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = forms.VerifierKey(name, forms.ED25519, self._private.public_key().public_bytes_raw())
        self.name, self.key_id = name, self.key.key_id
        self.verifier = forms.NoteVerifier(self.key, check)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


LOG = Signer()


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def entry(index: int, salt: int = 0) -> bytes:
    code = base64.urlsafe_b64encode(index.to_bytes(8, "big") + salt.to_bytes(8, "big")).decode().rstrip("=")
    if index == 0:
        body: dict[str, object] = {
            "origin": ORIGIN, "tenant": "0" * 32, "log_key": LOG.key.text, "form": "carelink-log/1", "created": 1,
        }  # fmt: skip
        kind = "genesis"
    else:
        kind, body = "mode", {"mode": "sandbox", "by": f"{index:032x}"}
    return canonical({"at": 1_790_000_000_000_000 + index, "body": body, "kind": kind, "salt": code, "v": 1})


class Memory:
    """A log in memory, with whatever else lies there."""

    def __init__(self, files: Files, others: Iterable[str] = ()) -> None:
        self.files, self.others = files, frozenset(others)

    def read(self, path: str, limit: int) -> bytes | None:
        data = self.files.get(path)
        return None if data is None else data[: limit + 1]

    def names(self, folder: str) -> Iterator[tuple[str, NodeKind]]:
        start = f"{folder}/" if folder else ""
        seen: dict[str, NodeKind] = {}
        for path in (*self.files, *self.others):
            if path.startswith(start):
                name, below, _ = path[len(start) :].partition("/")
                kind = NodeKind.OTHER if path in self.others else NodeKind.FILE
                seen[name] = NodeKind.FOLDER if below else kind
        yield from seen.items()


def tree(entries: list[bytes]) -> Files:
    files: Files = {}
    files.update(tile_files(0, entries, files.get))
    return files


def head(entries: list[bytes], signer: Signer = LOG, origin: str = ORIGIN) -> bytes:
    root = Frontier().append_many(map(leaf_hash, entries)).root()
    return forms.sign_checkpoint(forms.Checkpoint(origin, len(entries), root), [signer]).to_bytes()


def log_of(entries: list[bytes], *history: int) -> Files:
    files = tree(entries) | {"checkpoint": head(entries)}
    return files | {f"checkpoints/{size}": head(entries[:size]) for size in (*history, len(entries))}


def judge(files: Files, *, key: str = LOG.key.text, others: Iterable[str] = (), **more: object) -> Report:
    report = verify(Memory(files, others), vkey=key, check_signature=check, **more)
    assert all(line.isprintable() for line in report.lines())
    return report


def codes(report: Report) -> set[FindingCode]:
    return {finding.code for finding in report.findings}


ENTRIES = [entry(index) for index in range(20)]
BIG = [entry(index) for index in range(300)]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Files:
    """An export of 20 entries, published in three steps, as an auditor receives it."""
    path = tmp_path_factory.mktemp("tamper")
    folder = LogFolder(path / "log")
    for first, last in ((0, 7), (7, 12), (12, 20)):
        folder.publish(
            iter(ENTRIES[first:last]), start=first, end=last, signers=[LOG], verifier=LOG.verifier, at=Instant(1)
        )
    folder.export(path / "export")
    root = path / "export"
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in root.rglob("*") if file.is_file()}


def test_an_untouched_export_is_verified(export: Files) -> None:
    report = judge(export)
    assert (report.judgement, report.exit_code) == (Judgement.OK, 0), report.lines()
    assert (report.size, report.checked, report.history, report.findings) == (20, 20, 3, ())
    assert report.lines()[-1] == "VERIFIED"
    assert report.tier == "signed"


def flip(files: Files, path: str, at: int, bit: int) -> Files:
    data = bytearray(files[path])
    data[at] ^= 1 << bit
    return files | {path: bytes(data)}


def assert_named(report: Report, path: str) -> None:
    assert report.exit_code == 3, report.lines()
    where = {finding.path for finding in report.findings}
    told = " ".join(str(finding) for finding in report.findings)
    assert path in where or path in told, report.lines()


def evidence(files: Files) -> list[str]:
    """The files that are evidence: the README explains, and says itself that it is not signed."""
    return sorted(path for path in files if path != "README.md")


def test_a_flipped_bit_in_any_byte_is_named(export: Files) -> None:
    """One bit of every byte of every file, drawn by seed; the slow test takes all eight."""
    draw = random.Random(20261124)
    for path in evidence(export):
        for at in range(len(export[path])):
            assert_named(judge(flip(export, path, at, draw.randrange(8))), path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_every_flipped_bit_is_named(export: Files) -> None:
    for path in evidence(export):
        for at in range(len(export[path])):
            for bit in range(8):
                assert_named(judge(flip(export, path, at, bit)), path)


def test_a_flipped_bit_of_an_entry_names_that_entry() -> None:
    files = log_of(BIG)
    for path, base, entries in (("tile/entries/000", 0, BIG[:256]), ("tile/entries/001.p/44", 256, BIG[256:])):
        at = 0
        for offset, data in enumerate(entries):
            report = judge(flip(files, path, at + 2 + len(data) // 2, 0))
            assert (FindingCode.LEAF, path, base + offset) in [
                (finding.code, finding.path, finding.index) for finding in report.findings
            ]
            at += 2 + len(data)


def test_a_flipped_length_names_the_bundle_and_the_entry() -> None:
    files = log_of(ENTRIES)
    path = "tile/entries/000.p/20"
    report = judge(flip(files, path, 2 + len(ENTRIES[0]) + 1, 0))
    assert report.exit_code == 3
    assert ("tile/entries/000.p/20", 1) in [(finding.path, finding.index) for finding in report.findings]


def test_a_changed_hash_is_laid_to_the_tile_when_the_entries_are_as_signed() -> None:
    files = log_of(BIG)
    report = judge(flip(files, "tile/0/000", 32 * 7, 3))
    assert [(each.code, each.path, each.index) for each in report.findings] == [(FindingCode.TILE, "tile/0/000", 7)]
    report = judge(flip(files, "tile/1/000.p/1", 0, 0))
    assert [(each.code, each.path) for each in report.findings] == [(FindingCode.TILE, "tile/1/000.p/1")]


Change = Callable[[list[bytes]], list[bytes]]


def changes(count: int) -> Iterator[tuple[str, int, list[bytes]]]:
    for at in range(count):
        yield "removed", at, [*ENTRIES[:at], *ENTRIES[at + 1 :]]
        yield "duplicated", at, [*ENTRIES[: at + 1], *ENTRIES[at:]]
        if at + 1 < count:
            yield "swapped", at, [*ENTRIES[:at], ENTRIES[at + 1], ENTRIES[at], *ENTRIES[at + 2 :]]
        yield "replaced", at, [*ENTRIES[:at], entry(at, salt=1), *ENTRIES[at + 1 :]]
    yield "appended", count, [*ENTRIES, entry(count)]


def test_each_entry_removed_swapped_duplicated_replaced_or_appended_is_named() -> None:
    """In the bundle alone; in the bundle and the tiles; and with all files named after the new number."""
    files = log_of(ENTRIES, 7)
    path = "tile/entries/000.p/20"
    for what, at, changed in changes(len(ENTRIES)):
        report = judge(files | {path: encode_bundle(changed)})
        assert report.exit_code == 3, what
        found = [finding.index for finding in report.findings if finding.path == path]
        first = at + 1 if what == "duplicated" else at
        assert found[:1] == [first], (what, at, report.lines())
        wrong_tree = {name: data for name, data in files.items() if not name.startswith("tile/")} | tree(changed)
        report = judge(wrong_tree)
        assert report.exit_code == 3, what
        assert codes(report) & {FindingCode.ROOT, FindingCode.BUNDLE_MISSING}, report.lines()


def test_entries_and_tiles_rewritten_together_miss_the_signed_root() -> None:
    for at in range(20):
        forged = [*ENTRIES[:at], entry(at, salt=1), *ENTRIES[at + 1 :]]
        report = judge(tree(forged) | {"checkpoint": head(ENTRIES)})
        assert [(each.code, each.path) for each in report.findings] == [(FindingCode.ROOT, "checkpoint")]
        assert report.exit_code == 3


def test_rewriting_and_signing_again_is_seen_exactly_up_to_what_is_remembered() -> None:
    """Whoever holds the key can rewrite what nobody remembers: asserted too, so that no report overclaims."""
    for remembered in (1, 7, 19, 20):
        since = head(ENTRIES[:remembered])
        for at in range(1, 20):
            forged = [*ENTRIES[:at], entry(at, salt=1), *ENTRIES[at + 1 :]]
            report = judge(log_of(forged), since=since)
            if at < remembered:
                assert report.exit_code == 3
                assert codes(report) == {FindingCode.FORK}
                assert report.evidence == (since, head(forged))
                assert report.since is None
            else:
                assert report.judgement is Judgement.OK
                assert report.since == remembered
                assert report.tier == "remembered"
        assert judge(log_of(forged)).judgement is Judgement.OK
        assert judge(log_of(forged)).tier == "signed"


def test_a_log_signed_again_contradicts_the_earlier_checkpoints_in_the_folder() -> None:
    forged = [*ENTRIES[:3], entry(3, salt=1), *ENTRIES[4:]]
    files = log_of(forged) | {"checkpoints/7": head(ENTRIES[:7]), "checkpoints/2": head(ENTRIES[:2])}
    report = judge(files)
    assert [(each.code, each.path) for each in report.findings] == [(FindingCode.FORK, "checkpoints/7")]
    assert report.evidence == (head(ENTRIES[:7]), head(forged))
    assert report.history == 2


def test_changed_bytes_are_not_called_a_fork() -> None:
    files = log_of(ENTRIES, 7)
    path = "tile/entries/000.p/20"
    report = judge(flip(files, path, 300, 0), since=head(ENTRIES[:7]))
    assert FindingCode.FORK not in codes(report)
    assert report.evidence == ()


def test_a_log_set_back_is_seen_with_what_is_remembered_and_with_what_it_left_behind() -> None:
    report = judge(log_of(ENTRIES[:12]), since=head(ENTRIES))
    assert codes(report) == {FindingCode.ROLLBACK}
    assert report.evidence == (head(ENTRIES), head(ENTRIES[:12]))
    assert codes(judge(log_of(ENTRIES[:19]), since=head(ENTRIES))) == {FindingCode.ROLLBACK}
    left = log_of(ENTRIES[:12]) | {"checkpoints/20": head(ENTRIES)}
    report = judge(left)
    assert codes(report) == {FindingCode.ROLLBACK}
    assert len(report.evidence) == 2
    assert judge(log_of(ENTRIES[:12])).judgement is Judgement.OK, "nothing in the folder alone can show it"


def test_truncation_at_any_length_is_named(export: Files) -> None:
    draw = random.Random(7)
    for path in evidence(export):
        lengths = {0, 1, len(export[path]) - 1, *(draw.randrange(len(export[path])) for _ in range(40))}
        for length in lengths:
            assert_named(judge(export | {path: export[path][:length]}), path)


def test_surplus_bytes_in_any_file_are_named(export: Files) -> None:
    for path in evidence(export):
        for more in (b"\0", b"\n", bytes(32), bytes(20_000)):
            assert_named(judge(export | {path: export[path] + more}), path)


def test_a_removed_file_is_named_or_leaves_nothing_to_judge(export: Files) -> None:
    for path in evidence(export):
        report = judge({name: data for name, data in export.items() if name != path})
        if path == "checkpoint":
            assert report.exit_code == 5
            assert codes(report) == {FindingCode.CHECKPOINT_MISSING}
        elif path.startswith("checkpoints/"):
            assert report.judgement is Judgement.OK, (
                "an earlier checkpoint adds to the evidence, its absence takes none"
            )
        else:
            assert_named(report, path)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/001",
        "tile/0/000.p/19",
        "tile/0/000.p/020",
        "tile/0/000.p/21",
        "tile/00/000.p/20",
        "tile/0/0000.p/20",
        "tile/entries/000",
        "tile/entries/000.p/256",
        "tile/entries/x000/001",
        "tile/1/000.p/1",
        "tile/9/000",
        "tile/hidden",
        "tile/0/.000.tmp",
        "checkpoints/020",
        "checkpoints/latest",
        "checkpoints/7/8",
        "notes.txt",
        "tiles/0/000",
        "\x1b[2Jspoof",
        "tile/" + "x001/" * 30 + "000",
    ],
)
def test_a_file_that_does_not_belong_is_named(path: str) -> None:
    report = judge(log_of(ENTRIES) | {path: b"data"})
    assert codes(report) == {FindingCode.SURPLUS}
    assert report.exit_code == 3


@pytest.mark.parametrize("path", ["pipe", "tile/0/link", "checkpoints/9", "tile/entries/x001/000"])
def test_a_link_or_device_is_named(path: str) -> None:
    report = judge(log_of(ENTRIES), others=[path])
    assert codes(report) == {FindingCode.SURPLUS}


def test_another_log_and_another_key_are_named() -> None:
    files = log_of(ENTRIES)
    foreign = Signer(seed=2)
    assert codes(judge(files, key=foreign.key.text)) == {FindingCode.CHECKPOINT_SIGNATURE}
    assert judge(files, key=foreign.key.text).exit_code == 3
    resigned = files | {"checkpoint": head(ENTRIES, foreign)}
    assert judge(resigned).exit_code == 3
    other = files | {"checkpoint": head(ENTRIES, LOG, origin="other.example")}
    assert codes(judge(other)) == {FindingCode.CHECKPOINT_SIGNATURE}


def test_an_earlier_checkpoint_of_another_key_size_or_spelling_is_named() -> None:
    files = log_of(ENTRIES)
    for data in (
        head(ENTRIES[:7], Signer(seed=2)),
        head(ENTRIES[:6]),
        head(ENTRIES[:7], LOG, "other.example"),
        b"",
        b"x",
    ):
        report = judge(files | {"checkpoints/7": data})
        assert codes(report) == {FindingCode.HISTORY}
        assert [each.path for each in report.findings] == ["checkpoints/7"]


def test_another_spelling_of_the_same_signature_is_named() -> None:
    files = log_of(ENTRIES)
    note = files["checkpoint"]
    assert note.endswith(b"=\n")
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = note.rstrip(b"=\n")
    value = alphabet.index(text[-1:])
    same = [alphabet[each : each + 1] for each in range(64) if each >> 2 == value >> 2 and each != value]
    assert same
    for spelling in same:
        changed = text[:-1] + spelling + note[len(text) :]
        assert base64.b64decode(changed.split(b" ")[-1]) == base64.b64decode(note.split(b" ")[-1])
        assert codes(judge(files | {"checkpoint": changed})) == {FindingCode.CHECKPOINT_FORM}


def test_a_key_in_the_folder_cannot_be_judged_and_tampering_outranks_it() -> None:
    files = log_of(ENTRIES) | {"log.vkey": LOG.key.text.encode() + b"\n"}
    report = judge(files)
    assert codes(report) == {FindingCode.KEY_INSIDE}
    assert report.exit_code == 5
    assert judge(flip(files, "tile/0/000.p/20", 5, 1)).exit_code == 3


@pytest.mark.parametrize("key", ["", "nonsense", "a+b+c", LOG.key.text + "x", "a+00000000+" + "A" * 44])
def test_an_unusable_key_cannot_be_judged(key: str) -> None:
    report = judge(log_of(ENTRIES), key=key)
    assert report.exit_code == 5
    assert codes(report) == {FindingCode.KEY_FORM}


def test_an_unusable_remembered_checkpoint_cannot_be_judged() -> None:
    for since in (b"", b"junk", head(ENTRIES[:7], Signer(seed=2)), head(ENTRIES[:7], LOG, "other.example")):
        report = judge(log_of(ENTRIES), since=since)
        assert codes(report) == {FindingCode.SINCE_FORM}
        assert report.exit_code == 5


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{}",
        b"null",
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        b"9" * 60_000,
        ENTRIES[5] + b"\n",
        b" " + ENTRIES[5],
        ENTRIES[5].replace(b'"v":1', b'"v":1.0'),
        ENTRIES[5].replace(b'"v":1', b'"v":1,"v":1'),
        ENTRIES[5].replace(b'"v":1', b'"v":null'),
        canonical(dict(reversed(json.loads(ENTRIES[5]).items())))[:-1] + b',"zz":1}',
        ENTRIES[0],
    ],
)
def test_an_entry_in_any_other_than_its_one_form_is_named(bad: bytes) -> None:
    """Signed by the key's holder, so only the form can tell."""
    entries = [*ENTRIES[:5], bad, *ENTRIES[6:]]
    report = judge(log_of(entries))
    assert [(each.code, each.index) for each in report.findings] == [(FindingCode.ENTRY_FORM, 5)]
    assert report.exit_code == 3


def test_a_log_that_does_not_begin_with_its_own_genesis_is_named() -> None:
    for first in (entry(1), ENTRIES[0].replace(ORIGIN.encode(), b"other.example/clin")):
        report = judge(log_of([first, *ENTRIES[1:]]))
        assert [(each.code, each.index) for each in report.findings] == [(FindingCode.ENTRY_FORM, 0)]


def test_an_entry_of_an_unknown_version_cannot_be_judged() -> None:
    later = ENTRIES[5].replace(b'"v":1', b'"v":2')
    report = judge(log_of([*ENTRIES[:5], later, *ENTRIES[6:]]))
    assert [(each.code, each.index) for each in report.findings] == [(FindingCode.ENTRY_VERSION, 5)]
    assert report.exit_code == 5


def test_many_defects_are_counted_and_the_scan_ends() -> None:
    """A head of 2**62 entries over one bundle must not be walked to its end."""
    huge = forms.sign_checkpoint(forms.Checkpoint(ORIGIN, 2**62, bytes(32)), [LOG]).to_bytes()
    report = judge(log_of(ENTRIES) | {"checkpoint": huge})
    assert report.exit_code == 3
    assert codes(report) == {FindingCode.BUNDLE_MISSING, FindingCode.TILE_MISSING}
    zeros = forms.sign_checkpoint(forms.Checkpoint(ORIGIN, 2**62, bytes(32)), [LOG]).to_bytes()

    class Endless(Memory):
        def read(self, path: str, limit: int) -> bytes | None:
            return zeros if path == "checkpoint" else bytes(limit + 1)[: limit + 1]

    report = verify(Endless({}), vkey=LOG.key.text, check_signature=check)
    assert report.exit_code == 3
    assert len(report.findings) <= MAX_LISTED


def test_many_stray_files_are_counted() -> None:
    files = log_of(ENTRIES) | {f"stray{index}": b"" for index in range(1000)}
    report = judge(files)
    assert report.exit_code == 3
    assert len(report.findings) <= MAX_LISTED


def test_tampering_behind_a_hundred_open_questions_is_still_found() -> None:
    later = [data.replace(b'"v":1', b'"v":2') for data in BIG[1:]]
    files = log_of([BIG[0], *later])
    assert judge(files).exit_code == 5
    report = judge(flip(files, "tile/entries/001.p/44", 1000, 0))
    assert report.exit_code == 3
    assert report.unlisted > 0
    assert any(each.judgement is Judgement.TAMPERED for each in report.findings)


def test_a_medium_that_fails_cannot_be_judged() -> None:
    class Failing(Memory):
        def read(self, path: str, limit: int) -> bytes | None:
            if path.startswith("tile/entries"):
                raise StoreError("a file of the log cannot be read")
            return super().read(path, limit)

    report = verify(Failing(log_of(ENTRIES)), vkey=LOG.key.text, check_signature=check)
    assert report.exit_code == 5
    assert codes(report) == {FindingCode.UNREADABLE}


def test_a_log_at_work_is_verified_up_to_its_head() -> None:
    """While a writer is at work, what lies beyond the head is no finding; what lies below still is."""
    files = log_of(BIG[:200]) | {name: data for name, data in tree(BIG).items() if not name.startswith("checkpoint")}
    files |= {"tile/0/.001.tmp": b"", "checkpoints/300": head(BIG), "checkpoints/.300.tmp": b""}
    assert judge(files, strict=False).judgement is Judgement.OK
    assert judge(files).exit_code == 3
    swept = {name: data for name, data in files.items() if "000.p/200" not in name}
    assert judge(swept, strict=False).judgement is Judgement.OK
    assert judge(flip(swept, "tile/entries/000", 1000, 0), strict=False).exit_code == 3


def test_an_earlier_partial_tile_must_be_the_beginning_of_todays() -> None:
    files = log_of(ENTRIES, 7) | tree(ENTRIES[:7])
    assert judge(files).judgement is Judgement.OK
    for path in ("tile/0/000.p/7", "tile/entries/000.p/7"):
        for at in (0, 2, len(files[path]) - 1):
            assert_named(judge(flip(files, path, at, 0)), path)
        assert_named(judge(files | {path: files[path][:-1]}), path)
        assert_named(judge(files | {path: files[path] + b"\0"}), path)


def test_a_changed_hash_of_a_higher_level_is_named() -> None:
    """65,537 entries have full tiles of two levels and a third above them."""
    entries = [b"%d" % index for index in range(65_537)]
    files = log_of(entries, 65_535, 65_536)
    unformed = {"check_entry": lambda *_: None}
    assert judge(files, **unformed).judgement is Judgement.OK
    assert judge(files, **unformed).history == 3
    for path, at in (("tile/1/000", 32 * 200), ("tile/2/000.p/1", 3), ("tile/0/256.p/1", 0), ("tile/0/137", 8191)):
        report = judge(flip(files, path, at, 2), **unformed)
        assert [(each.code, each.path) for each in report.findings] == [(FindingCode.TILE, path)]
        assert_named(judge({name: data for name, data in files.items() if name != path}, **unformed), path)
    assert "entries from 51200 to 51455" in judge(flip(files, "tile/1/000", 32 * 200, 2), **unformed).lines()[-2]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257])
def test_logs_of_every_shape_verify_and_report_their_progress(size: int) -> None:
    entries = BIG[:size]
    seen: list[tuple[int, int]] = []
    report = judge(
        log_of(entries), since=head(entries[: size // 2]), progress=lambda done, total: seen.append((done, total))
    )
    assert report.judgement is Judgement.OK, report.lines()
    assert report.since == size // 2
    assert seen == [(min(done + 256, size), size) for done in range(0, size, 256)]


def test_random_damage_never_raises_and_never_passes(export: Files) -> None:
    draw = random.Random(11)
    names = evidence(export)
    for _ in range(300):
        files = dict(export)
        for _ in range(draw.randrange(1, 4)):
            path = draw.choice(names)
            data = bytearray(files[path])
            at = draw.randrange(len(data) + 1)
            data[at : at + draw.randrange(4)] = draw.randbytes(draw.randrange(1, 6))
            files[path] = bytes(data)
        if files != export:
            assert judge(files).exit_code in (3, 5)


def test_two_exchanged_files_are_named(export: Files) -> None:
    names = evidence(export)
    for one in names:
        for other in names:
            if one < other and export[one] != export[other]:
                assert judge(export | {one: export[other], other: export[one]}).exit_code in (3, 5)


def test_tampering_on_disk_is_named_as_in_memory(export: Files, tmp_path: Path) -> None:
    for path, data in export.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    key = LOG.key.text
    assert verify(FolderFetcher(tmp_path), vkey=key, check_signature=check).judgement is Judgement.OK
    bundle = tmp_path / TileName(-1, 0, 20).path
    entries, _ = split_bundle(bundle.read_bytes(), 20)
    entries[3], entries[4] = entries[4], entries[3]
    bundle.write_bytes(encode_bundle(entries))
    report = verify(FolderFetcher(tmp_path), vkey=key, check_signature=check)
    assert {finding.index for finding in report.findings if finding.code is FindingCode.LEAF} == {3, 4}
    bundle.unlink()
    bundle.symlink_to("/dev/zero")
    report = verify(FolderFetcher(tmp_path), vkey=key, check_signature=check)
    assert {FindingCode.BUNDLE_MISSING, FindingCode.SURPLUS} <= codes(report)
    shutil.rmtree(tmp_path / "tile")
    assert verify(FolderFetcher(tmp_path), vkey=key, check_signature=check).exit_code == 3
