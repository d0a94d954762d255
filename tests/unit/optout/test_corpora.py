"""The grammar on the corpora. Round 3 was never used to build it; docs/reference/opt-out.md says what it comes to there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

CORPORA = Path(__file__).parents[2] / "corpora" / "optout"
sys.path.insert(0, str(CORPORA))

import optout_measure  # noqa: E402


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("part", ["round 1, seen", "round 1, unseen", "round 2"])
def test_what_it_was_built_on_it_reads(language, part):
    found = optout_measure.measured(language, part)
    assert found.recall >= 0.994
    assert found.false_rate <= 0.001
    assert found.scoped >= 0.86 * found.stops


@pytest.mark.parametrize("language", ["zh", "en"])
def test_on_lines_it_never_saw_it_does_no_worse_than_published(language):
    found = optout_measure.measured(language, "round 3")
    assert found.recall >= 0.78
    assert found.false_rate <= 0.0057
    assert found.waiting >= 0.4 * found.missed
