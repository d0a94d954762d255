"""RFC 6962 hashes, frontier and proofs against published vectors and exhaustive small trees."""

import hashlib

import pytest

from carelink.audit import merkle
from carelink.errors import FormatError, InvalidInputError

# Certificate Transparency reference vectors (google/certificate-transparency, merkletree tests).
LEAVES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves_of(count: int) -> list[bytes]:
    return [merkle.leaf_hash(b"entry %d" % index) for index in range(count)]


def slow_root(leaves: list[bytes]) -> bytes:
    """The recursion of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + slow_root(leaves[:split]) + slow_root(leaves[split:])).digest()


def reader(leaves: list[bytes]) -> merkle.HashReader:
    def hash_at(level: int, index: int) -> bytes:
        part = leaves[index << level : (index + 1) << level]
        assert len(part) == 1 << level, "only complete subtrees are read"
        return slow_root(part)

    return hash_at


def test_roots_are_those_of_the_reference_vectors() -> None:
    assert merkle.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for count, root in enumerate(ROOTS, 1):
        frontier = merkle.Frontier().append_many(merkle.leaf_hash(leaf) for leaf in LEAVES[:count])
        assert frontier.root().hex() == root
        assert merkle.range_root(0, count, reader([merkle.leaf_hash(leaf) for leaf in LEAVES])).hex() == root


def test_published_audit_paths_are_reproduced() -> None:
    hash_at = reader([merkle.leaf_hash(leaf) for leaf in LEAVES])
    assert [each.hex() for each in merkle.inclusion_proof(0, 8, hash_at)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [each.hex() for each in merkle.inclusion_proof(5, 8, hash_at)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    assert [each.hex() for each in merkle.consistency_proof(6, 8, hash_at)] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 255, 256, 257])
def test_frontier_equals_the_recursion_however_the_leaves_are_cut(size: int) -> None:
    leaves = leaves_of(size)
    whole = merkle.Frontier().append_many(leaves)
    assert whole.root() == slow_root(leaves)
    for cut in {0, 1, size // 3, size // 2, size} & set(range(size + 1)):
        first = merkle.Frontier().append_many(leaves[:cut])
        assert first.append_many(leaves[cut:]) == whole
        assert first.size == cut, "the earlier frontier stays as it is"


@pytest.mark.parametrize("size", [65535, 65536, 65537])
def test_frontier_of_large_trees_equals_the_recursion(size: int) -> None:
    leaves = [index.to_bytes(32, "big") for index in range(size)]
    assert merkle.Frontier().append_many(leaves).root() == slow_root(leaves)


@pytest.mark.parametrize("size", [0, 1, 6, 255, 256, 257])
def test_frontier_survives_its_bytes(size: int) -> None:
    frontier = merkle.Frontier().append_many(leaves_of(size))
    data = frontier.to_bytes()
    assert len(data) == 8 + 32 * size.bit_count()
    assert merkle.Frontier.from_bytes(data) == frontier
    for bad in (data[:-1], data + b"\0", data + bytes(32), b"", (size + 1).to_bytes(8, "big") + data[8:]):
        if bad[8:] == data[8:] and (size + 1).bit_count() == size.bit_count():
            continue
        with pytest.raises(FormatError):
            merkle.Frontier.from_bytes(bad)


def test_every_index_has_a_proof_that_holds_there_and_nowhere_else() -> None:
    for size in (*range(1, 18), 31, 33):
        leaves = leaves_of(size)
        root, hash_at = slow_root(leaves), reader(leaves)
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, hash_at)
            for other in range(-1, size + 2):
                assert merkle.verify_inclusion(leaves[index], other, size, proof, root) == (other == index)
            for place in range(size):
                assert merkle.verify_inclusion(leaves[place], index, size, proof, root) == (place == index)


def test_an_inclusion_proof_with_any_change_fails() -> None:
    leaves = leaves_of(13)
    root, hash_at = slow_root(leaves), reader(leaves)
    for index in range(13):
        proof = list(merkle.inclusion_proof(index, 13, hash_at))
        changed = [proof[:-1], [*proof, root], proof[1:], list(reversed(proof))]
        changed += [[*proof[:at], leaves[0][::-1], *proof[at + 1 :]] for at in range(len(proof))]
        changed += [[*proof[:at], proof[at][:-1], *proof[at + 1 :]] for at in range(len(proof))]
        for each in changed:
            assert not merkle.verify_inclusion(leaves[index], index, 13, each, root)
        assert not merkle.verify_inclusion(leaves[index], index, 13, proof, bytes(32))
        assert not merkle.verify_inclusion(leaves[index], index, 13, proof, root[:31])


def test_every_pair_of_sizes_has_a_consistency_proof_and_no_other_pair_accepts_it() -> None:
    largest = 18
    leaves = leaves_of(largest)
    roots = [slow_root(leaves[:size]) for size in range(largest + 1)]
    hash_at = reader(leaves)
    for new in range(largest + 1):
        for old in range(new + 1):
            proof = merkle.consistency_proof(old, new, hash_at)
            assert merkle.verify_consistency(old, roots[old], new, roots[new], proof)
            forked = bytes(32)
            assert not merkle.verify_consistency(old, forked, new, roots[new], proof)
            if old:
                assert not merkle.verify_consistency(old, roots[old], new, forked, proof)
            for cut in range(len(proof)):
                assert not merkle.verify_consistency(
                    old, roots[old], new, roots[new], (*proof[:cut], *proof[cut + 1 :])
                )
            assert not merkle.verify_consistency(old, roots[old], new, roots[new], (*proof, forked))
            if new:
                assert not merkle.verify_consistency(new + 1, roots[new], new, roots[new], proof)


def test_a_proof_outside_the_tree_is_refused() -> None:
    hash_at = reader(leaves_of(4))
    for index, size in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(InvalidInputError):
            merkle.inclusion_proof(index, size, hash_at)
    for old, new in ((5, 4), (-1, 4)):
        with pytest.raises(InvalidInputError):
            merkle.consistency_proof(old, new, hash_at)


def test_a_complete_root_needs_a_power_of_two() -> None:
    for count in (0, 3, 6):
        with pytest.raises(InvalidInputError):
            merkle.complete_root(leaves_of(count))


def test_leaf_and_node_never_collide() -> None:
    left, right = leaves_of(2)
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right)


def test_no_tree_is_smaller_than_the_empty_one():
    """With the size let through, this proof would add up."""
    one, two = merkle.leaf_hash(b"1"), merkle.leaf_hash(b"2")
    assert not merkle.verify_consistency(-1, one, 2, merkle.node_hash(one, two), [one, two])


def test_a_hash_of_another_length_proves_nothing():
    """A byte moved from one hash to its neighbour leaves the bytes under the node's hash as they are."""
    one, two, three = leaves_of(3)
    root = merkle.node_hash(one, two)
    assert merkle.verify_inclusion(one, 0, 2, [two], root)
    assert not merkle.verify_inclusion(one + two[:1], 0, 2, [two[1:]], root)
    assert merkle.verify_consistency(1, one, 2, root, [two])
    assert not merkle.verify_consistency(1, one + two[:1], 2, root, [two[1:]])
    whole = merkle.node_hash(root, three)
    assert not merkle.verify_consistency(2, root, 3, whole + b"\0", [three])


