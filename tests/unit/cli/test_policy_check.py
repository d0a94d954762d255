"""`carelink policy test|lint|matrix` and `carelink capabilities`, as a compliance officer runs them."""

from __future__ import annotations

import json
from datetime import date

import pytest

import carelink
from carelink.packs.loader import DEFAULT_PACKS, bundled

PACK = """[pack]
id = "clinic"
jurisdiction = "*"
version = "1"
valid_from = 2020-01-01
title = { en = "Clinic", zh = "本院" }

[[rule]]
id = "CLINIC.QUIET"
kind = "quiet_hours"
authority = "hospital"
certainty = "I"
in_force = 2026-01-12
encoded = 2026-01-12
title = { en = "in the morning only", zh = "仅限上午" }
sources = [{ instrument = "minutes", version = "2026-01-12", article = "4" }]
[rule.params]
allowed_from = "09:00"
allowed_to = "12:00"
"""
FIXTURES = """pack = "clinic"

[[fixture]]
rule = "CLINIC.QUIET"
expect = "defer"
code = "QUIET_HOURS"
title = "in the afternoon"
at = "15:00"

[[fixture]]
rule = "CLINIC.QUIET"
expect = "permit"
title = "at ten"
at = "10:00"
"""


def write(desk, fixtures=FIXTURES, pack=PACK):
    (desk.folder / "clinic.toml").write_text(pack, encoding="utf-8")
    (desk.folder / "clinic.fixtures.toml").write_text(fixtures, encoding="utf-8")


def test_a_pack_of_ones_own_with_its_fixtures_beside_it(desk):
    write(desk)
    shown = desk.run("policy", "test", "clinic.toml", "--json")
    assert shown.code == 0
    assert json.loads(shown.out) == {
        "packs": [{"pack": "clinic", "rules": 1, "fixtures": 2, "distinct": 2, "failures": []}]
    }


def test_a_fixture_that_fails_is_named_and_ends_with_6(desk):
    write(desk, FIXTURES.replace("10:00", "13:00"))
    shown = desk.run("policy", "test", "clinic.toml")
    assert shown.code == 6
    assert "CLINIC.QUIET  at ten: expected permit, got defer QUIET_HOURS" in shown.out


def test_fixtures_of_another_pack_or_none_are_an_error(desk):
    write(desk, FIXTURES.replace('"clinic"', '"other"', 1))
    assert desk.run("policy", "test", "clinic.toml").code == 1
    (desk.folder / "clinic.fixtures.toml").unlink()
    shown = desk.run("policy", "test", "clinic.toml")
    assert (shown.code, "has no fixtures" in shown.err) == (1, True)


def test_fixtures_from_elsewhere(desk):
    write(desk)
    (desk.folder / "clinic.fixtures.toml").rename(desk.folder / "mine.toml")
    assert desk.run("policy", "test", "clinic.toml", "--fixtures", "mine.toml").code == 0
    assert desk.run("policy", "test", "clinic.toml", "cn", "--fixtures", "mine.toml").code == 2


def test_bundled_packs_by_name(desk):
    shown = desk.run("policy", "test", "channel-wecom", "sg")
    assert shown.code == 0
    assert "channel-wecom" in shown.out


def test_lint_of_a_file(desk):
    write(desk)
    assert desk.run("policy", "lint", "clinic.toml").code == 0
    write(desk, pack=PACK.replace('version = "2026-01-12"', 'version = "lately"'))
    shown = desk.run("policy", "lint", "clinic.toml", "--json")
    assert shown.code == 6
    found = json.loads(shown.out)["complaints"]
    assert [one["rule"] for one in found] == ["CLINIC.QUIET"]


def test_the_matrix_says_which_rules_apply_to_a_purpose(desk):
    shown = desk.run("policy", "matrix", "cn", "us", "--purpose", "marketing.event", "--json")
    found = json.loads(shown.out)
    assert list(found["purposes"]) == ["marketing.event"]
    rules = {pack: {one["rule"] for one in rows} for pack, rows in found["purposes"]["marketing.event"].items()}
    assert "CN.MIN.ADM" in rules["cn"]
    assert "US.TCPA.HOURS" in rules["us"]
    assert "US.TCPA.HC.1D" not in rules["us"]
    assert {"CN.BREACH", "US.HIPAA.BREACH"} <= {one["id"] for one in found["not_rules"]}
    assert "EU.GDPR.33-34" not in {one["id"] for one in found["not_rules"]}
    text = desk.run("policy", "matrix", "us", "--purpose", "marketing.event").out
    assert "solicitations from 08:00 to 21:00" in text


def test_all_that_is_bundled_is_listed_without_a_home(bare):
    shown = bare.run("policy", "list", "--bundled")
    assert shown.code == 0
    assert all(name in shown.out for name in bundled())
    assert bare.run("policy", "list").code == 1
    assert bare.run("policy", "show", "ca").code == 0


def test_a_bundled_pack_is_shown_though_it_is_not_in_force(desk):
    shown = desk.run("policy", "show", "us")
    assert shown.code == 0
    assert "bundled, not in force" in shown.out
    assert "2003-04-14" in shown.out
    assert "in force" in desk.run("policy", "show", "cn").out.splitlines()[0]


