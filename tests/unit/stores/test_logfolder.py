"""The published folder: what is written, in which order of trust, and what is refused."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from carelink.audit import checkpoint as forms
from carelink.audit import merkle, proof
from carelink.audit.export_readme import export_readme
from carelink.audit.findings import Judgement
from carelink.audit.tiles import TILE_WIDTH, TileName
from carelink.audit.verify import verify
from carelink.errors import (
    CannotJudgeError,
    ConfigurationError,
    ConflictError,
    InvalidInputError,
    StoreError,
    StoreRestoredError,
    TamperedError,
)
from carelink.model.moment import Instant
from carelink.stores import durable_files
from carelink.stores.folder_fetcher import FolderFetcher, read_trusted_key
from carelink.stores.head_copy import read_head_copy, write_head_copy
from carelink.stores.logfolder import LogFolder

ORIGIN = "log.example/clinic"
AT = Instant(1_790_000_000_123_456)


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
        self.signed = 0

    def sign(self, message: bytes) -> bytes:
        self.signed += 1
        return self._private.sign(message)


def entry(index: int) -> bytes:
    return b"entry %d" % index


def entries(first: int, last: int) -> Iterator[bytes]:
    return (entry(index) for index in range(first, last))


def publish(
    folder: LogFolder, first: int, last: int, signer: Signer | None = None, **more: object
) -> forms.SignedCheckpoint:
    signer = signer or Signer()
    given = more.pop("entries", entries(first, last))
    return folder.publish(given, start=first, end=last, signers=[signer], verifier=signer.verifier, at=AT, **more)


def files_of(path: Path) -> set[str]:
    return {str(file.relative_to(path)) for file in path.rglob("*") if not file.is_dir()}


def verdict(path: Path, strict: bool = True) -> object:
    return verify(
        FolderFetcher(path), vkey=Signer().key.text, check_signature=check, strict=strict, check_entry=lambda *_: None
    )


@pytest.fixture
def folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "log")


def test_an_empty_log_can_be_published(folder: LogFolder) -> None:
    signed = publish(folder, 0, 0)
    assert (signed.size, signed.root) == (0, merkle.EMPTY_ROOT)
    assert files_of(folder.path) == {"checkpoint", "checkpoints/0"}
    assert verdict(folder.path).judgement is Judgement.OK


@pytest.mark.parametrize("steps", [(1,), (20,), (255, 256, 257), (256,), (3, 10, 300, 600), (512, 513, 1025)])
def test_a_log_grown_in_steps_verifies_after_each(folder: LogFolder, steps: tuple[int, ...]) -> None:
    size = 0
    for new in steps:
        signed = publish(folder, size, new)
        assert signed.root == merkle.Frontier().append_many(map(merkle.leaf_hash, entries(0, new))).root()
        assert folder.head() == signed == folder.earlier(new)
        size = new
        report = verdict(folder.path)
        assert report.judgement is Judgement.OK, report.lines()
        assert report.checked == new
    assert list(folder.entries()) == list(enumerate(entries(0, size)))
    assert verdict(folder.path).history == len(steps)


def test_publishing_again_what_is_published_signs_nothing(folder: LogFolder) -> None:
    signer = Signer()
    first = publish(folder, 0, 5, signer)
    assert publish(folder, 5, 5, signer) == first
    assert signer.signed == 1


def test_the_checkpoint_files_carry_the_instant_of_publication(folder: LogFolder) -> None:
    publish(folder, 0, 5)
    for name in ("checkpoint", "checkpoints/5"):
        assert (folder.path / name).stat().st_mtime_ns == AT * 1000


def test_partial_tiles_stay_until_the_full_one_is_there(folder: LogFolder) -> None:
    publish(folder, 0, 10)
    publish(folder, 10, 20)
    assert {"tile/0/000.p/10", "tile/0/000.p/20"} <= files_of(folder.path)
    publish(folder, 20, 300)
    assert not [path for path in files_of(folder.path) if ".p/" in path and "000.p" in path and "tile/1" not in path]
    assert verdict(folder.path).judgement is Judgement.OK


def test_a_store_behind_what_is_published_is_a_restored_backup(folder: LogFolder) -> None:
    publish(folder, 0, 20)
    with pytest.raises(StoreRestoredError):
        publish(folder, 10, 30)


def test_entries_must_follow_and_be_as_many_as_announced(folder: LogFolder) -> None:
    publish(folder, 0, 20)
    signer = Signer()
    with pytest.raises(InvalidInputError):
        publish(folder, 21, 30, signer)
    for given in (entries(20, 29), entries(20, 31), iter(())):
        with pytest.raises(InvalidInputError):
            publish(folder, 20, 30, signer, entries=given)
    assert signer.signed == 0
    assert folder.head().size == 20
    publish(folder, 20, 30, signer)
    assert verdict(folder.path).judgement is Judgement.OK


def test_a_root_other_than_the_stores_is_not_signed(folder: LogFolder) -> None:
    signer = Signer()
    with pytest.raises(TamperedError):
        publish(folder, 0, 20, signer, root=bytes(32))
    assert signer.signed == 0
    assert folder.head() is None


def test_a_changed_right_edge_is_not_continued(folder: LogFolder) -> None:
    publish(folder, 0, 300)
    for name in ("tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"):
        file, signer = folder.path / name, Signer()
        good = file.read_bytes()
        file.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        with pytest.raises(TamperedError):
            publish(folder, 300, 301, signer)
        assert signer.signed == 0
        file.write_bytes(good)
    publish(folder, 300, 301)


def test_a_head_of_another_key_is_not_continued(folder: LogFolder) -> None:
    publish(folder, 0, 20, Signer(seed=2))
    with pytest.raises(TamperedError):
        publish(folder, 20, 21)
    with pytest.raises(TamperedError):
        folder.drop_unsigned(Signer().verifier)


def test_a_signer_with_another_key_publishes_nothing(folder: LogFolder) -> None:
    with pytest.raises(ConfigurationError):
        folder.publish(entries(0, 3), start=0, end=3, signers=[Signer(seed=2)], verifier=Signer().verifier, at=AT)
    assert folder.head() is None


def test_an_existing_tile_with_other_bytes_is_never_replaced(folder: LogFolder) -> None:
    path = folder.path / TileName(0, 0).path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other")
    with pytest.raises(TamperedError):
        publish(folder, 0, 256)
    assert path.read_bytes() == b"other"


def test_what_the_disk_gives_back_differently_is_not_signed(folder: LogFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit lost between write and read: seen before the signature, not after."""
    real = FolderFetcher.read
    for victim in ("tile/entries/000", "tile/0/000", "tile/1/000.p/1", "tile/entries/001.p/44", "tile/0/001.p/44"):

        def rotten(self: FolderFetcher, path: str, limit: int, victim: str = victim) -> bytes | None:
            data = real(self, path, limit)
            return bytes([data[0], data[1], data[2] ^ 1]) + data[3:] if data and path == victim else data

        signer, fresh = Signer(), LogFolder(folder.path / victim.replace("/", "-"))
        monkeypatch.setattr(FolderFetcher, "read", rotten)
        with pytest.raises(TamperedError):
            publish(fresh, 0, 300, signer)
        monkeypatch.setattr(FolderFetcher, "read", real)
        assert signer.signed == 0
        assert fresh.head() is None


