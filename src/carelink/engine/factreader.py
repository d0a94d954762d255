"""Reads the facts of a chunk of targets: set-based, after the gates are locked, in the deciding transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Final, TypeVar

import attrs

from carelink.consent.facts import (
    Absent,
    Ask,
    CalendarFact,
    ChannelFact,
    ClinicianFact,
    ClockState,
    ContactFact,
    ContentFact,
    Fact,
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
    ZoneFacts,
    touch_marks,
)
from carelink.content.review import clinician
from carelink.engine.calendars import calendar_facts
from carelink.engine.membership import Asked, Target
from carelink.engine.parts import MAX_SKEW, Parts
from carelink.engine.reviewed import approved_form, content_fact
from carelink.engine.screener import Screened
from carelink.engine.soundness import salvage, salvage_rows, sound
from carelink.engine.zones import zone_facts
from carelink.errors import CarelinkError, InvalidInputError
from carelink.model.ids import PatientId, PersonRef, ReservationId, is_ref
from carelink.model.moment import Instant, Micros
from carelink.model.scope import Scope
from carelink.ports.rows import (
    ContactRow,
    CredentialRow,
    Gate,
    GrantRow,
    ReservationRow,
    StopRow,
    TemplateRow,
    TenantRow,
    TouchRow,
)
from carelink.ports.store import Reader
from carelink.vocabulary import AgeBand, LifecycleStage, Mode, Standing

__all__ = ["ChunkFacts", "read_chunk"]


@attrs.define(kw_only=True)
class ChunkFacts:
    """Everything read for a chunk, from which the facts of each target are put together.

    Reservations made while the chunk is decided are added with `count`, so that a later request of the same
    person or address in the same chunk sees them. The `lost` sets hold keys whose rows are damaged: what hangs on
    them is UNKNOWN.
    """

    parts: Parts
    tenant: TenantRow
    now: Instant
    steady: bool
    mono: Micros
    horizon: Micros
    calendars: tuple[str, ...]
    lasts: Mapping[Gate, Instant]
    grants: Mapping[PatientId, tuple[GrantRow, ...]]
    lost_grants: frozenset[object]
    stops: dict[object, list[StopRow]]
    lost_stops: frozenset[object]
    touches: dict[object, list[TouchRow]]
    lost_touches: frozenset[object]
    templates: Mapping[tuple[str, int], TemplateRow]
    shared: Mapping[bytes, tuple[ContactRow, ...]]
    lost_shared: frozenset[object]
    standing: Mapping[PersonRef, Standing]
    allow_listed: frozenset[bytes]
    stopped_channels: frozenset[str]
    store: StoreState
    keys: bool
    latest: Mapping[str, int]
    credentials: Mapping[str, tuple[CredentialRow, ...]]
    lost_credentials: frozenset[str]
    clinicians: Mapping[str, str]
    screened: Screened
    _contents: dict[tuple[str, int, str, Instant], Fact[ContentFact]] = attrs.field(factory=dict, init=False)

    def count(self, touch: TouchRow) -> None:
        """Let a reservation just made count for the rest of the chunk."""
        for key in {touch.subject, touch.recipient}:
            self.touches[key].append(touch)
        self.touches[touch.token].append(touch)

    def uncount(self, row: ReservationRow) -> None:
        """Let a reservation that was released, or moves to another instant, no longer count as it was read."""
        for key in {row.subject, row.recipient, row.token}:
            if key in self.touches:
                self.touches[key] = [touch for touch in self.touches[key] if touch.reservation != row.id]

    def version(self, target: Target) -> int:
        """The template version a request means."""
        return target.version or self.latest.get(target.request.template, 0)

    def instant(self, target: Target) -> tuple[Instant, ClockState]:
        """Decision instant: the later of the clock and the last instant on the target's gate rows."""
        lasts = [self.lasts.get(gate, 0) for gate in target.gates]
        if any(type(last) is not int for last in lasts):
            return self.now, ClockState.UNTRUSTED
        last = max(lasts)
        trusted = self.steady and last - self.now <= MAX_SKEW
        return Instant(max(self.now, last)), ClockState.TRUSTED if trusted else ClockState.UNTRUSTED

    def facts(self, target: Target, *, leave_out: ReservationId | None = None) -> Facts:
        """The facts of one target."""
        request, contact, related = target.request, target.contact, target.related
        at, clock = self.instant(target)
        ask = Ask(
            purpose=request.purpose,
            channel=target.channel.name,
            channel_kind=target.channel.kind,
            template=request.template,
            template_version=self.version(target),
            disclosure=request.disclosure,
            automated=request.automated,
            reply=request.reply,
            wait=request.wait,
            not_before=request.not_before,
            useless_after=request.useless_after,
            plan=request.plan,
            topic=request.topic,
            due_from=request.due_from,
            due_until=request.due_until,
            data=request.data,
            clinician=self.clinicians.get(request.clinician, ""),
        )
        behind = self._clinician(ask.clinician, at)
        standing: Fact[Standing] = Absent.UNKNOWN if target.standing is None else _known(target.standing)
        return Facts(
            at=at,
            ask=ask,
            subject=target.patient.person,
            recipient=target.recipient,
            role=target.role,
            address=None if contact is None else contact.address,
            standing=standing,
            recipient_standing=standing if related is None else Known(related.standing),
            age=Absent.UNKNOWN if target.age is None else _known(target.age),
            contact=self._contact(target),
            guardian=self._guardian(target),
            grants=self._grants(target),
            stops=self._stops(target, at),
            touches=self._touches(target, at, leave_out),
            content=self._content(ask, at),
            channel=self._channel(target),
            zones=self._zones(target, at),
            mode=_known(self.tenant.mode) if type(self.tenant.mode) is Mode else Absent.UNKNOWN,
            clock=_known(clock),
            store=_known(self.store),
            keys_available=_known(self.keys),
            vetoes=_NO_VETOES,
            stage=_NO_STAGE if target.patient.stage is None else _known(target.patient.stage),
            clinician=behind,
            screening=self._screening(target, ask, behind, at),
            calendars=Known(calendar_facts(self.calendars, at)) if self.calendars else _NO_CALENDARS,
        )

    def _channel(self, target: Target) -> Fact[ChannelFact]:
        # A stop whose channel cannot be told may be of any.
        if any(type(name) is not str for name in self.stopped_channels):
            return Absent.UNKNOWN
        region, agreement = self.parts.options.processors.get(target.channel.name, ("", None))
        return Known(
            ChannelFact(
                region=region,
                agreement_until=agreement,
                local=target.channel.local,
                usable=target.channel.name not in self.stopped_channels,
                allow_listed=target.contact is not None and target.contact.token in self.allow_listed,
            )
        )

    def _zones(self, target: Target, at: Instant) -> Fact[ZoneFacts]:
        if target.standing is None:
            return Absent.UNKNOWN
        return zone_facts(
            at,
            patient=target.patient.zone,
            address=() if target.contact is None else target.contact.zones,
            tenant=self.tenant.zone,
        )

    def _contact(self, target: Target) -> Fact[ContactFact]:
        contact = target.contact
        if contact is None or contact.token in self.lost_shared:
            return Absent.UNKNOWN
        alive = {
            row.person
            for row in self.shared.get(contact.token, ())
            if self.standing.get(row.person, Standing.ACTIVE) is Standing.ACTIVE
        }
        return Known(ContactFact(status=contact.status, verified_at=contact.verified_at, persons=max(1, len(alive))))

    def _guardian(self, target: Target) -> Fact[GuardianFact | None]:
        related = target.related
        if related is None:
            return _NOBODY if target.related_known else Absent.UNKNOWN
        return Known(
            GuardianFact(
                verified=related.verified,
                acts=related.acts,
                scopes=related.scopes,
                since=related.since,
                until=related.until,
            )
        )

    def _grants(self, target: Target) -> Fact[tuple[GrantFact, ...]]:
        if target.patient.id in self.lost_grants:
            return Absent.UNKNOWN
        grants = [
            GrantFact(
                ref=row.id,
                scope=_scope(row.purposes, row.channels, row.plans),
                state=row.state,
                by=row.by,
                since=row.since,
                until=row.until,
                ended_at=row.ended_at,
                separate=row.separate,
                notice=row.notice,
                method=row.method,
                age=row.age,
            )
            for row in self.grants.get(target.patient.id, ())
        ]
        if len(grants) > 1:
            grants.sort(key=lambda grant: grant.ref)
        return Known(tuple(grants))

    def _lost(self, target: Target, lost: frozenset[object]) -> bool:
        """Whether something damaged hangs on a person or address of this target."""
        if target.aliases is None:
            return True
        if not lost:
            return False
        token = None if target.contact is None else target.contact.token
        return _EVERYBODY in lost or token in lost or any(person in lost for person in target.persons)

    def _stops(self, target: Target, at: Instant) -> Fact[tuple[StopFact, ...]]:
        if self._lost(target, self.lost_stops):
            return Absent.UNKNOWN
        if not self.stops:
            return _NO_STOPS
        bound: list[tuple[str, StopRow]] = []
        for person in (target.patient.person, *(target.aliases or ())):
            bound.extend(("subject", row) for row in self.stops.get(person, ()))
        if target.related is not None:
            bound.extend(("recipient", row) for row in self.stops.get(target.related.person, ()))
        if target.contact is not None:
            bound.extend(("address", row) for row in self.stops.get(target.contact.token, ()))
        facts = [
            StopFact(
                ref=row.id,
                binds=binds,
                scope=_scope(row.purposes, row.channels, row.plans),
                source=row.source,
                since=row.since,
                until=row.until,
            )
            for binds, row in bound
            if row.until is None or at < row.until
        ]
        return Known(tuple(sorted(facts, key=lambda stop: (stop.ref, stop.binds))))

    def _touches(self, target: Target, at: Instant, leave_out: ReservationId | None) -> Fact[TouchHistory]:
        if self._lost(target, self.lost_touches):
            return Absent.UNKNOWN
        since = Instant(max(0, at - self.horizon))
        binds: dict[ReservationId, set[str]] = defaultdict(set)
        rows: dict[ReservationId, TouchRow] = {}
        recipient = target.recipient
        for person in target.persons:
            letters = {"s"} if person != recipient else ({"r"} if target.related is not None else {"s", "r"})
            for row in self.touches.get(person, ()):
                binds[row.reservation] |= letters
                rows[row.reservation] = row
        if target.contact is not None:
            for row in self.touches.get(target.contact.token, ()):
                binds[row.reservation].add("a")
                rows[row.reservation] = row
        items = [
            Touch(
                row.at,
                row.purpose,
                row.channel_kind,
                "".join(letter for letter in "sra" if letter in binds[key]),
                row.reply,
                row.plan,
                row.topic,
            )
            for key, row in rows.items()
            if key != leave_out and row.at >= since
        ]
        if len(items) > 1:
            items.sort(key=lambda touch: (touch.at, touch.purpose, touch.channel_kind, touch.binds, touch_marks(touch)))
        return Known(TouchHistory(since=since, items=tuple(items)))

    def _content(self, ask: Ask, at: Instant) -> Fact[ContentFact]:
        row = self.templates.get((ask.template, ask.template_version))
        if row is None:
            return Absent.UNKNOWN
        key = (row.name, row.version, ask.channel, at)
        found = self._contents.get(key)
        if found is None:
            found = content_fact(row, self.credentials, self.lost_credentials, ask.channel, at)
            self._contents[key] = found
        return found

    def _screening(
        self, target: Target, ask: Ask, behind: Fact[ClinicianFact | None], at: Instant
    ) -> Fact[ScreeningFact | None]:
        row = self.templates.get((ask.template, ask.template_version))
        if row is None:
            return Absent.UNKNOWN
        found = behind.value if isinstance(behind, Known) else None
        return self.parts.screener.fact(
            approved_form(row),
            digest=row.digest,
            number=row.number,
            purpose=ask.purpose,
            kind=ask.channel_kind,
            values=target.request.variables,
            clinician=found is not None and found.since <= at and (found.until is None or at < found.until),
            chunk=self.screened,
        )

    def _clinician(self, actor: str, at: Instant) -> Fact[ClinicianFact | None]:
        """Of somebody named without any credential nothing is known: UNKNOWN, not "nobody"."""
        if not actor:
            return _NO_CLINICIAN
        if actor in self.lost_credentials:
            return Absent.UNKNOWN
        found = clinician(self.credentials.get(actor, ()), at)
        return Absent.UNKNOWN if found is None else Known(ClinicianFact(since=found[0], until=found[1]))


