"""The compact set of ids."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from carelink.interop.seen import Seen


@given(st.lists(st.text(max_size=3)))
def test_it_answers_as_a_set_does(texts: list[str]) -> None:
    seen, known = Seen(), set()
    for text in texts:
        assert (text in seen) == (text in known)
        seen.add(text)
        known.add(text)
        assert text in seen


def test_it_grows_and_forgets_nothing() -> None:
    seen = Seen()
    for number in range(20_000):
        seen.add(f"id-{number}")
    assert all(f"id-{number}" in seen for number in range(20_000))
    assert not any(f"no-{number}" in seen for number in range(20_000))


def test_it_takes_at_most_thirty_two_bytes_an_id() -> None:
    tracemalloc.start()
    try:
        seen = Seen()
        for number in range(50_000):
            seen.add(f"id-{number}")
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert size < 50_000 * 32
