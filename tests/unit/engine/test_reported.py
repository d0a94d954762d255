"""Consent reported by another system, again and again, in any order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from carelink.cli.audit import replay_folder, verify_folder
from carelink.engine.ledger import GrantOrder
from carelink.engine.reported import Report, Reported, Taken
from carelink.model.moment import DAY, Instant
from carelink.model.scope import Scope
from carelink.testing.world import World
from carelink.vocabulary import Effect, GrantState, RecipientRole


@pytest.fixture
def world(tmp_path: Path):
    made = World(tmp_path, sqlite=True)
    made.content()
    yield made
    made.link.close()


class _Source:
    """A source that reports about one patient."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.patient = world.patient(consent=())
        self.now = world.clock.now()

    def day(self, number: int) -> Instant:
        return Instant(self.now + number * DAY)

    def report(self, evidence: str = "form 1", *, since: int | None = -100, state=GrantState.GIVEN, ended=None,
               purposes=("care",), until: int | None = None, by=RecipientRole.SELF, notice="v1") -> Report:  # fmt: skip
        order = GrantOrder(
            patient=self.patient,
            scope=Scope(purposes, ("email",)),
            evidence=evidence,
            by=by,
            since=None if since is None else self.day(since),
            until=None if until is None else self.day(until),
            separate=True,
            notice=notice,
        )
        return Report(order=order, state=state, ended_at=None if ended is None else self.day(ended))

    def take(self, *reports: Report) -> list[Taken]:
        return Reported(self.world.link.parts).take(reports)

    def grants(self):
        with self.world.link.wiring.store.reader() as reader:
            return reader.grants([self.patient]).get(self.patient, ())

    def may_be_contacted(self) -> bool:
        return self.world.link.preview(self.world.ask(self.patient)).decision.effect is Effect.PERMIT

    def size(self) -> int:
        with self.world.link.wiring.store.reader() as reader:
            return reader.head().size


@pytest.fixture
def source(world: World) -> _Source:
    return _Source(world)


def test_a_grant_and_the_same_report_again(source: _Source) -> None:
    assert source.take(source.report()) == [Taken.RECORDED]
    assert source.may_be_contacted()
    before = source.size()
    assert source.take(source.report(), source.report()) == [Taken.UNCHANGED, Taken.UNCHANGED]
    assert source.size() == before


def test_a_report_without_a_date_keeps_the_date_it_first_had(source: _Source) -> None:
    assert source.take(source.report(since=None)) == [Taken.RECORDED]
    source.world.clock.advance(DAY)
    assert source.take(source.report(since=None)) == [Taken.UNCHANGED]


def test_other_terms_replace_a_grant(source: _Source) -> None:
    source.take(source.report(until=300))
    assert source.take(source.report(until=1)) == [Taken.REPLACED]
    standing = [row for row in source.grants() if row.state is GrantState.GIVEN]
    assert [row.until for row in standing] == [source.day(1)]
    assert source.take(source.report(until=1)) == [Taken.UNCHANGED]


def test_a_grant_taken_back_here_does_not_come_back(source: _Source) -> None:
    source.take(source.report())
    source.world.link.withdraw(source.patient, purposes=["care"])
    assert source.take(source.report()) == [Taken.NOT_REVIVED]
    assert source.take(source.report(since=None)) == [Taken.NOT_REVIVED]
    assert not source.may_be_contacted()


def test_nor_does_another_form_from_before(source: _Source) -> None:
    source.take(source.report())
    source.world.link.withdraw(source.patient, purposes=["care.appointment"])
    assert source.take(source.report("form 0", since=-200)) == [Taken.NOT_REVIVED]
    assert source.take(source.report("form 2", since=None)) == [Taken.UNDATED]
    assert not source.may_be_contacted()


def test_a_form_given_after_the_withdrawal_counts(source: _Source) -> None:
    source.take(source.report())
    source.world.link.withdraw(source.patient, purposes=["care"])
    source.world.clock.advance(2 * DAY)
    assert source.take(source.report("form 2", since=1)) == [Taken.RECORDED]
    assert source.may_be_contacted()


def test_a_form_of_the_very_instant_of_a_withdrawal_does_not_stand(source: _Source) -> None:
    source.take(source.report("call", since=-20, state=GrantState.WITHDRAWN, ended=-10))
    assert source.take(source.report("form 2", since=-10)) == [Taken.NOT_REVIVED]


