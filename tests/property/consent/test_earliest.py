"""The earliest instant against oracles that know nothing of how it is found.

Instants lie on a grid of a quarter of an hour, so that walking the grid sees every change; the decision instant itself
lies anywhere. Caps are counted by hand, windows by the clock on the wall.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from importlib import resources
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from carelink.consent.decide import decide
from carelink.consent.facts import Known, Touch, TouchHistory
from carelink.consent.policy import Policy
from carelink.consent.rules import KINDS
from carelink.engine.zones import zone_facts as real_zones
from carelink.model.moment import DAY, HOUR, MINUTE, Instant, to_datetime
from carelink.packs.loader import load_bundled
from carelink.testing.strategies import NOW, facts, good_facts, instants, packs, touch_histories, zone_facts
from carelink.vocabulary import ChannelKind, Effect, Purpose

pytestmark = pytest.mark.property

GRID = 15 * MINUTE
WALK = 2 * DAY
TIMED = (
    "frequency_cap",
    "minimum_gap",
    "quiet_hours",
    "time_window",
    "grant",
    "given_by",
    "content",
    "guardian",
    "disclosure",
)


def at(seen, instant):
    return attrs.evolve(seen, at=Instant(instant))


def walked(seen, permits, until=WALK):
    """The first instant after the decision instant at which `permits` is true, by walking the grid."""
    first = seen.at // GRID * GRID + GRID
    return next((step for step in range(first, seen.at + until, GRID) if permits(at(seen, step))), None)


# -- decide ----------------------------------------------------------------------------------------------------------


@given(
    facts(absent=False, step=GRID, at=Instant(NOW + 7 * MINUTE + 1)),
    packs("timed", kinds=TIMED, max_rules=3),
    st.integers(0, 3 * DAY),
)
def test_decide_names_the_instant_at_which_it_flips(seen, pack, shift):
    policy = Policy.compose([load_bundled("baseline"), pack])
    # Ages and the like are cured by nothing; the search is for what time changes.
    seen = at(seen, seen.at + shift)
    seen = attrs.evolve(seen, zones=Known(attrs.evolve(good_facts(seen.at).zones.value)))
    decision = decide(seen, policy)
    assume(decision.effect is not Effect.PERMIT)

    def permits(then):
        return decide(then, policy).effect is Effect.PERMIT

    found = walked(seen, permits)
    if decision.earliest is None or decision.earliest >= seen.at + WALK:
        assert found is None
    else:
        assert found == decision.earliest
        assert permits(at(seen, decision.earliest))
        assert not permits(at(seen, decision.earliest - 1))


@given(facts(step=GRID), packs("timed", kinds=TIMED, max_rules=5))
def test_at_the_earliest_instant_it_permits_and_a_microsecond_before_it_does_not(seen, pack):
    policy = Policy.compose([load_bundled("baseline"), pack])
    earliest = decide(seen, policy).earliest
    if earliest is not None:
        assert decide(at(seen, earliest), policy).effect is Effect.PERMIT
        assert decide(at(seen, earliest - 1), policy).effect is not Effect.PERMIT
        middle = (seen.at + earliest) // 2
        if middle > seen.at:
            then = decide(at(seen, middle), policy)
            assert then.effect is not Effect.PERMIT or middle == earliest
            assert then.earliest == earliest


@given(facts(absent=False, step=GRID), packs("timed", kinds=TIMED, max_rules=1, dated=False), st.integers(0, GRID - 1))
def test_every_rule_names_the_instant_at_which_it_alone_permits(seen, pack, fraction):
    seen = at(seen, seen.at + fraction)
    judge = Policy.compose([load_bundled("baseline"), pack]).rules[-1].judge
    verdict = judge.judge(seen)
    assume(verdict.effect is not Effect.PERMIT)
    found = walked(seen, lambda then: judge.judge(then).effect is Effect.PERMIT)
    if verdict.earliest is None or verdict.earliest >= seen.at + WALK:
        assert found is None
    else:
        assert found == verdict.earliest
        assert judge.judge(at(seen, verdict.earliest - 1)).effect is not Effect.PERMIT


@given(
    st.lists(instants(within=2 * DAY), min_size=1, max_size=6),
    st.integers(1, 3),
    st.sampled_from([6, 24, 36]),
    st.data(),
)
def test_everything_at_once_counted_by_hand(sent, most, hours, data):
    """A cap, a gap, quiet hours, a window of the caller: against a count that shares no code with the rules."""
    window, gap = hours * HOUR, 2 * HOUR
    early = data.draw(st.none() | instants(within=2 * DAY))
    when = data.draw(instants(within=DAY))
    seen = good_facts(when, not_before=early, wait=data.draw(st.booleans()))
    items = tuple(Touch(one, Purpose.CARE_APPOINTMENT, seen.ask.channel_kind, "s") for one in sorted(sent))
    seen = attrs.evolve(seen, touches=Known(TouchHistory(since=Instant(0), items=items)))
    text = """
