"""Credentials of members of staff: who may approve as what, from when until when. Each change is an entry, under the
exclusive lock: no decision runs beside it.
"""

from __future__ import annotations

import attrs

from carelink.audit.kinds import CredentialAction
from carelink.content.review import valid
from carelink.engine.journal import Journal
from carelink.engine.parts import Parts
from carelink.engine.soundness import sound
from carelink.errors import DamagedRowError, InvalidInputError, NotFoundError
from carelink.model.ids import CredentialId
from carelink.model.moment import Instant
from carelink.ports.rows import CredentialRow
from carelink.ports.store import Reader
from carelink.vocabulary import ReviewRole

__all__ = ["Credentials"]


def _rows(reader: Reader, actor: str) -> tuple[CredentialRow, ...]:
    rows = reader.credentials([actor]).get(actor, ())
    if not all(sound(row) for row in rows):
        raise DamagedRowError("a credential holds what no version of carelink writes there")
    return rows


@attrs.define
class Credentials:
    """Registers, renews and ends."""

    parts: Parts

    def register(
        self, actor: str, role: ReviewRole, *, since: Instant | None, until: Instant | None, by: str
    ) -> CredentialRow:
        """Record a credential. Where one in this role runs on, up to the new one's beginning or beyond, it is renewed:
        its end moves. A gap stays a gap.

        Raises:
            InvalidInputError: it is over before it begins, or is over already.
        """
        now, _ = self.parts.guard.read()
        begin = now if since is None else since
        if until is not None and until <= max(begin, now):
            raise InvalidInputError("a credential ends after it begins, and after now", hint="to end one, end it")
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            held = [row for row in _rows(tx, actor) if row.role is role]
            running = next((row for row in reversed(held) if row.since <= begin and valid(row, begin)), None)
            journal = Journal(self.parts)
            if running is None:
                row = CredentialRow(id=CredentialId(self.parts.ref()), actor=actor, role=role, since=begin, until=until)
                journal.credential(CredentialAction.REGISTERED, row, by, now)
            elif running.until == until:
                return running
            else:
                row = attrs.evolve(running, until=until)
                journal.credential(CredentialAction.RENEWED, row, by, now)
            tx.put_credential(row)
            journal.write(tx)
        self.parts.publisher.tick()
        return row

    def end(self, actor: str, role: ReviewRole, *, by: str) -> int:
        """End every credential in a role that is valid now or would be later; how many there were. What was approved
        under it counts no more from this commit on.

        Raises:
            NotFoundError: there is none.
        """
        now, _ = self.parts.guard.read()
        with self.parts.store.transaction() as tx:
            tx.lock_global()
            journal = Journal(self.parts)
            ended = [
                attrs.evolve(row, ended_at=now)
                for row in _rows(tx, actor)
                if row.role is role and row.ended_at is None and (row.until is None or now < row.until)
            ]
            if not ended:
                raise NotFoundError("this person has no credential in this role that could end")
            for row in ended:
                tx.put_credential(row)
                journal.credential(CredentialAction.ENDED, row, by, now)
            journal.write(tx)
        self.parts.publisher.tick()
        return len(ended)

    def of(self, actor: str) -> tuple[CredentialRow, ...]:
        """Every credential a member of staff has or had."""
        with self.parts.store.reader() as reader:
            return _rows(reader, actor)
