"""`carelink patients event`, `consent stop --plans`, and what a CSV row says of stages, transfers and ended plans."""

from __future__ import annotations

import pytest

import carelink


def _stops(desk, number=1):
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        patient = link.find(f"MRN-{number}")
        (row,) = reader.patients([patient]).values()
        return sorted((stop.source.value, stop.plans, "care.appointment" in stop.purposes) for stop in
                      reader.stops([row.person], ()))  # fmt: skip


def _row(desk, number=1):
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        (row,) = reader.patients([link.find(f"MRN-{number}")]).values()
        return row


def _import(desk, text):
    (desk.folder / "p.csv").write_text(text, encoding="utf-8")
    return desk.run("patients", "import", "--csv", "p.csv")


def test_a_transfer_and_a_return(desk):
    desk.people(1)
    for expected in ("1 suppressions added", "0 suppressions added"):
        ran = desk.run("patients", "event", "mrn|MRN-1", "transferred")
        assert (ran.code, expected in ran.out) == (0, True)
    assert _stops(desk) == [("life_event", ("*",), True)]
    assert "SUPPRESSED" in desk.run("send", *desk.SEND).out
    assert desk.run("consent", "stop", "MRN-1", "--purposes", "marketing").code == 0
    assert "1 suppressions lifted" in desk.run("patients", "event", "MRN-1", "returned", "--actor", "Ms Li").out
    assert [source for source, _, _ in _stops(desk)] == ["staff"]


def test_the_end_of_a_plan_and_a_stop_of_one(desk):
    desk.people(1)
    assert desk.run("patients", "event", "MRN-1", "ended", "--plans", "p-0417").code == 0
    assert desk.run("consent", "stop", "MRN-1", "--purposes", "care", "--plans", "walk-21").code == 0
    assert [(source, plans) for source, plans, _ in _stops(desk)] == [
        ("life_event", ("p-0417",)), ("staff", ("walk-21",)),
    ]  # fmt: skip
    shown = desk.run("consent", "show", "MRN-1").out
    assert "p-0417" in shown
    assert "walk-21" in shown


def test_a_grant_for_one_plan_and_its_withdrawal(desk):
    desk.people(1, consent=False)
    terms = ("--purposes", "care", "--plans", "walk-21")
    assert desk.run("consent", "grant", "MRN-1", *terms, "--channels", "email", "--evidence", "form 7").code == 0
    assert "walk-21" in desk.run("consent", "show", "MRN-1").out
    other = desk.run("consent", "withdraw", "MRN-1", "--purposes", "care", "--plans", "other")
    assert "0 grants ended" in other.out
    assert "1 grants ended" in desk.run("consent", "withdraw", "MRN-1", *terms).out


def test_a_death_and_a_stage(desk):
    desk.people(1)
    assert desk.run("patients", "event", "MRN-1", "stage", "--stage", "recovery").code == 0
    assert _row(desk).stage == "recovery"
    assert desk.run("patients", "event", "MRN-1", "died").code == 0
    assert _row(desk).standing == "deceased"


@pytest.mark.parametrize(
    "wrong",
    [("ended",), ("stage",), ("returned",), ("died", "--plans", "p-1"), ("transferred", "--actor", "x")],
)
def test_what_an_event_needs(desk, wrong):
    desk.people(1)
    assert desk.run("patients", "event", "MRN-1", *wrong).code == 2
    assert _stops(desk) == []
    assert _row(desk).standing == "active"


def test_columns_of_an_import(desk):
    head = "mrn,阶段,转院,ended_plans\n"
    first = _import(desk, head + 'MRN-1,treatment,,"p-1,p-2"\nMRN-2,,2026-01-02,\nMRN-3,nowhere,否,\n')
    assert first.code == 0
    assert "BAD_VALUE" in (first.out + first.err).upper()
    assert _row(desk).stage == "treatment"
    assert [plans for _, plans, _ in _stops(desk)] == [("p-1",), ("p-2",)]
    assert _stops(desk, 2) == [("life_event", ("*",), True)]
    assert (_row(desk, 3).stage, _stops(desk, 3)) == (None, [])
    size = desk.size()
    _import(desk, head + 'MRN-1,treatment,,"p-1,p-2"\nMRN-2,,no,\n')
    assert desk.size() == size, "nothing is said twice, and nothing is taken back"
    assert len(_stops(desk, 2)) == 1


@pytest.mark.parametrize("row", ["MRN-1,,perhaps,", "MRN-1,,,Plan 7!"])
def test_a_stop_that_cannot_be_read_costs_the_row(desk, row):
    assert _import(desk, f"mrn,stage,transferred,ended_plans\n{row}\n").code == 1
    with carelink.open(desk.home) as link:
        assert list(link.patients()) == []


def test_chat_accounts_of_an_import(desk):
    first = _import(desk, "mrn,chat,监护人姓名,guardian_chat\nMRN-1,wmAbC_12,Guardian,wmDeF_34\nMRN-2,two words,,\n")
    assert "BAD_ADDRESS" in (first.out + first.err).upper()
    with carelink.open(desk.home) as link, link.wiring.store.reader() as reader:
        one, two = link.find("MRN-1"), link.find("MRN-2")
        (guardian,) = reader.related([one])[one]
        held = reader.contacts([one, two, guardian.id])
        assert {owner: [row.kind.value for row in rows] for owner, rows in held.items() if rows} == {
            one: ["chat"], guardian.id: ["chat"],
        }  # fmt: skip
