"""A trial says which fixture failed, which rule no fixture holds, and counts what is really different."""

from __future__ import annotations

import pytest

from carelink.consent.pack import parse_pack
from carelink.errors import PolicyError
from carelink.packs.fixtures import parse_fixtures
from carelink.packs.loader import load_bundled
from carelink.packs.trial import try_pack

PACK = """
[pack]
id = "clinic"
jurisdiction = "*"
version = "1"
valid_from = 2020-01-01
title = { en = "Clinic", zh = "本院" }

[[rule]]
id = "CLINIC.CAP"
kind = "frequency_cap"
authority = "hospital"
certainty = "I"
title = { en = "one article a month", zh = "每月一篇" }
sources = [{ instrument = "minutes", version = "2026-01-12", article = "3" }]
[rule.when]
purposes = ["education"]
[rule.params]
max = 1
window = "P30D"
"""
REFUSED = """
[[fixture]]
rule = "CLINIC.CAP"
expect = "refuse"
code = "CAP_EXCEEDED"
title = "one already"
purpose = "education.health"
touches = ["1 in 20 days"]
"""
PASSED = """
[[fixture]]
rule = "CLINIC.CAP"
expect = "permit"
title = "none yet"
purpose = "education.health"
"""
SILENT = """
[[fixture]]
rule = "CLINIC.CAP"
expect = "silent"
title = "care"
"""


def tried(*texts, pack=PACK):
    data = 'pack = "clinic"\n' + "".join(texts)
    return try_pack(parse_pack(pack.encode()), parse_fixtures(data.encode()), load_bundled("baseline"))


def test_a_rule_that_does_what_its_fixtures_say():
    trial = tried(REFUSED, PASSED, SILENT)
    assert trial.passed
    assert (trial.rules, trial.fixtures, trial.distinct) == (1, 3, 3)


@pytest.mark.parametrize(
    ("change", "expected", "got"),
    [
        (("20 days", "40 days"), "refuse CAP_EXCEEDED", "refuse CAP_EXCEEDED"),
        (("1 in 20 days", "1 40 days ago"), "refuse CAP_EXCEEDED", "permit"),
        (("CAP_EXCEEDED", "GAP_TOO_SHORT"), "refuse GAP_TOO_SHORT", "refuse CAP_EXCEEDED"),
        (("education.health", "care.treatment"), "refuse CAP_EXCEEDED", "silent"),
        (("CLINIC.CAP", "CLINIC.GAP"), "refuse CAP_EXCEEDED", "no such rule in the pack"),
    ],
)
def test_a_failure_says_what_was_expected_and_what_came(change, expected, got):
    trial = tried(REFUSED.replace(*change), REFUSED, PASSED)
    failures = [(one.expected, one.got) for one in trial.failures]
    assert failures == ([] if expected == got else [(expected, got)])
    assert trial.passed is (expected == got)


def test_it_is_the_verdict_of_the_own_rule_that_counts():
    # The baseline refuses this one for want of consent; the cap has nothing against it.
    assert tried(PASSED + "consent = []\n", REFUSED).failures == ()


@pytest.mark.parametrize(("texts", "lacking"), [((PASSED,), "refuses or defers"), ((REFUSED,), "passes it")])
def test_a_rule_needs_one_that_it_refuses_and_one_that_passes(texts, lacking):
    trial = tried(*texts)
    assert not trial.failures
    assert [lacking in one.title for one in trial.unheld] == [True]


def test_a_rule_whose_deletion_no_fixture_notices_is_named():
    # Fixtures that another rule's silence satisfies as well hold nothing.
    trial = tried(SILENT)
    assert [one.title for one in trial.unheld if "deleting" in one.title]


def test_what_differs_in_numbers_only_counts_once():
    assert tried(REFUSED, REFUSED.replace("20 days", "21 days"), PASSED).distinct == 2
    assert tried(REFUSED, REFUSED.replace('days"]', 'days"]\nwait = false'), PASSED).distinct == 3


@pytest.mark.parametrize(
    "line",
    [
        'colour = "red"', 'age = "old"', 'touches = ["many"]', 'consent = [{ of = "fun" }]', 'stops = [{ by = "me" }]',
        'at = "noon"', 'zone = "Mars/Base"', 'content = { status = "nice" }', 'screening = { found = ["absolute"] }',
        'screening = { without = ["sun"] }', "provider = { region = 3 }", 'unknown = ["weather"]', 'code = "NO"',
        'calendar = "wx"', "guardian = { nice = true }", 'contact = { verified = "once" }', 'role = "friend"',
    ],
)  # fmt: skip
def test_what_is_not_understood_is_an_error_that_names_the_fixture(line):
    text = PASSED + line + "\n"
    if line.startswith(("code", "purpose")):
        text = PASSED.replace('expect = "permit"', f'expect = "permit"\n{line}')
    with pytest.raises(PolicyError) as caught:
        tried(text)
    assert "fixture 1, rule `CLINIC.CAP`" in caught.value.message


@pytest.mark.parametrize("text", ["", "pack = 3\n[[fixture]]\n", 'pack = "clinic"\n', "[[fixture"])
def test_what_is_no_fixture_file_is_an_error(text):
    with pytest.raises(PolicyError):
        parse_fixtures(text.encode())
