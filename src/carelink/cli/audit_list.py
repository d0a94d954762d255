"""`carelink audit list`: decisions of a stretch of time, with what was handed over. A view, never evidence."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from carelink.audit.bodies import HandoverBody
from carelink.audit.checkpoint import NoteVerifier
from carelink.audit.decided import DecidedBody
from carelink.audit.entry import parse_entry
from carelink.audit.proof import open_checkpoint
from carelink.cli.audit_key import KEY_HELP
from carelink.cli.common import console, instant, table
from carelink.cli.exit_codes import Exit
from carelink.consent.facts import Known
from carelink.errors import CannotJudgeError
from carelink.model.moment import iso
from carelink.model.scope import covers_purpose
from carelink.stores.logfolder import LogFolder
from carelink.vocabulary import AgeBand, Effect, Family, Purpose

__all__ = ["add_list"]

Source = Callable[[argparse.Namespace], tuple[LogFolder, NoteVerifier]]
_UNKNOWN = "unknown"


def add_list(verbs: argparse._SubParsersAction[argparse.ArgumentParser], *, source: Source) -> None:
    """Register the parser; `source` gives the log and its key."""
    parser = verbs.add_parser(
        "list", help="decisions by time, purpose, age, effect or reason, and what was handed over"
    )
    parser.add_argument("folder", nargs="?", type=Path, help="exported folder (else this home's published log)")
    parser.add_argument("--key", help=KEY_HELP)
    parser.add_argument("--from", dest="begin", type=instant, metavar="INSTANT", help="RFC 3339, included")
    parser.add_argument("--to", dest="end", type=instant, metavar="INSTANT", help="RFC 3339, left out")
    names = sorted({each.value for each in Purpose} | {each.value for each in Family})
    parser.add_argument("--purpose", choices=names, metavar="PURPOSE", help="a purpose or a family")
    parser.add_argument("--effect", choices=[each.value for each in Effect])
    parser.add_argument("--age", action="append", default=[], choices=[*(each.value for each in AgeBand), _UNKNOWN],
                        help="may repeat")  # fmt: skip
    parser.add_argument("--reason", metavar="CODE", help="a reason code that was given")
    parser.add_argument("--handed", action="store_true", help="only what a channel was handed")
    parser.add_argument("--json", action="store_true", help="one JSON object a decision")
    parser.set_defaults(run=lambda args: _list(args, source))


def _list(args: argparse.Namespace, source: Source) -> int:
    log, verifier = source(args)
    head = log.head()
    if head is None:
        raise CannotJudgeError("nothing is published yet")
    open_checkpoint(head.to_bytes(), verifier)
    rows = list(_rows(log.entries(0, head.size), args))
    if args.json:
        for row in rows:
            console.print(json.dumps(row, ensure_ascii=False), markup=False)
        return Exit.OK
    people = len({row["subject"] for row in rows})
    handed = sum(bool(row["outcome"]) for row in rows)
    console.print(f"{len(rows):,} decisions about {people:,} patients; {handed:,} handed to a channel", markup=False)
    if rows:
        table("", tuple(rows[0]), [tuple(str(value) for value in row.values()) for row in rows])
    return Exit.OK


def _rows(entries: Iterable[tuple[int, bytes]], args: argparse.Namespace) -> Iterator[dict[str, object]]:
    """Decisions that fit, each with the outcome of its hand-over, in the order of the log."""
    found: dict[int, tuple[str, dict[str, object]]] = {}
    last: dict[str, int] = {}
    for index, data in entries:
        entry = parse_entry(data)
        body = entry.body
        if isinstance(body, HandoverBody) and body.request in last:
            found[last.pop(body.request)][1]["outcome"] = body.outcome.value
        elif isinstance(body, DecidedBody):
            last.pop(body.request, None)
            if _fits(body, args):
                found[index] = (body.request, _row(index, body))
                last[body.request] = index
    return (row for _, row in found.values() if row["outcome"] or not args.handed)


def _age(body: DecidedBody) -> str:
    age = body.facts.age
    return age.value.value if isinstance(age, Known) else _UNKNOWN


def _fits(body: DecidedBody, args: argparse.Namespace) -> bool:
    at = body.facts.at
    return (
        (args.begin is None or args.begin <= at)
        and (args.end is None or at < args.end)
        and (args.purpose is None or covers_purpose((args.purpose,), body.facts.ask.purpose))
        and (args.effect is None or body.effect.value == args.effect)
        and (not args.age or _age(body) in args.age)
        and (args.reason is None or args.reason in {verdict.reason for verdict in body.reasons})
    )


def _row(index: int, body: DecidedBody) -> dict[str, object]:
    ask = body.facts.ask
    return {
        "entry": index,
        "at": iso(body.facts.at),
        "subject": body.facts.subject[:8],
        "purpose": ask.purpose.value,
        "channel": ask.channel,
        "age": _age(body),
        "data": ",".join(each.value for each in ask.data),
        "effect": body.effect.value,
        "outcome": "",
        "reasons": " ".join(dict.fromkeys(v.reason.value for v in body.reasons if v.reason is not None)),
    }