_NO_STOPS: Final[Fact[tuple[StopFact, ...]]] = Known(())
_NO_VETOES: Final[Fact[tuple[VetoFact, ...]]] = Known(())
_NO_CLINICIAN: Final[Fact[ClinicianFact | None]] = Known(None)
_NO_CALENDARS: Final[Fact[tuple[CalendarFact, ...]]] = Known(())
_NO_STAGE: Final[Fact[LifecycleStage | None]] = Known(None)
_NOBODY: Final[Fact[GuardianFact | None]] = Known(None)

W = TypeVar("W", bool, AgeBand, ClockState, LifecycleStage, Mode, Standing, StoreState)


@lru_cache(maxsize=64, typed=True)
def _known(value: W) -> Known[W]:
    """A fact of a closed vocabulary: each is made once."""
    return Known(value)


_EVERYBODY: Final = object()
"""Stands in a set of lost keys where a damaged row does not tell whom it is about."""


_SCOPES: dict[tuple[tuple[str, ...], ...], Scope] = {}


def _scope(purposes: tuple[str, ...], channels: tuple[str, ...], plans: tuple[str, ...]) -> Scope:
    """Scopes are few and immutable: building each once keeps the validators off the hot path."""
    key = (purposes, channels, plans)
    if key not in _SCOPES:
        _SCOPES[key] = Scope(purposes, channels, plans)
    return _SCOPES[key]


