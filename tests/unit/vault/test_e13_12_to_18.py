"""Acceptance tests 12 (blind index), 13 (values), 14 (forks, threads), 15 (statistics) and 18 (static)."""

import ast
import math
import multiprocessing
import re
import tokenize
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import carelink
from carelink.errors import InvalidInputError
from carelink.vault.canonical import canonical_email, canonical_id, canonical_phone
from carelink.vault.datakey import DataKey
from carelink.vault.envelope import FieldContext, Padding, open_field, seal
from carelink.vault.index import BlindIndex, plan_bits
from carelink.vault.personal import SecretKey
from carelink.vault.suites import SUITES

OWNER = "0" * 31 + "1"
PLACE = FieldContext("t1", "patient", "name", OWNER)
KEY = DataKey(SecretKey(bytes(range(32))), "t1", OWNER)
ROOT = Path(carelink.__file__).parent


# -- 12 ------------------------------------------------------------------------------------------------------------------
@pytest.mark.property
@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(["", "+86", "+86 ", "0086"]), st.data())
def test_12_every_spelling_of_a_number_has_one_form(digits, prefix, data):
    spelled = prefix
    for digit in digits:
        full = chr(ord(digit) + 0xFEE0)  # full-width, as an input method types it
        spelled += data.draw(st.sampled_from([digit, full])) + data.draw(st.sampled_from(["", "", "", " ", "-"]))
    assert canonical_phone(spelled.rstrip("-"), "CN").text == f"+86{digits}"


@pytest.mark.property
@given(st.from_regex(r"[a-zA-Z0-9]{1,12}@[a-zA-Z]{1,12}\.[a-zA-Z]{2,8}", fullmatch=True))
def test_12_a_form_is_its_own_form(raw):
    form = canonical_email(raw).text
    assert form == canonical_email(form).text == canonical_email(f" {raw.upper()} ").text
    assert canonical_id("mrn", canonical_id("mrn", raw).partition("|")[2]) == canonical_id("mrn", raw)


@pytest.mark.parametrize("rows", [200, 5_000, 20_000])
def test_12_as_many_candidates_as_planned(rows):
    """The mean over all lookups of a present value: itself and (R - 1) / 2^b others, within 10 %."""
    bits = plan_bits(rows)
    index = BlindIndex(SecretKey(bytes(32)), "t1", "contact", "address", bits)
    buckets = Counter(index.value(f"+8613{number:09}") for number in range(rows))
    mean = sum(size * size for size in buckets.values()) / rows
    assert mean == pytest.approx(1 + (rows - 1) / 2**bits, rel=0.1)


def test_12_planner_bounds():
    for rows in (16, 17, 1000, 200_000, 10**6, 10**7):
        assert 2 <= rows / 2 ** plan_bits(rows) <= math.sqrt(rows)
    for rows, skewed in ((15, False), (10**6, True)):
        with pytest.raises(InvalidInputError):
            plan_bits(rows, skewed=skewed)


# -- 13 ------------------------------------------------------------------------------------------------------------------
FOUR = [None, "", 0, False]


@pytest.mark.parametrize("suite", SUITES.values(), ids=lambda suite: suite.name)
def test_13_values_come_back_with_their_type(suite):
    key = DataKey(SecretKey(bytes(range(32))), "t1", OWNER, suite=suite)
    values = [*FOUR, "x" * 100_000, "😀王\u200b\u0000", b"", b"\0" * 70, True, 1, -(2**200), date.min, date.max]
    for value in values:
        opened = open_field(key, PLACE, seal(key, PLACE, value))
        assert (type(opened), opened) == (type(value), value)


def test_13_null_empty_zero_and_false_are_four_values():
    opened = [open_field(KEY, PLACE, seal(KEY, PLACE, value)) for value in FOUR]
    assert len({(type(value), value) for value in opened}) == 4


def test_13_what_has_no_form_is_refused_not_changed():
    for value in ("\ud800", 1.5, ["x"], object()):
        with pytest.raises(InvalidInputError):
            seal(KEY, PLACE, value)


# -- 14 ------------------------------------------------------------------------------------------------------------------
def nonces(count):
    return b"".join(seal(KEY, PLACE, "x")[18:30] for _ in range(count))


def in_child(count, pipe):
    pipe.send_bytes(nonces(count))
    pipe.close()


@pytest.mark.parametrize("count", [2_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_14_forked_processes_never_draw_a_nonce_twice(count):
    fork = multiprocessing.get_context("fork")
    pipes, children = [], []
    for _ in range(8):
        mine, theirs = fork.Pipe(duplex=False)
        child = fork.Process(target=in_child, args=(count, theirs))
        child.start()
        theirs.close()
        pipes.append(mine)
        children.append(child)
    drawn = b"".join(pipe.recv_bytes() for pipe in pipes)
    for child in children:
        child.join()
        assert child.exitcode == 0
    assert len({drawn[at : at + 12] for at in range(0, len(drawn), 12)}) == 8 * count


def test_14_threads_share_a_key():
    key = DataKey(SecretKey(bytes(32)), "t1", OWNER)

    def work(number):
        for turn in range(2_000):
            value = f"{number} {turn}"
            assert open_field(key, PLACE, seal(key, PLACE, value)) == value
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


# -- 15 ------------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_15_no_nonce_repeats(count):
    drawn = nonces(count)
    assert len({drawn[at : at + 12] for at in range(0, len(drawn), 12)}) == count


@pytest.mark.parametrize("pad", Padding)
def test_15_lengths_fall_on_steps_only(pad):
    lengths = {length: len(seal(KEY, PLACE, "x" * length, pad)) for length in range(400)}
    assert all((sealed - 46) % pad == 0 for sealed in lengths.values())
    assert len({lengths[length] for length in range(pad - 1)}) == 1


# -- 18 ------------------------------------------------------------------------------------------------------------------
SOURCES = sorted(path for room in ("vault", "keys") for path in (ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_18_no_pickle_no_base64_no_swallowed_exception(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
        elif isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno}: except for everything"
            assert [type(each) for each in node.body] != [ast.Pass], f"line {node.lineno}: except: pass"
    # Vault's transit engine speaks base64 over HTTP; nothing that is stored does.
    spoken = {"base64", "binascii"} if path.name == "vault_transit.py" else set()
    assert not imported & ({"pickle", "cPickle", "dill", "shelve", "marshal", "base64", "binascii", "random"} - spoken)
    with path.open("rb") as file:
        names = {token.string for token in tokenize.tokenize(file.readline) if token.type == tokenize.NAME}
    coded = [name for name in names if re.fullmatch(r"b(16|32|64|85)(en|de)code|eval|exec", name)]
    assert not coded or (spoken and not {"eval", "exec"} & set(coded))


def test_18_the_check_sees_both_rooms():
    assert {path.parent.name for path in SOURCES} >= {"vault", "keys"}
    assert len(SOURCES) > 12