def test_a_proof_that_climbs_above_the_root_proves_nothing():
    """Whoever may choose the root could lengthen any proof by a hash: the size says where it ends."""
    one, two, three, four = leaves_of(4)
    extra = b"\x09" * 32
    assert not merkle.verify_inclusion(one, 0, 1, [extra], merkle.node_hash(extra, one))
    above = merkle.node_hash(extra, merkle.node_hash(one, two))
    assert not merkle.verify_inclusion(two, 1, 2, [one, extra], above)
    old, new = slow_root([one, two, three]), slow_root([one, two, three, four])
    proof = merkle.consistency_proof(3, 4, reader([one, two, three, four]))
    assert merkle.verify_consistency(3, old, 4, new, proof)
    higher = merkle.node_hash(extra, old), merkle.node_hash(extra, new)
    assert not merkle.verify_consistency(3, higher[0], 4, higher[1], [*proof, extra])


def test_two_empty_trees_have_the_empty_root():
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 0, merkle.EMPTY_ROOT, [])
    assert not merkle.verify_consistency(0, merkle.EMPTY_ROOT, 0, bytes(32), [])


def test_the_largest_tree():
    """Sizes are signed 64-bit numbers in other people's software."""
    largest = merkle.Frontier(2**63 - 1, (bytes(32),) * 63)
    assert merkle.Frontier.from_bytes(largest.to_bytes()) == largest
    with pytest.raises(FormatError):
        merkle.Frontier.from_bytes((2**63).to_bytes(8, "big") + bytes(32))
    with pytest.raises(FormatError):
        largest.append_many([bytes(32)])
    with pytest.raises(FormatError):
        merkle.Frontier(-1, (bytes(32),))
