"""What replay finds: closed codes, each naming the promise it touches, and the counts of a whole run."""

from __future__ import annotations

from enum import StrEnum, unique

import attrs

from carelink.audit.kinds import Kind

__all__ = ["Divergence", "DivergenceCode", "Summary"]


@unique
class DivergenceCode(StrEnum):
    """Kinds of contradiction between an entry and what came before it."""

    DECISION = "decision"
    """The recorded facts and the policy in force give another decision (P7)."""
    FACT = "fact"
    """Earlier entries give another fact than the one recorded (P7)."""
    POLICY = "policy"
    """A policy names a pack that was never recorded, or its digest is not that of its packs (P7)."""
    APPROVAL = "approval"
    """A policy that allows more was adopted without two distinct approvers (P10)."""
    RESERVATION_REUSED = "reservation_reused"
    """A permit names a reservation that exists already (P5)."""
    REQUEST_HELD = "request_held"
    """A request got a permit while another of its permits was open (P6)."""
    REQUEST_SPENT = "request_spent"
    """A request got a permit after it was handed over (P6)."""
    REQUEST_MIXED = "request_mixed"
    """An entry names another request than its reservation's (P5)."""
    NO_PERMIT = "no_permit"
    """An entry names a reservation that is not open: never made, or over (P1, P5, P6)."""
    WRONG_STATE = "wrong_state"
    """A reservation was in another state than this entry follows upon (P5)."""
    CHANNEL_MIXED = "channel_mixed"
    """A hand-over went through another channel than was decided upon (P1)."""
    LEASE = "lease"
    """A claim's lease is longer than allowed, or an attempt was made outside it (P3)."""
    EXPIRED = "expired"
    """A permit was claimed at or after its end (P5)."""
    STOP_IGNORED = "stop_ignored"
    """A permit or claim in the scope of a stop that the facts leave out (P3)."""
    STOP_LEFT_OPEN = "stop_left_open"
    """A stop left a permit in its scope open, or misnames what it met (P3)."""
    CLAIM_NOT_RELEASED = "claim_not_released"
    """A claim was refused and its permit not released with it (P5)."""
    AFTER_SEAL = "after_seal"
    """An entry stands behind the one that closed the log (P5)."""
    RECEIPT_STATE = "receipt_state"
    """The folded delivery state is not what the reports give (P7)."""
    TIME = "time"
    """An instant is not that of its entry, or lies before what it must follow (P3, P4)."""
    STOP_MISSING = "stop_missing"
    """A channel said that the recipient opted out, and no stop of the address followed (P3)."""
    CONSERVATION = "conservation"
    """A request would have two final states, or one it cannot have (P5)."""


@attrs.frozen(kw_only=True)
class Divergence:
    """One contradiction.

    Attributes:
        index: number of the entry.
        kind: its kind.
        code: what is wrong.
        field: subject of the contradiction within the entry.
        expected: what earlier entries or the policy give; coarse, as all in the log.
        recorded: what the entry says.
    """

    index: int
    kind: Kind
    code: DivergenceCode
    field: str
    expected: str
    recorded: str

    def __str__(self) -> str:
        where = f"entry {self.index} ({self.kind}): {self.code}: {self.field}"
        return f"{where}: {self.expected} expected, {self.recorded} recorded"


@attrs.define(kw_only=True)
class Summary:
    """Counts of a run.

    Attributes:
        entries: entries read.
        decisions, claims: those derived again.
        different: decisions and claims whose result or facts diverged.
        not_judged: decisions and claims whose policy this release cannot read: neither good nor bad.
        divergences: by code.
        absent: facts recorded as UNKNOWN or STALE, by field.
        history_cut: histories that reach back further than touches are kept; compared for the part that is kept.
        open: permits held, and claims without an answer, at the end of the log.
        states: requests by final state at the end of the log; they add up to `requests`.
    """

    entries: int = 0
    decisions: int = 0
    claims: int = 0
    different: int = 0
    not_judged: int = 0
    divergences: dict[DivergenceCode, int] = attrs.field(factory=dict)
    absent: dict[str, int] = attrs.field(factory=dict)
    history_cut: int = 0
    open: dict[str, int] = attrs.field(factory=dict)
    states: dict[str, int] = attrs.field(factory=dict)

    @property
    def requests(self) -> int:
        """How many requests the log names."""
        return sum(self.states.values())

    @property
    def exit_code(self) -> int:
        """0 consistent, 4 diverged, 5 cannot judge; diverged only when everything could be judged."""
        if self.not_judged:
            return 5
        return 4 if self.divergences else 0

    def lines(self) -> tuple[str, ...]:
        """The summary as text; the verdict comes last."""
        lines = [
            f"entries   {self.entries:,} read in order",
            f"derived   {self.decisions:,} decisions, {self.claims:,} claims decided again; {self.different:,} differ",
            f"requests  {self.requests:,} in {len(self.states)} final states",
            *(f"          {number:>9,}  {state}" for state, number in sorted(self.states.items())),
        ]
        if self.absent:
            facts = ", ".join(f"{name} {number:,}" for name, number in sorted(self.absent.items()))
            lines.append(f"unknown   facts that could not be read when it was decided: {facts}")
        if self.history_cut:
            lines.append(
                f"cut       {self.history_cut:,} histories reach back further than is kept to compare them with"
            )
        if self.not_judged:
            lines.append(f"unjudged  {self.not_judged:,} under a policy that this release cannot read")
        lines += [f"differ    {number:,} x {code}" for code, number in sorted(self.divergences.items())]
        return (*lines, {0: "CONSISTENT", 4: "DIVERGED", 5: "CANNOT JUDGE"}[self.exit_code])
