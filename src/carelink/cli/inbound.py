"""`carelink inbound FILE|FOLDER|-`: receipts and replies. JSON lines, one mail, or a folder of mails."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from carelink.app import CareLink
from carelink.cli.common import console, open_link, read_input
from carelink.cli.exit_codes import Exit
from carelink.errors import CarelinkError, InvalidInputError
from carelink.model.moment import parse_instant
from carelink.ports.channel import ChannelEvent
from carelink.vault.personal import Personal
from carelink.vocabulary import DeliveryEvent, word

__all__ = ["add", "event_from_json", "mails_in", "run"]

_FIELDS = {"event", "key", "provider_id", "event_id", "address", "text", "at", "channel"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the parser."""
    parser = commands.add_parser("inbound", help="take in delivery reports and replies (STOP, 退订)")
    parser.add_argument(
        "file",
        help="JSON lines {event, channel, address, text, key, ...}; a mail (.eml, or --mail); a Maildir or a folder of "
        ".eml files; - for standard input",
    )
    parser.add_argument("--channel", help="channel of lines that name none (sms), or of the mails (email)")
    parser.add_argument("--mail", action="store_true", help="the file is one mail: a bounce, a complaint or a reply")
    parser.set_defaults(run=run)


def event_from_json(line: str) -> tuple[str | None, ChannelEvent]:
    """One event, and the channel it names.

    Raises:
        InvalidInputError: not an object of the known fields.
    """
    data: Any = None
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise InvalidInputError("not a JSON object of texts")
    if set(data) - _FIELDS or "event" not in data:
        raise InvalidInputError("`event` is missing, or a field is not known", hint=", ".join(sorted(_FIELDS)))
    event = ChannelEvent(
        event=word(DeliveryEvent, data["event"]),
        key=data.get("key"),
        provider_id=data.get("provider_id"),
        event_id=data.get("event_id"),
        address=Personal(data["address"]) if "address" in data else None,
        text=Personal(data["text"]) if "text" in data else None,
        at=parse_instant(data["at"]) if "at" in data else None,
    )
    return data.get("channel"), event


def mails_in(folder: Path) -> Iterator[Path]:
    """The mails of a folder, in the order of their names: those not yet seen of a Maildir, else every `.eml`."""
    if (folder / "new").is_dir() and (folder / "cur").is_dir():
        unseen = [path for path in (folder / "cur").iterdir() if "S" not in path.name.partition(":2,")[2]]
        yield from sorted([*(folder / "new").iterdir(), *unseen], key=lambda path: path.name)
    else:
        yield from sorted(folder.glob("*.eml"))


def _mark_seen(path: Path) -> None:
    """Into `cur`, with flag S, as whoever reads a Maildir does; a mail of another folder stays as it is."""
    if path.parent.name in ("new", "cur") and (path.parent.parent / "tmp").is_dir():
        name, _, flags = path.name.partition(":2,")
        path.rename(path.parent.parent / "cur" / f"{name}:2,{''.join(sorted({*flags, 'S'}))}")


def _take(link: CareLink, channel: str, events: Sequence[ChannelEvent]) -> None:
    for result in link.inbound(channel, events):
        extra = f"  released {len(result.released)}, in flight {len(result.in_flight)}" if result.suppressions else ""
        console.print(f"{channel:<14} {result.event.value:<12} {', '.join(result.actions)}{extra}", markup=False)


def _reader_of_mails(link: CareLink, channel: str | None) -> tuple[str, Any]:
    name = link.parts.route(channel or "email")
    found: Any = link.channels[name]
    if not found.capabilities.callbacks:
        raise InvalidInputError(f"channel `{name}` does not read mails", hint="name one that does with --channel")
    return name, found


def _mail(link: CareLink, channel: str | None, data: bytes) -> None:
    name, reader = _reader_of_mails(link, channel)
    events = reader.parse_callback({"content-type": "message/rfc822"}, data)
    if not events:
        console.print(f"{name:<14} {'-':<12} about no message of ours, or written by a machine", markup=False)
    _take(link, name, events)


def _folder(link: CareLink, channel: str | None, folder: Path) -> tuple[int, int]:
    """How many mails could be read, and how many not. One that could not stays where it is."""
    read = bad = 0
    for number, path in enumerate(list(mails_in(folder)), 1):
        problem = ""
        try:
            _mail(link, channel, path.read_bytes())
        except InvalidInputError as error:
            problem = str(error)
        except OSError as error:
            problem = error.strerror or type(error).__name__
        if problem:
            bad += 1
            console.print(f"mail {number} `{path.name}`: {problem}", markup=False)
            continue
        read += 1
        _mark_seen(path)
    console.print(f"mails read: {read}, unreadable: {bad}", markup=False)
    return read, bad


def _lines(link: CareLink, channel: str, data: bytes) -> tuple[int, int]:
    """How many lines were events, and how many were not."""
    bad = 0
    events: list[tuple[str, ChannelEvent]] = []
    for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), 1):
        if not line.strip():
            continue
        try:
            named, event = event_from_json(line)
            events.append((link.parts.route(named or channel), event))
        except CarelinkError as error:
            bad += 1
            console.print(f"line {number}: {error}", markup=False)
    for name in dict.fromkeys(name for name, _ in events):
        _take(link, name, [event for found, event in events if found == name])
    return len(events), bad


def run(args: argparse.Namespace) -> int:
    """Take in, and say what was done."""
    folder = Path(args.file)  # or a file; `-` is neither
    with open_link(args) as link:
        if args.file != "-" and folder.is_dir():
            _reader_of_mails(link, args.channel)
            good, bad = _folder(link, args.channel, folder)
        elif args.mail or folder.suffix == ".eml":
            _mail(link, args.channel, read_input(args.file))
            good, bad = 1, 0
        else:
            good, bad = _lines(link, args.channel or "sms", read_input(args.file))
        link.publish()
    return Exit.COULD_NOT_RUN if bad and not good else Exit.OK
