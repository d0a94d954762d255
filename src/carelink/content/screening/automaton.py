"""Aho-Corasick: all places of all forms in one walk over a text (Aho and Corasick, CACM 18(6), 1975)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["Automaton"]


class Automaton:
    """Finds every occurrence of every form, nested and overlapping ones too. Nothing changes it once it is made.

    Args:
        forms: texts to look for, none empty. What is found is named by its place in this sequence.
    """

    __slots__ = ("_fail", "_next", "_out", "_root", "lengths")

    def __init__(self, forms: Iterable[str]) -> None:
        follow: list[dict[str, int]] = [{}]
        ends: list[list[int]] = [[]]
        lengths: list[int] = []
        for number, form in enumerate(forms):
            if not form:
                raise ValueError("an empty form would be found everywhere")
            lengths.append(len(form))
            state = 0
            for mark in form:
                if mark not in follow[state]:
                    follow[state][mark] = len(follow)
                    follow.append({})
                    ends.append([])
                state = follow[state][mark]
            ends[state].append(number)
        fail = [0] * len(follow)
        queue = deque(follow[0].values())
        while queue:
            state = queue.popleft()
            for mark, child in follow[state].items():
                queue.append(child)
                back = fail[state]
                while back and mark not in follow[back]:
                    back = fail[back]
                fail[child] = follow[back].get(mark, 0)
                ends[child] += ends[fail[child]]
        self.lengths: Final = tuple(lengths)
        self._next: Final = tuple(follow)
        self._root: Final = follow[0]
        self._fail: Final = tuple(fail)
        self._out: Final = tuple(tuple(found) for found in ends)

    def find(self, text: str) -> Iterator[tuple[int, int, int]]:
        """(start, end, number of the form), by ascending end; at one end the longest form first."""
        follow, fail, out, root, lengths = self._next, self._fail, self._out, self._root, self.lengths
        state = 0
        for place, mark in enumerate(text, 1):
            while state:
                step = follow[state].get(mark)
                if step is not None:
                    state = step
                    break
                state = fail[state]
            else:
                state = root.get(mark, 0)
            if out[state]:
                for number in out[state]:
                    yield place - lengths[number], place, number
