"""Reads the facts of a chunk of targets: set-based, after the gates are locked, in the deciding transaction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import attrs

from carelink.consent.facts import (
    Absent,
    Ask,
    ChannelFact,
    ClockState,
    ContactFact,
    ContentFact,
    Fact,
    Facts,
    GrantFact,
    GuardianFact,
    Known,
    StopFact,
    StoreState,
    Touch,
    TouchHistory,
)
from carelink.engine.membership import Target
from carelink.engine.parts import MAX_SKEW, Parts
from carelink.engine.zones import zone_facts
from carelink.model.ids import PatientId, PersonRef, ReservationId
from carelink.model.moment import Instant, Micros
from carelink.model.scope import Scope
from carelink.ports.rows import ContactRow, Gate, GrantRow, StopRow, TemplateRow, TenantRow, TouchRow
from carelink.ports.store import Reader
from carelink.vocabulary import Standing

__all__ = ["ChunkFacts", "read_chunk"]


@attrs.define(kw_only=True)
class ChunkFacts:
    """Everything read for a chunk, from which the facts of each target are put together.

    Reservations made while the chunk is decided are added with `count`, so that a later request of the same
    person or address in the same chunk sees them.
    """

    parts: Parts
    tenant: TenantRow
    now: Instant
    steady: bool
    horizon: Micros
    lasts: Mapping[Gate, Instant]
    grants: Mapping[PatientId, tuple[GrantRow, ...]]
    stops: dict[object, list[StopRow]]
    touches: dict[object, list[TouchRow]]
    templates: Mapping[tuple[str, int], TemplateRow]
    shared: Mapping[bytes, tuple[ContactRow, ...]]
    standing: Mapping[PersonRef, Standing]
    allow_listed: frozenset[bytes]
    stopped_channels: frozenset[str]
    store: StoreState
    keys: bool
    latest: Mapping[str, int]

    def count(self, touch: TouchRow) -> None:
        """Let a reservation just made count for the rest of the chunk."""
        for key in {touch.subject, touch.recipient}:
            self.touches[key].append(touch)
        self.touches[touch.token].append(touch)

    def uncount(self, reservation: ReservationId) -> None:
        """Let a reservation that was released, or moved to another instant, no longer count as it was read."""
        for rows in self.touches.values():
            rows[:] = [row for row in rows if row.reservation != reservation]

    def version(self, target: Target) -> int:
        """The template version a request means."""
        return target.request.version or self.latest.get(target.request.template, 0)

    def instant(self, target: Target) -> tuple[Instant, ClockState]:
        """Decision instant: the later of the clock and the last instant on the target's gate rows."""
        last = max((self.lasts.get(Gate("person", bytes.fromhex(p)), 0) for p in target.persons), default=0)
        if target.contact is not None:
            last = max(last, self.lasts.get(Gate("address", target.contact.token), 0))
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
        )
        return Facts(
            at=at,
            ask=ask,
            subject=target.patient.person,
            recipient=target.recipient,
            role=target.role,
            address=None if contact is None else contact.address,
            standing=Known(target.patient.standing),
            recipient_standing=Known(target.patient.standing if related is None else related.standing),
            age=Absent.UNKNOWN if target.age is None else Known(target.age),
            contact=self._contact(target),
            guardian=self._guardian(target),
            grants=Known(self._grants(target)),
            stops=Known(self._stops(target, at)),
            touches=Known(self._touches(target, at, leave_out)),
            content=self._content(ask.template, ask.template_version),
            channel=Known(
                ChannelFact(
                    local=target.channel.local,
                    usable=target.channel.name not in self.stopped_channels,
                    allow_listed=contact is not None and contact.token in self.allow_listed,
                )
            ),
            zones=zone_facts(
                at,
                patient=target.patient.zone,
                address=() if contact is None else contact.zones,
                tenant=self.tenant.zone,
            ),
            mode=Known(self.tenant.mode),
            clock=Known(clock),
            store=Known(self.store),
            keys_available=Known(self.keys),
            vetoes=Known(()),
        )

    def _contact(self, target: Target) -> Fact[ContactFact]:
        contact = target.contact
        if contact is None:
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
            return Known(None)
        return Known(
            GuardianFact(
                verified=related.verified,
                acts=related.acts,
                scopes=related.scopes,
                since=related.since,
                until=related.until,
            )
        )

    def _grants(self, target: Target) -> tuple[GrantFact, ...]:
        rows = self.grants.get(target.patient.id, ())
        return tuple(
            sorted(
                (
                    GrantFact(
                        ref=row.id,
                        scope=_scope(row.purposes, row.channels),
                        state=row.state,
                        by=row.by,
                        since=row.since,
                        until=row.until,
                        ended_at=row.ended_at,
                        separate=row.separate,
                        notice=row.notice,
                    )
                    for row in rows
                ),
                key=lambda grant: grant.ref,
            )
        )

    def _stops(self, target: Target, at: Instant) -> tuple[StopFact, ...]:
        bound: list[tuple[str, StopRow]] = []
        for person in (target.patient.person, *target.aliases):
            bound.extend(("subject", row) for row in self.stops.get(person, ()))
        if target.related is not None:
            bound.extend(("recipient", row) for row in self.stops.get(target.related.person, ()))
        if target.contact is not None:
            bound.extend(("address", row) for row in self.stops.get(target.contact.token, ()))
        facts = [
            StopFact(
                ref=row.id,
                binds=binds,
                scope=_scope(row.purposes, row.channels),
                source=row.source,
                since=row.since,
                until=row.until,
            )
            for binds, row in bound
            if row.until is None or at < row.until
        ]
        return tuple(sorted(facts, key=lambda stop: (stop.ref, stop.binds)))

    def _touches(self, target: Target, at: Instant, leave_out: ReservationId | None) -> TouchHistory:
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
            )
            for key, row in rows.items()
            if key != leave_out and row.at >= since
        ]
        if len(items) > 1:
            items.sort(key=lambda touch: (touch.at, touch.purpose, touch.channel_kind, touch.binds, touch.reply))
        return TouchHistory(since=since, items=tuple(items))

    def _content(self, name: str, version: int) -> Fact[ContentFact]:
        row = self.templates.get((name, version))
        if row is None:
            return Absent.UNKNOWN
        return Known(
            ContentFact(
                status=row.status,
                purposes=row.purposes,
                channels=row.channels,
                digest=row.digest,
                approvals=len(row.approvers),
                since=row.since,
                until=row.until,
            )
        )


