"""Appends to pymerkle's SQLite tree, for comparison: PYTHON pymerkle_append.py ENTRIES BATCH FOLDER, prints seconds twice:
for appending alone, and for appending with the root asked for after each commit, which carelink keeps beside the entries.

Run by `benchmarks/bench_log.py` under an interpreter that has pymerkle, which carelink neither imports nor installs
(docs/adr/0030). ENTRIES holds entries behind their lengths, four bytes each. Durability as everywhere in that benchmark.
"""

import sys
import time
from pathlib import Path

from pymerkle import SqliteTree


def main() -> int:
    """Append, one entry a commit or many."""
    data, batch, folder = Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), Path(sys.argv[3])
    entries, at = [], 0
    while at < len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        entries.append(data[at + 4 : end])
        at = end
    for name, root in (("plain", False), ("root", True)):
        print(append(folder / f"{name}.db", entries, batch, root=root))
    return 0


def append(place: Path, entries: list[bytes], batch: int, *, root: bool) -> float:
    """Seconds."""
    tree = SqliteTree(str(place))
    tree.con.execute("PRAGMA journal_mode = WAL")
    tree.con.execute("PRAGMA synchronous = FULL")
    tree.con.execute("PRAGMA secure_delete = ON")
    began = time.perf_counter()
    for start in range(0, len(entries), batch):
        if batch == 1:
            tree.append_entry(entries[start])
        else:
            tree.append_entries(entries[start : start + batch], chunksize=batch)
        if root:
            tree.get_state()
    took = time.perf_counter() - began
    assert tree.get_size() == len(entries)
    tree.close()
    return took


if __name__ == "__main__":
    sys.exit(main())
