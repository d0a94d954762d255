"""The verifier's report, and the golden log: a folder of the first version that must verify for ever."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from carelink.audit.findings import MAX_LISTED, Finding, FindingCode, Findings, Judgement, Report, shown
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.audit.tiles import read_entries
from carelink.audit.verify import verify
from carelink.stores.folder_fetcher import FolderFetcher

GOLDEN = Path(__file__).parent / "golden_log"
GOLDEN_KEY = "log.example/clinic+2f54bb94+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
GOLDEN_ROOT = "2eefb4596241a65ad9457db1bafad975f005516fe561ae99da65203810446caf"


def check(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def test_the_golden_log_verifies() -> None:
    since = (GOLDEN / "checkpoints" / "7").read_bytes()
    report = verify(FolderFetcher(GOLDEN), vkey=GOLDEN_KEY, check_signature=check, since=since)
    assert report.judgement is Judgement.OK, report.lines()
    assert (report.size, report.checked, report.history, report.since) == (20, 20, 3, 7)
    assert report.root is not None
    assert report.root.hex() == GOLDEN_ROOT


def test_the_golden_root_is_that_of_its_entries() -> None:
    fetch = FolderFetcher(GOLDEN)
    entries = [data for _, data in read_entries(lambda path: fetch.read(path, 1 << 24), 20)]
    assert Frontier().append_many(map(leaf_hash, entries)).root().hex() == GOLDEN_ROOT
    assert hashlib.sha256(b"\x00" + entries[0]).digest() == (GOLDEN / "tile/0/000.p/20").read_bytes()[:32]


def test_the_report_reads_as_text() -> None:
    report = verify(FolderFetcher(GOLDEN), vkey=GOLDEN_KEY, check_signature=check)
    lines = report.lines()
    assert lines[0] == "origin    log.example/clinic   key 2f54bb94"
    assert lines[1] == "key       SHA-256 01efc2ff7f8756da9cf19d4c30201d32d38d4934e4427f7109be71c694165d54"
    assert lines[2].startswith("head      20 entries   ")
    assert lines[3] == "newest    entry written 2026-09-21T14:13:20Z by the clock of the hospital"
    assert lines[4] == "bytes     20 entries hashed, 3 earlier checkpoints reproduced"
    assert lines[-1] == "VERIFIED"


@pytest.mark.parametrize(
    ("judgements", "exit_code"),
    [
        ([], 0),
        ([Judgement.DIVERGED], 4),
        ([Judgement.CANNOT_JUDGE], 5),
        ([Judgement.CANNOT_JUDGE, Judgement.DIVERGED], 5),
        ([Judgement.TAMPERED, Judgement.CANNOT_JUDGE, Judgement.DIVERGED], 3),
        ([Judgement.DIVERGED, Judgement.CANNOT_JUDGE, Judgement.TAMPERED], 3),
    ],
)
def test_tampered_outranks_cannot_judge_outranks_diverged(judgements: list[Judgement], exit_code: int) -> None:
    findings = Findings()
    for judgement in judgements:
        findings.add(Finding(FindingCode.LEAF, judgement, "x"))
    assert findings.judgement.exit_code == exit_code
    assert Report(findings.judgement).exit_code == exit_code


def test_findings_beyond_the_list_are_counted_and_tampering_is_always_listed() -> None:
    findings = Findings()
    for index in range(MAX_LISTED + 5):
        findings.cannot_judge(FindingCode.ENTRY_VERSION, "x", index=index)
    findings.tampered(FindingCode.LEAF, "x", "tile/entries/000", 7)
    assert len(findings.listed) == MAX_LISTED
    assert findings.unlisted == 6
    assert findings.listed[-1].code is FindingCode.LEAF
    assert not findings.exhausted
    report = Report(findings.judgement, tuple(findings.listed), findings.unlisted)
    assert "found     and 6 more" in report.lines()


def test_only_the_first_set_of_evidence_is_kept() -> None:
    findings = Findings()
    findings.add_evidence(b"one", b"two")
    findings.add_evidence(b"three", b"four")
    assert findings.evidence == [b"one", b"two"]


def test_a_finding_says_entry_file_and_defect() -> None:
    finding = Finding(FindingCode.LEAF, Judgement.TAMPERED, "its bytes differ", "tile/entries/000", 7)
    assert str(finding) == "leaf: entry 7, tile/entries/000: its bytes differ"
    assert str(Finding(FindingCode.KEY_FORM, Judgement.CANNOT_JUDGE, "no key")) == "key_form: no key"


def test_hostile_names_are_printable() -> None:
    for name in ("\x1b[2J", "a\nb", "\u202egpj", "\udcff", "x" * 1000):
        text = shown(name)
        assert text.isascii()
        assert text.isprintable()
        assert len(text) < 130


def test_an_empty_folder_and_an_absent_one_cannot_be_judged(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent"):
        report = verify(FolderFetcher(path), vkey=GOLDEN_KEY, check_signature=check)
        assert report.exit_code == 5
        assert [each.code for each in report.findings] == [FindingCode.CHECKPOINT_MISSING]


def test_no_content_of_an_entry_reaches_the_report(tmp_path: Path) -> None:
    """P8: whatever an entry holds, the report names where, never what."""
    fetch = FolderFetcher(GOLDEN)

    class Spoiled:
        def read(self, path: str, limit: int) -> bytes | None:
            data = fetch.read(path, limit)
            return data and data.replace(b'"sandbox"', b'"canary1"') if "entries" in path else data

        def names(self, folder: str) -> Iterator[object]:
            return fetch.names(folder)

    report = verify(Spoiled(), vkey=GOLDEN_KEY, check_signature=check)
    assert report.exit_code == 3
    assert len([each for each in report.findings if each.code is FindingCode.LEAF]) == 19
    assert "canary" not in repr(report) + "".join(report.lines())


def test_the_tree_is_read_once_and_never_beyond_its_limits() -> None:
    fetch, asked = FolderFetcher(GOLDEN), list[tuple[str, int]]()

    class Counting:
        def read(self, path: str, limit: int) -> bytes | None:
            asked.append((path, limit))
            return fetch.read(path, limit)

        def names(self, folder: str) -> Iterator[object]:
            return fetch.names(folder)

    verify(Counting(), vkey=GOLDEN_KEY, check_signature=check)
    paths = [path for path, _ in asked]
    assert len(paths) == len(set(paths))
    assert max(limit for _, limit in asked) <= 256 * 65537
