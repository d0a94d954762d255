"""Signed notes, verifier keys and checkpoints: the specifications' own examples, and one spelling only."""

import base64

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from carelink.audit import checkpoint as forms
from carelink.errors import CannotJudgeError, FormatError, TamperedError

# The example of c2sp.org/signed-note@v1.0.0, "Verifier keys".
VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n\N{EM DASH} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ON"
    "ncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def check(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


class Signer:
    def __init__(self, name: str, seed: int, kind: int = forms.ED25519) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.key = forms.VerifierKey(name, kind, self._private.public_key().public_bytes_raw())
        self.name, self.key_id = name, self.key.key_id
        self.verifier = forms.NoteVerifier(self.key, check)

    def sign(self, message: bytes) -> bytes:
        return self._private.sign(message)


LOG = Signer("log.example/clinic", 1)
HEAD = forms.Checkpoint("log.example/clinic", 20, bytes(range(32)))


def test_the_specification_example_verifies() -> None:
    key = forms.VerifierKey.parse(VKEY)
    assert key.key_id.hex() == "530d903a"
    assert key.text == VKEY
    note = forms.SignedNote.parse(NOTE)
    forms.NoteVerifier(key, check).open(note)
    assert note.to_bytes() == NOTE


def test_the_specification_checkpoint_is_read_and_its_spelling_kept() -> None:
    data = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "\N{EM DASH} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
        "\N{EM DASH} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
    ).encode()
    signed = forms.parse_signed_checkpoint(data)
    assert (signed.checkpoint.origin, signed.size) == ("example.com/behind-the-sofa", 20852163)
    assert signed.root.hex().startswith("0ac5186a")
    assert [each.name for each in signed.note.signatures] == ["example.com/behind-the-sofa", "witness.example.com/w1"]
    assert signed.to_bytes() == data


def test_every_changed_byte_of_a_signed_checkpoint_is_noticed() -> None:
    data = forms.sign_checkpoint(HEAD, [LOG]).to_bytes()
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises((FormatError, TamperedError)):
                LOG.verifier.open(forms.parse_signed_checkpoint(bytes(changed)).note)


def test_other_spellings_of_the_same_base64_are_refused() -> None:
    data = forms.sign_checkpoint(HEAD, [LOG]).to_bytes()
    last = data.rstrip(b"=\n")[-1:]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    accepted = []
    for digit in alphabet:
        changed = data[: len(data.rstrip(b"=\n")) - 1] + bytes([digit]) + data[len(data.rstrip(b"=\n")) :]
        same = base64.b64decode(changed.split(b" ")[-1]) == base64.b64decode(data.split(b" ")[-1])
        try:
            LOG.verifier.open(forms.parse_signed_checkpoint(changed).note)
        except (FormatError, TamperedError):
            assert bytes([digit]) != last
        else:
            assert same
            accepted.append(bytes([digit]))
    assert accepted == [last]


@pytest.mark.parametrize("text", ["AA", "AA=", "AB==", "AA==\n", "A A=", "AA==AA==", "AA-_", "\uff21A=="])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(FormatError):
        forms.decode_base64(text)


@pytest.mark.parametrize("text", ["", "01", "+1", "-1", " 1", "1 ", "1_0", "\u0661", "00", str(2**63), "1e3", "9" * 40])
def test_numbers_have_one_spelling(text: str) -> None:
    with pytest.raises(FormatError):
        forms.parse_number(text)


def test_the_largest_number_is_read() -> None:
    assert forms.parse_number(str(2**63 - 1)) == 2**63 - 1
    assert forms.parse_number("0") == 0


def test_signatures_may_stand_in_any_order_and_unknown_ones_are_ignored() -> None:
    other = Signer("witness.example/w", 2)
    impostor = Signer("log.example/clinic", 3)
    for signers in ([LOG, other], [other, LOG], [impostor, other, LOG]):
        signed = forms.sign_checkpoint(HEAD, signers)
        LOG.verifier.open(forms.parse_signed_checkpoint(signed.to_bytes()).note)
    for signers in ([other], [impostor]):
        with pytest.raises(TamperedError):
            LOG.verifier.open(forms.sign_checkpoint(HEAD, signers).note)


def test_a_bad_line_of_the_known_key_spoils_a_good_one() -> None:
    good = forms.sign_checkpoint(HEAD, [LOG]).note
    for blob in (bytes(64), bytes(63), good.signatures[0].blob + b"\0"):
        bad = forms.NoteSignature(LOG.name, LOG.key_id, blob)
        note = forms.SignedNote(good.text, (*good.signatures, bad))
        with pytest.raises(TamperedError):
            LOG.verifier.open(forms.SignedNote.parse(note.to_bytes()))


