"""Tiles and bundles: the specification's names and counts, and what they hold."""

import pytest

from carelink.audit import merkle, tiles
from carelink.errors import CannotJudgeError, FormatError, InvalidInputError


def entries_of(first: int, last: int) -> list[bytes]:
    return [b"entry %d" % index for index in range(first, last)]


def grown(*sizes: int) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    size = 0
    for new in sizes:
        files |= dict(tiles.tile_files(size, entries_of(size, new), files.get))
        size = new
    return files


def expected_paths(size: int) -> set[str]:
    names = set()
    for level in range(8):
        count = size >> (8 * level)
        for index in range(count // 256):
            names.add(tiles.TileName(level, index))
        if count % 256:
            names.add(tiles.TileName(level, count // 256, count % 256))
    bundles = {tiles.TileName(tiles.ENTRIES, name.index, name.width) for name in names if name.level == 0}
    return {name.path for name in names | bundles}


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (tiles.TileName(0, 0), "tile/0/000"),
        (tiles.TileName(0, 999), "tile/0/999"),
        (tiles.TileName(0, 1000), "tile/0/x001/000"),
        (tiles.TileName(tiles.ENTRIES, 1234067), "tile/entries/x001/x234/067"),
        (tiles.TileName(1, 0, 1), "tile/1/000.p/1"),
        (tiles.TileName(tiles.ENTRIES, 5, 255), "tile/entries/005.p/255"),
    ],
)
def test_paths_are_those_of_the_specification(name: tiles.TileName, path: str) -> None:
    assert name.path == path
    assert tiles.TileName.parse(path) == name


@pytest.mark.parametrize(
    "path",
    [
        "",
        "checkpoint",
        "tile/0",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/8/000",
        "tile/-1/000",
        "tile/data/000",
        "tile/0/x000/001",
        "tile/0/x001/x000",
        "tile/0/001/000",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p",
        "tile/0/000.p/",
        "tile/0/000/1",
        "tile/0/000.p/1/1",
        "tile/0/x001.p/1",
        "tile/entries/000.P/1",
        "tile/7/x999/999",
        "tile/0/" + "x001/" * 40 + "000",
        "tile/0/\u0660\u0660\u0660",
        "Tile/0/000",
    ],
)
def test_other_spellings_name_nothing(path: str) -> None:
    assert tiles.TileName.parse(path) is None


def test_the_seventy_thousand_of_the_specification() -> None:
    """Its example: 273 full level-0 tiles, a partial one of 112, one full level-1, a partial of 17, level 2 of 1."""
    paths = expected_paths(70_000)
    hashes = {path for path in paths if "entries" not in path}
    assert len(hashes) == 273 + 1 + 1 + 1 + 1
    assert {"tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"} <= hashes
    builder = tiles.TileBuilder()
    leaves = [merkle.leaf_hash(entry) for entry in entries_of(0, 70_000)]
    full = builder.add(leaves)
    assert {name.path for name, _ in (*full, *builder.edges())} == hashes
    assert builder.root() == merkle.Frontier().append_many(leaves).root()


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 513])
def test_a_tree_has_exactly_its_tiles(size: int) -> None:
    files = grown(size)
    assert set(files) == expected_paths(size)
    assert all(name is not None and name.fits(size) for name in map(tiles.TileName.parse, files))
    leaves = b"".join(merkle.leaf_hash(entry) for entry in entries_of(0, size))
    stored = b"".join(files[tiles.TileName.of(0, index, size).path] for index in range(-(-size // 256)))
    assert stored == leaves


@pytest.mark.parametrize("size", [65535, 65536, 65537])
def test_the_third_level_begins_at_65536(size: int) -> None:
    builder = tiles.TileBuilder()
    leaves = [index.to_bytes(32, "big") for index in range(size)]
    names = {name.path: data for name, data in (*builder.add(leaves), *builder.edges())}
    assert ("tile/2/000.p/1" in names) == (size >= 65536)
    assert ("tile/1/000" in names) == (size >= 65536)
    assert ("tile/0/256.p/1" in names) == (size == 65537)
    root = merkle.Frontier().append_many(leaves).root()
    assert builder.root() == root
    assert tiles.TileBuilder.load(size, names.get).root() == root
    hash_at = tiles.tile_hash_reader(size, names.get)
    for index in (0, 255, 256, 65534, size - 1):
        proof = merkle.inclusion_proof(index, size, hash_at)
        assert merkle.verify_inclusion(leaves[index], index, size, proof, root)
    for old in (1, 255, 256, 65535, size):
        old_root = merkle.Frontier().append_many(leaves[:old]).root()
        assert merkle.verify_consistency(old, old_root, size, root, merkle.consistency_proof(old, size, hash_at))


def test_growing_in_steps_writes_the_same_tiles_as_growing_at_once() -> None:
    stepped, whole = grown(1, 2, 255, 256, 257, 600), grown(600)
    assert {path: stepped[path] for path in whole} == whole


def test_nothing_is_written_when_nothing_is_added() -> None:
    files = grown(300)
    assert list(tiles.tile_files(300, [], files.get)) == []


def test_a_tile_is_not_rewritten_when_its_level_did_not_grow() -> None:
    files = grown(300)
    new = dict(tiles.tile_files(300, entries_of(300, 301), files.get))
    assert set(new) == {"tile/entries/001.p/45", "tile/0/001.p/45"}


def test_bundles_hold_exactly_their_entries() -> None:
    entries = [b"", b"a", b"\0" * 65535, b"end"]
    data = tiles.encode_bundle(entries)
    assert tiles.split_bundle(data, 4) == (entries, "")
    assert tiles.split_bundle(data, 3)[1] == "has bytes after its last entry"
    assert tiles.split_bundle(data, 5) == (entries, "ends before its last entry")
    assert tiles.split_bundle(data[:-1], 4) == (entries[:3], "ends inside an entry")
    assert tiles.split_bundle(data + b"\0", 4)[1] == "has bytes after its last entry"
    with pytest.raises(InvalidInputError):
        tiles.encode_bundle([b"\0" * 65536])


def test_entries_are_read_by_range() -> None:
    files = grown(600)
    everything = list(enumerate(entries_of(0, 600)))
    assert list(tiles.read_entries(files.get, 600)) == everything
    for first, last in ((0, 0), (0, 1), (255, 257), (256, 256), (599, 600), (600, 600)):
        assert list(tiles.read_entries(files.get, 600, first, last)) == everything[first:last]
    for first, last in ((-1, 5), (5, 4), (0, 601)):
        with pytest.raises(InvalidInputError):
            list(tiles.read_entries(files.get, 600, first, last))


def test_an_earlier_state_is_read_from_the_full_tile_that_replaced_a_partial_one() -> None:
    files = grown(600)
    assert list(tiles.read_entries(files.get, 100)) == list(enumerate(entries_of(0, 100)))
    leaves = [merkle.leaf_hash(entry) for entry in entries_of(0, 100)]
    assert tiles.TileBuilder.load(100, files.get).root() == merkle.Frontier().append_many(leaves).root()


def test_a_missing_or_misshapen_tile_is_named() -> None:
    files = grown(300)
    for path, error in (("tile/0/001.p/44", CannotJudgeError), ("tile/entries/001.p/44", CannotJudgeError)):
        broken = {each: data for each, data in files.items() if each != path}
        with pytest.raises(error, match=path):
            list(tiles.tile_files(300, entries_of(300, 301), broken.get))
    for path in ("tile/0/001.p/44", "tile/entries/001.p/44"):
        broken = files | {path: files[path] + b"\0"}
        with pytest.raises(FormatError, match=path):
            list(tiles.tile_files(300, entries_of(300, 301), broken.get))


def test_the_proof_reader_stays_small() -> None:
    """It keeps a bounded number of tiles, so proofs over a large log do not fill the memory."""
    size = 256 * 200
    builder = tiles.TileBuilder()
    names = {name.path: data for name, data in builder.add([bytes(32)] * size)}
    names |= {name.path: data for name, data in builder.edges()}
    hash_at = tiles.tile_hash_reader(size, names.get)
    for index in range(0, size, 256):
        hash_at(0, index)
    (cache,) = [cell.cell_contents for cell in hash_at.__closure__ or () if isinstance(cell.cell_contents, dict)]
    assert len(cache) <= 64
