"""Physical lines: numbers, ends, damage, and a meter that knows how far it is."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from carelink.interop.lines import MAX_LINE, Line, Meter, read_lines
from carelink.interop.records import Fault


def _read(path: Path, data: bytes) -> list[tuple[int, bytes, Fault | None]]:
    path.write_bytes(data)
    return [(line.number, line.data, line.fault) for line in read_lines(path, Meter(path.stat().st_size))]


@pytest.fixture(params=["plain", "gzip"])
def pack(request: pytest.FixtureRequest):
    return gzip.compress if request.param == "gzip" else bytes


def test_numbers_count_blank_lines_and_ends_are_taken_off(tmp_path: Path, pack) -> None:
    found = _read(tmp_path / "f", pack(b"one\r\n\n  \r\nfour\nfive"))
    assert found == [(1, b"one", None), (4, b"four", None), (5, b"five", None)]


def test_an_empty_file_has_no_lines(tmp_path: Path, pack) -> None:
    assert _read(tmp_path / "f", pack(b"")) == []


def test_a_line_of_two_mebibytes_is_reported_and_the_next_one_kept(tmp_path: Path, pack) -> None:
    found = _read(tmp_path / "f", pack(b"a\n" + b"x" * (2 << 20) + b"\nb\n" + b"y" * (2 << 20)))
    assert found == [
        (1, b"a", None),
        (2, b"", Fault.LINE_TOO_LONG),
        (3, b"b", None),
        (4, b"", Fault.LINE_TOO_LONG),
    ]


def test_the_longest_line_that_is_kept(tmp_path: Path) -> None:
    found = _read(tmp_path / "f", b"x" * (MAX_LINE - 1) + b"\n" + b"x" * MAX_LINE + b"\n")
    assert [(number, len(data), fault) for number, data, fault in found] == [
        (1, MAX_LINE - 1, None),
        (2, 0, Fault.LINE_TOO_LONG),
    ]


def test_gzip_is_known_by_its_bytes_not_by_its_name(tmp_path: Path) -> None:
    assert _read(tmp_path / "f.ndjson", gzip.compress(b"a\nb\n")) == [(1, b"a", None), (2, b"b", None)]
    assert _read(tmp_path / "f.ndjson.gz", b"a\nb\n") == [(1, b"a", None), (2, b"b", None)]


def test_garbage_that_begins_like_gzip_is_a_line(tmp_path: Path) -> None:
    assert _read(tmp_path / "f.ndjson", b"\x1f\x8b\nb\n") == [(1, b"\x1f\x8b", None), (2, b"b", None)]
    assert _read(tmp_path / "f.ndjson.gz", b"\x1f\x8b\nb\n") == [(1, b"", Fault.FILE_DAMAGED)]


def test_gzip_members_one_after_the_other_and_padding(tmp_path: Path) -> None:
    data = gzip.compress(b"a\nb") + gzip.compress(b"c\nd\n") + b"\0" * 512
    assert _read(tmp_path / "f.gz", data) == [(1, b"a", None), (2, b"bc", None), (3, b"d", None)]


def _unique_lines(count: int) -> bytes:
    return b"".join(b"%d %s\n" % (n, zlib.crc32(b"%d" % n).to_bytes(4).hex().encode()) for n in range(count))


@pytest.mark.parametrize("cut", [20, 1000, 20_000])
def test_a_cut_off_gzip_gives_every_whole_line_before_the_cut(tmp_path: Path, cut: int) -> None:
    plain = _unique_lines(5000)
    packed = gzip.compress(plain)
    found = _read(tmp_path / "f.gz", packed[:cut])
    reference = zlib.decompressobj(31).decompress(packed[:cut])
    whole = reference.count(b"\n")
    assert [data for _, data, fault in found if fault is None] == plain.split(b"\n")[:whole]
    assert found[-1] == (whole + 1, b"", Fault.FILE_DAMAGED)


def test_a_damaged_gzip_gives_every_whole_line_before_the_damage(tmp_path: Path) -> None:
    plain = _unique_lines(50_000)
    packed = bytearray(gzip.compress(plain))
    at = len(packed) * 3 // 4
    packed[at : at + 64] = b"\xff" * 64
    found = _read(tmp_path / "f.gz", bytes(packed))
    good = [data for _, data, fault in found if fault is None]
    assert found[-1][2] is Fault.FILE_DAMAGED
    assert len(good) > 30_000
    # What decodes before the damage is noticed may be wrong in its last lines; all before are as they were written.
    assert good[:30_000] == plain.split(b"\n")[:30_000]


def test_a_wrong_checksum_is_damage_after_the_last_line(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"a\nb\n"))
    packed[-5] ^= 1
    assert _read(tmp_path / "f.gz", bytes(packed)) == [(1, b"a", None), (2, b"b", None), (3, b"", Fault.FILE_DAMAGED)]


def test_the_meter_moves_for_gzip_too_and_ends_at_its_total(tmp_path: Path, pack) -> None:
    path = tmp_path / "f"
    path.write_bytes(pack(_unique_lines(60_000)))
    seen: list[tuple[int, int]] = []
    meter = Meter(path.stat().st_size, lambda done, total: seen.append((done, total)))
    assert sum(1 for _ in read_lines(path, meter)) == 60_000
    size = path.stat().st_size
    assert len(seen) > 2
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert {total for _, total in seen} == {size}
    assert seen[-1] == (size, size)


def test_a_line_does_not_show_its_data() -> None:
    assert "secret" not in repr(Line(1, b"secret"))
