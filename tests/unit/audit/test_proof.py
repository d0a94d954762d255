"""Proof files: the specification's layout, and acceptance of exactly what is so."""

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from carelink.audit import checkpoint as forms
from carelink.audit import merkle, proof
from carelink.errors import CannotJudgeError, FormatError, InvalidInputError, TamperedError

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
ENTRIES = [b"entry %d" % index for index in range(13)]
LEAVES = [merkle.leaf_hash(each) for each in ENTRIES]


class Signer:
    def __init__(self, name: str) -> None:
        self.name = name
        self.key = forms.VerifierKey(name, forms.ED25519, PRIVATE.public_key().public_bytes_raw())
        self.key_id = self.key.key_id

    def sign(self, message: bytes) -> bytes:
        return PRIVATE.sign(message)


def check(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


LOG = Signer("log.example/clinic")
VERIFIER = forms.NoteVerifier(LOG.key, check)


def hash_at(level: int, index: int) -> bytes:
    return merkle.complete_root(LEAVES[index << level : (index + 1) << level])


def head(size: int, origin: str = LOG.name, leaves: list[bytes] = LEAVES) -> forms.SignedCheckpoint:
    root = merkle.Frontier().append_many(leaves[:size]).root()
    return forms.sign_checkpoint(forms.Checkpoint(origin, size, root), [LOG])


def test_each_entry_is_proven_at_its_index_and_no_other_entry_is() -> None:
    for index, entry in enumerate(ENTRIES):
        data = proof.prove_inclusion(index, head(13), hash_at).to_bytes()
        read = proof.InclusionProof.parse(data)
        assert read.to_bytes() == data
        assert read.verify(entry, VERIFIER).size == 13
        for other in ENTRIES:
            if other != entry:
                with pytest.raises(TamperedError):
                    read.verify(other, VERIFIER)


def test_the_text_is_laid_out_as_specified() -> None:
    signed = head(13)
    lines = proof.prove_inclusion(12, signed, hash_at).to_bytes().decode().split("\n")
    assert lines[:2] == ["c2sp.org/tlog-proof@v1", "index 12"]
    blank = lines.index("")
    assert [len(line) for line in lines[2:blank]] == [44] * (blank - 2)
    assert "\n".join(lines[blank + 1 :]).encode() == signed.to_bytes()


def test_a_proof_of_the_only_entry_has_no_hashes() -> None:
    data = proof.prove_inclusion(0, head(1), hash_at).to_bytes()
    assert data.startswith(b"c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example")
    assert proof.InclusionProof.parse(data).verify(ENTRIES[0], VERIFIER).size == 1


def test_extra_data_is_kept_and_proves_nothing() -> None:
    made = proof.prove_inclusion(3, head(13), hash_at)
    extra = proof.InclusionProof(made.index, made.hashes, made.checkpoint, b"\x00opaque")
    data = extra.to_bytes()
    assert data.split(b"\n")[1] == b"extra AG9wYXF1ZQ=="
    assert proof.InclusionProof.parse(data) == extra
    assert proof.InclusionProof.parse(data).verify(ENTRIES[3], VERIFIER).size == 13


def test_every_changed_bit_of_a_proof_is_noticed() -> None:
    data = proof.prove_inclusion(5, head(13), hash_at).to_bytes()
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises((FormatError, TamperedError, CannotJudgeError)):
                proof.InclusionProof.parse(bytes(changed)).verify(ENTRIES[5], VERIFIER)


def test_every_truncation_of_a_proof_is_noticed() -> None:
    data = proof.prove_inclusion(5, head(13), hash_at).to_bytes()
    for length in range(len(data)):
        with pytest.raises((FormatError, TamperedError)):
            proof.InclusionProof.parse(data[:length]).verify(ENTRIES[5], VERIFIER)


def test_a_proof_of_another_version_cannot_be_judged() -> None:
    data = proof.prove_inclusion(5, head(13), hash_at).to_bytes().replace(b"@v1", b"@v2", 1)
    with pytest.raises(CannotJudgeError):
        proof.InclusionProof.parse(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 01\n\n",
        "c2sp.org/tlog-proof@v1\nindex -1\n\n",
        "c2sp.org/tlog-proof@v1\nextra ?\nindex 1\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + "A" * 43 + "=\n" * 1 + "\u00e9\n\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + ("A" * 43 + "=\n") * 127 + "\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n\n" + "a" * (512 * 1024),
        "old\n\n",
    ],
)
def test_what_is_no_proof_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        proof.InclusionProof.parse(text.encode())
    with pytest.raises(FormatError):
        proof.ConsistencyProof.parse(text.encode())


def test_each_earlier_head_is_shown_to_be_a_prefix_and_a_fork_is_not() -> None:
    forked = [*LEAVES[:4], bytes(32), *LEAVES[5:]]
    for old in range(14):
        data = proof.prove_consistency(old, head(13), hash_at).to_bytes()
        read = proof.ConsistencyProof.parse(data)
        assert read.to_bytes() == data
        assert read.verify(head(old).to_bytes(), VERIFIER).size == 13
        for other in range(14):
            if other != old:
                with pytest.raises(TamperedError):
                    read.verify(head(other).to_bytes(), VERIFIER)
        if old > 4:
            with pytest.raises(TamperedError):
                read.verify(head(old, leaves=forked).to_bytes(), VERIFIER)


def test_a_proof_under_the_checkpoint_of_another_log_is_refused() -> None:
    made = proof.prove_inclusion(2, head(13, origin="other.example/log"), hash_at)
    with pytest.raises(TamperedError):
        made.verify(ENTRIES[2], VERIFIER)


def test_what_the_checkpoint_does_not_cover_cannot_be_proven() -> None:
    with pytest.raises(InvalidInputError):
        proof.prove_inclusion(5, head(5), hash_at)
    with pytest.raises(InvalidInputError):
        proof.prove_consistency(6, head(5), hash_at)
