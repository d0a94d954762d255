"""Acceptance test 2: fixed keys and nonces give exactly these bytes, and a decoder that knows nothing of carelink reads
them. `independent` below is that decoder: written from docs/reference/envelope.md, over `Cipher` alone.
"""

import hmac
import json
from datetime import date
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from carelink.keys.provider import KekContext, RootKey
from carelink.vault.datakey import DataKey, Kek, commit, unwrap, wrap
from carelink.vault.envelope import FieldContext, Padding, open_field, seal
from carelink.vault.index import BlindIndex, address_token, request_ref
from carelink.vault.personal import SecretKey
from carelink.vault.suites import SUITES, suite_of

VECTORS = json.loads((Path(__file__).parent / "vectors" / "envelope_v1.json").read_text(encoding="utf-8"))
RAW = bytes.fromhex(VECTORS["key"])
ROWS = VECTORS["envelopes"]


# -- the second decoder: no name of carelink from here to the end of `independent` ---------------------------------------
def lp(text):
    return len(text).to_bytes(4, "big") + text.encode()


def independent(dek, tenant, owner, table, column, row, rev, envelope):
    version, suite, kid, nonce, body, tag = (
        *envelope[:2],
        envelope[2:18],
        envelope[18:30],
        envelope[30:-16],
        envelope[-16:],
    )
    digest, size = {1: (hashes.SHA256(), 32), 2: (hashes.SM3(), 16), 3: (hashes.SHA256(), 32)}[suite]
    label = b"carelink/kid/v1" + bytes([suite]) + lp(tenant) + lp(owner)
    assert version == 1
    assert kid == HKDFExpand(digest, 16, label).derive(dek)
    key = HKDFExpand(digest, size, b"carelink/enc/v1" + bytes([suite])).derive(dek)
    aad = b"carelink/field/v1" + lp(tenant) + lp(table) + lp(column) + envelope[:18] + lp(row)
    aad += b"" if rev is None else (8).to_bytes(4, "big") + rev.to_bytes(8, "big")
    if suite == 3:  # `Cipher` has no GCM-SIV
        plain = AESGCMSIV(key).decrypt(nonce, body + tag, aad)
    else:
        cipher = algorithms.AES(key) if suite == 1 else algorithms.SM4(key)
        opened = Cipher(cipher, modes.GCM(nonce, tag)).decryptor()
        opened.authenticate_additional_data(aad)
        plain = opened.update(body) + opened.finalize()
    value, mark, zeros = plain[1:].rpartition(b"\x80")
    assert mark
    assert zeros == bytes(len(zeros))
    return aad, plain[0], value


# -- end of the second decoder --------------------------------------------------------------------------------------------


def value_of(row):
    if row["kind"] == "bytes":
        return bytes.fromhex(row["value"])
    return date.fromisoformat(row["value"]) if row["kind"] == "date" else row["value"]


def plain_of(kind, raw):
    """What a reader of the documentation makes of kind and bytes."""
    number = int.from_bytes(raw, "big", signed=True)
    read = {
        0: lambda: None,
        1: raw.decode,
        2: lambda: raw,
        3: lambda: number,
        4: lambda: date.fromisoformat(raw.decode()),
        5: lambda: raw == b"\1",
    }
    return read[kind]()


def key_of(suite):
    return DataKey(SecretKey(RAW), VECTORS["tenant"], VECTORS["owner"], suite=suite_of(suite))


def place_of(row):
    return FieldContext(VECTORS["tenant"], VECTORS["table"], VECTORS["column"], VECTORS["row"], row["rev"])


def test_there_is_a_vector_for_every_suite_and_kind():
    kinds = {"null", "text", "bytes", "int", "date", "bool"}
    assert {(row["suite"], row["kind"]) for row in ROWS} == {(suite, kind) for suite in SUITES for kind in kinds}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['suite']}-{row['kind']}-{row['value']}")
def test_an_envelope(row):
    key, place, envelope = key_of(row["suite"]), place_of(row), bytes.fromhex(row["envelope"])
    value, nonce = value_of(row), bytes.fromhex(row["nonce"])
    assert key.kid.hex() == row["kid"]
    assert place.aad(key.header).hex() == row["aad"]
    assert seal(key, place, value, Padding(row["pad"]), entropy=lambda length: nonce[:length]) == envelope
    opened = open_field(key, place, envelope)
    assert (type(opened), opened) == (type(value), value)
    aad, kind, raw = independent(
        RAW, "t1", VECTORS["owner"], VECTORS["table"], VECTORS["column"], VECTORS["row"], row["rev"], envelope
    )
    assert aad.hex() == row["aad"]
    again = plain_of(kind, raw)
    assert (type(again), again) == (type(value), value)


def test_wrapped_keys_and_commitments():
    for row in VECTORS["wrapped"]:
        kek, key = Kek(SecretKey(bytes.fromhex(row["kek"])), row["epoch"]), key_of(row["suite"])
        wrapped = bytes.fromhex(row["wrapped"])
        assert wrap(kek, key, lambda length, row=row: bytes.fromhex(row["nonce"])[:length]) == wrapped
        opened = unwrap(
            kek, wrapped, VECTORS["tenant"], VECTORS["owner"], bytes.fromhex(row["kid"]), suite=suite_of(row["suite"])
        )
        assert opened.secret == SecretKey(RAW)
    for row in VECTORS["commitments"]:
        made = commit(key_of(row["suite"]), bytes.fromhex(row["salt"]), bytes.fromhex(row["data"]))
        assert made.hex() == row["commitment"]
    row = VECTORS["wrapped_kek"]
    root = RootKey(SecretKey(bytes.fromhex(row["root"])), lambda length: bytes.fromhex(row["nonce"])[:length])
    context = KekContext(row["tenant"], row["epoch"])
    kek = SecretKey(bytes.fromhex(row["kek"]))
    assert root.wrap(kek, context).hex() == row["wrapped"]
    assert root.unwrap(bytes.fromhex(row["wrapped"]), context) == kek


def test_index_and_tokens():
    key = SecretKey(RAW)
    full = hmac.digest(
        HKDFExpand(hashes.SHA256(), 32, b"carelink/bidx/v1" + lp("t1") + lp("patient") + lp("identifier")).derive(RAW),
        b"mrn|1001",
        "sha256",
    )
    for row in VECTORS["index"]:
        value = BlindIndex(key, "t1", row["table"], row["column"], row["bits"]).value(row["canonical"])
        assert value.hex() == row["value"]
        spare = 256 - row["bits"]
        whole = (int.from_bytes(full, "big") >> spare << spare).to_bytes(32, "big")
        assert value == whole[: (row["bits"] + 7) // 8]
    for row in VECTORS["tokens"]:
        assert address_token(key, row["kind"], row["canonical"]).hex() == row["token"]
    for row in VECTORS["request_refs"]:
        assert request_ref(key, row["tenant"], row["key"]) == row["ref"]
