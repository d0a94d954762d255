"""The figures of the screening, and that every step of the normaliser is needed for one of them."""

from __future__ import annotations

from collections import Counter
from types import ModuleType

import pytest

from carelink.content.screening.codes import Category
from carelink.content.screening.compiled import WordLists
from carelink.content.screening.normalise import ALL_STEPS, Step
from carelink.packs.screening_lists import bundled_lists, load_list

CAUGHT = 0.97
REFUSED = 0.005


def test_the_corpora_are_as_large_as_they_must_be(corpus: ModuleType) -> None:
    evasion, benign = corpus.lines("evasion"), corpus.lines("benign")
    assert len(evasion) >= 300 and len({line.text for line in evasion}) == len(evasion)
    assert len(benign) >= 500 and len({line.text for line in benign}) == len(benign)
    assert {line.label for line in evasion} == {one.value for one in Category} - {"OBFUSCATION"}
    assert len({line.trick for line in evasion}) >= 18
    for file in (evasion, benign):
        assert 0.4 < sum(line.unseen for line in file) / len(file) < 0.6


@pytest.mark.parametrize("half", ["seen", "unseen"])
def test_disguised_claims_are_caught(corpus: ModuleType, lists: WordLists, half: str) -> None:
    count, caught = corpus.figures(lists)[f"evasion {half}"]
    assert caught / count >= CAUGHT


@pytest.mark.parametrize("half", ["seen", "unseen"])
def test_benign_texts_are_not_refused(corpus: ModuleType, lists: WordLists, half: str) -> None:
    count, refused = corpus.figures(lists)[f"benign {half}"]
    assert refused / count <= REFUSED


def test_every_trick_is_caught_in_more_than_half_of_its_lines(corpus: ModuleType, lists: WordLists) -> None:
    all_of, missed = Counter(), Counter()
    for line in corpus.lines("evasion"):
        all_of[line.trick] += 1
        missed[line.trick] += not line.caught(lists)
    assert [trick for trick in all_of if missed[trick] * 2 > all_of[trick]] == []


NEEDED = {
    Step.ENTITIES: "entity",
    Step.COMPATIBILITY: "math",
    Step.INVISIBLE: "zerowidth",
    Step.MARKS: "mark",
    Step.KEYCAPS: "keycap",
    Step.CONFUSABLES: "confusable",
    Step.RADICALS: "radical",
    Step.TRADITIONAL: "traditional",
    Step.CASE: "case",
    Step.SEPARATORS: "separator",
    Step.HOMOPHONES: "homophone",
    Step.NUMERALS: "numeral",
    Step.PINYIN: "pinyin",
    Step.SPLIT: "split",
}


@pytest.mark.parametrize("step", Step)
def test_without_a_step_a_trick_gets_through(corpus: ModuleType, lists: WordLists, step: Step) -> None:
    poorer = WordLists([load_list(name) for name in bundled_lists()], ALL_STEPS - {step})
    lines = [line for line in corpus.lines("evasion") if line.trick == NEEDED[step] and line.caught(lists)]
    assert any(not line.caught(poorer) for line in lines)


def test_without_the_benign_phrases_benign_texts_suffer(corpus: ModuleType, lists: WordLists) -> None:
    import attrs

    bare = WordLists([attrs.evolve(load_list(name), benign=()) for name in bundled_lists()])
    worse = [line for line in corpus.lines("benign") if line.screened(bare).action != line.screened(lists).action]
    assert len(worse) >= 5
