"""What another policy would have decided, from the log alone: on the recorded facts, and with state feedback.

*Naive* decides each recorded decision again on its recorded facts. *With feedback*, a send that would have been refused
frees its slot, and a refusal that would have been allowed takes one, so that later decisions see another history. Only
the history of counted touches feeds back: what patients would have answered to other messages nobody can know.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import attrs

from carelink.audit.bodies import HandoverBody, RecoveredBody
from carelink.audit.decided import ClaimBody, DecidedBody, DecisionBody
from carelink.audit.derive import binding
from carelink.audit.entry import parse_entry
from carelink.audit.fold import RETENTION, LogState
from carelink.audit.holdings import Reservation
from carelink.audit.kinds import Kind
from carelink.audit.replay import Judge
from carelink.consent.facts import Facts, Known, Touch, TouchHistory, touch_marks
from carelink.consent.pack import parse_pack
from carelink.errors import CannotJudgeError, CarelinkError
from carelink.model.moment import Instant
from carelink.model.touchpoint import SETTLES
from carelink.vocabulary import Effect, ReservationState

__all__ = ["Allowed", "Answer", "Blocked", "Counterfactual", "counterfactual"]

_LISTED: Final = 1000
_EVERY: Final = 1024


@attrs.frozen(kw_only=True)
class Blocked:
    """A send that was made and would not have been: index of its decision or claim, and the rules that say no."""

    index: int
    request: str
    rules: tuple[str, ...]


@attrs.frozen(kw_only=True)
class Allowed:
    """A refusal or deferral that would have been a permit: its index, and the rules that said no when it was made."""

    index: int
    request: str
    was: Effect
    rules: tuple[str, ...]


@attrs.define(kw_only=True)
class Answer:
    """The counts, each twice: `naive` on recorded facts, `fed` with state feedback.

    Attributes:
        decisions: decisions and claims looked at.
        sends: hand-overs that count (accepted, awaiting a person, or unknown).
        blocked: sends that would not have been made.
        allowed: refusals and deferrals that would have been permits.
        moved: sends that would have been made earlier, under an earlier decision of the same request (feedback only).
        not_judged: decisions under a policy that could not be composed.
    """

    decisions: int = 0
    sends: int = 0
    naive_blocked: list[Blocked] = attrs.field(factory=list)
    fed_blocked: list[Blocked] = attrs.field(factory=list)
    naive_allowed: list[Allowed] = attrs.field(factory=list)
    fed_allowed: list[Allowed] = attrs.field(factory=list)
    moved: int = 0
    not_judged: int = 0

    @property
    def differ(self) -> tuple[int, ...]:
        """Indexes at which the two readings disagree, ascending."""
        blocked = {item.index for item in self.naive_blocked} ^ {item.index for item in self.fed_blocked}
        allowed = {item.index for item in self.naive_allowed} ^ {item.index for item in self.fed_allowed}
        return tuple(sorted(blocked | allowed))

    def lines(self) -> tuple[str, ...]:
        """The answer as text."""
        lines = [
            f"decisions {self.decisions:,} and claims decided again; {self.sends:,} messages were sent",
            (
                f"refused   {len(self.naive_blocked):,} of those sends on recorded facts, "
                f"{len(self.fed_blocked):,} with state feedback"
            ),
            (
                f"allowed   {len(self.naive_allowed):,} refusals or deferrals on recorded facts, "
                f"{len(self.fed_allowed):,} with state feedback"
            ),
        ]
        if self.moved:
            lines.append(f"earlier   {self.moved:,} sends would have been made under an earlier decision")
        lines += [f"would say no   {rule}: {n:,}" for rule, n in _by_rule(self.fed_blocked)]
        lines += [f"had said no    {rule}: {n:,}" for rule, n in _by_rule(self.fed_allowed)]
        if differ := self.differ:
            shown = ", ".join(str(index) for index in differ[:10])
            lines.append(
                f"feedback  changes {len(differ):,} answers: a refused send frees its slot, an allowed one takes one "
                f"(entries {shown}{', ...' if len(differ) > 10 else ''})"  # noqa: PLR2004
            )
        if self.not_judged:
            lines.append(f"not judged {self.not_judged:,}: the policy could not be composed")
        return tuple(lines)


def _by_rule(items: Iterable[Blocked | Allowed]) -> list[tuple[str, int]]:
    return Counter(rule for item in items for rule in item.rules).most_common(_LISTED)


@attrs.define(kw_only=True)
class _Reading:
    """One of the two readings: what it cancelled, and what it sent that nobody sent."""

    feedback: bool
    blocked: dict[str, Blocked] = attrs.field(factory=dict)
    sent: set[str] = attrs.field(factory=set)
    touched: dict[str, list[Reservation]] = attrs.field(factory=dict)
    cancelled: set[str] = attrs.field(factory=set)

    def send(self, row: Reservation) -> None:
        """Count a message that nobody sent."""
        self.sent.add(row.request)
        for ref in {row.subject, row.recipient, row.address} - {None}:
            self.touched.setdefault(str(ref), []).append(row)

    def rows(self, refs: Iterable[str], since: int) -> list[Reservation]:
        """Such messages to any of these, each once."""
        return list({row.request: row for ref in refs for row in self.touched.get(ref, ()) if row.at >= since}.values())


@attrs.define
class Counterfactual:
    """One run over one log.

    Args:
        judge: decides.
        changes: pack id -> TOML bytes that take the place of the pack of this id, or are added; None drops it.
    """

    judge: Judge
    changes: Mapping[str, bytes | None]
    state: LogState = attrs.field(factory=LogState)
    answer: Answer = attrs.field(factory=Answer)
    _policy: str | None = None
    _naive: _Reading = attrs.field(factory=lambda: _Reading(feedback=False))
    _fed: _Reading = attrs.field(factory=lambda: _Reading(feedback=True))

    def feed(self, index: int, data: bytes) -> None:
        """Take one more entry.

        Raises:
            FormatError: it is not in its form.
            CannotJudgeError: it is of a version or kind this release does not know.
        """
        entry = parse_entry(data)
        body = entry.body
        if isinstance(body, DecidedBody):
            self._decided(index, body)
        elif isinstance(body, (HandoverBody, RecoveredBody)) and SETTLES[body.outcome] is ReservationState.SPENT:
            self._sent(body.reservation)
        self.state.apply(entry)
        if body.kind is Kind.POLICY:
            self._adopt()

    # -- inside ---------------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        adopted = self.state.policy
        assert adopted is not None
        packs: dict[str, bytes] = {
            self.state.packs[digest].id: self.state.packs[digest].toml.encode()
            for digest in adopted.packs
            if digest in self.state.packs
        }
        for name, data in self.changes.items():
            if data is None:
                packs.pop(name, None)
            else:
                packs[name] = data
        self._policy = None
        try:
            self._policy = self.judge.policy(tuple(packs.values()))
        except CannotJudgeError:
            raise
        except CarelinkError:
            self._policy = None

    def _decided(self, index: int, body: DecidedBody) -> None:
        self.answer.decisions += 1
        if self._policy is None:
            self.answer.not_judged += 1
            return
        self._read(self._naive, index, body, self.answer.naive_allowed)
        self._read(self._fed, index, body, self.answer.fed_allowed)

    def _read(self, reading: _Reading, index: int, body: DecidedBody, allowed: list[Allowed]) -> None:
        reservation = body.reservation if isinstance(body, (DecisionBody, ClaimBody)) else None
        if isinstance(body, ClaimBody) and body.reservation in reading.cancelled:
            return  # its permit would not have been there
        if reading.feedback and body.request in reading.sent:
            self._cancel(reading, reservation, None)  # sent before, under an earlier decision
            return
        own = body.reservation if isinstance(body, ClaimBody) else None
        decision = self.judge.decide(self._facts(reading, body.facts, own), self._policy)
        if decision.effect is not Effect.PERMIT:
            if reservation is not None and body.effect is Effect.PERMIT:
                rules = tuple(dict.fromkeys(verdict.rule for verdict in decision.reasons))
                self._cancel(reading, reservation, Blocked(index=index, request=body.request, rules=rules))
            return
        if body.effect is not Effect.PERMIT and isinstance(body, DecisionBody):
            rules = tuple(dict.fromkeys(verdict.rule for verdict in body.reasons))
            allowed.append(Allowed(index=index, request=body.request, was=body.effect, rules=rules))
            if reading.feedback:
                reading.send(_virtual(body))

    def _cancel(self, reading: _Reading, reservation: str | None, blocked: Blocked | None) -> None:
        if reservation is None:
            return
        reading.cancelled.add(reservation)
        if blocked is not None:
            reading.blocked[reservation] = blocked

    def _sent(self, reservation: str) -> None:
        self.answer.sends += 1
        for reading, blocked in ((self._naive, self.answer.naive_blocked), (self._fed, self.answer.fed_blocked)):
            if reservation in reading.blocked:
                blocked.append(reading.blocked.pop(reservation))
            elif reservation in reading.cancelled:
                self.answer.moved += 1

    def _facts(self, reading: _Reading, facts: Facts, own: str | None) -> Facts:
        """The recorded facts with the history that this reading gives. It is rebuilt from earlier entries, which know
        more than the recorded window: the other policy may look further back.
        """
        if not isinstance(facts.touches, Known):
            return facts
        subjects = frozenset({facts.subject}) | self.state.aliases(facts.subject)
        refs = {*subjects, facts.recipient} | ({facts.address} if facts.address is not None else set())
        rows = [row for key, row in self.state.touches_of(refs).items() if key != own]
        if reading.feedback:
            rows = [row for row in rows if row.id not in reading.cancelled]
            rows += reading.rows(refs, max(facts.at - RETENTION, self.state.kept_from))
        touches = (
            Touch(
                row.at,
                row.purpose,
                row.channel_kind,
                binding(row, facts, subjects),
                row.reply,
                row.plan,
                row.topic,
            )
            for row in rows
        )
        items = sorted(touches, key=lambda t: (t.at, t.purpose, t.channel_kind, t.binds, touch_marks(t)))
        return attrs.evolve(facts, touches=Known(TouchHistory(since=self.state.kept_from, items=tuple(items))))


def _virtual(body: DecisionBody) -> Reservation:
    facts, ask = body.facts, body.facts.ask
    return Reservation(
        id="",
        request=body.request,
        subject=facts.subject,
        recipient=facts.recipient,
        address=facts.address,
        purpose=ask.purpose,
        channel=ask.channel,
        channel_kind=ask.channel_kind,
        reply=ask.reply,
        plan=ask.plan,
        topic=ask.topic,
        at=facts.at,
        expires=Instant(facts.at),
        state=ReservationState.SPENT,
    )


def counterfactual(
    entries: Iterable[tuple[int, bytes]],
    judge: Judge,
    packs: Iterable[bytes],
    *,
    drop: Iterable[str] = (),
    progress: Callable[[int], None] | None = None,
) -> Answer:
    """What the log's decisions would have been with these packs in place of those of the same id.

    Args:
        entries: the log's entries with their indexes, in order.
        judge: decides; `carelink.audit.judge.PolicyJudge`.
        packs: TOML of packs that replace the recorded ones of the same id, or are added.
        drop: ids of packs that are left out.
        progress: called with the number of entries so far, now and then.

    Raises:
        PolicyError: a pack is malformed.
        FormatError: an entry is not in its form.
        CannotJudgeError: an entry is of a version or kind this release does not know.
    """
    changes: dict[str, bytes | None] = dict.fromkeys(drop)
    changes.update({parse_pack(data).id: data for data in packs})
    run = Counterfactual(judge, changes)
    for index, data in entries:
        run.feed(index, data)
        if progress is not None and index % _EVERY == 0:
            progress(index)
    return run.answer