def test_earlier_entries_copied_wrongly_into_the_new_bundle_are_not_signed(
    folder: LogFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder, 0, 10)
    real, signer = FolderFetcher.read, Signer()

    def rotten(self: FolderFetcher, path: str, limit: int) -> bytes | None:
        data = real(self, path, limit)
        return bytes([data[0], data[1], data[2] ^ 1]) + data[3:] if data and path == "tile/entries/000.p/20" else data

    with monkeypatch.context() as patch:
        patch.setattr(FolderFetcher, "read", rotten)
        with pytest.raises(TamperedError):
            publish(folder, 10, 20, signer)
    assert signer.signed == 0


def test_a_crash_at_any_system_call_leaves_a_log_that_verifies_and_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every link, rename, flush and unlink of a publication fails once; the next publication goes through."""

    class PowerCutError(Exception):
        pass

    def cut_after(count: int) -> Iterator[None]:
        for _ in range(count):
            yield
        raise PowerCutError

    calls = ("link", "replace", "fsync", "unlink", "rmdir", "mkdir")
    cuts = 0
    while True:
        folder = LogFolder(tmp_path / str(cuts))
        publish(folder, 0, 250)
        countdown, finished = cut_after(cuts), False
        with monkeypatch.context() as patch:
            for call in calls:

                def failing(
                    *args: object, real: object = getattr(os, call), left: object = countdown, **more: object
                ) -> object:
                    next(left)
                    return real(*args, **more)

                patch.setattr(os, call, failing)
            try:
                publish(folder, 250, 530)
                finished = True
            except PowerCutError:
                pass
        report = verdict(folder.path, strict=False)
        assert report.judgement is Judgement.OK, (cuts, report.lines())
        assert report.size in (250, 530)
        publish(folder, report.size, 600)
        report = verdict(folder.path)
        assert report.judgement is Judgement.OK, (cuts, report.lines())
        if finished:
            break
        cuts += 1
    assert cuts > 20


def test_a_failed_flush_stops_the_publication(folder: LogFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(folder, 0, 10)
    signer = Signer()

    def broken(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", broken)
        with pytest.raises(StoreError):
            publish(folder, 10, 20, signer)
    assert signer.signed == 0
    assert folder.head().size == 10


def test_two_writers_do_not_meet(folder: LogFolder) -> None:
    publish(folder, 0, 1)
    with durable_files.folder_lock(folder.path), pytest.raises(StoreError):
        publish(folder, 1, 2)
    publish(folder, 1, 2)


def test_a_checkpoint_kept_from_a_crash_before_its_copy_is_copied_later(folder: LogFolder) -> None:
    publish(folder, 0, 10)
    (folder.path / "checkpoints" / "10").unlink()
    publish(folder, 10, 11)
    assert folder.earlier(10).size == 10
    assert verdict(folder.path).history == 2


def test_what_lies_beyond_the_head_can_be_dropped(folder: LogFolder) -> None:
    publish(folder, 0, 200)
    before = files_of(folder.path)
    with pytest.raises(TamperedError):
        publish(folder, 200, 1000, root=bytes(32))
    assert files_of(folder.path) > before
    assert folder.drop_unsigned(Signer().verifier) > 6
    assert files_of(folder.path) == before
    publish(folder, 200, 900, entries=(b"other" for _ in range(700)))
    assert verdict(folder.path).judgement is Judgement.OK


def test_proofs_are_made_from_the_folder(folder: LogFolder) -> None:
    publish(folder, 0, 200)
    old = folder.head()
    publish(folder, 200, 600)
    head = folder.head()
    for index in (0, 199, 255, 256, 599):
        made = proof.prove_inclusion(index, head, folder.hashes(600))
        assert made.verify(entry(index), Signer().verifier) == head
    later = proof.prove_consistency(200, head, folder.hashes(600))
    assert later.verify(old.to_bytes(), Signer().verifier) == head


def test_an_export_is_self_contained_and_says_how_to_check_it(folder: LogFolder, tmp_path: Path) -> None:
    for first, last in ((0, 10), (10, 20), (20, 300)):
        publish(folder, first, last)
    target = tmp_path / "export"
    head = folder.export(target, readme=export_readme(Signer().key).encode())
    assert head == folder.head() == LogFolder(target).head()
    assert files_of(target) == {
        "checkpoint", "checkpoints/10", "checkpoints/20", "checkpoints/300", "README.md", "tile/entries/000",
        "tile/entries/001.p/44", "tile/0/000", "tile/0/001.p/44", "tile/1/000.p/1",
    }  # fmt: skip
    text = (target / "README.md").read_text()
    assert "carelink audit verify . --key @/elsewhere/log.vkey" in text
    assert Signer().key.fingerprint in text
    assert all(Signer().key.text.encode() not in (target / name).read_bytes() for name in files_of(target))
    assert verdict(target).judgement is Judgement.OK
    assert list(LogFolder(target).entries()) == list(enumerate(entries(0, 300)))


def test_an_export_leaves_out_what_is_not_covered_by_the_head(folder: LogFolder, tmp_path: Path) -> None:
    publish(folder, 0, 10)
    with pytest.raises(TamperedError):
        publish(folder, 10, 300, root=bytes(32))
    folder.export(tmp_path / "export")
    assert verdict(tmp_path / "export").judgement is Judgement.OK


def test_an_export_overwrites_nothing(folder: LogFolder, tmp_path: Path) -> None:
    with pytest.raises(CannotJudgeError):
        folder.export(tmp_path / "early")
    publish(folder, 0, 10)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter").write_text("x")
    for target in (tmp_path / "full", tmp_path / "full" / "letter", folder.path / "inner"):
        with pytest.raises(ConflictError):
            folder.export(target)


def test_the_head_copy_only_grows(folder: LogFolder, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "head"
    assert read_head_copy(copy) is None
    first, second = publish(folder, 0, 10), publish(folder, 10, 20)
    write_head_copy(copy, first)
    write_head_copy(copy, first)
    write_head_copy(copy, second)
    assert read_head_copy(copy) == second
    with pytest.raises(StoreRestoredError):
        write_head_copy(copy, first)
    other = forms.sign_checkpoint(forms.Checkpoint(ORIGIN, 20, bytes(32)), [Signer()])
    with pytest.raises(TamperedError):
        write_head_copy(copy, other)
    foreign = forms.sign_checkpoint(forms.Checkpoint("other.example", 30, bytes(32)), [Signer("other.example")])
    with pytest.raises(ConfigurationError):
        write_head_copy(copy, foreign)
    assert read_head_copy(copy) == second
    with durable_files.folder_lock(copy.parent), pytest.raises(StoreError):
        write_head_copy(copy, second)


def test_a_key_from_inside_the_log_is_no_trusted_key(folder: LogFolder, tmp_path: Path) -> None:
    publish(folder, 0, 3)
    outside = tmp_path / "log.vkey"
    outside.write_text(Signer().key.text + "\n")
    assert read_trusted_key(outside, folder.path) == Signer().key
    inside = folder.path / "log.vkey"
    inside.write_text(Signer().key.text)
    link = tmp_path / "link.vkey"
    link.symlink_to(inside)
    for path in (inside, link, tmp_path / "log" / ".." / "log" / "log.vkey", tmp_path / "absent"):
        with pytest.raises(CannotJudgeError):
            read_trusted_key(path, folder.path)


def test_links_pipes_and_folders_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"data")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    fetch = FolderFetcher(tmp_path)
    assert fetch.read("real", 10) == b"data"
    assert fetch.read("real", 4) == b"data"
    assert fetch.read("real", 2) == b"dat"
    for name in ("link", "loop", "pipe", "folder", "absent", "real/below", "x" * 300):
        assert fetch.read(name, 10) is None
    kinds = {name: kind.value for name, kind in fetch.names("")}
    assert kinds == {"real": "file", "link": "other", "loop": "other", "pipe": "other", "folder": "folder"}
    assert list(fetch.names("absent")) == []
    assert list(fetch.names("real")) == []


def test_reading_entries_holds_one_bundle(folder: LogFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(folder, 0, 1024)
    asked: list[str] = []
    real = FolderFetcher.read

    def counting(self: FolderFetcher, path: str, limit: int) -> bytes | None:
        asked.append(path)
        return real(self, path, limit)

    monkeypatch.setattr(FolderFetcher, "read", counting)
    reader = folder.entries()
    for _ in range(TILE_WIDTH + 1):
        next(reader)
    assert [path for path in asked if "entries" in path] == ["tile/entries/000", "tile/entries/001"]


def test_a_file_once_created_is_never_changed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert durable_files.create_file(path, b"data")
    assert not durable_files.create_file(path, b"data")
    for other in (b"", b"dat", b"date", b"data\0"):
        with pytest.raises(TamperedError):
            durable_files.create_file(path, other)
    assert path.read_bytes() == b"data"
    assert files_of(tmp_path) == {"file"}
