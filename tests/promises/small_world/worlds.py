"""A small world, whole: every combination of patient, guardian, purpose, channel, clock, consent history, stop and touches.

States are numbered; `facts_of(number)` gives one in the form of the log. Nothing of carelink is imported.
"""

from __future__ import annotations

from math import prod

SECOND = 1_000_000
DAY = 86_400 * SECOND
NOON = 1_768_449_600 * SECOND  # 2026-01-15 12:00 in Shanghai
PATIENT, PARENT, ADDRESS = "1" * 32, "2" * 32, "3" * 32


def grant(
    number, purposes, channels=("*",), *, state="given", by="self", since=-100, until=None, separate=False, ended=None,
    **more,
):  # fmt: skip
    found = {
        "ref": f"{number:032x}", "scope": {"channels": sorted(channels), "purposes": sorted(purposes)}, "state": state,
        "by": by, "since": NOON + since * DAY, "separate": separate, "notice": "n-1",
    }  # fmt: skip
    found |= more
    if until is not None:
        found["until"] = NOON + until
    if ended is not None:
        found["ended_at"] = NOON + ended
    return found


def stop(number, binds, purposes, channels=("*",), source="reply", until=None):
    found = {"ref": f"{number:032x}", "binds": binds, "scope": {"channels": sorted(channels), "purposes": sorted(purposes)},
             "source": source, "since": NOON - DAY}  # fmt: skip
    return found if until is None else found | {"until": NOON + until}


def guardian(*, verified=True, acts=True, scopes=(), since=-100, until=None):
    found = {"verified": verified, "acts": acts, "scopes": list(scopes), "since": NOON + since * DAY}
    return found if until is None else found | {"until": NOON + until}


PATIENTS = (
    {"standing": "active", "age": "18+"},
    {"standing": "active", "age": "14-17"},
    {"standing": "active", "age": "8-13"},
    {"standing": "active", "age": "0-7"},
    {"standing": "active", "age": "UNKNOWN"},
    {"standing": "deceased", "age": "18+"},
)
GUARDIANS = (  # role, guardian, disclosure asked for
    ("self", {}, None),
    ("guardian", guardian(), None),
    ("guardian", guardian(verified=False), None),
    ("guardian", guardian(until=0), None),
    ("guardian", guardian(acts=False), None),
    ("related", guardian(acts=False), "results"),
    ("related", guardian(acts=False, scopes=("results",)), "results"),
    ("related", guardian(acts=False, scopes=("results",)), "logistics"),
)
PURPOSES = (
    "care.appointment", "care.chronic", "care.recall_safety", "education.health", "experience.survey",
    "marketing.service", "referral.invitation", "research.recruitment", "admin.billing", "public_health.notice",
)  # fmt: skip
CHANNELS = ("sms", "email")
CLOCK = (  # microseconds from noon in Shanghai: hours of service and of commerce, their edges, night
    0, -4 * 3600 * SECOND, -4 * 3600 * SECOND - 1, -3 * 3600 * SECOND - 1, 8 * 3600 * SECOND, 9 * 3600 * SECOND - 1,
    9 * 3600 * SECOND,
)  # fmt: skip
CONSENTS = (
    (),
    (grant(10, ["care"]),),
    (grant(10, ["care"], ["email"], separate=True), grant(11, ["marketing"], ["email"])),
    (grant(10, ["*"], separate=True),),
    (grant(10, ["*"], separate=True, by="guardian"),),
    (grant(10, ["care", "education", "admin"], state="withdrawn", ended=-DAY),),
    (grant(10, ["*"], separate=True, until=0),),
    (grant(10, ["*"], separate=True, since=1),),
    (grant(10, ["*"], separate=True, state="revoked"),),
    (grant(10, ["*"], separate=True, method="bundled"), grant(11, ["education"], method="default")),
    (grant(10, ["*"], separate=True, age="8-13"), grant(11, ["care"], age="14-17")),
    (
        grant(10, ["care"], state="withdrawn", ended=-DAY),
        grant(11, ["care.appointment", "marketing.service"], separate=True),
    ),
)
STOPS = (
    (),
    (stop(20, "subject", ["marketing", "referral"]),),
    (stop(20, "address", ["*"], ["sms"], source="provider"),),
    (stop(20, "recipient", ["care"], source="staff", until=0), stop(21, "address", ["education"], source="bounce")),
)