def test_what_is_not_checked_for_people_and_machines(desk):
    found = json.loads(desk.run("capabilities", "--json").out)
    ids = {one["id"] for one in found["not_checked"]}
    # Question 20 of a compliance officer.
    assert {"images", "landing-pages", "clinical-truth", "provincial-law", "guardian-identity"} <= ids
    assert all(one["says"]["zh"] and one["instead"] for one in found["not_checked"])
    assert {pack for one in found["left_to_you"] for pack in one["packs"]} <= set(bundled())
    shown = desk.run("--lang", "zh", "capabilities")
    assert shown.code == 0
    assert "图片" in shown.out


def reasons(desk, *ask):
    shown = desk.run("preview", *ask)
    return {word for word in shown.out.split() if word.isupper() and "_" in word} | (
        {"permit"} if "permit │ 1" in shown.out else set()
    )


def test_packs_that_init_leaves_out_let_care_through_and_hold_promotion(desk):
    patient = desk.people(1)[0]
    with carelink.open(desk.home) as link:
        link.grant(patient, purposes=["marketing"], channels=["email"], evidence="form", separate=True)
        link.template("open-day", "Dear {patient_name}, our open day.", subject="Open day",
                      purposes=["marketing.event"], channels=["email"])  # fmt: skip
        for actor in ("Dr Chen", "Dr Wu", "Li Na"):
            link.approve("open-day", actor=actor)
    care, promotion = desk.SEND, ("--purpose", "marketing.event", "--template", "open-day", "--channel", "email")
    assert (reasons(desk, *care), reasons(desk, *promotion)) == ({"permit"}, {"permit"})
    more = ("cn-advertising", "cn-processors", "hospital-review", "channel-mailbox")
    assert desk.run("policy", "adopt", *DEFAULT_PACKS, *more, "--actor", "Dr Chen").code == 0
    assert reasons(desk, *care) == {"permit"}
    assert reasons(desk, *promotion) >= {"APPROVAL_NUMBER_MISSING", "MARK_MISSING", "CONTENT_UNREVIEWED"}


PROVIDER = """
[channels.smtp]
host = "mail.example.org"
sender = "clinic@example.org"
{more}
"""


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("", {"REGION_DENIED", "PROCESSOR_DENIED"}),
        ('[processors.smtp]\nregion = "CN"', {"PROCESSOR_DENIED"}),
        ('[processors.smtp]\nregion = "US"\nagreement_until = 2027-01-01', {"REGION_DENIED"}),
        ('[processors.smtp]\nregion = "CN"\nagreement_until = 2026-01-15', {"PROCESSOR_DENIED"}),
        ('[processors.other]\nregion = "CN"\nagreement_until = 2027-01-01', {"REGION_DENIED", "PROCESSOR_DENIED"}),
        ('[processors.smtp]\nregion = "CN"\nagreement_until = 2027-01-01', {"permit"}),
    ],
)
def test_a_provider_needs_its_region_and_its_agreement_in_the_settings(desk, more, told):
    desk.people(1)
    assert desk.run("policy", "adopt", *DEFAULT_PACKS, "cn-processors", "--actor", "Dr Chen").code == 0
    assert desk.run("mode", "live", "--actor", "Dr Chen").code == 0
    settings = desk.home / "carelink.toml"
    text = settings.read_text(encoding="utf-8").replace('email = "outbox-email"', 'email = "smtp"')
    settings.write_text(text + PROVIDER.format(more=more), encoding="utf-8")
    assert reasons(desk, *desk.SEND) == told


def test_the_policy_of_the_scenarios_in_place_of_the_default(desk):
    with carelink.open(desk.home) as link:
        patient = link.register(
            identifier="MRN-7", email="p7@example.invalid", birth_date=date(1970, 1, 1), stage="treatment"
        )
        link.grant(patient, purposes=["marketing", "care"], channels=["email"], evidence="form", separate=True)
        link.template("open-day", "Dear {patient_name}, our open day.", subject="Open day",
                      purposes=["marketing.event"], channels=["email"])  # fmt: skip
        link.approve("open-day", actor="Dr Chen")
    packs = ("baseline", "cn", "hospital-scenarios")
    two = ("--approver", "Dr Wu", "--approver", "Li Na")
    assert desk.run("policy", "adopt", *packs, "--actor", "Dr Chen").code == 1
    assert desk.run("policy", "adopt", *packs, "--actor", "Dr Chen", *two).code == 0
    promotion = ("--purpose", "marketing.event", "--template", "open-day", "--channel", "email")
    assert reasons(desk, *desk.SEND) == {"permit"}
    # No marketing in treatment (P2), and one approver is not three doctors (P5).
    assert reasons(desk, *promotion) == {"CAP_EXCEEDED", "CONTENT_UNREVIEWED"}
    with carelink.open(desk.home) as link:
        link.stage(patient, "loyal")
    assert reasons(desk, *promotion) == {"CONTENT_UNREVIEWED"}