def _scoped(row: GrantRow | StopRow) -> bool:
    """Whether a row is sound and speaks of known purposes and channel kinds."""
    if not sound(row) or not is_ref(row.id):
        return False
    try:
        _scope(row.purposes, row.channels, row.plans)
    except InvalidInputError:
        return False
    return True


def _read_grants(
    reader: Reader, patients: Sequence[PatientId]
) -> tuple[dict[PatientId, tuple[GrantRow, ...]], frozenset[object]]:
    grants, lost = salvage(reader.grants, patients)
    bad = {patient for patient, rows in grants.items() if not all(_scoped(row) for row in rows)}
    return grants, frozenset({*lost, *bad})


def _read_stops(
    reader: Reader, persons: Sequence[PersonRef], tokens: Sequence[bytes]
) -> tuple[dict[object, list[StopRow]], frozenset[object]]:
    """Stops by person or token, and whoever a damaged one may bind."""
    rows, lost = salvage_rows(reader.stops, persons, tokens)
    table: dict[object, list[StopRow]] = defaultdict(list)
    bad: set[object] = set(lost)
    known = {*persons, *tokens}
    for row in rows:
        key = row.person if row.person is not None else row.token
        if _scoped(row) and key in known:
            table[key].append(row)
        else:
            bad.add(key if isinstance(key, str | bytes) and key in known else _EVERYBODY)
    return table, frozenset(bad)


