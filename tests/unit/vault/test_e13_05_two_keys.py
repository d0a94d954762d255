"""Acceptance test 5: one ciphertext that verifies under two keys. The ciphers themselves take it (which is shown
first); an envelope does not, because its key id commits to the key.

GCM: the tag is E_k(nonce || 1) + GHASH_H(aad, c), so one free block makes two keys agree: a linear equation in GF(2^128).
GCM-SIV (RFC 8452): the tag T fixes the key stream and, decrypted, the value POLYVAL must have; two free blocks and two
linear equations make one ciphertext open under both keys. A tag whose decryptions have the top bit set is skipped.
"""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from carelink.errors import CarelinkError
from carelink.vault.datakey import DataKey
from carelink.vault.envelope import FieldContext, open_field, seal
from carelink.vault.personal import SecretKey
from carelink.vault.suites import AES_256_GCM, AES_256_GCM_SIV, SM4_GCM

OWNER, OTHER = "0" * 31 + "1", "0" * 31 + "2"
PLACE = FieldContext("t1", "patient", "name", OWNER)
NONCE = bytes(12)
BLOCKS = 2  # an envelope of 64 bytes: two blocks of ciphertext before the tag
ONE = 1 << 127


def times(x, y):
    """Product in GCM's field: bit 127 is the coefficient of x^0."""
    product = 0
    for place in range(127, -1, -1):
        if y >> place & 1:
            product ^= x
        x = x >> 1 ^ (0xE1 << 120 if x & 1 else 0)
    return product


def power(x, exponent):
    result = ONE
    while exponent:
        if exponent & 1:
            result = times(result, x)
        x, exponent = times(x, x), exponent >> 1
    return result


def inverse(x):
    return power(x, 2**128 - 2)


def number(block):
    return int.from_bytes(block, "big")


def blocks(data):
    data += bytes(-len(data) % 16)
    return [data[at : at + 16] for at in range(0, len(data), 16)]


def lengths(aad, size, order):
    return (len(aad) * 8).to_bytes(8, order) + (size * 8).to_bytes(8, order)


def ghash(h, parts):
    found = 0
    for part in parts:
        found = times(found ^ part, h)
    return found


def cipher_of(suite, key):
    return Cipher(algorithms.SM4(key) if suite is SM4_GCM else algorithms.AES(key), modes.ECB())


def encrypt(cipher, block):
    return cipher.encryptor().update(block)


def raw_key(suite, key):
    return suite.derive(key.secret, b"carelink/enc/v1" + suite.octet, suite.key_length)


def two_key_gcm(suite, keys, aad):
    """Two blocks and a tag that both keys take: the first block is solved for, the second is free."""
    ciphers = [cipher_of(suite, key) for key in keys]
    free = bytes(16)
    parts = [[*map(number, blocks(aad)), 0, number(free), number(lengths(aad, 32, "big"))] for _ in ciphers]
    hs = [number(encrypt(cipher, bytes(16))) for cipher in ciphers]
    masks = [number(encrypt(cipher, NONCE + b"\0\0\0\1")) for cipher in ciphers]
    rests = [ghash(h, part) ^ mask for h, part, mask in zip(hs, parts, masks, strict=True)]
    factors = [power(h, 3) for h in hs]  # two more blocks follow the one that is solved for
    wanted = times(rests[0] ^ rests[1], inverse(factors[0] ^ factors[1]))
    tag = rests[0] ^ times(wanted, factors[0])
    return wanted.to_bytes(16, "big") + free + tag.to_bytes(16, "big")


def siv_keys(key):
    """Record keys of RFC 8452: authentication key and the cipher of the encryption key."""
    master = cipher_of(AES_256_GCM_SIV, key)
    parts = [encrypt(master, counter.to_bytes(4, "little") + NONCE)[:8] for counter in range(6)]
    h = number((parts[0] + parts[1])[::-1])
    h = h >> 1 ^ (0xE1 << 120 if h & 1 else 0)  # mulX_GHASH: POLYVAL by means of GHASH (RFC 8452, appendix A)
    return h, cipher_of(AES_256_GCM_SIV, b"".join(parts[2:]))


def two_key_siv(keys, aad):
    made = [siv_keys(key) for key in keys]
    for seed in range(1, 200):
        tag = seed.to_bytes(16, "little")
        wanted = [cipher.decryptor().update(tag) for _, cipher in made]
        if any(block[15] & 0x80 for block in wanted):
            continue
        equations = []
        for (h, cipher), block in zip(made, wanted, strict=True):
            target = bytes(a ^ b for a, b in zip(block, NONCE + bytes(4), strict=True))
            counter = tag[:15] + bytes([tag[15] | 0x80])
            stream = [
                encrypt(cipher, (number(counter[3::-1]) + at).to_bytes(4, "little") + counter[4:])
                for at in range(BLOCKS)
            ]
            known = [*(part[::-1] for part in blocks(aad)), *(part[::-1] for part in stream)]
            parts = [*map(number, known), number(lengths(aad, 32, "little")[::-1])]
            equations.append((power(h, 3), power(h, 2), ghash(h, parts) ^ number(target[::-1])))
        (a, b, e), (c, d, f) = equations
        scale = inverse(times(a, d) ^ times(b, c))
        first, second = (
            times(times(e, d) ^ times(b, f), scale),
            times(times(a, f) ^ times(c, e), scale),
        )
        return first.to_bytes(16, "big")[::-1] + second.to_bytes(16, "big")[::-1] + tag
    raise AssertionError("no tag fits")


@pytest.mark.parametrize("suite", [AES_256_GCM, SM4_GCM, AES_256_GCM_SIV])
def test_a_ciphertext_of_two_keys_opens_under_neither_s_envelope(suite):
    pair = [
        DataKey(SecretKey(bytes([fill]) * 32), "t1", owner, suite=suite) for fill, owner in ((1, OWNER), (2, OTHER))
    ]
    raws = [raw_key(suite, key) for key in pair]
    for mine in pair:
        aad = PLACE.aad(mine.header)
        forged = two_key_siv(raws, aad) if suite is AES_256_GCM_SIV else two_key_gcm(suite, raws, aad)
        plains = {suite.aead(raw).decrypt(NONCE, forged, aad) for raw in raws}
        assert len(plains) == 2  # both keys take it, and read two different things
        for key in pair:
            with pytest.raises(CarelinkError):
                open_field(key, PLACE, mine.header + NONCE + forged)
    honest = seal(pair[0], PLACE, "x")
    assert open_field(pair[0], PLACE, honest) == "x"
    with pytest.raises(CarelinkError):
        open_field(pair[1], PLACE, honest)