_SCOPES: dict[tuple[tuple[str, ...], tuple[str, ...]], Scope] = {}


def _scope(purposes: tuple[str, ...], channels: tuple[str, ...]) -> Scope:
    """Scopes are few and immutable: building each once keeps the validators off the hot path."""
    key = (purposes, channels)
    if key not in _SCOPES:
        _SCOPES[key] = Scope(purposes, channels)
    return _SCOPES[key]


def _by_key(rows: Sequence[StopRow]) -> dict[object, list[StopRow]]:
    table: dict[object, list[StopRow]] = defaultdict(list)
    for row in rows:
        table[row.person if row.person is not None else row.token].append(row)
    return table


def read_chunk(
    parts: Parts, reader: Reader, targets: Sequence[Target], lasts: Mapping[Gate, Instant], horizon: Micros
) -> ChunkFacts:
    """Read everything the decisions on these targets may look at, in a fixed number of statements."""
    now, steady = parts.guard.read()
    tenant = reader.tenant()
    persons = tuple({person for target in targets for person in target.persons})
    tokens = tuple({target.contact.token for target in targets if target.contact is not None})
    names = {target.request.template for target in targets if not target.request.version}
    latest = {name: version for name in names if (version := reader.latest_template(name)) is not None}
    keys = {
        (target.request.template, target.request.version or latest.get(target.request.template, 0))
        for target in targets
    }
    touches: dict[object, list[TouchRow]] = defaultdict(list)
    furthest = max([now, *lasts.values()]) if lasts else now
    wanted, addresses = set(persons), set(tokens)
    for row in reader.touches(persons, tokens, Instant(max(0, min(now, furthest) - horizon))):
        for person in {row.subject, row.recipient} & wanted:
            touches[person].append(row)
        if row.token in addresses:
            touches[row.token].append(row)
    shared = reader.contacts_on(tokens)
    others = {row.person for rows in shared.values() if len(rows) > 1 for row in rows}
    standing = {row.person: row.standing for row in reader.patients_by_person(tuple(others)).values()} if others else {}
    return ChunkFacts(
        parts=parts,
        tenant=tenant,
        now=now,
        steady=steady,
        horizon=horizon,
        lasts=lasts,
        grants=reader.grants(tuple({target.patient.id for target in targets})),
        stops=_by_key(reader.stops(persons, tokens)),
        touches=touches,
        templates=reader.templates(tuple(keys)),
        shared=shared,
        standing=standing,
        allow_listed=reader.allow_listed(tokens),
        stopped_channels=reader.stopped_channels(),
        store=parts.publisher.state(reader),
        keys=parts.safe.ready(),
        latest=latest,
    )
