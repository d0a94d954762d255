"""Reconciles a restored backup with the log that was published after it was taken (ADR 0018).

Entries of the log are taken over byte for byte and what they say is applied again. Entries that the backup took in by
itself meanwhile (a stop, a registration, a refusal) were never published: they move behind those of the log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from carelink.audit.bodies import Body, HandoverBody, RecoveredBody, ReleasedBody, SuppressionAddedBody
from carelink.audit.checkpoint import SignedCheckpoint
from carelink.audit.decided import ClaimBody, DecidedBody
from carelink.audit.entry import parse_entry
from carelink.audit.merkle import Frontier, leaf_hash
from carelink.consent.facts import StoreState
from carelink.engine.journal import Journal
from carelink.engine.membership import follow_merges
from carelink.engine.notary import Notary
from carelink.engine.parts import Parts
from carelink.engine.rebuild import Rebuild
from carelink.engine.recovery import ask_channels
from carelink.errors import StoreError, StoreRestoredError, TamperedError
from carelink.model.ids import PersonRef, ReservationId
from carelink.model.moment import Instant
from carelink.model.scope import EVERY_PLAN, Scope
from carelink.model.touchpoint import SETTLES
from carelink.ports.rows import EntryRow, ReservationRow
from carelink.ports.store import Transaction
from carelink.vocabulary import Effect, Outcome, ReservationState

__all__ = ["Reconciled", "reconcile"]

_BATCH: Final = 2000


@attrs.frozen(kw_only=True)
class Reconciled:
    """What reconciling did.

    Attributes:
        from_size: entries that store and log had in common.
        to_size: entries of the published log.
        moved: entries of the backup's own that stand behind those of the log now.
        restored: permits, grants and stops that the backup did not know.
        orphaned: permits and stops of persons or addresses that the backup cannot name.
        done: sending may go on. Otherwise nothing was changed.
    """

    from_size: int
    to_size: int
    moved: int
    restored: int
    orphaned: int
    done: bool


class _NotAcceptedError(Exception):
    """Ends the transaction without a trace: there are orphans, and nobody accepted them."""

    def __init__(self, result: Reconciled) -> None:
        super().__init__()
        self.result = result


def reconcile(parts: Parts, notary: Notary, *, by: str, accept_orphans: bool = False) -> Reconciled:
    """Bring a restored store up to the published log, and publish what then stands behind it. A store that is current
    is left alone.

    Args:
        parts, notary: of the store.
        by: pseudonym of who does this.
        accept_orphans: go on although some permits or stops are of somebody the backup cannot name.

    Raises:
        StoreRestoredError: the log is itself older than its head copy: restore the log first.
        TamperedError: the log is not what its key signed, or its head copy is of another history.
        StoreError: the store is another log's, handed messages over or published by itself after it was restored, or
            claims of another run are still in flight.
    """
    now = parts.guard.read()[0]
    if notary.open() is StoreState.CURRENT:
        notary.publish()
        return _nothing_to_do(parts)
    head = _trusted_head(notary)
    result: Reconciled | None = None
    try:
        with parts.store.transaction() as tx:
            tx.lock_global()
            result = _Reconciling(parts, notary, tx, now).run(head, by, accept_orphans=accept_orphans)
            if not result.done:
                raise _NotAcceptedError(result)  # noqa: TRY301  it rolls the transaction back
    except _NotAcceptedError as refused:
        return refused.result
    if notary.open() is not StoreState.CURRENT:
        raise StoreRestoredError("the store still is not what was published from it")
    notary.publish()
    return result


def _nothing_to_do(parts: Parts) -> Reconciled:
    with parts.store.reader() as reader:
        size = reader.head().published
    return Reconciled(from_size=size, to_size=size, moved=0, restored=0, orphaned=0, done=True)


def _trusted_head(notary: Notary) -> SignedCheckpoint:
    head, copy = notary.log.head(), notary.read_copy()
    if head is None or (copy is not None and copy.size > head.size):
        raise StoreRestoredError(
            "the published log is gone, or older than its head copy",
            hint="restore the log first, from its own backup or from an export",
        )
    if head.checkpoint.origin != notary.verifier.key.name:
        raise StoreError(
            "the store is of another log than the one that is published: of one that was closed, or of another tenant",
            hint="restore a backup of the log that is published",
        )
    notary.verifier.open(head.note)
    if copy is not None and not notary.extends(head, copy):
        raise TamperedError("the published log does not begin with its head copy", hint="run `carelink audit verify`")
    return head


@attrs.define
class _Reconciling:
    """One attempt, in one transaction."""

    parts: Parts
    notary: Notary
    tx: Transaction
    now: Instant
    rebuild: Rebuild = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rebuild = Rebuild(self.tx, self.now)

    def run(self, head: SignedCheckpoint, by: str, *, accept_orphans: bool) -> Reconciled:
        """Take over, apply, settle, move, note."""
        store = self.tx.head()
        common = self._common(min(store.size, head.size))
        own = () if common < store.published else self.tx.take_out(common)
        bodies = [parse_entry(row.data).body for row in own]
        if common < store.published or any(_hands_over(body) for body in bodies):
            raise StoreError(
                "the restored store handed messages over by itself: there are two histories",
                hint="keep both logs, and begin a new home",
            )
        for body in bodies:
            self.rebuild.rewind(body)
        self._take_over(common, head)
        self.rebuild.path.flush()
        self.tx.set_published(head.size)
        orphaned = self.rebuild.orphaned
        self._note(common, head.size, by)
        self._meet_own_stops(bodies)
        for body in bodies:
            self.rebuild.again(body)
        self.tx.append(own)
        self._forget_contacts()
        return Reconciled(
            from_size=common,
            to_size=head.size,
            moved=len(own),
            restored=self.rebuild.restored,
            orphaned=orphaned,
            done=accept_orphans or orphaned == 0,
        )

    def _common(self, limit: int) -> int:
        """How many first entries store and log have in common: they part once, and for good."""
        low, high = 0, limit
        while low < high:
            middle = (low + high) // 2
            if self.notary.same_entry(self.tx, middle):
                low = middle + 1
            else:
                high = middle
        return low

    def _take_over(self, common: int, head: SignedCheckpoint) -> None:
        rows: list[EntryRow] = []
        for _, data in self.notary.log.entries(common, head.size):
            body = parse_entry(data).body
            rows.append(EntryRow(data=data, leaf=leaf_hash(data), request=_request(body)))
            self.rebuild.apply(body)
            if len(rows) == _BATCH:
                self.tx.append(rows)
                rows = []
        self.tx.append(rows)
        if Frontier.from_bytes(self.tx.head().frontier).root() != head.root:
            raise TamperedError("the published entries are not what was signed", hint="run `carelink audit verify`")

    def _meet_own_stops(self, bodies: Sequence[Body]) -> None:
        """A stop that the backup took in could not know what was open in the log. It stands behind the log's entries
        now, and what is open in its scope ends before it: permits are void, claims are looked up or UNKNOWN.
        """
        journal, ended = Journal(self.parts), set[ReservationId]()
        for body in bodies:
            if isinstance(body, SuppressionAddedBody):
                for row in self._open_under(body):
                    if row.id not in ended:
                        self._end(row, journal)
                        ended.add(row.id)
        journal.write(self.tx)

    def _open_under(self, body: SuppressionAddedBody) -> list[ReservationRow]:
        token = None if body.address is None else self.rebuild.names.token(body.address)
        persons = [] if body.person is None else [PersonRef(body.person)]
        scope = Scope(body.purposes, body.channels, body.plans or EVERY_PLAN)
        rows = self.tx.open_for(persons, [] if token is None else [token])
        return [row for row in rows if scope.covers(row.purpose, row.channel_kind, row.plan)]

    def _end(self, row: ReservationRow, journal: Journal) -> None:
        if row.state is ReservationState.HELD:
            self.tx.put_reservations([attrs.evolve(row, state=ReservationState.RELEASED)])
            journal.released(row, "stopped", self.now)
            return
        envelopes = self.tx.sealed("contact", [row.contact], ("address",))
        people = follow_merges(self.tx, [row.patient])
        over = row.lease is not None and row.lease <= self.now
        outcome = ask_channels(self.parts, [row], envelopes, people, self.now).get(row.id) if over else None
        if outcome is None:
            raise StoreError("claims of another run may be in flight", hint="stop it, and try again in a few minutes")
        after = attrs.evolve(row, state=SETTLES[outcome], outcome=outcome)
        self.tx.put_reservations([after])
        journal.recovered(after, "deadline" if outcome is Outcome.UNKNOWN else "lookup", self.now)

    def _forget_contacts(self) -> None:
        journal = Journal(self.parts)
        for person, change in self.rebuild.lost():
            journal.contact_lost(person, change, self.now)
        journal.write(self.tx)

    def _note(self, common: int, size: int, by: str) -> None:
        journal = Journal(self.parts)
        journal.reconciled(common, size, self.rebuild.restored, self.rebuild.orphaned, by, self.now)
        journal.write(self.tx)


def _hands_over(body: Body) -> bool:
    permits = isinstance(body, DecidedBody) and body.effect is Effect.PERMIT
    return permits or isinstance(body, (ClaimBody, HandoverBody, RecoveredBody, ReleasedBody))


def _request(body: Body) -> str:
    named = isinstance(body, (DecidedBody, HandoverBody, ReleasedBody, RecoveredBody))
    return str(getattr(body, "request", "")) if named else ""
