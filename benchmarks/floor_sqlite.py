"""The floor of the whole path: what its rows cost with bare tools, when nothing is decided.

    python benchmarks/floor_sqlite.py FROM TO KEYS BATCH

FROM is a store before a run, TO the same store after carelink sent a number of requests, KEYS its key store. The script
copies FROM and brings the copy to TO, in transactions of BATCH requests as carelink does: one commit that locks, reads
the facts, reserves and appends the decisions; one that settles and appends the hand-overs. Durability is carelink's
own: WAL, synchronous=FULL, secure_delete=ON, BEGIN IMMEDIATE.

Beside `sqlite3` it uses what the rows cannot be had without, each as one bare call: `hmac` for the keyed hashes that
stand in rows and entries, AES-GCM to unwrap a patient's key and to open name and address, `json` for the bytes of an
entry from a dictionary made beforehand, SHA-256 for leaf and tree. It imports nothing of carelink. No policy, no facts,
no checks, no typed rows, no messages, no channel: what is left out is what carelink is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

RESERVATION = (
    "id, request, mac, decision, patient, contact, subject, recipient, role, token, address, purpose, channel, "
    "channel_kind, template, template_version, reply, at, state, expires, lease, outcome, delivery, provider, "
    "plan, topic"
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
SEALED = (
    "SELECT s.row, s.envelope FROM json_each(?) AS k CROSS JOIN sealed AS s ON s.tbl = ? AND s.row = k.value"
    " WHERE s.col = ?"
)
KEYS = "SELECT owner, kid, wrapped FROM data_keys WHERE owner IN (SELECT value FROM json_each(?)) AND state = 'active'"
ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"))
ADDED = 64
"""Bytes of associated data that bind an envelope to its place, about as many as carelink's."""


def connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA secure_delete = ON")
    return db


class Job:
    """What to write, in order, read from a store after a run; in memory before the time is taken."""

    def __init__(self, before: Path, after: Path, keys: Path) -> None:
        old, new = connect(before), connect(after)
        self.keys = keys
        (self.start,) = old.execute("SELECT size FROM head").fetchone()
        (self.frontier,) = new.execute("SELECT frontier FROM head").fetchone()
        self.decisions: dict[str, dict] = {}
        self.outcomes: dict[str, dict] = {}
        entries = new.execute("SELECT request, data FROM entries WHERE id >= ? ORDER BY id", (self.start,))
        for request, data in entries:
            entry = json.loads(data)
            if ENCODER.encode(entry).encode() != data:
                raise SystemExit("an entry is not what the bare encoder writes")
            (self.decisions if entry["kind"] == "decision" else self.outcomes)[request] = entry
        found = new.execute(f"SELECT {RESERVATION} FROM reservations")
        self.reservations = {row[1]: row for row in found}
        old.close()
        new.close()

    def batches(self, size: int) -> list[list[str]]:
        """Requests in the order they were decided."""
        requests = list(self.decisions)
        return [requests[at : at + size] for at in range(0, len(requests), size)]


class Bare:
    """The cryptography of a request with keys of its own: as many calls over as many bytes as carelink makes."""

    def __init__(self) -> None:
        self.key = os.urandom(32)
        self.kek = AESGCM(self.key)
        nonce = os.urandom(12)
        self.wrapped = nonce, self.kek.encrypt(nonce, os.urandom(32), b"x" * ADDED)
        self.peaks: list[tuple[int, bytes]] = []

    def keyed(self, data: bytes) -> bytes:
        return hmac.digest(self.key, data, "sha256")

    def envelope(self, length: int) -> tuple[bytes, bytes, bytes]:
        """A sealed field of the same length under a key of its own, made before the time is taken."""
        key, nonce = os.urandom(32), os.urandom(12)
        return key, nonce, AESGCM(key).encrypt(nonce, b"x" * (length - 46), b"x" * ADDED)

    def append(self, data: bytes) -> None:
        """The leaf, and the tree above it, of RFC 6962."""
        size, node = 1, hashlib.sha256(b"\x00" + data).digest()
        while self.peaks and self.peaks[-1][0] == size:
            node = hashlib.sha256(b"\x01" + self.peaks.pop()[1] + node).digest()
            size *= 2
        self.peaks.append((size, node))


