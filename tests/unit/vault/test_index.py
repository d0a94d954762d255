"""Canonical forms, blind index, tokens."""

import pytest

from carelink.errors import InvalidInputError
from carelink.vault.canonical import RESIDENT_ID, canonical_email, canonical_id, canonical_phone
from carelink.vault.index import BlindIndex, address_hash, address_token, plan_bits, request_hash, request_ref
from carelink.vault.personal import SecretKey

KEY = SecretKey(bytes(range(32)))


def test_every_spelling_of_an_address_has_one_form():
    assert {
        canonical_phone(raw, "CN").text for raw in ("13800138000", "+86 138-0013-8000", "１３８００１３８０００")
    } == {"+8613800138000"}
    assert canonical_phone("13800138000", "CN").zones == ("Asia/Shanghai",)
    assert not canonical_phone("12345", "CN").valid
    assert canonical_email(" Wang@Example.INVALID ").text == "wang@example.invalid"
    assert canonical_id(RESIDENT_ID, "11010119900101001x").endswith("|11010119900101001X")


@pytest.mark.parametrize(
    "bad", [lambda t: canonical_phone(t, "CN"), canonical_email, lambda t: canonical_id(RESIDENT_ID, t)]
)
def test_a_bad_value_is_refused_without_showing_it(bad):
    with pytest.raises(InvalidInputError) as caught:
        bad("secret-text")
    assert "secret-text" not in str(caught.value)
    assert caught.value.__context__ is None


def test_the_planner_keeps_candidates_between_two_and_the_root():
    assert [plan_bits(rows) for rows in (200_000, 1_000_000, 10_000_000)] == [15, 17, 21]
    for rows in range(16, 5000):
        assert 2 * 2 ** plan_bits(rows) <= rows <= 4 ** plan_bits(rows)
    for rows, skewed in ((15, False), (1000, True)):
        with pytest.raises(InvalidInputError):
            plan_bits(rows, skewed=skewed)


def test_tokens_and_index_differ_by_place_and_kind():
    assert (
        address_token(KEY, "phone", "x")
        == address_token(address_hash(KEY), "phone", "x")
        != address_token(KEY, "chat", "x")
    )
    assert request_ref(KEY, "t1", "k") == request_ref(request_hash(KEY), "t1", "k") != request_ref(KEY, "t2", "k")
    full = BlindIndex(KEY, "t1", "patient", "identifier", 64).value("x")
    short = BlindIndex(KEY, "t1", "patient", "identifier", 13).value("x")
    assert short == bytes([full[0], full[1] & 0xF8])
