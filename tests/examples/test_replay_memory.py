"""What replay remembers does not grow with each entry: a log three times as long costs little more."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import pytest

from carelink.audit.entry import parse_entry
from carelink.audit.fold import LogState

BENCHMARKS = str(Path(__file__).parents[2] / "benchmarks")
MOST = 150
"""Bytes of memory for one entry more; as objects the state took some 460."""


@pytest.fixture(scope="module")
def told():
    sys.path.insert(0, BENCHMARKS)
    try:
        from synthetic_log import story
    finally:
        sys.path.remove(BENCHMARKS)
    return story()


def test_state_of_a_longer_log_grows_by_bytes(told):
    state, held = LogState(), []
    tracemalloc.start()
    try:
        for number, data in enumerate(told.entries(12_000), 1):
            state.apply(parse_entry(data))
            if number % 4_000 == 0:
                held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert (held[2] - held[0]) / 8_000 < MOST
