"""`carelink why`: every rule, every fact, and from when it would pass."""

from __future__ import annotations

import re

import carelink
from carelink.model.moment import HOUR


def test_a_refusal_is_explained_rule_by_rule(desk) -> None:
    desk.people(1, consent=False)
    desk.run("send", "--jsonl", "-", stdin=desk.request("visit 7", 1).encode())
    told = desk.run("why", "visit 7")
    assert told.code == 0
    assert told.out.startswith("REFUSE  entry ")
    assert "decided again now: the same" in told.out
    assert "would pass from  -" in told.out
    assert "No consent for this purpose and channel is on record." in told.out
    rules = re.findall(r"^  (permit|defer|refuse) +(\S+)", told.out, re.MULTILINE)
    with carelink.open(desk.home) as link:
        applied = {verdict.rule for verdict in link.why("visit 7", actor="test").decision.verdicts}
    assert {rule for _, rule in rules} >= applied
    assert ("refuse", "BASE.GRANT") in rules
    assert ("permit", "BASE.SUBJECT") in rules
    for fact in ("grants", "stops", "touches", "standing", "age", "zones", "contact", "mode"):
        assert re.search(rf"^  {fact} +\S", told.out, re.MULTILINE), fact
    assert re.search(r"^ +\d+  2026-01-15 10:00:00\+08:00  decision +refuse", told.out, re.MULTILINE)


def test_a_deferral_says_from_when_in_the_tenants_zone_and_in_chinese(desk) -> None:
    desk.people(1)
    desk.clock.advance(13 * HOUR)
    desk.run("send", "--jsonl", "-", stdin=desk.request("k", 1).encode())
    told = desk.run("why", "k")
    assert told.out.startswith("DEFER")
    assert "would pass from  2026-01-16 08:00:00+08:00" in told.out
    chinese = desk.run("why", "k", "--lang", "zh")
    assert chinese.out.startswith("推迟")
    assert "最早可发时间  2026-01-16 08:00:00+08:00" in chinese.out
    assert "免打扰" in chinese.out


def test_what_happened_is_told_in_order(desk) -> None:
    desk.people(1)
    desk.run("send", "--jsonl", "-", stdin=desk.request("k", 1).encode())
    told = desk.run("why", "k")
    assert told.out.startswith("PERMIT")
    assert "would pass from" not in told.out
    happened = told.out.partition("What happened\n")[2].splitlines()
    assert [line.split()[3] for line in happened] == ["decision", "handover"]
    assert happened[1].split()[4] == "accepted"


def test_a_request_nobody_made_is_a_one_with_a_hint(desk) -> None:
    answer = desk.run("why", "never")
    assert (answer.code, answer.out) == (1, "")
    assert "keys are compared exactly" in answer.err
    assert "never" not in answer.err
    assert desk.run("why", "0" * 32).code == 1


def test_no_personal_data_is_shown(desk) -> None:
    desk.people(1)
    desk.run("send", "--jsonl", "-", stdin=desk.request("k", 1).encode())
    told = desk.run("why", "k").out
    for personal in ("Person 1", "p1@example.invalid", "MRN-1", "Monday", "1970-01-02", "form 1"):
        assert personal not in told
