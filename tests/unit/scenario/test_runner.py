"""Stories are played on the real path: what came is compared, a wrong expectation is told as a difference, and the whole
vocabulary works.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from carelink.errors import CarelinkError
from carelink.scenario.reader import parse_story
from carelink.scenario.runner import play
from carelink.scenario.vocabulary import VERBS

STORY = """
[scenario]
id = "T"
title = "a small story"
packs = ["baseline"]
start = "2025-03-03 09:00"

[[channel]]
name = "carrier"
kind = "sms"

[[channel]]
name = "post"
kind = "email"

[[staff]]
name = "Dr. A"

[[content]]
name = "note"
body = "Please come on {day}."
purposes = ["care", "marketing"]
approved_by = ["Dr. A"]

[[patient]]
name = "ann"
age = 40
groups = ["both"]

[[patient.consent]]
purposes = ["care", "marketing"]
channels = ["sms", "email"]

[[patient]]
name = "bob"
age = 50
groups = ["both"]
"""
ASK = 'to = "ann", purpose = "care.appointment", channel = "carrier", template = "note", variables = { day = "Monday" }'


def played(steps, more=""):
    return play(parse_story((STORY + steps + more).encode()))


def step(text, expect="", **keys):
    head = "".join(f'{key} = "{value}"\n' for key, value in keys.items())
    return f"\n[[step]]\n{head}{text}\nexpect = {{ {expect} }}\n"


def sent(expect="", ask=ASK, **keys):
    return step(f"send = {{ {ask} }}", expect, **keys)


def differences(report):
    assert not report.proof
    return {one.what for each in report.steps for one in each.differences} | {one.what for one in report.totals}


def test_a_story_that_holds():
    report = played(
        sent('effect = "permit", outcome = "accepted", channel = "carrier", role = "self", left = 1, '
             'contains = ["Monday"], omits = ["Tuesday"], entries = { decision = 1, handover = 1 }'),
        "[totals]\nleft = { carrier = 1 }\nentries = { decision = 1 }\n",
    )  # fmt: skip
    assert report.passed
    assert report.left == {"carrier": 1}


@pytest.mark.parametrize(
    ("expect", "what"),
    [
        ('effect = "refuse"', "effect"),
        ('reasons = ["NO_CONSENT"]', "reasons"),
        ('among = ["NO_CONSENT"]', "among"),
        ('rules = ["BASE.GRANT"]', "rules"),
        ('earliest = "2025-03-04 09:00"', "earliest"),
        ('outcome = "unknown"', "outcome"),
        ('role = "guardian"', "role"),
        ('channel = "post"', "channel"),
        ('contains = ["Tuesday"]', "contains"),
        ('omits = ["Monday"]', "omits"),
        ("left = 2", "left"),
        ("counts = { permit = 2 }", "counts"),
        ("repeated = true", "repeated"),
        ('released = "stopped"', "released"),
        ('error = "input.conflict"', "error"),
        ("entries = { decision = 2, handover = 1 }", "entries"),
        ("entries = { decision = 1 }", "entries"),
        ('findings = ["CLAIM_PROHIBITED"]', "findings"),
        ("fails_at = 3", "fails_at"),
        ('reply = "stop"', "reply"),
        ('actions = ["stopped"]', "actions"),
    ],
)
def test_a_wrong_expectation_is_a_difference(expect, what):
    report = played(sent(expect))
    assert differences(report) == {what}
    assert not report.passed


def test_a_wrong_total_is_a_difference():
    report = played(sent(), "[totals]\nleft = { carrier = 2 }\nentries = { handover = 3 }\n")
    assert differences(report) == {"totals.left.carrier", "totals.entries.handover"}
    assert not report.passed


def test_every_expectation_has_a_comparison():
    from carelink.scenario.compare import _CHECKS
    from carelink.scenario.vocabulary import EXPECT

    assert {field.name for field in EXPECT.fields} == set(_CHECKS)


def test_an_error_nobody_expected_fails_the_step():
    wrong = ASK.replace("day =", "month =")
    assert differences(played(sent(ask=wrong))) == {"error"}
    assert played(sent('error = "input.invalid"', ask=wrong)).passed


def test_what_cannot_be_played_is_told_and_the_rest_goes_on():
    report = played(step('died = "nobody"') + sent('effect = "permit"'))
    assert "nobody in this story is called so" in report.steps[0].problem
    assert not report.steps[1].differences
    assert not report.passed


def test_a_group_is_asked_one_by_one():
    ask = ASK.replace('"ann"', '"both"')
    report = played(sent("counts = { permit = 1, refuse = 1, NO_CONSENT = 1 }, left = 1", ask=ask))
    assert report.passed, report


def test_rounds_of_a_programme_and_other_steps_are_in_the_order_of_time():
    report = played(
        step(f"programme = {{ {ASK}, times = 5, every = 2 }}", "counts = { permit = 2, refuse = 3, WITHDRAWN = 3 }")
        + step('withdraw = { patient = "ann", purposes = ["care"] }', at="+3d")
    )
    assert report.passed, report


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        pytest.param(
            step('stop = { patient = "ann", purposes = ["care"], channels = ["sms"] }',
                 "entries = { suppression_added = 1, stopped = 1 }")
            + sent('reasons = ["SUPPRESSED"]')
            + step('lift = { patient = "ann", purposes = ["care"], channels = ["sms"] }')
            + sent('effect = "permit"', at="+1h"),
            "", id="stop and lift",
        ),
        pytest.param(
            sent('effect = "permit"', name="first")
            + step('reply = { from = "ann", channel = "carrier", text = "STOP", to = "first" }',
                   'reply = "stop", actions = ["stopped"]', at="+1h")
            + sent('reasons = ["OPTED_OUT"]'),
            "", id="reply",
        ),
        pytest.param(
            sent('effect = "permit"', name="first")
            + step('report = { of = "first", event = "delivered", times = 2 }', 'actions = ["receipt", "repeated"]'),
            "", id="report",
        ),
        pytest.param(
            step('provider = { channel = "carrier", answers = ["unknown"] }')
            + sent('outcome = "unknown"', ask=ASK + ', key = "k"')
            + step("restart = true")
            + sent("repeated = true, left = 0", ask=ASK + ', key = "k"', at="+1d"),
            "", id="unknown outcome, restart",
        ),
        pytest.param(step('died = "ann"') + sent('reasons = ["SUBJECT_DECEASED"]'), "", id="death"),
        pytest.param(
            step('merge = { patient = "bob", into = "ann" }')
            + sent('effect = "permit"', ask=ASK.replace('"ann"', '"bob"')), "", id="merge",
        ),
        pytest.param(step("clock_steps = -7200") + sent('among = ["CLOCK_UNTRUSTED"]'), "", id="clock"),
        pytest.param(
            step('patient = { name = "new", age = 5, related = [{ name = "mum", acts = true }], '
                 'consent = [{ purposes = ["care"], channels = ["sms"], by = "guardian" }] }')
            + sent('role = "guardian", effect = "permit"', ask=ASK.replace('"ann"', '"new"'))
            + step('relate = { patient = "new", name = "mum", acts = false }')
            + sent('among = ["GUARDIAN_REQUIRED"]', ask=ASK.replace('"ann"', '"new"'), at="+1d"),
            "", id="guardian",
        ),
        pytest.param(
            step('content = { name = "other", body = "Hello.", purposes = ["care"] }')
            + sent('reasons = ["CONTENT_UNREVIEWED"]', ask=ASK.replace('"note", variables = { day = "Monday" }', '"other"'))
            + step('approve = { template = "other", by = "Dr. B" }')
            + step('credential = { name = "Dr. B", until = "2026-01-01" }', "entries = { credential = 1 }")
            + step('end_credential = { name = "Dr. B" }', "entries = { credential = 1 }")
            + sent('effect = "permit"', ask=ASK.replace('"note", variables = { day = "Monday" }', '"other"')),
            "", id="content and credentials",
        ),
        pytest.param(
            step('adopt = ["baseline", "hospital-scenarios"]', "entries = { pack = 1, policy = 1 }")
            + step('stage = { patient = "ann", stage = "treatment" }', "entries = { subject = 1 }")
            + sent('among = ["CAP_EXCEEDED"]', ask=ASK.replace("care.appointment", "marketing.service")),
            "", id="adopt and stage",
        ),
        pytest.param(
            step(f'permit = {{ {ASK}, key = "held" }}', 'effect = "permit", left = 0')
            + sent("left = 1", ask=ASK + ', key = "held"', at="+10m"), "", id="permit, then send",
        ),
        pytest.param(sent() + step("tamper = { entry = 3 }", "fails_at = 3"), "", id="tamper"),
        pytest.param(
            step(f"preview = {{ {ASK} }}", 'effect = "permit", left = 0, entries = {}')
            + step('screen = { template = "note", purpose = "care.appointment", channel = "sms" }', "findings = []"),
            "", id="screen and preview",
        ),
        pytest.param(
            step('grant = { patient = "bob", purposes = ["care"], channels = ["sms"], until = "+2d" }')
            + sent('effect = "permit"', ask=ASK.replace('"ann"', '"bob"'))
            + sent('reasons = ["CONSENT_EXPIRED"]', ask=ASK.replace('"ann"', '"bob"'), at="+2d"),
            "", id="grant with an end",
        ),
    ],
)  # fmt: skip
def test_the_vocabulary_works(steps, more):
    report = played(steps, more)
    assert report.passed, [(s.title, s.problem, s.differences, s.result.error) for s in report.steps] + list(
        report.proof
    )


def test_no_verb_is_untried():
    """The stories above use every verb there is."""
    text = Path(__file__).read_text(encoding="utf-8")
    assert [field.name for field in VERBS if f"{field.name} = " not in text and field.name != "note"] == []


def test_what_cannot_be_set_up_is_an_error():
    with pytest.raises(CarelinkError):
        played(step('note = "x"'), '[[content]]\nname = "note"\nbody = "other"\npurposes = ["care"]\n')
