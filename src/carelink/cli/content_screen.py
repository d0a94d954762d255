"""`carelink content screen`: what the word lists find in a text. It needs no home and sends nothing."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from typing import Final

from carelink.cli.common import console, is_chinese, read_input, table
from carelink.cli.exit_codes import Exit
from carelink.content.screening.codes import Action
from carelink.content.screening.compiled import WordLists
from carelink.content.screening.findings import Finding, Screening
from carelink.content.screening.screen import screen_rendered
from carelink.errors import InvalidInputError
from carelink.packs.screening_lists import default_lists
from carelink.vocabulary import ChannelKind, Purpose, word

__all__ = ["add_screen"]

_OUTCOME: Final = {
    None: ("no listed pattern; that is not yet: allowed", "未命中词表；不等于合规"),
    Action.ANNOTATE: ("notes only: it may go, with these notes", "仅有提示：可发送并记录提示"),
    Action.HOLD: ("held: a person must look at it", "暂缓：须人工审核"),
    Action.REFUSE: ("refused", "拒绝"),
}


def add_screen(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    one = verbs.add_parser("screen", help="what the word lists find in a text")
    one.add_argument("file", nargs="?", metavar="FILE", help="UTF-8 text, as the patient would read it; - for stdin")
    one.add_argument("--text", help="the text itself, instead of FILE")
    one.add_argument("--subject", default="", help="subject line")
    one.add_argument("--sender", default="", help="name of the sender, or signature")
    one.add_argument("--link", action="append", default=[], metavar="URL", help="a link behind the text; may repeat")
    one.add_argument("--purpose", required=True, help="for example marketing.service")
    one.add_argument("--channel", default="sms", help="channel kind; on sms and email others may read along")
    one.add_argument("--institution", default="", help="licensed name that a commercial text must hold")
    one.add_argument("--detailed", action="store_true", help="the patient agreed to detailed content on this channel")
    one.add_argument("--evidence", action="store_true", help="there is evidence for an absolute")
    one.add_argument("--clinician", action="store_true", help="a clinician answers for the text")
    one.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    one.set_defaults(run=_screen)


def _parts(args: argparse.Namespace) -> dict[str, str]:
    """The parts of the message.

    Raises:
        InvalidInputError: not exactly one of FILE and --text is given, or it is not UTF-8.
    """
    if (args.file is None) == (args.text is None):
        raise InvalidInputError("give a FILE or --text, not both", hint="- is standard input")
    body: str | None = args.text
    if args.file is not None:
        try:
            body = read_input(args.file).decode("utf-8-sig")
        except UnicodeDecodeError:
            body = None
    if body is None:
        raise InvalidInputError("the text is not UTF-8", hint="save the file as UTF-8")
    named = {"subject": args.subject, "sender": args.sender, "body": body}
    parts = {name: text for name, text in named.items() if text}
    parts |= {f"link_{place}": link for place, link in enumerate(args.link, 1)}
    return parts or {"body": ""}


def _source(lists: WordLists, finding: Finding, *, separator: str = "; ") -> str:
    entry = lists.entries.get(finding.entry)
    sources = () if entry is None else entry.sources
    if finding.entry in lists.mark_sources:
        sources = lists.mark_sources[finding.entry]
    return separator.join(f"{one.instrument} ({one.version}) {one.article} [{one.certainty.value}]" for one in sources)


def _screen(args: argparse.Namespace) -> int:
    lists = default_lists()
    parts = _parts(args)
    screening = screen_rendered(
        parts,
        purpose=word(Purpose, args.purpose),
        channel_kind=word(ChannelKind, args.channel),
        lists=lists,
        detailed=args.detailed,
        evidence=args.evidence,
        clinician=args.clinician,
        institution=args.institution,
    )
    if args.json:
        print(json.dumps(_object(lists, screening), ensure_ascii=False))
    else:
        _show(lists, parts, screening, chinese=is_chinese(args))
    return Exit.REFUSED if screening.action in {Action.HOLD, Action.REFUSE} else Exit.OK


def _object(lists: WordLists, screening: Screening) -> dict[str, object]:
    return {
        "action": None if screening.action is None else screening.action.value,
        "categories": {category.value: action.value for category, action in screening.categories},
        "findings": [
            {
                "category": one.category.value,
                "action": one.action.value,
                "reason": one.reason,
                "entry": one.entry,
                "view": one.view.value,
                "part": one.part,
                "start": one.start,
                "end": one.end,
                "source": _source(lists, one),
            }
            for one in screening.findings
        ],
        "lists": [{"id": one.id, "version": one.version, "digest": one.digest} for one in screening.lists],
    }


def _visible(text: str) -> str:
    """A slice of the text for a terminal: what cannot be printed is shown as an escape."""
    return "".join(mark if mark.isprintable() else f"\\u{{{ord(mark):x}}}" for mark in text)


def _show(lists: WordLists, parts: Mapping[str, str], screening: Screening, *, chinese: bool) -> None:
    rows = []
    for one in screening.findings:
        place = f"{one.part} {one.start}-{one.end}" if one.part else "-"
        written = _visible(parts[one.part][one.start : one.end]) if one.part else ""
        rows.append(
            (one.action.value, one.category.value, place, written, one.view.value, one.entry, _source(lists, one))
        )
    if rows:
        table("Screening", ("action", "category", "place", "text", "view", "entry", "source"), rows)
    named = ", ".join(f"{one.id}@{one.version} {one.digest[:16]}" for one in screening.lists)
    console.print(f"{_OUTCOME[screening.action][1 if chinese else 0]}  ({named})", markup=False)
