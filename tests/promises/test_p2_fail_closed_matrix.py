"""P2 as a matrix: every fact, broken in every way in which it can be, where it lives, on every channel: nothing is sent.
Each cell has its controls: the same people on the same channels are sent to before the break and after the mending, and
where the break concerns some people only, somebody else is sent to meanwhile.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from pathlib import Path

import attrs
import pytest

from carelink.consent.facts import Facts
from carelink.engine import factreader
from carelink.vocabulary import ChannelKind

HERE = Path(__file__).parent / "fail_closed"


def _module(name):
    spec = importlib.util.spec_from_file_location(f"fail_closed_{name}", HERE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bench_of, rows = _module("bench"), _module("rows")
CELLS = [row for row in rows.ROWS if isinstance(row, rows.Row)]
NEVER = [row for row in rows.ROWS if isinstance(row, rows.Never)]
FACTS = tuple(field.name for field in attrs.fields(Facts) if str(field.type).startswith("Fact["))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    made = bench_of.Bench(tmp_path_factory.mktemp("fail-closed") / "home")
    yield made
    made.close()


def all_sent(bench, requests):
    """The control: each is handed over, once, on its own channel."""
    before = bench.sent()
    answers = bench.answers(requests)
    assert answers == ["sent"] * len(requests)
    assert [now - was for now, was in zip(bench.sent(), before, strict=True)] == [1] * len(requests)


@pytest.mark.parametrize("row", CELLS, ids=lambda row: f"{row.fact}-{row.way.replace(' ', '-')}")
def test_a_fact_that_fails_sends_nothing_on_any_channel(bench, row):
    bench.next_day()
    cast = bench.cast(child=row.child)
    asks = lambda: bench.requests(cast, purpose=row.purpose, clinician=row.clinician)  # noqa: E731
    all_sent(bench, asks())
    waiting = asks()
    assert {outcome.effect.value for outcome in bench.link.permit_many(waiting)} == {"permit"}

    row.does(bench, cast)
    try:
        before = bench.sent()
        fresh = bench.answers(asks())
        held = bench.answers(waiting)
        assert bench.sent() == before, "a message left"
        assert set(fresh) == {row.says}
        assert set(held) == {row.held or row.says}
        if row.alone:
            assert bench.answers(bench.requests(bench.bystander)) == ["sent"], "somebody else pays for it"
    finally:
        bench.mend()
    all_sent(bench, asks())


# -- completeness ------------------------------------------------------------------------------------------------------


def test_every_fact_has_every_way_once():
    """A new field of `Facts` fails here until it has rows in tests/promises/fail_closed/rows.py."""
    stated = [(row.fact, row.way) for row in CELLS] + [(row.fact, way) for row in NEVER for way in row.ways]
    wanted = [(fact, way) for fact in FACTS for way in rows.WAYS]
    missing = [f"{fact}: {way}" for fact, way in wanted if (fact, way) not in stated]
    assert not missing, "no row, and no reason why there is none: " + "; ".join(missing)
    assert sorted(stated) == sorted(wanted), "a row twice, or of a fact or way that does not exist"
    assert all(row.why for row in NEVER)


def test_a_fact_without_a_source_is_a_constant():
    """As soon as the gate reads it somewhere, its rows must say how that can fail."""
    tree = ast.parse(inspect.getsource(factreader))
    (facts,) = [
        node for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Facts"
    ]  # fmt: skip
    read = {word.arg for word in facts.keywords if not (isinstance(word.value, ast.Name) and word.value.id.isupper())}
    assert set(FACTS) & read
    constant = {row.fact for row in NEVER if row.constant}
    assert not constant & read, "these are read now, and need rows"
    assert set(FACTS) - read == constant, "a constant that is not said to be one"


def test_the_channels_are_every_kind_and_every_built_in_one(bench):
    names = {channel.info.name for channel in bench.channels}
    assert {channel.info.kind for channel in bench.channels} == set(ChannelKind)
    built_in = Path(inspect.getfile(factreader)).parents[1] / "channels"
    for family in ("console", "outbox", "smtp", "memory"):
        assert (built_in / f"{family}.py").exists() or (built_in / family).is_dir()
        assert any(name.startswith(family) for name in names), family
    assert len(names) == len(bench.channels) == len(bench.sent())