def touch(ago, purpose, kind="email", binds="sra", *reply):
    return [NOON - ago, purpose, kind, binds, *reply]


TOUCHES = (
    (),
    tuple(touch(n * 3600 * SECOND, "care.appointment") for n in (1, 2, 3)),
    (touch(DAY, "marketing.service"), touch(30 * DAY - 1, "marketing.event", "sms", "sr")),
    tuple(
        touch(n * 12 * 3600 * SECOND, p, "sms", "a") for n, p in enumerate(["care.chronic", "education.health"] * 6, 1)
    ),
)
CONTENTS = (
    {"status": "approved", "purposes": ["*"], "channels": ["*"], "approvals": 3},
    {"status": "approved", "purposes": ["care", "marketing"], "channels": ["*"], "approvals": 1},
)
AXES = (PATIENTS, GUARDIANS, PURPOSES, CHANNELS, CLOCK, CONSENTS, STOPS, TOUCHES, CONTENTS)
SIZE = prod(len(axis) for axis in AXES)


def facts_of(number):
    """State `number` of the world, as the log would hold it."""
    chosen = []
    for axis in AXES:
        number, at = divmod(number, len(axis))
        chosen.append(axis[at])
    patient, (role, related, disclosure), purpose, kind, offset, grants, stops, touches, content = chosen
    ask = {"purpose": purpose, "channel": f"out-{kind}", "channel_kind": kind, "template": "note", "template_version": 1,
           "automated": purpose == "marketing.service", "reply": False, "wait": purpose.startswith("care.chr")}  # fmt: skip
    if disclosure is not None:
        ask["disclosure"] = disclosure
    return {
        "at": NOON + offset,
        "ask": ask,
        "subject": PATIENT,
        "recipient": PATIENT if role == "self" else PARENT,
        "role": role,
        "address": ADDRESS,
        "standing": patient["standing"],
        "recipient_standing": patient["standing"] if role == "self" else "active",
        "age": patient["age"],
        "contact": {"status": "valid", "persons": 1},
        "guardian": related,
        "grants": list(grants),
        "stops": list(stops),
        "touches": {"items": sorted(touches), "since": NOON - 400 * DAY},
        "content": {**content, "digest": "ab" * 32, "since": NOON - 50 * DAY},
        "channel": {"local": True, "usable": True, "allow_listed": False},
        "zones": {"source": "tenant", "until": NOON + 9 * DAY, "data": "tzdata-2026a",
                  "candidates": [[[NOON - 30 * DAY, 28_800]]]},
        "mode": "sandbox",
        "clock": "trusted",
        "store": "current",
        "keys_available": True,
        "vetoes": [],
    }  # fmt: skip


def consented(facts):
    """Whether the one who may consent did, by the plainest reading: some grant in force names purpose and channel."""
    ask, at = facts["ask"], facts["at"]
    family = ask["purpose"].partition(".")[0]
    return any(
        {"*", family, ask["purpose"]} & set(grant["scope"]["purposes"])
        and {"*", ask["channel_kind"]} & set(grant["scope"]["channels"])
        and grant["state"] == "given"
        and grant["since"] <= at
        and ("until" not in grant or at < grant["until"])
        for grant in facts["grants"]
    )


NEEDS_NO_CONSENT = ("care.recall_safety", "public_health.notice")
"""Purposes that go out without consent (compliance research 7.1): recalls for safety, public-health notices."""
