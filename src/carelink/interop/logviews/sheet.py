"""The log as CSV for spreadsheets (RFC 4180), one row an entry; no cell can be taken for a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any, Final

from carelink.audit.decided import DecidedBody
from carelink.audit.entry import parse_entry
from carelink.model.moment import Instant, iso

__all__ = ["COLUMNS", "sheet"]

COLUMNS: Final = (
    "entry", "at", "kind", "request", "subject", "recipient", "purpose", "channel", "effect", "reasons", "rules",
    "earliest", "outcome", "state", "reservation", "address",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_PLAIN: Final = ("request", "subject", "outcome", "state", "reservation", "address", "channel", "effect")


def _cell(value: object) -> str:
    text = str(getattr(value, "value", value))
    return f"'{text}" if text.startswith(_FORMULA) else text


def _row(index: int, data: bytes) -> list[str]:
    entry = parse_entry(data)
    body: Any = entry.body
    row: dict[str, object] = {"entry": index, "at": iso(entry.at), "kind": entry.kind.value}
    for name in _PLAIN:
        value = getattr(body, name, None)
        if value is not None and not isinstance(value, tuple):
            row[name] = value
    if isinstance(body, DecidedBody):
        facts = body.facts
        row |= {
            "subject": facts.subject,
            "recipient": facts.recipient,
            "address": facts.address or "",
            "purpose": facts.ask.purpose,
            "channel": facts.ask.channel,
            "reasons": " ".join(dict.fromkeys(v.reason.value for v in body.reasons if v.reason is not None)),
            "rules": " ".join(dict.fromkeys(verdict.rule for verdict in body.reasons)),
            "earliest": "" if body.earliest is None else iso(Instant(body.earliest)),
        }
    return [_cell(row.get(column, "")) for column in COLUMNS]


def sheet(entries: Iterable[tuple[int, bytes]]) -> Iterator[str]:
    """Rows of a CSV file, the head first; lines end in CR LF.

    Raises:
        FormatError, CannotJudgeError: an entry is not in a form that this release knows.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for index, data in entries:
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
        writer.writerow(_row(index, data))
    yield buffer.getvalue()