[pack]
id = "x"
jurisdiction = "*"
version = "1"
valid_from = 2020-01-01
title = { en = "x", zh = "x" }
"""
    for name, kind, params in (
        ("X.CAP", "frequency_cap", f'max = {most}\nwindow = "PT{hours}H"'),
        ("X.GAP", "minimum_gap", 'gap = "PT2H"'),
        ("X.QUIET", "quiet_hours", 'allowed_from = "08:00"\nallowed_to = "21:00"'),
    ):
        text += f"""
[[rule]]
id = "{name}"
kind = "{kind}"
authority = "hospital"
certainty = "I"
title = {{ en = "x", zh = "x" }}
sources = [{{ instrument = "x", version = "x" }}]
[rule.params]
{params}
"""
    policy = Policy.from_bytes([load_bundled("baseline").data, text.encode()])

    def free(instant):
        below = sum(1 for one in sent if one > instant - window) < most
        spaced = all(instant - one >= gap for one in sent)
        awake = 8 * HOUR <= (instant + 8 * HOUR) % DAY < 21 * HOUR
        return below and spaced and awake and (early is None or early <= instant)

    decision = decide(seen, policy)
    assert (decision.effect is Effect.PERMIT) is free(when)
    if not free(when):
        marks = {*(one + window for one in sent), *(one + gap for one in sent), *([early] if early is not None else [])}
        marks |= {day * DAY for day in range(when // DAY, when // DAY + 10)}  # 00:00 UTC is 08:00 in Shanghai
        assert decision.earliest == min(mark for mark in marks if mark > when and free(mark))


# -- caps ------------------------------------------------------------------------------------------------------------


@given(
    touch_histories(instants(within=2 * DAY)), instants(within=DAY), st.integers(1, 4), st.sampled_from([1, 12, 24, 48])
)
def test_no_window_ever_holds_more_than_its_cap(history, when, most, hours):
    """P4: send at every instant the rule permits; no half-open window that ends in a message holds more than the cap."""
    window = hours * HOUR
    rule = KINDS[("frequency_cap", 1)]("T", {"max": most, "window": f"PT{hours}H", "counts": "person"}, ("*",))
    mine = [touch.at for touch in history.items if "s" in touch.binds and not touch.reply]
    seen = attrs.evolve(good_facts(when), touches=Known(history))
    sent = []
    while len(sent) < 2 * most + 2:
        verdict = rule.judge(seen)
        if verdict.effect is Effect.PERMIT:
            sent.append(seen.at)
            new = Touch(seen.at, Purpose.CARE_APPOINTMENT, ChannelKind.SMS, "sra")
            items = tuple(sorted((*seen.touches.value.items, new), key=lambda touch: touch.at))
            seen = attrs.evolve(seen, touches=Known(TouchHistory(since=history.since, items=items)))
        else:
            seen = at(seen, verdict.earliest)
    for one in sent:
        assert sum(1 for other in (*mine, *sent) if one - window < other <= one) <= most


# -- quiet hours -----------------------------------------------------------------------------------------------------


ZONES = (
    "Asia/Shanghai", "Europe/London", "America/New_York", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Africa/Casablanca", "Pacific/Chatham", "America/Santiago", "Pacific/Kiritimati", "Pacific/Pago_Pago",
    "Asia/Tehran", "America/Sao_Paulo",
)  # fmt: skip
CHANGES = (
    "2026-03-08",
    "2026-03-29",
    "2026-04-05",
    "2026-09-27",
    "2026-10-04",
    "2026-10-25",
    "2026-11-01",
    "2027-02-07",
)


def wall(name):
    with resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file)


def awake(moment, zone, opens, closes):
    """Whether the clock on the wall shows an allowed minute."""
    local = moment.astimezone(zone)
    minute = local.hour * 60 + local.minute
    return opens <= minute < closes if opens < closes else minute >= opens or minute < closes


@given(
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=3, unique=True),
    st.sampled_from(CHANGES),
    st.integers(-2 * DAY, 2 * DAY),
    st.integers(0, 24 * 60 - 1),
    st.integers(1, 24 * 60 - 1),
)
def test_quiet_hours_against_a_walk_by_the_minute(names, change, shift, opens, length):
    day = datetime.fromisoformat(f"{change}T00:00:00+00:00")
    when = Instant(round(day.timestamp()) * 1_000_000 + shift)
    closes = (opens + length) % (24 * 60)
    clock = "{:02d}:{:02d}".format
    rule = KINDS[("quiet_hours", 1)](
        "T", {"allowed_from": clock(*divmod(opens, 60)), "allowed_to": clock(*divmod(closes, 60))}
    )
    seen = attrs.evolve(good_facts(when), zones=real_zones(when, patient="", address=tuple(names), tenant=""))
    clocks = [wall(name) for name in names]

    def allowed(moment):
        return all(awake(moment, zone, opens, closes) for zone in clocks)

    verdict, now = rule.judge(seen), to_datetime(when)
    assert (verdict.effect is Effect.PERMIT) is allowed(now)
    if verdict.effect is Effect.PERMIT:
        return
    assert verdict.effect is Effect.DEFER
    minute = now.replace(second=0, microsecond=0)
    walk = (minute + timedelta(minutes=step) for step in range(1, 4 * 24 * 60))
    first = next((moment for moment in walk if allowed(moment)), None)
    if first is None:
        # Zones that do not agree within days of a change of the clock may never do.
        assert verdict.earliest is None or to_datetime(verdict.earliest) >= minute + timedelta(days=4)
    else:
        assert to_datetime(verdict.earliest) == first


@given(zone_facts(NOW), instants(within=DAY), st.integers(0, 95), st.integers(1, 95))
def test_quiet_hours_against_a_walk_over_clocks_that_change_at_random(zones, when, opens, length):
    """Synthetic clocks change by up to two hours, twice within days: more than any zone on earth does."""
    closes = (opens + length) % 96
    clock = "{:02d}:{:02d}".format
    params = {"allowed_from": clock(opens // 4, opens % 4 * 15), "allowed_to": clock(closes // 4, closes % 4 * 15)}
    rule = KINDS[("quiet_hours", 1)]("T", params)
    when = Instant(max(when, zones.candidates[0].offsets[0][0]))
    assume(when < zones.until)
    seen = attrs.evolve(good_facts(when), zones=Known(zones))

    def allowed(instant):
        for zone in zones.candidates:
            offset = [value for start, value in zone.offsets if start <= instant][-1]
            quarter = (instant // 1_000_000 + offset) % 86_400 // 900
            if not (opens <= quarter < closes if opens < closes else quarter >= opens or quarter < closes):
                return False
        return True

    verdict = rule.judge(seen)
    assert (verdict.effect is Effect.PERMIT) is allowed(when)
    if verdict.effect is not Effect.PERMIT:
        walk = range(when // GRID * GRID + GRID, zones.until, GRID)
        assert verdict.earliest == next((step for step in walk if allowed(step)), None)
