"""Stories are played on the real path: what came is compared, a wrong expectation is told as a difference, and the whole
vocabulary works.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

import pytest

from carelink.errors import CarelinkError, InvalidInputError
from carelink.scenario.reader import parse_story
from carelink.scenario.runner import play
from carelink.scenario.vocabulary import VERBS, schema

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
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert [field.name for field in VERBS if f"{field.name} = " not in text and field.name != "note"] == []


def test_what_cannot_be_set_up_is_an_error():
    with pytest.raises(CarelinkError):
        played(step('note = "x"'), '[[content]]\nname = "note"\nbody = "other"\npurposes = ["care"]\n')


# -- building blocks that no worked scenario needs: packs in the story, modes, plans, a killed process, records

OWN = '''
[[pack]]
name = "ours"
text = """
[pack]
id = "ours"
jurisdiction = "*"
version = "1"
valid_from = 2020-01-01
title = { en = "Ours", zh = "本院" }
[[rule]]
id = "OURS.QUIET"
kind = "quiet_hours"
authority = "hospital"
certainty = "I"
title = { en = "not before ten", zh = "十点后" }
sources = [{ instrument = "board", version = "2026-01-01", article = "1" }]
[rule.when]
purposes = ["care"]
[rule.params]
allowed_from = "10:00"
allowed_to = "21:00"
"""
'''


def story(text, *, packs='["baseline"]'):
    return play(parse_story(text.replace('["baseline"]', packs).encode()))


def told(report):
    return [(s.title, s.problem, s.differences, s.result.error) for s in report.steps], report.totals, report.proof


def test_a_pack_stands_in_the_story():
    asked = sent('effect = "defer", rules = ["OURS.QUIET"], earliest = "2025-03-03 10:00"')
    report = story(STORY + OWN + asked, packs='["baseline", "ours"]')
    assert report.passed, told(report)
    assert differences(story(STORY + OWN + asked)) == {"effect", "rules", "earliest"}


@pytest.mark.parametrize("name", ["baseline", "ours"])
def test_packs_of_a_story_have_names_of_their_own(name):
    twice = OWN + OWN.replace('name = "ours"', f'name = "{name}"')
    with pytest.raises(InvalidInputError, match="called alike"):
        parse_story((STORY + twice + sent()).encode())


def test_modes_are_as_far_as_they_reach():
    text = STORY.replace('kind = "sms"\n', 'kind = "sms"\noutside = true\n')
    report = story(
        text + sent('reasons = ["MODE_SANDBOX"]')
        + step('mode = "team"', "entries = { mode = 1 }") + sent('reasons = ["MODE_TEAM"]')
        + step('allow = "ann"') + sent('effect = "permit", left = 1')
        + step('mode = "live"') + sent('effect = "permit"', at="+1h")
    )  # fmt: skip
    assert report.passed, told(report)
    providers = story(
        text + step('mode = "live"') + sent('reasons = ["PROCESSOR_DENIED", "REGION_DENIED"]'),
        packs='["baseline", "cn-processors"]',
    )
    assert providers.passed, told(providers)
    begun = text.replace('start = "', 'mode = "live"\nstart = "')
    assert story(begun + sent('effect = "permit"')).passed


PLAN = f"""programme = {{ {ASK}, parts = [
  {{ after = "+0d 10:00" }},
  {{ after = "+1d 11:00", variables = {{ day = "Tuesday" }} }},
  {{ after = "+7d 09:00", channel = "post" }},
] }}"""


def test_a_plan_has_parts_with_moments_of_their_own():
    inline = PLAN.replace("\n", " ").replace(", ] }", " ] }")
    report = played(
        step(inline, "counts = { permit = 2, refuse = 1, WITHDRAWN = 1 }, left = 2", name="plan")
        + step('withdraw = { patient = "ann", purposes = ["care"], channels = ["sms", "email"] }', at="+3d"),
        "[totals]\nleft = { carrier = 2 }\n",
    )
    assert report.passed, told(report)
    handed = [handed for _, handed in report.steps[0].result.left]
    assert [each.body for each in handed] == ["Please come on Monday.", "Please come on Tuesday."]


@pytest.mark.parametrize("more", ["", ', times = 2, parts = [{ after = "+1d" }]'])
def test_a_programme_is_even_or_has_parts(more):
    with pytest.raises(InvalidInputError, match="exactly one of times, parts"):
        parse_story((STORY + step(f"programme = {{ {ASK}{more} }}")).encode())


@pytest.mark.parametrize(
    ("dies", "told_later", "left"),
    [("before", "false", 0), ("after", "false", 1), ("before", "true", 0), ("after", "true", 1)],
)
def test_a_killed_process_is_recovered_and_nobody_is_reached_twice(dies, told_later, left):
    again = {"true": {0: "permit", 1: "permit"}, "false": {0: "permit", 1: "permit"}}[told_later][left]
    resent = "left = 1" if (told_later, left) == ("true", 0) else "left = 0, repeated = true"
    report = played(
        step(f'provider = {{ channel = "carrier", dies = "{dies}", told = {told_later} }}')
        + sent(f"killed = true, left = {left}, entries = {{ decision = 1 }}", ask=ASK + ', key = "k"')
        + step("recover = true", "entries = { recovered = 1 }", at="+1h")
        + sent(f'effect = "{again}", {resent}', ask=ASK + ', key = "k"')
    )
    assert report.passed, told(report)


def test_a_death_nobody_expected_is_a_difference():
    report = played(step('provider = { channel = "carrier", dies = "before" }') + sent())
    assert differences(report) == {"killed"}


def test_a_report_may_come_before_the_answer_and_without_a_message():
    report = played(
        step('provider = { channel = "carrier", early = "delivered" }')
        + sent('outcome = "accepted"', name="first")
        + step('report = { of = "first", event = "read" }', 'actions = ["receipt"]', at="+10d")
        + step('report = { from = "ann", channel = "carrier", event = "complained" }', 'actions = ["stopped_all"]')
        + sent('effect = "refuse"', at="+1d")
    )
    assert report.passed, told(report)


def test_what_is_on_record():
    report = played(
        step('look = "ann"', 'state = { standing = "active", stage = "none", grants = 1, stops = 0, relatives = 0 }')
        + step('relate = { patient = "ann", name = "son", scopes = ["logistics"] }')
        + step('stage = { patient = "ann", stage = "loyal" }')
        + step('stop = { patient = "both", purposes = ["*"] }', "entries = { suppression_added = 2, stopped = 2 }")
        + step('look = "ann"', 'state = { stage = "loyal", stops = 1, relatives = 1 }')
        + step('lift = { patient = "both", purposes = ["*"] }')
        + step('withdraw = { patient = "both", purposes = ["care"] }', "entries = { consent_ended = 1 }")
        + step('died = "ann"')
        + step('look = "ann"', 'state = { standing = "deceased", grants = 0, stops = 0 }')
    )
    assert report.passed, told(report)
    wrong = played(step('look = "ann"', 'state = { standing = "deceased", grants = 4 }'))
    assert differences(wrong) == {"state.standing", "state.grants"}


def test_content_is_taken_back_and_registered_with_provider_and_regulator():
    report = played(
        step(
            'provider_template = { template = "note", channel = "carrier", state = "rejected" }',
            "entries = { content = 1 }",
        )
        + step('approval_number = { template = "note", number = "1", until = "+30d" }', "entries = { content = 1 }")
        + step('withdraw_content = { template = "note" }', "entries = { content = 1 }")
        + sent('effect = "refuse"')
    )
    assert report.passed, told(report)


def test_an_address_that_is_over():
    report = played(
        step('contact = { patient = "ann", kind = "phone", status = "invalid" }') + sent('effect = "refuse"')
    )
    assert report.passed, told(report)
    assert not played(sent('effect = "refuse"')).passed


def test_the_committed_schema_is_the_one_that_is_printed():
    """After a change of the words: carelink scenario schema > src/carelink/scenario/schema.json"""
    text = (resources.files("carelink.scenario") / "schema.json").read_text(encoding="utf-8")
    assert json.loads(text) == schema()
