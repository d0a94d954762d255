"""Figures of a log for people: volumes, refusals by rule and source, caps, hours, consent, outcomes, changes of policy.

A fold over entries, like replay, but it counts instead of judging. What it counts is what the entries say; whether they
are true to each other is replay's matter, whether they are the signed ones is verify's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import attrs

from carelink.audit.bodies import (
    ContentBody,
    CredentialBody,
    GenesisBody,
    HandoverBody,
    ModeBody,
    OpenedBody,
    PluginsBody,
    PolicyBody,
    ReceiptBody,
    RecoveredBody,
)
from carelink.audit.decided import ClaimBody, DecidedBody, DecisionBody
from carelink.audit.entry import Entry, parse_entry
from carelink.audit.fold import LogState
from carelink.consent.facts import Facts, Known
from carelink.consent.pack import Pack, parse_pack
from carelink.consent.policy import Policy
from carelink.consent.rules.frequency_cap import FrequencyCap
from carelink.consent.rules.quiet_hours import QuietHours
from carelink.errors import CarelinkError
from carelink.model.moment import SECOND, Instant, to_datetime
from carelink.vocabulary import Effect, Family, GrantState, Outcome, Standing

__all__ = ["CapUse", "Change", "Figures", "Opening", "RefusalRow", "figures"]

_LISTED: Final = 500
_DAYS_BY_DAY: Final = 45
_DAYS_BY_WEEK: Final = 400


@attrs.frozen(kw_only=True)
class RefusalRow:
    """How often one rule did not permit, and where it comes from. `sources` are (instrument, version, article)."""

    rule: str
    reasons: tuple[tuple[str, int], ...]
    pack: str
    title_en: str
    title_zh: str
    authority: str
    certainty: str
    sources: tuple[tuple[str, str, str], ...]


@attrs.define(kw_only=True)
class CapUse:
    """One frequency cap: its limit, how full its window was at each permit (slots used, itself included), refusals."""

    rule: str
    maximum: int
    window: int
    used: Counter[int] = attrs.field(factory=Counter)
    refused: int = 0


@attrs.frozen(kw_only=True)
class Change:
    """A change of what decisions depend on: policy, mode, plugins, content, credentials."""

    index: int
    at: Instant
    kind: str
    what: str
    loosens: bool = False


@attrs.frozen(kw_only=True)
class Opening:
    """Somebody opened personal data."""

    index: int
    at: Instant
    by: str
    what: str
    purpose: str


@attrs.define(kw_only=True)
class Figures:
    """What the report shows.

    Attributes:
        volumes: (begin of the period as ISO date, effect) -> decisions; `period` is "day", "week" or "month".
        by_purpose, by_channel: (purpose or channel kind, effect) -> decisions.
        hours: local hour of the recipient -> attempts.
        windows: (rule, opens, closes) of the quiet-hours rules in force, in seconds after local midnight.
        coverage: family -> (persons with a standing grant, persons who took one back and have none).
        persons: living persons of the log.
        outcomes: outcome -> attempts; `delivery`: last reported state -> hand-overs.
        unknown: (index, request) of attempts that may have been delivered, the first of them.
    """

    origin: str = ""
    entries: int = 0
    first: Instant | None = None
    last: Instant | None = None
    period: str = "day"
    effects: Counter[str] = attrs.field(factory=Counter)
    volumes: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    by_purpose: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    by_channel: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    refusals: tuple[RefusalRow, ...] = ()
    caps: tuple[CapUse, ...] = ()
    hours: Counter[int] = attrs.field(factory=Counter)
    windows: tuple[tuple[str, int, int], ...] = ()
    coverage: dict[str, tuple[int, int]] = attrs.field(factory=dict)
    persons: int = 0
    outcomes: Counter[str] = attrs.field(factory=Counter)
    delivery: Counter[str] = attrs.field(factory=Counter)
    unknown: list[tuple[int, str]] = attrs.field(factory=list)
    changes: list[Change] = attrs.field(factory=list)
    openings: list[Opening] = attrs.field(factory=list)


@attrs.define
class _Count:
    """The fold."""

    found: Figures = attrs.field(factory=Figures)
    state: LogState = attrs.field(factory=LogState)
    policy: Policy | None = None
    packs: dict[str, Pack] = attrs.field(factory=dict)
    days: Counter[tuple[int, str]] = attrs.field(factory=Counter)
    reasons: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    caps: dict[str, CapUse] = attrs.field(factory=dict)
    zones: dict[str, Facts] = attrs.field(factory=dict)
    delivered: dict[str, str] = attrs.field(factory=dict)

    def take(self, index: int, entry: Entry) -> None:
        body, found = entry.body, self.found
        found.entries += 1
        found.first = entry.at if found.first is None else found.first
        found.last = entry.at
        self.state.apply(entry)
        if isinstance(body, DecidedBody):
            self._decided(body)
        elif isinstance(body, (HandoverBody, RecoveredBody)):
            self._attempt(index, body)
        elif isinstance(body, ReceiptBody):
            self.delivered[body.reservation] = body.state
        elif isinstance(body, OpenedBody):
            if len(found.openings) < _LISTED:
                found.openings.append(
                    Opening(index=index, at=entry.at, by=body.by, what=body.what, purpose=body.purpose)
                )
        elif isinstance(body, GenesisBody):
            found.origin = body.origin
        else:
            self._changed(index, entry)

    def _decided(self, body: DecidedBody) -> None:
        facts, effect = body.facts, body.effect.value
        self.reasons.update((verdict.rule, verdict.reason.value) for verdict in body.reasons if verdict.reason)
        self._count_caps(facts, body.effect, {verdict.rule for verdict in body.reasons})
        if body.effect is Effect.PERMIT and body.lease is not None:
            reservation = getattr(body, "reservation", None)
            self.zones[str(reservation)] = facts
        if isinstance(body, ClaimBody):
            return
        assert isinstance(body, DecisionBody)
        self.found.effects[effect] += 1
        self.days[(facts.at // (86_400 * SECOND), effect)] += 1
        self.found.by_purpose[(facts.ask.purpose.value, effect)] += 1
        self.found.by_channel[(facts.ask.channel_kind.value, effect)] += 1

    def _count_caps(self, facts: Facts, effect: Effect, failed: set[str]) -> None:
        if self.policy is None:
            return
        for compiled in self.policy.applying(facts):
            judge = compiled.judge
            if not isinstance(judge, FrequencyCap):
                continue
            use = self.caps.setdefault(
                compiled.rule.id, CapUse(rule=compiled.rule.id, maximum=judge.maximum, window=judge.window)
            )
            use.refused += compiled.rule.id in failed
            if effect is Effect.PERMIT and isinstance(facts.touches, Known):
                start = facts.at - judge.window
                counts = (
                    sum(at > start for at in instants)
                    for instants in judge.counted.instants(facts.touches.value, facts.ask.plan)
                )
                use.used[max(counts, default=0) + 1] += 1

    def _attempt(self, index: int, body: HandoverBody | RecoveredBody) -> None:
        self.found.outcomes[body.outcome.value] += 1
        if body.outcome is Outcome.UNKNOWN and len(self.found.unknown) < _LISTED:
            self.found.unknown.append((index, body.request))
        facts = self.zones.pop(body.reservation, None)
        if isinstance(body, HandoverBody) and facts is not None and isinstance(facts.zones, Known):
            zone = facts.zones.value.candidates[0]
            offset = max((pair for pair in zone.offsets if pair[0] <= body.attempted_at), default=zone.offsets[0])[1]
            self.found.hours[(body.attempted_at // SECOND + offset) % 86_400 // 3600] += 1

    def _changed(self, index: int, entry: Entry) -> None:
        body, what, loosens = entry.body, "", False
        if isinstance(body, PolicyBody):
            loosens = body.loosens
            what = self._adopt(body)
        elif isinstance(body, ModeBody):
            what = body.mode.value
        elif isinstance(body, PluginsBody):
            what = ", ".join(f"{plugin.name} {plugin.version}" for plugin in body.plugins)
        elif isinstance(body, ContentBody):
            what = f"{body.template} {body.version} {body.action.value}"
        elif isinstance(body, CredentialBody):
            what = f"{body.role.value} {body.action.value}"
        if what and len(self.found.changes) < _LISTED:
            self.found.changes.append(
                Change(index=index, at=entry.at, kind=body.kind.value, what=what, loosens=loosens)
            )

    def _adopt(self, body: PolicyBody) -> str:
        self.policy = None
        packs = []
        for digest in body.packs:
            try:
                packs.append(parse_pack(self.state.packs[digest].toml.encode()))
            except (CarelinkError, KeyError):
                return f"{len(body.packs)} packs, some of them not readable"
        try:
            self.policy = Policy.compose(packs)
        except CarelinkError:
            return f"{len(packs)} packs that do not compose"
        self.packs.update({rule.id: pack for pack in packs for rule in pack.rules})
        return ", ".join(f"{pack.id} {pack.version}" for pack in packs)

    def finish(self) -> Figures:
        found = self.found
        found.refusals = self._refusals()
        found.caps = tuple(sorted(self.caps.values(), key=lambda use: use.rule))
        found.delivery.update(self.delivered.values())
        if self.policy is not None:
            found.windows = tuple(
                (compiled.rule.id, compiled.judge.opens, compiled.judge.closes)
                for compiled in self.policy.rules
                if isinstance(compiled.judge, QuietHours)
            )
        self._consent()
        self._periods()
        return found

    def _refusals(self) -> tuple[RefusalRow, ...]:
        rows = []
        for rule in dict.fromkeys(rule for (rule, _reason), _ in self.reasons.most_common()):
            pack = self.packs.get(rule)
            text = None if pack is None else next(each for each in pack.rules if each.id == rule)
            rows.append(
                RefusalRow(
                    rule=rule,
                    reasons=tuple((code, n) for (name, code), n in self.reasons.most_common() if name == rule),
                    pack="" if pack is None else f"{pack.id} {pack.version}",
                    title_en="" if text is None else text.title_en,
                    title_zh="" if text is None else text.title_zh,
                    authority="" if text is None else text.authority.value,
                    certainty="" if text is None else text.certainty.value,
                    sources=() if text is None else tuple((s.instrument, s.version, s.article) for s in text.sources),
                )
            )
        return tuple(rows)

    def _consent(self) -> None:
        state, at = self.state, self.found.last or Instant(0)
        living = [
            ref
            for ref, person in state.persons.items()
            if person.standing in (None, Standing.ACTIVE) and (person.age is not None or state.grants.get(ref))
        ]
        self.found.persons = len(living)
        for family in Family:
            given, ended = 0, 0
            for ref in living:
                grants = [g for g in (state.grants.get(ref) or {}).values() if _touches(g.scope.purposes, family)]
                stands = any(
                    g.state is GrantState.GIVEN and g.since <= at and (g.until is None or at < g.until) for g in grants
                )
                given += stands
                ended += bool(grants) and not stands
            self.found.coverage[family.value] = (given, ended)

    def _periods(self) -> None:
        if not self.days:
            return
        first, last = min(day for day, _ in self.days), max(day for day, _ in self.days)
        span = last - first
        self.found.period = "day" if span <= _DAYS_BY_DAY else "week" if span <= _DAYS_BY_WEEK else "month"
        for (day, effect), number in self.days.items():
            date = to_datetime(Instant(day * 86_400 * SECOND)).date()
            if self.found.period == "week":
                date -= timedelta(days=date.weekday())
            elif self.found.period == "month":
                date = date.replace(day=1)
            self.found.volumes[(date.isoformat(), effect)] += number


def _touches(purposes: tuple[str, ...], family: Family) -> bool:
    return any(purpose == "*" or purpose.partition(".")[0] == family.value for purpose in purposes)


def figures(entries: Iterable[tuple[int, bytes]]) -> Figures:
    """Count a whole log, streaming; memory grows with persons and open permits, not with entries.

    Raises:
        FormatError: an entry is not in its form.
        CannotJudgeError: an entry is of a version or kind this release does not know.
    """
    count = _Count()
    for index, data in entries:
        count.take(index, parse_entry(data))
    return count.finish()
