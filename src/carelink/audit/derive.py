"""Facts that earlier entries determine, derived again and compared with what a decision recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from carelink.audit.fold import LogState
from carelink.audit.holdings import Reservation
from carelink.consent.facts import ClinicianFact, Facts, GrantFact, Known, StopFact, StoreState, touch_marks
from carelink.content.review import clinician, tally
from carelink.model.moment import Instant
from carelink.vocabulary import AgeBand, GrantState, RecipientRole, Standing

__all__ = ["NOT_DERIVED", "Difference", "binding", "differences", "expected_stops"]

NOT_DERIVED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "at": "the instant comes from the clock; it must be that of its entry, and follow the permits of its persons",
        "ask": "what is asked for is the caller's; nothing earlier says it",
        "role": "compared with the persons named, not with an entry",
        "zones": "offsets come from zone data, of which the log names the version and keeps the part that was used",
        "clock": "doubt about the clock leaves no other trace",
        "store": "whether the store kept up with the log is known only to the process that asked; a restored backup "
        "does not know what the log says, never permits, and none of its facts is compared",
        "keys_available": "whether the keys answered leaves no other trace",
        "vetoes": "a plugin's refusal is recorded where it is made and nowhere else",
        "age": "bands rise with time and the birth date is sealed; a band below an earlier one is still found",
        "channel.allow_listed": "the allow-list is of addresses, which the log does not know",
        "channel.usable": "a stop for account trouble is not an entry; usable without being registered is still found",
        "touches.since": "how far back was looked follows from the policy's longest window; decided on as recorded",
        "screening": "what screening found follows from the text, which is sealed, and from word lists, of which "
        "the digest is named",
        "calendars": "working days come from a calendar, of which the log names the version and keeps the part used",
        "absent": "a fact recorded as UNKNOWN or STALE could not be read then; it never permits, whatever the log says",
    }
)
"""What replay takes as recorded, and why."""

_NEVER: Final = "nothing"
"""What earlier entries give where none speaks of a fact."""

_RESTORED: Final = Known(StoreState.RESTORED)
_AGES: Final = {band: place for place, band in enumerate(AgeBand)}


class Difference(NamedTuple):
    """A field, what earlier entries give, and what was recorded."""

    field: str
    expected: object
    recorded: object


def differences(state: LogState, facts: Facts, *, own: str | None = None) -> Iterator[Difference]:
    """Every recorded fact that is not what earlier entries give.

    Args:
        state: the fold of all earlier entries.
        own: the reservation a claim leaves out of its history.
    """
    if facts.store == _RESTORED:
        return
    yield from _persons(state, facts)
    yield from _contact(state, facts)
    yield from _guardian(state, facts)
    yield from _grants(state, facts)
    yield from _stops(state, facts)
    yield from _touches(state, facts, own)
    yield from _content(state, facts)
    yield from _channel(state, facts)
    yield from _clinician(state, facts)
    if isinstance(facts.mode, Known) and facts.mode.value is not state.mode:
        yield Difference("mode", state.mode, facts.mode.value)


def _persons(state: LogState, facts: Facts) -> Iterator[Difference]:
    if (facts.role is RecipientRole.SELF) is not (facts.subject == facts.recipient):
        yield Difference("role", "self exactly where the recipient is the subject", facts.role)
    for field, ref, fact in (
        ("standing", facts.subject, facts.standing),
        ("recipient_standing", facts.recipient, facts.recipient_standing),
    ):
        person = state.person(ref)
        if not isinstance(fact, Known) or fact.value is person.standing:
            continue
        if not (person.erasing and fact.value is Standing.ERASED):
            yield Difference(field, person.standing or _NEVER, fact.value)
    stage = state.person(facts.subject).stage
    if isinstance(facts.stage, Known) and facts.stage.value is not stage:
        yield Difference("stage", stage or _NEVER, facts.stage.value or _NEVER)
    age = state.person(facts.subject).age
    if isinstance(facts.age, Known) and (age is None or _AGES[facts.age.value] < _AGES[age]):
        yield Difference("age", age or _NEVER, facts.age.value)


def _contact(state: LogState, facts: Facts) -> Iterator[Difference]:
    if not isinstance(facts.contact, Known):
        return
    known = None if facts.address is None else state.person(facts.recipient).contacts.get(facts.address)
    if known is None or facts.address is None:
        yield Difference("contact", _NEVER, "a contact point")
        return
    contact = facts.contact.value
    if contact.status is not known.status:
        yield Difference("contact.status", known.status, contact.status)
    if contact.verified_at != known.verified_at:
        yield Difference("contact.verified_at", known.verified_at, contact.verified_at)
    persons = max(1, state.living_users(facts.address))
    if contact.persons != persons:
        yield Difference("contact.persons", persons, contact.persons)


def _guardian(state: LogState, facts: Facts) -> Iterator[Difference]:
    if not isinstance(facts.guardian, Known):
        return
    guardian = facts.guardian.value
    link = None if facts.role is RecipientRole.SELF else state.person(facts.subject).guardians.get(facts.recipient)
    if guardian is None or link is None:
        if guardian is not None or facts.role is not RecipientRole.SELF:
            yield Difference("guardian", "a link" if link else "none", "a link" if guardian else "none")
        return
    for field in ("verified", "acts", "since", "until"):
        if getattr(guardian, field) != getattr(link, field):
            yield Difference(f"guardian.{field}", getattr(link, field), getattr(guardian, field))
    if set(guardian.scopes) != set(link.scopes):
        yield Difference("guardian.scopes", sorted(link.scopes), sorted(guardian.scopes))


def _grants(state: LogState, facts: Facts) -> Iterator[Difference]:
    if not isinstance(facts.grants, Known):
        return
    expected = state.grants.get(facts.subject) or {}
    recorded = {grant.ref: grant for grant in facts.grants.value}
    for ref in sorted(expected.keys() | recorded.keys()):
        ours, theirs = expected.get(ref), recorded.get(ref)
        if ours is None or theirs is None:
            yield Difference("grants", ref if ours else "none", ref if theirs else "none")
        elif theirs != ours and not _lapsed(ours, theirs, facts.at):
            field = next(f for f in _GRANT_FIELDS if getattr(ours, f) != getattr(theirs, f))
            yield Difference(f"grants.{field}", getattr(ours, field), getattr(theirs, field))


_GRANT_FIELDS: Final = ("state", "scope", "by", "since", "until", "ended_at", "separate", "notice", "method", "age")


def _lapsed(ours: GrantFact, theirs: GrantFact, at: Instant) -> bool:
    """A grant past its end may be recorded as expired though no entry has said so yet; its end is the same."""
    over = ours.state is GrantState.GIVEN and ours.until is not None and ours.until <= at
    same = all(
        getattr(ours, f) == getattr(theirs, f)
        for f in ("scope", "by", "since", "until", "separate", "notice", "method")
    )
    return over and same and theirs.state is GrantState.EXPIRED and theirs.ended_at in (None, ours.until)


def expected_stops(state: LogState, facts: Facts) -> dict[tuple[str, str], StopFact]:
    """Every stop that stands at the decision instant and binds subject, recipient or address."""
    bound = [("subject", ref) for ref in (facts.subject, *state.aliases(facts.subject))]
    if facts.role is not RecipientRole.SELF:
        bound.append(("recipient", facts.recipient))
    if facts.address is not None:
        bound.append(("address", facts.address))
    return {
        (stop.ref, binds): StopFact(
            ref=stop.ref, binds=binds, scope=stop.scope, source=stop.source, since=stop.since, until=stop.until
        )
        for binds, ref in bound
        for stop in state.stops_on(ref)
        if stop.until is None or facts.at < stop.until
    }


def _stops(state: LogState, facts: Facts) -> Iterator[Difference]:
    if not isinstance(facts.stops, Known):
        return
    expected = expected_stops(state, facts)
    recorded = {(stop.ref, stop.binds): stop for stop in facts.stops.value}
    for key in sorted(expected.keys() | recorded.keys()):
        ours, theirs = expected.get(key), recorded.get(key)
        if ours is None or theirs is None:
            yield Difference("stops", key[0] if ours else "none", key[0] if theirs else "none")
        elif ours != theirs:
            field = next(f for f in ("scope", "source", "since", "until") if getattr(ours, f) != getattr(theirs, f))
            yield Difference(f"stops.{field}", getattr(ours, field), getattr(theirs, field))


def binding(row: Reservation, facts: Facts, subjects: frozenset[str]) -> str:
    """Which of subject ("s"), recipient ("r"), address ("a") of a request a reservation counts against.

    Args:
        row: the reservation.
        facts: of the request.
        subjects: pseudonyms of the request's subject, merged ones included.
    """
    binds = "s" if row.subject in subjects or row.recipient in subjects else ""
    binds += "r" if facts.recipient in (row.subject, row.recipient) else ""
    return binds + ("a" if facts.address is not None and row.address == facts.address else "")


def _touches(state: LogState, facts: Facts, own: str | None) -> Iterator[Difference]:
    if not isinstance(facts.touches, Known):
        return
    history = facts.touches.value
    since = max(history.since, state.kept_from)
    subjects = frozenset({facts.subject}) | state.aliases(facts.subject)
    refs = {*subjects, facts.recipient} | ({facts.address} if facts.address is not None else set())
    expected: list[tuple[Any, ...]] = [
        (row.at, row.purpose, row.channel_kind, binding(row, facts, subjects), touch_marks(row))
        for key, row in state.open_of(refs).items()
        if key != own and row.at >= since
    ]
    find = state.names.find
    expected += state.spent.history(
        state.numbers(subjects), find(facts.recipient), find(facts.address), since=since, but=own
    )
    expected.sort()
    recorded = [(t.at, t.purpose, t.channel_kind, t.binds, touch_marks(t)) for t in history.items if t.at >= since]
    if any(touch.at < history.since for touch in history.items):
        yield Difference("touches.since", "no touch before it", "an earlier touch")
    if expected != recorded:
        if len(expected) != len(recorded):
            yield Difference("touches", f"{len(expected)} touches", f"{len(recorded)} touches")
            return
        ours, theirs = next(pair for pair in zip(expected, recorded, strict=True) if pair[0] != pair[1])
        yield Difference("touches", ours, theirs)


def _content(state: LogState, facts: Facts) -> Iterator[Difference]:
    if not isinstance(facts.content, Known):
        return
    known = state.content.get((facts.ask.template, facts.ask.template_version))
    content = facts.content.value
    if known is None:
        yield Difference("content", _NEVER, content.status)
        return
    scope = known.scope
    held = {review.actor: tuple(state.credentials.get(review.actor, {}).values()) for review in known.reviews}
    counts = tally(known.reviews, held, facts.at)
    expected = (
        known.status,
        len(known.reviews),
        known.digest,
        scope.purposes,
        scope.channels,
        known.since,
        known.until,
        known.number_until,
        known.data,
        counts.clinical,
        counts.commercial,
        counts.ethics,
        counts.lapsed,
        known.providers.get(facts.ask.channel),
    )
    recorded = (content.status, content.approvals, content.digest, tuple(sorted(content.purposes)),
                tuple(sorted(content.channels)), content.since, content.until, content.number_until, content.data,
                content.clinical, content.commercial, content.ethics, content.lapsed, content.provider)  # fmt: skip
    if expected == recorded:
        return
    for field, ours, theirs in zip(_CONTENT_FIELDS, expected, recorded, strict=True):
        if ours != theirs:
            yield Difference(f"content.{field}", ours, theirs)


_CONTENT_FIELDS: Final = ("status", "approvals", "digest", "purposes", "channels", "since", "until", "number_until",
                          "data", "clinical", "commercial", "ethics", "lapsed", "provider")  # fmt: skip


def _clinician(state: LogState, facts: Facts) -> Iterator[Difference]:
    if not isinstance(facts.clinician, Known):
        return
    held = state.credentials.get(facts.ask.clinician, {}) if facts.ask.clinician else {}
    found = clinician(held.values(), facts.at)
    expected = None if found is None else ClinicianFact(since=found[0], until=found[1])
    # Of somebody named without any credential nothing is known, and the fact says so; it is never "nobody".
    if facts.clinician.value != expected or (expected is None and facts.ask.clinician):
        yield Difference("clinician", expected or _NEVER, facts.clinician.value or "nobody")


def _channel(state: LogState, facts: Facts) -> Iterator[Difference]:
    if not isinstance(facts.channel, Known):
        return
    known, channel = state.channels.get(facts.ask.channel), facts.channel.value
    if channel.usable and (known is None or known.kind is not facts.ask.channel_kind):
        yield Difference("channel.usable", "not registered" if known is None else known.kind, facts.ask.channel_kind)
    elif known is not None and channel.local is not known.local:
        yield Difference("channel.local", known.local, channel.local)
    region, until = (None, None) if known is None else (known.region, known.agreement_until)
    if (channel.region or None) != region:
        yield Difference("channel.region", region or _NEVER, channel.region or _NEVER)
    if channel.agreement_until != until:
        recorded = _NEVER if channel.agreement_until is None else channel.agreement_until
        yield Difference("channel.agreement_until", _NEVER if until is None else until, recorded)