class Floor:
    """Does a job on a store of its own."""

    def __init__(self, path: Path, job: Job) -> None:
        self.job = job
        self.db = connect(path)
        self.keys = connect(job.keys)
        self.bare = Bare()
        self.size = job.start
        lengths = self.db.execute("SELECT tbl, row, length(envelope) FROM sealed WHERE col IN ('address', 'name')")
        self.envelopes = {(table, row): self.bare.envelope(length) for table, row, length in lengths}

    def close(self) -> None:
        self.db.close()
        self.keys.close()

    def _lock(self, rows: list[tuple]) -> None:
        gates = sorted({(kind, key) for row in rows for kind, key in (("person", row[6]), ("address", row[9]))})
        self.db.executemany("INSERT OR IGNORE INTO gates (kind, key, last) VALUES (?, ?, 0)", gates)
        self.db.execute(
            "SELECT g.last FROM json_each(?) AS k CROSS JOIN gates AS g ON g.kind = json_extract(k.value, '$[0]')"
            " AND g.key = json_extract(k.value, '$[1]')",
            (json.dumps(gates),),
        ).fetchall()

    def _append(self, entries: list[tuple[str, dict]]) -> None:
        self.db.execute("SELECT size, frontier, published FROM head WHERE id = 1").fetchall()
        rows = []
        for request, entry in entries:
            data = ENCODER.encode(entry).encode()
            self.bare.append(data)
            rows.append((self.size + len(rows), request, data))
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
        run("SELECT * FROM credentials").fetchall()
        run(SEALED, (contacts, "contact", "address")).fetchall()
        run(SEALED, (patients, "patient", "name")).fetchall()

    def _open(self, rows: list[tuple]) -> None:
        """Keys of the patients, unwrapped; name and address of each, opened; the token of the attempt."""
        bare = self.bare
        self.keys.execute(KEYS, (json.dumps([row[4] for row in rows]),)).fetchall()
        for row in rows:
            bare.kek.decrypt(*bare.wrapped, b"x" * ADDED)
            bare.keyed(row[4].encode())
            bare.keyed(row[4].encode())
            for place in (("patient", row[4]), ("contact", row[5])):
                key, nonce, sealed = self.envelopes[place]
                AESGCM(key).decrypt(nonce, sealed, b"x" * ADDED)
            bare.keyed(row[1].encode())

    def batch(self, requests: list[str]) -> None:
        job, run, keyed = self.job, self.db.execute, self.bare.keyed
        rows = [job.reservations[request] for request in requests]
        for row in rows:  # reference of the key, and what tells other content
            keyed(row[1].encode())
            keyed(b"x" * 300)
        run("BEGIN IMMEDIATE")
        self._lock(rows)
        self._read(requests, rows)
        marks = ", ".join("?" * 26)
        claimed = [(*row[:18], "claimed", *row[19:21], None, "", None, *row[24:]) for row in rows]
        self.db.executemany(f"INSERT INTO reservations ({RESERVATION}) VALUES ({marks})", claimed)
        last = [(row[17], kind, key) for row in rows for kind, key in (("person", row[6]), ("address", row[9]))]
        self.db.executemany("UPDATE gates SET last = ? WHERE kind = ? AND key = ?", last)
        self._append([(request, job.decisions[request]) for request in requests])
        run("COMMIT")
        self._open(rows)
        for _ in rows:  # the far end's id; commitments to text and wire, each under a key derived for it
            for _ in range(5):
                keyed(b"x" * 100)
        run("BEGIN IMMEDIATE")
        self._lock(rows)
        run(ROWS.format(table="reservations", column="id"), (json.dumps([row[0] for row in rows]),)).fetchall()
        self.db.executemany(
            "UPDATE reservations SET contact = ?, recipient = ?, role = ?, token = ?, address = ?, at = ?, state = ?,"
            " lease = ?, outcome = ?, delivery = ?, provider = ? WHERE id = ?",
            [(row[5], row[7], row[8], row[9], row[10], row[17], row[18], row[20], *row[21:24], row[0]) for row in rows],
        )
        self._append([(request, job.outcomes[request]) for request in requests])
        run("COMMIT")

    def run(self, size: int) -> float:
        """Seconds for the whole job in batches of this many requests."""
        batches = self.job.batches(size)
        began = time.perf_counter()
        for requests in batches:
            self.batch(requests)
        return time.perf_counter() - began


def main() -> int:
    before, after, keys, size = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    with tempfile.TemporaryDirectory(dir=before.parent) as place:
        copy = Path(place) / "floor.db"
        shutil.copy(before, copy)
        job = Job(before, after, keys)
        floor = Floor(copy, job)
        seconds = floor.run(size)
        floor.close()
    print(f"{len(job.decisions)} requests in batches of {size}: {seconds:.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
