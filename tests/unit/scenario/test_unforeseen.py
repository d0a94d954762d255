"""Cases of the domain catalogue outside its worked scenarios, with the same building blocks and no code of their own."""

from __future__ import annotations

import pytest

from carelink.scenario.reader import parse_story
from carelink.scenario.runner import play

HEAD = """
[scenario]
id = "U"
title = "unforeseen"
packs = ["baseline", "hospital-scenarios"%s]
start = "2025-03-03 09:00"
[[channel]]
name = "wecom"
kind = "chat"
[[channel]]
name = "carrier"
kind = "sms"
[[staff]]
name = "A"
[[staff]]
name = "B"
[[staff]]
name = "C"
[[content]]
name = "note"
body = "请按时来院。"
purposes = ["care", "education", "marketing", "referral"]
approved_by = ["A", "B", "C"]
[[patient]]
name = "ann"
age = 30
stage = "loyal"
groups = ["ward"]
[[patient.consent]]
purposes = ["care", "education", "marketing", "referral"]
channels = ["chat", "sms"]
separate = true
[[patient]]
name = "boy"
born = "2011-03-10"
groups = ["ward"]
[[patient.consent]]
purposes = ["care"]
channels = ["chat"]
by = "guardian"
[[patient.consent]]
purposes = ["care"]
channels = ["chat"]
[[patient.related]]
name = "aunt"
acts = true
"""
SWITCH = '''
[[pack]]
name = "referral-off"
text = """
[pack]
id = "referral-off"
jurisdiction = "*"
version = "1"
valid_from = 2020-01-01
title = { en = "No referral", zh = "不开放转介" }
[[rule]]
id = "REFERRAL.OFF"
kind = "frequency_cap"
authority = "hospital"
certainty = "I"
title = { en = "referral is switched off", zh = "转介关闭" }
sources = [{ instrument = "carelink domain catalogue", version = "2026-11-22", article = "16 GRD-08" }]
[rule.when]
purposes = ["referral"]
[rule.params]
max = 0
window = "P1D"
"""
'''


def ask(to, purpose="care.appointment", channel="wecom", more=""):
    return f'send = {{ to = "{to}", purpose = "{purpose}", channel = "{channel}", template = "note"{more} }}'


def step(text, expect="", at=""):
    return f"\n[[step]]\n{f'at = {at!r}' if at else ''}\n{text}\nexpect = {{ {expect} }}\n"


STORIES = {
    "another hospital takes over, then she comes back": (
        "",
        step('transferred = "ann"')
        + step(ask("ann"), 'effect = "refuse", among = ["SUPPRESSED"]')
        + step('returned = { patient = "ann" }')
        + step(ask("ann"), 'effect = "permit"', at="+1d"),
    ),
    "a plan is over, another one goes on": (
        "",
        step('plan_ended = { patient = "ann", plans = ["antenatal"] }')
        + step(ask("ann", "education.health", more=', plan = "antenatal"'), 'effect = "refuse", among = ["SUPPRESSED"]')
        + step(ask("ann", "education.health", more=', plan = "postnatal"'), 'effect = "permit"'),
    ),
    "a switch for referral": (', "referral-off"', SWITCH
        + step(ask("ann", "referral.invitation"), 'reasons = ["CAP_EXCEEDED"], rules = ["REFERRAL.OFF"]')
        + step('adopt = ["baseline", "hospital-scenarios"]', "entries = { policy = 1 }")
        + step(ask("ann", "referral.invitation"), 'effect = "permit"', at="+1d")),
    "an incident freezes a ward and is over": ("",
        step('stop = { patient = "ward", purposes = ["*"], source = "staff" }', "entries = { suppression_added = 2, stopped = 2 }")
        + step(ask("ann"), 'reasons = ["SUPPRESSED"]')
        + step('lift = { patient = "ward", purposes = ["*"] }')
        + step(ask("ann"), 'effect = "permit"', at="+1d")),
    "a birthday ends a guardian's part": ("",
        step(ask("boy"), 'role = "guardian", effect = "permit"', at="2025-03-09 10:00")
        + step(ask("boy"), 'role = "self", effect = "permit"', at="2025-03-10 10:00")),
    "guardianship passes on": ("",
        step('relate = { patient = "boy", name = "aunt", until = "+0d" }')
        + step(ask("boy"), 'effect = "refuse", among = ["GUARDIAN_REQUIRED"]', at="+1h")
        + step('relate = { patient = "boy", name = "mum", acts = true }')
        + step(ask("boy"), 'effect = "permit", role = "guardian"', at="+1h")),
    "a pregnancy ends: its plan stops, all else goes on": ("",
        step(ask("ann", "education.health", more=', plan = "antenatal"'), 'effect = "permit"')
        + step('stop = { patient = "ann", purposes = ["*"], plans = ["antenatal"], source = "life_event" }', at="+2d")
        + step(ask("ann", "education.health", more=', plan = "antenatal"'), 'effect = "refuse", reasons = ["SUPPRESSED"]')
        + step(ask("ann"), 'effect = "permit"')),
    "a transfer ends care here": ("",
        step('withdraw = { patient = "ann", purposes = ["*"] }', "entries = { consent_ended = 1 }")
        + step(ask("ann"), 'reasons = ["WITHDRAWN"]')
        + step('look = "ann"', "state = { grants = 0 }")),
    "a provider is down, a cap is kept": ("",
        step('provider = { channel = "wecom", answers = ["not_sent", "throttled"] }')
        + step(ask("ann", "education.health"), 'outcome = "not_sent"')
        + step(ask("ann", "education.health"), 'outcome = "throttled"')
        + step(ask("ann", "education.health"), 'outcome = "accepted"')
        + step(ask("ann", "education.health"), 'outcome = "accepted"')
        + step(ask("ann", "education.health"), 'outcome = "accepted"')
        + step(ask("ann", "education.health"), 'reasons = ["CAP_EXCEEDED"], earliest = "2025-03-10 09:00"')),
    "rechecks after surgery, by a plan": ("",
        step('programme = { to = "ann", purpose = "care.postop_followup", channel = "wecom", template = "note", plan = "refractive", '
             'parts = [{ after = "+7d 10:00" }, { after = "+30d 10:00", channel = "carrier" }, { after = "+90d 10:00" }] }',
             'effect = "permit", left = 3')),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_it_is_told_without_code(name):
    packs, steps = STORIES[name]
    report = play(parse_story((HEAD % packs + steps).encode()))
    assert report.passed, [(s.title, s.problem, s.differences, s.result.error) for s in report.steps] + [*report.proof]
