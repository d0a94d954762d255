"""The floor of the whole path: what its rows cost when written with the bare `sqlite3` driver, and nothing is decided.

    python benchmarks/floor_sqlite.py FROM TO BATCH

FROM is a store before a run, TO the same store after carelink sent a number of requests. The script copies FROM and
brings the copy to TO, in transactions of BATCH requests as carelink does: one commit that locks, reads the facts, reserves
and appends the decisions; one that settles and appends the hand-overs. It imports nothing of carelink and computes
nothing: no policy, no encoding, no hashing, no sealing, no opening, no rendering. What it writes was taken from TO beforehand.
Durability is carelink's own: WAL, synchronous=FULL, secure_delete=ON, BEGIN IMMEDIATE.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

RESERVATION = (
    "id, request, mac, decision, patient, contact, subject, recipient, role, token, address, purpose, channel, "
    "channel_kind, template, template_version, reply, at, state, expires, lease, outcome, delivery, provider"
)
ROWS = "SELECT x.* FROM json_each(?) AS k CROSS JOIN {table} AS x ON x.{column} = k.value"
TOUCHES = " UNION ".join(
    f"SELECT r.id, r.at FROM json_each(?) AS k CROSS JOIN reservations AS r ON r.{column} = k.value AND r.at >= ?"
    " WHERE r.state <> 'released'"
    for column in ("subject", "recipient", "token")
)
STOPS = " UNION ".join(
    f"SELECT s.id FROM json_each(?) AS k CROSS JOIN stops AS s ON s.{column} = k.value WHERE s.lifted_at IS NULL"
    for column in ("person", "token")
)


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = ON")
    return db


class Job:
    """The rows to write, in order, read from a store after a run; in memory before the time is taken."""

    def __init__(self, before: Path, after: Path) -> None:
        old, new = connect(before), connect(after)
        (self.start,) = old.execute("SELECT size FROM head").fetchone()
        (self.frontier,) = new.execute("SELECT frontier FROM head").fetchone()
        self.decisions: list[tuple[int, str, bytes]] = []
        self.outcomes: dict[str, list[tuple[str, bytes]]] = {}
        for index, request, data in new.execute(
            "SELECT id, request, data FROM entries WHERE id >= ? ORDER BY id", (self.start,)
        ):
            if b'"kind":"decision"' in data:
                self.decisions.append((index, request, data))
            else:
                self.outcomes.setdefault(request, []).append((request, data))
        found = new.execute(f"SELECT {RESERVATION} FROM reservations")
        self.reservations = {row[1]: row for row in found}
        old.close()
        new.close()

    def batches(self, size: int) -> list[list[str]]:
        """Requests in the order they were decided."""
        requests = [request for _, request, _ in self.decisions]
        return [requests[at : at + size] for at in range(0, len(requests), size)]


class Floor:
    """Does a job on a store of its own."""

    def __init__(self, path: Path, job: Job) -> None:
        self.job = job
        self.db = connect(path)
        self.data = {request: data for _, request, data in job.decisions}
        self.size = job.start

    def _lock(self, rows: list[tuple]) -> None:
        gates = sorted({(kind, key) for row in rows for kind, key in (("person", row[6]), ("address", row[9]))})
        self.db.executemany("INSERT OR IGNORE INTO gates (kind, key, last) VALUES (?, ?, 0)", gates)
        self.db.execute(
            "SELECT g.last FROM json_each(?) AS k CROSS JOIN gates AS g ON g.kind = json_extract(k.value, '$[0]')"
            " AND g.key = json_extract(k.value, '$[1]')",
            (json.dumps(gates),),
        ).fetchall()

    def _append(self, entries: list[tuple[str, bytes]]) -> None:
        self.db.execute("SELECT size, frontier, published FROM head WHERE id = 1").fetchall()
        rows = [(self.size + n, request, data) for n, (request, data) in enumerate(entries)]
        self.db.executemany("INSERT INTO entries (id, request, data) VALUES (?, ?, ?)", rows)
        self.size += len(rows)
        self.db.execute("UPDATE head SET size = ?, frontier = ? WHERE id = 1", (self.size, self.job.frontier))

    def _read(self, requests: list[str], rows: list[tuple]) -> None:
        """The rows that the facts of a batch are made from, each once."""
        run = self.db.execute
        patients = json.dumps([row[4] for row in rows])
        contacts = json.dumps([row[5] for row in rows])
        persons = json.dumps([row[6] for row in rows])
        tokens = json.dumps([row[9] for row in rows])
        since = rows[0][17] - 90 * 86_400_000_000
        run(ROWS.format(table="patients", column="id"), (patients,)).fetchall()
        run(ROWS.format(table="related", column="patient"), (patients,)).fetchall()
        run(ROWS.format(table="contacts", column="owner"), (patients,)).fetchall()
        known = ROWS.format(table="reservations", column="request") + " AND x.state <> 'released'"
        run(known, (json.dumps(requests),)).fetchall()
        run("SELECT * FROM tenant").fetchall()
        run(TOUCHES, (persons, since, persons, since, tokens, since)).fetchall()
        run(ROWS.format(table="contacts", column="token"), (tokens,)).fetchall()
        run(ROWS.format(table="grants", column="patient"), (patients,)).fetchall()
        run(STOPS, (persons, tokens)).fetchall()
        run("SELECT * FROM templates").fetchall()
        sealed = "SELECT s.envelope FROM json_each(?) AS k CROSS JOIN sealed AS s ON s.tbl = ? AND s.row = k.value WHERE s.col = ?"
        run(sealed, (contacts, "contact", "address")).fetchall()
        run(sealed, (patients, "patient", "name")).fetchall()

    def batch(self, requests: list[str]) -> None:
        job, run = self.job, self.db.execute
        rows = [job.reservations[request] for request in requests]
        run("BEGIN IMMEDIATE")
        self._lock(rows)
        self._read(requests, rows)
        marks = ", ".join("?" * 24)
        claimed = [(*row[:18], "claimed", *row[19:21], None, "", None) for row in rows]
        self.db.executemany(f"INSERT INTO reservations ({RESERVATION}) VALUES ({marks})", claimed)
        last = [(row[17], kind, key) for row in rows for kind, key in (("person", row[6]), ("address", row[9]))]
        self.db.executemany("UPDATE gates SET last = ? WHERE kind = ? AND key = ?", last)
        self._append([(request, self.data[request]) for request in requests])
        run("COMMIT")
        run("BEGIN IMMEDIATE")
        self._lock(rows)
        run(ROWS.format(table="reservations", column="id"), (json.dumps([row[0] for row in rows]),)).fetchall()
        self.db.executemany(
            "UPDATE reservations SET contact = ?, recipient = ?, role = ?, token = ?, address = ?, at = ?, state = ?,"
            " lease = ?, outcome = ?, delivery = ?, provider = ? WHERE id = ?",
            [(row[5], row[7], row[8], row[9], row[10], row[17], row[18], row[20], *row[21:24], row[0]) for row in rows],
        )
        self._append([entry for request in requests for entry in job.outcomes[request]])
        run("COMMIT")

    def run(self, size: int) -> float:
        """Seconds for the whole job in batches of this many requests."""
        batches = self.job.batches(size)
        began = time.perf_counter()
        for requests in batches:
            self.batch(requests)
        return time.perf_counter() - began


def main() -> int:
    before, after, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory(dir=before.parent) as place:
        copy = Path(place) / "floor.db"
        shutil.copy(before, copy)
        job = Job(before, after)
        seconds = Floor(copy, job).run(size)
    print(f"{len(job.decisions)} requests in batches of {size}: {seconds:.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
