"""Replay (P7): decisions derived again from the log alone, facts compared, rules of the path checked.

Every decision is decided again from its recorded facts and the policy that earlier entries adopted; every fact that
earlier entries determine is derived again. No database, no keys, no network, no zone files, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Final, Protocol

import attrs

from carelink.audit.conservation import Book
from carelink.audit.decided import ClaimBody, DecidedBody, DecisionBody
from carelink.audit.derive import differences
from carelink.audit.divergence import Divergence, DivergenceCode, Summary
from carelink.audit.entry import parse_entry
from carelink.audit.fold import LogState
from carelink.audit.kinds import Kind
from carelink.audit.paths import faults
from carelink.consent.facts import Absent, Facts, Known
from carelink.consent.verdict import Decision
from carelink.errors import CannotJudgeError, PolicyError

__all__ = ["Judge", "Replay", "replay"]

Progress = Callable[[int], None]
"""Called with the number of entries replayed so far, now and then."""

_EVERY: Final = 1024
_MAX_SHOWN: Final = 160


class Judge(Protocol):
    """Decides under the policy made of some packs; made of `carelink.consent` by whoever starts a replay."""

    def policy(self, packs: tuple[bytes, ...]) -> str:
        """Digest of the policy these packs make, for `decide`.

        Raises:
            PolicyError, CannotJudgeError: this release cannot read one of them.
        """

    def decide(self, facts: Facts, policy: str | None) -> Decision:
        """The decision under the policy with this digest; None where none was ever adopted."""


@attrs.define
class Replay:
    """One run over one log.

    Attributes:
        judge: decides.
        state: the fold of the entries fed so far.
        summary: counts so far.
    """

    judge: Judge
    state: LogState = attrs.field(factory=LogState)
    summary: Summary = attrs.field(factory=Summary)
    _book: Book = attrs.field(factory=Book)
    _policy: str | None = None
    _readable: bool = True

    def run(self, entries: Iterable[tuple[int, bytes]], *, progress: Progress | None = None) -> Iterator[Divergence]:
        """Feed every entry, in order.

        Raises:
            FormatError: an entry is not in its form (`verify` says where).
            CannotJudgeError: an entry is of a version or kind this release does not know.
        """
        for index, data in entries:
            yield from self.feed(index, data)
            if progress is not None and self.summary.entries % _EVERY == 0:
                progress(self.summary.entries)
        yield from self.finish()
        if progress is not None:
            progress(self.summary.entries)

    def feed(self, index: int, data: bytes) -> list[Divergence]:
        """Take one more entry and say what contradicts the earlier ones."""
        entry = parse_entry(data)
        kind = entry.body.kind
        found = [
            Divergence(
                index=index,
                kind=kind,
                code=fault.code,
                field=fault.field,
                expected=_shown(fault.expected),
                recorded=_shown(fault.recorded),
            )
            for fault in faults(self.state, entry)
        ]
        if isinstance(entry.body, DecidedBody):
            found += self._decided(index, entry.body)
        imbalance = self._book.feed(index, entry)
        if imbalance is not None and not found:
            found.append(
                Divergence(
                    index=index,
                    kind=kind,
                    code=DivergenceCode.CONSERVATION,
                    field="request",
                    expected=f"what may follow {imbalance.had or 'nothing'}",
                    recorded=imbalance.got,
                )
            )
        self.state.apply(entry)
        if kind is Kind.POLICY:
            found += self._adopt(index)
        self.summary.entries += 1
        if found:
            self._count(found)
        return found

    def finish(self) -> list[Divergence]:
        """What is left open at the end of the log."""
        found = []
        left = self.summary.open
        for row in self.state.open.values():
            if row.id != self.state.open_requests.get(row.request):
                continue
            left[row.state.value] = left.get(row.state.value, 0) + 1
            if row.refused:
                found.append(self._missing(Kind.CLAIM, DivergenceCode.CLAIM_NOT_RELEASED, "released as claim_refused"))
        found += [
            self._missing(Kind.HANDOVER, DivergenceCode.STOP_MISSING, f"a stop after {key} opted out")
            for key in sorted(self.state.owed)
        ]
        self.summary.states = self._book.states()
        self._count(found)
        return found

    # -- inside ---------------------------------------------------------------------------------------------

    def _missing(self, kind: Kind, code: DivergenceCode, expected: str) -> Divergence:
        return Divergence(
            index=self.state.size,
            kind=kind,
            code=code,
            field="reservation",
            expected=expected,
            recorded="end of the log",
        )

    def _count(self, found: list[Divergence]) -> None:
        for divergence in found:
            self.summary.divergences[divergence.code] = self.summary.divergences.get(divergence.code, 0) + 1

    def _adopt(self, index: int) -> list[Divergence]:
        """Compose the policy just adopted from the packs' own bytes."""
        body = self.state.policy
        assert body is not None
        self._policy, self._readable = None, False
        packs = [self.state.packs[digest].toml.encode() for digest in body.packs if digest in self.state.packs]
        if len(packs) != len(body.packs):
            return []  # `paths` has named the pack that is missing
        try:
            self._policy = self.judge.policy(tuple(packs))
            self._readable = True
        except (PolicyError, CannotJudgeError):
            return []
        if self._policy == body.digest:
            return []
        return [
            Divergence(
                index=index,
                kind=Kind.POLICY,
                code=DivergenceCode.POLICY,
                field="digest",
                expected=self._policy,
                recorded=body.digest,
            )
        ]

    def _decided(self, index: int, body: DecidedBody) -> list[Divergence]:
        own = body.reservation if isinstance(body, ClaimBody) else None
        self.summary.decisions += isinstance(body, DecisionBody)
        self.summary.claims += isinstance(body, ClaimBody)
        self._coverage(body.facts)
        found = [
            Divergence(
                index=index,
                kind=body.kind,
                code=DivergenceCode.FACT,
                field=f"facts.{difference.field}",
                expected=_shown(difference.expected),
                recorded=_shown(difference.recorded),
            )
            for difference in differences(self.state, body.facts, own=own)
        ]
        if not self._readable:
            self.summary.not_judged += 1
        else:
            found += self._again(index, body)
        self.summary.different += bool(found)
        return found

    def _again(self, index: int, body: DecidedBody) -> list[Divergence]:
        decision = self.judge.decide(body.facts, self._policy)
        pairs: tuple[tuple[str, object, object], ...] = (
            ("policy", decision.policy, body.policy),
            ("effect", decision.effect, body.effect),
            ("rules", len(decision.verdicts), body.rules),
            ("reasons", decision.reasons, body.reasons),
            ("earliest", decision.earliest, body.earliest),
            ("notes", decision.notes, body.notes),
        )
        return [
            Divergence(
                index=index,
                kind=body.kind,
                code=DivergenceCode.DECISION,
                field=field,
                expected=_shown(ours),
                recorded=_shown(theirs),
            )
            for field, ours, theirs in pairs
            if ours != theirs
        ]

    def _coverage(self, facts: Facts) -> None:
        """Count what could not be compared, so that a clean run says how much it covers."""
        for name, fact in zip(_COMPARED, _compared(facts), strict=True):
            if isinstance(fact, Absent):
                self.summary.absent[name] = self.summary.absent.get(name, 0) + 1
        touches = facts.touches
        self.summary.history_cut += isinstance(touches, Known) and touches.value.since < self.state.kept_from


_COMPARED: Final = (
    "standing",
    "recipient_standing",
    "age",
    "contact",
    "guardian",
    "grants",
    "stops",
    "touches",
    "content",
    "channel",
    "mode",
)


_compared: Final = attrgetter(*_COMPARED)


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 3]}..."


def replay(
    entries: Iterable[tuple[int, bytes]],
    judge: Judge,
    *,
    progress: Progress | None = None,
    summary: Summary | None = None,
) -> Iterator[Divergence]:
    """Replay a whole log, streaming; the counts go into `summary` if one is given.

    Raises:
        FormatError: an entry is not in its form.
        CannotJudgeError: an entry is of a version or kind this release does not know.
    """
    return Replay(judge, summary=Summary() if summary is None else summary).run(entries, progress=progress)
