"""Hypothesis strategies for what `decide` takes: facts, packs and policies, all well formed.

Needs the extra `carelink[test]`. A hospital uses them to state laws of its own pack ("no marketing before noon"), an
author of a rule kind to state that it is total. Facts are drawn near the edges that matter: most are such that the
bundled packs permit, instants crowd around the decision instant, and a few of everything is wrong.

    @given(facts(absent=False), policies())
    def test_some_law(facts, policy): ...

Nothing here reads a clock or draws randomness of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import attrs
from hypothesis import strategies as st

from carelink.consent.facts import (
    Absent,
    Ask,
    CalendarFact,
    ChannelFact,
    ClinicianFact,
    ClockState,
    ContactFact,
    ContentFact,
    Facts,
    GrantFact,
    GuardianFact,
    Known,
    ScreeningFact,
    StopFact,
    StoreState,
    Touch,
    TouchHistory,
    VetoFact,
    ZoneFact,
    ZoneFacts,
    touch_marks,
)
from carelink.model.ids import AddressRef, PersonRef
from carelink.model.moment import DAY, MINUTE, Instant, parse_instant
from carelink.model.scope import ANY, EVERY_PLAN, Scope
from carelink.testing.pack_strategies import RULE_KINDS, pack_texts, packs, policies
from carelink.vocabulary import (
    AgeBand,
    ChannelKind,
    ContactStatus,
    ContentStatus,
    DataClass,
    DisclosureScope,
    Family,
    GrantMethod,
    GrantState,
    LifecycleStage,
    Mode,
    ProviderState,
    Purpose,
    RecipientRole,
    Standing,
    StopSource,
)

__all__ = [
    "NOW",
    "RULE_KINDS",
    "facts",
    "good_facts",
    "grant_facts",
    "guardian_facts",
    "instants",
    "pack_texts",
    "packs",
    "policies",
    "scopes",
    "stop_facts",
    "touch_histories",
    "touches",
    "zone_facts",
]

NOW: Final = parse_instant("2026-03-10T03:00:00Z")
"""The middle of what is drawn: late morning in Shanghai, night in New York, two days after its clocks changed."""

_LETTERS: Final = ("s", "r", "a", "sr", "sa", "ra", "sra")
_PURPOSES: Final = (ANY, *(family.value for family in Family), *(purpose.value for purpose in Purpose))
_CHANNELS: Final = (ANY, *(kind.value for kind in ChannelKind))
_STEP: Final = 15 * MINUTE
_LONG_AGO: Final = Instant(NOW - 400 * DAY)

# Strategies are made once and draws are few: what a draw costs is what a law costs.
_FLAG: Final = st.booleans()
_KIND: Final = st.sampled_from(ChannelKind)
_PURPOSE: Final = st.sampled_from(Purpose)
_BINDS: Final = st.sampled_from(("subject", "recipient", "address"))
_REF: Final = st.integers(16, 2**16).map(lambda number: f"{number:032x}")
_SCOPE: Final = st.builds(
    Scope,
    st.lists(st.sampled_from(_PURPOSES), min_size=1, max_size=3),
    st.lists(st.sampled_from(_CHANNELS), min_size=1, max_size=2),
    st.sampled_from((EVERY_PLAN, EVERY_PLAN, EVERY_PLAN, ("recheck-year",), ("recheck-year", "walk-21"))),
)
_PLAN: Final = st.sampled_from(("recheck-year", "walk-21"))
_TOPIC: Final = st.sampled_from(("day-one", "nurse-call"))
_CATEGORIES: Final = ("absolute", "efficacy", "pressure", "sensitive")
_TOUCHED: Final = st.sampled_from(
    tuple((purpose, kind, binds) for purpose in Purpose for kind in ChannelKind for binds in _LETTERS)
)
_TENTH: Final = st.integers(0, 9).map(lambda number: number == 7)  # the ends of a range are drawn too often


def _ref(number: int) -> str:
    return f"{number:032x}"


@cache
def instants(around: Instant = NOW, within: int = 3 * DAY, step: int = 1) -> st.SearchStrategy[Instant]:
    """Instants at most `within` microseconds away from another, in multiples of `step` from it."""
    reach = within // step
    return st.integers(-reach, reach).map(lambda count: Instant(around + count * step))


def scopes() -> st.SearchStrategy[Scope]:
    """Scopes of grants and stops, broad and narrow."""
    return _SCOPE


def _until(draw: st.DrawFn, since: Instant, at: st.SearchStrategy[Instant]) -> Instant | None:
    """No end, or one after the beginning."""
    return Instant(max(draw(at), since + 1)) if draw(_FLAG) else None


@st.composite
def grant_facts(draw: st.DrawFn, at: st.SearchStrategy[Instant] | None = None) -> GrantFact:
    """One grant, in any state."""
    when = instants() if at is None else at
    since = draw(when)
    return GrantFact(
        ref=draw(_REF),
        scope=draw(_SCOPE),
        state=draw(st.sampled_from(GrantState)),
        by=draw(st.sampled_from(RecipientRole)),
        since=since,
        until=_until(draw, since, when),
        ended_at=_until(draw, since, when),
        separate=draw(_FLAG),
        method=draw(st.sampled_from(GrantMethod)) if draw(_TENTH) else GrantMethod.EXPLICIT,
        age=draw(st.sampled_from((AgeBand.FROM_8, AgeBand.FROM_14))) if draw(_TENTH) else None,
        notice="v1",
    )


@st.composite
def stop_facts(draw: st.DrawFn, at: st.SearchStrategy[Instant] | None = None) -> StopFact:
    """One suppression, of subject, recipient or address, in any scope."""
    when = instants() if at is None else at
    since = draw(when)
    return StopFact(
        ref=draw(_REF),
        binds=draw(_BINDS),
        scope=draw(_SCOPE),
        source=draw(st.sampled_from(StopSource)),
        since=since,
        until=_until(draw, since, when),
    )


@st.composite
def touches(draw: st.DrawFn, at: st.SearchStrategy[Instant] | None = None) -> Touch:
    """One counted touchpoint."""
    purpose, kind, binds = draw(_TOUCHED)
    plan, topic = draw(_PLAN) if draw(_TENTH) else "", draw(_TOPIC) if draw(_TENTH) else ""
    return Touch(draw(instants() if at is None else at), purpose, kind, binds, draw(_TENTH), plan, topic)


def _touch_order(touch: Touch) -> tuple[Any, ...]:
    return (touch.at, touch.purpose, touch.channel_kind, touch.binds, touch_marks(touch))


@st.composite
def touch_histories(
    draw: st.DrawFn, at: st.SearchStrategy[Instant] | None = None, *, short: bool = False
) -> TouchHistory:
    """A history that reaches back far enough for the bundled packs, or one that begins at any of the instants."""
    when = instants() if at is None else at
    begin = draw(when) if short else _LONG_AGO
    found = draw(st.lists(touches(when), max_size=5))
    items = [attrs.evolve(touch, at=max(touch.at, begin)) for touch in found]
    return TouchHistory(since=begin, items=tuple(sorted(items, key=_touch_order)))


@st.composite
def guardian_facts(draw: st.DrawFn, at: st.SearchStrategy[Instant] | None = None) -> GuardianFact:
    """A related person."""
    when = instants() if at is None else at
    since = draw(when)
    return GuardianFact(
        verified=not draw(_TENTH),
        acts=not draw(_TENTH),
        scopes=tuple(sorted(draw(st.sets(st.sampled_from(DisclosureScope), max_size=3)))),
        since=since if draw(_FLAG) else _LONG_AGO,
        until=_until(draw, since, when),
    )


@st.composite
def zone_facts(draw: st.DrawFn, at: Instant = NOW, *, step: int = _STEP) -> ZoneFacts:
    """One to three candidate zones whose clocks change up to twice within the horizon, by up to two hours."""
    first = Instant(at // DAY * DAY)
    until = Instant(first + draw(st.sampled_from((9, 2, 30))) * DAY)
    candidates = []
    for _ in range(draw(st.sampled_from((1, 2, 3)))):
        offset = draw(st.integers(-48, 56)) * 900
        pairs = [(first, offset)]
        for change in sorted(draw(st.sets(st.integers(1, (until - first) // step - 1), max_size=2))):
            offset += draw(st.sampled_from((3600, -3600, 1800, -1800, 7200, -7200)))
            pairs.append((Instant(first + change * step), offset))
        candidates.append(ZoneFact(tuple(pairs)))
    source = draw(st.sampled_from(("patient", "address", "tenant")))
    return ZoneFacts(source=source, until=until, data="tzdata-test", candidates=tuple(candidates))


def good_facts(at: Instant = NOW, **asked: Any) -> Facts:
    """Facts that the bundled packs permit (for `at` within the hours they allow): a known adult with consent who was
    never contacted before, in Shanghai. `asked` changes the request; `attrs.evolve` changes the rest.
    """
    ask = Ask(
        **{
            "purpose": Purpose.CARE_APPOINTMENT,
            "channel": "rec",
            "channel_kind": ChannelKind.EMAIL,
            "template": "note",
            "template_version": 1,
            **asked,
        }
    )
    grant = GrantFact(
        ref=_ref(1),
        scope=Scope((ask.purpose.family.value,), (ask.channel_kind.value,)),
        state=GrantState.GIVEN,
        by=RecipientRole.SELF,
        since=_LONG_AGO,
        separate=True,
        notice="v1",
    )
    content = ContentFact(
        status=ContentStatus.APPROVED,
        purposes=(ask.purpose.value,),
        channels=(ANY,),
        digest="ab" * 32,
        approvals=3,
        since=_LONG_AGO,
    )
    day = Instant(at // DAY * DAY)
    zones = ZoneFacts(
        source="patient",
        until=Instant(day + 400 * DAY),
        data="tzdata-test",
        candidates=(ZoneFact(((day, 8 * 3600),)),),
    )
    return Facts(
        at=at,
        ask=ask,
        subject=PersonRef(_ref(2)),
        recipient=PersonRef(_ref(2)),
        role=RecipientRole.SELF,
        address=AddressRef(_ref(4)),
        standing=Known(Standing.ACTIVE),
        recipient_standing=Known(Standing.ACTIVE),
        age=Known(AgeBand.ADULT),
        contact=Known(ContactFact(status=ContactStatus.VALID)),
        guardian=Known(None),
        grants=Known((grant,)),
        stops=Known(()),
        touches=Known(TouchHistory(since=_LONG_AGO)),
        content=Known(content),
        channel=Known(ChannelFact(local=True, usable=True)),
        zones=Known(zones),
        mode=Known(Mode.LIVE),
        clock=Known(ClockState.TRUSTED),
        store=Known(StoreState.CURRENT),
        keys_available=Known(value=True),
        vetoes=Known(()),
    )


@st.composite
def screening_facts(draw: st.DrawFn) -> ScreeningFact:
    """What screening may say of a text."""
    findings = st.tuples(st.sampled_from(_CATEGORIES), st.sampled_from(("refuse", "hold", "annotate")))
    return ScreeningFact(
        lists="ef" * 32,
        findings=tuple(sorted(draw(st.sets(findings, max_size=3)))),
        marks=tuple(sorted(draw(st.sets(st.sampled_from(("identity", "opt_out")))))),
    )


@st.composite
def calendar_facts(draw: st.DrawFn, at: Instant = NOW) -> CalendarFact:
    """A calendar from the day before on, which may end soon."""
    days = draw(st.text("wr", min_size=1, max_size=40))
    return CalendarFact(id="CN", first=at // DAY - 1, days=days, data="calendar-test")


def _odd(when: st.SearchStrategy[Instant]) -> dict[str, st.SearchStrategy[Any]]:
    """What each fact may be besides good."""
    grants = st.lists(grant_facts(when), max_size=3, unique_by=lambda grant: grant.ref)
    stops = st.lists(stop_facts(when), min_size=1, max_size=3, unique_by=lambda stop: stop.ref)
    return {
        "standing": st.sampled_from(Standing),
        "recipient_standing": st.sampled_from(Standing),
        "age": st.sampled_from(AgeBand),
        "contact": st.builds(
            ContactFact, status=st.sampled_from(ContactStatus), verified_at=st.none() | when, persons=st.integers(1, 3)
        ),
        "guardian": st.none() | guardian_facts(when),
        "grants": grants.map(lambda found: tuple(sorted(found, key=lambda grant: grant.ref))),
        "stops": stops.map(lambda found: tuple(sorted(found, key=lambda stop: stop.ref))),
        "touches": touch_histories(when, short=True),
        "content": st.builds(
            ContentFact,
            status=st.sampled_from(ContentStatus),
            purposes=_SCOPE.map(lambda scope: scope.purposes),
            channels=_SCOPE.map(lambda scope: scope.channels),
            digest=st.just("cd" * 32),
            approvals=st.integers(0, 3),
            since=when,
            until=st.none() | when,
            clinical=st.integers(0, 3),
            commercial=st.integers(0, 1),
            ethics=st.integers(0, 1),
            lapsed=st.integers(0, 1),
            number_until=st.none() | when,
            data=st.sampled_from(((), (DataClass.APPOINTMENT,), (DataClass.DIAGNOSIS, DataClass.IDENTITY))),
            provider=st.none() | st.sampled_from(ProviderState),
        ),
        "channel": st.builds(
            ChannelFact,
            local=_FLAG,
            usable=_FLAG,
            allow_listed=_FLAG,
            region=st.sampled_from(("", "CN", "US")),
            agreement_until=st.none() | when,
        ),
        "mode": st.sampled_from(Mode),
        "clock": st.sampled_from(ClockState),
        "store": st.sampled_from(StoreState),
        "keys_available": _FLAG,
        "vetoes": st.just((VetoFact("plugin", "no"),)),
        "stage": st.none() | st.sampled_from(LifecycleStage),
        "clinician": st.none() | st.builds(ClinicianFact, since=when, until=st.none() | when),
        "screening": st.none() | screening_facts(),
        "calendars": st.just(()) | st.tuples(calendar_facts()),
    }


_FACT_NAMES: Final = (*_odd(st.just(NOW)), "zones")
_odd_of = cache(_odd)


@st.composite
def _asks(draw: st.DrawFn, when: st.SearchStrategy[Instant]) -> Ask:
    windowed = draw(st.sampled_from((False, False, True)))
    return Ask(
        purpose=draw(_PURPOSE),
        channel="rec",
        channel_kind=draw(_KIND),
        template="note",
        template_version=1,
        disclosure=draw(st.none() | st.sampled_from(DisclosureScope)),
        automated=draw(_FLAG),
        reply=draw(_TENTH),
        plan=draw(_PLAN) if draw(_TENTH) else "",
        topic=draw(_TOPIC) if draw(_TENTH) else "",
        due_from=draw(when) if draw(_TENTH) else None,
        due_until=draw(when) if draw(_TENTH) else None,
        data=tuple(sorted(draw(st.sets(st.sampled_from(DataClass), max_size=2)))) if draw(_TENTH) else (),
        clinician=_ref(9) if draw(_TENTH) else "",
        wait=draw(_FLAG),
        not_before=draw(st.none() | when) if windowed else None,
        useless_after=draw(st.none() | when) if windowed else None,
    )


@st.composite
def facts(draw: st.DrawFn, *, absent: bool = True, step: int = 1, at: Instant | None = None) -> Facts:
    """Well-formed facts, good but for a few: about a third are permitted by the bundled packs.

    Args:
        absent: now and then one is UNKNOWN or STALE.
        step: all instants are multiples of this from `NOW`, except the decision instant if `at` is given.
        at: the decision instant; drawn near `NOW` if left out.
    """
    when = instants(step=step)
    chosen = draw(instants(within=DAY, step=step)) if at is None else at
    ask = draw(_asks(when))
    odd = _odd_of(when)
    changes: dict[str, Any] = {
        name: Known(draw(odd[name])) for name in draw(st.sets(st.sampled_from(tuple(odd)), max_size=2))
    }
    if "touches" not in changes:
        changes["touches"] = Known(draw(touch_histories(when)))
    changes["zones"] = Known(draw(zone_facts(chosen)))
    good = good_facts(chosen, **{field.name: getattr(ask, field.name) for field in attrs.fields(Ask)})
    if draw(_TENTH):
        changes["address"] = None
    if draw(st.sampled_from((False, False, True))):
        role = draw(st.sampled_from((RecipientRole.GUARDIAN, RecipientRole.RELATED)))
        changes.update(role=role, recipient=PersonRef(_ref(3)))
        changes.setdefault("guardian", Known(draw(guardian_facts(when))))
        changes.setdefault("age", Known(draw(st.sampled_from(AgeBand))))
        if "grants" not in changes and isinstance(good.grants, Known):
            changes["grants"] = Known(tuple(attrs.evolve(grant, by=role) for grant in good.grants.value))
    if absent and draw(_FLAG):
        changes[draw(st.sampled_from(_FACT_NAMES))] = draw(st.sampled_from(Absent))
    return attrs.evolve(good, **changes)
