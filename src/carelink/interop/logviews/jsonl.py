"""The log as JSON lines: first the checkpoint, then each entry's exact form with its number and leaf hash."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from carelink.audit.checkpoint import SignedCheckpoint
from carelink.audit.merkle import leaf_hash

__all__ = ["json_lines"]


def json_lines(head: SignedCheckpoint, entries: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    """Lines of a `.jsonl` file, newline included.

    An entry is canonical JSON, so what stands behind `"entry":` is its stored bytes, and SHA-256 over 0x00 and them is
    `leaf`.
    """
    first = {"checkpoint": head.to_bytes().decode(), "form": "carelink-log-lines/1"}
    yield json.dumps(first, ensure_ascii=False, sort_keys=True) + "\n"
    for index, data in entries:
        yield f'{{"entry":{data.decode()},"index":{index},"leaf":"{leaf_hash(data).hex()}"}}\n'
