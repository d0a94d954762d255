"""What another policy would have decided: on recorded facts, and with state feedback."""

from __future__ import annotations

import pytest

from carelink.audit.counterfactual import counterfactual
from carelink.audit.judge import PolicyJudge
from carelink.cli.main import main
from carelink.errors import PolicyError
from carelink.model.moment import DAY, HOUR
from carelink.packs.loader import bundled_bytes
from carelink.testing.world import World
from carelink.vocabulary import Outcome

PACK = """
[pack]
id = "house"
jurisdiction = "*"
version = "{version}"
valid_from = 2020-01-01
title = {{ en = "House rules", zh = "院规" }}

[[rule]]
id = "HOUSE.CAP"
kind = "frequency_cap"
authority = "hospital"
certainty = "I"
title = {{ en = "so many in three days", zh = "三日上限" }}
sources = [{{ instrument = "house rules", version = "2026-01-01", article = "1" }}]
[rule.params]
max = {maximum}
window = "P3D"
"""


def house(maximum, version="1"):
    return PACK.format(maximum=maximum, version=version).encode()


@pytest.fixture
def world(tmp_path):
    packs = [bundled_bytes("baseline"), bundled_bytes("cn"), house(2)]
    made = World(tmp_path / "w", packs=packs)
    made.content()
    yield made
    made.link.close()


def send_daily(world, days, purpose="care.appointment"):
    """One request a day for one patient; what was recorded under a cap of two in three days: yes yes no, again."""
    patient = world.patient(consent=("care",))
    effects = []
    for _ in range(days):
        effects.append(world.link.send(world.ask(patient, purpose=purpose)).effect.value)
        world.clock.advance(DAY)
    return effects


def answer(world, *packs, drop=()):
    with world.link.wiring.store.reader() as reader:
        entries = list(enumerate(reader.entries(0, reader.head().size)))
    return counterfactual(entries, PolicyJudge(), packs, drop=drop)


def test_the_same_policy_changes_nothing(world):
    assert send_daily(world, 6) == ["permit", "permit", "refuse"] * 2
    found = answer(world)
    assert (found.decisions, found.sends) == (6, 4)
    assert [found.naive_blocked, found.fed_blocked, found.naive_allowed, found.fed_allowed] == [[]] * 4
    assert found.differ == ()


def test_a_tighter_cap_refuses_more_on_recorded_facts_than_with_feedback(world):
    """Cap of one in three days. On recorded facts each second send falls; with feedback the slots it frees count."""
    send_daily(world, 6)
    found = answer(world, house(1, "2"))
    # recorded: day 0 yes, 1 yes, 2 no, 3 yes, 4 yes, 5 no. Naively 1 and 4 fall (their predecessor stands a day before),
    # and 3 falls too: the send of day 1, which would not have been made, still stands in its recorded history.
    assert [item.rules for item in found.naive_blocked] == [("HOUSE.CAP",)] * 3
    # With feedback day 1 falls, so day 3 goes out; then day 4 falls.
    assert len(found.fed_blocked) == 2
    assert len(found.differ) == 1
    assert "frees its slot" in "\n".join(found.lines())


def test_a_looser_cap_allows_less_with_feedback(world):
    """Cap of three in three days: day 2 goes out as well, which takes a slot, and still day 5 fits."""
    send_daily(world, 6)
    found = answer(world, house(3, "2"))
    assert len(found.naive_allowed) == 2
    assert len(found.fed_allowed) == 2
    assert {item.rules for item in found.fed_allowed} == {("HOUSE.CAP",)}
    assert not found.fed_blocked


def test_what_is_allowed_takes_a_slot(world):
    """Two refused on one day, a cap of three: on recorded facts both would pass, with feedback only the first."""
    patient = world.patient(consent=("care",))
    for number in range(4):
        world.link.send(world.ask(patient, key=f"k{number}"))
        world.clock.advance(HOUR)
    found = answer(world, house(3, "2"))
    assert len(found.naive_allowed) == 2
    assert len(found.fed_allowed) == 1
    assert len(found.differ) == 1


def test_a_request_allowed_earlier_is_not_sent_twice(world):
    """The third request is refused, asked for again later and sent: under a looser cap it goes out the first time."""
    patient = world.patient(consent=("care",))
    for number in range(3):
        world.link.send(world.ask(patient, key=f"k{number}"))
    world.clock.advance(3 * DAY)
    assert world.link.send(world.ask(patient, key="k2")).effect.value == "permit"
    found = answer(world, house(3, "2"))
    assert len(found.fed_allowed) == 1
    assert found.moved == 1
    assert not found.fed_blocked


def test_what_did_not_leave_is_no_send_and_frees_its_slot_anyhow(world):
    world.email.script = iter([Outcome.REFUSED, Outcome.ACCEPTED])
    patient = world.patient(consent=("care",))
    world.link.send(world.ask(patient))
    world.link.send(world.ask(patient))
    found = answer(world, house(1, "2"))
    assert found.sends == 1
    assert not found.naive_blocked
    assert not found.fed_blocked


def test_a_held_permit_that_its_claim_would_refuse(world):
    """Two permits wait; under a cap of one the second would never have been given, so its claim never comes. On recorded
    facts the first one's claim falls too: the second permit's slot stands in its history.
    """
    patient = world.patient(consent=("care",))
    requests = [world.ask(patient, key="a"), world.ask(patient, key="b")]
    world.link.permit_many(requests)
    world.clock.advance(60_000_000)
    world.link.send_many(requests)
    found = answer(world, house(1, "2"))
    assert found.sends == 2
    assert len(found.naive_blocked) == 2
    assert len(found.fed_blocked) == 1


def test_a_pack_can_be_dropped_and_the_policy_must_still_compose(world):
    send_daily(world, 3)
    assert len(answer(world, drop=["house"]).fed_allowed) == 1
    assert answer(world, drop=["baseline"]).not_judged == 3
    with pytest.raises(PolicyError):
        answer(world, b"[pack]\nid = 1")


def test_a_longer_window_is_judged_from_the_whole_log(world):
    """The other policy looks back further than the recorded facts do; the log knows more, so it is judged."""
    send_daily(world, 6)
    long = house(2, "2").replace(b"P3D", b"P300D")
    found = answer(world, long)
    assert len(found.naive_blocked) == 2
    assert all(item.rules == ("HOUSE.CAP",) for item in found.fed_blocked)


def test_on_the_command_line(world, tmp_path, capsys):
    send_daily(world, 6)
    folder = tmp_path / "export"
    world.link.export(folder, actor="auditor")
    tight, loose = tmp_path / "tight.toml", tmp_path / "loose.toml"
    tight.write_bytes(house(1, "2"))
    loose.write_bytes(house(3, "2"))
    key = world.link.key.text
    assert main(["audit", "replay", str(folder), "--key", key, "--policy", str(tight)]) == 0
    out = capsys.readouterr().out
    assert "2 with state feedback" in out
    common = ["policy", "diff", "--log", str(folder), "--key", key]
    assert main([*common, "--policy", str(tight)]) == 0
    assert main([*common, "--policy", str(loose)]) == 6
    assert "--allows" in capsys.readouterr().err
    assert main([*common, "--policy", str(loose), "--allows", "HOUSE.CAP"]) == 0
    assert main([*common, "--drop", "house", "--allows", "OTHER.RULE"]) == 6
    assert main(common) == 2
