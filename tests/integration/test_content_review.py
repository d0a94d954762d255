"""Content under review, from the registry to the wire, under a pack that asks for all of it (SCN-15; compliance, section 8,
questions 9 to 11).
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from carelink.audit.entry import parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.kinds import Kind
from carelink.audit.replay import replay
from carelink.consent.reasons import ReasonCode
from carelink.model.moment import SECOND, parse_instant
from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes
from carelink.testing.world import World
from carelink.vocabulary import Effect

pytestmark = pytest.mark.integration

HEAD = """
[pack]
id = "reviewed"
jurisdiction = "*"
version = "1"
valid_from = 2020-01-01
title = { en = "Reviewed", zh = "已审" }
"""
RULE = """
[[rule]]
id = "R.%(n)s"
kind = "%(kind)s"
authority = "hospital"
certainty = "I"
title = { en = "r", zh = "r" }
sources = [{ instrument = "x", version = "2026-01-01", article = "1" }]
[rule.when]
purposes = ["%(purpose)s"]
[rule.params]
%(params)s
"""
RULES = (
    ("review", "education", "clinical = 3"),
    ("review", "marketing", "clinical = 1\ncommercial = 1"),
    ("screening", "education", ""),
    ("screening", "marketing", ""),
    ("approval_number", "marketing", ""),
    ("marks", "marketing", 'marks = ["identity", "opt_out"]'),
    ("provider_template", "marketing", ""),
    ("data_purpose", "marketing", 'allowed = ["appointment"]'),
    ("clinician", "care.treatment", "always = true"),
)
PACK = HEAD + "".join(
    RULE % {"n": number, "kind": kind, "purpose": purpose, "params": params}
    for number, (kind, purpose, params) in enumerate(RULES)
)


@pytest.fixture(params=[False, True], ids=["memory", "sqlite"])
def world(request, tmp_path):
    packs = [*map(bundled_bytes, DEFAULT_PACKS), PACK.encode()]
    made = World(tmp_path / "w", sqlite=request.param, at="2025-05-30T10:00:00+08:00", packs=packs)
    yield made
    made.link.close()


def codes(world, **more):
    outcome = world.link.send(world.ask(world.patient(consent=("care", "education", "marketing")), **more))
    return [] if outcome.effect is Effect.PERMIT else [code.value for code in outcome.decision.codes]


def until(world, text):
    world.clock.advance(parse_instant(text) - world.clock.now())


def test_a_quorum_a_lapsed_licence_and_its_successor(world):
    """SCN-15, steps 1 to 4 and 6."""
    link = world.link
    link.template("winter", "Blood pressure in winter. {byline}", purposes=["education"], channels=["email"], subject="Winter",
                  byline="A, B, C", quorum=3, author="editor")  # fmt: skip
    for name in ("A", "B", "C", "D"):
        end = datetime(2025, 5, 31, 16, tzinfo=UTC) if name == "C" else None
        link.credential(f"Dr. {name}", until=end, actor="registrar")
    asks = {"purpose": "education.health", "template": "winter"}
    for name in ("A", "A", "B"):
        link.approve("winter", actor=f"Dr. {name}")
    assert ReasonCode.CONTENT_UNREVIEWED.value in codes(world, **asks)
    link.approve("winter", actor="Dr. C")
    assert codes(world, **asks) == []
    waiting = world.ask(world.patient(consent=("education",)), **asks)
    assert link.permit_many([waiting])[0].effect is Effect.PERMIT
    until(world, "2025-06-01T10:00:00+08:00")
    assert codes(world, **asks) == ["CREDENTIAL_INVALID"]
    until(world, "2025-06-02T10:00:00+08:00")
    link.approve("winter", actor="Dr. D")
    assert codes(world, **asks) == []
    assert len(world.email.handed) == 2
    assert world.email.handed[-1].body == "Blood pressure in winter. A, B, C"
    with link.wiring.store.reader() as reader:
        entries = list(reader.entries(0, reader.head().size))
    assert list(replay(enumerate(entries), PolicyJudge())) == []
    assert not any(name.encode() in data for name in ("Dr. ", "editor", "registrar", "Blood") for data in entries)


def test_a_permit_that_waits_is_claimed_under_the_credentials_of_its_claim(world):
    link = world.link
    link.template("winter", "Blood pressure in winter.", purposes=["education"], channels=["email"])
    for name in ("A", "B", "C"):
        link.credential(name, actor="registrar")
        link.approve("winter", actor=name)
    request = world.ask(world.patient(consent=("education",)), purpose="education.health", template="winter")
    assert link.permit_many([request])[0].effect is Effect.PERMIT
    world.clock.advance(SECOND)
    link.end_credential("C", actor="registrar")
    outcome = link.send(request)
    assert ReasonCode.CREDENTIAL_INVALID in outcome.decision.codes
    assert world.email.handed == []
    assert world.divergences() == []


def test_a_commercial_text_needs_all_of_it(world):
    """Two people, a number in force, the provider's word, marks, only the data of its purpose; each is missed alone."""
    link = world.link
    end = datetime(2026, 1, 1, tzinfo=UTC)
    body = "【示例医院】{note}。医广【2025】第01-02-003号,回T退订"
    link.template("offer", body, purposes=["marketing"], channels=["sms"], data=["appointment"])
    link.template("bare", "{note}", purposes=["marketing"], channels=["sms"], data=["diagnosis"])
    for actor, role in (("A", "clinical"), ("B", "commercial"), ("C", "clinical"), ("D", "clinical")):
        link.credential(actor, role, actor="registrar")
    asks = {"purpose": "marketing.service", "channel": "sms", "variables": {"note": "欢迎预约"}}
    for name in ("offer", "bare"):
        for actor in ("A", "C", "D"):
            link.approve(name, actor=actor)
    found = codes(world, template="bare", **asks)
    assert {
        "CONTENT_UNREVIEWED",
        "APPROVAL_NUMBER_MISSING",
        "MARK_MISSING",
        "PROVIDER_TEMPLATE_MISSING",
        "PURPOSE_MISMATCH",
    } <= {*found}
    steps = (
        ("CONTENT_UNREVIEWED", lambda: link.approve("offer", actor="B", role="commercial")),
        ("APPROVAL_NUMBER_MISSING",
         lambda: link.approval_number("offer", number="医广【2025】第01-02-003号", until=end, actor="office")),
        ("PROVIDER_TEMPLATE_MISSING",
         lambda: link.provider_template("offer", channel="rec-sms", state="approved", provider_id="S1", actor="office")),
    )  # fmt: skip
    for missing, mend in steps:
        assert missing in codes(world, template="offer", **asks)
        mend()
        assert missing not in codes(world, template="offer", **asks)
    assert codes(world, template="offer", **asks) == []
    claim = codes(world, template="offer", **{**asks, "variables": {"note": "根-治白内障"}})
    assert "CLAIM_PROHIBITED" in claim
    link.provider_template("offer", channel="rec-sms", state="rejected", actor="office")
    assert "PROVIDER_TEMPLATE_MISSING" in codes(world, template="offer", **asks)
    link.provider_template("offer", channel="rec-sms", state="approved", actor="office")
    until(world, "2026-01-01T10:00:00+08:00")
    assert "APPROVAL_NUMBER_MISSING" in codes(world, template="offer", **asks)
    assert all("根" not in item.body for item in world.sms.handed)
    assert world.divergences() == []


def test_a_clinician_stands_behind_what_only_a_clinician_says(world):
    link = world.link
    link.template("advice", "Please go on with your drops.", purposes=["care"], channels=["email"])
    link.approve("advice", actor="A")
    end = datetime(2025, 6, 1, tzinfo=UTC)
    link.credential("Dr. Chen", until=end, actor="registrar")
    asks = {"purpose": "care.treatment", "template": "advice"}
    assert codes(world, **asks) == ["CLINICIAN_REQUIRED"]
    assert codes(world, clinician="Dr. Chen", **asks) == []
    assert codes(world, clinician="Dr. Nobody", **asks) != []
    until(world, "2025-06-01T10:00:00+08:00")
    assert codes(world, clinician="Dr. Chen", **asks) == ["CREDENTIAL_INVALID"]
    assert world.divergences() == []
    with link.wiring.store.reader() as reader:
        kinds = [parse_entry(data).kind for data in reader.entries(0, reader.head().size)]
    assert kinds.count(Kind.CREDENTIAL) == 1
