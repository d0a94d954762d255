"""The grammar's file: what is wrong in one is named, and the bundled one holds what its form promises."""

from __future__ import annotations

import pytest

from carelink.consent.optout.grammar import Means, parse_grammar
from carelink.errors import PolicyError
from carelink.packs.optout_words import bundled_grammar

WHOLE = """
[grammar]
version = "1"
[source.mine]
instrument = "tests"
version = "1"
article = "-"
certainty = "I"
[slot]
not-in-gap = ["not"]
stop = ["stop", "cease and desist"]
me = ["me", "us"]
[phrase]
who = "me*"
[[form]]
means = "stop"
sources = ["mine"]
say = ["stop who", "_ stop+"]
"""


def ends(text, at=0):
    return sorted(tile.end for tile in parse_grammar(WHOLE.encode()).tiles(text.split())[at])


def test_a_form_ends_wherever_its_parts_may():
    assert ends("stop me us now") == [1, 2, 3]
    assert ends("cease and desist") == [3]
    assert ends("please stop stop") == [2, 3]
    assert ends("not stop") == [], "a word of `not-in-gap` fills no gap"
    assert ends(". stop") == []
    assert ends("nothing of it") == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('say = ["stop who"', 'say = ["stop whom"'), ('sources = ["mine"]', "sources = []"),
        ('sources = ["mine"]', 'sources = ["yours"]'), ('"stop", "cease', '"...", "cease'), ('means = "stop"', 'means = "go"'),
        ('article = "-"', ""), ('certainty = "I"', 'certainty = "?"'), ("[grammar]", "[grammer]"), ('"me*"', '"me**"'),
        ('means = "stop"', "means ="), ('means = "stop"', 'means = "stop"\nchannels = ["fax"]'),
    ],
)  # fmt: skip
def test_a_malformed_file_is_refused(old, new):
    assert old in WHOLE
    with pytest.raises(PolicyError):
        parse_grammar(WHOLE.replace(old, new, 1).encode())


def test_every_meaning_has_a_form_and_every_source_is_used():
    grammar = bundled_grammar()
    assert {form.means for form in grammar.forms} == set(Means)
    assert {name for form in grammar.forms for name in form.sources} == set(grammar.sources)