def test_sixteen_signatures_are_read_and_a_thousand_refused() -> None:
    lines = forms.sign_checkpoint(HEAD, [LOG]).note.signatures
    note = forms.SignedNote(HEAD.text(), lines * 16)
    LOG.verifier.open(forms.SignedNote.parse(note.to_bytes()))
    with pytest.raises(FormatError):
        forms.SignedNote.parse(forms.SignedNote(HEAD.text(), lines * 1000).to_bytes())
    with pytest.raises(FormatError):
        forms.SignedNote.parse(b"a" * (forms.MAX_NOTE + 1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "log\n20\n",
        "\n20\nAAAA\n",
        "log\n020\n" + base64.b64encode(bytes(32)).decode() + "\n",
        "log\n20\n" + base64.b64encode(bytes(31)).decode() + "\n",
        "log\n20\n" + base64.b64encode(bytes(32)).decode() + "\nextension\n",
        "log\n20\n" + base64.b64encode(bytes(32)).decode(),
        "log\n20\n" + base64.b64encode(bytes(32)).decode() + "\n\n",
    ],
)
def test_other_than_three_canonical_lines_is_no_checkpoint(text: str) -> None:
    with pytest.raises(FormatError):
        forms.Checkpoint.parse(text)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\nno dash\n",
        b"text\r\n\n" + "\N{EM DASH} a AAAAAAAA\n".encode(),
        b"\xff\n\n" + "\N{EM DASH} a AAAAAAAA\n".encode(),
        "text\n\n\N{EM DASH} a AAAAAAAA".encode(),
        "text\n\n\N{EM DASH} a AAAAAAAA\n\n".encode(),
        "text\n\n\N{EM DASH} a\n".encode(),
        "text\n\n\N{EM DASH} a b AAAAAAAA\n".encode(),
        "text\n\n\N{EM DASH}  AAAAAAAA\n".encode(),
        "text\n\n\N{EM DASH} a+b AAAAAAAA\n".encode(),
        "text\n\n\N{EM DASH} a\N{NO-BREAK SPACE}b AAAAAAAA\n".encode(),
        "text\n\n\N{EM DASH} a AAAA\n".encode(),
    ],
)
def test_what_is_no_note_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        forms.SignedNote.parse(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a+b",
        VKEY.replace("530d903a", "530d903b"),
        VKEY.replace("530d903a", "530D903A"),
        VKEY.replace("foo", "bar"),
        VKEY[:-1],
        VKEY + "\n\n",
        "exa mple+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "a+00000000+",
        "a+00000000+AQ==",
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        forms.VerifierKey.parse(text)


def test_an_unknown_type_of_key_cannot_be_judged() -> None:
    blob = forms.encode_base64(b"\x06" + bytes(1312))
    with pytest.raises(CannotJudgeError):
        forms.VerifierKey.parse(f"a+00000000+{blob}")


def test_a_key_whose_base64_holds_a_plus_is_read() -> None:
    for seed in range(256):
        key = Signer("log.example", seed).key
        if "+" in key.text.split("+", 2)[2]:
            assert forms.VerifierKey.parse(key.text + "\n") == key
            return
    pytest.fail("no such key among 256")


def test_a_cosignature_binds_the_time() -> None:
    witness = Signer("witness.example/w", 9, forms.COSIGNATURE_V1)
    signed = forms.sign_checkpoint(HEAD, [LOG])
    text = signed.note.text

    def cosigned(seconds: int, claimed: int) -> forms.SignedNote:
        blob = claimed.to_bytes(8, "big") + witness.sign(forms.cosignature_message(text, seconds))
        line = forms.NoteSignature(witness.name, witness.key_id, blob)
        return forms.SignedNote.parse(forms.SignedNote(text, (line, *signed.note.signatures)).to_bytes())

    assert forms.verify_cosignature(signed.note, witness.verifier) is None
    assert forms.verify_cosignature(cosigned(1679315147, 1679315147), witness.verifier) == 1679315147
    LOG.verifier.open(cosigned(1679315147, 1679315147))
    with pytest.raises(TamperedError):
        forms.verify_cosignature(cosigned(1679315147, 1679315148), witness.verifier)
    with pytest.raises(TamperedError):
        forms.verify_cosignature(cosigned(2**63, 2**63), witness.verifier)


def test_the_cosigned_message_is_that_of_the_specification() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    assert forms.cosignature_message(text, 1679315147).decode() == f"cosignature/v1\ntime 1679315147\n{text}"


def test_a_log_key_does_not_pass_as_a_witness() -> None:
    note = forms.sign_checkpoint(HEAD, [LOG]).note
    with pytest.raises(TamperedError):
        forms.verify_cosignature(note, LOG.verifier)
