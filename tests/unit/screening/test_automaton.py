"""The automaton finds what a search at every place finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carelink.content.screening.automaton import Automaton

TEXT = st.text("abc", max_size=40)


@given(st.lists(st.text("abc", min_size=1, max_size=5), unique=True, max_size=8), TEXT)
def test_it_finds_every_occurrence_and_nothing_else(forms: list[str], text: str) -> None:
    found = list(Automaton(forms).find(text))
    everywhere = {
        (start, start + len(form), number)
        for number, form in enumerate(forms)
        for start in range(len(text))
        if text.startswith(form, start)
    }
    assert set(found) == everywhere
    assert len(found) == len(everywhere)
    assert [end for _, end, _ in found] == sorted(end for _, end, _ in found)


def test_an_empty_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        Automaton(["a", ""])
