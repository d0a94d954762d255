"""A deployment on disk with every built-in channel, on which facts can be broken where they live, and mended.

The tables lose SQLite's STRICT first: a damaged file, or one that something else wrote, can hold any type in any column.
"""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import attrs

from carelink.channels.console import ConsoleChannel
from carelink.channels.memory import MemoryChannel
from carelink.channels.outbox import OutboxChannel
from carelink.channels.smtp.channel import SmtpChannel
from carelink.engine import calendars
from carelink.engine.ledger import GrantOrder
from carelink.engine.registration import ContactInput, PatientInput, RelatedInput
from carelink.errors import CarelinkError
from carelink.model.moment import DAY, SECOND, parse_instant
from carelink.model.request import Request
from carelink.model.scope import Scope
from carelink.packs.loader import DEFAULT_PACKS, bundled_bytes
from carelink.stores.sqlite.reader import SqliteReader
from carelink.testing.fakes import FakeClock, RecordingChannel
from carelink.testing.smtp_peer import SmtpPeer
from carelink.testing.world import World
from carelink.vault.personal import Personal
from carelink.vocabulary import (
    AddressKind,
    ChannelKind,
    ContactStatus,
    Effect,
    Mode,
    Outcome,
    RecipientRole,
    Relation,
)

START = "2026-01-15T10:00:00+08:00"
KINDS = tuple(kind.value for kind in ChannelKind)
ADULT, CHILD = date(1980, 5, 17), date(2021, 3, 1)
DAYS = b"""
[pack]
id = "days"
jurisdiction = "CN"
version = "1"
valid_from = 2020-01-01
title = { en = "treatment on working days", zh = "treatment on working days" }

[[rule]]
id = "DAYS"
kind = "working_days"
authority = "hospital"
certainty = "I"
title = { en = "working days only", zh = "working days only" }
sources = [{ instrument = "tests", version = "1" }]
[rule.when]
purposes = ["care.treatment"]
[rule.params]
calendar = "CN"
"""
SLOW = 6 * SECOND
"""Longer than a lease."""


@attrs.define
class Cast:
    """One person for each channel, in the order of the channels; a child's messages go to its guardian."""

    patients: list[Any]
    child: bool