def test_a_withdrawal_of_something_else_is_in_nobodys_way(source: _Source) -> None:
    source.take(source.report("m", purposes=("marketing",)), source.report())
    source.world.link.withdraw(source.patient, purposes=["marketing"])
    assert source.take(source.report("form 0", since=-200)) == [Taken.RECORDED]


def test_a_withdrawal_ends_what_meets_it_and_was_given_before(source: _Source) -> None:
    source.take(source.report(), source.report("later", since=-5), source.report("m", purposes=("marketing",)))
    assert source.take(source.report("call", state=GrantState.WITHDRAWN, ended=-10)) == [Taken.ENDED]
    states = {row.since: row.state for row in source.grants() if "care" in row.purposes}
    assert states[source.day(-5)] is GrantState.GIVEN
    assert [row.state for row in source.grants() if "marketing" in row.purposes] == [GrantState.GIVEN]
    assert source.may_be_contacted()


def test_the_order_of_reports_does_not_matter(world: World) -> None:
    expected = None
    for number, order in enumerate(permutations(range(4))):
        source = _Source(world)
        reports = [
            source.report("old", since=-300),
            source.report("withdrawal", since=-290, state=GrantState.WITHDRAWN, ended=-200),
            source.report("new", since=-100),
            source.report("m", purposes=("marketing",), since=-300),
        ]
        source.take(*(reports[place] for place in order[: number % 4]))
        source.take(*(reports[place] for place in order[number % 4 :]))
        given = sorted(
            (row.since - source.now, row.purposes) for row in source.grants() if row.state is GrantState.GIVEN
        )
        assert expected in (None, given)
        expected = given
    assert expected == [(-300 * DAY, ("marketing",)), (-100 * DAY, ("care",))]


def test_a_withdrawal_without_a_date_counts_once_from_its_first_report(source: _Source) -> None:
    source.take(source.report())
    said = source.report(state=GrantState.WITHDRAWN)
    assert source.take(said) == [Taken.ENDED]
    source.world.clock.advance(2 * DAY)
    assert source.take(source.report("form 2", since=1)) == [Taken.RECORDED]
    assert source.take(said) == [Taken.UNCHANGED]
    assert source.may_be_contacted()


@pytest.mark.parametrize("state", [GrantState.EXPIRED, GrantState.REVOKED])
def test_an_end_that_is_no_withdrawal_ends_this_grant_alone(source: _Source, state: GrantState) -> None:
    source.take(source.report(), source.report("other"))
    assert source.take(source.report(state=state)) == [Taken.ENDED]
    assert sorted(row.state.value for row in source.grants()) == sorted(["given", state.value])
    assert source.may_be_contacted()


def test_nor_does_it_stand_in_the_way_of_another_form(source: _Source) -> None:
    source.take(source.report(state=GrantState.EXPIRED, ended=-10))
    assert source.take(source.report("form 0", since=-200)) == [Taken.RECORDED]


def test_a_withdrawn_grant_is_on_record_from_its_first_report(source: _Source) -> None:
    source.take(source.report(state=GrantState.WITHDRAWN, ended=-10))
    (row,) = source.grants()
    assert (row.state, row.since, row.ended_at) == (GrantState.WITHDRAWN, source.day(-100), source.day(-10))
    codes = str(source.world.link.preview(source.world.ask(source.patient)).decision.codes)
    assert "CONSENT_WITHDRAWN" in codes or "WITHDRAWN" in codes


def test_a_withdrawal_in_the_future_counts_now(source: _Source) -> None:
    source.take(source.report())
    source.take(source.report(state=GrantState.WITHDRAWN, ended=30))
    assert not source.may_be_contacted()
    assert [row.ended_at for row in source.grants()] == [source.now]


def test_the_giver_tells_grants_apart(source: _Source) -> None:
    assert source.take(source.report(), source.report(by=RecipientRole.GUARDIAN)) == [Taken.RECORDED, Taken.RECORDED]


def test_what_was_reported_replays(source: _Source, tmp_path: Path) -> None:
    source.take(source.report(), source.report("x", state=GrantState.WITHDRAWN, ended=-10))
    source.take(source.report(until=200), source.report("y", since=-3))
    source.world.link.send(source.world.ask(source.patient))
    source.world.link.export(tmp_path / "export", actor="test")
    assert verify_folder(tmp_path / "export", source.world.link.key.text).exit_code == 0
    summary, first = replay_folder(tmp_path / "export")
    assert summary.exit_code == 0, first