def _read_touches(
    reader: Reader, persons: Sequence[PersonRef], tokens: Sequence[bytes], since: Instant
) -> tuple[dict[object, list[TouchRow]], frozenset[object]]:
    """Touches by person and by token, and whoever a damaged one may count against."""
    rows, lost = salvage_rows(lambda some, others: reader.touches(some, others, since), persons, tokens)
    table: dict[object, list[TouchRow]] = defaultdict(list)
    bad: set[object] = set(lost)
    wanted, addresses = set(persons), set(tokens)
    seen: set[ReservationId] = set()
    for row in rows:
        if not sound(row):
            bad.add(_EVERYBODY)
            continue
        if row.reservation in seen:
            continue
        seen.add(row.reservation)
        for person in {row.subject, row.recipient} & wanted:
            table[person].append(row)
        if row.token in addresses:
            table[row.token].append(row)
    return table, frozenset(bad)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and is_ref(text[:32]) and is_ref(text[32:])  # noqa: PLR2004  two halves of SHA-256


def _read_templates(
    reader: Reader, targets: Iterable[Target | Asked]
) -> tuple[Mapping[str, int], dict[tuple[str, int], TemplateRow]]:
    """The newest version of each name asked for without one, and the sound rows of all versions asked for."""
    pairs = {(target.request.template, target.version) for target in targets}
    latest: dict[str, int] = {}
    for name in sorted({name for name, version in pairs if not version}):
        newest = reader.latest_template(name)
        if newest is not None:
            latest[name] = newest
    keys = tuple({(name, version or latest.get(name, 0)) for name, version in pairs})
    rows, _ = salvage(reader.templates, keys)
    return latest, {key: row for key, row in rows.items() if sound(row) and _is_digest(row.digest)}


