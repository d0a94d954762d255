"""Parsers of the log's forms meet any bytes: they read what they would write, or refuse in carelink's own words."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.audit.checkpoint import SignedNote, VerifierKey, parse_signed_checkpoint
from carelink.audit.merkle import Frontier, verify_consistency, verify_inclusion
from carelink.audit.proof import ConsistencyProof, InclusionProof
from carelink.audit.tiles import TileName, encode_bundle, split_bundle
from carelink.errors import CarelinkError

pytestmark = pytest.mark.property

DASH = "\N{EM DASH} "
lines = st.sampled_from(
    ["", "log.example", "20", "020", "old 7", "index 3", "extra AA==", "c2sp.org/tlog-proof@v1", "A" * 43 + "=",
     DASH + "log.example AAAAAAAA", DASH + "log.example AAAAAAB", DASH, "\x00", "x" * 50]
)  # fmt: skip
texts = st.lists(lines, max_size=12).map(lambda parts: "\n".join(parts).encode())
junk = st.one_of(st.binary(max_size=200), texts, texts.map(lambda data: data + b"\n"))


@given(junk)
def test_what_is_read_is_what_would_be_written(data: bytes) -> None:
    for form in (SignedNote, InclusionProof, ConsistencyProof, Frontier):
        try:
            read = form.parse(data) if form is not Frontier else Frontier.from_bytes(data)
        except CarelinkError:
            continue
        assert read.to_bytes() == data
    with suppress(CarelinkError):
        assert parse_signed_checkpoint(data).to_bytes() == data


@given(st.text(max_size=80))
def test_a_key_that_is_read_is_written_the_same(text: str) -> None:
    with suppress(CarelinkError):
        assert VerifierKey.parse(text).text == text.removesuffix("\n")


@given(st.text(alphabet="0123456789x/.p", max_size=30), st.sampled_from(["0", "1", "63", "entries", "00"]))
def test_a_path_that_names_a_tile_is_its_only_spelling(rest: str, level: str) -> None:
    path = f"tile/{level}/{rest}"
    name = TileName.parse(path)
    assert name is None or name.path == path


@given(st.binary(max_size=300), st.integers(0, 20))
def test_a_bundle_reads_to_what_writes_it_or_is_faulted(data: bytes, width: int) -> None:
    entries, wrong = split_bundle(data, width)
    assert wrong or (len(entries) == width and encode_bundle(entries) == data)


@given(st.integers(-2, 70), st.integers(-2, 70), st.lists(st.binary(min_size=31, max_size=33), max_size=8))
def test_proof_checks_are_total(one: int, other: int, proof: list[bytes]) -> None:
    """Any numbers and any hashes: an answer, never an exception; random hashes prove nothing but the trivial."""
    root = b"\x05" * 32
    included = verify_inclusion(b"\x06" * 32, one, other, proof, root)
    consistent = verify_consistency(one, b"\x06" * 32, other, root, proof)
    assert (included, consistent) == (False, False)
