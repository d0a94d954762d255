"""Laws of the tree, and agreement with an independent implementation."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.audit import merkle
from carelink.audit.tiles import TileBuilder, tile_files, tile_hash_reader

pytestmark = pytest.mark.property

entries = st.lists(st.binary(max_size=8), max_size=40)


def reader(leaves: list[bytes]) -> merkle.HashReader:
    return lambda level, index: merkle.complete_root(leaves[index << level : (index + 1) << level])


@given(entries, st.data())
def test_appending_in_parts_is_appending_at_once(data: list[bytes], draw: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(each) for each in data]
    cut = draw.draw(st.integers(0, len(leaves)))
    parts = merkle.Frontier().append_many(leaves[:cut]).append_many(leaves[cut:])
    assert parts == merkle.Frontier().append_many(leaves)
    assert parts.root() == TileBuilder().root(leaves)
    assert merkle.Frontier.from_bytes(parts.to_bytes()) == parts


@given(st.integers(1, 2**62), st.data())
def test_proofs_of_huge_trees_are_checked_by_their_shape_alone(size: int, draw: st.DataObject) -> None:
    """With all subtree roots of a level equal, trees of any size can be proven without building them."""
    index = draw.draw(st.integers(0, size - 1))
    row = [b"\x07" * 32]
    while len(row) < 63:
        row.append(merkle.node_hash(row[-1], row[-1]))
    hash_at = lambda level, _: row[level]  # noqa: E731
    root = merkle.range_root(0, size, hash_at)
    proof = merkle.inclusion_proof(index, size, hash_at)
    assert merkle.verify_inclusion(row[0], index, size, proof, root)
    assert not merkle.verify_inclusion(b"\x08" * 32, index, size, proof, root)
    old = draw.draw(st.integers(1, size))
    old_root = merkle.range_root(0, old, hash_at)
    path = merkle.consistency_proof(old, size, hash_at)
    assert merkle.verify_consistency(old, old_root, size, root, path)
    assert not merkle.verify_consistency(old, b"\x08" * 32, size, root, path)


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=40), st.data())
def test_roots_and_proofs_agree_with_pymerkle(data: list[bytes], draw: st.DataObject) -> None:
    pymerkle = pytest.importorskip("pymerkle")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tree = pymerkle.InmemoryTree(algorithm="sha256")
        for each in data:
            tree.append_entry(each)
        leaves = [merkle.leaf_hash(each) for each in data]
        old = draw.draw(st.integers(1, len(data)))
        index = draw.draw(st.integers(0, len(data) - 1))
        theirs = tree.get_state()
        theirs_old = tree.get_state(old)
        path = [bytes.fromhex(text) for text in tree.prove_inclusion(index + 1).serialize()["path"]]
    root = merkle.Frontier().append_many(leaves).root()
    assert theirs == root
    assert theirs_old == merkle.Frontier().append_many(leaves[:old]).root()
    proof = merkle.inclusion_proof(index, len(data), reader(leaves))
    assert {*proof, leaves[index]} == set(path)
    assert merkle.verify_inclusion(leaves[index], index, len(data), proof, root)


@given(st.lists(st.integers(0, 300), min_size=1, max_size=5))
def test_tiles_published_in_any_steps_prove_every_root_on_the_way(steps: list[int]) -> None:
    files: dict[str, bytes] = {}
    leaves: list[bytes] = []
    for step in steps:
        new = [b"%d" % index for index in range(len(leaves), len(leaves) + step)]
        for path, data in tile_files(len(leaves), new, files.get):
            assert files.setdefault(path, data) == data, "a published file never changes"
        leaves += [merkle.leaf_hash(each) for each in new]
        root = merkle.Frontier().append_many(leaves).root()
        assert TileBuilder.load(len(leaves), files.get).root() == root
        assert merkle.range_root(0, len(leaves), tile_hash_reader(len(leaves), files.get)) == root