def _read_credentials(
    reader: Reader, actors: frozenset[str]
) -> tuple[dict[str, tuple[CredentialRow, ...]], frozenset[str]]:
    """Credentials by actor, and the actors of whom one cannot be read."""
    rows, lost = salvage(reader.credentials, tuple(sorted(actors)))
    bad = {actor for actor, held in rows.items() if not all(sound(row) for row in held)}
    return rows, frozenset({*lost, *bad})


def screen_ahead(parts: Parts, asked: Sequence[Asked]) -> Screened:
    """Screen the texts of many requests before anything is locked: a long text with values of its own for each patient
    takes tens of milliseconds. What is found depends on text, values and lists alone, so it holds whatever else moves;
    what changed meanwhile has another key and is screened where it is decided.
    """
    done: Screened = {}
    valued = [one for one in asked if one.request.variables]
    if len(valued) < 2:  # noqa: PLR2004  one text is soon screened
        return done
    with parts.store.reader() as reader:
        latest, templates = _read_templates(reader, valued)
    for one in valued:
        request = one.request
        row = templates.get((request.template, one.version or latest.get(request.template, 0)))
        if row is None or (form := approved_form(row)) is None:
            continue
        with suppress(CarelinkError):  # it is answered where it is decided
            form.check(request.variables)
            kind = parts.channels[parts.route(one.channel)][0].kind
            for clinician in {False, bool(request.clinician)}:
                parts.screener.fact(
                    form, digest=row.digest, number=row.number, purpose=request.purpose, kind=kind,
                    values=request.variables, clinician=clinician, chunk=done,
                )  # fmt: skip
    return done


def read_chunk(
    parts: Parts,
    reader: Reader,
    tenant: TenantRow,
    targets: Sequence[Target],
    lasts: Mapping[Gate, Instant],
    horizon: Micros,
    calendars: tuple[str, ...],
    *,
    screened: Screened,
    mono: Micros,
) -> ChunkFacts:
    """Read everything the decisions on these targets may look at, in a fixed number of statements.

    Args:
        screened: what `screen_ahead` found.
        mono: when the first of all this began to be read; leases run from there, so that nothing is handed over on
            facts older than one.
    """
    now, steady = parts.guard.read()
    persons = tuple({person for target in targets for person in target.persons})
    tokens = tuple({target.contact.token for target in targets if target.contact is not None})
    latest, templates = _read_templates(reader, targets)
    # Decision instants are never before the clock, so no window reaches further back than this.
    touches, lost_touches = _read_touches(reader, persons, tokens, Instant(max(0, now - horizon)))
    stops, lost_stops = _read_stops(reader, persons, tokens)
    grants, lost_grants = _read_grants(reader, tuple({target.patient.id for target in targets}))
    shared, lost_shared = salvage(reader.contacts_on, tokens)
    names = {target.request.clinician for target in targets} - {""}
    clinicians = {name: parts.safe.actor_ref(name.strip()) for name in names}
    approvers = {actor for row in templates.values() for actor in row.approvers}
    credentials, lost_credentials = _read_credentials(reader, frozenset({*approvers, *clinicians.values()}))
    others = tuple({row.person for rows in shared.values() if len(rows) > 1 for row in rows})
    people, _ = salvage(reader.patients_by_person, others)
    return ChunkFacts(
        parts=parts,
        tenant=tenant,
        now=now,
        steady=steady,
        mono=mono,
        horizon=horizon,
        calendars=calendars,
        lasts=lasts,
        grants=grants,
        lost_grants=lost_grants,
        stops=stops,
        lost_stops=lost_stops,
        touches=touches,
        lost_touches=lost_touches,
        templates=templates,
        shared=shared,
        lost_shared=frozenset(lost_shared),
        standing={person: row.standing for person, row in people.items()},
        allow_listed=reader.allow_listed(tokens),
        stopped_channels=reader.stopped_channels(),
        store=parts.publisher.state(reader),
        keys=parts.safe.ready(),
        latest=latest,
        credentials=credentials,
        lost_credentials=lost_credentials,
        clinicians=clinicians,
        screened=screened,
    )
