"""The audit log beside what it could not cost less than: hashing, parsing and deciding, inserting. All ratios in one run.

    python benchmarks/bench_log.py [--only integrity,replay,append,memory] [--sample N] [--entries N] [--rounds N]
                                   [--place DIR] [--no-limit]

integrity  `audit.verify` on a folder of --sample entries, their form left aside, beside `hashlib` over the same leaf and node
           preimages, which lie ready in memory. Limit 2.0.
replay     canonical check, completeness and replay of the entries, beside parsing them and deciding the decisions: `json.loads`,
           facts made of it without a check (`trusting.py`), `decide` under the compiled policy. Limit 3.0.
append     entries appended to the SQLite store, leaf hash and tree head included, beside bare inserts of the same bytes with
           the same commits and durability: one entry a commit, and a thousand. Limit 2.0. And beside pymerkle's SQLite
           tree with its root asked for after each commit, where CARELINK_PYMERKLE names a Python that has it. Limit 1.0.
memory     `carelink audit verify`, `carelink audit replay` and the second reader, each a process of its own, on --entries
           entries: at most 200 MB.

Entries are those of `synthetic_log.py`: three years of a clinic that writes to each patient once a month. Of the rounds, the
fastest of each side counts: others share the machine. Times are of the processor; of appends, by the clock, because a flush waits.
Exit code 1: a ratio or a size is above its limit, or what should verify and replay does not.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import synthetic_log
import trusting
from floor_sqlite import connect

from carelink.audit.decided import DecidedBody
from carelink.audit.entry import encode_entry, parse_entry
from carelink.audit.judge import PolicyJudge
from carelink.audit.merkle import leaf_hash
from carelink.audit.replay import Replay
from carelink.audit.verify import verify
from carelink.keys.folder import KeyFolder
from carelink.ports.rows import EntryRow
from carelink.stores.folder_fetcher import FolderFetcher
from carelink.stores.sqlite.store import SqliteStore

HERE = Path(__file__).resolve().parent
MEGABYTES = 200


class Run:
    """What is measured, and whether every limit holds."""

    def __init__(self, place: Path, rounds: int, story: synthetic_log.Story) -> None:
        self.place, self.rounds, self.story, self.good = place, rounds, story, True

    def tell(self, name: str, ours: float, floor: float, entries: int, limit: float, against: str) -> None:
        ratio = ours / floor
        held = ratio <= limit
        self.good = self.good and held
        print(
            f"{name:24} {ours / entries * 1e6:8.2f} us an entry   {ratio:5.2f} times {against} "
            f"({floor / entries * 1e6:.2f} us)   limit {limit}: {'held' if held else 'MISSED'}",
            flush=True,
        )

    def fastest(self, *works: Callable[[], object], rounds: int = 0) -> list[float]:
        """The fastest round of each, in turns; seconds of the processor."""
        best = [float("inf")] * len(works)
        gc.collect()
        gc.freeze()  # what lies in memory from before is not walked through again because one side makes more objects
        for _ in range(rounds or self.rounds):
            for number, work in enumerate(works):
                began = time.process_time()
                work()
                best[number] = min(best[number], time.process_time() - began)
        return best

    # -- integrity ---------------------------------------------------------------------------------------------------

    def integrity(self, count: int) -> None:
        folder = self.place / "integrity"
        key = synthetic_log.write(folder, count, told=self.story)
        leaves = [b"\x00" + entry for entry in self.story.entries(count)]
        nodes = list(node_preimages([sha256(leaf).digest() for leaf in leaves]))
        assert len(nodes) == count - 1

        def floor() -> None:
            for preimage in leaves:
                sha256(preimage).digest()
            for preimage in nodes:
                sha256(preimage).digest()

        def ours() -> None:
            report = verify(
                FolderFetcher(folder),
                vkey=key,
                check_signature=KeyFolder.check_signature,
                check_entry=lambda _index, _data: None,
            )
            assert report.exit_code == 0, report.lines()
            assert report.checked == count

        bare, whole = self.fastest(floor, ours)
        self.tell("integrity", whole, bare, count, 2.0, "hashlib")

    # -- replay ------------------------------------------------------------------------------------------------------

    def replay(self, count: int) -> None:
        entries = list(enumerate(self.story.entries(count)))
        judge, decisions = PolicyJudge(), 0
        for divergence in Replay(judge).run(entries):
            raise SystemExit(f"the log does not replay: {divergence}")
        for _, entry in entries:
            body = parse_entry(entry).body
            if isinstance(body, DecidedBody):
                decisions += 1
                assert trusting.facts(json.loads(entry)["body"]["facts"]) == body.facts

        def floor() -> None:
            for _, entry in entries:
                body = json.loads(entry)["body"]
                if "facts" in body:
                    judge.decide(trusting.facts(body["facts"]), body["policy"])

        def read() -> None:
            for _, entry in entries:
                parse_entry(entry)

        def ours() -> None:
            assert not list(Replay(judge).run(entries))

        bare, strict, whole = self.fastest(floor, read, ours, rounds=self.rounds * 5)
        self.tell("check, complete, replay", whole, bare, count, 3.0, "parsing and deciding")
        print(
            f"{'':24} {decisions} decisions among {count} entries; of it {strict / count * 1e6:.2f} us is reading "
            "each entry strictly: one spelling, closed types",
            flush=True,
        )

    # -- append ------------------------------------------------------------------------------------------------------

    def append(self, count: int, batch: int) -> None:
        entries = list(self.story.entries(count))
        best: dict[str, float] = {}
        sides = [bare_inserts, our_appends, pymerkle_appends]
        for number in range(self.rounds * 3):
            folder = self.place / f"append-{batch}-{number}"
            folder.mkdir()
            for side in sides[number % 3 :] + sides[: number % 3]:
                os.sync()
                for name, took in side(folder, entries, batch).items():
                    best[name] = min(took, best.get(name, took))
            shutil.rmtree(folder)
        self.tell(f"append, {batch} a commit", best["ours"], best["bare"], count, 2.0, "a bare insert")
        if "root" in best:
            self.tell("  with the tree's root", best["ours"], best["root"], count, 1.0, "pymerkle with its root")
            ratio = best["ours"] / best["plain"]
            print(
                f"{'':24} {ratio:.2f} times pymerkle that only inserts and knows no root ({best['plain'] / count * 1e6:.2f} us)"
            )
        else:
            print(f"{'':24} not compared with pymerkle: CARELINK_PYMERKLE names no Python that has it")

    def encode(self, count: int) -> None:
        """For completeness: what the bytes cost before they are appended."""
        parsed = [parse_entry(entry) for entry in self.story.entries(count)]
        (took,) = self.fastest(lambda: [encode_entry(entry) for entry in parsed])
        print(f"{'encode':24} {took / count * 1e6:8.2f} us an entry, every field checked; no part of an append above")

    # -- memory ------------------------------------------------------------------------------------------------------

    def memory(self, count: int) -> None:
        folder = self.place / "long"
        key = synthetic_log.write(folder, count, told=self.story)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{count:,} entries, {size / 1e6:,.0f} MB", flush=True)
        carelink = [sys.executable, "-m", "carelink.cli.main", "audit"]
        second = [sys.executable, str(HERE.parent / "verifier" / "carelink_verify.py")]
        for name, command in (
            ("verify", [*carelink, "verify"]),
            ("replay", [*carelink, "replay"]),
            ("second reader", second),
        ):
            watched = [sys.executable, str(HERE / "watch.py"), *command, str(folder), "--key", key]
            told = json.loads(subprocess.run(watched, check=True, capture_output=True).stdout)
            held = told["code"] == 0 and told["megabytes"] <= MEGABYTES
            self.good = self.good and held
            moved = f"progress moved {told['steps']} times" if told["steps"] else "no progress shown"
            print(
                f"{name:24} {told['megabytes']:5} MB at most   {told['wall']:7.1f} s, {told['cpu']:.1f} s of the processor, "
                f"{count / told['cpu']:,.0f} entries a second of it   {moved}   {told['last']}   "
                f"limit {MEGABYTES} MB: {'held' if held else 'MISSED'}",
                flush=True,
            )


def node_preimages(row: Sequence[bytes]) -> list[bytes]:
    """Of every inner node over these leaf hashes; a hash without a partner moves up (RFC 6962)."""
    found: list[bytes] = []
    while len(row) > 1:
        pairs = [b"\x01" + left + right for left, right in zip(row[::2], row[1::2], strict=False)]
        found += pairs
        row = [*(sha256(pair).digest() for pair in pairs), *(row[-1:] if len(row) % 2 else ())]
    return found


def bare_inserts(folder: Path, entries: Sequence[bytes], batch: int) -> dict[str, float]:
    """Seconds for the rows alone."""
    db = connect(folder / "bare.db")
    db.execute("CREATE TABLE entries (id INTEGER PRIMARY KEY, request TEXT NOT NULL, data BLOB NOT NULL)")
    began = time.perf_counter()
    for start in range(0, len(entries), batch):
        db.execute("BEGIN IMMEDIATE")
        rows = [(start + n, "", data) for n, data in enumerate(entries[start : start + batch])]
        db.executemany("INSERT INTO entries (id, request, data) VALUES (?, ?, ?)", rows)
        db.execute("COMMIT")
    took = time.perf_counter() - began
    db.close()
    return {"bare": took}


def our_appends(folder: Path, entries: Sequence[bytes], batch: int) -> dict[str, float]:
    """Seconds for rows, leaf hashes and tree head."""
    store = SqliteStore.create(folder / "ours.db")
    began = time.perf_counter()
    for start in range(0, len(entries), batch):
        with store.transaction() as tx:
            tx.append([EntryRow(data=data, leaf=leaf_hash(data)) for data in entries[start : start + batch]])
    took = time.perf_counter() - began
    with store.reader() as reader:
        assert reader.head().size == len(entries)
    store.close()
    return {"ours": took}


def pymerkle_appends(folder: Path, entries: Sequence[bytes], batch: int) -> dict[str, float]:
    """Seconds for pymerkle, alone and with its root; nothing where there is none."""
    python = os.environ.get("CARELINK_PYMERKLE")
    if not python:
        return {}
    data = folder / "entries"
    data.write_bytes(b"".join(len(entry).to_bytes(4, "big") + entry for entry in entries))
    script = [python, str(HERE / "peers" / "pymerkle_append.py"), str(data), str(batch), str(folder)]
    plain, root = subprocess.run(script, check=True, capture_output=True).stdout.split()
    return {"plain": float(plain), "root": float(root)}


def main() -> int:
    """Measure what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="integrity,replay,append,memory")
    parser.add_argument("--sample", type=int, default=30_000, help="entries for all but memory")
    parser.add_argument("--entries", type=int, default=200_000, help="entries for memory")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--place", type=Path, help="where files are written (else the system's temporary folder)")
    parser.add_argument("--no-limit", action="store_true", help="exit 0 whatever the figures are")
    args = parser.parse_args()
    parts = args.only.split(",")
    with tempfile.TemporaryDirectory(dir=args.place) as folder:
        run = Run(Path(folder), args.rounds, synthetic_log.story())
        if "integrity" in parts:
            run.integrity(args.sample)
        if "replay" in parts:
            run.replay(args.sample // 10)
        if "append" in parts:
            run.append(max(1, args.sample // 100), 1)
            run.append(args.sample // 6, 1000)
            run.encode(args.sample // 10)
        if "memory" in parts:
            run.memory(args.entries)
    return 0 if run.good or args.no_limit else 1


if __name__ == "__main__":
    sys.exit(main())