class Bench:
    """The deployment."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(parse_instant(START))
        self.peer = SmtpPeer().__enter__()
        self.lines = {kind: io.StringIO() for kind in (ChannelKind.EMAIL, ChannelKind.SMS)}
        outbox = {"folder": str(folder / "outbox")}
        smtp = {"host": "127.0.0.1", "port": self.peer.port, "tls": "none", "sender": "clinic@example.org"}
        recorders = [
            RecordingChannel("recorder-task", ChannelKind.TASK, AddressKind.PHONE, clock=self.clock),
            RecordingChannel("recorder-chat", ChannelKind.CHAT, AddressKind.CHAT, clock=self.clock),
        ]
        memories = [MemoryChannel(kind) for kind in self.lines]
        self.channels: list[Any] = [
            *(ConsoleChannel(kind, {}, stream) for kind, stream in self.lines.items()),
            *(OutboxChannel(kind, outbox, clock=self.clock) for kind in self.lines),
            SmtpChannel(smtp, clock=self.clock),
            *memories,
            *recorders,
        ]
        self._counts: list[Callable[[], int]] = [
            *(lambda stream=stream: stream.getvalue().count("\n") for stream in self.lines.values()),
            *(lambda kind=kind: len(list((folder / "outbox" / kind.value).glob("*.*"))) for kind in self.lines),
            lambda: len(self.peer.received),
            *(lambda kept=channel: len(kept.kept) for channel in memories),
            *(lambda kept=channel: len(kept.handed) for channel in recorders),
        ]
        self.folder = folder
        self._calendar = calendars._calendar
        self.calendar(lambda _: (lambda _day: True, "calendar-of-tests"))
        packs = [*(bundled_bytes(name) for name in DEFAULT_PACKS), DAYS]
        self.world = World(folder, sqlite=True, clock=self.clock, channels=self.channels, packs=packs)
        self.world.content(channels=KINDS)
        with self.link.wiring.store.transaction() as tx:
            tx.put_tenant(attrs.evolve(tx.tenant(), mode=Mode.LIVE))
        self.link.publish()
        self.link.close()
        self._loosen()
        self.world.restart()
        self._made, self._asked = 0, 0
        self._saved: list[Callable[[], object]] = []
        self.link.credential("Dr Li", "clinical", actor="head of department")
        self.bystander = self.cast(one=True)

    @property
    def link(self) -> Any:
        return self.world.link

    def close(self) -> None:
        self.calendar(self._calendar)
        self.link.close()
        self.peer.__exit__(None, None, None)

    def _loosen(self) -> None:
        db = sqlite3.connect(self.world.settings.store, isolation_level=None)
        db.execute("PRAGMA writable_schema = ON")
        for words, instead in (("WITHOUT ROWID,", "WITHOUT ROWID"), ("STRICT", "")):
            db.execute("UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE type = 'table'", (words, instead))
        db.close()
        with self.database() as db:
            assert db.execute("SELECT count(*) FROM pragma_table_list WHERE strict").fetchone() == (0,)

    def calendar(self, source: Any) -> None:
        """Where working days come from."""
        calendars._calendar = source
        calendars._fact.cache_clear()

    # -- people and requests -------------------------------------------------------------------------------

    def cast(self, *, child: bool = False, one: bool = False) -> Cast:
        """New people, who may be sent appointments, and whose promotion is stopped (so that there is a stop)."""
        count = 1 if one else len(self.channels)
        numbers = range(self._made, self._made + count)
        self._made += count
        people = [self._child(number) if child else self._adult(number) for number in numbers]
        made = self.link.register_many(people)
        assert [done.error for done in made] == [None] * count, made
        patients = [done.patient for done in made]
        by = RecipientRole.GUARDIAN if child else RecipientRole.SELF
        scope = Scope(("care",), KINDS)
        self.link.ledger.grant(
            [GrantOrder(patient=p, scope=scope, evidence="form", by=by, separate=True, notice="v1") for p in patients]
        )
        for patient in patients:
            self.link.stop(patient, purposes=["marketing"])
        return Cast(patients, child)

    def _contacts(self, number: int) -> tuple[ContactInput, ...]:
        addresses = (
            (AddressKind.EMAIL, f"f{number}@example.invalid"),
            (AddressKind.PHONE, f"+86137{number:08d}"),
            (AddressKind.CHAT, f"member{number}"),
        )
        return tuple(
            ContactInput(kind=kind, address=Personal(text), status=ContactStatus.VALID) for kind, text in addresses
        )

    def _adult(self, number: int) -> PatientInput:
        return PatientInput(
            identifiers=(("mrn", Personal(f"F-{number}")),),
            name=Personal("Somebody"),
            birth_date=Personal(ADULT),
            contacts=self._contacts(number),
        )

    def _child(self, number: int) -> PatientInput:
        guardian = RelatedInput(
            name=Personal("Guardian"),
            relation=Relation.PARENT,
            verified=True,
            acts=True,
            contacts=self._contacts(number),
        )
        return PatientInput(
            identifiers=(("mrn", Personal(f"F-{number}")),), birth_date=Personal(CHILD), related=(guardian,)
        )

    def requests(self, cast: Cast, *, purpose: str = "care.appointment", clinician: str = "") -> list[Request]:
        """One for each of the cast on its channel, under new keys."""
        self._asked += 1
        return [
            Request(
                key=f"{self._asked} {number}",
                patient=patient,
                purpose=purpose,
                channel=channel.info.name,
                template="note",
                clinician=clinician,
            )
            for number, (patient, channel) in enumerate(zip(cast.patients, self.channels, strict=False))
        ]

    def sent(self) -> list[int]:
        """How many messages each channel's far end holds."""
        return [count() for count in self._counts]

    def answers(self, requests: Sequence[Request]) -> list[str]:
        """What comes of sending: for each request what stood in the way, or "sent"."""
        try:
            outcomes = self.link.send_many(requests)
        except CarelinkError as error:
            return [f"error {error.code}"] * len(requests)
        return [self._told(outcome) for outcome in outcomes]

    def _told(self, outcome: Any) -> str:
        if outcome.error is not None:
            return f"error {outcome.error.code}"
        if outcome.effect is not Effect.PERMIT:
            codes = {code.value for code in outcome.decision.codes}
            return f"{outcome.effect.value} {' '.join(sorted(codes))}"
        receipt = outcome.receipt
        if receipt is not None and receipt.outcome is Outcome.ACCEPTED:
            return "sent"
        return f"released {receipt.released}" if receipt is not None else "not sent"

    # -- breaking ------------------------------------------------------------------------------------------

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self.world.settings.store)
        try:
            with db:
                yield db
        finally:
            db.close()

    def change(self, table: str, which: str, keys: Sequence[Any], do: str, *values: Any) -> None:
        """Change or delete rows of the store's file, from another connection. `do` is "DELETE" or what to SET."""
        mine = f"{which} IN ({','.join('?' * len(keys))})" if which else "1"
        with self.database() as db:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            names = ", ".join(f'"{name}"' for name in columns)
            before = db.execute(f"SELECT {names} FROM {table} WHERE {mine}", keys).fetchall()
            assert before, f"nothing to break in {table}"
            statement = f"DELETE FROM {table}" if do == "DELETE" else f"UPDATE {table} SET {do}"
            db.execute(f"{statement} WHERE {mine}", (*values, *keys))

        def back() -> None:
            with self.database() as db:
                marks = ",".join("?" * len(columns))
                db.executemany(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", before)

        self._saved.append(back)

    def add(self, table: str, **columns: Any) -> None:
        """A row that should not be there."""
        names, marks = ", ".join(columns), ",".join("?" * len(columns))
        with self.database() as db:
            row = db.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", (*columns.values(),)).lastrowid

        def back() -> None:
            with self.database() as db:
                db.execute(f"DELETE FROM {table} WHERE rowid = ?", (row,))

        self._saved.append(back)

    def lose_table(self, table: str) -> None:
        """The table is gone."""
        with self.database() as db:
            db.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")

        def back() -> None:
            with self.database() as db:
                db.execute(f"ALTER TABLE lost_{table} RENAME TO {table}")

        self._saved.append(back)

    def column(self, query: str, *values: Any) -> list[Any]:
        """The first column of a query, as a list."""
        with self.database() as db:
            return [row[0] for row in db.execute(query, values)]

    def slow(self, method: str) -> None:
        """This read of the store takes longer than a lease."""
        whole, clock = getattr(SqliteReader, method), self.clock

        def late(reader: Any, *values: Any, **named: Any) -> Any:
            clock.advance(SLOW)
            return whole(reader, *values, **named)

        self.patch(SqliteReader, method, late)

    def patch(self, owner: Any, name: str, value: Any) -> None:
        before = getattr(owner, name)
        setattr(owner, name, value)
        self._saved.append(lambda: setattr(owner, name, before))

    def later(self, do: Callable[[], object]) -> None:
        """Something to do when it is mended."""
        self._saved.append(do)

    def mend(self) -> None:
        """Everything as it was before it was broken."""
        while self._saved:
            self._saved.pop()()

    def next_day(self) -> None:
        """So that nobody's caps are full."""
        self.clock.advance(DAY)
